//! Whom to ask for what, and what an answer means.

use std::time::{Duration, Instant};

use super::super::answer::Answer;
use super::super::machine::{Ask, Log, Machine, Piece};
use super::super::settings::{Reset, Settings};
use super::{Part, Response};
use crate::kafka::batch::build::BatchBuilder;
use crate::kafka::cluster::Isolation;
use crate::kafka::cluster::metadata::{Broker, Metadata, Partition, Topic};
use crate::kafka::error::{KafkaError, code};

fn settings() -> Settings {
    Settings {
        max_wait: Duration::from_millis(500),
        min_bytes: 1,
        max_bytes: None,
        partition_max_bytes: 1000,
        isolation: Isolation::ReadCommitted,
        checks_crcs: true,
        rack: String::new(),
        reset: Reset::Error,
        start: Reset::Latest,
        backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(1),
        refresh_interval: None,
        replica_lease: Duration::from_secs(300),
        patience: Duration::from_secs(60),
        receive_max_bytes: 1_000_000,
    }
}

/// Leader and epoch of each partition of topic `t`.
fn metadata(leaders: &[(i32, i32)]) -> Metadata {
    let partition = |(id, &(leader, epoch)): (usize, &(i32, i32))| Partition {
        id: id as i32,
        leader: (leader >= 0).then_some(leader),
        leader_epoch: Some(epoch),
        ..Partition::default()
    };
    let broker = |id| Broker {
        id,
        host: "h".to_owned(),
        port: 1,
        rack: None,
    };
    Metadata {
        brokers: (1..=3).map(broker).collect(),
        topics: vec![Topic {
            name: "t".to_owned(),
            partitions: leaders.iter().enumerate().map(partition).collect(),
            ..Topic::default()
        }],
        ..Metadata::default()
    }
}

struct Play {
    machine: Machine,
    now: Instant,
}

impl Play {
    /// Topic `t` from offset 0 of each partition.
    fn of(settings: Settings, leaders: &[(i32, i32)]) -> Play {
        let now = Instant::now();
        let mut machine = Machine::new(settings, true, now);
        let topic = machine.add_topic("t");
        for id in 0..leaders.len() {
            machine.add(topic, id as i32, Some(0), None);
        }
        machine.learn(&metadata(leaders), now);
        Play { machine, now }
    }

    fn asks(&mut self) -> Vec<Ask> {
        self.machine.asks(self.now)
    }

    fn one_ask(&mut self) -> Ask {
        let mut asks = self.asks();
        assert_eq!(asks.len(), 1, "{asks:?}");
        asks.remove(0)
    }

    fn later(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
    }

    fn answer(&mut self, ask: &Ask, parts: &[Part]) -> Vec<Piece> {
        let body = Response::of(12, "t", parts);
        let mut answer = Answer::parse(&body, 12).expect("well-formed");
        answer.throttle_ms = 0;
        self.machine
            .answered(ask.broker, ask.request, &body, &mut answer, self.now)
    }

    fn learn(&mut self, leaders: &[(i32, i32)]) {
        self.machine.metadata_asked(self.now);
        self.machine.learn(&metadata(leaders), self.now);
    }

    fn told(&mut self) -> String {
        let error = self.machine.next_error();
        error.map_or(String::new(), |error| error.to_string())
    }
}

