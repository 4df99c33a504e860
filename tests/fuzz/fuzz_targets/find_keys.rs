//! No line makes kpart's search for the key panic, its short ways find what the long ones find, and every key has a place or is refused.
//!
//! The first byte of the input chooses an algorithm. Run it from the root of
//! the repository: `.ci/fuzz find_keys`

#![no_main]
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the modules are the library's own"
)]

// The module names the library `tools`; here that is what stands below.
extern crate self as tools;

#[path = "../../../kpart/keys.rs"]
mod keys;
#[path = "../../../tools"]
mod library {
    pub mod near;
    pub mod partition;
    pub mod record;
    pub mod text;
    pub mod units;
}

use keys::{Key, KeyLocation, KeyReader};
use library::{near, partition, record, text, units};
use libfuzzer_sys::fuzz_target;
use partition::{Partition, Partitioner};

/// One of each kind of reading and hashing.
const ALGORITHMS: [&str; 20] = [
    "java",
    "consistent_random",
    "fnv1a",
    "sarama",
    "mysql-crc32",
    "mysql-hash",
    "jump",
    "jump:cityHash64",
    "redis",
    "cassandra",
    "hashtext",
    "postgres:text",
    "postgres:bytea",
    "postgres:bigint",
    "postgres:smallint",
    "postgres:uuid",
    "clickhouse:cityHash64",
    "clickhouse:xxHash64:uuid",
    "clickhouse:intHash64:int64",
    "clickhouse:sipHash64",
];

const PARTITIONS: u32 = 7;

/// A key as it was found, owned; why there is none.
type Found = Result<Vec<Option<Vec<u8>>>, String>;

fn find(place: KeyLocation, line: &[u8]) -> Found {
    let own = |key: Key<'_>| {
        key.iter()
            .map(|column| column.map(<[u8]>::to_vec))
            .collect()
    };
    let mut keys = KeyReader::new(place).expect("the place can be read");
    keys.with_key(line, own).map_err(|error| error.to_string())
}

fn place(given: &[&str], json: bool) -> KeyLocation {
    let given: Vec<String> = given.iter().map(|&text| text.to_owned()).collect();
    KeyLocation::new(&given, json).expect("the place exists")
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, line)) = data.split_first() else {
        return;
    };
    // What is handed over is a line without its line feed.
    let line = line.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let first = find(place(&[], false), line);
    // The same column twice goes the way of several columns.
    let twice = find(place(&["1,1"], false), line);
    assert_eq!(
        first.clone().map(|key| [key.clone(), key].concat()),
        twice,
        "two ways to the first column"
    );
    let _ = find(place(&["3,1"], false), line);
    let _ = find(place(&[], true), line);
    let _ = find(place(&["/key", "/payload/0/a~1b"], true), line);
    if let Ok(key) = first {
        check_place(ALGORITHMS[usize::from(*choice) % ALGORITHMS.len()], &key[0]);
    }
});

fn check_place(algorithm: &str, key: &Option<Vec<u8>>) {
    let algorithm: partition::Algorithm = algorithm.parse().expect("it exists");
    let count = algorithm.takes_count().then_some(PARTITIONS);
    let partitioner = Partitioner::new(algorithm, count, &[]).expect("it takes a count");
    let again = partitioner.partition(&[key.as_deref()]);
    match partitioner.partition(&[key.as_deref()]) {
        Ok(Partition::Number(number)) => {
            assert!(number < partitioner.partitions().unwrap_or(u32::MAX));
            assert_eq!(again, Ok(Partition::Number(number)), "a key has one place");
        }
        Ok(Partition::Token(_) | Partition::Random) => {}
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
