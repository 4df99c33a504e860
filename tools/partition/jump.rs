//! Jump consistent hash.

/// The bucket of a number: Lamping and Veach, "A Fast, Minimal Memory, Consistent
/// Hash Algorithm" (arXiv 1406.2294, figure 1), which `ClickHouse`'s
/// `jumpConsistentHash` and Guava's `Hashing.consistentHash` follow.
///
/// The crate `jumphash` hashes the number first with a key of its own and agrees with neither.
pub(super) fn bucket(mut key: u64, count: u32) -> u32 {
    const TWO_TO_31: f64 = (1_u64 << 31) as f64;
    let (mut bucket, mut next) = (0_i64, 0_i64);
    while next < i64::from(count) {
        bucket = next;
        key = key.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        next = ((bucket + 1) as f64 * (TWO_TO_31 / ((key >> 33) + 1) as f64)) as i64;
    }
    bucket as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bucket_takes_everything() {
        assert!((0..1000).all(|key| bucket(key, 1) == 0));
    }

    #[test]
    fn a_further_bucket_takes_keys_only_for_itself() {
        for key in 0..10_000 {
            let (before, after) = (bucket(key, 11), bucket(key, 12));
            assert!(before == after || after == 11, "{key}: {before} -> {after}");
        }
    }
}
