use super::{files, lines};
use crate::testkit::broker::shared_kafka;
use crate::testkit::cluster::{Cluster, Record};
use crate::testkit::command::{cmd, shell};
use crate::testkit::output::Output;
use crate::testkit::s3::S3;
use crate::testkit::session;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn ktee(folder: &Path, args: &[&str]) -> Output {
    cmd("ktee").args(args).inside(folder).run()
}

fn send(folder: &Path, args: &[&str], input: &str) -> Output {
    cmd("ktee")
        .args(["--tsv=all", "--segment-records", "10"])
        .args(args)
        .arg("b/")
        .inside(folder)
        .stdin(input)
        .run()
}

fn segment(folder: &Path, first: i64) -> PathBuf {
    folder.join(format!("b/topics/t/partition=0/t+0+{first:020}.tsv.zst"))
}

/// As a rule of a bucket removes it.
fn expire(folder: &Path, first: i64) {
    let path = segment(folder, first);
    std::fs::remove_file(path.with_extension("zst.sha256")).unwrap();
    std::fs::remove_file(path).unwrap();
}

#[test]
fn what_is_pruned_is_removed_and_not_missed_and_nothing_else_is_excused() {
    let folder = session::folder("upkeep-prune");
    // Hours apart, so that a slow machine makes no difference.
    let hour = |offset: i64| 1_700_000_000 + offset * 3600;
    let lines = |first: i64, count: i64| {
        (first..first + count).fold(String::new(), |mut text, offset| {
            let _ = writeln!(text, "t\t0\t{offset}\t{}000\tk\tv\t\\N", hour(offset));
            text
        })
    };
    let older_than = |offset: i64| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        format!("{}s", now.unwrap().as_secs() as i64 - hour(offset))
    };
    send(&folder, &[], &lines(0, 45)).succeeds();
    for removed in ["2 segments", "0 segments"] {
        // The segment that has this offset stays whole.
        ktee(&folder, &["--prune", &older_than(25), "b"])
            .succeeds()
            .stderr_has(format!("{removed} removed"));
        assert!(!segment(&folder, 10).exists() && segment(&folder, 20).exists());
        ktee(&folder, &["--verify", "b"])
            .succeeds()
            .stdout_has("t\t0\t3\t25\t20\t44\t");
        ktee(&folder, &["--cat", "b"])
            .succeeds()
            .stdout_is(lines(20, 25));
    }
    ktee(&folder, &["--prune", &older_than(31), "-q", "b"])
        .succeeds()
        .stderr_is("");
    let notes = files(&folder.join("b/topics/t"));
    let notes = notes.iter().filter(|path| path.contains("pruned+"));
    assert_eq!(notes.count(), 1, "one range, one note");
    send(&folder, &[], &lines(40, 20)).succeeds();
    ktee(&folder, &["--verify", "b"]).succeeds();
    expire(&folder, 40);
    ktee(&folder, &["--verify", "b"])
        .fails_with(1)
        .stdout_has("offsets 40 to 44 are missing");
    ktee(&folder, &["--prune", "100000d", "b"]).succeeds();
    assert!(segment(&folder, 30).exists());
}

#[test]
fn a_bucket_that_deletes_may_lack_old_segments_and_no_others() {
    let folder = session::folder("upkeep-expire");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now_ms = now.unwrap().as_millis() as i64;
    let new = (20..45).fold(String::new(), |mut text, offset| {
        let _ = writeln!(text, "t\t0\t{offset}\t{now_ms}\tk\tv\t\\N");
        text
    });
    send(
        &folder,
        &["--expire-after", "90d"],
        &(lines("t", 0, 20) + &new),
    )
    .succeeds();
    ktee(&folder, &["--verify", "b"]).succeeds();
    for first in [10, 0] {
        expire(&folder, first);
        ktee(&folder, &["--verify", "b"]).succeeds();
    }
    ktee(&folder, &["--cat", "b"]).succeeds().stdout_is(&new);
    for first in [30, 40] {
        let path = segment(&folder, first);
        let (segment, manifest) = (path.clone(), path.with_extension("zst.sha256"));
        let kept = [&segment, &manifest].map(|path| std::fs::read(path).unwrap());
        expire(&folder, first);
        ktee(&folder, &["--verify", "b"])
            .fails_with(1)
            .stdout_has(format!("offsets {first} to "));
        std::fs::write(segment, &kept[0]).unwrap();
        std::fs::write(manifest, &kept[1]).unwrap();
    }
    ktee(&folder, &["--verify", "b"]).succeeds();
}