#[test]
fn every_version_of_the_request_can_be_sent_with_every_field_that_it_has() {
    use super::super::request;
    use kafka_protocol::protocol::{Decodable, Encodable};
    let with_rack = Settings {
        rack: "here".to_owned(),
        ..settings()
    };
    let mut play = Play::of(with_rack.clone(), &[(1, 4)]);
    let ask = play.one_ask();
    play.answer(&ask, &[data(0, 0, 10)]);
    let ask = play.one_ask();
    assert_eq!((ask.rows[0].leader_epoch, ask.rows[0].last_epoch), (4, 4));
    for version in 4..=13 {
        let request = request::build(&ask, &play.machine.topics, &with_rack)(version);
        let mut bytes = bytes::BytesMut::new();
        request
            .encode(&mut bytes, version)
            .unwrap_or_else(|e| panic!("v{version}: {e}"));
        let read = kafka_protocol::messages::FetchRequest::decode(&mut bytes, version);
        let read = read.expect("what was written");
        let row = &read.topics[0].partitions[0];
        assert_eq!(row.fetch_offset, 10);
        assert_eq!(row.last_fetched_epoch, if version >= 12 { 4 } else { -1 });
        assert_eq!(row.current_leader_epoch, if version >= 9 { 4 } else { -1 });
        assert_eq!(
            read.rack_id.as_str(),
            if version >= 11 { "here" } else { "" }
        );
    }
}

fn data(id: i32, base_offset: i64, count: usize) -> Part {
    let values = vec!["v"; count];
    let mut builder = BatchBuilder::of(base_offset, &values);
    builder.leader_epoch = 4;
    Part {
        id,
        high_watermark: 1000,
        last_stable_offset: 1000,
        records: builder.bytes(),
        ..Part::default()
    }
}

fn failed(id: i32, error: i32) -> Part {
    Part {
        id,
        error: error as i16,
        ..Part::default()
    }
}

fn offsets(ask: &Ask) -> Vec<(i32, i64)> {
    ask.rows.iter().map(|row| (row.id, row.offset)).collect()
}

#[test]
fn each_leader_has_one_request_under_way_for_all_its_partitions() {
    let mut play = Play::of(settings(), &[(1, 0), (2, 0), (1, 0)]);
    let asks = play.asks();
    assert_eq!(asks.len(), 2);
    assert_eq!(offsets(&asks[0]), [(0, 0), (2, 0)]);
    assert_eq!((asks[1].broker, offsets(&asks[1])), (2, vec![(1, 0)]));
    assert!(play.asks().is_empty(), "nobody is asked twice at a time");
}

#[test]
fn the_next_request_goes_on_behind_what_came_before_a_record_is_handed_out() {
    let mut play = Play::of(settings(), &[(1, 4), (1, 4)]);
    let ask = play.one_ask();
    let pieces = play.answer(
        &ask,
        &[
            data(0, 0, 10),
            Part {
                id: 1,
                high_watermark: 5,
                last_stable_offset: 5,
                ..Part::default()
            },
        ],
    );
    assert_eq!(
        (pieces.len(), pieces[0].from, pieces[0].stretch.next),
        (1, 0, 10)
    );
    let next = play.one_ask();
    // What has sent something goes behind the others.
    assert_eq!(offsets(&next), [(1, 0), (0, 10)]);
    assert_eq!((next.rows[1].leader_epoch, next.rows[1].last_epoch), (4, 4));
    assert_eq!(next.rows[0].last_epoch, -1);
}

#[test]
fn the_end_is_told_once_and_again_after_more_has_come() {
    let mut play = Play::of(settings(), &[(1, 0)]);
    let end = |records: Part, stable: i64| Part {
        high_watermark: 99,
        last_stable_offset: stable,
        ..records
    };
    let mut is_end = |part: Part| {
        let ask = play.one_ask();
        let pieces = play.answer(&ask, &[part]);
        pieces
            .first()
            .map(|piece| (piece.stretch.next, piece.is_end))
    };
    let nothing = Part::default();
    assert_eq!(is_end(end(data(0, 0, 3), 5)), Some((3, false)));
    assert_eq!(is_end(end(data(0, 3, 2), 5)), Some((5, true)));
    assert_eq!(is_end(end(nothing.clone(), 5)), None);
    assert_eq!(is_end(end(data(0, 5, 1), 6)), Some((6, true)));
}

