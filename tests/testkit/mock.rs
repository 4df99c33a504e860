//! librdkafka's mock cluster: no Java, starts at once, and fails on request.
//!
//! It keeps 5 MiB for each partition and cannot list groups, look up offsets by time or delete records.

use super::cluster::Cluster;
use super::command::{Cmd, cmd};
use super::process::while_none_starts;
use super::running::Running;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use std::time::Duration;

/// A mock cluster in this process. [`Mock::cluster`] injects the failures.
pub(crate) struct Mock {
    pub(crate) cluster: MockCluster<'static, DefaultProducerContext>,
}

impl Mock {
    /// Starts one of so many brokers.
    pub(crate) fn start(brokers: i32) -> Self {
        Self {
            cluster: MockCluster::new(brokers).unwrap(),
        }
    }

    /// Takes a broker down. librdkafka closes its listener and binds the port again at once, and aborts if it can't.
    pub(crate) fn down(&self, broker: i32) {
        let _port = while_none_starts();
        self.cluster.broker_down(broker).unwrap();
    }

    /// Brings a broker back, on the same port.
    pub(crate) fn up(&self, broker: i32) {
        self.cluster.broker_up(broker).unwrap();
    }
}

impl Cluster for Mock {
    fn bootstrap(&self) -> String {
        self.cluster.bootstrap_servers()
    }

    fn create_topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        assert!(
            settings.is_empty(),
            "the mock cluster knows no topic settings"
        );
        self.cluster.create_topic(name, partitions, 1).unwrap();
    }
}

/// A mock cluster lent by `kcat-lite -M`; it ends when this is dropped.
pub(crate) struct Lent {
    bootstrap: String,
    _program: Running,
}

impl Lent {
    /// Starts one of so many brokers.
    #[track_caller]
    pub(crate) fn start(brokers: u32) -> Self {
        let mut program = lend(brokers)
            .stdin_open()
            .limit(Duration::from_secs(600))
            .start();
        let printed = program.stdout_until("\n", Duration::from_secs(10));
        let line = String::from_utf8(printed).unwrap();
        let bootstrap = line
            .trim_end()
            .strip_prefix("BROKERS=")
            .expect("BROKERS= on the first line")
            .to_owned();
        Self {
            bootstrap,
            _program: program,
        }
    }
}

/// The command that lends a mock cluster.
pub(crate) fn lend(brokers: u32) -> Cmd {
    cmd("kcat-lite").args(["-M", &brokers.to_string()])
}

impl Cluster for Lent {
    fn bootstrap(&self) -> String {
        self.bootstrap.clone()
    }

    /// Made by its first use, with the four partitions that librdkafka's mock gives to every topic.
    fn create_topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        assert!(
            partitions == 4 && settings.is_empty(),
            "a lent cluster makes topics of four partitions"
        );
        self.wait_for_leaders(name, 4);
    }
}
