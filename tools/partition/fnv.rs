//! FNV-1a in 32 bits, and the two ways in which it becomes a partition.

/// FNV-1a, 32 bits (draft-eastlake-fnv, section 2). The crate `fnv` has only the 64-bit form.
pub(super) fn hash(key: &[u8]) -> u32 {
    const OFFSET_BASIS: u32 = 0x811c_9dc5;
    const PRIME: u32 = 0x0100_0193;
    key.iter().fold(OFFSET_BASIS, |hash, &byte| {
        (hash ^ u32::from(byte)).wrapping_mul(PRIME)
    })
}

/// librdkafka's `rd_kafka_msg_partitioner_fnv1a` and Sarama's `NewHashPartitioner`:
/// the signed remainder, its sign dropped.
pub(super) fn partition(key: &[u8], count: u32) -> u32 {
    ((i64::from(hash(key) as i32)) % i64::from(count)).unsigned_abs() as u32
}

/// Sarama's `NewReferenceHashPartitioner`: the sign bit is cleared before the
/// remainder, as the Java client does with its own hash.
pub(super) fn partition_reference(key: &[u8], count: u32) -> u32 {
    (hash(key) & 0x7fff_ffff) % count
}
