use super::*;

fn receive(receipts: &mut Receipts, text: &str) -> Receipt {
    receipts.receive(text.as_bytes()).expect(text)
}

fn texts(positions: &[Position]) -> Vec<String> {
    positions.iter().map(Position::to_string).collect()
}

#[test]
fn only_a_prefix_that_is_durable_is_acknowledged() {
    let mut receipts = Receipts::default();
    let first = receive(&mut receipts, "s:t:0:1");
    let second = receive(&mut receipts, "s:t:0:2");
    let other = receive(&mut receipts, "s:t:1:7");
    receipts.settle(second);
    receipts.settle(other);
    assert_eq!(texts(&receipts.durable(true)), ["s:t:1:7"]);
    receipts.settle(first);
    assert_eq!(texts(&receipts.durable(true)), ["s:t:0:2"]);
    assert!(receipts.durable(true).is_empty());
    assert_eq!(receipts.open(), 0);
}

#[test]
fn a_repeated_position_counts_with_the_last_of_its_lines() {
    let mut receipts = Receipts::default();
    let before = receive(&mut receipts, "s:t:0:1");
    let one = receive(&mut receipts, "s:t:0:2");
    receipts.settle(before);
    receipts.settle(one);
    assert_eq!(
        texts(&receipts.durable(false)),
        ["s:t:0:1"],
        "more lines of 2 may come"
    );
    let two = receive(&mut receipts, "s:t:0:2");
    assert!(receipts.durable(true).is_empty());
    receipts.settle(two);
    assert!(receipts.durable(false).is_empty());
    let next = receive(&mut receipts, "s:t:1:0");
    assert_eq!(texts(&receipts.durable(false)), ["s:t:0:2"]);
    receipts.settle(next);
    assert_eq!(texts(&receipts.durable(true)), ["s:t:1:0"]);
    assert!(receipts.hold() > Duration::from_millis(100));
}

#[test]
fn a_position_may_go_on_in_a_line_that_begins_as_it_does() {
    let mut receipts = Receipts::default();
    receive(&mut receipts, "s:t:0:1");
    assert!(
        !receipts.may_go_on(b"s:t:0:1"),
        "no record had two lines yet"
    );
    receive(&mut receipts, "s:t:0:1");
    assert!(receipts.may_go_on(b"s:t:0:1\tv"));
    assert!(receipts.may_go_on(b"s:t"));
    assert!(receipts.may_go_on(b"{\"position\":\"s:t:0"));
    assert!(!receipts.may_go_on(b"s:t:0:2"));
    assert!(!receipts.may_go_on(b""));
}

#[test]
fn an_order_that_was_changed_is_noticed() {
    let mut receipts = Receipts::default();
    receive(&mut receipts, "s:t:0:5");
    receive(&mut receipts, "s:t:1:2");
    let error = receipts.receive(b"s:t:0:4").expect_err("goes back");
    assert!(
        error.to_string().contains("s:t:0:4 came after 5"),
        "{error}"
    );
}
