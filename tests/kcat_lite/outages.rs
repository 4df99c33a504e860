//! A cluster that goes away and comes back, or does not: what waits, for how long, and what ends.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kafka_protocol::messages::{ApiKey, MetadataResponse};
use rustix::process::Signal;

use super::{SOON, at};
use crate::testkit::broker::{Spec, own_kafka, shared_kafka};
use crate::testkit::cluster::{Cluster as _, Record};
use crate::testkit::command::cmd;
use crate::testkit::interceptor::{Interceptor, Then};
use crate::testkit::session;

/// Records of the numbers below `count`.
fn numbered(count: usize) -> Vec<Record> {
    (0..count).map(|n| Record::of(format!("{n}"))).collect()
}

/// What a member has shown, each once.
fn shown(text: &str) -> BTreeSet<usize> {
    text.lines().map(|line| line.parse().unwrap()).collect()
}

#[test]
fn a_broker_that_restarts_is_waited_for_by_batches_and_lines() {
    let Some(kafka) = own_kafka() else { return };
    for way in [&["--exec", "sleep 0.2; cat", "--batch", "5"][..], &[]] {
        for protocol in ["classic", "consumer"] {
            let topic = kafka.topic("restart", 1, &[]);
            kafka.produce(&topic, &numbered(100));
            let group = session::unique("restart");
            let mut running = at(&kafka, &["-G", &group, &topic, "-q"])
                .args(["-X", "auto.offset.reset=earliest"])
                .args(["-X", &format!("group.protocol={protocol}")])
                .args(way)
                .limit(Duration::from_secs(180))
                .start();
            running.stdout_until("4\n", SOON);
            kafka.kill(1);
            std::thread::sleep(Duration::from_secs(7));
            kafka.start_again(1);
            kafka.produce(&topic, &[Record::of("100")]);
            running.stdout_until("100\n", 4 * SOON);
            let deadline = Instant::now() + 4 * SOON;
            while kafka.committed(&group, &topic).get(&0) != Some(&101) {
                assert!(Instant::now() < deadline, "{way:?} {protocol}");
                std::thread::sleep(Duration::from_millis(100));
            }
            running.signal(Signal::TERM);
            let output = running.wait().succeeds();
            assert_eq!(
                shown(output.text()),
                (0..=100).collect(),
                "{way:?} {protocol}"
            );
            assert_eq!(
                kafka.committed(&group, &topic)[&0],
                101,
                "{way:?} {protocol}"
            );
        }
    }
}

/// With the classic protocol it waited for ever: librdkafka went on asking for the coordinator at the old address.
#[test]
fn a_group_follows_its_coordinator_to_another_address() {
    let Some(kafka) = Spec::new().behind_proxies().start() else {
        return;
    };
    let topic = kafka.topic("moves", 1, &[]);
    kafka.produce(&topic, &numbered(1));
    let bootstrap = format!("127.0.0.1:{}", kafka.detour(1));
    let protocols: [&[&str]; 2] = [
        &["-X", "session.timeout.ms=6000"],
        &["-X", "group.protocol=consumer"],
    ];
    let members = protocols.map(|protocol| {
        let group = session::unique("moves");
        let mut member = cmd("kcat-lite")
            .args(["-b", &bootstrap, "-G", &group, &topic, "-q"])
            .args(["-X", "auto.offset.reset=earliest"])
            .args(protocol)
            .limit(Duration::from_secs(180))
            .start();
        member.stdout_until("0\n", SOON);
        (group, member)
    });
    kafka.kill(1);
    kafka.start_elsewhere(1);
    kafka.produce(&topic, &[Record::of("1")]);
    for (group, mut member) in members {
        member.stdout_until("1\n", 4 * SOON);
        member.signal(Signal::TERM);
        member.wait().succeeds();
        assert_eq!(kafka.committed(&group, &topic)[&0], 2, "{group}");
    }
}

