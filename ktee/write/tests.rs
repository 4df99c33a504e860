use std::path::Path;
use std::time::Duration;
use std::{fs, iter};

use anyhow::Result;
use tools::ack::{ReadStart, StreamKey};
use tools::record::json::Json;
use tools::record::tsv::Tsv;
use tools::record::{Format, Record};

use super::{Backup, Settings};
use crate::destination::{Destination as _, Input, SourceEvent};
use crate::read::{Inventory, Reader, inventory};
use crate::segment::{Codec, Cut, Layout, LogId};
use crate::store::{self, Access};

fn open(root: &Path, input: &Format, records: u64) -> Backup {
    let settings = Settings {
        layout: Layout::Tsv,
        codec: Codec::None,
        cut: Cut {
            bytes: 1 << 20,
            records: Some(records),
        },
        max_delay: Duration::from_secs(60),
        access: Access {
            for_writing: true,
            ..Access::default()
        },
        block_bytes: 1 << 19,
        expire_after: None,
    };
    let root = root.to_str().expect("UTF-8");
    Backup::open(root, input, &settings, None).expect("it is opened")
}

/// Stores records of partition 0 of `t`, by their offsets and values.
fn store<'r>(backup: &mut Backup, records: impl IntoIterator<Item = (i64, &'r str)>) -> Result<()> {
    for (offset, value) in records {
        let record = Record {
            topic: Some("t"),
            partition: Some(0),
            offset: Some(offset),
            timestamp_ms: Some(1000 + offset),
            value: Some(value.as_bytes()),
            ..Record::default()
        };
        write(backup, &record, b"")?;
    }
    backup.finish(&mut || false)
}

fn write(backup: &mut Backup, record: &Record<'_>, text: &[u8]) -> Result<()> {
    let (line, tag) = (1, None);
    let input = Input {
        record,
        text,
        line,
        tag,
    };
    backup.write(&input, &mut || false)
}

// Regression: a panic.
#[test]
fn a_source_that_begins_before_the_end_of_the_backup_may_have_no_record_before_it_ends() {
    let root = tempfile::tempdir().expect("a folder");
    let open = || open(root.path(), &Format::Json(Json::default()), 1);
    store(&mut open(), [0, 8, 12].map(|offset| (offset, "v"))).expect("they are stored");
    let key = StreamKey {
        session: "s".to_owned(),
        topic: "t".to_owned(),
        partition: 0,
    };
    let start = ReadStart {
        topic: "t".to_owned(),
        partition: 0,
        from: Some(5),
        log_start: 0,
    };
    let mut backup = open();
    let event = SourceEvent::NewStream(&key, Some(&start));
    backup.handle_event(&event).expect("it is heard");
    store(&mut backup, [(20, "v")]).expect("it is stored");
}

// Regression: one partition's start was used for another, of which the start of the log was another.
#[test]
fn each_partition_is_read_from_its_own_start() {
    let root = tempfile::tempdir().expect("a folder");
    let open = || open(root.path(), &Format::Json(Json::default()), 100);
    store(&mut open(), (0..10).zip(iter::repeat("v"))).expect("they are stored");
    let mut backup = open();
    for (partition, log_start) in [(0, 0), (1, 40)] {
        let topic = "t".to_owned();
        let key = StreamKey {
            session: "s".to_owned(),
            topic: topic.clone(),
            partition,
        };
        let start = ReadStart {
            topic,
            partition,
            from: None,
            log_start,
        };
        let event = SourceEvent::NewStream(&key, Some(&start));
        backup.handle_event(&event).expect("it is heard");
    }
    store(&mut backup, [(40, "v")]).expect("it is stored");
    let log = LogId::Partition("t".to_owned(), 0);
    let store = store::open(root.path().to_str().expect("UTF-8"), &Access::default());
    let listed = Inventory::list_log(&*store.expect("it is there"), &log).expect("it is listed");
    assert_eq!(listed.markers, []);
}

// Regression: it was the time of the record before the whole run.
#[test]
fn a_segment_behind_a_stored_one_knows_the_time_of_the_record_before_it() {
    let root = tempfile::tempdir().expect("a folder");
    let open = || open(root.path(), &Format::Json(Json::default()), 100);
    store(&mut open(), (5..10).zip(iter::repeat("v"))).expect("they are stored");
    store(&mut open(), (0..20).zip(iter::repeat("v"))).expect("they are stored");
    let log = LogId::Partition("t".to_owned(), 0);
    let store = store::open(root.path().to_str().expect("UTF-8"), &Access::default());
    let store = store.expect("it is there");
    let listed = Inventory::list_log(&*store, &log).expect("it is listed");
    let last = listed.segments.last().expect("a segment");
    let manifest = inventory::manifest(&*store, &log, last).expect("it is read");
    let manifest = manifest.expect("it has one");
    assert_eq!(
        (manifest.first, manifest.after, manifest.after_ms),
        (10, Some(9), Some(1009))
    );
}

// Regression: only the first of the stored segments was compared.
#[test]
fn a_record_that_is_stored_twice_is_compared_with_both() {
    let (root, other) = (tempfile::tempdir(), tempfile::tempdir());
    let (root, other) = (root.expect("a folder"), other.expect("a folder"));
    let open = |root: &Path| open(root, &Format::Json(Json::default()), 10);
    store(&mut open(root.path()), (0..10).zip(iter::repeat("v"))).expect("they are stored");
    let values = iter::repeat_n("other", 5).chain(iter::repeat("v"));
    store(&mut open(other.path()), (5..15).zip(values)).expect("they are stored");
    let folder = "topics/t/partition=0";
    for file in fs::read_dir(other.path().join(folder)).expect("it is there") {
        let file = file.expect("it is listed");
        let copy = root.path().join(folder).join(file.file_name());
        fs::copy(file.path(), copy).expect("it is copied");
    }
    let error = store(&mut open(root.path()), (0..15).zip(iter::repeat("v")));
    let error = error.expect_err("offset 5 is two records").to_string();
    assert!(error.contains("offset 5 is another record"), "{error}");
}

// Regression: the manifest had the times of records, which --verify can't find in lines.
#[test]
fn the_manifest_of_lines_is_what_is_read_back_from_them() {
    let root = tempfile::tempdir().expect("a folder");
    let tsv = Tsv {
        columns: "timestamp,value".parse().expect("columns"),
        ..Tsv::default()
    };
    let mut backup = open(root.path(), &Format::Tsv(tsv), 10);
    let record = Record {
        timestamp_ms: Some(17),
        ..Record::default()
    };
    write(&mut backup, &record, b"17\tv\n").expect("it is taken");
    backup.finish(&mut || false).expect("it is stored");
    let store = store::open(root.path().to_str().expect("UTF-8"), &Access::default());
    let (store, log) = (store.expect("it is there"), LogId::Lines);
    let listed = Inventory::list_log(&*store, &log).expect("it is listed");
    let name = listed.segments.first().expect("a segment");
    let manifest = inventory::manifest(&*store, &log, name).expect("it is read");
    let reader = Reader::open(&*store, &log, name).expect("it is opened");
    assert_eq!(manifest, reader.manifest().ok());
}
