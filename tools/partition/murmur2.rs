//! Murmur2 with Kafka's seed, and the two ways in which clients apply it.

/// The hash of the Java client: `org.apache.kafka.common.utils.Utils.murmur2`,
/// as unsigned bits. librdkafka's `rd_murmur2` is the same function.
fn hash(key: &[u8]) -> u32 {
    /// The seed written into `Utils.murmur2`.
    const KAFKA_SEED: u32 = 0x9747_b28c;
    murmur2::murmur2(key, KAFKA_SEED)
}

/// `Utils.toPositive(Utils.murmur2(key))`, which is also `ClickHouse`'s `kafkaMurmurHash`.
///
/// `toPositive` clears the sign bit; it is no absolute value.
pub(super) fn positive(key: &[u8]) -> u32 {
    hash(key) & 0x7fff_ffff
}

/// The partition, as `BuiltInPartitioner.partitionForKey` of the Java client computes it.
pub(super) fn partition(key: &[u8], count: u32) -> u32 {
    positive(key) % count
}
