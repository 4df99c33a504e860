use super::files;
use crate::testkit::command::{Cmd, cmd, shell};
use crate::testkit::output::Output;
use crate::testkit::random::{self, Random};
use crate::testkit::s3::S3;
use crate::testkit::{number, session};
use rustix::process::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A backup of topic `t`, in a folder or a bucket that is one.
struct Site {
    folder: PathBuf,
    url: String,
    s3: Option<S3>,
}

impl Site {
    fn folder(name: &str) -> Site {
        let folder = session::folder(name).join("b");
        std::fs::create_dir(&folder).unwrap();
        Site {
            url: folder.to_str().unwrap().to_owned(),
            folder,
            s3: None,
        }
    }

    fn bucket() -> Site {
        let s3 = S3::start();
        Site {
            folder: s3.folder().join("backups/b"),
            url: "s3://backups/b".to_owned(),
            s3: Some(s3),
        }
    }

    fn ktee(&self, args: &[&str]) -> Cmd {
        let ktee = cmd("ktee").args(args).arg(&self.url);
        let ktee = ktee.limit(Duration::from_secs(120));
        match &self.s3 {
            Some(s3) => s3.known_to(ktee),
            None => ktee,
        }
    }

    /// A run of these records.
    fn run(&self, input: &str, records: usize) -> Cmd {
        let records = records.to_string();
        self.ktee(&["--tsv=all", "--segment-records", &records])
            .stdin(input)
            .stdout_to("/dev/null")
    }

    fn send(&self, input: &str, records: usize) -> Output {
        self.run(input, records).run()
    }

    fn partition(&self) -> PathBuf {
        self.folder.join("topics/t/partition=0")
    }

    fn segments(&self) -> Vec<PathBuf> {
        let folder = self.partition();
        if !folder.is_dir() {
            return Vec::new();
        }
        let found = files(&folder).into_iter();
        let found = found.filter(|name| {
            let path = Path::new(name);
            path.extension().is_some_and(|end| end == "zst")
        });
        found.map(|name| folder.join(name)).collect()
    }

    /// What the documented names and another reader say: each record, and how often it is there.
    fn read(&self) -> BTreeMap<i64, (String, u32)> {
        let mut all = BTreeMap::new();
        for path in self.segments() {
            let bytes = std::fs::read(&path).unwrap();
            let text = zstd::decode_all(&bytes[..]).unwrap();
            let text = String::from_utf8(text).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap();
            let first = text.lines().next().map(offset_of).unwrap();
            assert_eq!(name, format!("t+0+{first:020}.tsv.zst"));
            for line in text.split_inclusive('\n') {
                let (known, times) = all
                    .entry(offset_of(line))
                    .or_insert_with(|| (line.to_owned(), 0));
                assert_eq!(known, line, "{name}");
                *times += 1;
            }
        }
        all
    }

    fn offsets(&self) -> BTreeSet<i64> {
        self.read().into_keys().collect()
    }

    /// That ktee says of the backup what a foreign reader finds there.
    fn assert_told(&self, may_double: bool, seed: &str) -> BTreeSet<i64> {
        let found = self.read();
        if !may_double {
            for (offset, (_, times)) in &found {
                assert_eq!(*times, 1, "{seed}: offset {offset}");
            }
        }
        let text: String = found.values().map(|(line, _)| line.as_str()).collect();
        let offsets: BTreeSet<i64> = found.into_keys().collect();
        let cat = self.ktee(&["--cat"]).run();
        assert_eq!(cat.text(), text, "{seed}");
        let verify = self.ktee(&["--verify", "-o", "json"]).run();
        let code = verify.status.code();
        if !offsets.is_empty() {
            verify.stdout_has(format!("\"records\":{},", offsets.len()));
        }
        let is_whole = is_whole(&offsets);
        if !is_whole {
            assert_eq!(code, Some(1), "{seed}: {offsets:?}");
        }
        assert_eq!(code, cat.status.code(), "{seed}: verify and cat");
        offsets
    }
}

fn offset_of(line: &str) -> i64 {
    line.split('\t').nth(2).unwrap().parse().unwrap()
}

fn is_whole(offsets: &BTreeSet<i64>) -> bool {
    match (offsets.first(), offsets.last()) {
        (Some(first), Some(last)) => last - first + 1 == offsets.len() as i64,
        _ => false,
    }
}

fn record(offset: i64, generation: u32) -> String {
    let time_ms = 1_700_000_000_000 + offset * 1000;
    format!("t\t0\t{offset}\t{time_ms}\tk{offset}\tvalue {offset} of {generation}\th=1&n\n")
}

fn text(offsets: impl Iterator<Item = i64>) -> String {
    offsets.fold(String::new(), |mut text, offset| {
        let _ = write!(text, "{}", record(offset, 1));
        text
    })
}

/// Offsets from a random one on.
fn some(random: &mut Random, records: usize) -> (i64, i64) {
    let (a, b) = (random.below(records) as i64, random.below(records) as i64);
    (a.min(b), a.max(b))
}

