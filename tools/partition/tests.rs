//! The recorded answers of the real implementations, and what they do not cover.

use super::*;

/// `tests/vectors/README.md` names the implementation of each row.
const VECTORS: &str = include_str!("../../tests/vectors/partitions.tsv");

/// Further keys, every length among them; `tests/vectors/more.py` made it.
const MORE: &str = include_str!("../../tests/vectors/more.tsv");

/// The shards that a Distributed table with weights chose.
const DISTRIBUTED: &str = include_str!("../../tests/vectors/distributed.tsv");

/// The `--algo` of a row's algorithm.
fn algo_of(row: &str) -> Option<&'static str> {
    Some(match row {
        "java-murmur2" => "java",
        "librdkafka-consistent" => "consistent",
        "librdkafka-consistent_random" => "consistent_random",
        "librdkafka-murmur2" => "murmur2",
        "librdkafka-murmur2_random" => "murmur2_random",
        "librdkafka-fnv1a" => "fnv1a",
        "librdkafka-fnv1a_random" => "fnv1a_random",
        "sarama-hash" => "sarama",
        "sarama-reference" => "sarama-reference",
        "mysql-CRC32 mod n" => "mysql-crc32",
        "mariadb-HASH(bigint)" => "mysql-hash",
        "jump-consistent(u64)" => "jump",
        "jump-consistent(xxHash64(key))" => "jump:xxHash64",
        "postgres-hash(text)" => "postgres:text",
        "postgres-hash(bytea)" => "postgres:bytea",
        "postgres-hash(bigint)" => "postgres:bigint",
        "postgres-hash(uuid)" => "postgres:uuid",
        "postgres-hashtext(raw u32; Citus/PL-Proxy style)" => "hashtext",
        "clickhouse-CRC32" => "clickhouse:CRC32",
        "clickhouse-cityHash64" => "clickhouse:cityHash64",
        "clickhouse-cityHash64(Int64)" => "clickhouse:cityHash64:int64",
        "clickhouse-intHash32(Int64)" => "clickhouse:intHash32",
        "clickhouse-intHash64(Int64)" => "clickhouse:intHash64",
        "clickhouse-kafkaMurmurHash" => "clickhouse:kafkaMurmurHash",
        "clickhouse-murmurHash3_32" => "clickhouse:murmurHash3_32",
        "clickhouse-sipHash64" => "clickhouse:sipHash64",
        "clickhouse-sipHash64(Int64)" => "clickhouse:sipHash64:int64",
        "clickhouse-xxHash32" => "clickhouse:xxHash32",
        "clickhouse-xxHash64" => "clickhouse:xxHash64",
        "clickhouse-xxHash64(Int64)" => "clickhouse:xxHash64:int64",
        "redis-cluster-slot(crc16%16384,hashtag)" => "redis",
        "cassandra-murmur3-token" => "cassandra",
        _ => return None,
    })
}

/// The key that a column of either table writes down.
fn key_of(column: &str) -> Option<Vec<u8>> {
    let spread = |length: &str| {
        let length: usize = length.parse().unwrap();
        (0..length).map(move |i| (i * i * 31 + i * 7 + length * 13 + 5) as u8)
    };
    Some(match column.split_once(':') {
        None if column == "\\N" => return None,
        None if column == "-" => Vec::new(),
        None => (0..column.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&column[at..at + 2], 16).unwrap())
            .collect(),
        Some(("int" | "uuid", text)) => text.as_bytes().to_vec(),
        Some(("bytes", length)) => spread(length).collect(),
        Some(("ascii", length)) => spread(length).map(|byte| 33 + byte % 94).collect(),
        Some(_) => panic!("an unknown kind of key: {column}"),
    })
}

fn partitioner(algo: &str, count: Option<u32>) -> Partitioner {
    let algorithm: Algorithm = algo.parse().unwrap();
    let count = count.filter(|_| algorithm.takes_count());
    Partitioner::new(algorithm, count, &[]).unwrap()
}

fn partition(algo: &str, count: u32, key: &[Option<&[u8]>]) -> Result<Partition, KeyError> {
    partitioner(algo, Some(count)).partition(key)
}

