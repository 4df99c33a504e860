//! `ClickHouse`'s hash functions as sharding keys, and the weights of a Distributed table.

use std::fmt;
use std::str::FromStr;

use siphasher::sip::SipHasher24;
use std::hash::Hasher as _;
use twox_hash::{XxHash32, XxHash64};

use super::algorithm::{NameError, name_of, named};
use super::number::{self, Integer};
use super::{KeyError, cityhash, crc, murmur2};

/// A hash function of `ClickHouse`'s SQL, under its name there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    /// `cityHash64`: `CityHash` 1.0.2 of bytes; `intHash64` of a number.
    CityHash64,
    XxHash64,
    XxHash32,
    /// `sipHash64`: SipHash-2-4 with the key 0.
    SipHash64,
    MurmurHash3,
    /// `intHash32`: of numbers only.
    IntHash32,
    /// `intHash64`: of numbers only.
    IntHash64,
    /// `kafkaMurmurHash`: the Java client's hash, its sign cleared.
    KafkaMurmurHash,
    /// `CRC32`: of bytes only.
    Crc32,
}

/// The type of the column; a value hashes by its memory, so the type decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// `String`: the bytes.
    String,
    /// `Int8` to `UInt64`; `Date` is `uint16`, `DateTime` `uint32`.
    Integer(Integer),
    /// `UUID`: two 64-bit words, each little-endian.
    Uuid,
}

/// A function and the type of the column it is applied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardingKey {
    function: Function,
    column: Type,
}

const FUNCTIONS: [(&str, Function); 9] = [
    ("cityHash64", Function::CityHash64),
    ("xxHash64", Function::XxHash64),
    ("xxHash32", Function::XxHash32),
    ("sipHash64", Function::SipHash64),
    ("murmurHash3_32", Function::MurmurHash3),
    ("intHash32", Function::IntHash32),
    ("intHash64", Function::IntHash64),
    ("kafkaMurmurHash", Function::KafkaMurmurHash),
    ("CRC32", Function::Crc32),
];

impl ShardingKey {
    /// What the function answers for the column's value, given as the text that `ClickHouse` writes for it.
    pub(super) fn hash(self, key: &[u8]) -> Result<u64, KeyError> {
        match self.column {
            Type::String => Ok(hash_bytes(self.function, key)),
            Type::Uuid => {
                let (high, low) = number::uuid(key)?.as_u64_pair();
                let mut memory = [0; 16];
                memory[..8].copy_from_slice(&high.to_le_bytes());
                memory[8..].copy_from_slice(&low.to_le_bytes());
                Ok(hash_bytes(self.function, &memory))
            }
            Type::Integer(kind) => {
                let value = number::integer(key, kind)?;
                let memory = value.to_le_bytes();
                let memory = &memory[..kind.width()];
                Ok(match self.function {
                    Function::IntHash32 => u64::from(int_hash_32(value)),
                    Function::IntHash64 => int_hash_64(value),
                    Function::CityHash64 => int_hash_64(zero_extended(memory)),
                    function => hash_bytes(function, memory),
                })
            }
        }
    }
}

/// `cityHash64` takes a number's own bits, without its sign (`FunctionAnyHash::executeIntType`).
fn zero_extended(memory: &[u8]) -> u64 {
    memory
        .iter()
        .rev()
        .fold(0, |word, &byte| word << 8 | u64::from(byte))
}

fn hash_bytes(function: Function, mut key: &[u8]) -> u64 {
    match function {
        Function::CityHash64 => cityhash::hash(key),
        Function::XxHash64 => XxHash64::oneshot(0, key),
        Function::XxHash32 => u64::from(XxHash32::oneshot(0, key)),
        Function::SipHash64 => {
            let mut hasher = SipHasher24::new_with_keys(0, 0);
            hasher.write(key);
            hasher.finish()
        }
        Function::MurmurHash3 => {
            u64::from(murmur3::murmur3_32(&mut key, 0).expect("reading from a slice cannot fail"))
        }
        Function::KafkaMurmurHash => u64::from(murmur2::positive(key)),
        Function::Crc32 => u64::from(crc::hash(key)),
        Function::IntHash32 | Function::IntHash64 => {
            unreachable!("the parser refuses functions of numbers on anything else")
        }
    }
}

