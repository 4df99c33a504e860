//! The age of a timestamp.

/// Clocks of two machines may differ by this much; a time further in the future is wrong.
pub const CLOCK_TOLERANCE_MS: i64 = 1000;

/// Whether `time_ms` is so far in the future that it has no age: a wrong clock, or a wrong unit.
pub fn is_in_future(time_ms: i64, now_ms: i64) -> bool {
    time_ms.saturating_sub(now_ms) > CLOCK_TOLERANCE_MS
}

/// `None` for a time in the future.
pub fn age_ms(time_ms: i64, now_ms: i64) -> Option<i64> {
    let age_ms = now_ms.saturating_sub(time_ms).max(0);
    (!is_in_future(time_ms, now_ms)).then_some(age_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_in_the_future_has_no_age_unless_clocks_may_differ_by_it() {
        assert_eq!(age_ms(1_000, 5_000), Some(4_000));
        assert_eq!(age_ms(6_000, 5_000), Some(0));
        assert_eq!(age_ms(6_001, 5_000), None);
        assert_eq!(age_ms(i64::MAX, i64::MIN), None);
    }
}