#[test]
fn every_recorded_answer_is_given_again() {
    let mut lines = VECTORS.lines();
    assert_eq!(
        lines.next(),
        Some("algo\timpl\tkey_hex\tpartitions\thash\tpartition")
    );
    let mut rows = 0;
    for line in lines {
        let [row, _, key, count, hash, wanted] = *line.split('\t').collect::<Vec<_>>() else {
            panic!("six columns: {line}");
        };
        let algo = algo_of(row).unwrap_or_else(|| panic!("no algorithm for {row}"));
        let key = key_of(key);
        let found = partitioner(algo, count.parse().ok())
            .partition(&[key.as_deref()])
            .unwrap();
        if wanted.starts_with("random(") {
            assert_eq!(found, Partition::Random, "{line}");
        } else {
            // A token is in the column of hashes.
            let wanted = if wanted.is_empty() { hash } else { wanted };
            assert_eq!(found.label().to_string(), wanted, "{line}");
        }
        rows += 1;
    }
    assert_eq!(rows, 828);
}

#[test]
fn further_keys_have_the_partitions_of_the_real_implementations() {
    let mut rows = 0;
    for line in MORE.lines().skip(1) {
        let [algo, _, key, count, _, wanted] = *line.split('\t').collect::<Vec<_>>() else {
            panic!("six columns: {line}");
        };
        let key: Vec<_> = key.split(',').map(key_of).collect();
        let key: Vec<_> = key.iter().map(Option::as_deref).collect();
        let found = partitioner(algo, count.parse().ok())
            .partition(&key)
            .unwrap();
        assert_eq!(found.label().to_string(), wanted, "{line}");
        rows += 1;
    }
    assert_eq!(rows, 5981);
}

#[test]
fn weighted_shards_are_those_of_a_distributed_table() {
    let algorithm = "clickhouse:cityHash64".parse().unwrap();
    let partitioner = Partitioner::new(algorithm, None, &[9, 0, 10, 1]).unwrap();
    let mut rows = 0;
    for line in DISTRIBUTED.lines().skip(1) {
        let (key, shard) = line.split_once('\t').unwrap();
        let found = partitioner.partition(&[Some(key.as_bytes())]).unwrap();
        assert_eq!(found.label().to_string(), shard, "{key}");
        rows += 1;
    }
    assert_eq!(rows, 400);
}

#[test]
fn a_null_key_has_the_partition_of_each_original() {
    use Partition::{Number, Random};
    for (algo, null, empty) in [
        ("java", Random, Number(9)),
        ("consistent", Number(0), Number(0)),
        ("consistent_random", Random, Random),
        ("murmur2", Number(9), Number(9)),
        ("murmur2_random", Random, Number(9)),
        ("fnv1a", Number(3), Number(3)),
        ("fnv1a_random", Random, Number(3)),
        ("sarama", Random, Number(3)),
        ("mysql-crc32", Number(0), Number(0)),
    ] {
        assert_eq!(partition(algo, 12, &[None]), Ok(null), "{algo}, NULL");
        assert_eq!(
            partition(algo, 12, &[Some(b"")]),
            Ok(empty),
            "{algo}, empty"
        );
    }
    assert_eq!(partition("postgres:text", 12, &[None]), Ok(Number(0)));
    for algo in [
        "redis",
        "cassandra",
        "hashtext",
        "jump",
        "clickhouse:cityHash64",
    ] {
        let error = partition(algo, 12, &[None]).unwrap_err();
        assert_eq!(error, KeyError::Null(algo.to_owned()));
    }
}

#[test]
fn an_algorithm_is_called_what_it_is_parsed_from() {
    for name in [
        "java",
        "consistent",
        "consistent_random",
        "murmur2",
        "murmur2_random",
        "fnv1a",
        "fnv1a_random",
        "sarama",
        "sarama-reference",
        "mysql-crc32",
        "mysql-hash",
        "jump",
        "jump:xxHash64",
        "jump:cityHash64:uint32",
        "postgres:text",
        "postgres:uuid,smallint,bytea,int",
        "hashtext",
        "clickhouse:CRC32",
        "clickhouse:cityHash64",
        "clickhouse:cityHash64:int64",
        "clickhouse:sipHash64:uuid",
        "clickhouse:intHash32:uint8",
        "redis",
        "cassandra",
    ] {
        assert_eq!(name.parse::<Algorithm>().unwrap().to_string(), name);
    }
}

