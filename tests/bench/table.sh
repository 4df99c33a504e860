#!/usr/bin/env bash
# kcat-lite beside kcat, a row for each mode: instructions for each record, CPU seconds, wall seconds, memory.
#
#   cargo build --release && KAFKA_BROKERS=127.0.0.1:9092 tests/bench/table.sh [RECORDS [TIMED]]
#
# The instructions are those of RECORDS records of 100 bytes less those of none, by callgrind: other work on the machine
# does not change them. Seconds and MiB are medians of RUNS runs of TIMED records, in turn; RUNS=0 leaves them out. Records
# are read from a broker that creates topics, and written to librdkafka's mock in another process. Needs Debian's kcat,
# valgrind and GNU time. KCAT names another kcat, LITE another kcat-lite; ONLY is a regular expression of the rows to print.
set -euo pipefail

: "${KAFKA_BROKERS:?where is the cluster?}"
records=${1:-200000} timed=${2:-2000000} runs=${RUNS:-5}
here=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'kill "$mock" 2>/dev/null; rm -rf "$work"' EXIT
export KCAT=${KCAT:-kcat} LITE=${LITE:-${CARGO_TARGET_DIR:-$here/target}/release/kcat-lite} ACK=$work/ack

# The mock lives until its input ends.
mkfifo "$work/end"
"$LITE" -M 1 <"$work/end" >"$work/mock" &
mock=$!
exec 3>"$work/end"
until [ -s "$work/mock" ]; do sleep 0.1; done
MOCK=$(sed 's/^BROKERS=//; q' "$work/mock")
export MOCK

# run RECORDS RUNNER COMMAND: a shell command with $RUN before the program that is measured; $NEW is a new name.
run() {
    rm -f "$ACK"
    COUNT=$1 RUN=$2 KEYED=$work/keyed-$1 PLAIN=$work/plain-$1 NEW=bench-${EPOCHREALTIME/[.,]/} \
        bash -o pipefail -c "$3" >/dev/null 2>"$work/stderr" || { cat "$work/stderr" >&2; return 1; }
}

# instructions COMMAND: for each record, into $found.
instructions() {
    local count all=()
    for count in 0 "$records"; do
        run "$count" "valgrind --tool=callgrind --callgrind-out-file=/dev/null --log-file=$work/counted" "$1"
        all+=("$(awk '/Collected/ { print $NF }' "$work/counted")")
    done
    found+=("$(((all[1] - all[0]) / records))")
}

# row NAME KCAT OURS: two shell commands; kcat's is empty where it has no such mode.
row() {
    [[ $1 =~ ${ONLY:-.} ]] || return 0
    local found=() turn column
    if [[ $2 ]]; then instructions "$2"; else found=(-); fi
    instructions "$3"
    rm -f "$work"/time-*
    for ((turn = 0; turn < runs; turn++)); do
        if [[ $2 ]]; then run "$timed" "command time -af %e,%U,%S,%M -o $work/time-kcat" "$2"; fi
        run "$timed" "command time -af %e,%U,%S,%M -o $work/time-ours" "$3"
    done
    for column in '$2 + $3' '$1' '$4 / 1024'; do
        found+=("$(median kcat "$column")" "$(median ours "$column")")
    done
    printf '%s\t' "$1" "${found[@]}" | awk -F '\t' '{
        printf "%-14s", $1
        for (i = 2; i <= 8; i += 2) {
            ratio = ($i > 0) ? sprintf("%.1f", $i / ($(i + 1) > 0 ? $(i + 1) : 0.005)) : "-"
            printf " %8s %8s %6s", $i, $(i + 1), ratio
        }
        print ""
    }'
}

# median PROGRAM COLUMN: of an awk expression over its times.
median() {
    if [[ ! -e $work/time-$1 ]]; then echo -; return; fi
    awk -F , "{ print $2 }" "$work/time-$1" | sort -n | awk '{ v[NR] = $1 } END { printf "%.2f", v[int((NR + 1) / 2)] }'
}

