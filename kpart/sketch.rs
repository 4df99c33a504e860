//! The heaviest keys of a stream in bounded memory.

use std::collections::HashMap;

use twox_hash::XxHash64;

/// Keys that a pruning keeps at most.
const MAX_KEYS: usize = 32_768;
/// Bytes of a key that are kept for the report.
const PREFIX_BYTES: usize = 128;

/// Counts of the keys that may be heavy: Misra and Gries, "Finding repeated
/// elements" (1982), pruned in batches so that a key costs one look-up.
///
/// A count is never too high, and too low by at most [`Sketch::error`],
/// which is at most the number of records / 32,768. With at most 65,536
/// different keys the counts are exact. Keys are equal if
/// their 64-bit hashes are.
pub(crate) struct Sketch {
    counts: HashMap<u64, KeyCount>,
    error: u64,
}

/// A key and how often it was seen, at least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyCount {
    /// The first 128 bytes of the key.
    pub(crate) key: Vec<u8>,
    /// Records with this key, too few by at most [`Sketch::error`].
    pub(crate) records: u64,
}

impl Sketch {
    pub(crate) fn new() -> Sketch {
        Sketch {
            counts: HashMap::new(),
            error: 0,
        }
    }

    /// By how much a count may be too low.
    pub(crate) fn error(&self) -> u64 {
        self.error
    }

    /// Counts a record of this key.
    pub(crate) fn add(&mut self, key: &[u8]) {
        let id = XxHash64::oneshot(0, key);
        if let Some(entry) = self.counts.get_mut(&id) {
            entry.records += 1;
            return;
        }
        if self.counts.len() >= 2 * MAX_KEYS {
            self.prune();
        }
        let key = key[..key.len().min(PREFIX_BYTES)].to_vec();
        self.counts.insert(id, KeyCount { key, records: 1 });
    }

    /// Subtracts the median from every count and removes the keys without a count.
    ///
    /// At least half of the counts, 32,768, lose the whole median: all prunings
    /// together subtract at most the number of records / 32,768 from a key.
    fn prune(&mut self) {
        let mut records: Vec<u64> = self.counts.values().map(|entry| entry.records).collect();
        let (_, &mut median, _) = records.select_nth_unstable(MAX_KEYS);
        self.error += median;
        self.counts.retain(|_, entry| {
            entry.records = entry.records.saturating_sub(median);
            entry.records > 0
        });
    }

    /// The heaviest keys, heaviest first, without those whose count is within the error: a rare key may have it too.
    pub(crate) fn heaviest(&self, count: usize) -> Vec<&KeyCount> {
        let counts = self.counts.values();
        let mut heaviest: Vec<_> = counts.filter(|key| key.records > self.error).collect();
        heaviest.sort_unstable_by(|a, b| (b.records, &a.key).cmp(&(a.records, &b.key)));
        heaviest.truncate(count);
        heaviest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_keys_are_counted_exactly() {
        let mut sketch = Sketch::new();
        for number in 0..60_000_u32 {
            sketch.add(&number.to_be_bytes());
        }
        sketch.add(b"heavy");
        sketch.add(b"heavy");
        assert_eq!(sketch.error(), 0);
        let heavy = KeyCount {
            key: b"heavy".to_vec(),
            records: 2,
        };
        assert_eq!(sketch.heaviest(1), [&heavy]);
    }

    #[test]
    fn among_a_million_keys_the_heavy_are_found_within_the_bound() {
        let mut sketch = Sketch::new();
        let records = 1_000_000_u64;
        for number in 0..records {
            match number % 10 {
                0 => sketch.add(b"tenth"),
                1 if number % 100 == 1 => sketch.add(b"hundredth"),
                _ => sketch.add(&number.to_be_bytes()),
            }
        }
        assert!(sketch.counts.len() <= 2 * MAX_KEYS);
        assert!(sketch.error() > 0 && sketch.error() <= records / MAX_KEYS as u64);
        let heavy = sketch.heaviest(2);
        for (found, key, exact) in [
            (&heavy[0], "tenth", 100_000),
            (&heavy[1], "hundredth", 10_000),
        ] {
            assert_eq!(found.key, key.as_bytes());
            assert!(found.records <= exact && found.records + sketch.error() >= exact);
        }
    }

    #[test]
    fn a_long_key_is_cut_only_for_the_report() {
        let mut sketch = Sketch::new();
        let mut key = vec![b'k'; 1000];
        sketch.add(&key);
        key[999] = b'l';
        sketch.add(&key);
        let heavy = sketch.heaviest(10);
        assert_eq!(heavy.len(), 2);
        assert!(
            heavy
                .iter()
                .all(|heavy| heavy.key.len() == PREFIX_BYTES && heavy.records == 1)
        );
    }
}
