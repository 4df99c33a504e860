//! The state machines of a share group's member, by literals.

use std::time::{Duration, Instant};

use kafka_protocol::messages::ShareGroupHeartbeatResponse;
use kafka_protocol::messages::share_group_heartbeat_response::{Assignment, TopicPartitions};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::member::{AssignmentChange, MemberRequest, ShareMember};
use super::request::{AckRange, Acknowledgement, Acks, PartitionId};
use super::response::{AcquiredRange, PartitionResponse, ShareResponse};
use super::session::{SessionRequest, ShareSession};
use crate::kafka::error::{KafkaError, code};

const P0: PartitionId = (Uuid::from_u128(1), 0);
const P1: PartitionId = (Uuid::from_u128(1), 1);

fn range(first: i64, last: i64, kind: Acknowledgement) -> AckRange {
    AckRange { first, last, kind }
}

fn accept(offset: i64) -> AckRange {
    range(offset, offset, Acknowledgement::Accept)
}

/// A session in which P0 and P1 were fetched once.
fn opened(now: Instant) -> ShareSession {
    let mut session = ShareSession::default();
    session.set_partitions([P0, P1].into());
    assert!(session.next_request(5, now).is_some());
    session.handle_response(Ok(ShareResponse::default()), now);
    session
}

/// The response to acknowledgements for P0, one of which has lost its lock.
fn lost_lock() -> PartitionResponse {
    PartitionResponse {
        id: P0,
        ack_error: Some(KafkaError::of(code::INVALID_RECORD_STATE)),
        ..PartitionResponse::default()
    }
}

