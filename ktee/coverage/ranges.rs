//! A set of offsets, as ranges. Pure.

use std::collections::BTreeMap;

/// Offsets, as disjoint ranges with a gap between any two of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranges {
    /// The last offset of each range by its first.
    by_first: BTreeMap<i64, i64>,
}

impl Ranges {
    /// Adds all offsets from `first` to `last`; none if that is the wrong way round.
    pub(crate) fn insert(&mut self, first: i64, last: i64) {
        if first > last {
            return;
        }
        let (mut first, mut last) = (first, last);
        while let Some((&f, &l)) = self.by_first.range(..=last.saturating_add(1)).next_back() {
            if l < first.saturating_sub(1) {
                break;
            }
            self.by_first.remove(&f);
            (first, last) = (first.min(f), last.max(l));
        }
        self.by_first.insert(first, last);
    }

    /// Takes out all offsets from `first` to `last`.
    pub(crate) fn remove(&mut self, first: i64, last: i64) {
        if first > last {
            return;
        }
        while let Some((&f, &l)) = self.by_first.range(..=last).next_back() {
            if l < first {
                break;
            }
            self.by_first.remove(&f);
            if f < first {
                self.by_first.insert(f, first - 1);
            }
            if l > last {
                self.by_first.insert(last + 1, l);
            }
        }
    }

    /// What is in this one and not in `other`.
    pub(crate) fn without(mut self, other: &Ranges) -> Ranges {
        for (first, last) in other.iter() {
            self.remove(first, last);
        }
        self
    }

    /// First and last offset of each range, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        self.by_first.iter().map(|(first, last)| (*first, *last))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_first.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn offsets(ranges: &Ranges) -> BTreeSet<i64> {
        ranges
            .iter()
            .flat_map(|(first, last)| first..=last)
            .collect()
    }

    proptest! {
        #[test]
        fn ranges_are_a_set_of_offsets(steps in prop::collection::vec((any::<bool>(), 0..60_i64, -2..20_i64), 0..40)) {
            let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
            for (adds, first, length) in steps {
                let last = first + length;
                if adds {
                    ranges.insert(first, last);
                    set.extend(first..=last);
                } else {
                    ranges.remove(first, last);
                    set.retain(|offset| *offset < first || *offset > last);
                }
                prop_assert_eq!(&offsets(&ranges), &set);
                let all: Vec<_> = ranges.iter().collect();
                prop_assert!(all.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
            }
        }

        #[test]
        fn a_difference_is_that_of_sets(
            a in prop::collection::vec((0..60_i64, 0..9_i64), 0..9),
            b in prop::collection::vec((0..60_i64, 0..9_i64), 0..9),
        ) {
            let [a, b] = [a, b].map(|pairs| {
                let mut ranges = Ranges::default();
                for (first, length) in pairs {
                    ranges.insert(first, first + length);
                }
                ranges
            });
            let (x, y) = (offsets(&a), offsets(&b));
            prop_assert_eq!(offsets(&a.without(&b)), x.difference(&y).copied().collect());
        }
    }

    #[test]
    fn the_ends_of_the_numbers_are_no_trap() {
        let mut ranges = Ranges::default();
        ranges.insert(i64::MAX - 1, i64::MAX);
        ranges.insert(i64::MIN, 0);
        ranges.remove(5, 4);
        ranges.remove(i64::MAX, i64::MAX);
        assert_eq!(
            ranges.iter().collect::<Vec<_>>(),
            [(i64::MIN, 0), (i64::MAX - 1, i64::MAX - 1)]
        );
    }
}