#[test]
fn give_up_ends_a_consumer_whose_cluster_is_away_for_too_long() {
    let Some(kafka) = own_kafka() else { return };
    let topic = kafka.topic("gives-up", 1, &[]);
    kafka.produce(&topic, &numbered(3));
    // A member that gives up can't leave, and holds its group up until its session is over.
    let (plain, batches) = (session::unique("gives-up"), session::unique("gives-up"));
    let modes: [&[&str]; 4] = [
        &["-C", "-t", &topic],
        &["-C", "-t", &topic, "--engine", "librdkafka"],
        &["-G", &plain, &topic],
        &["-G", &batches, &topic, "--exec", "cat"],
    ];
    for mode in modes {
        let start = || {
            at(&kafka, mode)
                .args(["-q", "-X", "auto.offset.reset=earliest"])
                .args(["-X", "auto.commit.interval.ms=60000"])
                .args(["--give-up", "5s"])
                .limit(Duration::from_secs(60))
                .start()
        };
        let mut running = start();
        running.stdout_until("2\n", SOON);
        // One that only has nothing to say is not away.
        std::thread::sleep(Duration::from_secs(7));
        assert!(running.runs(), "{mode:?}");
        kafka.kill(1);
        running
            .wait()
            .fails_with(2)
            .stderr_has("no contact with the cluster for")
            .stderr_has("--give-up");
        kafka.start_again(1);
    }
}

/// The search for the newest records knew no limit: --give-up was taken and ignored, and -Q --schema waited for ever.
#[test]
fn a_search_for_the_newest_records_ends_when_the_leaders_are_silent_for_too_long() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic_of("newest", &["a"]);
    let is_silent = Arc::new(AtomicBool::new(false));
    let (reading, ends) = (Arc::clone(&is_silent), Arc::clone(&is_silent));
    let proxy = Interceptor::before(&kafka.bootstrap())
        .on(ApiKey::Fetch, move |_, _| {
            reading.store(true, Ordering::Relaxed);
            Then::Silence
        })
        .on(ApiKey::ListOffsets, move |_, _| {
            if ends.load(Ordering::Relaxed) {
                Then::Silence
            } else {
                Then::Pass
            }
        });
    let searches: [(&[&str], &str); 2] = [
        (&["-C", "--last", "1", "--give-up", "4s"], "s (--give-up)"),
        (
            &["-Q", "--schema", "-r", "http://127.0.0.1:1", "-m", "4"],
            "s (-m)",
        ),
    ];
    for (args, option) in searches {
        is_silent.store(false, Ordering::Relaxed);
        cmd("kcat-lite")
            .args(args)
            .args(["-q", "-t", &topic, "-b", &proxy.bootstrap()])
            .limit(Duration::from_secs(60))
            .run()
            .fails_with(2)
            .stderr_has("no contact with the cluster for")
            .stderr_has(option);
    }
}

#[test]
fn with_e_a_signal_is_heard_while_nobody_says_who_leads_a_partition() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic_of("no-leader", &["a"]);
    let is_silent = Arc::new(AtomicBool::new(false));
    let (ends, leaders) = (Arc::clone(&is_silent), Arc::clone(&is_silent));
    // The ends of partitions are asked for before their leaders.
    let proxy = Interceptor::before(&kafka.bootstrap())
        .on(ApiKey::ListOffsets, move |_, _| {
            ends.store(true, Ordering::Relaxed);
            Then::Pass
        })
        .on(ApiKey::Metadata, move |_, _| {
            if leaders.load(Ordering::Relaxed) {
                Then::Silence
            } else {
                Then::Pass
            }
        });
    let mut waiting = cmd("kcat-lite")
        .args(["-C", "-e", "-E", "-q", "--engine", "librdkafka"])
        .args(["-t", &topic, "-b", &proxy.bootstrap()])
        .start();
    let deadline = Instant::now() + SOON;
    while !is_silent.load(Ordering::Relaxed) {
        assert!(Instant::now() < deadline, "the ends were not asked for");
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(500));
    assert!(waiting.runs());
    waiting.signal(Signal::TERM);
    waiting.wait().succeeds();
}

