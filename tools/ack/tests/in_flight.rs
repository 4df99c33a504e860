use proptest::prelude::*;

use super::*;

fn topic_partition(partition: i32) -> (String, i32) {
    ("t".to_owned(), partition)
}

fn in_flight(limit: u64, sink_commits: bool) -> InFlight {
    let mut in_flight = InFlight::new(limit, sink_commits);
    in_flight.begin("s", "t", 0);
    in_flight.begin("s", "t", 1);
    in_flight
}

#[test]
fn what_is_acknowledged_is_committed_and_makes_room_only_then() {
    let mut in_flight = in_flight(3, false);
    for offset in [4, 5, 9] {
        in_flight.send(&topic_partition(0), offset);
    }
    assert!(in_flight.is_full());
    assert_eq!(in_flight.acknowledge(&position("s:t:0:5")).ok(), Some(true));
    assert_eq!(in_flight.acknowledged(), 2);
    let positions = in_flight.to_commit();
    assert_eq!(positions.get(&topic_partition(0)), Some(&6));
    in_flight.begin_commit(&positions);
    assert!(in_flight.is_full());
    in_flight.finish_commit(true);
    assert_eq!(in_flight.records(), 1);
    assert!(in_flight.to_commit().is_empty());
    assert!(!in_flight.is_drained(None));
    assert_eq!(in_flight.acknowledge(&position("s:t:0:9")).ok(), Some(true));
    assert!(in_flight.is_drained(None));
    in_flight.begin_commit(&in_flight.to_commit());
    in_flight.finish_commit(false);
    assert_eq!(
        in_flight.to_commit().get(&topic_partition(0)),
        Some(&10),
        "once more"
    );
}

#[test]
fn an_acknowledgement_of_an_old_session_is_never_taken() {
    let mut in_flight = in_flight(10, false);
    in_flight.send(&topic_partition(0), 4);
    in_flight.forget(&[topic_partition(0)]);
    assert_eq!(
        in_flight.acknowledge(&position("s:t:0:4")).ok(),
        Some(false)
    );
    in_flight.begin("s2", "t", 0);
    in_flight.send(&topic_partition(0), 2);
    assert_eq!(
        in_flight.acknowledge(&position("s:t:0:4")).ok(),
        Some(false)
    );
    assert!(in_flight.to_commit().is_empty());
    assert_eq!(
        in_flight.acknowledge(&position("s2:t:0:2")).ok(),
        Some(true)
    );
    assert_eq!(
        in_flight.acknowledge(&position("s2:t:0:2")).ok(),
        Some(false)
    );
    assert!(in_flight.acknowledge(&position("s2:t:0:3")).is_err());
    assert!(in_flight.acknowledge(&position("s:t:1:0")).is_err());
}

#[test]
fn what_is_behind_the_last_record_is_committed_with_it_and_by_the_source_where_the_sink_commits() {
    let mut plain = in_flight(10, false);
    plain.send(&topic_partition(0), 4);
    plain.pass(&topic_partition(0), 6);
    plain.pass(&topic_partition(1), 3);
    assert_eq!(plain.to_commit(), [(topic_partition(1), 3)].into());
    assert_eq!(plain.reached(&topic_partition(0)), Some(6));
    plain.acknowledge(&position("s:t:0:4")).expect("sent");
    assert_eq!(
        plain.to_commit(),
        [(topic_partition(0), 6), (topic_partition(1), 3)].into()
    );

    let mut transactional = in_flight(10, true);
    transactional.send(&topic_partition(0), 4);
    transactional.send(&topic_partition(1), 4);
    transactional.pass(&topic_partition(0), 6);
    transactional
        .acknowledge(&position("s:t:0:4"))
        .expect("sent");
    transactional
        .acknowledge(&position("s:t:1:4"))
        .expect("sent");
    assert_eq!(transactional.records(), 0);
    assert_eq!(transactional.to_commit(), [(topic_partition(0), 6)].into());
}

proptest! {
    #[test]
    fn a_window_counts_what_is_between_the_sent_and_the_committed(gaps in proptest::collection::vec(1_i64..4, 1..50), at in 0_usize..50) {
        let mut in_flight = InFlight::new(1000, false);
        in_flight.begin("s", "t", 0);
        let mut offset = 0;
        let offsets: Vec<i64> = gaps.iter().map(|gap| { offset += gap; offset }).collect();
        for offset in &offsets {
            in_flight.send(&topic_partition(0), *offset);
        }
        let at = at % offsets.len();
        in_flight.acknowledge(&position(&format!("s:t:0:{}", offsets[at]))).expect("sent");
        prop_assert_eq!(in_flight.acknowledged(), at as u64 + 1);
        in_flight.begin_commit(&in_flight.to_commit());
        in_flight.finish_commit(true);
        prop_assert_eq!(in_flight.records(), (offsets.len() - at - 1) as u64);
        in_flight.begin("s", "t", 1);
        in_flight.send(&topic_partition(1), 7);
        in_flight.forget(&[topic_partition(0)]);
        prop_assert_eq!(in_flight.records(), 1);
    }
}
