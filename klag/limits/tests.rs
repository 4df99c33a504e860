use std::sync::Arc;

use super::*;
use crate::row::Group;

fn lines(text: &str) -> Result<Vec<LimitLine>> {
    let lines = text
        .lines()
        .map(|line| LimitLine::parse(line, "f, line 1", parse_messages));
    Ok(lines
        .collect::<Result<Vec<_>>>()?
        .into_iter()
        .flatten()
        .collect())
}

fn row(group: &str, topic: &str, lag: Option<i64>) -> Row {
    let mut row = Row {
        group: Some(Arc::new(Group {
            name: group.to_owned(),
            ..Group::default()
        })),
        topic: Some(topic.into()),
        partition: Some(0),
        ..Row::default()
    };
    row.lag.lag = lag;
    row
}

fn max_lag(limit: i64) -> Limits {
    Limits {
        lag: Limit::new(&[LimitArg::Number(limit)], parse_messages).unwrap(),
        ..Limits::default()
    }
}

#[test]
fn the_first_line_that_fits_counts() {
    let limit = Limit {
        lines: lines("# group topic limit\n\nbill orders 5\n^web-  *\t7\n* ^log 0\n").unwrap(),
        others: Some(100),
    };
    assert_eq!(limit.of("bill", "orders"), Some(5));
    assert_eq!(limit.of("bill", "stock"), Some(100));
    assert_eq!(limit.of("web-1", "logs"), Some(7));
    assert_eq!(limit.of("x", "logs"), Some(0));
    assert_eq!(Limit::default().of("x", "logs"), None);
}

#[test]
fn a_line_that_never_counts_is_known() {
    let covers = |first: &str, second: &str| {
        let both = lines(&format!("{first} 1\n{second} 2")).unwrap();
        both[0].covers(&both[1])
    };
    assert!(covers("* *", "shop orders") && covers("^sh ^o", "shop orders"));
    assert!(covers("shop *", "shop ^o") && covers("^sh *", "^sh ^o"));
    assert!(!covers("shop orders", "* *") && !covers("^sh *", "^shop *"));
    assert!(!covers("* stock", "shop orders"));
}

#[test]
fn a_line_that_is_none_is_refused() {
    for text in ["a b", "a b c", "a b 1 2", "a ^( 1", "a b -1", "a b 1x"] {
        assert!(lines(text).is_err(), "{text}");
    }
    assert!(
        LimitLine::parse("a b 5m", "", parse_time)
            .unwrap()
            .is_some()
    );
}

#[test]
fn a_limit_is_typed_whole() {
    assert!(matches!(messages_limit("10"), Ok(LimitArg::Number(10))));
    assert!(matches!(time_limit("5m"), Ok(LimitArg::Number(300_000))));
    assert!(matches!(messages_limit("@f"), Ok(LimitArg::File(_))));
    for text in ["", "-1", "1.5", "1x", "@"] {
        assert!(messages_limit(text).is_err(), "{text}");
    }
    assert!(time_limit("5").is_err() && time_limit("0s").is_err());
}

#[test]
fn what_is_at_its_limit_is_within_it() {
    let limits = max_lag(10);
    assert!(!limits.mark_exceeded(&mut row("g", "t", Some(10))));
    let mut over = row("g", "t", Some(11));
    assert!(limits.mark_exceeded(&mut over));
    assert_eq!(over.lag.notes, [LagNote::Over("lag 11 over 10".to_owned())]);
}

#[test]
fn what_is_blocked_counts_for_the_lag() {
    let mut row = row("g", "t", Some(0));
    row.lag.blocked = Some(11);
    assert!(max_lag(10).mark_exceeded(&mut row));
}

#[test]
fn the_unknown_exceeds_unless_it_is_let_pass() {
    let mut limits = max_lag(10);
    let mut sum = row("g", "", Some(3));
    sum.unknown.lag = 2;
    for rule in [UnknownRule::Usual, UnknownRule::Fail] {
        limits.unknown = rule;
        assert!(limits.mark_exceeded(&mut row("g", "t", None)));
        assert!(limits.mark_exceeded(&mut sum.clone()));
        // Nobody limited its time.
        assert!(!limits.mark_exceeded(&mut row("g", "t", Some(0))));
    }
    limits.unknown = UnknownRule::Pass;
    assert!(!limits.mark_exceeded(&mut row("g", "t", None)));
    assert!(!limits.mark_exceeded(&mut sum));
    // What is known of a sum may exceed the limit alone.
    sum.lag.lag = Some(11);
    assert!(limits.mark_exceeded(&mut sum));
}

#[test]
fn a_sum_of_times_that_are_not_all_known_is_not_within_its_limit() {
    let limits = Limits {
        time: Limit::new(&[LimitArg::Number(60_000)], parse_time).unwrap(),
        ..Limits::default()
    };
    let mut sum = row("g", "", Some(3));
    sum.lag.time_lag_ms = Some(5);
    assert!(!limits.mark_exceeded(&mut sum.clone()));
    sum.unknown.time = 1;
    assert!(limits.mark_exceeded(&mut sum));
}

#[test]
fn a_line_that_is_about_a_part_of_a_sum_is_refused() {
    let limits = |text: &str| Limits {
        lag: Limit {
            lines: lines(text).unwrap(),
            others: None,
        },
        ..Limits::default()
    };
    let refused = |text: &str, by| limits(text).check_sums(by).is_err();
    assert!(refused("shop orders 5", SumBy::Group) && refused("* ^o 5", SumBy::Member));
    assert!(refused("shop * 5", SumBy::Topic) && !refused("* orders 5", SumBy::Topic));
    assert!(!refused("shop * 5\n^b * 7", SumBy::Group));
}

#[test]
fn time_loss_and_silence_have_limits_of_their_own() {
    let limits = Limits {
        time: Limit::new(&[LimitArg::Number(60_000)], parse_time).unwrap(),
        lost: Limit::new(&[LimitArg::Number(0)], parse_messages).unwrap(),
        ..Limits::default()
    };
    let mut late = row("g", "t", Some(1));
    late.lag.time_lag_ms = Some(60_001);
    late.lag.lost = Some(3);
    late.silence = Silence::LongerThan { limit_ms: 600_000 };
    assert!(limits.mark_exceeded(&mut late));
    let notes: Vec<String> = late.lag.notes.iter().map(ToString::to_string).collect();
    let expected = [
        "time lag 1m over 1m",
        "lost 3 over 0",
        "nothing was produced for more than 10m",
    ];
    assert_eq!(notes, expected);
}
