//! Offsets out of range and truncated logs.

use super::*;

#[test]
fn an_offset_out_of_range_is_an_error_unless_a_reset_policy_is_set() {
    let log = LogOffsets {
        log_start: 20,
        end: 30,
        high_watermark: 33,
    };
    for (reset, next) in [
        (ResetPolicy::Error, None),
        (ResetPolicy::Earliest, Some(20)),
        (ResetPolicy::Latest, Some(30)),
    ] {
        let mut test = FetcherTest::of(
            FetchSettings {
                reset,
                ..settings()
            },
            &[(1, 0)],
        );
        let plan = test.one_plan();
        test.respond(&plan, &[failed(0, code::OFFSET_OUT_OF_RANGE)]);
        assert!(test.plans().is_empty());
        test.look_up(1, &[Ok(log)]);
        if let Some(next) = next {
            assert_eq!(offsets(&test.one_plan()), [(0, next)]);
            continue;
        }
        let reported = test.reported();
        assert!(
            reported.contains("offset 0 is out of range, which is 20 to 33"),
            "{reported}"
        );
        assert!(test.fetcher.is_done());
    }
}

#[test]
fn a_failed_look_up_is_repeated_while_the_other_partitions_are_read() {
    let log = LogOffsets {
        log_start: 20,
        end: 30,
        high_watermark: 30,
    };
    let earliest = FetchSettings {
        reset: ResetPolicy::Earliest,
        ..settings()
    };
    let mut test = FetcherTest::of(earliest, &[(1, 0), (2, 0)]);
    let plans = test.plans();
    test.respond(&plans[0], &[failed(0, code::OFFSET_OUT_OF_RANGE)]);
    let resets = test.fetcher.plan_resets(test.now);
    assert_eq!(resets.len(), 1);
    assert!(test.fetcher.plan_resets(test.now).is_empty(), "asked once");
    // Regression: no partition was read while the offsets of one were looked up.
    test.respond(&plans[1], &[data(1, 0, 1)]);
    assert_eq!(offsets(&test.one_plan()), [(1, 1)]);
    let failure = vec![Err(KafkaError::of(code::TIMED_OUT))];
    test.fetcher
        .handle_log_offsets(&resets[0], failure, test.now);
    assert!(test.fetcher.plan_resets(test.now).is_empty(), "backoff");
    test.later(1000);
    let resets = test.fetcher.plan_resets(test.now);
    // A new leader is asked; the late response of the old one is ignored.
    test.update_metadata(&[(3, 1), (2, 0)]);
    test.fetcher
        .handle_log_offsets(&resets[0], vec![Ok(log)], test.now);
    assert!(test.plans().is_empty());
    test.look_up(3, &[Ok(log)]);
    assert_eq!(offsets(&test.one_plan()), [(0, 20)]);
}

#[test]
fn a_truncated_log_is_an_error_or_is_read_from_the_point_of_divergence() {
    let cut = PartitionBuilder {
        diverging: Some((3, 6)),
        ..PartitionBuilder::default()
    };
    for (reset, is_error) in [(ResetPolicy::Error, true), (ResetPolicy::Latest, false)] {
        let mut test = FetcherTest::of(
            FetchSettings {
                reset,
                ..settings()
            },
            &[(1, 4)],
        );
        let plan = test.one_plan();
        test.respond(&plan, &[data(0, 0, 10)]);
        let plan = test.one_plan();
        test.respond(&plan, std::slice::from_ref(&cut));
        let reported = test.reported();
        assert_eq!(
            reported.contains("truncated from offset 10 to 6"),
            is_error,
            "{reported}"
        );
        if !is_error {
            let plan = test.one_plan();
            assert_eq!(
                (offsets(&plan), plan.partitions[0].last_epoch),
                (vec![(0, 6)], 3)
            );
        }
    }
}

#[test]
fn a_throttle_is_capped_and_a_contradicted_offset_is_retried_with_backoff() {
    let mut test = FetcherTest::of(settings(), &[(1, 0)]);
    let plan = test.one_plan();
    let body = response_body(12, "t", &[data(0, 0, 1)]);
    let mut response = FetchResponse::parse(&body, 12).expect("well-formed");
    response.throttle_ms = i32::MAX;
    test.fetcher
        .handle_response(1, plan.request, &body, &mut response, test.now);
    assert!(test.plans().is_empty());
    test.later(30_000);
    let log = LogOffsets {
        log_start: 0,
        end: 9,
        high_watermark: 9,
    };
    for round in 0..4 {
        let plan = test.one_plan();
        test.respond(&plan, &[failed(0, code::OFFSET_OUT_OF_RANGE)]);
        if round > 0 {
            assert!(
                test.fetcher.plan_resets(test.now).is_empty(),
                "round {round}"
            );
            test.later(1000);
        }
        test.look_up(1, &[Ok(log)]);
    }
}

#[test]
fn a_bound_beyond_the_end_of_a_truncated_log_is_reached_at_its_end() {
    let now = Instant::now();
    let earliest = FetchSettings {
        reset: ResetPolicy::Earliest,
        ..settings()
    };
    let mut fetcher = Fetcher::new(earliest, false, now);
    let topic = fetcher.add_topic("t");
    fetcher.add(topic, 0, Some(0), Some(100));
    fetcher.update_metadata(&metadata(&[(1, 4)]), now);
    let mut test = FetcherTest { fetcher, now };
    let plan = test.one_plan();
    test.respond(&plan, &[data(0, 0, 50)]);
    let plan = test.one_plan();
    let cut = PartitionBuilder {
        diverging: Some((3, 40)),
        ..PartitionBuilder::default()
    };
    test.respond(&plan, &[cut]);
    let plan = test.one_plan();
    let end = PartitionBuilder {
        high_watermark: 40,
        last_stable_offset: 40,
        ..PartitionBuilder::default()
    };
    let completed = test.respond(&plan, &[end]);
    assert_eq!(
        (completed.len(), test.fetcher.partitions[0].end),
        (1, Some(40))
    );
}
