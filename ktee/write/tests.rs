use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use tools::ack::{ReadStart, StreamKey};
use tools::record::tsv::Tsv;
use tools::record::{Format, Record};

use super::{Backup, Settings};
use crate::destination::{Destination as _, Input, SourceEvent};
use crate::read::segment::format;
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
        buffer_bytes: 1 << 20,
        expire_after: None,
    };
    let root = root.to_str().expect("UTF-8");
    Backup::open(root, input, &settings, None).expect("it is opened")
}

fn open_all(root: &Path, records: u64) -> Backup {
    open(root, &format(Layout::Tsv).expect("it has one"), records)
}

fn write(backup: &mut Backup, offsets: impl IntoIterator<Item = i64>, value: &str) -> Result<()> {
    for offset in offsets {
        let record = Record {
            topic: Some("t"),
            partition: Some(0),
            offset: Some(offset),
            value: Some(value.as_bytes()),
            ..Record::default()
        };
        let text = format!("t\t0\t{offset}\t\\N\t\\N\t{value}\t\\N\n");
        let input = Input {
            record: &record,
            text: text.as_bytes(),
            line: 1,
            tag: None,
        };
        backup.write(&input, &mut || false)?;
    }
    Ok(())
}

// Regression: a panic.
#[test]
fn a_source_that_begins_before_the_end_of_the_backup_may_have_no_record_before_it_ends() {
    let root = tempfile::tempdir().expect("a folder");
    let mut backup = open_all(root.path(), 1);
    write(&mut backup, [0, 8, 12], "v").expect("they are taken");
    backup.finish(&mut || false).expect("they are stored");
    let mut backup = open_all(root.path(), 1);
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
    let event = SourceEvent::NewStream(&key, Some(&start));
    backup.handle_event(&event).expect("it is heard");
    write(&mut backup, [20], "v").expect("it is taken");
    backup.finish(&mut || false).expect("it is stored");
}

// Regression: only the first of the stored segments was compared.
#[test]
fn a_record_that_is_stored_twice_is_compared_with_both() {
    let (root, other) = (tempfile::tempdir(), tempfile::tempdir());
    let (root, other) = (root.expect("a folder"), other.expect("a folder"));
    let mut backup = open_all(root.path(), 10);
    write(&mut backup, 0..10, "v").expect("they are taken");
    backup.finish(&mut || false).expect("they are stored");
    let mut backup = open_all(other.path(), 10);
    write(&mut backup, 5..10, "other").expect("they are taken");
    write(&mut backup, 10..15, "v").expect("they are taken");
    backup.finish(&mut || false).expect("they are stored");
    let folder = "topics/t/partition=0";
    for file in fs::read_dir(other.path().join(folder)).expect("it is there") {
        let file = file.expect("it is listed");
        let copy = root.path().join(folder).join(file.file_name());
        fs::copy(file.path(), copy).expect("it is copied");
    }
    let mut backup = open_all(root.path(), 10);
    let written = write(&mut backup, 0..15, "v");
    let error = written.and_then(|()| backup.finish(&mut || false));
    let error = error.expect_err("offset 5 is two records");
    assert!(
        error.to_string().contains("offset 5 is another record"),
        "{error:#}"
    );
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
        value: Some(b"v"),
        ..Record::default()
    };
    let input = Input {
        record: &record,
        text: b"17\tv\n",
        line: 1,
        tag: None,
    };
    backup.write(&input, &mut || false).expect("it is taken");
    backup.finish(&mut || false).expect("it is stored");
    let store = store::open(root.path().to_str().expect("UTF-8"), &Access::default());
    let (store, log) = (store.expect("it is there"), LogId::Lines);
    let listed = Inventory::list_log(&*store, &log).expect("it is listed");
    let [name] = &listed.segments[..] else {
        panic!("{:?}", listed.segments);
    };
    let manifest = inventory::manifest(&*store, &log, name).expect("it is read");
    let reader = Reader::open(&*store, &log, name).expect("it is opened");
    let counted = reader.manifest().expect("it is counted");
    assert_eq!(manifest, Some(counted));
}
