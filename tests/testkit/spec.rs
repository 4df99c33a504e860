//! What kind of Kafka a test wants: release, brokers, listeners, settings.

use super::broker::Kafka;
use super::java;

/// The listener that leads through the proxies.
pub(super) const PROXIED: &str = "PROXIED";

/// The settings of every broker of the tests: one machine, no waiting.
pub(super) const SETTINGS: [(&str, &str); 27] = [
    // kcat's own tests expect at least three partitions of a topic made by use.
    ("num.partitions", "4"),
    ("auto.create.topics.enable", "true"),
    ("group.initial.rebalance.delay.ms", "0"),
    ("group.min.session.timeout.ms", "500"),
    ("group.consumer.min.session.timeout.ms", "500"),
    ("group.consumer.min.heartbeat.interval.ms", "100"),
    ("group.consumer.heartbeat.interval.ms", "500"),
    // 50 partitions of each internal topic would cost the first test of a group a second.
    ("offsets.topic.num.partitions", "3"),
    ("offsets.topic.replication.factor", "1"),
    ("transaction.state.log.num.partitions", "3"),
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    (
        "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        "500",
    ),
    // Short locks and sessions, for members that are killed.
    ("group.share.min.record.lock.duration.ms", "5000"),
    ("group.share.min.session.timeout.ms", "6000"),
    ("share.coordinator.state.topic.num.partitions", "3"),
    ("share.coordinator.state.topic.replication.factor", "1"),
    ("share.coordinator.state.topic.min.isr", "1"),
    ("num.network.threads", "2"),
    ("num.io.threads", "4"),
    ("log.cleaner.backoff.ms", "100"),
    ("log.cleaner.dedupe.buffer.size", "16777216"),
    // A broker that was killed may not come back before its old session has ended.
    ("broker.session.timeout.ms", "5000"),
    ("broker.heartbeat.interval.ms", "500"),
    ("controlled.shutdown.enable", "false"),
    ("delete.topic.enable", "true"),
    // Records of 1970 are not to be deleted in the midst of a test by the first look of retention.
    ("log.initial.task.delay.ms", "3600000"),
];

/// What kind of Kafka a test wants.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(super) version: &'static str,
    pub(super) brokers: u16,
    pub(super) listeners: Vec<(String, String)>,
    pub(super) settings: Vec<(String, String)>,
    pub(super) racks: Vec<String>,
    pub(super) format: Vec<String>,
    pub(super) jvm: Vec<String>,
    pub(super) is_behind_proxies: bool,
}

impl Spec {
    /// One broker of the usual release, one plain listener.
    pub(crate) fn new() -> Self {
        Self {
            version: java::KAFKA,
            brokers: 1,
            listeners: Vec::new(),
            settings: Vec::new(),
            racks: Vec::new(),
            format: Vec::new(),
            jvm: Vec::new(),
            is_behind_proxies: false,
        }
    }

    /// Another release, fetched when first asked for.
    pub(crate) fn version(mut self, version: &'static str) -> Self {
        self.version = version;
        self
    }

    /// So many brokers, each of them a controller too: any one of three may die.
    pub(crate) fn brokers(mut self, brokers: u16) -> Self {
        self.brokers = brokers;
        self
    }

    /// One more listener besides `PLAINTEXT`: `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`; its settings are the caller's.
    pub(crate) fn listener(self, protocol: &str) -> Self {
        self.listener_named(protocol, protocol)
    }

    /// One more listener under a name of its own; its settings are named `listener.name.NAME.…`, in lower case.
    pub(crate) fn listener_named(mut self, name: &str, protocol: &str) -> Self {
        self.listeners.push((name.to_owned(), protocol.to_owned()));
        self
    }

    /// A network of the test's own before every broker: [`Kafka::network`], and `bootstrap_of("PROXIED")`.
    pub(crate) fn behind_proxies(mut self) -> Self {
        self.is_behind_proxies = true;
        self.listener_named(PROXIED, "PLAINTEXT")
    }

    /// A line of server.properties.
    pub(crate) fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The racks of the brokers, in their order.
    pub(crate) fn racks(mut self, racks: &[&str]) -> Self {
        self.racks = racks.iter().map(|&rack| rack.to_owned()).collect();
        self
    }

    /// A word more for `StorageTool format`, such as `--add-scram` and its value.
    pub(crate) fn format(mut self, words: &[&str]) -> Self {
        self.format
            .extend(words.iter().map(|&word| word.to_owned()));
        self
    }

    /// An option of every JVM.
    #[cfg(feature = "gssapi")]
    pub(crate) fn jvm(mut self, option: &str) -> Self {
        self.jvm.push(option.to_owned());
        self
    }

    /// Starts it and waits until every broker answers. `None`: no Java or no Maven, the test is skipped.
    ///
    /// A Kafka that is there and does not start is a failure, not a skip.
    #[track_caller]
    pub(crate) fn start(self) -> Option<Kafka> {
        let class_path = super::or_skip(java::class_path(self.version))?;
        Some(Kafka::start(&self, class_path))
    }
}
