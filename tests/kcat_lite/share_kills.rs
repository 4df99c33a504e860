//! A job queue whose workers are killed one after another: each job is done or put aside, and no more than promised run
//! again.
//!
//! `KAFKAUTILS_JOBS` says how many jobs, on three brokers that are killed and restarted in turn meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::at;
use crate::testkit::broker::{Kafka, shared_kafka};
use crate::testkit::cluster::{Cluster as _, Record};
use crate::testkit::command::cmd;
use crate::testkit::running::Running;
use crate::testkit::{java, number, rolling, session};

const JOBS: usize = 3000;
const WORKERS: usize = 3;
const PARALLEL: usize = 8;
/// How often the broker delivers a record (`share.delivery.count.limit`).
const MOST_DELIVERIES: usize = 5;
/// A worker may be killed before the command of the last delivery has said that it begins.
const FEWEST_BEFORE_LOSS: usize = MOST_DELIVERIES - 1;
/// The time between two kills; longer than a killed member's session, so that its partitions are the others'.
const KILL_EVERY: Duration = Duration::from_secs(4);
/// How long nothing may happen before the test gives up.
const STANDSTILL: Duration = Duration::from_secs(120);

/// Says that it has begun, then does the job; of a hundred one fails, and one can't ever be done.
const COMMAND: &str = r#"read -r n; echo "$n $KAFKA_DELIVERY_COUNT" >>begun
case $n in *17) exit 65 ;; *03) exit 1 ;; esac
echo "$n" >>done"#;

/// What the workers work on.
struct Queue<'k> {
    kafka: &'k Kafka,
    group: String,
    topic: String,
    dead: String,
    folder: PathBuf,
    count: usize,
}