/// Takes away segments, manifests, both, or all there is.
fn lose(site: &Site, random: &mut Random) {
    let segments = site.segments();
    if segments.is_empty() {
        return;
    }
    let gone = &segments[random.below(segments.len())];
    let manifest = gone.with_extension("zst.sha256");
    match random.below(8) {
        0 => std::fs::remove_dir_all(site.partition()).unwrap(),
        1 => std::fs::remove_dir_all(site.folder.join("topics")).unwrap(),
        2 | 3 => drop(std::fs::remove_file(manifest)),
        4 | 5 => std::fs::remove_file(gone).unwrap(),
        _ => {
            drop(std::fs::remove_file(manifest));
            std::fs::remove_file(gone).unwrap();
        }
    }
}

/// Whatever is sent and lost, each run leaves what was there and adds what it was sent.
fn live_through(site: &Site, steps: u64, test: &str) {
    const RECORDS: usize = 400;
    let mut random = Random::new(test);
    for step in 0..steps {
        let seed = format!("KAFKAUTILS_SEED={} step {step}", random::seed());
        let before = site.offsets();
        let (first, last) = some(&mut random, RECORDS);
        let cut = 1 + random.below(60);
        let mut sent: BTreeSet<i64> = (first..=last).collect();
        let what = random.below(8);
        let mut may_double = false;
        if let Some(s3) = &site.s3 {
            s3.lose_answers(random.below(9) as u32);
        }
        match what {
            0 | 1 => {
                lose(site, &mut random);
                continue;
            }
            2 | 3 => {
                // Two at once, of their own ranges or of the same.
                let (a, b) = match random.below(3) {
                    0 => (first, last),
                    _ => some(&mut random, RECORDS),
                };
                sent.extend(a..=b);
                let other = 1 + random.below(60);
                let running = [
                    site.run(&text(first..=last), cut).start(),
                    site.run(&text(a..=b), other).start(),
                ];
                for running in running {
                    // In a bucket both may have stored a record; who notices it says so.
                    let run = running.wait();
                    if site.s3.is_some() && run.status.code() == Some(2) {
                        run.stderr_has("stored twice, because another ktee");
                        may_double = true;
                    } else {
                        run.succeeds();
                    }
                }
            }
            _ => {
                let input = match what {
                    4 => text((first..=last).rev()),
                    5 => text(first..=last) + &text(first..=last),
                    _ => text(first..=last),
                };
                let run = site.send(&input, cut).succeeds();
                let known = sent.intersection(&before).count() as u64;
                let added = sent.len() as u64 - known;
                if known > 0 && what != 5 {
                    run.stderr_has(format!(" {added} added"));
                }
            }
        }
        let found = site.assert_told(may_double, &seed);
        let expected: BTreeSet<i64> = before.union(&sent).copied().collect();
        assert_eq!(found, expected, "{seed}: {what}, {first} to {last}");
        if may_double {
            // What two have stored at once in a bucket would be there twice for all later steps.
            std::fs::remove_dir_all(site.folder.join("topics")).unwrap();
        }
    }
    site.send(&text(0..RECORDS as i64), 100).succeeds();
    let all: BTreeSet<i64> = (0..RECORDS as i64).collect();
    assert_eq!(site.assert_told(false, "at the end"), all);
    site.ktee(&["--verify"]).run().succeeds();
}

/// `KAFKAUTILS_STEPS` makes it longer.
#[test]
fn whatever_is_sent_and_lost_a_folder_has_each_record_once_and_ktee_says_so() {
    let steps = number("KAFKAUTILS_STEPS").unwrap_or(40);
    live_through(&Site::folder("coverage-any"), steps, "folder");
}

#[test]
fn two_writers_whose_answers_are_lost_store_each_record_or_say_which_are_stored_twice() {
    for first in [0, 400, 1000] {
        let site = Site::bucket();
        site.s3.as_ref().unwrap().lose_answers(u32::MAX);
        let writers = [(0..1000, 90), (first..1500, 70)]
            .map(|(offsets, cut)| site.run(&text(offsets), cut).start());
        let doubles = writers.map(|writer| {
            let end = writer.wait();
            if end.status.code() == Some(0) {
                return false;
            }
            end.fails_with(2)
                .stderr_has("stored twice, because another ktee");
            true
        });
        let found = site.assert_told(doubles.contains(&true), "two writers");
        assert_eq!(found, (0..1500).collect());
        site.ktee(&["--verify"]).run().succeeds();
    }
}

#[test]
fn whatever_is_sent_and_lost_a_bucket_has_each_record_and_ktee_says_so() {
    let steps = number("KAFKAUTILS_STEPS").unwrap_or(40) / 4;
    live_through(&Site::bucket(), steps, "bucket");
}