#[test]
fn a_name_that_is_no_algorithm_is_answered_with_those_that_are() {
    for (name, hint) in [
        ("", "java"),
        ("Java", "murmur2_random"),
        ("postgres", "postgres:TYPE"),
        ("postgres:", "bigint"),
        ("postgres:text,", "bigint"),
        ("clickhouse:cityHash", "cityHash64"),
        ("clickhouse:cityHash64:bigint", "uint8"),
        ("clickhouse:intHash64:string", "defines no"),
        ("clickhouse:CRC32:int64", "defines no"),
        ("redis:x", "clickhouse:"),
    ] {
        let error = name.parse::<Algorithm>().unwrap_err().to_string();
        assert!(error.contains(hint), "{name}: {error}");
    }
}

#[test]
fn a_count_and_weights_are_taken_only_where_they_mean_something() {
    let new = |algo: &str, count, weights: &[u32]| {
        Partitioner::new(algo.parse().unwrap(), count, weights).map(|made| made.partitions())
    };
    assert_eq!(new("java", Some(12), &[]), Ok(Some(12)));
    assert_eq!(
        new("java", Some(i32::MAX as u32), &[]),
        Ok(Some(i32::MAX as u32))
    );
    assert!(matches!(
        new("java", None, &[]),
        Err(SetupError::NoCount(_))
    ));
    assert_eq!(
        new("java", Some(0), &[]),
        Err(SetupError::CountOutOfRange(0))
    );
    assert!(matches!(
        new("java", Some(1 << 31), &[]),
        Err(SetupError::CountOutOfRange(_))
    ));
    assert!(matches!(
        new("java", Some(2), &[1, 2]),
        Err(SetupError::Weights(_))
    ));
    assert_eq!(new("redis", None, &[]), Ok(Some(16_384)));
    assert!(matches!(
        new("redis", Some(12), &[]),
        Err(SetupError::Count(_))
    ));
    assert_eq!(new("cassandra", None, &[]), Ok(None));
    assert_eq!(new("clickhouse:cityHash64", None, &[1, 2]), Ok(Some(2)));
    assert_eq!(new("clickhouse:cityHash64", Some(2), &[1, 2]), Ok(Some(2)));
    assert!(matches!(
        new("clickhouse:cityHash64", Some(3), &[1, 2]),
        Err(SetupError::WeightCount {
            weights: 2,
            count: 3
        })
    ));
    assert_eq!(
        new("clickhouse:cityHash64", None, &[0]),
        Err(SetupError::NoWeight)
    );
}

#[test]
fn a_key_has_as_many_columns_as_the_algorithm_takes() {
    let two = [Some(&b"1"[..]), Some(b"2")];
    assert_eq!(
        partition("java", 12, &two),
        Err(KeyError::Columns {
            expected: 1,
            found: 2
        })
    );
    assert_eq!(
        partition("postgres:int", 12, &two),
        Err(KeyError::Columns {
            expected: 1,
            found: 2
        })
    );
    assert!(partition("postgres:int,bigint", 12, &two).is_ok());
}

#[test]
fn a_key_that_is_no_number_is_named_in_print() {
    let error = partition("postgres:bigint", 12, &[Some(b"12\t\xff")]).unwrap_err();
    assert_eq!(error.to_string(), r"the key is no int64: 12\t\xff");
    let error = partition("jump", 12, &[Some(&[b'9'; 60])]).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the key is no 64-bit integer: {}...", "9".repeat(40))
    );
}

proptest::proptest! {
    #[test]
    fn a_partition_is_always_within_the_count(key: Vec<u8>, count in 1..=i32::MAX as u32) {
        for algo in [
            "java", "consistent", "fnv1a", "sarama-reference", "mysql-crc32", "jump:xxHash64",
            "postgres:text", "clickhouse:sipHash64",
        ] {
            let Ok(Partition::Number(number)) = partition(algo, count, &[Some(&key)]) else {
                panic!("{algo} has a partition for every key");
            };
            proptest::prop_assert!(number < count, "{algo}");
        }
    }
}
