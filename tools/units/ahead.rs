//! Times that lie ahead: what a clock that runs fast, or a wrong unit, leaves in records.

/// Clocks of two machines may differ by this much; a time that is further ahead is wrong.
pub const CLOCK_TOLERANCE_MS: i64 = 1000;

/// Whether `time_ms` lies so far after `now_ms` that no age can be told from it.
pub fn is_ahead(time_ms: i64, now_ms: i64) -> bool {
    time_ms.saturating_sub(now_ms) > CLOCK_TOLERANCE_MS
}

/// The age of what has this time; none where the time lies ahead.
pub fn age_ms(time_ms: i64, now_ms: i64) -> Option<i64> {
    let is_known = !is_ahead(time_ms, now_ms);
    is_known.then(|| now_ms.saturating_sub(time_ms).max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_ahead_has_no_age_and_what_clocks_differ_by_is_now() {
        assert_eq!(age_ms(1_000, 5_000), Some(4_000));
        assert_eq!(age_ms(6_000, 5_000), Some(0));
        assert_eq!(age_ms(6_001, 5_000), None);
        assert_eq!(age_ms(i64::MAX, i64::MIN), None);
    }
}