#[test]
fn records_sent_backwards_are_gathered_and_sent_again_they_are_known() {
    let site = Site::folder("coverage-tac");
    let input = text((0..1000).rev());
    site.send(&input, 100).succeeds();
    assert_eq!(site.segments().len(), 10);
    site.assert_told(false, "backwards");
    site.ktee(&["--verify"]).run().succeeds();
    site.send(&input, 70)
        .succeeds()
        .stderr_has("1000 records already in the backup, 0 added");
    site.send(&text(0..1000), 70)
        .succeeds()
        .stderr_has("1000 records already in the backup, 0 added");
    assert_eq!(site.segments().len(), 10);
}

#[test]
fn a_recreated_topic_is_refused_whether_it_is_shorter_or_longer_or_begins_before() {
    let site = Site::folder("coverage-anew");
    site.send(&text(100..200), 30).succeeds();
    let before = files(&site.folder);
    let found = site.offsets();
    for (first, end) in [(100, 110), (120, 150), (100, 300), (50, 300), (199, 230)] {
        let other: String = (first..end).map(|offset| record(offset, 2)).collect();
        let (backwards, at) = ((first..end).rev(), first.max(100));
        for quiet in [&["-q"][..], &[]] {
            let run = site.run(&other, 1000).args(quiet).run();
            run.fails_with(2)
                .stderr_has(format!("offset {at} is another record"));
            assert_eq!(files(&site.folder), before, "{first} to {end}");
        }
        let backwards: String = backwards.map(|offset| record(offset, 2)).collect();
        site.send(&backwards, 1000).fails_with(2);
        assert_eq!(site.offsets(), found);
    }
    // What lies outside of all that is there can't be told apart, and what follows it can.
    let outside: String = (0..20).map(|offset| record(offset, 2)).collect();
    site.send(&outside, 1000).succeeds();
    site.send(&text(0..20), 1000)
        .fails_with(2)
        .stderr_has("offset 0 is another record");
    assert_eq!(site.offsets().len(), 120);
}

/// `KAFKAUTILS_KILLS` makes it longer.
fn live_through_kills(site: &Site, test: &str) {
    const RECORDS: usize = 20_000;
    let mut random = Random::new(test);
    let mut met = 0;
    let kills = number("KAFKAUTILS_KILLS").unwrap_or(12);
    for kill in 0..kills {
        let before = site.offsets();
        let (first, last) = some(&mut random, RECORDS);
        let offsets: Vec<i64> = match random.below(3) {
            0 => (first..=last).rev().collect(),
            _ => (first..=last).collect(),
        };
        let cut = 50 + random.below(500);
        if let Some(s3) = &site.s3 {
            s3.slow_down(random.below(3) as u32);
            s3.conflict(random.below(3) as u32);
        }
        let mut running = site.run(&text(offsets.into_iter()), cut).start();
        std::thread::sleep(Duration::from_millis(random.below(150) as u64));
        met += u64::from(running.runs());
        running.signal(Signal::KILL);
        running.wait();
        let found = site.assert_told(false, &format!("kill {kill}"));
        assert!(found.is_superset(&before), "kill {kill}");
        let sent: BTreeSet<i64> = (first..=last).collect();
        assert!(
            found
                .iter()
                .all(|offset| before.contains(offset) || sent.contains(offset))
        );
    }
    assert!(met * 3 > kills, "{met} of {kills} met a run");
    let known = site.offsets().len();
    let run = site.send(&text(0..RECORDS as i64), 3000).succeeds();
    if known > 0 {
        run.stderr_has(format!("{known} records already in the backup"));
    }
    assert_eq!(site.assert_told(false, "at the end").len(), RECORDS);
    site.ktee(&["--verify"]).run().succeeds();
    let is_temporary = |file: &String| Path::new(file).extension().is_some_and(|end| end == "tmp");
    assert!(!files(&site.folder).iter().any(is_temporary));
    assert!(site.s3.as_ref().is_none_or(|s3| s3.faults_met() > 0));
}

#[test]
fn runs_from_anywhere_that_are_killed_leave_a_folder_that_is_as_ktee_says() {
    live_through_kills(&Site::folder("coverage-kill"), "kill");
}

#[test]
fn runs_from_anywhere_that_are_killed_leave_a_bucket_with_faults_that_is_as_ktee_says() {
    live_through_kills(&Site::bucket(), "kill a bucket");
}

#[test]
fn two_writers_that_begin_elsewhere_in_one_hole_store_each_record_once() {
    let site = Site::folder("coverage-two");
    let inputs = [(0, 6000), (3000, 9000), (1500, 4500)].map(|(first, end)| text(first..end));
    let running: Vec<_> = inputs
        .iter()
        .enumerate()
        .map(|(n, input)| site.run(input, 170 + 40 * n).start())
        .collect();
    for running in running {
        running.wait().succeeds();
    }
    assert_eq!(site.assert_told(false, "two").len(), 9000);
    site.ktee(&["--verify"]).run().succeeds();
    shell("cd b/topics/t/partition=0 && sha256sum --quiet -c *.sha256")
        .inside(site.folder.parent().unwrap())
        .run()
        .succeeds();
}
