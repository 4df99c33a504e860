//! The names of the algorithms.

use std::fmt;
use std::str::FromStr;

use super::clickhouse::ShardingKey;
use super::postgres::Type;
use crate::near::nearest;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// What a Kafka client does with a key.
    Kafka(KafkaPartitioner),
    /// `CRC32(key) MOD n`, as `PARTITION BY HASH (CRC32(key))` of `MySQL` and `MariaDB`.
    MysqlCrc32,
    /// `PARTITION BY HASH (number)` of `MySQL` and `MariaDB`: the remainder without its sign.
    MysqlHash,
    /// Jump consistent hash of a number.
    Jump,
    /// Jump consistent hash of a hash of `ClickHouse`'s, `jumpConsistentHash(xxHash64(key), n)`.
    JumpOf(ShardingKey),
    /// `PARTITION BY HASH` of `PostgreSQL`, one type for each column of the partition key.
    Postgres(Vec<Type>),
    /// `PostgreSQL`'s `hashtext()`, a token.
    Hashtext,
    /// A sharding key of `ClickHouse`.
    ClickHouse(ShardingKey),
    /// The slot of Redis Cluster.
    Redis,
    /// The token of Cassandra's `Murmur3Partitioner`.
    Cassandra,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KafkaPartitioner {
    /// The Java client: murmur2, NULL is random.
    Java,
    /// librdkafka's `consistent`: CRC-32.
    Consistent,
    /// librdkafka's default: CRC-32, NULL and empty are random.
    ConsistentRandom,
    /// librdkafka's `murmur2`: NULL is hashed as the empty key.
    Murmur2,
    /// librdkafka's `murmur2_random`: as Java.
    Murmur2Random,
    /// librdkafka's `fnv1a`: NULL is hashed as the empty key.
    Fnv1a,
    /// librdkafka's `fnv1a_random`: NULL is random.
    Fnv1aRandom,
    /// Sarama's `NewHashPartitioner`, its default: as `fnv1a_random`.
    Sarama,
    /// Sarama's `NewReferenceHashPartitioner`.
    SaramaReference,
}

/// The algorithms whose name is one word.
const WORDS: [(&str, Algorithm); 15] = [
    ("java", Algorithm::Kafka(KafkaPartitioner::Java)),
    ("consistent", Algorithm::Kafka(KafkaPartitioner::Consistent)),
    (
        "consistent_random",
        Algorithm::Kafka(KafkaPartitioner::ConsistentRandom),
    ),
    ("murmur2", Algorithm::Kafka(KafkaPartitioner::Murmur2)),
    (
        "murmur2_random",
        Algorithm::Kafka(KafkaPartitioner::Murmur2Random),
    ),
    ("fnv1a", Algorithm::Kafka(KafkaPartitioner::Fnv1a)),
    (
        "fnv1a_random",
        Algorithm::Kafka(KafkaPartitioner::Fnv1aRandom),
    ),
    ("sarama", Algorithm::Kafka(KafkaPartitioner::Sarama)),
    (
        "sarama-reference",
        Algorithm::Kafka(KafkaPartitioner::SaramaReference),
    ),
    ("mysql-crc32", Algorithm::MysqlCrc32),
    ("mysql-hash", Algorithm::MysqlHash),
    ("jump", Algorithm::Jump),
    ("hashtext", Algorithm::Hashtext),
    ("redis", Algorithm::Redis),
    ("cassandra", Algorithm::Cassandra),
];

/// An unknown name; the message lists the known ones.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NameError(pub(super) String);

impl Algorithm {
    /// Whether the algorithm needs a number of partitions.
    pub fn takes_count(&self) -> bool {
        !matches!(self, Self::Redis | Self::Cassandra | Self::Hashtext)
    }

    /// The names that are one word, and the families of the others.
    pub fn names() -> Vec<String> {
        let words = WORDS.iter().map(|(word, _)| *word);
        let families = ["postgres:", "clickhouse:", "jump:"];
        words.chain(families).map(str::to_owned).collect()
    }

    /// How many key columns the algorithm takes.
    pub fn columns(&self) -> usize {
        match self {
            Self::Postgres(types) => types.len(),
            _ => 1,
        }
    }
}

impl FromStr for Algorithm {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        match name.split_once(':') {
            None => named(&WORDS, name, "algorithm").map_err(|NameError(text)| {
                NameError(format!("{text}, postgres:TYPE[,TYPE...], clickhouse:FUNCTION[:TYPE], jump:FUNCTION[:TYPE]"))
            }),
            Some(("postgres", types)) => types
                .split(',')
                .map(|kind| named(&Type::NAMES, kind, "type"))
                .collect::<Result<_, _>>()
                .map(Self::Postgres),
            Some(("clickhouse", function)) => function.parse().map(Self::ClickHouse),
            Some(("jump", function)) => function.parse().map(Self::JumpOf),
            Some((family, _)) => Err(NameError(format!(
                "{family} is no family of algorithms; there are postgres:, clickhouse:, jump:"
            ))),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postgres(types) => {
                out.write_str("postgres")?;
                for (at, kind) in types.iter().enumerate() {
                    out.write_str(if at == 0 { ":" } else { "," })?;
                    out.write_str(name_of(&Type::NAMES, kind))?;
                }
                Ok(())
            }
            Self::ClickHouse(function) => write!(out, "clickhouse:{function}"),
            Self::JumpOf(function) => write!(out, "jump:{function}"),
            word => out.write_str(name_of(&WORDS, word)),
        }
    }
}

/// Looks a name up in a table of names.
pub(super) fn named<T: Clone>(names: &[(&str, T)], name: &str, kind: &str) -> Result<T, NameError> {
    let found = names.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| value.clone()).ok_or_else(|| {
        let known: Vec<&str> = names.iter().map(|(known, _)| *known).collect();
        let meant = nearest(name, known.iter().copied());
        let meant = meant.map_or_else(String::new, |near| format!("is {near} meant? "));
        NameError(format!(
            "{name:?} is no {kind}; {meant}there are {}",
            known.join(", ")
        ))
    })
}

/// The name of a value in a table that has every value.
pub(super) fn name_of<T: PartialEq>(names: &[(&'static str, T)], value: &T) -> &'static str {
    names
        .iter()
        .find(|(_, known)| known == value)
        .map(|(name, _)| *name)
        .expect("the table of names is complete, which a test of each table holds")
}
