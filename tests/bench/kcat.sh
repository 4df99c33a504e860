#!/usr/bin/env bash
# kcat-lite beside kcat: the same work, in turn, five times each; medians of wall and CPU seconds, and their ratios.
#
#   cargo build --release && KAFKA_BROKERS=127.0.0.1:9092 tests/bench/kcat.sh [RECORDS]
#
# Needs a broker that creates topics, Debian's kcat, and a machine that does
# little else. A ratio above 1 means that kcat-lite needs less.
set -euo pipefail

: "${KAFKA_BROKERS:?where is the cluster?}"
records=${1:-2000000}
runs=${RUNS:-5}
here=$(cd "$(dirname "$0")/../.." && pwd)
lite="${CARGO_TARGET_DIR:-$here/target}/release/kcat-lite"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
topic="bench-$$"

# Lines of 100 bytes, and the same with a key.
awk -v n="$records" 'BEGIN { for (i = 0; i < n; i++) printf "%099d\n", i }' >"$work/plain"
awk -v n="$records" 'BEGIN { for (i = 0; i < n; i++) printf "key-%d:%090d\n", i % 10000, i }' >"$work/keyed"

# Runs "$@" and appends "wall cpu" to the file named first.
measure() {
    local file=$1 TIMEFORMAT='%R %U %S'
    shift
    { time "$@" >/dev/null 2>"$work/stderr"; } 2>"$work/time" || { cat "$work/stderr" >&2; return 1; }
    awk '{ print $1, $2 + $3 }' "$work/time" >>"$file"
}

median() { cut -d' ' -f"$2" "$1" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# compare NAME 'KCAT COMMAND' 'KCAT-LITE COMMAND': {T} is a topic of its own for each run.
compare() {
    local name=$1 kcat=$2 ours=$3 run
    rm -f "$work/a" "$work/b"
    for ((run = 0; run < runs; run++)); do
        measure "$work/a" bash -c "${kcat//\{T\}/$topic-$name-a$run}"
        measure "$work/b" bash -c "${ours//\{T\}/$topic-$name-b$run}"
    done
    awk -v name="$name" -v a="$(median "$work/a" 1)" -v b="$(median "$work/b" 1)" \
        -v c="$(median "$work/a" 2)" -v d="$(median "$work/b" 2)" \
        'BEGIN { printf "%-22s %8.3f %8.3f %7.2f %10.3f %8.3f %7.2f\n", name, a, b, a / b, c, d, c / (d > 0 ? d : 0.001) }'
}

printf '%-22s %8s %8s %7s %10s %8s %7s\n' "$records records" kcat ours ratio 'kcat CPU' ours ratio
export B=$KAFKA_BROKERS L=$lite W=$work
compare produce 'kcat -P -b $B -t {T} -p 0 -l $W/plain' '$L -q -P -b $B -t {T} -p 0 -l $W/plain'
compare produce-keyed "kcat -P -b \$B -t {T} -K: -l \$W/keyed" "\$L -q -P -b \$B -t {T} -K: -l \$W/keyed"
compare produce-stdin 'kcat -P -b $B -t {T} -p 0 <$W/plain' '$L -q -P -b $B -t {T} -p 0 <$W/plain'
compare produce-one 'echo x | kcat -P -b $B -t one' 'echo x | $L -q -P -b $B -t one'
"$lite" -q -P -b "$B" -t "$topic" -p 0 -l "$work/plain"
compare consume "kcat -C -b \$B -t $topic -p 0 -e -q" "\$L -C -b \$B -t $topic -p 0 -e -q"
compare consume-wc "kcat -C -b \$B -t $topic -p 0 -e -q | wc -l" "\$L -C -b \$B -t $topic -p 0 -e -q | wc -l"
compare consume-json "kcat -C -b \$B -t $topic -p 0 -e -q -J" "\$L -C -b \$B -t $topic -p 0 -e -q -J"
compare consume-one "kcat -C -b \$B -t $topic -p 0 -c 1 -q" "\$L -C -b \$B -t $topic -p 0 -c 1 -q"
compare list 'kcat -L -b $B' '$L -L -b $B'
