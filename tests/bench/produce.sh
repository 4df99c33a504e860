#!/usr/bin/env bash
# kcat-lite -P beside kcat: instructions for each record, by valgrind; wall and CPU time are noise beside them.
#
#   cargo build --release && tests/bench/produce.sh [RECORDS]
#
# Produces to a cluster of librdkafka's mock in another process, once RECORDS lines of 100 bytes and once none; the
# difference is the work for the records. Needs Debian's kcat and valgrind.
set -euo pipefail

records=${1:-200000}
here=$(cd "$(dirname "$0")/../.." && pwd)
lite="${LITE:-${CARGO_TARGET_DIR:-$here/target}/release/kcat-lite}"
work=$(mktemp -d)
trap 'kill "$mock" 2>/dev/null; rm -rf "$work"' EXIT

awk -v n="$records" 'BEGIN { for (i = 0; i < n; i++) printf "%099d\n", i }' >"$work/plain"
awk -v n="$records" 'BEGIN { for (i = 0; i < n; i++) printf "key-%d:%090d\n", i % 10000, i }' >"$work/keyed"
: >"$work/none"

# The mock keeps 5 MiB of each partition, and lives until its input ends.
mkfifo "$work/end"
"$lite" -M 1 <"$work/end" >"$work/mock" &
mock=$!
exec 3>"$work/end"
until [ -s "$work/mock" ]; do sleep 0.1; done
brokers=$(sed 's/^BROKERS=//; q' "$work/mock")

# Instructions of a command.
instructions() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$@" 2>"$work/valgrind" >/dev/null
    awk '/Collected/ { print $NF }' "$work/valgrind"
}

# compare NAME INPUT OPTION...: instructions for each record of kcat and of kcat-lite, and their ratio.
compare() {
    local name=$1 input=$2 program count=() some none
    shift 2
    for program in kcat "$lite"; do
        some=$(instructions "$program" -P -q -b "$brokers" -t "$name" "$@" -l "$work/$input")
        none=$(instructions "$program" -P -q -b "$brokers" -t "$name" "$@" -l "$work/none")
        count+=($(((some - none) / records)))
    done
    awk -v name="$name" -v a="${count[0]}" -v b="${count[1]}" \
        'BEGIN { printf "%-14s %8d %8d %7.2f\n", name, a, b, a / b }'
}

printf '%-14s %8s %8s %7s\n' "$records records" kcat ours ratio
compare one-partition plain -p 0
compare unkeyed plain
compare keyed keyed -K :
compare lz4 plain -z lz4
compare zstd plain -z zstd
