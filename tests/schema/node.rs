//! Avro with Confluent's JavaScript client as the other side.

use super::avro::{REGISTER, SCHEMA, TAGGED, consume, file, produce};
use crate::testkit::cluster::{Record, any};
use crate::testkit::{registry, witness};
use std::fmt::Write as _;

const SERIALIZE: &str = r"
const {SchemaRegistryClient, AvroSerializer, SerdeType} = require('@confluentinc/schemaregistry');
const [url, topic, schema] = process.argv.slice(1);
(async () => {
    const client = new SchemaRegistryClient({baseURLs: [url]});
    await client.register(`${topic}-value`, {schema, schemaType: 'AVRO'});
    const serializer = new AvroSerializer(client, SerdeType.VALUE, {useLatestVersion: true});
    const value = {id: 9007199254740, note: 'é', price: Buffer.from([4, 210]), at: 1704164645006, day: 19724,
        tags: {a: 1, b: 'x'}, kind: 'B', sum: Buffer.from([1, 255]), pay: {'shop.Cash': {coins: [1, 2]}},
        list: {v: 0.5, next: {v: 1, next: null}}};
    console.log((await serializer.serialize(topic, value)).toString('hex'));
})();
";

const DESERIALIZE: &str = r"
const {SchemaRegistryClient, AvroDeserializer, SerdeType} = require('@confluentinc/schemaregistry');
const [url, topic, hex] = process.argv.slice(1);
(async () => {
    const deserializer = new AvroDeserializer(new SchemaRegistryClient({baseURLs: [url]}), SerdeType.VALUE, {});
    console.log(JSON.stringify(await deserializer.deserialize(topic, Buffer.from(hex, 'hex'))));
})();
";

/// Buffers are as JavaScript's JSON has them.
const SEEN_BY_NODE: &str = r#"{"id":9007199254740,"note":"é","price":{"type":"Buffer","data":[4,210]},"at":1704164645006,"day":19724,"tags":{"a":1,"b":"x"},"kind":"B","sum":{"type":"Buffer","data":[1,255]},"pay":{"shop.Cash":{"coins":[1,2]}},"list":{"v":0.5,"next":{"v":1,"next":null}}}"#;

#[test]
fn javascripts_client_reads_what_is_written_and_writes_what_is_read() {
    let (Some(url), Some(node)) = (registry::url(), witness::node()) else {
        return;
    };
    let cluster = any();
    let topic = cluster.topic("node", 1, &[]);
    let tagged = TAGGED.replace("9007199254740993", "9007199254740");
    let schema = file("order.avsc", SCHEMA);
    produce(&*cluster, &url, &topic, &["--schema", &schema])
        .args(REGISTER)
        .stdin(&*tagged)
        .run()
        .succeeds();
    let value = cluster.records(&topic)[0].value.clone().unwrap();
    let hex = value.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    node.clone()
        .args(["-e", DESERIALIZE, &url, &topic, &hex])
        .run()
        .succeeds()
        .stdout_is(format!("{SEEN_BY_NODE}\n"));
    let written = node
        .args(["-e", SERIALIZE, &url, &topic, SCHEMA])
        .run()
        .succeeds();
    assert_eq!(written.text().trim(), hex, "the same bytes");
    cluster.produce(&topic, &[Record::of(value)]);
    consume(&*cluster, &url, &topic, &[])
        .run()
        .succeeds()
        .stdout_is(format!("{tagged}\n{tagged}\n"));
}
