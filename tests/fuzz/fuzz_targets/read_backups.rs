//! No file in the folder of a backup makes ktee panic, and what it reads of a name or a manifest it writes again.
//!
//! The first line of the input is a folder, the second a file's name, and the
//! rest the file. Run it from the root of the repository: `.ci/fuzz read_backups`

#![no_main]
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the modules are the program's own"
)]

// The modules name the library `tools`; here that is what stands below.
extern crate self as tools;

#[path = "../../../ktee/segment/codec.rs"]
mod codec;
#[path = "../../../ktee/segment/manifest.rs"]
mod manifest;
#[path = "../../../ktee/segment/name.rs"]
mod name;
#[path = "../../../tools"]
mod library {
    pub mod units;
}

use std::io::Read;

use codec::Codec;
use library::units;
use libfuzzer_sys::fuzz_target;
use manifest::Manifest;
use name::{Name, LogId};

/// As much as is read of a file that decompresses to more.
const LIMIT_BYTES: u64 = 1024 * 1024;

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(3, |&byte| byte == b'\n');
    let (Some(folder), Some(file), Some(content)) = (parts.next(), parts.next(), parts.next())
    else {
        return;
    };
    if let (Ok(folder), Ok(file)) = (std::str::from_utf8(folder), std::str::from_utf8(file)) {
        read_name(folder, file);
    }
    if let Some(manifest) = std::str::from_utf8(content).ok().and_then(Manifest::parse) {
        assert_eq!(Manifest::parse(&manifest.text("t")), Some(manifest));
    }
    for codec in [Codec::Zstd, Codec::Gzip, Codec::None] {
        let mut text = Vec::new();
        let reader = codec.reader(content);
        let _ = reader.take(LIMIT_BYTES).read_to_end(&mut text);
    }
});

fn read_name(folder: &str, file: &str) {
    let Some(log) = LogId::of_folder(folder) else { return };
    let again = log.folder();
    assert!(!again.starts_with('/') && !again.split('/').any(|part| part == ".."));
    assert_eq!(LogId::of_folder(&again).as_ref(), Some(&log));
    if let Some(name) = Name::parse(file, &log) {
        let again = name.file(&log);
        assert!(!again.contains('/'));
        assert_eq!(Name::parse(&again, &log), Some(name));
    }
}
