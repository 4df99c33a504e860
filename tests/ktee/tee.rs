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
