# Cross compiler for 64-bit ARM, as Debian's gcc-aarch64-linux-gnu installs it. Objects only: the
# headers of jansson, cminpack and zlib are the build machine's, their libraries are not there.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
