//! A real Apache Kafka, started by the tests: `KRaft`, free ports on 127.0.0.1, data in the run's temporary folder.

use super::cluster::Cluster;
use super::java;
use super::node::{Node, free_port};
use super::proxy::{Proxy, Weather};
use super::session::{self, Group};
pub(crate) use super::spec::Spec;
use super::spec::{PROXIED, SETTINGS};
use futures_executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use rustix::process::Signal;
use std::fmt::Write as _;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

/// A broker answers after 3 s on an idle machine; the tests run beside it.
pub(super) const PATIENCE: Duration = Duration::from_secs(90);

/// The one broker that most tests share. `None`: no Java or no Maven, the test is skipped.
#[track_caller]
pub(crate) fn shared_kafka() -> Option<&'static Kafka> {
    super::or_skip(shared_or_reason())
}

/// A broker of the test's own. `None`: no Java or no Maven, the test is skipped.
#[track_caller]
pub(crate) fn own_kafka() -> Option<Kafka> {
    Spec::new().start()
}

/// The shared broker, or why there is none.
pub(crate) fn shared_or_reason() -> Result<&'static Kafka, &'static str> {
    static SHARED: OnceLock<Result<Kafka, String>> = OnceLock::new();
    let start = || Ok(Kafka::start(&Spec::new(), java::class_path(java::KAFKA)?));
    SHARED.get_or_init(start).as_ref().map_err(String::as_str)
}

/// A running Kafka. Dropped, or left by the end of the run, it is killed.
pub(crate) struct Kafka {
    nodes: Vec<Node>,
    listeners: Vec<(String, String)>,
    class_path: String,
    admin: OnceLock<AdminClient<DefaultClientContext>>,
    proxies: Vec<Proxy>,
}

impl Kafka {
    pub(super) fn start(spec: &Spec, class_path: String) -> Self {
        let folder = session::folder("kafka");
        let mut listeners = vec![("PLAINTEXT".to_owned(), "PLAINTEXT".to_owned())];
        listeners.extend(spec.listeners.iter().cloned());
        let nodes: Vec<Node> = (1..=spec.brokers)
            .map(|id| Node {
                id,
                folder: folder.join(id.to_string()),
                ports: listeners.iter().map(|_| free_port()).collect(),
                jvm: spec.jvm.clone(),
                process: Mutex::new(None),
            })
            .collect();
        let controllers: Vec<u16> = nodes.iter().map(|_| free_port()).collect();
        let proxied = listeners.iter().position(|(name, _)| name == PROXIED);
        let proxied = proxied.filter(|_| spec.is_behind_proxies);
        let before = nodes
            .iter()
            .filter_map(|node| proxied.map(|index| Proxy::to(node.ports[index])));
        let kafka = Self {
            proxies: before.collect(),
            nodes,
            listeners,
            class_path,
            admin: OnceLock::new(),
        };
        std::thread::scope(|scope| {
            for node in &kafka.nodes {
                let properties = kafka.properties(spec, node, &controllers);
                let (class_path, spec) = (&kafka.class_path, &spec);
                scope.spawn(move || node.format(&properties, class_path, &spec.format));
            }
        });
        for node in &kafka.nodes {
            node.spawn(&kafka.class_path);
        }
        kafka.wait_until_ready();
        kafka
    }

