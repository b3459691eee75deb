#!/bin/sh
# Compiles everything for 64-bit ARM with Debian's cross compiler, without linking.
set -eu
cd "$(dirname "$0")/.."

headers=build-aarch64/headers
mkdir -p $headers
for name in jansson.h jansson_config.h zlib.h zconf.h cminpack-1/cminpack.h; do
    path=$(printf '#include <%s>\n' $name | cc -M -xc - | tr -d '\\' | tr ' ' '\n' |
        grep "/$name\$" | head -n 1)
    cp "$path" $headers/
done
generator=""
[ -f build-aarch64/CMakeCache.txt ] || generator=Ninja
CMAKE_GENERATOR=$generator cmake --preset aarch64 --log-level=NOTICE \
    "-DCMAKE_C_FLAGS=-isystem $PWD/$headers" \
    "-DZLIB_INCLUDE_DIR=$PWD/$headers" "-DZLIB_LIBRARY=unused" >/dev/null
cmake --build build-aarch64 --target ramify_static ramify_tool_objects
echo "Compiled for aarch64."
