//! The testkit, tested on itself: what the other tests rely on.

use super::broker::{own_kafka, shared_kafka};
use super::cluster::{Cluster, Record};
use super::command::{Terminal, cmd, shell};
use super::java;
use super::mock::Mock;
use super::session;
use super::witness;
use rustix::process::Signal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

#[test]
fn a_real_broker_takes_records_and_shows_them_to_the_java_consumer() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic_of("java", &["one", "two", "three"]);
    let Some(consumer) = java::tool("org.apache.kafka.tools.consumer.ConsoleConsumer") else {
        return;
    };
    let bootstrap = kafka.bootstrap();
    let args = [
        "--bootstrap-server",
        &bootstrap,
        "--topic",
        &topic,
        "--from-beginning",
        "--max-messages",
        "3",
    ];
    consumer
        .args(args)
        .run()
        .succeeds()
        .stdout_is("one\ntwo\nthree\n");
}

#[test]
fn a_mock_broker_goes_down_and_comes_back_on_its_port_while_commands_start() {
    let mock = Mock::start(1);
    let bootstrap = mock.bootstrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    cmd("true").run().succeeds();
                }
            });
        }
        // Few times: in between, another program may take the port.
        for _ in 0..20 {
            mock.down(1);
            mock.up(1);
            std::thread::sleep(Duration::from_millis(5));
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(mock.bootstrap(), bootstrap);
}

#[test]
fn a_record_comes_back_with_all_its_parts() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("parts", 2, &[("cleanup.policy", "compact")]);
    let headers = vec![
        ("a".to_owned(), Some(b"\0\xff".to_vec())),
        ("a".to_owned(), None),
        ("b".to_owned(), Some(Vec::new())),
    ];
    let sent = [
        Record {
            timestamp_ms: Some(1_000),
            headers,
            ..Record::keyed("k", "v")
        },
        Record {
            offset: 1,
            timestamp_ms: Some(2_000),
            value: None,
            ..Record::keyed("k", "")
        },
        Record {
            partition: Some(1),
            timestamp_ms: Some(3_000),
            ..Record::keyed("", "")
        },
    ];
    kafka.produce(&topic, &sent);
    assert_eq!(kafka.records(&topic), sent);
    assert_eq!(kafka.watermarks(&topic, 0), (0, 2));
}

#[test]
fn an_aborted_transaction_is_seen_only_by_those_who_ask_for_it() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("aborted", 1, &[]);
    let producer = kafka.producer(&[("transactional.id", &topic)]);
    producer.begin();
    producer.send(&topic, &[Record::of("aborted")]);
    producer.abort();
    producer.begin();
    producer.send(&topic, &[Record::of("committed")]);
    producer.commit();
    assert_eq!(kafka.values(&topic), ["committed"]);
    assert_eq!(
        kafka
            .records_with(&topic, &[("isolation.level", "read_uncommitted")])
            .len(),
        2
    );
}

#[test]
fn a_killed_broker_comes_back_with_its_data() {
    let Some(kafka) = own_kafka() else { return };
    let topic = kafka.topic_of("killed", &["before"]);
    kafka.kill(1);
    kafka.start_again(1);
    kafka.produce(&topic, &[Record::of("between")]);
    kafka.stop(1);
    kafka.start_again(1);
    assert_eq!(kafka.values(&topic), ["before", "between"]);
}

#[test]
fn a_mock_cluster_takes_records_and_gives_them_back() {
    let mock = Mock::start(1);
    let topic = mock.topic_of("mock", &["one", "two"]);
    assert_eq!(mock.values(&topic), ["one", "two"]);
}

#[test]
fn kcat_and_python_see_the_same_records() {
    let Some(kafka) = shared_kafka() else { return };
    let (Some(kcat), Some(python)) = (witness::kcat(), witness::python()) else {
        return;
    };
    let topic = kafka.topic_of("witness", &["one", "two"]);
    let bootstrap = kafka.bootstrap();
    kcat.args(["-C", "-e", "-q", "-b", &bootstrap, "-t", &topic])
        .run()
        .succeeds()
        .stdout_is("one\ntwo\n");
    let script = "import sys, confluent_kafka as c\n\
        k = c.Consumer({'bootstrap.servers': sys.argv[1], 'group.id': 'x', 'auto.offset.reset': 'earliest'})\n\
        k.assign([c.TopicPartition(sys.argv[2], 0, 0)])\n\
        print([m.value() for m in k.consume(2, 20)])";
    python
        .args(["-c", script, &bootstrap, &topic])
        .run()
        .succeeds()
        .stdout_is("[b'one', b'two']\n");
}