#[test]
fn a_leader_that_moved_is_found_and_nothing_is_lost() {
    let mut play = Play::of(settings(), &[(1, 0)]);
    let ask = play.one_ask();
    play.answer(&ask, &[data(0, 0, 10)]);
    let ask = play.one_ask();
    play.answer(&ask, &[failed(0, code::NOT_LEADER)]);
    assert!(play.asks().is_empty(), "it is left alone for a moment");
    play.later(100);
    assert!(play.machine.wants_metadata(play.now));
    play.learn(&[(2, 1)]);
    let ask = play.one_ask();
    assert_eq!((ask.broker, offsets(&ask)), (2, vec![(0, 10)]));
    assert_eq!(ask.rows[0].leader_epoch, 1);
    // A broker that is behind tells what was before.
    play.learn(&[(1, 0)]);
    play.answer(&ask, &[failed(0, code::FENCED_LEADER_EPOCH)]);
    play.later(2000);
    assert_eq!(play.one_ask().broker, 2);
}

#[test]
fn the_answer_of_an_old_leader_that_comes_late_is_not_taken() {
    let mut play = Play::of(settings(), &[(1, 0)]);
    let old = play.one_ask();
    play.learn(&[(2, 1)]);
    let new = play.one_ask();
    assert_eq!(new.broker, 2);
    let pieces = play.answer(&new, &[data(0, 0, 3)]);
    assert_eq!(pieces.len(), 1);
    let ask = play.one_ask();
    assert!(play.answer(&old, &[data(0, 0, 7)]).is_empty());
    let pieces = play.answer(&ask, &[data(0, 3, 1)]);
    assert_eq!(pieces[0].stretch.next, 4);
}

#[test]
fn a_broker_that_hangs_makes_us_look_for_another_leader() {
    let mut play = Play::of(settings(), &[(1, 0)]);
    play.later(1000);
    play.one_ask();
    play.later(2000);
    assert!(!play.machine.wants_metadata(play.now));
    play.later(2000);
    assert!(play.machine.wants_metadata(play.now));
    play.learn(&[(1, 0)]);
    assert!(!play.machine.wants_metadata(play.now), "not all the time");
}

#[test]
fn a_broken_connection_is_asked_again_after_a_growing_pause() {
    let mut play = Play::of(settings(), &[(1, 0)]);
    for pause in [100, 200, 400, 800, 1000, 1000] {
        let ask = play.one_ask();
        let broken = KafkaError::new(code::TRANSPORT, "broken");
        play.machine
            .failed(ask.broker, ask.request, &broken, play.now);
        play.later(pause - 1);
        assert!(play.asks().is_empty(), "{pause}");
        play.later(1);
    }
    assert_eq!(play.told(), "");
    assert_eq!(offsets(&play.one_ask()), [(0, 0)]);
}

#[test]
fn a_throttled_client_keeps_still() {
    let mut play = Play::of(settings(), &[(1, 0)]);
    let ask = play.one_ask();
    let body = Response::of(12, "t", &[data(0, 0, 1)]);
    let mut answer = Answer::parse(&body, 12).expect("well-formed");
    answer.throttle_ms = 300;
    play.machine
        .answered(ask.broker, ask.request, &body, &mut answer, play.now);
    play.later(299);
    assert!(play.asks().is_empty());
    assert!(play.machine.next_wake(play.now).is_some());
    play.later(1);
    assert_eq!(offsets(&play.one_ask()), [(0, 1)]);
}

