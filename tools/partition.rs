//! From a key to a partition, as each client and database does it. Pure.
//!
//! Each family of algorithms has a file with its hash functions. NULL and empty
//! keys are treated here, in [`Partitioner::partition`]:
//!
//! | algorithm | NULL key | empty key |
//! |---|---|---|
//! | `java`, `murmur2_random`, `fnv1a_random`, `sarama`, `sarama-reference` | random | hashed |
//! | `consistent_random` | random | random |
//! | `consistent`, `murmur2`, `fnv1a` | as the empty key | hashed |
//! | `mysql-crc32`, `mysql-hash` | partition 0 (`NULL` counts as the number 0) | hashed; no number |
//! | `postgres` | adds nothing to the row's hash; alone: partition 0 | hashed; no number |
//! | `clickhouse`, `jump` | refused: the functions answer NULL, which is no shard | hashed; no number |
//! | `redis`, `cassandra`, `hashtext` | refused: there are no NULL keys | hashed |
//!
//! The producer chooses a random partition itself, so there is no number for it here: [`Partition::Random`].

mod algorithm;
mod cassandra;
mod cityhash;
mod clickhouse;
mod crc;
mod fnv;
mod jump;
mod murmur2;
mod number;
mod postgres;
mod redis;
#[cfg(test)]
mod tests;

use std::num::NonZeroU32;

pub use algorithm::{Algorithm, KafkaPartitioner, NameError};
use clickhouse::Weights;

/// Where a record belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partition {
    /// A partition, shard or slot, counted from 0.
    Number(u32),
    /// A point on a ring or in a range of hashes; the cluster knows which node owns it.
    Token(i64),
    /// The producer chooses.
    Random,
}

impl Partition {
    /// The number in front of a line; random is -1, which Kafka's tools take as "ask the partitioner".
    pub fn label(self) -> i64 {
        match self {
            Self::Number(number) => i64::from(number),
            Self::Token(token) => token,
            Self::Random => -1,
        }
    }
}

/// A key without a partition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The original has no answer for NULL.
    #[error("the key is NULL, for which {0} has no partition")]
    Null(String),
    /// Not the text form of a value of the algorithm's type.
    #[error("the key is no {kind}: {text}")]
    NotA {
        kind: &'static str,
        /// The key, printable, cut to a length that fits a message.
        text: String,
    },
    #[error("the key has {found} columns, the algorithm takes {expected}")]
    Columns { expected: usize, found: usize },
}

impl KeyError {
    fn not_a(kind: &'static str, key: &[u8]) -> Self {
        const SHOWN: usize = 40;
        let mut text = key[..key.len().min(SHOWN)].escape_ascii().to_string();
        if key.len() > SHOWN {
            text.push_str("...");
        }
        Self::NotA { kind, text }
    }
}

/// An algorithm that does not fit the number of partitions or the weights.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// The algorithm takes the remainder of a number of partitions that was not given.
    #[error("{0} needs the number of partitions")]
    NoCount(Algorithm),
    /// The algorithm's answer does not depend on a number of partitions.
    #[error("{0} takes no number of partitions")]
    Count(Algorithm),
    /// Zero, or more than Kafka can number.
    #[error("the number of partitions is 1 to 2147483647, not {0}")]
    CountOutOfRange(u32),
    /// Only `ClickHouse` has shards with weights.
    #[error("{0} has no weights")]
    Weights(Algorithm),
    #[error("the weights add up to nothing")]
    NoWeight,
    #[error("{weights} weights for {count} shards")]
    WeightCount { weights: usize, count: u32 },
}

/// An [`Algorithm`] set up for a number of partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partitioner {
    algorithm: Algorithm,
    /// 1 where the algorithm does not use it.
    count: NonZeroU32,
    weights: Option<Weights>,
}

