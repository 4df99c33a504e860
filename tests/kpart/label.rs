use crate::testkit::command::{cmd, shell};
use crate::testkit::session;
use std::time::Duration;

#[test]
fn each_line_comes_out_unchanged_with_its_partition_in_front() {
    let lines = "user-1\tv\\n\\\\\t\n\\N\tx\n\ty\na\\tb\tz\n";
    cmd("kpart")
        .args(["-n", "12"])
        .stdin(lines)
        .run()
        .succeeds()
        .stdout_is("8\tuser-1\tv\\n\\\\\t\n-1\t\\N\tx\n9\t\ty\n10\ta\\tb\tz\n")
        .stderr_is("");
}

#[test]
fn taking_the_label_off_gives_the_input_back_byte_for_byte() {
    // Raw bytes of every value in the second column, lines of every length up to 3000.
    let mut lines = Vec::new();
    for length in 0..3000_usize {
        lines.extend_from_slice(format!("key-{length}\t").as_bytes());
        lines.extend(
            (0..length)
                .map(|at| (at * 7 + length) as u8)
                .filter(|byte| *byte != b'\n'),
        );
        lines.push(b'\n');
    }
    lines.extend_from_slice(b"the last line has no line feed");
    // From a file, which is as long as it is; from a pipe it would be a torn line.
    let folder = session::folder("label");
    std::fs::write(folder.join("lines"), &lines).unwrap();
    let labelled = cmd("kpart")
        .args(["-n", "1000"])
        .stdin_from(folder.join("lines"))
        .run()
        .succeeds();
    let mut bare = Vec::new();
    for line in labelled.stdout.split_inclusive(|byte| *byte == b'\n') {
        let tab = line.iter().position(|byte| *byte == b'\t').unwrap();
        assert!(line[..tab].iter().all(u8::is_ascii_digit));
        bare.extend_from_slice(&line[tab + 1..]);
    }
    assert!(bare == lines, "the bytes differ");
}

#[test]
fn columns_are_picked_as_the_algorithm_needs_them() {
    // PostgreSQL 15 puts the text 3 with the number 1 there: see tests/vectors/more.tsv.
    cmd("kpart")
        .args(["-n", "100", "--algo", "postgres:text,bigint", "-k", "3,1"])
        .stdin("1\tv\t3\n\\N\tx\t\\N\n")
        .run()
        .succeeds()
        .stdout_is("65\t1\tv\t3\n0\t\\N\tx\t\\N\n");
    cmd("kpart")
        .args(["-n", "12", "-k", "2", "--algo", "jump"])
        .stdin("x\t-1\n")
        .run()
        .succeeds()
        .stdout_is("10\tx\t-1\n");
}

#[test]
fn the_key_of_a_json_line_is_the_records_or_where_a_pointer_leads() {
    cmd("kpart")
        .args(["-n", "12", "-J"])
        .stdin(
            "{\"key\":\"user-1\",\"payload\":\"v\"}\n{\"key\":null,\"payload\":null}\n{\"key_base64\":\"gIGC\",\"payload\":\"v\"}\n",
        )
        .run()
        .succeeds()
        .expect(
            // Bytes 80 81 82: see tests/vectors/partitions.tsv.
            |out| {
                out.text()
                    .lines()
                    .map(|line| line.split_once('\t').unwrap().0)
                    .eq(["8", "-1", "11"])
            },
            "the partitions of the three keys",
        );
    cmd("kpart")
        .args(["-n", "12", "-J", "-k", "/user/id"])
        .stdin("{\"user\":{\"id\":\"user-1\"}}\n{\"user\": {\"id\": null}}\n")
        .run()
        .succeeds()
        .stdout_is("8\t{\"user\":{\"id\":\"user-1\"}}\n-1\t{\"user\": {\"id\": null}}\n");
}

#[test]
fn slots_and_tokens_need_no_number_of_partitions() {
    let out = |algo: &str| {
        let run = cmd("kpart")
            .args(["--algo", algo])
            .stdin("a{user}b\n")
            .run();
        run.succeeds().text().to_owned()
    };
    assert_eq!(out("redis"), "5474\ta{user}b\n");
    assert!(
        out("cassandra")
            .split('\t')
            .next()
            .unwrap()
            .parse::<i64>()
            .is_ok()
    );
}

