use super::{files, lines, segments};
use crate::testkit::command::{cmd, shell};
use crate::testkit::session;
use std::time::Duration;

const ALL: &str = "--tsv=all";

#[test]
fn a_backup_is_segments_that_other_tools_read_and_check() {
    let folder = session::folder("segments");
    let input = lines("t", 0, 100);
    cmd("ktee")
        .args([ALL, "--segment-records", "40", "b/"])
        .inside(&folder)
        .stdin(input.as_str())
        .run()
        .succeeds()
        .stdout_is(&input);
    assert_eq!(
        files(&folder.join("b/topics/t/partition=0")),
        [0, 40, 80]
            .map(|first| {
                let name = format!("t+0+{first:020}.tsv.zst");
                [name.clone(), format!("{name}.sha256")]
            })
            .concat()
    );
    shell("cd b/topics/t/partition=0 && sha256sum --quiet -c *.sha256 && zstdcat *.zst")
        .inside(&folder)
        .run()
        .succeeds()
        .stdout_is(&input);
}

#[test]
fn every_format_and_compression_comes_back_as_it_was() {
    let input = lines("t", 0, 1000);
    for (format, compress, tool) in [
        ("tsv", "zstd", "zstdcat"),
        ("tsv", "gzip", "zcat"),
        ("json", "none", "cat"),
        ("json", "zstd", "zstdcat"),
    ] {
        let folder = session::folder("segments-formats");
        cmd("ktee")
            .args([
                ALL,
                "--segment-format",
                format,
                "--compress",
                compress,
                "b/",
            ])
            .inside(&folder)
            .stdin(input.as_str())
            .run()
            .succeeds();
        shell("$TOOL b/topics/t/partition=0/t+0+00000000000000000000.$FORMAT* 2>/dev/null | grep -c 'value 7'; ktee --cat b")
            .env("TOOL", tool)
            .env("FORMAT", format)
            .inside(&folder)
            .run()
            .succeeds()
            .expect(|it| it.text().ends_with(&input), "all records");
    }
}

#[test]
fn records_are_stored_alike_whatever_format_they_come_in() {
    let folder = session::folder("segments-inputs");
    let run = |options: &[&str], backup: &str, input: &[u8]| {
        cmd("ktee")
            .args(options)
            .arg(backup)
            .inside(&folder)
            .stdin(input)
            .run()
    };
    let json = r#"{"topic":"t","partition":0,"offset":5,"ts":1000,"key":"k","payload":"v"}"#;
    run(&["-J"], "json/", format!("{json}\n").as_bytes()).succeeds();
    let hex = b"t\t0\t5\t1000\t\\\\x6b\t\\\\x76\t\\N\n";
    run(&[ALL, "--bytes", "hex"], "hex/", hex).succeeds();
    for backup in ["json", "hex"] {
        run(&["--cat"], backup, b"")
            .succeeds()
            .stdout_is("t\t0\t5\t1000\tk\tv\t\\N\n");
    }
    let binary = b"t\t0\t5\t1000\tk\t\xff\t\\N\n";
    run(&[ALL, "--utf8", "strict"], "strict/", binary)
        .fails_with(2)
        .stderr_has("column value, byte 14: is not UTF-8");
}

#[test]
fn the_same_records_again_add_nothing_and_what_is_new_goes_on() {
    let folder = session::folder("segments-again");
    let run = |input: String| {
        cmd("ktee")
            .args([ALL, "--segment-records", "30", "b/"])
            .inside(&folder)
            .stdin(input)
            .run()
            .succeeds()
    };
    run(lines("t", 0, 100));
    let before = files(&folder.join("b"));
    run(lines("t", 0, 100)).stderr_has("100 records already in the backup, 0 added");
    assert_eq!(files(&folder.join("b")), before);
    run(lines("t", 50, 100)).stderr_has("50 records already in the backup, 50 added");
    cmd("ktee")
        .args(["--verify", "b"])
        .inside(&folder)
        .run()
        .succeeds();
    cmd("ktee")
        .args(["--cat", "b"])
        .inside(&folder)
        .run()
        .succeeds()
        .stdout_is(lines("t", 0, 150));
}

