//! Text that a template wrote, and text that it did not.

use super::super::super::tests::decode_one;
use super::super::super::{Decoder, Format};
use super::*;

fn format(template: &str) -> Format {
    Format::Template(Template::parse(template).expect("the template is well-formed"))
}

fn decoded<T>(template: &str, text: &[u8], check: impl Fn(Record<'_>) -> T) -> Result<T, String> {
    decode_one(format(template), text, check)
}

fn refused(template: &str, text: &[u8]) -> String {
    decoded(template, text, |_| ()).expect_err("the text is malformed")
}

#[test]
fn every_token_is_read() {
    let template = "%t [%p] at offset %o, %T, %h: key %k\\n%s\\n";
    let text = b"top [3] at offset 12, 1500, a=1,b=NULL: key k\nv\n";
    decoded(template, text, |record| {
        assert_eq!(record.topic, Some("top"));
        assert_eq!((record.partition, record.offset), (Some(3), Some(12)));
        assert_eq!(record.timestamp_ms, Some(1500));
        assert_eq!(
            (record.key, record.value),
            (Some(&b"k"[..]), Some(&b"v"[..]))
        );
        let headers = [Header::new(b"a", Some(b"1")), Header::new(b"b", None)];
        assert_eq!(record.headers, headers);
    })
    .expect("the text is well-formed");
}

#[test]
fn a_length_of_minus_one_is_null_wherever_it_stands() {
    let null =
        |template: &str, text: &[u8]| decoded(template, text, |record| record.value.is_none());
    assert_eq!(null("%S:%s\\n", b"-1:\n"), Ok(true));
    assert_eq!(null("%s %S\\n", b" -1\n"), Ok(true));
    assert_eq!(null("%s %S\\n", b" 0\n"), Ok(false));
    assert_eq!(null("%R%s", b"\xff\xff\xff\xff"), Ok(true));
}

#[test]
fn a_last_record_may_lack_the_text_that_ends_it() {
    let value = |text: &[u8]| decoded("%k\\t%s\\n", text, |record| record.value == Some(b"v"));
    assert_eq!(value(b"k\tv"), Ok(true));
    assert_eq!(
        decoded("%S:%s\\n", b"1:v", |record| record.value == Some(b"v")),
        Ok(true)
    );
}

#[test]
fn each_malformed_text_is_refused_with_its_reason() {
    for (template, text, reason) in [
        (
            "%k\\t%s\\n",
            "k",
            "%k, byte 1: the input ends in the middle of a record",
        ),
        (
            "%R%s",
            "\0\0",
            "%R, byte 1: the input ends in the middle of a record",
        ),
        (
            "%R%s",
            "\0\0\0\x02v",
            "%s, byte 5: the input ends in the middle of a record",
        ),
        (
            "%S:%s",
            "2:v",
            "%s, byte 3: the input ends in the middle of a record",
        ),
        (
            "%S:%s",
            "2",
            "byte 2: the input ends in the middle of a record",
        ),
        ("%p,%s\\n", "x,v\n", "%p, byte 1: x is not a whole number"),
        ("%p,%s\\n", "1x,v\n", "byte 2: expected \",\", found \"x\""),
        ("%p,%s\\n", "-2,v\n", "%p: -2 is below 0"),
        (
            "%p,%s\\n",
            "2147483648,v\n",
            "%p: there is no such partition",
        ),
        (
            "%{time} %s\\n",
            "12:00 v\n",
            "%{time}, byte 1: 12:00 is not a time",
        ),
        ("<%s>\\n", "(v>\n", "byte 1: expected \"<\", found \"(\""),
        (
            "%S:%s\\n",
            "1:vv\n",
            "byte 4: expected \"\\n\", found \"v\"",
        ),
        ("%S:%s", "-2:", "%S: -2 is not a length"),
        (
            "%s %S\\n",
            "abc 2\n",
            "%s, byte 1: 3 bytes, but the length before or after it is 2",
        ),
        (
            "%p %p %s\\n",
            "1 2 v\n",
            "%p, byte 4: 2, but it was 1 before in the same record",
        ),
        (
            "%k %k\\n",
            "a b\n",
            "%k, byte 3: differs from what it was before in the same record",
        ),
        ("%h %s\\n", "a v\n", "%h, byte 1: header a has no ="),
    ] {
        assert_eq!(
            refused(template, text.as_bytes()),
            reason,
            "{template} {text:?}"
        );
    }
    assert_eq!(
        refused("%t %s\\n", b"\xff v\n"),
        "%t: the topic is not UTF-8"
    );
    let endless = "1".repeat(100);
    assert!(refused("%o %s\\n", endless.as_bytes()).contains("is not a whole number"));
}

#[test]
fn no_bytes_are_no_record() {
    let mut decoder = Decoder::new(format("%s\\n")).expect("the template can be read");
    let nothing = decoder
        .decode(b"", true)
        .map(|found| matches!(found, Decoded::Incomplete));
    assert_eq!(nothing, Ok(true));
}
