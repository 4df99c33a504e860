use super::*;

#[test]
fn only_a_prefix_that_is_durable_is_acknowledged() {
    let mut tracker = AckTracker::default();
    let first = tracker.receive(0, 1);
    let second = tracker.receive(0, 2);
    let other = tracker.receive(1, 7);
    tracker.ack(second);
    tracker.ack(other);
    assert_eq!(tracker.durable(true), [(1, 7)]);
    tracker.ack(first);
    assert_eq!(tracker.durable(true), [(0, 2)]);
    assert!(tracker.durable(true).is_empty());
    assert_eq!(tracker.open(), 0);
}

#[test]
fn a_repeated_position_counts_with_the_last_of_its_lines() {
    let mut tracker = AckTracker::default();
    let before = tracker.receive(0, 1);
    let one = tracker.receive(0, 2);
    tracker.ack(before);
    tracker.ack(one);
    assert_eq!(tracker.durable(false), [(0, 1)], "more lines of 2 may come");
    let two = tracker.receive(0, 2);
    assert!(tracker.durable(true).is_empty());
    tracker.ack(two);
    assert!(tracker.durable(false).is_empty());
    let next = tracker.receive(1, 0);
    assert_eq!(tracker.durable(false), [(0, 2)]);
    tracker.ack(next);
    assert_eq!(tracker.durable(true), [(1, 0)]);
}

#[test]
fn what_was_released_is_not_acknowledged_however_late_it_is_durable() {
    let mut tracker = AckTracker::default();
    let old = tracker.receive(0, 1);
    let kept = tracker.receive(1, 1);
    tracker.release(0);
    assert_eq!(tracker.open(), 1);
    tracker.ack(old);
    tracker.ack(kept);
    assert_eq!(tracker.durable(true), [(1, 1)]);
    assert_eq!(tracker.received().count(), 0);
}