#[test]
fn a_command_is_judged_by_its_status_and_its_streams() {
    cmd("cat")
        .stdin("a\nb")
        .run()
        .succeeds()
        .stdout_is("a\nb")
        .stderr_is("");
    shell("echo no >&2; exit 3")
        .run()
        .fails_with(3)
        .stderr_has("no");
    shell("seq 1000000 | head -1").run().stdout_is("1\n");
    shell("false | cat").run().fails_with(1);
    shell("kill -TERM $$").run().dies_by(Signal::TERM);
}

#[test]
fn a_command_past_its_limit_is_killed_with_all_its_children() {
    let started = std::time::Instant::now();
    let stuck = shell("echo printed; sleep 1000 | sleep 1000").limit(Duration::from_millis(300));
    let failure = std::panic::catch_unwind(|| stuck.run()).unwrap_err();
    let message = failure.downcast_ref::<String>().unwrap();
    assert!(
        message.contains("killed") && message.contains("printed"),
        "{message}"
    );
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_running_command_is_spoken_with() {
    let mut cat = cmd("cat").stdin_open().start();
    cat.write("hello\n")
        .stdout_until("hello\n", Duration::from_secs(5));
    cat.close_stdin();
    cat.wait().succeeds().stdout_is("hello\n");
    let mut cat = cmd("cat").stdin_open().start();
    assert!(cat.runs());
    cat.signal(Signal::TERM);
    cat.wait().dies_by(Signal::TERM);
}

#[test]
fn a_terminal_is_a_terminal_for_the_streams_that_were_asked_for() {
    let script = "for n in 0 1 2; do test -t $n && echo $n; done; stty size <&2; echo shown >&2";
    let output = shell(script)
        .on_terminal(Terminal {
            stderr: true,
            ..Terminal::default()
        })
        .run()
        .succeeds();
    assert_eq!(String::from_utf8_lossy(&output.screen), "shown\r\n");
    output.stdout_is("2\n24 80\n");
}

#[test]
fn a_killed_test_run_leaves_no_process_and_no_file() {
    let Some(_java) = java::tool("") else { return };
    let temp = session::folder("victim");
    let test = "testkit::selftest::a_killed_broker_comes_back_with_its_data";
    let victim = cmd(&std::env::current_exe().unwrap().display().to_string());
    let mut victim = victim.args([test, "--exact"]).env("TMPDIR", &temp).start();
    let alive = until("a process of the run", || {
        let alive =
            std::fs::read_dir(temp.read_dir().ok()?.next()?.ok()?.path().join("alive")).ok()?;
        let groups: Vec<i32> = alive
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .collect();
        (!groups.is_empty()).then_some(groups)
    });
    victim.signal(Signal::KILL);
    victim.wait().dies_by(Signal::KILL);
    until("the run's folder to go", || {
        temp.read_dir().unwrap().next().is_none().then_some(())
    });
    for group in alive {
        let group = rustix::process::Pid::from_raw(group).unwrap();
        until("the run's processes to go", || {
            rustix::process::test_kill_process_group(group).err()
        });
    }
}

#[test]
fn a_command_dies_by_the_signal_that_it_is_sent() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
        let mut command = cmd("sleep").arg("60").start();
        command.signal(signal);
        command.wait().dies_by(signal);
    }
}

#[test]
fn commands_die_by_signals_that_the_parent_of_the_tests_ignores() {
    let script = "trap '' INT TERM HUP QUIT; exec \"$TESTS\" \"$TEST\" --exact";
    cmd("sh")
        .args(["-c", script])
        .env("TESTS", std::env::current_exe().unwrap())
        .env(
            "TEST",
            "testkit::selftest::a_command_dies_by_the_signal_that_it_is_sent",
        )
        .env("TMPDIR", session::folder("ignored"))
        .run()
        .succeeds()
        .stdout_has("1 passed");
}

fn until<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(ready) = ready() {
            return ready;
        }
        assert!(Instant::now() < deadline, "waited for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
