#!/usr/bin/env bash
# Three ways from a Kafka topic into a hash-partitioned PostgreSQL table, in turn, several times each; medians and ratios.
#
#   cargo build --release && KAFKA_BROKERS=127.0.0.1:9092 tests/bench/shards.sh [ROWS]
#
# Writes through the server that PGHOST, PGUSER ... name, into a schema of its own, dropped at the end. The Kafka
# cluster has to make topics by their first use; as many partitions as it gives them, as many leaves has the table
# (TOPIC names one that is there and empty). `kcat-lite -M 1 -- tests/bench/shards.sh 100000` lends a cluster of four
# partitions of 5 MiB. RUNS: how often, 5 if not given. BATCH: rows of an INSERT, 100 if not given.
set -euo pipefail

: "${KAFKA_BROKERS:?where is the cluster?}"
rows=${1:-400000}
runs=${RUNS:-5}
batch=${BATCH:-100}
here=$(cd "$(dirname "$0")/../.." && pwd)
PATH="${CARGO_TARGET_DIR:-$here/target}/release:$PATH"
export KAFKA_BROKERS PGOPTIONS="${PGOPTIONS:-} -c search_path=shards_$$"
mixed=shards-mixed-$$
sorted=${TOPIC:-shards-sorted-$$}

sql() { psql -qXAt -v ON_ERROR_STOP=1 -c "$1"; }

work=$(mktemp -d)
trap 'rm -rf "$work"; sql "set client_min_messages = error; drop schema if exists shards_$$ cascade"' EXIT

# Asking for a topic makes it, soon.
count_partitions() {
    kcat-lite -L -X allow.auto.create.topics=true -t "$sorted" 2>/dev/null | sed -n 's/.* with \([1-9][0-9]*\) partitions:.*/\1/p'
}
count_partitions >/dev/null || true
for ((i = 0; i < 20; i++)); do
    count=$(count_partitions) && [[ $count ]] && break
    sleep 0.5
done
: "${count:?no topic $sorted, and none is made by its first use}"

sql "create schema shards_$$"
psql -qXAt >/dev/null <<SQL
create table events (user_id bigint not null, id bigint not null, at timestamptz not null, payload text not null,
    primary key (user_id, id)) partition by hash (user_id);
select format('create table events_%s partition of events for values with (modulus $count, remainder %s)', i, i)
    from generate_series(0, $count - 1) i \gexec
SQL

# Rows of 107 bytes as COPY writes them, the user's id as the key.
sql "copy (select 100000000 + (hashint8(i) & 1048575), 100000000 + i, timestamptz '2026-01-01 00:00:00+00' + i * interval '1 s',
    repeat(md5(i::text), 2) || 'x' from generate_series(1, $rows) i) to stdout" >"$work/rows"
awk -F'\t' '{ row = $0; gsub(/\\/, "\\\\", row); gsub(/\t/, "\\t", row); print $1 "\t" row }' "$work/rows" |
    kcat-lite -P -q -t "$mixed" --tsv

# The first half of the recipe: each record into the partition of its leaf.
TIMEFORMAT=%R
{ time kcat-lite -C -e -q -t "$mixed" --tsv | kpart -t "$sorted" --algo postgres:bigint |
    kcat-lite -P -q -t "$sorted" --tsv=partition,key,value; } 2>"$work/sorting"

insert_through_parent() {
    kcat-lite -C -e -q -t "$mixed" | awk -F'\t' -v batch="$batch" '
        { gsub(/\047/, "\047\047"); row = "(" $1 "," $2 ",\047" $3 "\047,\047" $4 "\047)" }
        NR % batch == 1 || batch == 1 { printf "%sinsert into events values %s", (NR > 1 ? ";\n" : ""), row; next }
        { printf ",%s", row }
        END { print ";" }' | psql -qX -v ON_ERROR_STOP=1 >/dev/null
}

copy_through_parent() { kcat-lite -C -e -q -t "$mixed" | psql -qXc '\copy events from pstdin'; }

copy_into_leaves() {
    local i load loads=()
    for ((i = 0; i < count; i++)); do
        kcat-lite -C -e -q -t "$sorted" -p "$i" | psql -qXc "\copy events_$i from pstdin" &
        loads+=($!)
    done
    for load in "${loads[@]}"; do wait "$load"; done
}

ways=(insert_through_parent copy_through_parent copy_into_leaves)
for ((run = 0; run < runs; run++)); do
    for way in "${ways[@]}"; do
        sql 'truncate events'
        sql 'checkpoint' 2>/dev/null || true
        { time "$way" >&3 2>&4; } 3>&1 4>&2 2>>"$work/$way"
        [[ $(sql 'select count(*) from events') == "$rows" ]] || { echo "$way: rows are missing" >&2; exit 1; }
    done
done
[[ $(psql -qXAtc '\copy (select * from events) to pstdout' | sort | cksum) == "$(sort "$work/rows" | cksum)" ]] ||
    { echo 'the rows differ' >&2; exit 1; }

median() { sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

bytes=$(wc -c <"$work/rows")
printf '%s rows of %s bytes from Kafka into %s leaves\nPostgreSQL %s, fsync %s, synchronous_commit %s; %s cores; median of %s runs\n' \
    "$rows" "$((bytes / rows))" "$count" "$(sql 'show server_version' | cut -d' ' -f1)" "$(sql 'show fsync')" \
    "$(sql 'show synchronous_commit')" "$(nproc)" "$runs"
first=$(median "$work/${ways[0]}")
second=$(median "$work/${ways[1]}")
for way in "${ways[@]}"; do
    name=${way//_/ }
    [[ $way == insert* ]] && name+=", $batch rows each"
    awk -v name="$name" -v n="$rows" -v s="$(median "$work/$way")" -v a="$first" -v b="$second" \
        'BEGIN { printf "%-36s %8.2f s %9d rows/s  x%.1f INSERT  x%.1f COPY\n", name, s, n / s, a / s, b / s }'
done
printf '%-36s %8.2f s\n' 'sorting into the second topic, once' "$(cat "$work/sorting")"
