//! Topics and records of any cluster, real or mock, written and read by a foreign client: librdkafka's own, which
//! shares no code with this package's reading path.

use rdkafka::bindings::rd_kafka_resp_err_t;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Header, Headers as _, Message as _, OwnedHeaders};
use rdkafka::producer::{
    BaseProducer, BaseRecord, DeliveryResult, NoCustomPartitioner, Producer as _, ProducerContext,
};
use rdkafka::{ClientConfig, ClientContext, Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long anything a healthy cluster does may take on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A record in plain words. Written, `offset` is ignored, and `None` for partition or timestamp leaves it to the client.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Record {
    pub(crate) partition: Option<i32>,
    pub(crate) offset: i64,
    pub(crate) timestamp_ms: Option<i64>,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Record {
    /// A value, no key, partition 0.
    pub(crate) fn of(value: impl Into<Vec<u8>>) -> Self {
        Self {
            partition: Some(0),
            value: Some(value.into()),
            ..Self::default()
        }
    }

    /// A key and a value, partition 0.
    pub(crate) fn keyed(key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        Self {
            key: Some(key.into()),
            ..Self::of(value)
        }
    }

    /// The value as text, for messages and comparisons; `NULL` for none.
    pub(crate) fn text(&self) -> String {
        self.value.as_ref().map_or("NULL".to_owned(), |value| {
            String::from_utf8_lossy(value).into_owned()
        })
    }
}

/// A cluster to write to and read from.
pub(crate) trait Cluster {
    /// `bootstrap.servers`.
    fn bootstrap(&self) -> String;

    /// Makes this topic and waits until it can be used.
    fn create_topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]);

    /// A client configuration for this cluster.
    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.bootstrap());
        config
    }

    /// A new topic that no other test knows.
    fn topic(&self, hint: &str, partitions: i32, settings: &[(&str, &str)]) -> String {
        let name = super::session::unique(hint);
        self.create_topic(&name, partitions, settings);
        name
    }

    /// A new topic of one partition that holds these values.
    fn topic_of(&self, hint: &str, values: &[&str]) -> String {
        let topic = self.topic(hint, 1, &[]);
        let records: Vec<Record> = values.iter().map(|&value| Record::of(value)).collect();
        self.produce(&topic, &records);
        topic
    }

    /// A foreign producer with these properties.
    fn producer(&self, properties: &[(&str, &str)]) -> Producer {
        let mut config = self.config();
        config
            .set("linger.ms", "0")
            // A batch that a partition refuses while it is made would be sent again behind the next ones.
            .set("max.in.flight.requests.per.connection", "1")
            .set("queue.buffering.max.messages", "2000000");
        for (name, value) in properties {
            config.set(*name, *value);
        }
        Producer {
            client: config.create_with_context(Reports::default()).unwrap(),
        }
    }

    /// Writes these records and waits for their delivery.
    #[track_caller]
    fn produce(&self, topic: &str, records: &[Record]) {
        self.producer(&[]).send(topic, records);
    }

    /// All records of a topic, those of aborted transactions left out, by partition and offset.
    #[track_caller]
    fn records(&self, topic: &str) -> Vec<Record> {
        self.records_with(topic, &[])
    }

    /// All records of a topic as a consumer with these properties sees them.
    #[track_caller]
    fn records_with(&self, topic: &str, properties: &[(&str, &str)]) -> Vec<Record> {
        let mut config = self.config();
        config
            .set("group.id", "unused")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true");
        for (name, value) in properties {
            config.set(*name, *value);
        }
        read_to_end(&config.create().unwrap(), topic)
    }

    /// The values of a topic as text, by partition and offset.
    #[track_caller]
    fn values(&self, topic: &str) -> Vec<String> {
        self.records(topic).iter().map(Record::text).collect()
    }

    /// The offsets a group has committed for a topic; partitions without one are left out.
    #[track_caller]
    fn committed(&self, group: &str, topic: &str) -> BTreeMap<i32, i64> {
        let client: BaseConsumer = self.config().set("group.id", group).create().unwrap();
        let mut wanted = TopicPartitionList::new();
        for partition in partitions(&client, topic) {
            wanted.add_partition(topic, partition);
        }
        let deadline = Instant::now() + PATIENCE;
        let found = loop {
            match client.committed_offsets(wanted.clone(), PATIENCE) {
                // The first question makes a new broker create __consumer_offsets.
                Err(error)
                    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::NotCoordinator)
                        && Instant::now() < deadline => {}
                found => break found.unwrap(),
            }
        };
        found
            .elements()
            .iter()
            .filter_map(|e| Some((e.partition(), e.offset().to_raw().filter(|&o| o >= 0)?)))
            .collect()
    }

    /// Commits an offset for a group that has no member.
    #[track_caller]
    fn commit_offset(&self, group: &str, topic: &str, partition: i32, offset: i64) {
        let client: BaseConsumer = self.config().set("group.id", group).create().unwrap();
        let mut offsets = TopicPartitionList::new();
        let offset = Offset::Offset(offset);
        offsets
            .add_partition_offset(topic, partition, offset)
            .unwrap();
        client
            .commit(&offsets, rdkafka::consumer::CommitMode::Sync)
            .unwrap();
    }

    /// Log start and high watermark of a partition.
    #[track_caller]
    fn watermarks(&self, topic: &str, partition: i32) -> (i64, i64) {
        let client: BaseConsumer = self.config().create().unwrap();
        client.fetch_watermarks(topic, partition, PATIENCE).unwrap()
    }

    /// Waits until a topic holds so many records, and returns its values.
    #[track_caller]
    fn wait_for_records(&self, topic: &str, count: usize, limit: Duration) -> Vec<String> {
        let deadline = Instant::now() + limit;
        loop {
            let values = self.values(topic);
            if values.len() >= count {
                return values;
            }
            assert!(
                Instant::now() < deadline,
                "{topic} has {} records of {count} after {limit:?}: {values:?}",
                values.len()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until every partition of a topic has a leader.
    fn wait_for_leaders(&self, topic: &str, count: usize) {
        let client: BaseConsumer = self.config().create().unwrap();
        let deadline = Instant::now() + PATIENCE;
        let ready = || {
            let metadata = client.fetch_metadata(Some(topic), PATIENCE).ok()?;
            let partitions = metadata.topics().first()?.partitions();
            (partitions.len() == count && partitions.iter().all(|p| p.leader() >= 0)).then_some(())
        };
        while ready().is_none() {
            assert!(Instant::now() < deadline, "{topic} gets no leader");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl<T: Cluster + ?Sized> Cluster for &T {
    fn bootstrap(&self) -> String {
        (**self).bootstrap()
    }

    fn create_topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        (**self).create_topic(name, partitions, settings);
    }
}

/// The shared real broker where there is Java, else a mock cluster: for what both can do, so that it is always tested.
pub(crate) fn any() -> Box<dyn Cluster> {
    match super::broker::shared_or_reason() {
        Ok(kafka) => Box::new(kafka),
        Err(_) => Box::new(super::mock::Mock::start(1)),
    }
}

fn partitions(client: &BaseConsumer, topic: &str) -> Vec<i32> {
    let metadata = client.fetch_metadata(Some(topic), PATIENCE).unwrap();
    metadata.topics()[0]
        .partitions()
        .iter()
        .map(rdkafka::metadata::MetadataPartition::id)
        .collect()
}

#[track_caller]
fn read_to_end(client: &BaseConsumer, topic: &str) -> Vec<Record> {
    let mut assignment = TopicPartitionList::new();
    for partition in partitions(client, topic) {
        assignment
            .add_partition_offset(topic, partition, Offset::Beginning)
            .unwrap();
    }
    client.assign(&assignment).unwrap();
    let mut open = assignment.count();
    let mut records = Vec::new();
    while open > 0 {
        match client
            .poll(PATIENCE)
            .unwrap_or_else(|| panic!("{topic}: nothing more and not its end in {PATIENCE:?}"))
        {
            Ok(message) => records.push(plain(&message)),
            Err(KafkaError::PartitionEOF(_)) => open -= 1,
            Err(error) => panic!("{topic}: {error}"),
        }
    }
    records.sort_by_key(|record| (record.partition, record.offset));
    records
}

fn plain(message: &BorrowedMessage<'_>) -> Record {
    let headers = message.headers().map(|headers| {
        headers
            .iter()
            .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_owned)))
            .collect()
    });
    Record {
        partition: Some(message.partition()),
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis(),
        key: message.key().map(<[u8]>::to_owned),
        value: message.payload().map(<[u8]>::to_owned),
        headers: headers.unwrap_or_default(),
    }
}

/// A foreign producer.
pub(crate) struct Producer {
    client: BaseProducer<Reports>,
}

impl Producer {
    /// Writes these records and waits; the test fails if one is not delivered.
    #[track_caller]
    pub(crate) fn send(&self, topic: &str, records: &[Record]) {
        for record in records {
            let mut next: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic);
            next.partition = record.partition;
            next.timestamp = record.timestamp_ms;
            next.key = record.key.as_deref();
            next.payload = record.value.as_deref();
            next.headers = (!record.headers.is_empty()).then(|| headers(&record.headers));
            while let Err((error, returned)) = self.client.send(next) {
                assert_eq!(
                    error.rdkafka_error_code(),
                    Some(RDKafkaErrorCode::QueueFull),
                    "{error}"
                );
                self.client.poll(Duration::from_millis(100));
                next = returned;
            }
        }
        self.client.flush(PATIENCE).unwrap();
        let failed = std::mem::take(&mut *self.client.context().failed.lock().unwrap());
        assert!(failed.is_empty(), "not delivered to {topic}: {failed:?}");
    }

    /// Begins a transaction; the producer needs a `transactional.id`. The first one also claims that id.
    #[track_caller]
    pub(crate) fn begin(&self) {
        // Initialising twice is an error of the state, and the only one that is expected here.
        drop(self.client.init_transactions(PATIENCE));
        self.client.begin_transaction().unwrap();
    }

    /// Commits the transaction.
    #[track_caller]
    pub(crate) fn commit(&self) {
        self.client.commit_transaction(PATIENCE).unwrap();
    }

    /// Aborts the transaction.
    #[track_caller]
    pub(crate) fn abort(&self) {
        self.client.abort_transaction(PATIENCE).unwrap();
    }
}

fn headers(headers: &[(String, Option<Vec<u8>>)]) -> OwnedHeaders {
    headers
        .iter()
        .fold(OwnedHeaders::new(), |owned, (key, value)| {
            owned.insert(Header {
                key,
                value: value.as_deref(),
            })
        })
}

/// Remembers what was not delivered.
#[derive(Clone, Default)]
struct Reports {
    failed: Arc<Mutex<Vec<String>>>,
}

impl ClientContext for Reports {}

impl ProducerContext<NoCustomPartitioner> for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            self.failed.lock().unwrap().push(error.to_string());
        }
    }
}

/// The error codes that a mock cluster can be told to answer with.
pub(crate) type BrokerError = rd_kafka_resp_err_t;
