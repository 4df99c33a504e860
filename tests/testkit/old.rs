//! Apache Kafka 2.4.1 with its ZooKeeper: what many clusters still are. Its newest Fetch is version 11, and its topics have no ids.

use super::broker::{PATIENCE, create_topic};
use super::cluster::Cluster;
use super::java::{self, JVM};
use super::node::free_port;
use super::session::{self, Group};
use rdkafka::ClientConfig;
use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// A running Kafka 2.4.1 of one broker. Dropped, or left by the end of the run, it is killed.
pub(crate) struct OldKafka {
    port: u16,
    _zookeeper: Group,
    _broker: Group,
}

/// The one that the tests share. `None`: no Java or no Maven, the test is skipped.
#[track_caller]
pub(crate) fn shared() -> Option<&'static OldKafka> {
    static SHARED: OnceLock<Result<OldKafka, String>> = OnceLock::new();
    let start = || java::old_class_path().map(|class_path| OldKafka::start(&class_path));
    super::or_skip(SHARED.get_or_init(start).as_ref())
}

impl OldKafka {
    fn start(class_path: &str) -> Self {
        let folder = session::folder("kafka-2.4.1");
        let (zookeeper, port) = (free_port(), free_port());
        let home = folder.display();
        let settings = format!(
            "dataDir={home}/zookeeper\nclientPort={zookeeper}\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n"
        );
        std::fs::write(folder.join("zookeeper.properties"), settings).unwrap();
        let settings = format!(
            "broker.id=1\nlisteners=PLAINTEXT://127.0.0.1:{port}\nzookeeper.connect=127.0.0.1:{zookeeper}\n\
             zookeeper.connection.timeout.ms=60000\nlog.dirs={home}/data\nnum.partitions=4\n\
             offsets.topic.num.partitions=3\noffsets.topic.replication.factor=1\n\
             transaction.state.log.num.partitions=3\ntransaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\ngroup.initial.rebalance.delay.ms=0\n\
             log.cleaner.dedupe.buffer.size=16777216\n"
        );
        std::fs::write(folder.join("server.properties"), settings).unwrap();
        let zookeeper = spawn(
            &folder,
            class_path,
            "org.apache.zookeeper.server.quorum.QuorumPeerMain",
            "zookeeper.properties",
        );
        let broker = spawn(&folder, class_path, "kafka.Kafka", "server.properties");
        let kafka = Self {
            port,
            _zookeeper: zookeeper,
            _broker: broker,
        };
        let client: BaseConsumer = kafka.config().create().unwrap();
        let deadline = Instant::now() + PATIENCE;
        while client
            .fetch_metadata(None, Duration::from_millis(500))
            .is_err()
        {
            let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            assert!(
                Instant::now() < deadline,
                "Kafka 2.4.1 does not answer:\n{log}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        kafka
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        let mut config: ClientConfig = self.config();
        config.set("client.id", "testkit");
        config.create().unwrap()
    }
}

fn spawn(folder: &Path, class_path: &str, class: &str, settings: &str) -> Group {
    let log = File::options()
        .create(true)
        .append(true)
        .open(folder.join("log"))
        .unwrap();
    let mut command = Command::new("java");
    command.args(JVM).args(["-cp", class_path, class, settings]);
    command
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    Group::spawn(&mut command).unwrap()
}

impl Cluster for OldKafka {
    fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn create_topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        create_topic(&self.admin(), name, partitions, 1, settings);
        self.wait_for_leaders(name, partitions as usize);
    }
}
