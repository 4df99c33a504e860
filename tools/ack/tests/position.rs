use proptest::prelude::*;

use super::super::position::{Parts, Split};
use super::super::*;

fn written(shape: Shape, record: &[u8], number: u64, offset: i64) -> Vec<u8> {
    let key = StreamKey {
        session: "s".to_owned(),
        topic: "t.x-y_z".to_owned(),
        partition: 12,
    };
    let mut out = Vec::new();
    let line_start = LineStart::new(shape, &key);
    let start = line_start.write(number, offset, &mut out);
    out.extend_from_slice(record);
    line_start.join(start, &mut out);
    out
}

fn position_of(line: &[u8], shape: Shape) -> Option<&[u8]> {
    let split = Split::of(line, shape).ok()?;
    let position = &line[split.position];
    Parts::of(position).map(|_| position)
}

fn record_of(line: &[u8], shape: Shape) -> Option<Vec<u8>> {
    let split = Split::of(line, shape).expect("a line");
    split.record(line).map(std::borrow::Cow::into_owned)
}

#[test]
fn a_position_stands_in_front_of_columns_and_first_in_an_object() {
    let line = written(Shape::Tsv, b"k\tv\n", 5, 17);
    assert_eq!(line, b"s:5:t.x-y_z:12:17\tk\tv\n");
    assert_eq!(
        position_of(&line, Shape::Tsv),
        Some(&b"s:5:t.x-y_z:12:17"[..])
    );
    assert_eq!(
        record_of(&line, Shape::Tsv).as_deref(),
        Some(&b"k\tv\n"[..])
    );

    let line = written(Shape::Json, b"{\"topic\":\"t\"}\n", 5, 17);
    assert_eq!(
        line,
        b"{\"position\":\"s:5:t.x-y_z:12:17\",\"topic\":\"t\"}\n"
    );
    assert_eq!(
        position_of(&line, Shape::Json),
        Some(&b"s:5:t.x-y_z:12:17"[..])
    );
    let record = record_of(&line, Shape::Json);
    assert_eq!(record.as_deref(), Some(&b"{\"topic\":\"t\"}\n"[..]));
    let parts = Parts::of(b"s:5:t.x-y_z:12:17").expect("a position");
    let text = |bytes| std::str::from_utf8(bytes).expect("text");
    assert_eq!(
        (
            text(parts.session),
            parts.number,
            text(parts.topic_partition),
            parts.offset
        ),
        ("s", 5, "t.x-y_z:12", 17)
    );
}

#[test]
fn an_object_may_have_its_members_in_any_order_and_spaces() {
    for (line, record) in [
        (
            r#"{"payload":"x","position":"s:1:t:0:1"}"#,
            r#"{"payload":"x"}"#,
        ),
        (
            r#"{"position": "s:1:t:0:1", "payload": "x"}"#,
            r#"{"payload": "x"}"#,
        ),
        (
            r#"{ "position":"s:1:t:0:1","payload":"x"}"#,
            r#"{ "payload":"x"}"#,
        ),
        // Other members stay as they are: names, numbers, what is inside of them.
        (
            r#"{"a":{"position":"x:1:y:1:1"},"\"":12345678901234567890.10 , "position" : "s:1:t:0:1" , "z":["position"]}"#,
            r#"{"a":{"position":"x:1:y:1:1"},"\"":12345678901234567890.10 , "z":["position"]}"#,
        ),
        (
            r#"{"a":"\",\"position\":\"" ,"position":"s:1:t:0:1" }"#,
            r#"{"a":"\",\"position\":\"" }"#,
        ),
    ] {
        let line = line.as_bytes();
        assert_eq!(position_of(line, Shape::Json), Some(&b"s:1:t:0:1"[..]));
        assert_eq!(
            record_of(line, Shape::Json).as_deref(),
            Some(record.as_bytes()),
            "{record}"
        );
    }
    for line in [
        r#"["position","s:1:t:0:1"]"#,
        r#"{"position":1}"#,
        r#"{"position":"s:1:t:0:1""#,
        r#"{"position":"s:1:t:0:1"}{"a":1}"#,
    ] {
        assert!(Split::of(line.as_bytes(), Shape::Json).is_err(), "{line}");
    }
}

#[test]
fn a_position_alone_leaves_the_record_out_and_an_empty_record_is_one() {
    let record = |line: &str, shape| record_of(line.as_bytes(), shape);
    assert_eq!(record("s:1:t:0:1\n", Shape::Tsv), None);
    assert_eq!(record("s:1:t:0:1\t\n", Shape::Tsv), Some(b"\n".to_vec()));
    assert_eq!(record("{\"position\":\"s:1:t:0:1\"}\n", Shape::Json), None);
    assert_eq!(
        record("{\"position\": \"s:1:t:0:1\" }\n", Shape::Json),
        None
    );
}

#[test]
fn what_is_no_position_is_an_error() {
    for line in [
        "\n",
        "k\tv\n",
        "s:t:0:1\tv\n",
        "s:1:t:0:01\tv\n",
        "s:01:t:0:1\tv\n",
        "s:-1:t:0:1\tv\n",
        "s:1:t:0:-1\tv\n",
        "s:1:t:0:\tv\n",
        "\ts:1:t:0:1\n",
    ] {
        assert_eq!(position_of(line.as_bytes(), Shape::Tsv), None, "{line:?}");
    }
    for text in [
        "t:0:1",
        "a:s:t:0:1",
        ":t:0:1",
        "s::0:1",
        "s:t:x:1",
        "s:t:-1:1",
    ] {
        assert_eq!(Position::parse(text.as_bytes()), None, "{text}");
    }
}

proptest! {
    #[test]
    fn any_bytes_of_a_record_survive(value in proptest::collection::vec(any::<u8>(), 0..60), number in 0..u64::MAX / 2, offset in 0..i64::MAX) {
        let value: Vec<u8> = value.into_iter().filter(|byte| *byte != b'\n').chain([b'\n']).collect();
        let line = written(Shape::Tsv, &value, number, offset);
        let parts = position_of(&line, Shape::Tsv).and_then(Parts::of).expect("a position");
        prop_assert_eq!((parts.number, parts.offset), (number, offset));
        let record = record_of(&line, Shape::Tsv);
        prop_assert_eq!(record.as_deref(), Some(&value[..]));
    }
}
