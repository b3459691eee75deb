#!/bin/sh
# Runs the linters over what git knows, or would know; expects build/compile_commands.json.
#
#     lint.sh          all but clang's path analyzer, which takes nearly all of clang-tidy's time
#     lint.sh --deep   with it
set -eu
cd "$(dirname "$0")/.."
failed=""
checks="-clang-analyzer-*"
[ "${1:-}" = --deep ] && checks=""

sources=$(git ls-files -co --exclude-standard '*.c' '*.h')
clang-format --dry-run --Werror $sources || failed="$failed clang-format"

# Only what the release builds: the compile commands of the others are not there.
compiled=$(git ls-files -co --exclude-standard 'src/*.c' 'cli/*.c' |
    while read -r file; do
        if grep -q "\"file\": \"$PWD/$file\"" build/compile_commands.json; then
            echo "$PWD/$file"
        fi
    done)
run-clang-tidy -quiet -p build -checks="$checks" $compiled >build/clang-tidy.log 2>&1 || {
    grep -E 'warning:|error:' build/clang-tidy.log | sort -u
    failed="$failed clang-tidy"
}

cppcheck --quiet --std=c11 --error-exitcode=1 --inline-suppr -j 2 \
    --enable=warning,performance --suppressions-list=.cppcheck \
    -Iinclude -Isrc/base -Isrc/data -Isrc/kernels -Isrc/modules -Isrc/model -Isrc/train -Isrc/plan \
    src cli examples || failed="$failed cppcheck"

.venv/bin/ruff check -q . || failed="$failed ruff"
.venv/bin/ruff format -q --check . || failed="$failed ruff-format"

if [ -n "$failed" ]; then
    echo "lint: findings of$failed" >&2
    exit 1
fi
echo "lint: clean"
