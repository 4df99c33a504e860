//! The token of Cassandra's `Murmur3Partitioner`.

const C1: u64 = 0x87c3_7b91_1142_53d5;
const C2: u64 = 0x4cf5_ad43_2745_937f;

/// The token of a partition key of one column, given as the column's serialized bytes.
///
/// This is the first half of `murmur3_x64_128` with Cassandra's own difference: the
/// bytes of the tail are sign-extended (`MurmurHash.hash3_x64_128` in Cassandra reads
/// Java's signed bytes), so that a plain Murmur3 disagrees on most keys that are not ASCII.
/// The smallest number is no token: `Murmur3Partitioner.normalize` turns it into the largest.
pub(super) fn token(key: &[u8]) -> i64 {
    match first_half(key) as i64 {
        i64::MIN => i64::MAX,
        token => token,
    }
}

fn first_half(key: &[u8]) -> u64 {
    let (mut h1, mut h2) = (0_u64, 0_u64);
    let blocks = key.chunks_exact(16);
    let tail = blocks.remainder();
    for block in blocks {
        let (low, high) = block.split_at(8);
        h1 ^= scatter_1(little_endian(low));
        h1 = h1.rotate_left(27).wrapping_add(h2);
        h1 = h1.wrapping_mul(5).wrapping_add(0x52dc_e729);
        h2 ^= scatter_2(little_endian(high));
        h2 = h2.rotate_left(31).wrapping_add(h1);
        h2 = h2.wrapping_mul(5).wrapping_add(0x3849_5ab5);
    }
    let (low, high) = tail.split_at(tail.len().min(8));
    if !high.is_empty() {
        h2 ^= scatter_2(sign_extended(high));
    }
    if !low.is_empty() {
        h1 ^= scatter_1(sign_extended(low));
    }
    h1 ^= key.len() as u64;
    h2 ^= key.len() as u64;
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    finish(h1).wrapping_add(finish(h2))
}

fn scatter_1(k: u64) -> u64 {
    k.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2)
}

fn scatter_2(k: u64) -> u64 {
    k.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1)
}

fn finish(mut k: u64) -> u64 {
    k ^= k >> 33;
    k = k.wrapping_mul(0xff51_afd7_ed55_8ccd);
    k ^= k >> 33;
    k = k.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    k ^ (k >> 33)
}

/// Eight bytes of a whole block; blocks, unlike the tail, are read unsigned.
fn little_endian(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |word, &byte| word << 8 | u64::from(byte))
}

/// The tail's bytes as Java adds them up: each extended with its own sign, then shifted, then `xor`ed.
fn sign_extended(bytes: &[u8]) -> u64 {
    bytes.iter().enumerate().fold(0, |word, (at, &byte)| {
        word ^ (i64::from(byte as i8) as u64) << (8 * at)
    })
}
