#!/usr/bin/env bash
# ktee beside tee and zstd: pass-through, and a backup on one core against `zstd -3` of the same bytes, both synced; in turn,
# medians of the time that passed, and of processor time, which other work on the machine does not lengthen.
#
#   cargo build --release && tests/bench/ktee.sh [LINES]
#
# RUNS: how often, 5 if not given. Ratios above 1: ktee needs longer.
set -euo pipefail

lines=${1:-4000000}
runs=${RUNS:-5}
here=$(cd "$(dirname "$0")/../.." && pwd)
PATH="${CARGO_TARGET_DIR:-$here/target}/release:$PATH"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export LC_ALL=C input=$work/input out=$work/out TIMEFORMAT='%R %U %S'

# Lines of --tsv=all, about 130 bytes, of three partitions, with values that compress about as logs do.
awk -v n="$lines" 'BEGIN {
    srand(7)
    for (i = 0; i < n; i++)
        printf "orders\t%d\t%d\t%d\tuser-%07d\t{\"id\":%d,\"state\":\"%s\",\"sum\":%.2f,\"token\":\"%08x%08x\"}\t\\N\n",
            i % 3, i / 3, 1700000000000 + i, rand() * 1000000, i, rand() < 0.9 ? "paid" : "open", rand() * 1000,
            rand() * 4294967295, rand() * 4294967295
}' >"$input"

names=('tee' 'ktee' 'tee FILE' 'ktee FILE' 'zstd -3' 'ktee FOLDER' 'ktee --compress none')
commands=('cat $input | tee | cat' 'cat $input | ktee | cat'
    'cat $input | tee $out' 'cat $input | ktee $out'
    'taskset -c 0 zstd -3 -q -f -o $out.zst $input && sync $out.zst' 'taskset -c 0 ktee --tsv=all $out.d/ <$input'
    'taskset -c 0 ktee --tsv=all --compress none $out.n/ <$input')

cat "$input" >/dev/null
for ((run = 0; run < runs; run++)); do
    for at in "${!commands[@]}"; do
        rm -rf "$out" "$out.d" "$out.n"
        { time bash -c "${commands[at]}" >/dev/null 2>&3; } 3>&2 2>>"$work/$at"
    done
done

# median FILE COLUMN: 1 the time that passed, 2 processor time.
median() { awk '{ print $1, $2 + $3 }' "$1" | cut -d ' ' -f "$2" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
ratio() { awk -v a="$(median "$work/$1" "$3")" -v b="$(median "$work/$2" "$3")" 'BEGIN { printf "%.2f", a / b }'; }

printf '%s lines, %s bytes, median of %s runs\n' "$lines" "$(wc -c <"$input")" "$runs"
for at in "${!commands[@]}"; do
    awk -v name="${names[at]}" -v s="$(median "$work/$at" 1)" -v cpu="$(median "$work/$at" 2)" -v bytes="$(wc -c <"$input")" \
        'BEGIN { printf "%-22s %7.3f s %7.0f MB/s %7.3f s processor\n", name, s, bytes / s / 1e6, cpu }'
done
printf 'pass-through, time of ktee / tee: %s; with a file: %s\n' "$(ratio 1 0 1)" "$(ratio 3 2 1)"
printf 'backup on one core, throughput of ktee / zstd -3: %s; by processor time: %s\n' "$(ratio 4 5 1)" "$(ratio 4 5 2)"
