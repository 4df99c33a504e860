use super::recipe;
use crate::testkit::broker;
use crate::testkit::cluster::Cluster as _;
use crate::testkit::{postgres, registry, session, witness};

const FILL: &str = r#"
import datetime, decimal, sys
from confluent_kafka import Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import SerializationContext, MessageField
brokers, url, topic = sys.argv[1:]
schema = """{"type": "record", "name": "Order", "namespace": "shop", "fields": [
    {"name": "id", "type": "long"},
    {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    {"name": "note", "type": ["null", "string"]}]}"""
serialize = AvroSerializer(SchemaRegistryClient({"url": url}), schema)
producer = Producer({"bootstrap.servers": brokers})
at = datetime.datetime(2024, 1, 2, 3, 4, 5, 678901, tzinfo=datetime.timezone.utc)
for id, price, note in [(1, "12.34", None), (2, "0.00", "free"), (3, "-5.00", "two\nlines,\t\\N é"), (2**53 - 1, "7", "")]:
    value = {"id": id, "price": decimal.Decimal(price).quantize(decimal.Decimal("0.01")), "at": at, "note": note}
    producer.produce(topic, serialize(value, SerializationContext(topic, MessageField.VALUE)))
assert producer.flush(30) == 0
"#;

#[test]
fn avro_goes_through_jq_into_postgresql_and_comes_back_byte_for_byte() {
    let (Some(kafka), Some(postgres)) = (broker::shared_kafka(), postgres::start()) else {
        return;
    };
    let (Some(url), Some(python)) = (registry::url(), witness::python()) else {
        return;
    };
    let Some(_jq) = witness::installed("jq") else {
        return;
    };
    let (topic, again) = (kafka.topic("avro", 1, &[]), kafka.topic("avro", 1, &[]));
    python
        .args(["-W", "ignore", "-c", FILL, &kafka.bootstrap(), &url, &topic])
        .run()
        .succeeds();
    let recipe = recipe("Take Avro through jq into PostgreSQL, and back");
    let folder = session::folder("avro");
    let settings = [
        ("KAFKA_BROKERS", &*kafka.bootstrap()),
        ("REGISTRY", &*url),
        ("TOPIC", &*topic),
        ("AGAIN", &*again),
        ("PGHOST", ""),
        ("PGUSER", ""),
        ("PGDATABASE", ""),
    ];
    postgres.sql(recipe.text("sql", 0)).succeeds();
    for block in [1, 2] {
        postgres
            .known_to(recipe.run(block, &settings).inside(&folder))
            .run()
            .succeeds();
    }
    let sum = "select sum((doc->>'price')::numeric), min((doc->>'at')::timestamptz at time zone 'UTC') from orders";
    postgres
        .sql(sum)
        .succeeds()
        .stdout_is("14.34\t2024-01-02 03:04:05.678901\n");
    let mut expected: Vec<_> = kafka.records(&topic).into_iter().map(|r| r.value).collect();
    expected.remove(1);
    let seen: Vec<_> = kafka.records(&again).into_iter().map(|r| r.value).collect();
    assert_eq!(seen, expected);
}
