use proptest::prelude::*;

use super::super::*;

#[test]
fn a_position_stands_in_front_of_columns_and_first_in_an_object() {
    let mut out = Vec::new();
    let start = begin_line(Shape::Tsv, "s:t:0", 17, &mut out);
    out.extend_from_slice(b"k\tv\n");
    end_line(Shape::Tsv, start, &mut out);
    assert_eq!(out, b"s:t:0:17\tk\tv\n");
    let split = Split::of(&out, Shape::Tsv).expect("a line");
    assert_eq!(split.position, b"s:t:0:17");
    assert_eq!(split.record.as_deref(), Some(&b"k\tv\n"[..]));

    let mut out = Vec::new();
    let start = begin_line(Shape::Json, "s:t:0", 17, &mut out);
    out.extend_from_slice(b"{\"topic\":\"t\"}\n");
    end_line(Shape::Json, start, &mut out);
    assert_eq!(out, b"{\"position\":\"s:t:0:17\",\"topic\":\"t\"}\n");
    let split = Split::of(&out, Shape::Json).expect("a line");
    assert_eq!(split.position, b"s:t:0:17");
    assert_eq!(split.record.as_deref(), Some(&b"{\"topic\":\"t\"}\n"[..]));
}

#[test]
fn an_object_may_have_its_members_in_any_order_and_spaces() {
    for (line, record) in [
        (
            r#"{"payload":"x","position":"s:t:0:1"}"#,
            r#"{"payload":"x"}"#,
        ),
        (
            r#"{"position": "s:t:0:1", "payload": "x"}"#,
            r#"{"payload": "x"}"#,
        ),
        (
            r#"{ "position":"s:t:0:1","payload":"x"}"#,
            r#"{ "payload":"x"}"#,
        ),
        // Other members stay as they are: names, numbers, what is inside of them.
        (
            r#"{"a":{"position":"x:y:1:1"},"\"":12345678901234567890.10 , "position" : "s:t:0:1" , "z":["position"]}"#,
            r#"{"a":{"position":"x:y:1:1"},"\"":12345678901234567890.10 , "z":["position"]}"#,
        ),
        (
            r#"{"a":"\",\"position\":\"" ,"position":"s:t:0:1" }"#,
            r#"{"a":"\",\"position\":\"" }"#,
        ),
    ] {
        let split = Split::of(line.as_bytes(), Shape::Json).expect(line);
        assert_eq!(split.position, b"s:t:0:1");
        assert_eq!(split.record.as_deref(), Some(record.as_bytes()), "{line}");
    }
    for line in [
        r#"["position","s:t:0:1"]"#,
        r#"{"position":1}"#,
        r#"{"position":"s:t:0:1""#,
    ] {
        assert!(Split::of(line.as_bytes(), Shape::Json).is_err(), "{line}");
    }
}

#[test]
fn a_position_alone_leaves_the_record_out_and_an_empty_record_is_one() {
    let record = |line: &'static str, shape| {
        let split = Split::of(line.as_bytes(), shape).expect(line);
        split.record.map(std::borrow::Cow::into_owned)
    };
    assert_eq!(record("s:t:0:1\n", Shape::Tsv), None);
    assert_eq!(record("s:t:0:1\t\n", Shape::Tsv), Some(b"\n".to_vec()));
    assert_eq!(record("{\"position\":\"s:t:0:1\"}\n", Shape::Json), None);
    assert_eq!(record("{\"position\": \"s:t:0:1\" }\n", Shape::Json), None);
}

#[test]
fn what_is_no_position_is_an_error() {
    for line in [
        "\n",
        "k\tv\n",
        "s:t:0:01\tv\n",
        "s:t:0:-1\tv\n",
        "s:t:0:\tv\n",
        "\ts:t:0:1\n",
    ] {
        assert!(
            matches!(
                Split::of(line.as_bytes(), Shape::Tsv),
                Err(AckError::NoPosition(_))
            ),
            "{line:?}"
        );
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
    fn any_bytes_of_a_record_survive_both_shapes(value in proptest::collection::vec(any::<u8>(), 0..60), offset in 0..i64::MAX) {
        let value: Vec<u8> = value.into_iter().filter(|byte| *byte != b'\n').chain([b'\n']).collect();
        let mut out = Vec::new();
        let start = begin_line(Shape::Tsv, "s:t.x-y_z:12", offset, &mut out);
        out.extend_from_slice(&value);
        end_line(Shape::Tsv, start, &mut out);
        let split = Split::of(&out, Shape::Tsv).expect("a line");
        prop_assert_eq!(Position::parse(split.position).map(|p| p.offset), Some(offset));
        prop_assert_eq!(split.record.as_deref(), Some(&value[..]));
    }
}
