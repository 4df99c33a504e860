//! The hash slots of Redis Cluster.

use crc::{CRC_16_XMODEM, Crc, Table};

/// Slots of a cluster, whatever the number of its nodes.
pub(super) const SLOTS: u32 = 16_384;

const XMODEM: Crc<u16, Table<16>> = Crc::<u16, Table<16>>::new(&CRC_16_XMODEM);

/// The slot of a key: CRC16 of its hash tag modulo 16384 (Redis Cluster
/// specification, "Key distribution model" and "Hash tags"; `keyHashSlot` in `cluster.c`).
pub(super) fn slot(key: &[u8]) -> u32 {
    u32::from(XMODEM.checksum(hash_tag(key))) % SLOTS
}

/// What is between the first `{` and the first `}` after it; the whole key
/// where there is no such pair, or nothing between them.
fn hash_tag(key: &[u8]) -> &[u8] {
    let Some(open) = memchr::memchr(b'{', key) else {
        return key;
    };
    let after = &key[open + 1..];
    match memchr::memchr(b'}', after) {
        None | Some(0) => key,
        Some(close) => &after[..close],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_tag_is_the_first_pair_of_braces_unless_it_is_empty() {
        assert_eq!(hash_tag(b"{user}.following"), b"user");
        assert_eq!(hash_tag(b"foo{}{bar}"), b"foo{}{bar}");
        assert_eq!(hash_tag(b"foo{{bar}}zap"), b"{bar");
        assert_eq!(hash_tag(b"foo{bar}{zap}"), b"bar");
        assert_eq!(hash_tag(b"}a{b"), b"}a{b");
    }
}