#[test]
fn an_offset_out_of_range_is_an_error_unless_a_policy_says_otherwise() {
    let log = Log {
        first: 20,
        stable: 30,
        high: 33,
    };
    for (reset, next) in [
        (Reset::Error, None),
        (Reset::Earliest, Some(20)),
        (Reset::Latest, Some(30)),
    ] {
        let mut play = Play::of(
            Settings {
                reset,
                ..settings()
            },
            &[(1, 0)],
        );
        let ask = play.one_ask();
        play.answer(&ask, &[failed(0, code::OFFSET_OUT_OF_RANGE)]);
        assert_eq!(play.machine.lost(), [0]);
        assert!(play.asks().is_empty());
        play.machine.settle(0, log);
        if let Some(next) = next {
            assert_eq!(offsets(&play.one_ask()), [(0, next)]);
            continue;
        }
        let told = play.told();
        assert!(
            told.contains("offset 0 is out of range, which is 20 to 33"),
            "{told}"
        );
        assert!(play.machine.is_done());
    }
}

#[test]
fn a_recommended_replica_is_asked_until_it_fails_or_its_time_is_over() {
    let mut play = Play::of(settings(), &[(1, 0)]);
    let ask = play.one_ask();
    let recommends = Part {
        preferred_replica: Some(3),
        high_watermark: 9,
        ..Part::default()
    };
    play.answer(&ask, std::slice::from_ref(&recommends));
    let ask = play.one_ask();
    assert_eq!(ask.broker, 3);
    // Only the leader knows whether an offset is really not there.
    play.answer(&ask, &[failed(0, code::OFFSET_OUT_OF_RANGE)]);
    let ask = play.one_ask();
    assert_eq!((ask.broker, offsets(&ask)), (1, vec![(0, 0)]));
    play.answer(&ask, &[recommends]);
    let ask = play.one_ask();
    play.answer(&ask, &[data(0, 0, 1)]);
    play.later(300_000);
    assert_eq!(play.one_ask().broker, 1);
}

#[test]
fn a_log_that_was_cut_back_is_an_error_or_read_on_where_it_parts() {
    let cut = Part {
        diverging: Some((3, 6)),
        ..Part::default()
    };
    for (reset, is_error) in [(Reset::Error, true), (Reset::Latest, false)] {
        let mut play = Play::of(
            Settings {
                reset,
                ..settings()
            },
            &[(1, 4)],
        );
        let ask = play.one_ask();
        play.answer(&ask, &[data(0, 0, 10)]);
        let ask = play.one_ask();
        play.answer(&ask, std::slice::from_ref(&cut));
        let told = play.told();
        assert_eq!(
            told.contains("truncated from offset 10 to 6"),
            is_error,
            "{told}"
        );
        if !is_error {
            let ask = play.one_ask();
            assert_eq!((offsets(&ask), ask.rows[0].last_epoch), (vec![(0, 6)], 3));
        }
    }
}

#[test]
fn a_topic_that_stays_away_is_gone_and_one_that_comes_back_is_not() {
    let mut play = Play::of(settings(), &[(1, 0)]);
    let mut gone = metadata(&[]);
    gone.topics[0].error = Some(KafkaError::of(code::UNKNOWN_TOPIC_OR_PARTITION));
    play.machine.learn(&gone, play.now);
    play.later(4000);
    play.learn(&[(1, 0)]);
    play.later(4000);
    play.machine.learn(&gone, play.now);
    assert_eq!(play.told(), "");
    assert!(play.machine.next_wake(play.now).is_some());
    play.later(5000);
    play.machine.learn(&gone, play.now);
    assert!(play.told().contains("topic t: the topic was deleted"));
    assert!(play.machine.is_done());
}

#[test]
fn a_topic_of_the_same_name_is_not_the_same_topic() {
    let mut play = Play::of(settings(), &[(1, 0)]);
    let mut with_id = metadata(&[(1, 0)]);
    with_id.topics[0].id = uuid::Uuid::from_u128(1);
    play.machine.learn(&with_id, play.now);
    assert_eq!(play.told(), "");
    with_id.topics[0].id = uuid::Uuid::from_u128(2);
    play.machine.learn(&with_id, play.now);
    assert!(play.told().contains("record again"));
}

