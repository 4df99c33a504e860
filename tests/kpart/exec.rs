use crate::testkit::command::{cmd, shell};
use crate::testkit::session;

#[test]
fn every_partition_has_one_command_that_gets_its_lines_in_order() {
    shell(
        "seq 200000 | kpart -n 5 --exec 'cat >>out-{}; echo {} >>started' && sort started && \
         for p in 0 1 2 3 4; do sort -nc out-$p || exit 1; done; cat out-* | sort -n | cmp - <(seq 200000)",
    )
    .inside(&session::folder("kpart-exec"))
    .run()
    .succeeds()
    .stdout_is("0\n1\n2\n3\n4\n");
}

#[test]
fn a_command_without_lines_runs_too() {
    let run = cmd("kpart")
        .args(["-n", "3", "--exec", "wc -l | sed s/^/{}:/"])
        .stdin("")
        .run();
    let run = run.succeeds();
    let mut lines = run.lines();
    lines.sort_unstable();
    assert_eq!(lines, ["0:0", "1:0", "2:0"]);
}

#[test]
fn a_failing_command_is_named_by_its_partition() {
    shell("seq 100 | kpart -n 4 --exec 'cat >/dev/null; [ {} != 2 ]'")
        .run()
        .fails_with(2)
        .stderr_has("the command of partition 2 failed: exit status: 1");
    shell("yes | kpart -n 1 --exec 'head -1 >/dev/null; : {}'")
        .run()
        .stderr_has("the command of partition 0: stopped reading before the end of its input");
    shell("seq 10 | kpart -n 1 --exec 'kill -9 $$; : {}'")
        .run()
        .fails_with(2)
        .stderr_has("partition 0");
}

#[test]
fn a_bad_line_ends_the_commands_after_whole_lines() {
    shell("(seq 50000; echo x; seq 10) | kpart -n 3 --algo postgres:bigint --exec 'cat >out-{}'; echo $?; cat out-* | sort -n | cmp - <(seq 50000)")
        .inside(&session::folder("kpart-whole"))
        .run()
        .succeeds()
        .stdout_is("2\n")
        .stderr_has("line 50001: the key is no int64: x");
}

/// A refused line hid that a command had not processed the lines before it.
#[test]
fn a_command_that_fails_is_named_although_a_line_is_refused() {
    shell("(seq 100; echo x) | kpart -n 3 --algo postgres:bigint --exec 'cat >/dev/null; [ {} != 2 ]'")
        .run()
        .fails_with(2)
        .stderr_has("standard input: line 101: the key is no int64: x")
        .stderr_has("the command of partition 2 failed: exit status: 1");
}

#[test]
fn a_slow_command_holds_the_input_back() {
    // The writer cannot be done with 5 MB before anybody has read.
    shell("(seq 700000; touch written) | kpart -n 2 --exec 'sleep 1; test ! -e written && wc -l >n-{}'; awk '{n += $1} END {print n}' n-*")
        .inside(&session::folder("kpart-slow"))
        .run()
        .succeeds()
        .stdout_is("700000\n");
}

#[test]
fn more_commands_than_allowed_are_refused_before_any_starts() {
    let run = cmd("kpart")
        .args(["-n", "65", "--exec", "echo {}"])
        .stdin("a\n")
        .run();
    run.fails_with(2)
        .stderr_has("--max-children 64")
        .stdout_is("");
}