impl Queue<'_> {
    fn new(kafka: &Kafka, count: usize) -> Queue<'_> {
        let _all_there = rolling::all_there();
        let queue = Queue {
            kafka,
            group: session::unique("killed"),
            topic: kafka.topic("jobs", 6, &[]),
            dead: kafka.topic("dead", 1, &[]),
            folder: session::folder("share-kills"),
            count,
        };
        let settings = [
            "share.auto.offset.reset=earliest",
            "share.record.lock.duration.ms=5000",
            "share.session.timeout.ms=6000",
        ];
        java::set_group(&kafka.bootstrap(), &queue.group, &settings)
            .expect("it comes with the broker");
        let numbers = (0..count).map(|n| Record {
            partition: Some((n % 6) as i32),
            ..Record::of(n.to_string())
        });
        kafka.produce(&queue.topic, &numbers.collect::<Vec<_>>());
        queue
    }

    fn start_worker(&self) -> Running {
        at(self.kafka, &["--share", &self.group, "-q"])
            .args(["--exec", COMMAND, "--parallel", &PARALLEL.to_string()])
            .args(["--reject-to", &self.dead, &self.topic])
            .inside(&self.folder)
            .limit(Duration::from_secs(24 * 3600))
            .start()
    }

    fn lines(&self, file: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.join(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The delivery counts of each job's tries, in their order.
    fn tries(&self) -> BTreeMap<String, Vec<usize>> {
        let mut tries: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for line in self.lines("begun") {
            let (job, delivery) = line.split_once(' ').expect("two words");
            let deliveries = tries.entry(job.to_owned()).or_default();
            deliveries.push(delivery.parse().expect("a number"));
        }
        tries
    }

    fn done(&self) -> BTreeSet<String> {
        self.lines("done").into_iter().collect()
    }

    /// The jobs in the dead-letter topic, each with the counts that its headers have: whoever is killed before the
    /// acknowledgement leaves a record there that comes again.
    fn put_aside(&self) -> BTreeMap<String, Vec<usize>> {
        let _all_there = rolling::all_there();
        let mut aside: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for record in self.kafka.records(&self.dead) {
            let header = |wanted: &str| {
                let mut headers = record.headers.iter();
                let (_, value) = headers.find(|(name, _)| name == wanted).expect(wanted);
                String::from_utf8(value.clone().expect("a value")).expect("text")
            };
            assert_eq!(header("__dlq.errors.topic"), self.topic);
            let count = header("__dlq.errors.delivery.count");
            let counts = aside.entry(record.text()).or_default();
            counts.push(count.parse().expect("a number"));
        }
        aside
    }

    /// Kills one worker after another until each job was tried; returns how many.
    fn kill_in_turn(&self, workers: &mut [Running]) -> usize {
        let (mut kills, mut seen, mut moved_at) = (0, 0, Instant::now());
        while self.tries().len() < self.count {
            std::thread::sleep(KILL_EVERY);
            let worker = &mut workers[kills % WORKERS];
            worker.signal(Signal::KILL);
            *worker = self.start_worker();
            kills += 1;
            let tried = self.tries().len();
            if tried > seen {
                (seen, moved_at) = (tried, Instant::now());
            }
            assert!(moved_at.elapsed() < STANDSTILL, "{seen} jobs, and no more");
        }
        kills
    }

    /// Waits until the broker has nothing more to deliver.
    fn wait_until_empty(&self) {
        let bootstrap = self.kafka.bootstrap();
        let check = ["-b", &bootstrap, "-g", &self.group, "--max-lag", "0"];
        let (mut begun, mut moved_at) = (0, Instant::now());
        while !cmd("klag").args(check).run().status.success() {
            let lines = self.lines("begun").len();
            if lines > begun {
                (begun, moved_at) = (lines, Instant::now());
            }
            assert!(moved_at.elapsed() < STANDSTILL, "jobs wait for ever");
            std::thread::sleep(Duration::from_secs(1));
        }
    }

    /// Each job is done, or put aside, or was killed in its last delivery; returns how many ran again for no failure.
    fn check(&self, is_calm: bool) -> usize {
        let (tries, done, aside) = (self.tries(), self.done(), self.put_aside());
        let mut repeated = 0;
        for job in (0..self.count).map(|n| n.to_string()) {
            let deliveries = &tries[&job];
            // A broker that dies forgets deliveries that were not acknowledged.
            let is_counted = !is_calm || deliveries.windows(2).all(|pair| pair[0] < pair[1]);
            assert!(is_counted, "job {job}: deliveries {deliveries:?}");
            let most = deliveries.iter().max().copied().unwrap_or_default();
            let last = deliveries.last().expect("a try");
            let is_aside = aside.get(&job).is_some_and(|counts| counts.contains(last));
            assert!(
                done.contains(&job) || is_aside || most >= FEWEST_BEFORE_LOSS,
                "job {job} is lost: deliveries {deliveries:?}"
            );
            if !job.ends_with("03") {
                repeated += deliveries.len() - 1;
            }
        }
        repeated
    }
}

#[test]
fn workers_that_are_killed_in_turn_lose_no_job_and_repeat_few() {
    let asked = number("KAFKAUTILS_JOBS");
    let is_calm = asked.is_none();
    let cluster = if is_calm {
        shared_kafka()
    } else {
        rolling::shared()
    };
    let Some(kafka) = cluster else { return };
    let queue = Queue::new(kafka, asked.map_or(JOBS, |jobs| jobs as usize));
    let mut workers: Vec<Running> = Vec::new();
    workers.resize_with(WORKERS, || queue.start_worker());
    let kills = queue.kill_in_turn(&mut workers);
    // What is left are jobs that are tried again.
    queue.wait_until_empty();
    for mut worker in workers {
        worker.signal(Signal::TERM);
        worker.wait().succeeds();
    }
    let repeated = queue.check(is_calm);
    let is_in_bounds = !is_calm || repeated <= kills * 2 * PARALLEL;
    assert!(is_in_bounds, "{repeated} ran again after {kills} kills");
}
