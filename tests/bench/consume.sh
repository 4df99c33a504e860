#!/usr/bin/env bash
# kcat-lite -C beside kcat -C: wall seconds, CPU seconds, resident memory, in turn, medians; instructions for each
# record where valgrind is there.
#
#   cargo build --release && KAFKA_BROKERS=127.0.0.1:9092 tests/bench/consume.sh [RECORDS]
#
# Needs a broker that creates topics of eight partitions (num.partitions=8), Debian's kcat, GNU time, and a machine
# that does little else. "tuned" is the same kcat with fetch.queue.backoff.ms=5, where its librdkafka knows it.
# A ratio above 1 means that kcat-lite needs less. RUNS=5 says how often; KCAT names another kcat; XARGS are added to
# both command lines (-X security.protocol=...); ONLY is a regular expression of the rows to print.
set -euo pipefail

: "${KAFKA_BROKERS:?where is the cluster?}"
records=${1:-2000000}
runs=${RUNS:-5}
here=$(cd "$(dirname "$0")/../.." && pwd)
ours="${CARGO_TARGET_DIR:-$here/target}/release/kcat-lite"
kcat=${KCAT:-kcat}
read -ra extra <<<"${XARGS:-}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
topic=${TOPIC:-bench-consume}

tuned=()
if "$kcat" -X list 2>/dev/null | grep -q '^fetch.queue.backoff.ms'; then
    tuned=(-X fetch.queue.backoff.ms=5)
fi

# Lines of SIZE bytes that compress as log lines do.
lines() {
    awk -v n="$1" -v size="$2" 'BEGIN {
        srand(7)
        for (i = 0; i < n; i++) {
            line = sprintf("{\"id\":%d,\"user\":\"u%06d\",\"price\":%.2f,\"text\":\"", i, rand() * 1e6, rand() * 1e3)
            while (length(line) < size - 3) line = line sprintf("%x ", rand() * 65536)
            print substr(line, 1, size - 3) "\"}"
        }
    }'
}

# fill NAME COUNT SIZE CODEC PARTITIONS: a topic with these records, unless an earlier run has left it.
fill() {
    local name=$topic-$1-$2 to=()
    if [[ $("$kcat" -L -b "$KAFKA_BROKERS" "${extra[@]}" 2>/dev/null) == *"topic \"$name\""* ]]; then return; fi
    if (($5 == 1)); then to=(-p 0); else to=(-X sticky.partitioning.linger.ms=0 -X linger.ms=5); fi
    lines "$2" "$3" | "$ours" -q -P -b "$KAFKA_BROKERS" "${extra[@]}" -t "$name" "${to[@]}" -X batch.size=65536 -z "$4"
}

# Runs "$@" and appends "wall cpu kilobytes" to the file named first.
measure() {
    local file=$1
    shift
    command time -f '%e %U %S %M' -o "$work/time" "$@" >/dev/null 2>"$work/stderr" ||
        { cat "$work/stderr" >&2; return 1; }
    awk '{ print $1, $2 + $3, $4 }' "$work/time" >>"$file"
}

# Runs "$@" into `wc -l`, whose own time does not count.
measure_wc() {
    local file=$1
    shift
    command time -f '%e %U %S %M' -o "$work/time" "$@" 2>"$work/stderr" | wc -l >/dev/null
    awk '{ print $1, $2 + $3, $4 }' "$work/time" >>"$file"
}

