#!/bin/sh
# Trains a model on a real data set, beside its controls, and predicts with it. Sixteen leaves, where
# the rows would support more, because the control of equal total size takes longest by far.
set -eu
cd "$(dirname "$0")/.."
mkdir -p build/demo
ramify=build/ramify
model=build/demo/kin40k.ramify

say() {
    printf '\n\033[1m%s\033[0m\n' "$1"
}
[ -t 1 ] || say() { printf '\n%s\n' "$1"; }

say "A robot arm: learn how far its end is from a target, in at most 32 KiB of memory per row"
echo "\$ ramify train data/kin40k-train.csv.gz --target distance -o kin40k.ramify \\"
echo "      --resident 32KiB --leaves 16 --controls --test data/kin40k-test.csv.gz"
$ramify train data/kin40k-train.csv.gz --target distance -o $model \
    --resident 32KiB --leaves 16 --controls --test data/kin40k-test.csv.gz

say "What the file is"
echo "\$ ramify info kin40k.ramify"
$ramify info $model

say "The 4,000 rows that training never saw"
echo "\$ ramify evaluate kin40k.ramify data/kin40k-test.csv.gz"
$ramify evaluate $model data/kin40k-test.csv.gz

say "Predictions beside the truth"
echo "\$ ramify predict kin40k.ramify data/kin40k-test.csv.gz -o predictions.csv"
$ramify predict $model data/kin40k-test.csv.gz -o build/demo/predictions.csv
gzip -dc data/kin40k-test.csv.gz | cut -d, -f9 | paste -d, build/demo/predictions.csv - |
    awk -F, 'NR == 1 { printf "%12s %12s\n", "predicted", "true" }
             NR > 1 && NR <= 6 { printf "%12.4f %12.4f\n", $1, $2 }'
echo "The files are in build/demo."
