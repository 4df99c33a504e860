#!/usr/bin/env bash
# Instructions for each record that a group reads: kcat-lite -G in its ways beside kcat-lite -C and kcat -G.
#
#   cargo build --release && KAFKA_BROKERS=127.0.0.1:9092 tests/bench/group.sh [RECORDS]
#
# Needs a broker that creates topics, valgrind, and Debian's kcat. RECORDS records of 100 bytes are read under callgrind,
# and none; the difference is what the records cost, independent of what else the machine does. KCAT names another kcat,
# ONLY is a regular expression of the rows to print.
set -euo pipefail

: "${KAFKA_BROKERS:?where is the cluster?}"
records=${1:-200000}
here=$(cd "$(dirname "$0")/../.." && pwd)
ours="${CARGO_TARGET_DIR:-$here/target}/release/kcat-lite"
kcat=${KCAT:-kcat}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
run=$(date +%s%N)
full=bench-group-$records empty=bench-group-0

# fill TOPIC COUNT: a topic with as many records, unless an earlier run has left it.
fill() {
    if [[ $("$kcat" -L -b "$KAFKA_BROKERS" 2>/dev/null) == *"topic \"$1\""* ]]; then return; fi
    seq -f "%099.0f" "$2" | "$ours" -q -P -b "$KAFKA_BROKERS" -t "$1" -p 0 -X batch.size=65536
    if (($2 == 0)); then "$ours" -L -b "$KAFKA_BROKERS" -X allow.auto.create.topics=true -t "$1" >/dev/null; fi
}

# collected FILE: the instructions that callgrind counted.
collected() { awk '/Collected/ { sum += $NF } END { print sum + 0 }' "$1"; }

# row NAME SHELL-COMMAND: reads topic $TOPIC as group $GROUP; $PROGRAM runs under callgrind.
row() {
    local name=$1 topic all=()
    [[ $name =~ ${ONLY:-.} ]] || return 0
    for topic in "$empty" "$full"; do
        rm -f "$work/ack"
        TOPIC=$topic GROUP="bench-$name-$topic-$run" WORK=$work B=$KAFKA_BROKERS OURS=$ours KCAT=$kcat \
            VALGRIND="valgrind --tool=callgrind --callgrind-out-file=/dev/null --log-file=$work/counted" \
            bash -o pipefail -c "$2" >"$work/out" 2>"$work/stderr" || { cat "$work/stderr" >&2; return 1; }
        all+=("$(collected "$work/counted")")
    done
    printf '%-16s %8d\n' "$name" "$(((all[1] - all[0]) / records))"
}

fill "$empty" 0
fill "$full" "$records"
earliest='-X auto.offset.reset=earliest -e -q -b $B'
printf '%-16s %8s\n' 'instructions' record
row 'kcat-C' "\$VALGRIND \$KCAT -C -t \$TOPIC -p 0 $earliest"
row 'kcat-G' "\$VALGRIND \$KCAT $earliest -G \$GROUP \$TOPIC"
row 'C' "\$VALGRIND \$OURS -C -t \$TOPIC -p 0 $earliest"
row 'G' "\$VALGRIND \$OURS -G \$GROUP $earliest \$TOPIC"
row 'G-librdkafka' "\$VALGRIND \$OURS -G \$GROUP --engine librdkafka $earliest \$TOPIC"
row 'C-tsv' "\$VALGRIND \$OURS -C -t \$TOPIC -p 0 --tsv $earliest"
row 'G-tsv' "\$VALGRIND \$OURS -G \$GROUP --tsv $earliest \$TOPIC"
row 'G-exec' "\$VALGRIND \$OURS -G \$GROUP --tsv --exec 'cat >/dev/null' $earliest \$TOPIC"
row 'G-ack' "\$VALGRIND \$OURS -G \$GROUP --tsv --ack \$WORK/ack $earliest \$TOPIC |
    \$OURS -P -b \$B -q --ack \$WORK/ack --tsv -t bench-group-to"
