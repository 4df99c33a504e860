#!/usr/bin/env bash
# How long koldest takes for a topic of many partitions, beside kafka-get-offsets; in turn, several times each; medians.
#
#   cargo build --release && KAFKA_BROKERS=127.0.0.1:9092 TOPIC=many tests/bench/koldest.sh
#
# TOPIC is there, with as many partitions as are to be measured, and may hold anything. KAFKA_GET_OFFSETS names the
# command of an Apache Kafka (`kafka-get-offsets.sh` if not given); where there is none, koldest is measured alone.
# OLDEST_MESSAGE names a kafka-oldest-message, which looks at every topic of the cluster on localhost:9092.
# RUNS: how often, 5 if not given.
set -euo pipefail

: "${KAFKA_BROKERS:?where is the cluster?}" "${TOPIC:?which topic?}"
runs=${RUNS:-5}
here=$(cd "$(dirname "$0")/../.." && pwd)
PATH="${CARGO_TARGET_DIR:-$here/target}/release:$PATH"
export KAFKA_BROKERS
get_offsets=${KAFKA_GET_OFFSETS:-kafka-get-offsets.sh}

koldest_all() { koldest -q "$TOPIC"; }
java_earliest() { $get_offsets --bootstrap-server "$KAFKA_BROKERS" --topic "$TOPIC" --time earliest; }
oldest_message() { "$OLDEST_MESSAGE"; }

ways=(koldest_all)
command -v "${get_offsets%% *}" >/dev/null && ways+=(java_earliest)
[[ ${OLDEST_MESSAGE:-} ]] && ways+=(oldest_message)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
TIMEFORMAT=%R
for ((run = 0; run < runs; run++)); do
    for way in "${ways[@]}"; do
        { time "$way" >"$work/out" 2>"$work/err"; } 2>>"$work/$way" || { cat "$work/err" >&2; exit 1; }
        wc -l <"$work/out" >"$work/$way.rows"
    done
done
echo "$(nproc) cores; load $(cut -d ' ' -f 1 /proc/loadavg); median of $runs runs"
for way in "${ways[@]}"; do
    median=$(sort -n "$work/$way" | sed -n "$(((runs + 1) / 2))p")
    printf '%-16s %8s s  %s rows\n' "$way" "$median" "$(<"$work/$way.rows")"
done