fn acks_of(request: Option<SessionRequest>) -> (i32, Acks) {
    match request {
        Some(request) if request.records == 0 => (request.epoch, request.partitions),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_session_is_opened_with_all_partitions_and_then_names_only_changes() {
    let now = Instant::now();
    let mut session = ShareSession::default();
    session.set_partitions([P0, P1].into());
    let first = SessionRequest {
        epoch: 0,
        records: 5,
        partitions: [(P0, Vec::new()), (P1, Vec::new())].into(),
        forgotten: Vec::new(),
    };
    assert_eq!(session.next_request(5, now), Some(first));
    assert_eq!(session.requested_records(), 5);
    assert_eq!(session.next_request(5, now), None, "one is in flight");
    session.handle_response(Ok(ShareResponse::default()), now);
    session.set_partitions([P1].into());
    let second = SessionRequest {
        epoch: 1,
        records: 2,
        partitions: Acks::new(),
        forgotten: vec![P0],
    };
    assert_eq!(session.next_request(2, now), Some(second));
}

#[test]
fn acknowledgements_are_sent_in_the_order_of_offsets_and_the_last_of_an_offset_counts() {
    let now = Instant::now();
    let mut session = opened(now);
    // Regression: commands that end in another order made the broker refuse all of them.
    session.acknowledge(P0, accept(9));
    session.acknowledge(P0, accept(6));
    session.acknowledge(P0, range(5, 5, Acknowledgement::Renew));
    session.acknowledge(P0, accept(5));
    let expected = vec![range(5, 6, Acknowledgement::Accept), accept(9)];
    let (epoch, acks) = acks_of(session.next_request(0, now));
    assert_eq!((epoch, acks), (1, [(P0, expected)].into()));
}

/// Regression: a list without acknowledgements was split.
#[test]
fn an_error_for_acknowledgements_that_were_not_sent_changes_nothing() {
    let now = Instant::now();
    let mut session = opened(now);
    session.acknowledge(P1, accept(3));
    assert!(session.next_request(0, now).is_some());
    let response = ShareResponse {
        partitions: vec![lost_lock()],
        ..ShareResponse::default()
    };
    let outcome = session.handle_response(Ok(response), now);
    assert!(outcome.refused.is_empty());
    session.acknowledge(P0, accept(5));
    let (_, acks) = acks_of(session.next_request(0, now));
    assert_eq!(acks, [(P0, vec![accept(5)])].into());
}

#[test]
fn one_lost_lock_costs_only_its_own_acknowledgement() {
    let now = Instant::now();
    let mut session = opened(now);
    for offset in [5, 6, 7] {
        session.acknowledge(P0, accept(offset));
    }
    let mut refused = Vec::new();
    let mut sent = Vec::new();
    while let Some(request) = session.next_request(0, now) {
        let ranges = request
            .partitions
            .values()
            .flatten()
            .copied()
            .collect::<Vec<_>>();
        let has_lost = ranges
            .iter()
            .any(|range| (range.first..=range.last).contains(&6));
        sent.push(ranges);
        let response = ShareResponse {
            partitions: has_lost.then(lost_lock).into_iter().collect(),
            ..ShareResponse::default()
        };
        let outcome = session.handle_response(Ok(response), now);
        refused.extend(outcome.refused.into_iter().map(|(_, range, _)| range));
    }
    let all = vec![range(5, 7, Acknowledgement::Accept)];
    assert_eq!(
        sent,
        [all, vec![accept(5)], vec![accept(6)], vec![accept(7)]]
    );
    assert_eq!(refused, [accept(6)]);
}

#[test]
fn after_a_broken_connection_the_acknowledgements_go_into_a_new_session() {
    let now = Instant::now();
    let mut session = opened(now);
    session.acknowledge(P1, accept(3));
    assert!(session.next_request(0, now).is_some());
    let outcome = session.handle_response(Err(KafkaError::of(code::TRANSPORT)), now);
    assert!(outcome.wants_metadata && outcome.fatal.is_none());
    assert_eq!(session.next_request(1, now), None, "it waits a moment");
    let later = now + Duration::from_secs(1);
    let opening = session.next_request(1, later).expect("a request");
    assert_eq!((opening.epoch, opening.records), (0, 1));
    let has_acks = opening.partitions.values().any(|ranges| !ranges.is_empty());
    assert!(!has_acks, "no acknowledgement opens a session");
    session.handle_response(Ok(ShareResponse::default()), later);
    let (epoch, acks) = acks_of(session.next_request(0, later));
    assert_eq!((epoch, acks), (1, [(P1, vec![accept(3)])].into()));
}

// Regression: with fewer commands than brokers the one with the lowest number was asked again and again.
#[test]
fn a_broker_without_records_is_asked_again_after_those_that_were_not_asked_for_longer() {
    let now = Instant::now();
    let later = now + Duration::from_millis(10);
    let (first, second) = (opened(now), opened(later));
    assert!(
        first.turn(later) < second.turn(later),
        "both had no records"
    );
    let new = ShareSession::default();
    assert!(new.turn(later) < first.turn(later));
    let due = later + Duration::from_millis(600);
    assert_eq!(first.turn(due).0, 0, "it need not wait for busy ones");
}

// Regression: they waited for ever, and so did the end of the program, for 3 seconds.
#[test]
fn the_acknowledgements_of_a_lost_session_come_back_when_its_broker_leads_nothing_any_more() {
    let now = Instant::now();
    let mut session = opened(now);
    session.acknowledge(P0, accept(1));
    session.set_partitions([].into());
    assert_eq!(session.take_stranded(), []);
    assert!(session.next_request(0, now).is_some());
    session.handle_response(Err(KafkaError::of(code::TIMED_OUT)), now);
    assert_eq!(session.take_stranded(), [(P0, accept(1))]);
    assert!(!session.has_pending_acks());
}

#[test]
fn the_last_request_closes_the_session() {
    let now = Instant::now();
    let mut session = opened(now);
    session.acknowledge(P0, range(5, 8, Acknowledgement::Release));
    let (epoch, acks) = acks_of(session.close());
    assert_eq!(epoch, -1);
    assert_eq!(acks.len(), 1);
    // It was never opened.
    assert_eq!(ShareSession::default().close(), None);
}

#[test]
fn a_partition_with_an_error_is_looked_up_again_and_the_others_are_delivered() {
    let now = Instant::now();
    let mut session = ShareSession::default();
    session.set_partitions([P0, P1].into());
    session.next_request(5, now);
    let acquired = AcquiredRange {
        first: 0,
        last: 4,
        delivery_count: 1,
    };
    let partitions = vec![
        PartitionResponse {
            id: P0,
            error: Some(KafkaError::of(code::NOT_LEADER)),
            ..PartitionResponse::default()
        },
        PartitionResponse {
            id: P1,
            acquired: vec![acquired],
            ..PartitionResponse::default()
        },
    ];
    let response = ShareResponse {
        lock_timeout_ms: 30_000,
        partitions,
        ..ShareResponse::default()
    };
    let outcome = session.handle_response(Ok(response), now);
    assert!(outcome.wants_metadata);
    let ids: Vec<PartitionId> = outcome.fetched.iter().map(|fetched| fetched.id).collect();
    assert_eq!(ids, [P1]);
}

fn heartbeat(epoch: i32, assigned: Option<&[i32]>) -> ShareGroupHeartbeatResponse {
    let assignment = assigned.map(|partitions| {
        let topic = TopicPartitions::default()
            .with_topic_id(P0.0)
            .with_partitions(partitions.to_vec());
        Assignment::default().with_topic_partitions(vec![topic])
    });
    ShareGroupHeartbeatResponse::default()
        .with_member_epoch(epoch)
        .with_heartbeat_interval_ms(5000)
        .with_assignment(assignment)
}

fn joined(now: Instant, assigned: &[i32]) -> ShareMember {
    let mut member = ShareMember::new(vec!["t".to_owned()], now);
    assert_eq!(
        member.next_request(now),
        Some(MemberRequest::FindCoordinator)
    );
    member.handle_coordinator(Ok(7), now).expect("found");
    let join = MemberRequest::Heartbeat {
        coordinator: 7,
        epoch: 0,
        topics: Some(vec!["t".to_owned()]),
    };
    assert_eq!(member.next_request(now), Some(join));
    let change = member.handle_heartbeat(Ok(heartbeat(3, Some(assigned))), now);
    assert_eq!(change, Ok(AssignmentChange::Assigned));
    member
}

#[test]
fn a_member_joins_beats_and_leaves() {
    let now = Instant::now();
    let mut member = joined(now, &[0, 1]);
    assert_eq!(*member.assigned(), [P0, P1].into());
    assert_eq!(member.next_request(now), None, "the interval is not over");
    let later = now + Duration::from_secs(5);
    let beat = MemberRequest::Heartbeat {
        coordinator: 7,
        epoch: 3,
        topics: None,
    };
    assert_eq!(member.next_request(later), Some(beat));
    let change = member.handle_heartbeat(Ok(heartbeat(3, None)), later);
    assert_eq!(change, Ok(AssignmentChange::Unchanged));
    let leave = MemberRequest::Heartbeat {
        coordinator: 7,
        epoch: -1,
        topics: None,
    };
    assert_eq!(member.leave(), Some(leave));
}

// Regression: the first assignment was fetched with the second heartbeat, after 5 s.
#[test]
fn a_member_without_partitions_asks_for_them_soon_and_then_more_rarely() {
    let mut now = Instant::now();
    let mut member = joined(now, &[]);
    let mut waits_ms = Vec::new();
    for _ in 0..9 {
        waits_ms.push((member.next_at() - now).as_millis());
        now = member.next_at();
        assert!(member.next_request(now).is_some());
        let change = member.handle_heartbeat(Ok(heartbeat(3, Some(&[]))), now);
        assert_eq!(change, Ok(AssignmentChange::Assigned));
    }
    assert_eq!(waits_ms, [100, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
}

#[test]
fn a_member_that_the_group_has_removed_joins_again() {
    let now = Instant::now();
    let mut member = joined(now, &[0, 1]);
    let later = now + Duration::from_secs(5);
    member.next_request(later);
    let fenced = ShareGroupHeartbeatResponse::default().with_error_code(110);
    let change = member.handle_heartbeat(Ok(fenced), later);
    assert_eq!(change, Ok(AssignmentChange::Assigned));
    assert!(member.assigned().is_empty());
    match member.next_request(later) {
        Some(MemberRequest::Heartbeat {
            epoch: 0, topics, ..
        }) => assert!(topics.is_some()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_heartbeat_that_is_not_answered_is_silence_since_it_was_sent() {
    let now = Instant::now();
    let mut member = joined(now, &[0, 1]);
    let second = Duration::from_secs(1);
    let silence = |member: &ShareMember, after| member.silence(now + after).map(|(time, _)| time);
    // Between two heartbeats nobody is asked.
    assert_eq!(silence(&member, 4 * second), None);
    member.next_request(now + 5 * second);
    assert_eq!(silence(&member, 7 * second), Some(2 * second));
    assert!(member.outage(now + 7 * second).is_none());
    // Once it has failed, the time counts from the last answer.
    let timed_out = Err(KafkaError::of(code::TIMED_OUT));
    let _ = member.handle_heartbeat(timed_out, now + 15 * second);
    assert_eq!(silence(&member, 15 * second), Some(15 * second));
}

#[test]
fn a_coordinator_that_moves_is_looked_for_and_a_refusal_ends_it_with_the_broker_s_words() {
    let now = Instant::now();
    let mut member = joined(now, &[0, 1]);
    let later = now + Duration::from_secs(5);
    member.next_request(later);
    let moved = ShareGroupHeartbeatResponse::default().with_error_code(16);
    let change = member.handle_heartbeat(Ok(moved), later);
    assert_eq!(change, Ok(AssignmentChange::Unchanged));
    assert!(member.outage(later).is_some());
    let again = later + Duration::from_secs(1);
    assert_eq!(
        member.next_request(again),
        Some(MemberRequest::FindCoordinator)
    );
    member.handle_coordinator(Ok(8), again).expect("found");
    member.next_request(again);
    let refused = ShareGroupHeartbeatResponse::default()
        .with_error_code(69)
        .with_error_message(Some(StrBytes::from_static_str("it is no share group")));
    let error = member
        .handle_heartbeat(Ok(refused), again)
        .expect_err("fatal");
    assert_eq!(error.reason, "it is no share group");
}
