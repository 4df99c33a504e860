#!/usr/bin/env bash
# How time and memory of klag and koldest grow with the partitions and the groups of a cluster.
#
#   cargo build --release && KAFKA_BROKERS=HOST:PORT tests/bench/growth.sh [FIGURES.tsv [PLOT.svg]]
#
# On one empty broker that may be filled: topics of 1, 10, ... MOST_PARTITIONS partitions (10000 if not given) with two
# records in each, all of them behind in one group; then 1, 10, ... MOST_GROUPS groups (100000) that are behind in ten
# partitions each. Every size is measured by the whole report of that size: the median of RUNS runs (5), and the most
# memory that one more run had in use. A broker of 10,000 partitions and 100,000 groups wants 2 GB of heap. It takes
# python3 and nothing else.
#
# The figures are lines of: what was asked, size, lines of the report, seconds, MiB.
set -euo pipefail

: "${KAFKA_BROKERS:?where is the cluster?}"
here=$(cd "$(dirname "$0")/../.." && pwd)
PATH="${CARGO_TARGET_DIR:-$here/target}/release:$PATH"
export KAFKA_BROKERS
runs=${RUNS:-5}
figures=${1:-$here/tests/bench/growth.tsv}
plot=${2:-$here/man/growth.svg}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
TIMEFORMAT=%R

fill() { python3 "$here/tests/bench/growth.py" "$1" "$KAFKA_BROKERS" "${@:2}"; }

# Two records into each partition, as soon as the last one is there.
write() {
    local end
    until end=$(kcat-lite -Q -m 60 -t "$1:$(($2 - 1)):end" 2>"$work/err"); do sleep 0.5; done
    [[ $end == *'offset 2' ]] || seq 0 $(($2 - 1)) | awk '{ print $1 "\tone\n" $1 "\ttwo" }' |
        kcat-lite -P -m 60 -t "$1" --tsv=partition,value
}

# The sizes up to the largest one: powers of ten, and the largest.
sizes() { for ((size = 1; size < $1; size *= 10)); do echo "$size"; done; echo "$1"; }

# measure NAME SIZE COMMAND...
measure() {
    local name=$1 size=$2 run process peak=0 now
    shift 2
    : >"$work/times"
    for ((run = 0; run < runs; run++)); do
        { time "$@" >"$work/out" 2>"$work/err"; } 2>>"$work/times" || { cat "$work/err" >&2; exit 1; }
    done
    "$@" >/dev/null & process=$!
    while read -r _ now _ < <(grep VmHWM "/proc/$process/status" 2>/dev/null); do peak=$now; sleep 0.003; done
    wait "$process"
    printf '%s\t%s\t%s\t%s\t%s\n' "$name" "$size" "$(wc -l <"$work/out")" \
        "$(sort -n "$work/times" | sed -n "$(((runs + 1) / 2))p")" \
        "$(awk -v kib="$peak" 'BEGIN { printf "%.1f", kib / 1024 }')" | tee -a "$figures"
}

: >"$figures"
for size in $(sizes "${MOST_PARTITIONS:-10000}"); do
    topic=growth-$size
    fill topic "$topic" "$size"
    write "$topic" "$size"
    echo "$topic" | fill commit "$topic" "$size"
    measure 'koldest, partitions' "$size" koldest -m 60 "$topic"
    measure 'klag --time, partitions' "$size" klag -m 60 -g "$topic" --time
done
fill topic growth-groups 10
write growth-groups 10
made=0
for size in $(sizes "${MOST_GROUPS:-100000}"); do
    seq "$((made + 1))" "$size" | sed 's/^/many-/' | fill commit growth-groups 10
    made=$size
    measure 'klag --time, groups' "$size" klag -m 60 -g '^many-' --time
done
python3 "$here/tests/bench/growth.py" draw "$figures" >"$plot"
echo "$(nproc) cores; load $(cut -d ' ' -f 1 /proc/loadavg); median of $runs runs; figures in $figures, plot in $plot"