median() { cut -d' ' -f"$2" "$1" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# compare ROW MEASURE ARGUMENT...: the same arguments for all.
compare() {
    local row=$1 how=$2 run
    shift 2
    [[ $row =~ ${ONLY:-.} ]] || return 0
    rm -f "$work"/{kcat,tuned,ours}
    for ((run = 0; run < runs; run++)); do
        "$how" "$work/kcat" "$kcat" -b "$KAFKA_BROKERS" "${extra[@]}" "$@"
        if ((${#tuned[@]})); then "$how" "$work/tuned" "$kcat" -b "$KAFKA_BROKERS" "${extra[@]}" "${tuned[@]}" "$@"; fi
        "$how" "$work/ours" "$ours" -b "$KAFKA_BROKERS" "${extra[@]}" "$@"
    done
    local wall=- ratio=-
    if [[ -e $work/tuned ]]; then
        wall=$(median "$work/tuned" 1)
        ratio=$(awk -v a="$wall" -v b="$(median "$work/ours" 1)" 'BEGIN { printf "%.1f", a / (b > 0 ? b : 0.005) }')
    fi
    awk -v row="$row" -v tuned="$wall" -v tuned_ratio="$ratio" \
        -v a="$(median "$work/kcat" 1)" -v b="$(median "$work/ours" 1)" \
        -v c="$(median "$work/kcat" 2)" -v d="$(median "$work/ours" 2)" \
        -v e="$(median "$work/kcat" 3)" -v f="$(median "$work/ours" 3)" \
        'BEGIN { printf "%-24s %7.2f %7s %7.2f %6.1f %6s %8.2f %7.2f %6.1f %7.1f %6.1f\n",
            row, a, tuned, b, a / (b > 0 ? b : 0.005), tuned_ratio, c, d, c / (d > 0 ? d : 0.005), e / 1024, f / 1024 }'
}

# instructions NAME COUNT ARGUMENT...: for each record, both programs under callgrind; what a start costs is taken off.
instructions() {
    local row=$1 name=$2 count=$3 program
    shift 3
    [[ "instructions $row" =~ ${ONLY:-.} ]] || return 0
    local found=()
    for program in "$kcat" "$ours"; do
        local all=() some
        for some in "$((count / 10))" "$count"; do
            valgrind --tool=callgrind --callgrind-out-file=/dev/null \
                "$program" -b "$KAFKA_BROKERS" -C -t "$name" -p 0 -c "$some" -q "$@" >/dev/null 2>"$work/valgrind" || true
            all+=("$(awk '/Collected/ { print $NF }' "$work/valgrind")")
        done
        found+=("$(((all[1] - all[0]) / (count - count / 10)))")
    done
    awk -v row="$row" -v a="${found[0]}" -v b="${found[1]}" \
        'BEGIN { printf "%-24s %7d %7d %6.1f\n", row, a, b, a / b }'
}

kilo=$((records / 4))
for codec in none lz4 zstd; do
    for partitions in 1 8; do
        fill "100-$codec-$partitions" "$records" 100 "$codec" "$partitions"
        fill "1000-$codec-$partitions" "$kilo" 1000 "$codec" "$partitions"
    done
done
fill start-none-1 100 100 none 1

printf '%d records of 100 bytes, %d of 1000; medians of %d; %s\n' "$records" "$kilo" "$runs" "$("$kcat" -V | grep -o 'librdkafka [0-9.]*' | head -1)"
printf '%-24s %7s %7s %7s %6s %6s %8s %7s %6s %7s %6s\n' \
    'wall seconds' kcat tuned ours ratio ratio 'CPU kcat' ours ratio 'MiB' ours
read_all=(-C -e -q -t)
for codec in none lz4 zstd; do
    for partitions in 1 8; do
        only=()
        if ((partitions == 1)); then only=(-p 0); fi
        small="$topic-100-$codec-$partitions-$records" large="$topic-1000-$codec-$partitions-$kilo"
        compare "100 B $codec $partitions null" measure "${read_all[@]}" "$small" "${only[@]}"
        compare "100 B $codec $partitions wc" measure_wc "${read_all[@]}" "$small" "${only[@]}"
        compare "1 KB $codec $partitions null" measure "${read_all[@]}" "$large" "${only[@]}"
        compare "1 KB $codec $partitions wc" measure_wc "${read_all[@]}" "$large" "${only[@]}"
    done
done
plain="$topic-100-none-1-$records"
compare '-f %o %k %s' measure "${read_all[@]}" "$plain" -p 0 -f '%o %k %s\n'
compare '-J' measure "${read_all[@]}" "$plain" -p 0 -J
# kcat has no TSV; its nearest is a template.
if [[ "--tsv" =~ ${ONLY:-.} ]]; then
    rm -f "$work"/{kcat,ours}
    for ((run = 0; run < runs; run++)); do
        measure "$work/kcat" "$kcat" -b "$KAFKA_BROKERS" "${extra[@]}" "${read_all[@]}" "$plain" -p 0 -f '%k\t%s\n'
        measure "$work/ours" "$ours" -b "$KAFKA_BROKERS" "${extra[@]}" "${read_all[@]}" "$plain" -p 0 --tsv
    done
    awk -v a="$(median "$work/kcat" 1)" -v b="$(median "$work/ours" 1)" -v c="$(median "$work/kcat" 2)" -v d="$(median "$work/ours" 2)" \
        'BEGIN { printf "%-24s %7.2f %7s %7.2f %6.1f %6s %8.2f %7.2f %6.1f\n", "--tsv (kcat: -f)", a, "-", b, a / b, "-", c, d, c / d }'
fi

printf '\n%-24s %7s %7s %7s\n' 'start, milliseconds' kcat ours ratio
# start ROW ARGUMENT...: twenty in a row.
start() {
    local row=$1 program from to found=()
    shift
    [[ "start $row" =~ ${ONLY:-.} ]] || return 0
    for program in "$kcat" "$ours"; do
        from=$(date +%s%N)
        for ((run = 0; run < 20; run++)); do "$program" -b "$KAFKA_BROKERS" "${extra[@]}" "$@" >/dev/null 2>&1; done
        to=$(date +%s%N)
        found+=("$(((to - from) / 20000))")
    done
    awk -v row="$row" -v a="${found[0]}" -v b="${found[1]}" \
        'BEGIN { printf "%-24s %7.1f %7.1f %7.1f\n", row, a / 1000, b / 1000, a / b }'
}
start '-L' -L
start '-C -c 1' -C -q -t "$plain" -p 0 -c 1
start '-C -e, 100 records' "${read_all[@]}" "$topic-start-none-1-100" -p 0

if command -v valgrind >/dev/null; then
    printf '\n%-24s %7s %7s %6s\n' 'instructions/record' kcat ours ratio
    instructions 'raw' "$plain" 200000
    instructions '-f' "$plain" 200000 -f '%o %k %s\n'
    instructions '-J' "$plain" 200000 -J
fi
