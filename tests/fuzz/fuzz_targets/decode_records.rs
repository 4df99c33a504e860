//! No bytes make a decoder panic, reading them in pieces or at once is the
//! same, and what was decoded survives being written and read again.
//!
//! The first byte of the input chooses the format, the second the size of the
//! pieces. Run it from the root of the repository:
//! `.ci/fuzz decode_records`

#![no_main]
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the modules are the library's own"
)]

// The pure modules by their path, so that fuzzing needs no librdkafka.
#[path = "../../../tools"]
mod library {
    pub mod record;
    pub mod text;
    pub mod units;
}

use library::{record, text, units};
use libfuzzer_sys::fuzz_target;
use record::json::Json;
use record::raw::Raw;
use record::template::Template;
use record::tsv::{ByteStyle, Tsv, Utf8};
use record::{Decoded, Decoder, Encoder, Format, Record};

/// The format for the first byte of the input, and whether writing a record
/// that was read must give it back, unless the encoder counts it as ambiguous.
fn format(choice: u8) -> (Format, bool) {
    let tsv = |columns: &str, bytes: ByteStyle, utf8: Utf8| {
        Format::Tsv(Tsv {
            columns: columns.parse().expect("the columns exist"),
            bytes,
            utf8,
        })
    };
    let template =
        |text: &str| Format::Template(Template::parse(text).expect("the template is well-formed"));
    let raw = |delimiter: &[u8], key_delimiter: Option<&[u8]>, null_empty: bool| {
        Format::Raw(Raw {
            delimiter: delimiter.to_owned(),
            key_delimiter: key_delimiter.map(<[u8]>::to_owned),
            null_empty,
        })
    };
    match choice % 12 {
        0 => (raw(b"\n", None, false), true),
        1 => (raw(b"::", None, false), true),
        // A line without the key delimiter has a NULL key, which raw output cannot say.
        2 => (raw(b"\n", Some(b":"), false), false),
        3 => (raw(b"\n", Some(b"::"), true), false),
        4 => (tsv("all", ByteStyle::Plain, Utf8::AsIs), true),
        5 => (tsv("key,value", ByteStyle::Hex, Utf8::AsIs), true),
        6 => (
            tsv(
                "time,timestamp,headers,value",
                ByteStyle::Plain,
                Utf8::Strict,
            ),
            true,
        ),
        7 => (Format::Json(Json::default()), true),
        8 => (template("%K:%k%S:%s"), true),
        9 => (template("%R%s"), true),
        10 => (template("%t [%p] %o %T %{time} %h %k\\t%s\\n"), true),
        _ => (template("<%k> %K %S <%s>\\n"), true),
    }
}

/// Everything of a record that a format may carry, owned.
fn own(record: &Record<'_>) -> impl PartialEq + std::fmt::Debug + use<> {
    let headers: Vec<(Vec<u8>, Option<Vec<u8>>)> = record
        .headers
        .iter()
        .map(|header| (header.name.to_owned(), header.value.map(<[u8]>::to_owned)))
        .collect();
    (
        record.topic.map(str::to_owned),
        (record.partition, record.offset, record.broker),
        (record.timestamp_ms, record.timestamp_type),
        record.key.map(<[u8]>::to_owned),
        record.value.map(<[u8]>::to_owned),
        headers,
    )
}

/// All records of `input`, arriving in pieces, and the error that ended it; `see` sees each record.
fn read(
    format: &Format,
    input: &[u8],
    piece: usize,
    mut see: impl FnMut(&Record<'_>),
) -> Option<String> {
    let mut decoder = Decoder::new(format.clone()).expect("the format can be read");
    let (mut start, mut end) = (0, input.len().min(piece));
    while start < input.len() {
        let at_end = end == input.len();
        match decoder.decode(&input[start..end], at_end) {
            Ok(Decoded::Record { record, used }) => {
                assert!(used > 0, "a record takes bytes");
                see(&record.record());
                start += used;
            }
            Ok(Decoded::Skipped { used }) => start += used,
            Ok(Decoded::Incomplete) => {
                assert!(!at_end || start == end, "at the end nothing is incomplete");
                end = input.len().min(end + piece);
            }
            Err(error) => return Some(error.to_string()),
        }
    }
    None
}

fuzz_target!(|data: &[u8]| {
    let [choice, piece, input @ ..] = data else {
        return;
    };
    let (format, comes_back) = format(*choice);
    let mut whole = Vec::new();
    let whole_error = read(&format, input, input.len().max(1), |record| {
        whole.push(own(record));
        show(&format, record);
        if comes_back {
            write_and_read(&format, record);
        }
    });
    let mut pieces = Vec::new();
    let pieces_error = read(&format, input, usize::from(*piece).max(1), |record| {
        pieces.push(own(record));
    });
    assert_eq!((whole, whole_error), (pieces, pieces_error));
});

/// Whatever is in a record, on a terminal it is text that drives nothing.
fn show(format: &Format, record: &Record<'_>) {
    let mut encoder = Encoder::new(format.clone()).for_terminal(true);
    let mut out = Vec::new();
    if encoder.encode(record, &mut out).is_ok() {
        let text = String::from_utf8(out).expect("what a terminal is shown is text");
        let drives = |c: char| c.is_control() && !matches!(c, '\t' | '\n');
        assert!(!text.contains(drives), "{text:?}");
    }
}

fn write_and_read(format: &Format, record: &Record<'_>) {
    let mut encoder = Encoder::new(format.clone());
    let mut out = Vec::new();
    encoder
        .encode(record, &mut out)
        .expect("what was read can be written");
    if encoder.ambiguous() > 0 {
        return;
    }
    let mut again = Vec::new();
    let error = read(format, &out, out.len(), |record| again.push(own(record)));
    assert_eq!((again, error), (vec![own(record)], None));
}
