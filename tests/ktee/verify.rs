use super::{lines, segments};
use crate::testkit::command::{Terminal, cmd, shell};
use crate::testkit::session;
use rustix::process::Signal;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn backup(records: i64) -> PathBuf {
    let folder = session::folder("verify");
    cmd("ktee")
        .args(["--tsv=all", "--segment-records", "10", "b/"])
        .inside(&folder)
        .stdin(lines("t", 0, records))
        .run()
        .succeeds();
    folder
}

fn segment(folder: &Path, first: i64) -> PathBuf {
    folder.join(format!("b/topics/t/partition=0/t+0+{first:020}.tsv.zst"))
}

fn remove(folder: &Path, first: i64) {
    let path = segment(folder, first);
    std::fs::remove_file(path.with_extension("zst.sha256")).unwrap();
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_whole_backup_is_a_row_for_each_partition_and_0() {
    let folder = backup(25);
    cmd("ktee")
        .args(["--verify", "b"])
        .inside(&folder)
        .run()
        .succeeds()
        .stdout_is("t\t0\t3\t25\t0\t24\t1700000000000\t1700000024000\t0\t0\t0\t\\N\n");
}

#[test]
fn the_report_has_the_names_of_its_columns_where_they_are_asked_for() {
    let folder = backup(25);
    for options in [
        &["--header"][..],
        &["--header", "--accept"],
        &["--header", "--quarantine"],
        &["-o", "table"],
    ] {
        let report = cmd("ktee")
            .args(["--verify", "b"])
            .args(options)
            .inside(&folder)
            .run()
            .succeeds();
        let first = report.lines()[0].to_lowercase();
        assert!(first.starts_with("topic"), "{options:?}: {first}");
        assert!(first.ends_with("note"), "{options:?}: {first}");
    }
}

#[test]
fn a_segment_that_is_missing_is_a_hole_and_1() {
    for (first, hole) in [(0, "0 to 9"), (10, "10 to 19")] {
        let folder = backup(25);
        std::fs::remove_file(segment(&folder, first)).unwrap();
        let verify = || cmd("ktee").args(["--verify", "b"]).inside(&folder).run();
        verify()
            .fails_with(1)
            .stdout_has(format!("offsets {hole} are missing"));
    }
    let folder = backup(25);
    remove(&folder, 10);
    let verify = cmd("ktee").args(["--verify", "b"]).inside(&folder).run();
    verify
        .fails_with(1)
        .stdout_has("offsets 10 to 19 are missing");
    let folder = backup(25);
    remove(&folder, 0);
    let verify = cmd("ktee").args(["--verify", "b"]).inside(&folder).run();
    verify.fails_with(1).stdout_has("missing");
}

#[test]
fn a_changed_byte_and_a_torn_segment_are_damage_and_1() {
    let folder = backup(25);
    let path = segment(&folder, 10);
    let content = std::fs::read(&path).unwrap();
    let mut changed = content.clone();
    changed[content.len() / 2] ^= 1;
    for bad in [&changed[..], &content[..content.len() - 3], b""] {
        std::fs::write(&path, bad).unwrap();
        cmd("ktee")
            .args(["--verify", "b"])
            .inside(&folder)
            .run()
            .fails_with(1)
            .stdout_has("00010.tsv.zst");
        cmd("ktee")
            .args(["--cat", "b"])
            .inside(&folder)
            .run()
            .fails_with(2);
    }
    std::fs::write(&path, content).unwrap();
    cmd("ktee")
        .args(["--verify", "b"])
        .inside(&folder)
        .run()
        .succeeds();
    // Another file of records, whole in itself.
    std::fs::copy(segment(&folder, 0), &path).unwrap();
    cmd("ktee")
        .args(["--verify", "b"])
        .inside(&folder)
        .run()
        .fails_with(1);
    cmd("ktee")
        .args(["--cat", "b"])
        .inside(&folder)
        .run()
        .fails_with(2)
        .stdout_is(lines("t", 0, 10) + &lines("t", 20, 5))
        .stderr_has("it does not begin as its name says");
}

#[test]
fn gaps_within_a_run_are_no_holes_and_between_runs_they_are_until_a_run_passes_them() {
    let folder = session::folder("verify-gaps");
    let run = |place: &str, input: String| {
        cmd("ktee")
            .args(["--tsv=all", place])
            .inside(&folder)
            .stdin(input)
            .run()
            .succeeds()
    };
    let verify = |place: &str| cmd("ktee").args(["--verify", place]).inside(&folder).run();
    run("b/", lines("t", 0, 5) + &lines("t", 8, 5));
    verify("b")
        .succeeds()
        .stdout_has("3 offsets are no records");
    run("b/", lines("t", 20, 5))
        .stderr_has("offsets 13 to 19 are in neither the backup nor the input");
    verify("b")
        .fails_with(1)
        .stdout_has("offsets 13 to 19 are missing, cause unknown");
    // A run that stores nothing says what it has passed, and only once.
    for _ in 0..2 {
        run("b/", lines("t", 12, 1) + &lines("t", 20, 1));
        verify("b")
            .succeeds()
            .stdout_has("10 offsets are no records");
    }
    let notes = |path: &String| path.contains("absent+");
    let found = super::files(&folder.join("b"));
    assert_eq!(found.into_iter().filter(notes).count(), 1);
    // What is stored beats what was claimed.
    run("b/", lines("t", 15, 2));
    cmd("ktee")
        .args(["--cat", "b"])
        .inside(&folder)
        .run()
        .succeeds()
        .stdout_has("value 16");
    verify("b")
        .succeeds()
        .stdout_has("8 offsets are no records");
}

#[test]
fn cat_gives_an_offset_once_and_verify_tells_overlaps_apart() {
    let folder = backup(25);
    let other = session::folder("verify-overlap");
    cmd("ktee")
        .args(["--tsv=all", "b/"])
        .inside(&other)
        .stdin(lines("t", 5, 10))
        .run()
        .succeeds();
    shell("cp $FROM/b/topics/t/partition=0/* b/topics/t/partition=0/")
        .env("FROM", other)
        .inside(&folder)
        .run()
        .succeeds();
    assert_eq!(segments(&folder.join("b")).len(), 4);
    cmd("ktee")
        .args(["--cat", "b"])
        .inside(&folder)
        .run()
        .succeeds()
        .stdout_is(lines("t", 0, 25));
    let verify = cmd("ktee")
        .args(["--verify", "b", "-o", "json"])
        .inside(&folder)
        .run();
    verify
        .succeeds()
        .stdout_has("\"holes\":0")
        .stdout_has("\"duplicates\":10");
}

/// Duplicates were subtracted from them.
#[test]
fn offsets_that_are_no_records_are_counted_beside_duplicates() {
    let folder = session::folder("verify-absent-overlap");
    let even = |first: i64, last: i64| -> String {
        let offsets = (first..=last).step_by(2);
        offsets.map(|offset| lines("t", offset, 1)).collect()
    };
    for (place, input) in [("b/", even(0, 18)), ("c/", even(10, 28))] {
        let run = cmd("ktee").args(["--tsv=all", place]).inside(&folder);
        run.stdin(input).run().succeeds();
    }
    shell("cp c/topics/t/partition=0/* b/topics/t/partition=0/")
        .inside(&folder)
        .run()
        .succeeds();
    let verify = cmd("ktee").args(["--verify", "b"]).inside(&folder).run();
    verify.succeeds().stdout_has("14 offsets are no records");
}

/// What was accepted in the same run was reported again.
#[test]
fn a_loss_is_accepted_and_a_damaged_segment_moved_aside_at_once_and_again() {
    let folder = backup(25);
    let place = folder.join("b/topics/t/partition=0");
    std::fs::write(
        place.join("expired+00000000000000000030+00000000000000000039.note"),
        "",
    )
    .unwrap();
    let verify = |args: &[&str]| {
        cmd("ktee")
            .arg("--verify")
            .args(args)
            .arg("b")
            .inside(&folder)
            .run()
    };
    verify(&[])
        .fails_with(1)
        .stdout_has("offsets 30 to 39 were deleted");
    for aside in ["", ".2"] {
        let damaged = segment(&folder, 10);
        std::fs::write(&damaged, "damaged").unwrap();
        verify(&["--accept", "--quarantine"])
            .fails_with(1)
            .stdout_has("offsets 10 to 19 are missing")
            .expect(|it| !it.text().contains("deleted"), "it is accepted")
            .stderr_lacks("--accept");
        let name =
            format!("b/quarantine/topics/t/partition=0/t+0+00000000000000000010.tsv.zst{aside}");
        assert_eq!(std::fs::read(folder.join(name)).unwrap(), b"damaged");
        let again = cmd("ktee").args(["--tsv=all", "b/"]).inside(&folder);
        again.stdin(lines("t", 0, 25)).run().succeeds();
    }
    verify(&[]).succeeds();
}

#[test]
fn cat_selects_by_time_topic_and_partition() {
    let folder = session::folder("verify-select");
    let input = lines("t", 0, 25) + &lines("u", 0, 3) + &lines("t", 0, 2).replace("t\t0", "t\t1");
    cmd("ktee")
        .args(["--tsv=all", "--segment-records", "10", "b/"])
        .inside(&folder)
        .stdin(input)
        .run()
        .succeeds();
    let cat = |line: &str| {
        let args = line.split(' ');
        cmd("ktee")
            .args(["--cat", "b"])
            .args(args)
            .inside(&folder)
            .run()
    };
    cat("-t t -p 0 --from 1700000008000 --to 2023-11-14T22:13:40Z")
        .succeeds()
        .stdout_is(lines("t", 8, 12));
    cat("-t u").succeeds().stdout_is(lines("u", 0, 3));
    cat("-p 1")
        .succeeds()
        .stdout_is(lines("t", 0, 2).replace("t\t0", "t\t1"));
    cat("-t v").fails_with(2).stderr_has("no topic v");
}

#[test]
fn a_backup_that_is_not_there_is_2_and_an_empty_one_1() {
    cmd("ktee")
        .args(["--verify", "/no/such/folder"])
        .run()
        .fails_with(2)
        .stderr_has("/no/such/folder");
    let folder = session::folder("verify-empty");
    cmd("ktee")
        .args(["--verify", "."])
        .inside(&folder)
        .run()
        .fails_with(1)
        .stderr_has("no segment");
}

#[test]
fn a_file_of_records_is_read_as_well() {
    let folder = backup(5);
    let path = segment(&folder, 0);
    cmd("ktee")
        .arg("--cat")
        .arg(path)
        .run()
        .succeeds()
        .stdout_is(lines("t", 0, 5));
}

#[test]
fn progress_is_on_a_terminal_and_nothing_of_it_is_left() {
    let folder = session::folder("verify-progress");
    let input = lines("t", 0, 200_000);
    cmd("ktee")
        .args(["-q", "--tsv=all", "--segment-records", "20000", "b/"])
        .inside(&folder)
        .stdin(input)
        .stdout_to("/dev/null")
        .run()
        .succeeds();
    let on_terminal = Terminal {
        stderr: true,
        ..Terminal::default()
    };
    let run = |args: &str| {
        cmd("ktee")
            .args(args.split(' '))
            .inside(&folder)
            .on_terminal(on_terminal)
            .stdout_to("/dev/null")
            .limit(Duration::from_secs(60))
            .run()
            .succeeds()
    };
    for mode in ["--cat b", "--verify b"] {
        let screen = String::from_utf8(run(mode).screen).unwrap();
        assert!(screen.contains(" records, "), "{mode}: {screen:?}");
        assert!(screen.contains('%'), "{mode}: {screen:?}");
        // The last thing on the line is that it is cleared.
        assert!(screen.ends_with("\r\u{1b}[2K"), "{mode}: {screen:?}");
        let quiet = run(&format!("-q {mode}"));
        assert!(quiet.screen.is_empty(), "{mode}");
    }
}

#[test]
fn a_signal_ends_the_reading_of_a_backup() {
    let folder = session::folder("verify-signal");
    cmd("ktee")
        .args(["-q", "--tsv=all", "b/"])
        .inside(&folder)
        .stdin(lines("t", 0, 300_000))
        .stdout_to("/dev/null")
        .run()
        .succeeds();
    for mode in ["--cat", "--verify"] {
        let mut running = cmd("ktee")
            .args([mode, "b"])
            .inside(&folder)
            .stdout_to("/dev/null")
            .start();
        std::thread::sleep(Duration::from_millis(100));
        running.signal(Signal::TERM);
        running.wait().dies_by(Signal::TERM);
    }
}

fn cat(folder: &Path, options: &[&str]) -> crate::testkit::output::Output {
    cmd("ktee")
        .args(["--cat", "b"])
        .args(options)
        .inside(folder)
        .run()
}

#[test]
fn cat_writes_what_is_there_and_names_what_is_missing() {
    let there = lines("t", 0, 10) + &lines("t", 20, 5);
    let folder = backup(25);
    std::fs::remove_file(segment(&folder, 10)).unwrap();
    let missing = "ktee: t [0]: offsets 10 to 19 are missing\n";
    cat(&folder, &[])
        .fails_with(1)
        .stdout_is(&there)
        .stderr_is(missing);
    // The next segment knows it, too.
    std::fs::remove_file(segment(&folder, 10).with_extension("zst.sha256")).unwrap();
    cat(&folder, &[])
        .fails_with(1)
        .stdout_is(&there)
        .stderr_is(missing);
}

#[test]
fn cat_writes_the_segments_around_a_damaged_one_and_nothing_that_is_not_verified() {
    for codec in ["zstd", "gzip", "none"] {
        let folder = session::folder("verify-damaged");
        cmd("ktee")
            .args([
                "--tsv=all",
                "--segment-records",
                "10",
                "--compress",
                codec,
                "b/",
            ])
            .inside(&folder)
            .stdin(lines("t", 0, 25))
            .run()
            .succeeds();
        let path = segments(&folder.join("b"))
            .into_iter()
            .find(|path| path.contains("00010."))
            .map(|path| folder.join("b").join(path))
            .unwrap();
        let content = std::fs::read(&path).unwrap();
        for at in [content.len() / 2, content.len() - 3] {
            let mut damaged = content.clone();
            damaged[at] ^= 4;
            std::fs::write(&path, damaged).unwrap();
            cat(&folder, &[])
                .fails_with(2)
                .stdout_is(lines("t", 0, 10) + &lines("t", 20, 5))
                .stderr_has("offsets 10 to 19 of it can't be read");
        }
        // One that is another's copy.
        let other = path.with_file_name(
            path.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .replace("00010.", "00000."),
        );
        std::fs::copy(other, &path).unwrap();
        cat(&folder, &[])
            .fails_with(2)
            .stdout_is(lines("t", 0, 10) + &lines("t", 20, 5))
            .stderr_has("00010.");
    }
}

#[test]
fn the_blocks_before_a_damaged_one_are_written() {
    let folder = session::folder("verify-blocks");
    // A block has a megabyte.
    let input = lines("t", 0, 60_000);
    cmd("ktee")
        .args(["-q", "--tsv=all", "b/"])
        .inside(&folder)
        .stdin(&input)
        .run()
        .succeeds();
    let path = segment(&folder, 0);
    let mut content = std::fs::read(&path).unwrap();
    let at = content.len() - 100;
    content[at] ^= 1;
    std::fs::write(&path, content).unwrap();
    cat(&folder, &[]).fails_with(2).expect(
        |it| !it.stdout.is_empty() && input.as_bytes().starts_with(&it.stdout),
        "the beginning, and nothing else",
    );
}

#[test]
fn what_is_not_in_the_backup_is_2_and_a_time_without_records_1() {
    let folder = backup(25);
    cat(&folder, &["-t", "nobody"])
        .fails_with(2)
        .stderr_has("no topic nobody");
    cat(&folder, &["-p", "7"])
        .fails_with(2)
        .stderr_has("no partition 7");
    cat(&folder, &["--from", "1700000000"])
        .fails_with(2)
        .stderr_has("@1700000000");
    cat(&folder, &["--from", "@1800000000"])
        .fails_with(1)
        .stdout_is("")
        .stderr_is(
            "ktee: b: no record is in this time range, of 25 records from 2023-11-14T22:13:20.000Z to 2023-11-14T22:13:44.000Z\n",
        );
    cat(&folder, &["--from", "@1700000020"])
        .succeeds()
        .stdout_is(lines("t", 20, 5));
}