#[test]
fn a_damaged_segment_is_moved_aside_and_its_records_are_sent_again() {
    let s3 = S3::start();
    let folder = session::folder("upkeep-quarantine");
    let local = folder.join("b");
    let url = local.to_str().unwrap().to_owned();
    for (place, root) in [
        (url.as_str(), local),
        ("s3://backups/b", s3.folder().join("backups/b")),
    ] {
        let ktee = |args: &[&str]| s3.known_to(cmd("ktee").args(args).arg(place).inside(&folder));
        let send = || {
            ktee(&["--tsv=all", "--segment-records", "10"])
                .stdin(lines("t", 0, 25))
                .run()
        };
        std::fs::create_dir_all(&root).unwrap();
        send().succeeds();
        let name = "topics/t/partition=0/t+0+00000000000000000010.tsv.zst";
        let mut bytes = std::fs::read(root.join(name)).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(root.join(name), &bytes).unwrap();
        ktee(&["--verify"])
            .run()
            .fails_with(1)
            .stderr_has("ktee --verify --quarantine");
        // It is copied; that it was deleted is not answered.
        s3.lose_answers(3);
        let faults = s3.faults_met();
        ktee(&["--verify", "--quarantine"])
            .run()
            .fails_with(1)
            .stdout_has("offsets 10 to 19 are missing");
        assert_eq!(s3.faults_met() > faults, place != url);
        assert!(!root.join(name).exists());
        let aside = root.join("quarantine").join(name);
        assert_eq!(std::fs::read(aside).unwrap(), bytes);
        send()
            .succeeds()
            .stderr_has("15 records already in the backup, 10 added");
        ktee(&["--verify"]).run().succeeds();
        ktee(&["--cat"])
            .run()
            .succeeds()
            .stdout_is(lines("t", 0, 25));
    }
}

#[test]
fn a_group_that_began_at_the_end_is_filled_in_from_the_beginning() {
    let folder = session::folder("upkeep-past");
    send(&folder, &[], &lines("t", 1000, 10)).succeeds();
    send(&folder, &[], &lines("t", 0, 1010))
        .succeeds()
        .stderr_has("10 records already in the backup, 1000 added");
    ktee(&folder, &["--verify", "b"]).succeeds();
    ktee(&folder, &["--cat", "b"])
        .succeeds()
        .stdout_is(lines("t", 0, 1010));
}

#[test]
fn a_backup_of_the_first_version_is_read_verified_and_goes_on() {
    let folder = session::folder("upkeep-first");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ktee-0.1");
    shell("cp -r $FIXTURE b && chmod -R u+w b")
        .env("FIXTURE", fixture)
        .inside(&folder)
        .run()
        .succeeds();
    // JSON without a hole, TSV with one where a run began.
    ktee(&folder, &["--verify", "-t", "audit", "b"])
        .succeeds()
        .stdout_has("audit\t0\t2\t15\t0\t14\t");
    ktee(&folder, &["--verify", "-t", "orders", "b"])
        .fails_with(1)
        .stdout_has("offsets 25 to 27 are missing");
    ktee(&folder, &["--cat", "-t", "audit", "b"])
        .succeeds()
        .stdout_is(lines("audit", 0, 15));
    let before = files(&folder.join("b/topics"));
    send(&folder, &[], &lines("audit", 0, 15))
        .succeeds()
        .stderr_has("15 records already in the backup, 0 added");
    let mut after = files(&folder.join("b/topics"));
    after.retain(|path| !path.ends_with("/head.tsv"));
    assert_eq!(after, before);
    send(&folder, &[], &lines("audit", 10, 20))
        .succeeds()
        .stderr_has("5 records already in the backup, 15 added");
    send(
        &folder,
        &[],
        &lines("audit", 3, 2).replace("value", "other"),
    )
    .fails_with(2)
    .stderr_has("offset 3 is another record");
    send(&folder, &[], &lines("orders", 23, 12))
        .succeeds()
        .stderr_has("9 records already in the backup, 3 added");
    ktee(&folder, &["--verify", "b"]).succeeds();
    ktee(&folder, &["--cat", "-t", "audit", "b"])
        .succeeds()
        .stdout_is(lines("audit", 0, 30));
}

#[test]
fn what_retention_took_between_two_runs_is_told_until_it_is_accepted() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("upkeep-retention", 1, &[]);
    let produce = |count: usize| {
        let records: Vec<Record> = (0..count).map(|n| Record::of(format!("{n}"))).collect();
        kafka.produce(&topic, &records);
    };
    let folder = session::folder("upkeep-retention");
    let pipe = || {
        shell(
            "kcat-lite -C -b $BROKERS -t $TOPIC -o beginning -e -q --tsv=all | \
             ktee -q -b $BROKERS --tsv=all b/ >/dev/null",
        )
        .env("BROKERS", kafka.bootstrap())
        .env("TOPIC", &topic)
        .inside(&folder)
        .run()
        .succeeds()
    };
    produce(20);
    pipe();
    produce(20);
    kafka.delete_before(&topic, 30);
    pipe().stderr_has("offsets 20 to 29 were deleted from the topic before they were backed up");
    for _ in 0..2 {
        ktee(&folder, &["--verify", "b"])
            .fails_with(1)
            .stdout_has("offsets 20 to 29 were deleted")
            .stderr_has("ktee --verify --accept b");
        pipe().stderr_is("");
    }
    ktee(&folder, &["--verify", "--accept", "b"]).succeeds();
    ktee(&folder, &["--verify", "b"]).succeeds();
}
