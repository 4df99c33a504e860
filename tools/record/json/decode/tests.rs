//! Objects that are written here, by kcat, and wrong ones with their reasons.

use super::super::super::tests::decode_one;
use super::super::super::{Decoded, Decoder, Format};
use super::*;

fn decoded<T>(text: &str, check: impl Fn(Record<'_>) -> T) -> Result<T, String> {
    decode_one(Format::Json(Json::default()), text.as_bytes(), check)
}

fn refused(text: &str) -> String {
    decoded(text, |_| ()).expect_err("the text is malformed")
}

#[test]
fn what_kcat_writes_is_read() {
    let text = r#"{"topic":"t","partition":2,"offset":7,"tstype":"logappend","ts":1500,"broker":1,"headers":["a","1","b",null],"key":"k","payload":null}"#;
    decoded(text, |record| {
        assert_eq!(record.topic, Some("t"));
        assert_eq!((record.partition, record.offset), (Some(2), Some(7)));
        assert_eq!(record.timestamp_ms, Some(1500));
        assert_eq!(record.timestamp_type, TimestampType::LogAppendTime);
        assert_eq!(record.broker, Some(1));
        assert_eq!((record.key, record.value), (Some(&b"k"[..]), None));
        let headers = [Header::new(b"a", Some(b"1")), Header::new(b"b", None)];
        assert_eq!(record.headers, headers);
    })
    .expect("the text is well-formed");
}

#[test]
fn a_payload_alone_is_a_record() {
    decoded(r#"{"payload":"a\u0000\"\ud83d\ude00"}"#, |record| {
        let expected = Record {
            value: Some("a\0\"😀".as_bytes()),
            ..Record::default()
        };
        assert_eq!(record, expected);
    })
    .expect("the text is well-formed");
}

#[test]
fn minus_one_and_null_say_not_known() {
    let text = r#"{"topic":null,"partition":-1,"offset":-1,"ts":-1,"broker":-1,"headers":null,"key":null,"payload":null}"#;
    assert_eq!(
        decoded(text, |record| record == Record::default()),
        Ok(true)
    );
}