#[test]
fn a_partition_that_comes_into_being_is_read_from_its_beginning() {
    let mut play = Play::of(settings(), &[(1, 0)]);
    play.one_ask();
    play.learn(&[(1, 0), (2, 0)]);
    assert_eq!(play.machine.lost(), [1]);
    let log = Log {
        first: 0,
        stable: 3,
        high: 3,
    };
    play.machine.settle(1, log);
    let ask = play.one_ask();
    assert_eq!((ask.broker, offsets(&ask)), (2, vec![(1, 0)]));
}

#[test]
fn a_bound_that_is_reached_is_not_asked_behind() {
    let now = Instant::now();
    let mut machine = Machine::new(settings(), false, now);
    let topic = machine.add_topic("t");
    machine.add(topic, 0, Some(0), Some(10));
    machine.learn(&metadata(&[(1, 0)]), now);
    let mut play = Play { machine, now };
    let ask = play.one_ask();
    play.answer(&ask, &[data(0, 0, 10)]);
    assert!(play.asks().is_empty());
    assert!(!play.machine.is_done(), "it is not handed out yet");
    play.machine.finish(0);
    assert!(play.machine.is_done());
}

#[test]
fn a_batch_larger_than_the_limit_is_asked_for_whole() {
    let mut play = Play::of(settings(), &[(1, 0)]);
    let ask = play.one_ask();
    let mut cut = data(0, 0, 500);
    let whole = cut.records.len() as i32;
    cut.records.truncate(1000);
    play.answer(&ask, &[cut]);
    let ask = play.one_ask();
    assert_eq!(
        (offsets(&ask), ask.rows[0].max_bytes),
        (vec![(0, 0)], whole)
    );
}

#[test]
fn what_is_not_allowed_is_told_and_the_others_go_on() {
    let mut play = Play::of(settings(), &[(1, 0), (1, 0)]);
    let ask = play.one_ask();
    play.answer(
        &ask,
        &[failed(0, code::TOPIC_AUTHORIZATION_FAILED), data(1, 0, 1)],
    );
    assert!(play.told().starts_with("t [0]: "));
    assert_eq!(offsets(&play.one_ask()), [(1, 1)]);
}

#[test]
fn the_leaders_share_the_memory() {
    let leaders: Vec<(i32, i32)> = (1..=3).map(|id| (id, 0)).collect();
    let mut play = Play::of(settings(), &leaders);
    let total: i32 = play.asks().iter().map(|ask| ask.max_bytes).sum();
    assert!(total <= 8 * 1024 * 1024, "{total}");
    let said = Settings {
        max_bytes: Some(5_000_000),
        ..settings()
    };
    let mut play = Play::of(said, &leaders);
    assert!(play.asks().iter().all(|ask| ask.max_bytes == 5_000_000));
}

/// The batches of offsets 0, 1 and 2, and 3, the second of them changed from this byte on.
fn damaged(at: usize, bytes: &[u8]) -> Part {
    let builders = [(0, &["a"][..]), (1, &["b", "c"]), (3, &["d"])];
    let batches = builders.map(|(base, values)| BatchBuilder::of(base, values).bytes());
    let mut records = batches.concat();
    let second = batches[0].len() + at;
    records[second..second + bytes.len()].copy_from_slice(bytes);
    Part {
        high_watermark: 1000,
        last_stable_offset: 1000,
        records,
        ..Part::default()
    }
}

#[test]
fn nothing_of_a_damaged_batch_is_believed_and_what_follows_is_read() {
    let changes: [(usize, &[u8]); 6] = [
        // The base offset, far ahead in the log, and behind its end.
        (0, &500i64.to_be_bytes()),
        (0, &1_930_000i64.to_be_bytes()),
        (0, &[0x7f]),
        // The last offset delta.
        (23, &65537i32.to_be_bytes()),
        (23, &[0x7f]),
        // A byte of a record.
        (70, &[0xff]),
    ];
    for (at, bytes) in changes {
        let mut play = Play::of(settings(), &[(1, 0)]);
        let ask = play.one_ask();
        let mut pieces = play.answer(&ask, &[damaged(at, bytes)]);
        let first = pieces[0].stretch.records.clone();
        let damage = pieces[0].take_damage().expect("a damaged batch");
        assert_eq!((damage.offset, damage.is_passable), (1, true), "byte {at}");
        assert_eq!((pieces[0].from, pieces[0].stretch.next), (3, 4));
        assert!(first.end <= pieces[0].stretch.records.start);
        assert!(pieces[0].take_damage().is_none());
        assert_eq!(offsets(&play.one_ask()), [(0, 4)]);
    }
}

