#!/usr/bin/env bash
# kpart's label mode beside wc, cut and awk: lines of 100 bytes, in turn, several times each; medians, and the ratio to kpart.
#
#   cargo build --release && tests/bench/kpart.sh [LINES]
#
# Output goes to /dev/null, and for kpart also into a pipe. RUNS: how often, 5 if not given. A ratio above 1: kpart needs less.
set -euo pipefail

lines=${1:-5000000}
runs=${RUNS:-5}
here=$(cd "$(dirname "$0")/../.." && pwd)
PATH="${CARGO_TARGET_DIR:-$here/target}/release:$PATH"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export LC_ALL=C input=$work/input TIMEFORMAT=%R

awk -v n="$lines" 'BEGIN { for (i = 0; i < n; i++) printf "user-%09d\t%084d\n", i * 7919 % 1000000, i }' >"$input"

names=('wc -l' "cut -f1" "awk -F'\\t' '{print \$1}'" 'awk {print}' 'kpart' 'kpart from a pipe' 'kpart into a pipe')
commands=('wc -l <$input' 'cut -f1 <$input' "awk -F'\\t' '{print \$1}' <\$input" "awk '{print}' <\$input"
    'kpart -n 12 <$input' 'cat $input | kpart -n 12' 'kpart -n 12 <$input | cat')

cat "$input" >/dev/null
for ((run = 0; run < runs; run++)); do
    for at in "${!commands[@]}"; do
        { time bash -c "${commands[at]}" >/dev/null 2>&3; } 3>&2 2>>"$work/$at"
    done
done

median() { sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

kpart=$(median "$work/4")
printf '%s lines of 100 bytes, median of %s runs\n' "$lines" "$runs"
for at in "${!commands[@]}"; do
    awk -v name="${names[at]}" -v s="$(median "$work/$at")" -v k="$kpart" -v bytes="$(wc -c <"$input")" \
        'BEGIN { printf "%-24s %7.3f s %7.2f GB/s %7.2f\n", name, s, bytes / s / 1e9, s / k }'
done
