#!/usr/bin/env bash
# klag --time beside kafka-consumer-groups --all-groups: 1,000 groups with 100 commits each, in turn, several times.
#
#   cargo build --release && KAFKA_BROKERS=HOST:PORT PYTHON=... KAFKA_JARS=... tests/bench/klag.sh [GROUPS]
#
# On a broker that may be filled: 10 topics of 100 partitions, 200 records in each, batches of 10. PYTHON has
# confluent-kafka, KAFKA_JARS is the folder of Kafka's libraries; without the latter klag runs alone. KMINION and
# KAFKA_EXPORTER, if set, are the addresses of running exporters, whose scrapes are timed too. Where Go is installed,
# so are the looks of a program that runs: kadm's Lag, the library that kminion collects with. RUNS: 3 if not given.
set -euo pipefail

groups=${1:-1000}
runs=${RUNS:-3}
here=$(cd "$(dirname "$0")/../.." && pwd)
PATH="${CARGO_TARGET_DIR:-$here/target}/release:$PATH"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TIMEFORMAT=%R

"${PYTHON:-python3}" - "$KAFKA_BROKERS" "$groups" <<'PYTHON'
import sys
from concurrent.futures import ThreadPoolExecutor
from confluent_kafka import Producer, ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

brokers, count = sys.argv[1], int(sys.argv[2])
admin = AdminClient({"bootstrap.servers": brokers})
topics = [f"bench-{n}" for n in range(10)]
missing = [name for name in topics if name not in admin.list_topics(timeout=30).topics]
if missing:
    for made in admin.create_topics([NewTopic(name, 100, 1) for name in missing], request_timeout=60).values():
        made.result()
    producer = Producer({"bootstrap.servers": brokers, "linger.ms": 1000, "batch.num.messages": 10,
                         "queue.buffering.max.messages": 1000000})
    for topic in missing:
        for partition in range(100):
            for n in range(200):
                producer.produce(topic, b"x" * 90, partition=partition)
        producer.flush()
known = {group.group_id for group in admin.list_consumer_groups(request_timeout=60).result().valid}
for n in range(count):
    name = f"bench-{n}"
    if name not in known:
        places = [TopicPartition(topics[n % 10], partition, (n * 7 + partition) % 200) for partition in range(100)]
        for done in admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(name, places)]).values():
            done.result()
PYTHON

names=('klag' 'klag --time' 'klag --time -o prometheus')
commands=("klag -m 60 -g '^bench-'" "klag -m 60 -g '^bench-' --time" "klag -m 60 -g '^bench-' --time -o prometheus")
if [[ -n ${KAFKA_JARS:-} ]]; then
    names+=('kafka-consumer-groups --all-groups')
    commands+=("java -cp '$KAFKA_JARS/*' org.apache.kafka.tools.consumer.group.ConsumerGroupCommand \
        --bootstrap-server $KAFKA_BROKERS --describe --all-groups --timeout 120000")
fi
for exporter in KMINION KAFKA_EXPORTER; do
    if [[ -n ${!exporter:-} ]]; then
        names+=("$exporter")
        commands+=("curl -fsS http://${!exporter}/metrics")
    fi
done

for ((run = 0; run < runs; run++)); do
    for at in "${!commands[@]}"; do
        { time /usr/bin/env bash -c "${commands[at]}" >"$work/out" 2>"$work/err"; } 2>>"$work/$at" ||
            { cat "$work/err"; exit 1; }
        wc -l <"$work/out" >"$work/$at.lines"
    done
done

if command -v go >/dev/null && (cd "$here/tests/bench/kadm" && go build -o "$work/kadm" .); then
    # The first look opens the connections.
    "$work/kadm" "$KAFKA_BROKERS" bench- "$((runs + 1))" | tail -n "$runs" >"$work/kadm.looks"
    names+=('kadm.Lag, connected, no time lag')
    commands+=(kadm)
    cut -f1 "$work/kadm.looks" >"$work/$((${#names[@]} - 1))"
    tail -n 1 "$work/kadm.looks" | cut -f2 >"$work/$((${#names[@]} - 1)).lines"
fi

median() { sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
ours=$(median "$work/1")
printf '%s groups of 100 commits, median of %s runs\n' "$groups" "$runs"
for at in "${!commands[@]}"; do
    awk -v name="${names[at]}" -v s="$(median "$work/$at")" -v k="$ours" -v lines="$(cat "$work/$at.lines")" \
        'BEGIN { printf "%-36s %8.3f s %8d lines %7.2f\n", name, s, lines, s / k }'
done
klag -m 60 -g '^bench-' --time >"$work/out" & klag=$!
peak=0
while read -r _ size _ < <(grep VmHWM /proc/$klag/status 2>/dev/null); do peak=$size; sleep 0.005; done
wait $klag
printf 'klag --time: %s MiB at most\n' "$((peak / 1024))"

klag -m 60 -g '^bench-' --listen 127.0.0.1:0 2>"$work/exporter" & klag=$!
until url=$(grep -o 'http://.*' "$work/exporter"); do sleep 0.1; done
for encoding in identity gzip; do
    curl -fsS -H "Accept-Encoding: $encoding" -o /dev/null \
        -w "klag --listen, $encoding: %{size_download} bytes in %{time_total} s\n" "$url"
done
printf "klag --listen: %s MiB at most\n" "$(($(awk "/VmHWM/ { print \$2 }" "/proc/$klag/status") / 1024))"
kill $klag
