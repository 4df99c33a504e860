#!/usr/bin/env bash
# Avro records of ten fields, encoded and decoded, beside Python's client: records for each CPU second.
#
#   cargo build --release && KAFKA_BROKERS=... REGISTRY=http://... tests/bench/schema.sh [RECORDS]
#
# Needs a broker that creates topics and a schema registry. PYTHON has confluent-kafka[avro]; the tests keep one in
# target/testkit/confluent-kafka/bin/python.
set -euo pipefail

: "${KAFKA_BROKERS:?where is the cluster?}" "${REGISTRY:?where is the schema registry?}"
records=${1:-2000000}
here=$(cd "$(dirname "$0")/../.." && pwd)
PATH="${CARGO_TARGET_DIR:-$here/target}/release:$PATH"
python=${PYTHON:-$here/target/testkit/confluent-kafka/bin/python}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
topic="bench-$$"

cat >"$work/order.avsc" <<'AVRO'
{"type":"record","name":"Order","namespace":"shop","fields":[
 {"name":"id","type":"long"},{"name":"user","type":"string"},{"name":"sum","type":"double"},{"name":"paid","type":"boolean"},
 {"name":"note","type":["null","string"]},{"name":"count","type":"int"},
 {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
 {"name":"kind","type":{"type":"enum","name":"Kind","symbols":["NEW","SENT"]}},
 {"name":"tags","type":{"type":"array","items":"string"}},{"name":"rate","type":"float"}]}
AVRO
awk -v n="$records" 'BEGIN { for (i = 0; i < n; i++) printf "{\"id\":%d,\"user\":\"user-%d\",\"sum\":%d.25,\"paid\":true," \
    "\"note\":{\"string\":\"a note\"},\"count\":%d,\"at\":%d,\"kind\":\"SENT\",\"tags\":[\"a\",\"b\"],\"rate\":0.5}\n", \
    i, i % 10000, i, i % 100, 1700000000000 + i }' >"$work/lines"

# measure NAME RECORDS COMMAND...: the CPU of the command and its children.
measure() {
    local name=$1 count=$2 TIMEFORMAT='%U %S'
    shift 2
    { time "$@" >/dev/null 2>"$work/stderr"; } 2>"$work/time" || { cat "$work/stderr" >&2; return 1; }
    awk -v name="$name" -v n="$count" '{ printf "%-32s %9.0f /s  (%.2f s)\n", name, n / ($1 + $2), $1 + $2 }' "$work/time"
}

schema=(-s value=avro -r "$REGISTRY")
consume=(kcat-lite -C -t "$topic" -e -q -c "$records")
printf '%s records of ten fields, each CPU second\n' "$records"
measure 'kcat-lite -P' "$records" kcat-lite -P -q -t "$topic" -p 0 "${schema[@]}" --schema "$work/order.avsc" \
    -X auto.register.schemas=true -l "$work/lines"
measure 'kcat-lite -C, not decoded' "$records" "${consume[@]}"
measure 'kcat-lite -C, tagged' "$records" "${consume[@]}" "${schema[@]}"
measure 'kcat-lite -C, plain' "$records" "${consume[@]}" "${schema[@]}" --json-style plain

# Without Kafka, and less of them: it is Python.
few=$((records / 40))
kcat-lite -C -t "$topic" -q -c "$few" --tsv=value --bytes=hex >"$work/hex"
measure "Python's AvroDeserializer" "$few" "$python" -W ignore -c '
import sys
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import SerializationContext, MessageField
deserialize = AvroDeserializer(SchemaRegistryClient({"url": sys.argv[1]}))
context = SerializationContext("t", MessageField.VALUE)
for line in sys.stdin:
    deserialize(bytes.fromhex(line.strip()[3:]), context)
' "$REGISTRY" <"$work/hex"
