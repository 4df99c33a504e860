#!/usr/bin/env bash
# What it costs to lose nothing: each way to commit what was dealt with beside plain -G, in turn; medians of wall seconds, and
# the ratio of their speeds.
#
#   cargo build --release && KAFKA_BROKERS=127.0.0.1:9092 tests/bench/pipes.sh [RECORDS]
#
# Needs a broker that creates topics and a machine that does little else. With
# PGHOST (and PGUSER, PGDATABASE) the batches also go into PostgreSQL. A ratio
# of 1 means that it costs nothing.
set -euo pipefail

: "${KAFKA_BROKERS:?where is the cluster?}"
records=${1:-1000000}
runs=${RUNS:-5}
here=$(cd "$(dirname "$0")/../.." && pwd)
PATH="${CARGO_TARGET_DIR:-$here/target}/release:$PATH"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export IN="pipes-$$" G

awk -v n="$records" 'BEGIN { for (i = 0; i < n; i++) printf "key-%d\t%090d\n", i % 10000, i }' | kcat-lite -q -P -t "$IN" --tsv

SOURCE='kcat-lite -G $G -e -q -X auto.offset.reset=earliest --tsv $IN'
plain_exec="$SOURCE | cat >/dev/null"
exec="$SOURCE --exec 'cat >/dev/null'"
plain_psql="$SOURCE | psql -qXc '\\copy bench from pstdin'"
psql="$SOURCE --exec \"psql -qXc '\\\\copy bench from pstdin'\""
plain_pipe="$SOURCE | sed 's/key/KEY/' | kcat-lite -q -P --tsv -t \$G"
ack="$SOURCE --ack s | sed 's/key/KEY/' | kcat-lite -q -P --tsv -t \$G --ack s"
txn="$ack --txn \$G"

# Runs a pipe as a new group and appends its wall seconds to the file named first.
measure() {
    local TIMEFORMAT=%R
    G="$IN-$1-$2"
    { time bash -o pipefail -c "$3" 2>stderr; } 2>time || { cat stderr >&2; return 1; }
    cat time >>"$1"
}

median() { sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# compare NAME PLAIN NAME OURS...: all in turn, the ratio to the first of them.
compare() {
    local run pair
    for ((run = 0; run < runs; run++)); do
        for ((pair = 1; pair <= $#; pair += 2)); do
            measure "${!pair}" "$run" "${@:pair+1:1}"
        done
    done
    local base
    base=$(median "$1")
    for ((pair = 1; pair <= $#; pair += 2)); do
        awk -v name="${!pair}" -v n="$records" -v base="$base" -v seconds="$(median "${!pair}")" \
            'BEGIN { printf "%-14s %8.3f %10d %6.2f\n", name, seconds, n / seconds, base / seconds }'
    done
}

printf '%-14s %8s %10s %6s\n' "$records records" seconds records/s ratio
compare plain-cat "$plain_exec" exec-cat "$exec"
if [[ -n "${PGHOST:-}" ]]; then
    psql -qXc 'create unlogged table if not exists bench (key text, value text)'
    compare plain-psql "$plain_psql" exec-psql "$psql"
    psql -qXc 'drop table bench'
fi
compare plain-pipe "$plain_pipe" ack "$ack" txn "$txn"