#[test]
fn a_damaged_batch_at_the_end_of_an_answer_is_asked_for_again_with_what_follows() {
    let mut play = Play::of(settings(), &[(1, 0)]);
    let ask = play.one_ask();
    let mut part = data(0, 0, 2);
    part.records[26] = 7;
    assert!(play.answer(&ask, std::slice::from_ref(&part)).is_empty());
    let again = play.one_ask();
    assert_eq!(offsets(&again), [(0, 0)]);
    assert!(again.rows[0].max_bytes > ask.rows[0].max_bytes);
    // Nothing follows: where to go on is not known.
    let mut pieces = play.answer(&again, &[part]);
    let damage = pieces[0].take_damage().expect("a damaged batch");
    assert_eq!((damage.offset, damage.is_passable), (0, false));
    // A damaged record leaves the head as it was, whose fields agree.
    let mut play = Play::of(settings(), &[(1, 0)]);
    let ask = play.one_ask();
    let mut part = data(0, 0, 2);
    *part.records.last_mut().expect("records") ^= 1;
    let mut pieces = play.answer(&ask, &[part]);
    let damage = pieces[0].take_damage().expect("a damaged batch");
    assert_eq!((damage.offset, damage.is_passable), (0, true));
    assert_eq!(offsets(&play.one_ask()), [(0, 2)]);
}

#[test]
fn without_checksums_a_damaged_record_is_not_noticed() {
    let unchecked = Settings {
        checks_crcs: false,
        ..settings()
    };
    let mut play = Play::of(unchecked, &[(1, 0)]);
    let ask = play.one_ask();
    let mut pieces = play.answer(&ask, &[damaged(70, &[0xff])]);
    assert!(pieces[0].take_damage().is_none());
}

#[test]
fn an_answer_that_is_cut_is_reported_once_and_asked_for_again_later() {
    let mut play = Play::of(settings(), &[(1, 0)]);
    let cut = KafkaError::new(code::BAD_MESSAGE, "cut");
    for round in 0..3 {
        let ask = play.one_ask();
        play.machine.failed(1, ask.request, &cut, play.now);
        assert_eq!(play.told(), if round == 0 { "cut" } else { "" });
        assert!(play.asks().is_empty(), "not at once");
        play.later(1000);
    }
    let ask = play.one_ask();
    play.answer(&ask, &[data(0, 0, 1)]);
    let ask = play.one_ask();
    play.machine.failed(1, ask.request, &cut, play.now);
    assert_eq!(play.told(), "cut");
}

#[test]
fn an_answer_that_is_too_large_is_told_with_its_partition_and_offset() {
    let mut play = Play::of(settings(), &[(1, 0), (1, 0)]);
    let large = KafkaError::new(code::TOO_LARGE_ANSWER, "large");
    let ask = play.one_ask();
    assert_eq!(ask.rows.len(), 2);
    play.machine.failed(1, ask.request, &large, play.now);
    assert_eq!(play.told(), "");
    play.later(1000);
    let ask = play.one_ask();
    assert_eq!((ask.rows.len(), ask.max_bytes), (1, ask.rows[0].max_bytes));
    play.machine.failed(1, ask.request, &large, play.now);
    let told = play.told();
    assert!(
        told.starts_with("t [0]: the record batch at offset 0"),
        "{told}"
    );
    assert!(told.contains("receive.message.max.bytes"), "{told}");
    play.later(1000);
    assert_eq!(offsets(&play.one_ask()), [(1, 0)]);
}