for count in 0 "$records" "$timed"; do
    awk -v n="$count" 'BEGIN { for (i = 0; i < n; i++) printf "%099d\n", i }' >"$work/plain-$count"
    awk -v n="$count" 'BEGIN { for (i = 0; i < n; i++) printf "key-%d:%090d\n", i % 10000, i }' >"$work/keyed-$count"
    for codec in none lz4 zstd; do
        topic=bench-$codec-$count
        if [[ $("$KCAT" -L -b "$KAFKA_BROKERS") == *"topic \"$topic\""* ]]; then continue; fi
        "$LITE" -P -q -b "$KAFKA_BROKERS" -t "$topic" -p 0 -z "$codec" -X batch.size=65536 -l "$work/plain-$count"
    done
done

printf '%-14s' "$records, $timed"
printf ' %8s %8s %6s' instr. ours ratio CPU ours ratio wall ours ratio MiB ours ratio
echo
for codec in none lz4 zstd; do
    read="-C -q -b \$KAFKA_BROKERS -t bench-$codec-\$COUNT -p 0 -e"
    row "-C $codec" "\$RUN \$KCAT $read" "\$RUN \$LITE $read"
done
read='-C -q -b $KAFKA_BROKERS -t bench-none-$COUNT -p 0 -e'
row '-C -f' "\$RUN \$KCAT $read -f '%o %k %s\n'" "\$RUN \$LITE $read -f '%o %k %s\n'"
row '-C -J' "\$RUN \$KCAT $read -J" "\$RUN \$LITE $read -J"
row '-C --tsv' "\$RUN \$KCAT $read -f '%k\t%s\n'" "\$RUN \$LITE $read --tsv"
group='-q -b $KAFKA_BROKERS -X auto.offset.reset=earliest -e -G $NEW bench-none-$COUNT'
row '-G' "\$RUN \$KCAT $group" "\$RUN \$LITE $group"
row '-G --tsv' '' "\$RUN \$LITE --tsv $group"
row '-G --exec' '' "\$RUN \$LITE --tsv --exec 'cat >/dev/null' $group"
row '-G --ack' '' "\$RUN \$LITE --tsv --ack \$ACK $group | \$LITE -P -q -b \$MOCK -t \$NEW --tsv --ack \$ACK"
write='-P -q -b $MOCK -t $NEW'
row '-P -p 0' "\$RUN \$KCAT $write -p 0 -l \$PLAIN" "\$RUN \$LITE $write -p 0 -l \$PLAIN"
row '-P' "\$RUN \$KCAT $write -l \$PLAIN" "\$RUN \$LITE $write -l \$PLAIN"
row '-P -K' "\$RUN \$KCAT $write -K : -l \$KEYED" "\$RUN \$LITE $write -K : -l \$KEYED"
for codec in lz4 zstd; do
    row "-P $codec" "\$RUN \$KCAT $write -z $codec -l \$PLAIN" "\$RUN \$LITE $write -z $codec -l \$PLAIN"
done
row '-P <stdin' "\$RUN \$KCAT $write <\$PLAIN" "\$RUN \$LITE $write <\$PLAIN"

# start NAME ARGUMENT...: milliseconds of a run, of twenty in a row.
start() {
    [[ "start $1" =~ ${ONLY:-.} ]] || return 0
    local program turn from found=()
    for program in "$KCAT" "$LITE"; do
        from=${EPOCHREALTIME/[.,]/}
        for ((turn = 0; turn < 20; turn++)); do "$program" -q "${@:2}" <<<x >/dev/null 2>&1; done
        found+=($(((${EPOCHREALTIME/[.,]/} - from) / 20)))
    done
    awk -v name="$1" -v a="${found[0]}" -v b="${found[1]}" \
        'BEGIN { printf "%-26s %8.1f %8.1f %6.1f\n", name, a / 1000, b / 1000, a / b }'
}
printf '\n%-26s %8s %8s %6s\n' 'milliseconds' kcat ours ratio
start '-L' -L -b "$KAFKA_BROKERS"
start '-C -c 1' -C -b "$KAFKA_BROKERS" -t "bench-none-$records" -p 0 -c 1
start '-P, one record' -P -b "$MOCK" -t one