#[test]
fn a_bad_line_is_named_after_everything_before_it_was_written() {
    for (stdin, args, written, named) in [
        (
            "1\nx\n3\n",
            &["--algo", "postgres:bigint"][..],
            "8\t1\n",
            "line 2: the key is no int64: x",
        ),
        (
            "a\tb\nc\n",
            &["-k", "2"],
            "8\ta\tb\n",
            "line 2: there is no column 2",
        ),
        ("a\n\\q\n", &[], "3\ta\n", "line 2"),
        (
            "a\n\\N\n",
            &["--algo", "clickhouse:cityHash64"],
            "9\ta\n",
            "line 2: the key is NULL",
        ),
    ] {
        let run = cmd("kpart")
            .args(["-n", "12"])
            .args(args)
            .stdin(stdin)
            .run();
        let run = run.fails_with(2).stderr_has(named);
        assert_eq!(run.lines().len(), 1, "{}", run.text());
        assert_eq!(
            run.text().split_once('\t').unwrap().1,
            written.split_once('\t').unwrap().1
        );
    }
}

#[test]
fn several_files_are_one_stream_whose_lines_do_not_run_together() {
    shell("printf 'a\\nb' >1; printf 'c\\nx\\ty' >2; kpart -n 1 1 - 2 <1")
        .inside(&crate::testkit::session::folder("kpart-files"))
        .run()
        .succeeds()
        .stdout_is("0\ta\n0\tb\n0\ta\n0\tb\n0\tc\n0\tx\ty");
    cmd("kpart")
        .args(["-n", "1", "/no/such/file"])
        .run()
        .fails_with(2)
        .stderr_has("/no/such/file");
}

#[test]
fn a_reader_that_has_enough_is_a_normal_end_and_a_full_disk_is_not() {
    shell("yes user-1 | kpart -n 3 | head -1; echo ${PIPESTATUS[1]}")
        .run()
        .stdout_is("2\tuser-1\n0\n");
    cmd("kpart")
        .args(["-n", "3"])
        .stdin("a\n")
        .stdout_to("/dev/full")
        .run()
        .fails_with(2)
        .stderr_has("cannot write to standard output");
}

#[test]
fn a_line_comes_out_as_soon_as_it_is_complete() {
    let mut kpart = cmd("kpart").args(["-n", "12"]).stdin_open().start();
    kpart.write(b"user-1\tv\nuser-");
    kpart.stdout_until("8\tuser-1\tv\n", Duration::from_secs(5));
    kpart.write(b"2\tw\n");
    kpart.stdout_until("user-2\tw\n", Duration::from_secs(5));
    kpart.close_stdin();
    kpart.wait().succeeds();
}

#[test]
fn what_the_options_say_together_makes_sense_or_is_refused() {
    cmd("kpart")
        .run()
        .fails_with(2)
        .stderr_has("-n N or -t TOPIC is missing");
    let none = cmd("kpart").args(["-n", "2", "--algo", "md5"]).run();
    none.fails_with(2)
        .stderr_has("murmur2_random")
        .stdout_is("");
    let help = cmd("kpart").arg("--help").run().succeeds().stderr_is("");
    help.stdout_has("--max-children")
        .stdout_has("postgres:TYPE")
        .stdout_has("--weights");
}

#[test]
fn quiet_changes_nothing_of_the_lines() {
    let label = |args: &[&str]| {
        let run = cmd("kpart").args(["-n", "3"]).args(args);
        run.stdin("a\nb\n").run().succeeds().stderr_is("").stdout
    };
    assert_eq!(label(&["-q"]), label(&[]));
}

#[test]
fn shards_of_a_distributed_table_have_weights() {
    let place = |args: &[&str]| {
        let run = cmd("kpart")
            .args(["--algo", "clickhouse:cityHash64"])
            .args(args);
        let lines: String = ["a\n", "b\n", "c\n", "d\n", "e\n", "f\n"].concat();
        run.stdin(lines).run().succeeds().stdout
    };
    assert_eq!(place(&["--weights", "1,1"]), place(&["-n", "2"]));
    assert_eq!(
        place(&["--weights", "1,9", "-n", "2"]),
        place(&["--weights", "1,9"])
    );
    assert_ne!(place(&["--weights", "1,9"]), place(&["-n", "2"]));
}
