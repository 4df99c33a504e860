use std::time::Duration;

use crate::testkit::command::{cmd, shell};
use crate::testkit::session;
use rustix::process::Signal;

const SOON: Duration = Duration::from_secs(10);

#[test]
fn any_bytes_pass_to_standard_output_and_every_file_unchanged() {
    shell(
        "head -c 3000000 /dev/urandom >in; ktee one two <in | cmp - in && cmp one in && cmp two in && \
         printf 'no end' | ktee -a one - >/dev/null && tail -c 6 one",
    )
    .inside(&session::folder("tee"))
    .run()
    .succeeds()
    .stdout_is("no end");
}

#[test]
fn a_place_that_fails_is_named_and_the_others_get_everything() {
    let folder = session::folder("tee-fails");
    shell("seq 200000 | ktee /no/such/file /dev/full copy; s=$?; seq 200000 | cmp - copy; exit $s")
        .inside(&folder)
        .run()
        .fails_with(2)
        .expect(|it| it.lines().len() == 200_000, "all lines")
        .stderr_has("/no/such/file: No such file")
        .stderr_has("/dev/full: No space left");
    shell("seq 200000 | ktee --on-error stop /dev/full copy | wc -l")
        .inside(&folder)
        .run()
        .fails_with(2)
        .expect(|it| it.lines()[0] != "200000", "it stopped");
}

#[test]
fn a_reader_that_has_enough_does_not_stop_the_copies() {
    let folder = session::folder("tee-epipe");
    shell(
        "seq 200000 | ktee copy lines/ | head -1; wc -l <copy; zstdcat lines/lines/*.zst | wc -l",
    )
    .inside(&folder)
    .run()
    .succeeds()
    .stdout_is("1\n200000\n200000\n");
    // Nobody is left to read for.
    shell("{ yes || :; } 2>&1 | ktee | head -1")
        .run()
        .succeeds()
        .stdout_is("y\n");
}

#[test]
fn a_full_standard_output_is_told_and_the_copies_go_on() {
    let folder = session::folder("tee-full");
    shell("seq 200000 | ktee copy >/dev/full; s=$?; wc -l <copy; exit $s")
        .inside(&folder)
        .run()
        .fails_with(2)
        .stdout_is("200000\n")
        .stderr_has("standard output");
}

#[test]
fn a_byte_passes_as_soon_as_it_comes() {
    let folder = session::folder("tee-latency");
    let mut running = cmd("ktee").arg("copy").inside(&folder).stdin_open().start();
    running.write(b"no newline");
    running.stdout_until("no newline", SOON);
    running.close_stdin();
    running.wait().succeeds();
}

#[test]
fn a_signal_ends_it_with_everything_that_was_read_in_place() {
    let folder = session::folder("tee-signal");
    let mut running = cmd("ktee")
        .arg("lines/")
        .inside(&folder)
        .stdin_open()
        .start();
    running.write(b"one\ntwo\n");
    running.stdout_until("two", SOON);
    running.signal(Signal::TERM);
    running.wait().dies_by(Signal::TERM);
    shell("zstdcat lines/lines/*.zst")
        .inside(&folder)
        .run()
        .succeeds()
        .stdout_is("one\ntwo\n");
}

#[test]
fn a_reader_that_leaves_a_pipe_is_named_and_no_failure() {
    let folder = session::folder("tee-fifo");
    let run = |options: &str| {
        shell(&format!(
            "mkfifo f; head -1 <f >h & seq 200000 | ktee {options} f keep >/dev/null; s=$?; wait; cat h; wc -l <keep; rm f; exit $s"
        ))
        .inside(&folder)
        .run()
    };
    run("")
        .succeeds()
        .stdout_is("1\n200000\n")
        .stderr_is("ktee: f: its reader has left\n");
    run("--output-error=warn")
        .fails_with(2)
        .stdout_is("1\n200000\n")
        .stderr_is("ktee: f: Broken pipe\n");
    run("--output-error=exit")
        .fails_with(2)
        .expect(|it| it.lines()[1] != "200000", "it stopped");
}

/// It ended with 2 and said nothing when the input paused.
#[test]
fn a_reader_of_standard_output_that_leaves_is_named_where_it_has_to_stay() {
    shell(
        "(echo 1; sleep 1.5; echo 2) | ktee --output-error=warn f | head -1; exit ${PIPESTATUS[1]}",
    )
    .inside(&session::folder("tee-stdout"))
    .run()
    .fails_with(2)
    .stdout_is("1\n")
    .stderr_has("ktee: nobody reads standard output any more");
}

#[test]
fn an_interrupt_is_ignored_where_that_is_said_and_last_words_are_kept_where_not() {
    let folder = session::folder("tee-interrupt");
    let start = |options: &[&str]| {
        let mut running = cmd("ktee")
            .args(options)
            .arg("copy")
            .inside(&folder)
            .stdin_open()
            .start();
        running.write(b"one\n");
        running.stdout_until("one", SOON);
        running.signal(Signal::INT);
        running.write(b"two\n");
        running.stdout_until("two", SOON);
        running.close_stdin();
        running.wait()
    };
    start(&["-i"]).succeeds().stdout_is("one\ntwo\n");
    start(&[]).dies_by(Signal::INT).stdout_is("one\ntwo\n");
    assert_eq!(std::fs::read(folder.join("copy")).unwrap(), b"one\ntwo\n");
}

#[test]
fn records_are_not_taken_for_lines_unless_that_is_said() {
    let folder = session::folder("tee-hint");
    let run = |options: &[&str], input: &str| {
        cmd("ktee")
            .args(options)
            .arg("b/")
            .inside(&folder)
            .stdin(input)
            .run()
    };
    let records = super::lines("t", 0, 3);
    run(&[], &records).fails_with(2).stderr_has("--tsv=all");
    run(&[], "{\"topic\":\"t\",\"partition\":0,\"offset\":1}\n")
        .fails_with(2)
        .stderr_has("-J");
    assert_eq!(super::files(&folder), [""; 0]);
    run(&["-D", "\\n", "-K", ":"], &records).succeeds();
    run(&[], "any\nline\n").succeeds();
    cmd("ktee")
        .args(["--cat", "b"])
        .inside(&folder)
        .run()
        .succeeds()
        .stdout_is(format!("{records}any\nline\n"));
}

/// Regression: with no signal to wait for, every wait ended at once, and an idle program kept a processor busy.
#[test]
fn a_program_whose_parent_ignores_all_signals_waits_without_work() {
    for program in ["ktee", "kpart -n 3"] {
        // The shell's limit is in seconds of processor time.
        let script =
            format!("(sleep 3; echo line) | (trap '' INT TERM HUP; ulimit -t 1; exec {program})");
        shell(&script).run().succeeds().stdout_has("line\n");
    }
}