#[test]
fn a_member_says_whom_it_waits_for() {
    let Some(kafka) = own_kafka() else { return };
    let topic = kafka.topic("waits", 1, &[]);
    kafka.produce(&topic, &numbered(3));
    let group = session::unique("waits");
    let member = |client: &str| {
        at(&kafka, &["-G", &group, &topic])
            .args(["-X", "auto.offset.reset=earliest"])
            .args(["-X", "session.timeout.ms=9000"])
            .args(["-X", &format!("client.id={client}")])
            .limit(Duration::from_secs(60))
            .start()
    };
    let mut first = member("first");
    first.stdout_until("2\n", SOON);
    first.signal(Signal::KILL);
    first.wait();
    let mut second = member("second");
    let told = second.stderr_until("(session.timeout.ms)", SOON);
    let told = String::from_utf8_lossy(&told).into_owned();
    assert!(
        told.contains("waiting for the group: 1 other member (first at 127.0.0.1)"),
        "{told}"
    );
    second.stdout_until("2\n", 2 * SOON);
    second.signal(Signal::TERM);
    second.wait().succeeds();
}

#[test]
fn with_e_every_mode_waits_for_the_cluster() {
    let modes: &[&[&str]] = &[
        &["-P", "-t", "t"],
        &["-C", "-t", "t", "-e"],
        &["-G", "g", "t"],
        &["-L"],
        &["-Q", "-t", "t:0:end"],
        #[cfg(feature = "schema-registry")]
        &["-Q", "-t", "t", "--schema", "-r", "http://127.0.0.1:1"],
        &["--commit", "g"],
    ];
    for mode in modes {
        let waiting = cmd("kcat-lite")
            .args(["-E", "-m", "1", "-b", "127.0.0.1:1"])
            .args(*mode)
            .stdin_open();
        let mut waiting = waiting.start();
        if mode[0] == "-P" {
            waiting.write("a\n");
        } else if mode[0] == "--commit" {
            waiting.write("t\t0\t1\n").close_stdin();
        }
        waiting.stderr_until("no contact with 127.0.0.1:1 yet, trying on", SOON);
        assert!(waiting.runs(), "{mode:?}");
        waiting.signal(Signal::TERM);
        let ended = waiting.wait();
        ended.stderr_has("refused").stdout_is("");
    }
}

/// So is the metadata of a broker that was suspended, and that the controller has fenced meanwhile.
#[test]
fn metadata_without_brokers_does_not_cut_a_program_off_for_good() {
    let Some(kafka) = shared_kafka() else { return };
    let is_empty = Arc::new(AtomicBool::new(false));
    let empty = Arc::clone(&is_empty);
    let proxy = Interceptor::before(&kafka.bootstrap()).change(
        ApiKey::Metadata,
        move |_, response: &mut MetadataResponse| {
            if empty.load(Ordering::Relaxed) {
                response.brokers.clear();
            }
        },
    );
    for way in [&["-G"][..], &["-G", "--engine", "librdkafka"], &["-C"]] {
        let topic = kafka.topic_of("fenced", &["before"]);
        let group = session::unique("fenced");
        let (program, rest) = way.split_first().unwrap();
        let named = if *program == "-G" {
            vec![&group, &topic]
        } else {
            vec![]
        };
        let mut running = cmd("kcat-lite").arg(program).args(named);
        if *program == "-C" {
            running = running.args(["-t", &topic]);
        }
        let mut running = running
            .args(rest)
            .args(["-q", "-u", "-b", &proxy.bootstrap()])
            .args(["-X", "auto.offset.reset=earliest"])
            .args(["-X", "topic.metadata.refresh.interval.ms=100"])
            .limit(Duration::from_secs(90))
            .start();
        running.stdout_until("before\n", SOON);
        is_empty.store(true, Ordering::Relaxed);
        std::thread::sleep(Duration::from_secs(3));
        is_empty.store(false, Ordering::Relaxed);
        kafka.produce(&topic, &[Record::of("after")]);
        running.stdout_until("after\n", SOON);
        running.signal(Signal::TERM);
        running.wait();
    }
}