#[test]
fn what_is_filled_in_ends_where_a_stored_segment_begins_and_ends() {
    let folder = session::folder("segments-between");
    let send = |offsets: &[i64]| {
        let input: String = offsets.iter().map(|first| lines("t", *first, 1)).collect();
        cmd("ktee")
            .args([ALL, "b/"])
            .inside(&folder)
            .stdin(input)
            .run()
            .succeeds();
        let files = segments(&folder.join("b"));
        let firsts = files.iter().filter_map(|file| {
            let (_, first) = file.strip_suffix(".tsv.zst")?.rsplit_once('+')?;
            first.parse().ok()
        });
        let mut firsts: Vec<i64> = firsts.collect();
        firsts.sort_unstable();
        firsts
    };
    send(&[10, 12, 19]);
    assert_eq!(send(&[30, 39]), [10, 30]);
    assert_eq!(send(&[8, 9, 20, 21, 25, 40]), [8, 10, 20, 30, 40]);
    // In a segment that left offsets out.
    assert_eq!(send(&[11, 13, 17]), [8, 10, 11, 20, 30, 40]);
    // What is out of order claims nothing between its records.
    assert_eq!(send(&[50, 52, 51, 54]), [8, 10, 11, 20, 30, 40, 50, 54]);
}

#[test]
fn a_manifest_that_a_crash_left_out_is_written_by_the_next_run() {
    let folder = session::folder("segments-manifest");
    let run = |input: String| {
        cmd("ktee")
            .args([ALL, "b/"])
            .inside(&folder)
            .stdin(input)
            .run()
            .succeeds()
    };
    run(lines("t", 0, 10));
    let manifest = folder.join("b/topics/t/partition=0/t+0+00000000000000000000.tsv.zst.sha256");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::remove_file(&manifest).unwrap();
    cmd("ktee")
        .args(["--verify", "b"])
        .inside(&folder)
        .run()
        .succeeds()
        .stdout_has("1 without manifest");
    run(lines("t", 5, 10));
    assert_eq!(std::fs::read_to_string(&manifest).unwrap(), text);
    cmd("ktee")
        .args(["--verify", "b"])
        .inside(&folder)
        .run()
        .succeeds()
        .expect(|it| !it.text().contains("without"), "a manifest");
}

