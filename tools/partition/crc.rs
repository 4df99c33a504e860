//! CRC-32, as librdkafka's `consistent` and `MySQL`'s `CRC32()` use it.

/// IEEE CRC-32, as zlib computes it.
pub(super) fn hash(key: &[u8]) -> u32 {
    crc32fast::hash(key)
}

/// `crc32(key) % count`, unsigned: librdkafka's `rd_kafka_msg_partitioner_consistent`,
/// Sarama's `NewConsistentCRCHashPartitioner` and `MySQL`'s `CRC32(key) MOD count`.
pub(super) fn partition(key: &[u8], count: u32) -> u32 {
    hash(key) % count
}