#[test]
fn a_throttle_is_capped_and_an_offset_that_is_there_after_all_is_not_asked_for_at_once() {
    let mut play = Play::of(settings(), &[(1, 0)]);
    let ask = play.one_ask();
    let body = Response::of(12, "t", &[data(0, 0, 1)]);
    let mut answer = Answer::parse(&body, 12).expect("well-formed");
    answer.throttle_ms = i32::MAX;
    play.machine
        .answered(1, ask.request, &body, &mut answer, play.now);
    assert!(play.asks().is_empty());
    play.later(30_000);
    let log = Log {
        first: 0,
        stable: 9,
        high: 9,
    };
    for round in 0..4 {
        let ask = play.one_ask();
        play.answer(&ask, &[failed(0, code::OFFSET_OUT_OF_RANGE)]);
        play.machine.settle(0, log);
        assert_eq!(play.asks().is_empty(), round > 0, "round {round}");
        play.later(1000);
        if round == 0 {
            let again = Ask {
                request: ask.request + 1,
                ..ask
            };
            play.answer(&again, &[failed(0, code::OFFSET_OUT_OF_RANGE)]);
            play.machine.settle(0, log);
            play.later(1000);
        }
    }
}

#[test]
fn a_replica_that_fails_is_left_for_its_leader_which_is_not_asked_whom_it_recommends() {
    let mut play = Play::of(settings(), &[(1, 0)]);
    let ask = play.one_ask();
    let recommends = Part {
        preferred_replica: Some(3),
        high_watermark: 9,
        ..Part::default()
    };
    play.answer(&ask, std::slice::from_ref(&recommends));
    let ask = play.one_ask();
    assert_eq!((ask.broker, ask.is_replica), (3, true));
    let gone = KafkaError::new(code::TRANSPORT, "gone");
    play.machine.failed(3, ask.request, &gone, play.now);
    let ask = play.one_ask();
    assert_eq!(
        (ask.broker, ask.wants_leader, ask.is_replica),
        (1, true, false)
    );
    // Should it be recommended all the same, it is not obeyed.
    play.answer(&ask, &[recommends]);
    assert_eq!(play.one_ask().broker, 1);
}

#[test]
fn a_bound_behind_the_end_of_a_log_that_was_cut_back_is_reached_there() {
    let now = Instant::now();
    let earliest = Settings {
        reset: Reset::Earliest,
        ..settings()
    };
    let mut machine = Machine::new(earliest, false, now);
    let topic = machine.add_topic("t");
    machine.add(topic, 0, Some(0), Some(100));
    machine.learn(&metadata(&[(1, 4)]), now);
    let mut play = Play { machine, now };
    let ask = play.one_ask();
    play.answer(&ask, &[data(0, 0, 50)]);
    let ask = play.one_ask();
    let cut = Part {
        diverging: Some((3, 40)),
        ..Part::default()
    };
    play.answer(&ask, &[cut]);
    let ask = play.one_ask();
    let end = Part {
        high_watermark: 40,
        last_stable_offset: 40,
        ..Part::default()
    };
    let pieces = play.answer(&ask, &[end]);
    assert_eq!(
        (pieces.len(), play.machine.partitions[0].end),
        (1, Some(40))
    );
}

#[test]
fn epochs_that_begin_anew_tell_a_recreated_topic_where_there_are_no_ids() {
    let mut play = Play::of(settings(), &[(1, 7)]);
    play.learn(&[(1, 2)]);
    play.later(3000);
    play.learn(&[(1, 2)]);
    assert_eq!(play.told(), "");
    play.later(3000);
    play.learn(&[(1, 2)]);
    assert!(play.told().contains("record again"));
}