#[test]
fn a_quiet_segment_is_stored_after_max_delay() {
    let folder = session::folder("segments-delay");
    let mut running = cmd("ktee")
        .args([ALL, "--max-delay", "300ms", "b/"])
        .inside(&folder)
        .stdin_open()
        .start();
    running.write(lines("t", 0, 1).as_bytes());
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !folder
        .join("b/topics/t/partition=0/t+0+00000000000000000000.tsv.zst.sha256")
        .exists()
    {
        assert!(std::time::Instant::now() < deadline, "nothing is stored");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    running.write(lines("t", 1, 1).as_bytes());
    running.close_stdin();
    running.wait().succeeds();
    assert_eq!(segments(&folder.join("b")).len(), 2);
}

/// A record had a bracket or a comma of its array, and --verify reported damage.
#[test]
fn records_of_a_json_array_are_lines_of_a_json_segment() {
    let record = |offset: i64| {
        format!("{{\"topic\":\"t\",\"partition\":0,\"offset\":{offset},\"payload\":\"v\"}}")
    };
    let input = format!(
        "[{}, {},{}]\n{}\n",
        record(0),
        record(1),
        record(2),
        record(3)
    );
    let folder = session::folder("segments-array");
    let ktee = |args: &[&str]| cmd("ktee").args(args).inside(&folder);
    let sent = ktee(&["-J", "--segment-format", "json", "b/"])
        .stdin(input)
        .run();
    sent.succeeds();
    ktee(&["--verify", "b"]).run().succeeds();
    let cat = ktee(&["--cat", "b"]).run().succeeds();
    assert_eq!(cat.lines().len(), 4);
    ktee(&["-J", "b/"])
        .stdin(format!("{}\n[{},x\n", record(4), record(5)))
        .run()
        .fails_with(2)
        .stderr_has("standard input, line 2");
}

/// Two of one number were taken for two copies of the same records.
#[test]
fn two_writers_of_lines_at_once_are_both_read_back() {
    let folder = session::folder("segments-two");
    let writers = ["one\n", "two\n"].map(|line| {
        let mut writer = cmd("ktee").arg("b/").inside(&folder).stdin_open().start();
        writer.write(line);
        writer.stdout_until(line, Duration::from_secs(10));
        writer
    });
    for mut writer in writers {
        writer.close_stdin();
        writer.wait().succeeds();
    }
    let cat = cmd("ktee").args(["--cat", "b"]).inside(&folder).run();
    let cat = cat.succeeds();
    let mut lines = cat.lines();
    lines.sort_unstable();
    assert_eq!(lines, ["one", "two"]);
    cmd("ktee")
        .args(["--verify", "b"])
        .inside(&folder)
        .run()
        .succeeds();
}

#[test]
fn lines_without_positions_go_to_numbered_segments_and_come_back_in_order() {
    let folder = session::folder("segments-lines");
    shell(
        "seq 1000 | ktee --segment-records 300 b/ >/dev/null; printf 'a\\nno end' | ktee b/; \
         ls b/lines | grep -c sha256; ktee --cat b | cmp - <(seq 1000; printf 'a\\nno end\\n') && \
         cd b/lines && sha256sum --quiet -c *.sha256",
    )
    .inside(&folder)
    .run()
    .succeeds()
    .stdout_is("a\nno end5\n");
    cmd("ktee")
        .args(["--verify", "b"])
        .inside(&folder)
        .run()
        .succeeds();
}

#[test]
fn a_bad_line_stops_it_by_its_number_and_all_before_it_is_stored() {
    let folder = session::folder("segments-bad");
    for (bad, said) in [
        ("t\t0\n", "line 11: 2 columns"),
        (
            "../x\t0\t1\t1\tk\tv\t\\N\n",
            "line 11: \"../x\" is no name of a topic",
        ),
        (
            "t\t\\N\t1\t1\tk\tv\t\\N\n",
            "line 11: a record for a backup needs topic, partition and offset",
        ),
        ("t\t0\t5\t7\tk\tother\t\\N\n", "offset 5 is another record"),
    ] {
        let input = lines("t", 0, 10) + bad + &lines("t", 11, 5);
        cmd("ktee")
            .args([ALL, "b/"])
            .inside(&folder)
            .stdin(input)
            .run()
            .fails_with(2)
            .stderr_has(said);
    }
    assert_eq!(
        std::fs::read_dir(folder.join("b/topics")).unwrap().count(),
        1
    );
}

#[test]
fn topics_of_any_length_and_folders_behind_links_are_written_and_read() {
    let folder = session::folder("segments-names");
    std::fs::create_dir_all(folder.join("elsewhere/topics")).unwrap();
    std::fs::create_dir(folder.join("b")).unwrap();
    std::os::unix::fs::symlink("../elsewhere/topics", folder.join("b/topics")).unwrap();
    // A link that leads around in a circle is no reason to go around for ever.
    std::os::unix::fs::symlink("..", folder.join("elsewhere/topics/circle")).unwrap();
    let topics = ["x".repeat(217), "y".repeat(218), "z".repeat(249)];
    let all: String = topics.iter().map(|topic| lines(topic, 0, 5)).collect();
    for _ in 0..2 {
        cmd("ktee")
            .args(["-q", "--tsv=all", "--segment-records", "2", "b/"])
            .inside(&folder)
            .stdin(&all)
            .run()
            .succeeds();
    }
    cmd("ktee")
        .args(["--verify", "b"])
        .inside(&folder)
        .run()
        .succeeds()
        .expect(|it| it.lines().len() == 3, "three topics");
    cmd("ktee")
        .args(["--cat", "b"])
        .inside(&folder)
        .run()
        .succeeds()
        .stdout_is(&all);
}

#[test]
fn records_that_wait_to_be_compressed_have_as_much_memory_as_was_said() {
    let folder = session::folder("buffer");
    let mut ktee = cmd("ktee")
        .args(["-q", "--buffer", "2M", "b/"])
        .inside(&folder)
        .stdin_open()
        .stdout_to("/dev/null")
        .limit(Duration::from_secs(90))
        .start();
    // What can't be made smaller takes the compressor longer than it takes to be read.
    let mut random = 1_u64;
    for _ in 0..200 {
        let mut block = Vec::with_capacity(1 << 20);
        while block.len() < 1 << 20 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            block.extend(random.to_le_bytes());
        }
        ktee.write(block);
    }
    let peak_kib = ktee.peak_memory_kib();
    ktee.close_stdin();
    ktee.wait().succeeds();
    assert!(peak_kib < 28 * 1024, "{peak_kib} KiB");
}