#[test]
fn an_object_without_a_payload_is_not_taken_for_a_tombstone() {
    // With a field that no record has, `value` is no payload either.
    for text in ["{}", r#"{"key":"k"}"#, r#"{"key":"k","value":"v","id":1}"#] {
        let reason = "payload: is missing (null is a tombstone, and has to be written)";
        assert_eq!(refused(text), reason, "{text}");
    }
    let null = |text| decoded(text, |record| record.value.is_none());
    assert_eq!(null(r#"{"payload":null}"#), Ok(true));
    assert_eq!(null(r#"{"payload_base64":null}"#), Ok(true));
}

#[test]
fn other_fields_are_passed_over() {
    let text = r#"{"key_schema_id":5,"x":{"y":[1,2]},"payload":"v","payload_error":"no"}"#;
    assert_eq!(decoded(text, |record| record.value == Some(b"v")), Ok(true));
}

#[test]
fn binary_parts_of_headers_are_base64() {
    let text = r#"{"headers":[["n",null,"/w=="],[null,"v",null,"/g=="],[null,null,null,"/g=="]],"payload":null}"#;
    decoded(text, |record| {
        let headers = [
            Header::new(b"n", Some(b"\xff")),
            Header::new(b"\xfe", Some(b"v")),
            Header::new(b"\xfe", None),
        ];
        assert_eq!(record.headers, headers);
    })
    .expect("the text is well-formed");
}

#[test]
fn what_other_tools_call_value_is_the_payload() {
    let text = r#"{"key":"k","value":"v"}"#;
    let is_value = |record: Record<'_>| record.value == Some(b"v") && record.key == Some(b"k");
    assert_eq!(decoded(text, is_value), Ok(true));
    let both = r#"{"payload":"p","value":"v"}"#;
    assert_eq!(refused(both), "payload and value are both there");
}

#[test]
fn an_array_is_its_objects_one_after_the_other() {
    let mut decoder = Decoder::new(Format::Json(Json::default())).expect("the format is fine");
    let text = b" [ {\"payload\":\"a]\\\"}\"} ,{\"value\":\"b\"}]\n{\"payload\":\"c\"}\n";
    let mut rest = &text[..];
    let mut values = Vec::new();
    let mut inside = Vec::new();
    while !rest.is_empty() {
        let used = match decoder.decode(rest, false) {
            Ok(Decoded::Record { record, used }) => {
                values.push(record.record().value.map(<[u8]>::to_owned));
                used
            }
            other => panic!("{other:?}"),
        };
        inside.push(decoder.is_inside_line());
        rest = &rest[used..];
    }
    let value = |text: &str| Some(text.as_bytes().to_vec());
    assert_eq!(values, [value("a]\"}"), value("b"), value("c")]);
    assert_eq!(inside, [true, false, false]);
}

#[test]
fn each_malformed_object_is_refused_with_its_reason() {
    const NUMBERS: &str = " (numbers and objects are read with -s, as -s value=json)";
    for (text, reason) in [
        ("\n", "empty where a JSON object was expected".to_owned()),
        (
            "5",
            "byte 1: invalid type: integer `5`, expected a JSON object".to_owned(),
        ),
        (
            r#"{"key":5}"#,
            format!(
                "byte 8: invalid type: integer `5`, expected a string or null for key{NUMBERS}"
            ),
        ),
        (
            r#"{"payload":{"a":1}}"#,
            format!("byte 12: invalid type: map, expected a string or null for payload{NUMBERS}"),
        ),
        (
            r#"{"partition":"5"}"#,
            "byte 16: invalid type: string \"5\", expected a whole number for partition".to_owned(),
        ),
        (
            r#"{"partition":1.5}"#,
            "byte 16: invalid type: floating point `1.5`, expected a whole number for partition"
                .to_owned(),
        ),
        (
            r#"{"partition":2147483648}"#,
            "partition: 2147483648 is too large".to_owned(),
        ),
        (r#"{"offset":-2}"#, "offset: -2 is below 0".to_owned()),
        (
            r#"{"ts":9223372036854775808}"#,
            "byte 25: ts 9223372036854775808 is too large".to_owned(),
        ),
        (
            r#"{"tstype":"x"}"#,
            "tstype: \"x\" is not create or logappend".to_owned(),
        ),
        (
            r#"{"key":"a","key":"b"}"#,
            "byte 16: key is there twice".to_owned(),
        ),
        (
            r#"{"key":"a","key_base64":"YQ=="}"#,
            "key and key_base64 are both there".to_owned(),
        ),
        (
            r#"{"payload_base64":"YQ"}"#,
            "byte 23: payload_base64 is not base64: Invalid padding".to_owned(),
        ),
        (
            r#"{"headers":{"a":5}}"#,
            "byte 17: invalid type: integer `5`, expected a string or null for a header".to_owned(),
        ),
        (
            r#"{"headers":["a"]}"#,
            "byte 16: the last name in headers has no value".to_owned(),
        ),
        (
            r#"{"headers":[null,"a"]}"#,
            "byte 21: a header in headers has no name".to_owned(),
        ),
        (
            r#"{"headers":[["a","b"],"c","d"]}"#,
            "byte 30: headers mix arrays with kcat's flat names and values".to_owned(),
        ),
        (
            r#"{"headers":[["a"]]}"#,
            "byte 17: a header has 1 parts, expected [name, value] or [name, null, base64]"
                .to_owned(),
        ),
        (
            r#"{"headers":[["a","b","YQ=="]]}"#,
            "byte 28: a header has its value both as text and as base64".to_owned(),
        ),
        (
            r#"{"payload":"a"#,
            "byte 13: EOF while parsing a string".to_owned(),
        ),
        (
            r#"{"payload":"a"} x"#,
            "byte 17: trailing characters".to_owned(),
        ),
        (
            r#"{"payload":"\ud800"}"#,
            "byte 19: unexpected end of hex escape".to_owned(),
        ),
    ] {
        assert_eq!(refused(text), reason, "{text}");
    }
    assert!(refused("{\"payload\":\"\u{1}\"}").contains("control character"));
}

#[test]
fn bytes_that_are_not_utf8_are_refused() {
    let mut decoder = Decoder::new(Format::Json(Json::default())).expect("the format is fine");
    let error = decoder
        .decode(b"{\"payload\":\"\xff\"}\n", true)
        .map_err(|error| error.to_string())
        .expect_err("the text is not UTF-8");
    assert_eq!(error, "byte 13: invalid unicode code point");
}

#[test]
fn embedded_json_is_the_text_that_it_is() {
    let embedded = Embedded {
        key: false,
        value: true,
    };
    let mut decoder = Decoder::new(Format::Json(Json::default())).expect("the format is fine");
    decoder = decoder.with_embedded(embedded);
    let mut read = |text: &str| match decoder.decode(text.as_bytes(), true) {
        Ok(Decoded::Record { record, .. }) => {
            let record = record.record();
            let value = record
                .value
                .map(|value| String::from_utf8_lossy(value).into_owned());
            (value, record.value_content, record.key_content)
        }
        other => panic!("{other:?}"),
    };
    let json = |schema_id| Content::Json { schema_id };
    let text =
        r#"{"key":"k","payload":{"a": [9007199254740993,1.50],"b":"\u00e9"},"value_schema_id":7}"#;
    let value = r#"{"a": [9007199254740993,1.50],"b":"\u00e9"}"#.to_owned();
    assert_eq!(read(text), (Some(value), json(Some(7)), Content::Bytes));
    assert_eq!(read(r#"{"payload":"x"}"#).0.as_deref(), Some("\"x\""));
    assert_eq!(read(r#"{"value":5}"#).0.as_deref(), Some("5"));
    assert_eq!(read(r#"{"payload":null}"#).0, None);
    let bytes = r#"{"payload_base64":"AAE="}"#;
    assert_eq!(
        read(bytes),
        (Some("\0\u{1}".to_owned()), Content::Encoded, Content::Bytes)
    );
}
