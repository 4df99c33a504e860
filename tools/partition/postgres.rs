//! `PostgreSQL`'s hash partitioning, and the hash that Citus and PL/Proxy build upon.
//!
//! The functions are those of `src/common/hashfn.c` (Bob Jenkins' lookup3 in
//! `PostgreSQL`'s form) and `compute_partition_hash_value` in
//! `src/backend/partitioning/partbounds.c`, on a little-endian machine: on a
//! big-endian server the hashes of bytes differ, by `PostgreSQL`'s own design.

use super::KeyError;
use super::number::{self, Integer};

/// The seed of every partition hash: `HASH_PARTITION_SEED` in `partbounds.h`.
const PARTITION_SEED: u64 = 0x7A5B_2236_7996_DCFD;

/// The type of a key column, where types of one hash are one: `char(n)` is not among
/// them, nor is text with a non-deterministic collation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Text,
    /// `bytea`: the bytes too, so that both hash alike.
    Bytea,
    Bigint,
    /// `int`: a number hashes in every width alike.
    Int,
    Smallint,
    /// `uuid`: its sixteen bytes.
    Uuid,
}

impl Type {
    /// Every type with the name it has after `postgres:`.
    pub(super) const NAMES: [(&'static str, Self); 6] = [
        ("text", Self::Text),
        ("bytea", Self::Bytea),
        ("bigint", Self::Bigint),
        ("int", Self::Int),
        ("smallint", Self::Smallint),
        ("uuid", Self::Uuid),
    ];

    /// The hash of a value: what the type's `hash_extended` function answers.
    fn hash(self, key: &[u8], seed: u64) -> Result<u64, KeyError> {
        Ok(match self {
            Self::Text | Self::Bytea => hash_bytes_extended(key, seed),
            Self::Bigint => hash_integer(number::integer(key, Integer::I64)? as i64, seed),
            Self::Int => hash_integer(number::integer(key, Integer::I32)? as i64, seed),
            Self::Smallint => hash_integer(number::integer(key, Integer::I16)? as i64, seed),
            Self::Uuid => hash_bytes_extended(number::uuid(key)?.as_bytes(), seed),
        })
    }
}

/// The row hash of the key columns, before the remainder. NULL columns add nothing, so a key of NULLs alone has 0.
pub(super) fn row_hash(types: &[Type], key: &[Option<&[u8]>]) -> Result<u64, KeyError> {
    types
        .iter()
        .zip(key)
        .try_fold(0, |row, (kind, column)| match column {
            None => Ok(row),
            Some(bytes) => Ok(combine(row, kind.hash(bytes, PARTITION_SEED)?)),
        })
}

fn combine(row: u64, hash: u64) -> u64 {
    row ^ hash
        .wrapping_add(0x49a0_f4dd_15e5_a8e3)
        .wrapping_add(row << 54)
        .wrapping_add(row >> 7)
}

/// `hashtext()` of a database whose collation is deterministic: 32 bits, signed.
/// Citus cuts this range into shards; PL/Proxy takes its low bits.
pub(super) fn hashtext(key: &[u8]) -> i32 {
    let mut state = Lookup3::new(key.len(), 0);
    state.absorb(key);
    state.c as i32
}

/// `hashint8extended`, and for numbers of its range `hashint4extended` and `hashint2extended`:
/// the high half is folded in so that equal numbers of different widths hash alike.
fn hash_integer(value: i64, seed: u64) -> u64 {
    let high = (value >> 32) as u32;
    let folded = value as u32 ^ if value >= 0 { high } else { !high };
    let mut state = Lookup3::new(size_of::<u32>(), seed);
    state.a = state.a.wrapping_add(folded);
    state.finish();
    state.both()
}

fn hash_bytes_extended(key: &[u8], seed: u64) -> u64 {
    let mut state = Lookup3::new(key.len(), seed);
    state.absorb(key);
    state.both()
}

/// The three words that lookup3 stirs.
struct Lookup3 {
    a: u32,
    b: u32,
    c: u32,
}

impl Lookup3 {
    fn new(length: usize, seed: u64) -> Self {
        let start = 0x9e37_79b9_u32
            .wrapping_add(length as u32)
            .wrapping_add(3_923_095);
        let mut state = Self {
            a: start,
            b: start,
            c: start,
        };
        if seed != 0 {
            state.a = state.a.wrapping_add((seed >> 32) as u32);
            state.b = state.b.wrapping_add(seed as u32);
            state.mix();
        }
        state
    }

    fn absorb(&mut self, key: &[u8]) {
        let blocks = key.chunks_exact(12);
        let rest = blocks.remainder();
        for block in blocks {
            self.add(block);
            self.mix();
        }
        let mut tail = [0; 12];
        // The length owns the lowest byte of `c`, so the third word starts one byte higher.
        let (words, third) = rest.split_at(rest.len().min(8));
        tail[..words.len()].copy_from_slice(words);
        tail[9..9 + third.len()].copy_from_slice(third);
        self.add(&tail);
        self.finish();
    }

    fn add(&mut self, block: &[u8]) {
        let word = |at: usize| {
            u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]])
        };
        self.a = self.a.wrapping_add(word(0));
        self.b = self.b.wrapping_add(word(4));
        self.c = self.c.wrapping_add(word(8));
    }

    fn mix(&mut self) {
        let Self { a, b, c } = self;
        for shift in [4, 6, 8, 16, 19, 4] {
            *a = a.wrapping_sub(*c) ^ c.rotate_left(shift);
            *c = c.wrapping_add(*b);
            (*a, *b, *c) = (*b, *c, *a);
        }
    }

    fn finish(&mut self) {
        let Self { a, b, c } = self;
        for shift in [14, 11, 25, 16, 4, 14, 24] {
            *c = (*c ^ *b).wrapping_sub(b.rotate_left(shift));
            (*a, *b, *c) = (*b, *c, *a);
        }
        // Seven turns of three words: one more brings each back to its own name.
        (*a, *b, *c) = (*c, *a, *b);
    }

    fn both(&self) -> u64 {
        u64::from(self.b) << 32 | u64::from(self.c)
    }
}