/// `intHash64` in `ClickHouse`'s `src/Common/HashTable/Hash.h` (the finish of Murmur3),
/// with the salt that `IntHash64Impl` in `src/Functions/FunctionsHashing.h` gives it.
fn int_hash_64(mut value: u64) -> u64 {
    value ^= 0x4cf2_d2ba_ae6d_a887;
    value ^= value >> 33;
    value = value.wrapping_mul(0xff51_afd7_ed55_8ccd);
    value ^= value >> 33;
    value = value.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    value ^ (value >> 33)
}

/// `intHash32` of the same two files: Thomas Wang's hash with rotations for shifts.
fn int_hash_32(mut key: u64) -> u32 {
    key ^= 0x75d9_543d_e018_bf45;
    key = (!key).wrapping_add(key << 18);
    key ^= key.rotate_right(31);
    key = key.wrapping_mul(21);
    key ^= key.rotate_right(11);
    key = key.wrapping_add(key << 6);
    key ^= key.rotate_right(22);
    key as u32
}

impl FromStr for ShardingKey {
    type Err = NameError;

    /// Reads `FUNCTION[:TYPE]`. The type defaults to `string`, for functions of numbers to `int64`.
    fn from_str(name: &str) -> Result<Self, NameError> {
        let (function, column) = match name.split_once(':') {
            Some((function, column)) => (function, Some(column)),
            None => (name, None),
        };
        let function = named(&FUNCTIONS, function, "ClickHouse function")?;
        let of_numbers = matches!(function, Function::IntHash32 | Function::IntHash64);
        let column = match column {
            None if of_numbers => Type::Integer(Integer::I64),
            None | Some("string") => Type::String,
            Some("uuid") => Type::Uuid,
            Some(kind) => Type::Integer(named(&Integer::NAMES, kind, "ClickHouse type")?),
        };
        let is_number = matches!(column, Type::Integer(_));
        if of_numbers && !is_number || function == Function::Crc32 && column != Type::String {
            return Err(NameError(format!(
                "ClickHouse defines no clickhouse:{name}"
            )));
        }
        Ok(Self { function, column })
    }
}

impl fmt::Display for ShardingKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(name_of(&FUNCTIONS, &self.function))?;
        match self.column {
            Type::String => Ok(()),
            Type::Uuid => out.write_str(":uuid"),
            Type::Integer(kind) => write!(out, ":{}", name_of(&Integer::NAMES, &kind)),
        }
    }
}

/// The shards of a Distributed table: shard i takes as many remainders as its
/// weight, in the order of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Weights {
    /// `ends[i]` is the first remainder that belongs to a shard after i.
    ends: Vec<u64>,
}

impl Weights {
    /// `None` without a single remainder to give away.
    pub(super) fn new(weights: &[u32]) -> Option<Self> {
        let add = |total: &mut u64, weight: &u32| {
            *total += u64::from(*weight);
            Some(*total)
        };
        let ends: Vec<u64> = weights.iter().scan(0, add).collect();
        ends.last()
            .is_some_and(|&total| total > 0)
            .then_some(Self { ends })
    }

    /// The shard of a hash: `createBlockSelector` in `ClickHouse`'s
    /// `src/Interpreters/createBlockSelector.cpp` (unsigned remainder, then the slot's shard).
    pub(super) fn shard(&self, hash: u64) -> u32 {
        let total = self.ends.last().copied().unwrap_or(1);
        let remainder = hash % total;
        self.ends.partition_point(|&end| end <= remainder) as u32
    }
}
