//! Lines that are written here, by databases, and wrong ones with their reasons.

use super::super::super::Format;
use super::super::super::tests::decode_one;
use super::*;

fn format(columns: &str) -> Tsv {
    Tsv {
        columns: columns.parse().expect("the columns exist"),
        ..Tsv::default()
    }
}

fn decoded<T>(format: Tsv, text: &[u8], check: impl Fn(Record<'_>) -> T) -> Result<T, String> {
    decode_one(Format::Tsv(format), text, check)
}

fn value(text: &[u8]) -> Result<Option<Vec<u8>>, String> {
    decoded(format("value"), text, |record| {
        record.value.map(<[u8]>::to_owned)
    })
}

fn refused(columns: &str, text: &str) -> String {
    decoded(format(columns), text.as_bytes(), |_| ()).expect_err("the line is malformed")
}

#[test]
fn an_empty_field_is_the_empty_byte_string() {
    assert_eq!(value(b"\n"), Ok(Some(vec![])));
    let both = decoded(format("key,value"), b"\t\n", |record| {
        (record.key == Some(b""), record.value == Some(b""))
    });
    assert_eq!(both, Ok((true, true)));
}

#[test]
fn null_is_told_from_its_text() {
    assert_eq!(value(b"\\N\n"), Ok(None));
    assert_eq!(value(b"\\\\N\n"), Ok(Some(b"\\N".to_vec())));
}

#[test]
fn the_escapes_of_other_writers_are_understood() {
    assert_eq!(
        value(b"\\0\\b\\t\\n\\v\\f\\r\\\\\\'\\x00\\xfFz\n"),
        Ok(Some(b"\0\x08\t\n\x0b\x0c\r\\'\0\xffz".to_vec()))
    );
}

#[test]
fn bytes_that_need_no_escape_stay() {
    assert_eq!(value(b"a\rb\0\xff\"\n"), Ok(Some(b"a\rb\0\xff\"".to_vec())));
}

#[test]
fn a_missing_partition_has_three_spellings() {
    for text in ["", "\\N", "-1"] {
        let columns = format("partition,offset,timestamp");
        let line = format!("{text}\t{text}\t{text}\n");
        let record = decoded(columns, line.as_bytes(), |record| {
            record == Record::default()
        });
        assert_eq!(record, Ok(true), "{text:?}");
    }
}

#[test]
fn time_alone_is_the_timestamp() {
    let text = b"2026-11-22T18:44:06.123Z\n";
    let ms = decoded(format("time"), text, |record| record.timestamp_ms);
    assert_eq!(ms, Ok(Some(1_795_373_046_123)));
    let text = b"2026-11-22T18:44:06.123Z\t1795373046123\n";
    let ms = decoded(format("time,timestamp"), text, |record| record.timestamp_ms);
    assert_eq!(ms, Ok(Some(1_795_373_046_123)));
}

#[test]
fn each_malformed_line_is_refused_with_its_reason() {
    for (columns, text, reason) in [
        (
            "key,value",
            "a\n",
            "1 column where 2 were expected (key,value)",
        ),
        (
            "key,value",
            "\n",
            "1 column where 2 were expected (key,value)",
        ),
        (
            "key,value",
            "a\tb\tc\n",
            "3 columns where 2 were expected (key,value)",
        ),
        ("value", "a\tb\n", "2 columns where 1 was expected (value)"),
        (
            "value",
            "ab\\\n",
            "column value, byte 3: a backslash at the end escapes nothing (write \\\\ for a backslash)",
        ),
        (
            "key,value",
            "a\tb\\q\n",
            "column value, byte 4: unknown escape \\q",
        ),
        (
            "value",
            "\\x4\n",
            "column value, byte 1: \\x needs two hexadecimal digits",
        ),
        (
            "value",
            "a\\N\n",
            "column value, byte 2: \\N is NULL only where it is the whole field (write \\\\N for the text)",
        ),
        (
            "key,value",
            "a\tb\r\n",
            "byte 4: the line ends in CRLF, and it is not known whether the CR is data (remove it with tr -d '\\r', or write \\r where it is data)",
        ),
        (
            "partition,value",
            "1x\ta\n",
            "column partition, byte 1: 1x is not a partition",
        ),
        (
            "partition,value",
            "+1\ta\n",
            "column partition, byte 1: +1 is not a partition",
        ),
        (
            "partition,value",
            "-2\ta\n",
            "column partition, byte 1: -2 is not a partition",
        ),
        (
            "value,partition",
            "a\t2147483648\n",
            "column partition, byte 3: 2147483648 is not a partition",
        ),
        (
            "offset",
            "1.5\n",
            "column offset, byte 1: 1.5 is not an offset",
        ),
        (
            "timestamp",
            "2026-11-22\n",
            "column timestamp, byte 1: 2026-11-22 is not a timestamp",
        ),
        (
            "headers",
            "a=%4\n",
            "column headers, byte 3: %4 is not percent-encoding (write %25 for a percent sign)",
        ),
        (
            "key,headers",
            "k\ta=%4\n",
            "column headers, byte 5: %4 is not percent-encoding (write %25 for a percent sign)",
        ),
        (
            "timestamp,time",
            "1\t1970-01-01T00:00:00.002Z\n",
            "column time: says 2 ms, but column timestamp says 1",
        ),
    ] {
        assert_eq!(refused(columns, text), reason, "{text:?}");
    }
    assert!(
        refused("time", "yesterday\n")
            .starts_with("column time, byte 1: \"yesterday\" is not a time")
    );
}

#[test]
fn hexadecimal_is_what_bytea_takes() {
    let hex = || Tsv {
        bytes: ByteStyle::Hex,
        ..format("value")
    };
    let value = |text: &str| {
        decoded(hex(), text.as_bytes(), |record| {
            record.value.map(<[u8]>::to_owned)
        })
    };
    assert_eq!(value("\\\\x00fF\n"), Ok(Some(vec![0, 255])));
    assert_eq!(value("\\\\x\n"), Ok(Some(vec![])));
    assert_eq!(value("\\N\n"), Ok(None));
    let shape =
        "column value, byte 1: --bytes=hex needs \\\\x and an even number of hexadecimal digits";
    assert_eq!(value("00\n"), Err(shape.into()));
    assert_eq!(value("\\\\x0\n"), Err(shape.into()));
    assert_eq!(
        value("\\\\x00zz\n"),
        Err("column value, byte 6: zz is not hexadecimal".into())
    );
}

#[test]
fn strict_utf8_is_kept_when_reading() {
    let strict = Tsv {
        utf8: Utf8::Strict,
        ..format("key,value")
    };
    assert_eq!(
        decoded(strict, b"a\t\xff\n", |_| ()),
        Err("column value, byte 3: is not UTF-8".into())
    );
}

#[test]
fn a_topic_is_text() {
    assert_eq!(
        decoded(format("topic"), b"\xff\n", |_| ()),
        Err("column topic: is not UTF-8".into())
    );
}
