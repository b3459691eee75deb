#!/bin/sh
# Runs every fuzz target for the given number of seconds.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-60}

for target in build-fuzz/fuzz_*; do
    [ -x "$target" ] || continue
    name=$(basename "$target")
    corpus=build-fuzz/corpus/$name
    mkdir -p "$corpus"
    seeds=fuzz/corpus/$name
    [ -d "$seeds" ] || seeds=""
    echo "$name: $seconds s"
    "$target" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -verbosity=0 \
        -artifact_prefix=build-fuzz/ "$corpus" $seeds
done