    fn properties(&self, spec: &Spec, node: &Node, controllers: &[u16]) -> String {
        let index = usize::from(node.id - 1);
        let addresses = |of: &dyn Fn(&str, u16) -> u16| {
            let listeners = self.listeners.iter().zip(&node.ports);
            let addresses = listeners
                .map(|((name, _), &port)| format!("{name}://127.0.0.1:{}", of(name, port)));
            addresses.collect::<Vec<_>>().join(",")
        };
        let listening = addresses(&|_, port| port);
        let advertised = addresses(&|name, port| match self.proxies.get(index) {
            Some(proxy) if name == PROXIED => proxy.port(),
            _ => port,
        });
        let protocols: Vec<String> = self
            .listeners
            .iter()
            .map(|(name, protocol)| format!("{name}:{protocol}"))
            .collect();
        let voters: Vec<String> = self
            .nodes
            .iter()
            .zip(controllers)
            .map(|(node, port)| format!("{}@127.0.0.1:{port}", node.id))
            .collect();
        let mut settings: Vec<(String, String)> = [
            ("process.roles", "broker,controller".to_owned()),
            ("node.id", node.id.to_string()),
            ("controller.quorum.voters", voters.join(",")),
            (
                "listeners",
                format!(
                    "{},CONTROLLER://127.0.0.1:{}",
                    listening, controllers[index]
                ),
            ),
            ("advertised.listeners", advertised),
            ("controller.listener.names", "CONTROLLER".to_owned()),
            (
                "listener.security.protocol.map",
                format!("CONTROLLER:PLAINTEXT,{}", protocols.join(",")),
            ),
            ("inter.broker.listener.name", "PLAINTEXT".to_owned()),
            ("log.dirs", node.folder.join("data").display().to_string()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        settings.extend(
            SETTINGS
                .iter()
                .map(|&(name, value)| (name.to_owned(), value.to_owned())),
        );
        settings.extend(
            spec.racks
                .get(index)
                .map(|rack| ("broker.rack".to_owned(), rack.clone())),
        );
        // The last of two lines wins: a test may say otherwise.
        settings.extend(spec.settings.iter().cloned());
        settings
            .iter()
            .fold(String::new(), |mut text, (name, value)| {
                let _ = writeln!(text, "{name}={value}");
                text
            })
    }

    /// The addresses of one of the extra listeners.
    pub(crate) fn bootstrap_of(&self, listener: &str) -> String {
        let index = self.index_of(listener);
        let port = |(at, node): (usize, &Node)| match self.proxies.get(at) {
            Some(proxy) if listener == PROXIED => proxy.port(),
            _ => node.ports[index],
        };
        let nodes = self.nodes.iter().enumerate();
        let addresses: Vec<String> = nodes
            .map(|node| format!("127.0.0.1:{}", port(node)))
            .collect();
        addresses.join(",")
    }

    fn index_of(&self, listener: &str) -> usize {
        let mut listeners = self.listeners.iter();
        let index = listeners.position(|(name, _)| name == listener);
        index.expect("a listener of this Kafka")
    }

    /// The network between clients and broker `id` (from 1), where the Kafka is behind proxies.
    pub(crate) fn network(&self, id: u16) -> &Proxy {
        &self.proxies[usize::from(id) - 1]
    }

    /// Kills broker `id` (from 1) as a power cut would.
    pub(crate) fn kill(&self, id: u16) {
        self.node(id)
            .process
            .lock()
            .unwrap()
            .take()
            .expect("a running broker")
            .kill();
    }

    /// Stops broker `id` as an operator would.
    pub(crate) fn stop(&self, id: u16) {
        let mut process = self
            .node(id)
            .process
            .lock()
            .unwrap()
            .take()
            .expect("a running broker");
        process.signal(Signal::TERM);
        let ended = process.wait_until(Instant::now() + PATIENCE);
        assert!(
            ended.is_some(),
            "broker {id} does not stop:\n{}",
            self.node(id).log()
        );
    }

    /// Starts broker `id` again, same ports, same data, and waits until it answers.
    pub(crate) fn start_again(&self, id: u16) {
        self.node(id).spawn(&self.class_path);
        self.wait_until_ready();
    }

    /// Starts broker `id` again under another address of its network; nobody answers at the old one.
    pub(crate) fn start_elsewhere(&self, id: u16) {
        let old = self.network(id);
        old.set(Weather::Cut);
        let path = self.node(id).folder.join("server.properties");
        let address = |port: u16| format!("{PROXIED}://127.0.0.1:{port}");
        let properties = std::fs::read_to_string(&path).unwrap();
        let moved = properties.replace(&address(old.port()), &address(self.detour(id)));
        assert_ne!(moved, properties);
        std::fs::write(&path, moved).unwrap();
        self.start_again(id);
    }

    /// One more port that leads to broker `id`'s proxied listener.
    pub(crate) fn detour(&self, id: u16) -> u16 {
        Proxy::to(self.node(id).ports[self.index_of(PROXIED)]).port()
    }

    /// Broker `id` holds still: connections stay open, nothing answers.
    pub(crate) fn pause(&self, id: u16) {
        self.node(id).signal(Signal::STOP);
    }

    /// Broker `id` goes on.
    pub(crate) fn resume(&self, id: u16) {
        self.node(id).signal(Signal::CONT);
    }

    /// The first segment of a partition on broker `id`.
    pub(crate) fn segment(&self, id: u16, topic: &str, partition: i32) -> std::path::PathBuf {
        let folder = self.node(id).folder.join("data");
        folder.join(format!("{topic}-{partition}/{:020}.log", 0))
    }

    /// A client for administration, one for all tests that share this Kafka.
    pub(crate) fn admin(&self) -> &AdminClient<DefaultClientContext> {
        self.admin.get_or_init(|| self.config().create().unwrap())
    }

    /// Deletes the records of partition 0 before `offset`.
    #[track_caller]
    pub(crate) fn delete_before(&self, topic: &str, offset: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, 0, Offset::Offset(offset))
            .unwrap();
        let deleted = self.admin().delete_records(&list, &AdminOptions::new());
        let deleted = block_on(deleted).unwrap();
        deleted.elements()[0].error().unwrap();
    }

    #[track_caller]
    pub(crate) fn delete_topic(&self, topic: &str) {
        let deleted = self.admin().delete_topics(&[topic], &AdminOptions::new());
        block_on(deleted).unwrap()[0].as_ref().unwrap();
    }

    #[track_caller]
    pub(crate) fn delete_group(&self, group: &str) {
        let deleted = self.admin().delete_groups(&[group], &AdminOptions::new());
        block_on(deleted).unwrap()[0].as_ref().unwrap();
    }

    /// Gives a topic more partitions, `count` in all.
    #[track_caller]
    pub(crate) fn grow(&self, topic: &str, count: usize) {
        let more = NewPartitions::new(topic, count);
        let grown = self
            .admin()
            .create_partitions([&more], &AdminOptions::new());
        block_on(grown).unwrap()[0].as_ref().unwrap();
        self.wait_for_leaders(topic, count);
    }

    fn node(&self, id: u16) -> &Node {
        &self.nodes[usize::from(id - 1)]
    }

    /// Waits until every running broker has told every other one, and us, that it is there.
    fn wait_until_ready(&self) {
        let deadline = Instant::now() + PATIENCE;
        let running = self
            .nodes
            .iter()
            .filter(|node| node.process.lock().unwrap().is_some());
        let running: Vec<&Node> = running.collect();
        for node in &running {
            let address = format!("127.0.0.1:{}", node.ports[0]);
            let client: BaseConsumer = ClientConfig::new()
                .set("bootstrap.servers", address)
                .create()
                .unwrap();
            let ready = || {
                let metadata = client
                    .fetch_metadata(None, Duration::from_millis(500))
                    .ok()?;
                let ids: Vec<i32> = metadata
                    .brokers()
                    .iter()
                    .map(rdkafka::metadata::MetadataBroker::id)
                    .collect();
                running
                    .iter()
                    .all(|node| ids.contains(&i32::from(node.id)))
                    .then_some(())
            };
            while ready().is_none() {
                let ended = node.process.lock().unwrap().as_mut().and_then(Group::ended);
                assert!(
                    ended.is_none(),
                    "broker {} ended, {}:\n{}",
                    node.id,
                    ended.unwrap(),
                    node.log()
                );
                assert!(
                    Instant::now() < deadline,
                    "broker {} does not answer:\n{}",
                    node.id,
                    node.log()
                );
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

impl Cluster for Kafka {
    fn bootstrap(&self) -> String {
        self.bootstrap_of("PLAINTEXT")
    }

    fn create_topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let replicas = self.nodes.len().min(3) as i32;
        create_topic(self.admin(), name, partitions, replicas, settings);
        self.wait_for_leaders(name, partitions as usize);
    }
}

pub(super) fn create_topic(
    admin: &AdminClient<DefaultClientContext>,
    name: &str,
    partitions: i32,
    replicas: i32,
    settings: &[(&str, &str)],
) {
    let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(replicas));
    let topic = settings
        .iter()
        .fold(topic, |topic, (name, value)| topic.set(name, value));
    let created = block_on(admin.create_topics([&topic], &AdminOptions::new())).unwrap();
    assert_eq!(created, [Ok(name.to_owned())]);
}
