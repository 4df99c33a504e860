//! `-M`: a throw-away cluster, for a command or until stdin ends.

use super::SOON;
use crate::testkit::cluster::{Cluster as _, Record};
use crate::testkit::command::{cmd, shell};
use crate::testkit::mock::{Lent, lend};
use crate::testkit::session;
use rustix::process::Signal;

#[test]
fn a_cluster_lives_until_stdin_ends() {
    let mut program = lend(3).stdin_open().start();
    let first = program.stdout_until("\n", SOON);
    let brokers = String::from_utf8(first).unwrap();
    assert_eq!(
        brokers
            .trim_end()
            .strip_prefix("BROKERS=")
            .unwrap()
            .split(',')
            .count(),
        3
    );
    program.close_stdin();
    program.wait().succeeds().stdout_is(brokers);
}

#[test]
fn others_write_to_a_lent_cluster_and_read_from_it() {
    let lent = Lent::start(1);
    let topic = session::unique("lent");
    super::produce(&lent, &topic)
        .args(["-p", "0"])
        .stdin("one\n")
        .run()
        .succeeds();
    lent.produce(&topic, &[Record::of("two")]);
    assert_eq!(lent.values(&topic), ["one", "two"]);
    super::consume(&lent, &topic)
        .args(["-p", "0"])
        .run()
        .succeeds()
        .stdout_is("one\ntwo\n");
    super::at(
        &lent,
        &[
            "-G",
            "g",
            "-e",
            "-q",
            "-X",
            "auto.offset.reset=earliest",
            &topic,
        ],
    )
    .run()
    .succeeds()
    .stdout_is("one\ntwo\n");
    super::at(&lent, &["-L", "-t", &topic])
        .run()
        .succeeds()
        .stdout_has("with 4 partitions");
}

#[test]
fn a_command_gets_the_cluster_by_its_environment_and_its_status_is_passed_on() {
    let script = "echo one | kcat-lite -P -t t && kcat-lite -C -e -q -t t && exit 3";
    cmd("kcat-lite")
        .args(["-M", "1", "--", "bash", "-c", script])
        .run()
        .fails_with(3)
        .stdout_is("one\n");
    cmd("kcat-lite")
        .args(["-M", "1", "--", "sh", "-c", "test -n \"$KAFKA_BROKERS\""])
        .run()
        .succeeds()
        .stdout_is("");
    cmd("kcat-lite")
        .args(["-M", "1", "--", "cat"])
        .stdin("passed on")
        .run()
        .succeeds()
        .stdout_is("passed on");
    cmd("kcat-lite")
        .args(["-M", "1", "--", "/no/such/command"])
        .run()
        .expect(|it| it.status.code() > Some(1), "a failure")
        .stderr_has("/no/such/command");
    // A shell shows death by a signal as 128 + N.
    shell("kcat-lite -M 1 -- sh -c 'kill -TERM $$'; echo $?")
        .run()
        .stdout_is("143\n");
}

#[test]
fn a_signal_ends_the_cluster_and_its_command() {
    let mut program = lend(1)
        .args(["--", "sh", "-c", "echo started; exec sleep 1000"])
        .start();
    program.stdout_until("started\n", SOON);
    program.signal(Signal::TERM);
    program
        .wait()
        .expect(|it| !it.status.success(), "no success");
}

#[test]
fn a_number_of_brokers_is_a_number() {
    for wrong in ["0", "-1", "x", "1x", ""] {
        cmd("kcat-lite")
            .args(["-M", wrong])
            .run()
            .fails_with(2)
            .stdout_is("");
    }
}
