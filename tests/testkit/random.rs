//! Random numbers that a seed gives again.

/// A generator (xorshift64, Marsaglia 2003).
pub(crate) struct Random(u64);

impl Random {
    /// The same numbers for the same test; `KAFKAUTILS_SEED` makes other ones.
    pub(crate) fn new(test: &str) -> Self {
        // FNV-1a
        let mix = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let seed = seed().to_le_bytes();
        let bytes = seed.into_iter().chain(test.bytes());
        Self(bytes.fold(0xcbf2_9ce4_8422_2325, mix) | 1)
    }

    /// One below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }
}

/// `KAFKAUTILS_SEED`.
pub(crate) fn seed() -> u64 {
    super::number("KAFKAUTILS_SEED").unwrap_or(1)
}