impl Partitioner {
    /// `weights`, of a `ClickHouse` Distributed table, may replace `count`; empty is "none".
    pub fn new(
        algorithm: Algorithm,
        count: Option<u32>,
        weights: &[u32],
    ) -> Result<Self, SetupError> {
        if !weights.is_empty() && !matches!(algorithm, Algorithm::ClickHouse(_)) {
            return Err(SetupError::Weights(algorithm));
        }
        if let Some(count) = count
            && !weights.is_empty()
            && weights.len() != count as usize
        {
            let weights = weights.len();
            return Err(SetupError::WeightCount { weights, count });
        }
        let count = match (count, algorithm.takes_count()) {
            (Some(_), false) => return Err(SetupError::Count(algorithm)),
            (None, true) if weights.is_empty() => return Err(SetupError::NoCount(algorithm)),
            (None, true) => weights.len() as u32,
            (None, false) => 1,
            (Some(count), true) => count,
        };
        let count = NonZeroU32::new(count)
            .filter(|count| i32::try_from(count.get()).is_ok())
            .ok_or(SetupError::CountOutOfRange(count))?;
        let weights = match weights {
            [] => None,
            weights => Some(Weights::new(weights).ok_or(SetupError::NoWeight)?),
        };
        Ok(Self {
            algorithm,
            count,
            weights,
        })
    }

    /// How many partitions there are; `None` where the answer is a token.
    pub fn partitions(&self) -> Option<u32> {
        match self.algorithm {
            Algorithm::Redis => Some(redis::SLOTS),
            Algorithm::Cassandra | Algorithm::Hashtext => None,
            _ => Some(self.count.get()),
        }
    }

    /// The partition of a key: a slice for each column that the algorithm takes; `None` is NULL.
    ///
    /// # Errors
    /// The original would refuse the key too: see [`KeyError`].
    pub fn partition(&self, key: &[Option<&[u8]>]) -> Result<Partition, KeyError> {
        let count = self.count.get();
        if let Algorithm::Postgres(types) = &self.algorithm {
            if key.len() != types.len() {
                return Err(self.columns(key));
            }
            let row = postgres::row_hash(types, key)?;
            return Ok(Partition::Number((row % u64::from(count)) as u32));
        }
        let &[key] = key else {
            return Err(self.columns(key));
        };
        if let Algorithm::Kafka(kafka) = self.algorithm {
            return Ok(kafka.partition(key, self.count));
        }
        let Some(key) = key else {
            return match self.algorithm {
                Algorithm::MysqlCrc32 | Algorithm::MysqlHash => Ok(Partition::Number(0)),
                _ => Err(KeyError::Null(self.algorithm.to_string())),
            };
        };
        Ok(match &self.algorithm {
            Algorithm::Kafka(_) | Algorithm::Postgres(_) => unreachable!("matched above"),
            Algorithm::MysqlCrc32 => Partition::Number(crc::partition(key, count)),
            Algorithm::MysqlHash => {
                let value = number::integer(key, number::Integer::I64)? as i64;
                Partition::Number((value % i64::from(count)).unsigned_abs() as u32)
            }
            Algorithm::Jump => Partition::Number(jump::bucket(number::any_64_bits(key)?, count)),
            Algorithm::JumpOf(function) => {
                Partition::Number(jump::bucket(function.hash(key)?, count))
            }
            Algorithm::ClickHouse(function) => {
                let hash = function.hash(key)?;
                Partition::Number(match &self.weights {
                    None => (hash % u64::from(count)) as u32,
                    Some(weights) => weights.shard(hash),
                })
            }
            Algorithm::Redis => Partition::Number(redis::slot(key)),
            Algorithm::Cassandra => Partition::Token(cassandra::token(key)),
            Algorithm::Hashtext => Partition::Token(postgres::hashtext(key).into()),
        })
    }

    fn columns(&self, key: &[Option<&[u8]>]) -> KeyError {
        KeyError::Columns {
            expected: self.algorithm.columns(),
            found: key.len(),
        }
    }
}

impl KafkaPartitioner {
    /// The partition of a key as a Kafka client chooses it, or random where the client would.
    #[inline]
    pub fn partition(self, key: Option<&[u8]>, count: NonZeroU32) -> Partition {
        let key = match (self, key) {
            (Self::Consistent | Self::Murmur2 | Self::Fnv1a, None) => b"",
            (_, None) | (Self::ConsistentRandom, Some(b"")) => return Partition::Random,
            (_, Some(key)) => key,
        };
        let count = count.get();
        Partition::Number(match self {
            Self::Java | Self::Murmur2 | Self::Murmur2Random => murmur2::partition(key, count),
            Self::Consistent | Self::ConsistentRandom => crc::partition(key, count),
            Self::Fnv1a | Self::Fnv1aRandom | Self::Sarama => fnv::partition(key, count),
            Self::SaramaReference => fnv::partition_reference(key, count),
        })
    }
}
