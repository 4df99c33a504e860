//! Properties of all formats: a record is decoded as it was encoded, and no bytes make a decoder panic.

use proptest::collection::vec;
use proptest::prelude::*;

use super::json::Json;
use super::raw::Raw;
use super::template::Template;
use super::tsv::{ByteStyle, Tsv, Utf8};
use super::*;

/// A record that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Owned {
    topic: Option<String>,
    partition: Option<i32>,
    offset: Option<i64>,
    timestamp_ms: Option<i64>,
    timestamp_type: TimestampType,
    broker: Option<i32>,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Owned {
    fn from(record: &Record<'_>) -> Owned {
        Owned {
            topic: record.topic.map(str::to_owned),
            partition: record.partition,
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            timestamp_type: record.timestamp_type,
            broker: record.broker,
            key: record.key.map(<[u8]>::to_owned),
            value: record.value.map(<[u8]>::to_owned),
            headers: record
                .headers
                .iter()
                .map(|header| (header.name.to_owned(), header.value.map(<[u8]>::to_owned)))
                .collect(),
        }
    }

    fn with_record<T>(&self, then: impl FnOnce(&Record<'_>) -> T) -> T {
        let headers: Vec<Header<'_>> = self
            .headers
            .iter()
            .map(|(name, value)| Header {
                name,
                value: value.as_deref(),
            })
            .collect();
        then(&Record {
            topic: self.topic.as_deref(),
            partition: self.partition,
            offset: self.offset,
            timestamp_ms: self.timestamp_ms,
            timestamp_type: self.timestamp_type,
            broker: self.broker,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: &headers,
            ..Record::default()
        })
    }

    /// The record without what a format of keys and values leaves out.
    fn key_and_value(self) -> Owned {
        Owned {
            key: self.key,
            value: self.value,
            ..Owned::from(&Record::default())
        }
    }
}

/// Any bytes, and often those that have a meaning in a format.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    const SPECIAL: &[u8] = b"\\\t\n\r\0N'xtn0%&=+,:;MSG-1\"{}[]/ \x1b\x7f\xc2\x9b\xff";
    prop_oneof![
        3 => vec(proptest::sample::select(SPECIAL), 0..12),
        2 => vec(any::<u8>(), 0..80),
        1 => ".{0,40}".prop_map(String::into_bytes),
        1 => Just(b"\\N".to_vec()),
        1 => Just(b"NULL".to_vec()),
        1 => Just((0..=255).collect::<Vec<u8>>()),
    ]
}

fn nullable() -> impl Strategy<Value = Option<Vec<u8>>> {
    proptest::option::weighted(0.8, bytes())
}

prop_compose! {
    fn record()(
        topic in proptest::option::of("[a-zA-Z0-9._-]{1,12}"),
        partition in proptest::option::of(0..=i32::MAX),
        offset in proptest::option::of(0..=i64::MAX),
        timestamp_ms in proptest::option::of(prop_oneof![
            0..=4_102_444_800_000i64,
            any::<i64>().prop_filter("-1 says that there is none", |ms| *ms != -1),
        ]),
        timestamp_type in proptest::sample::select(&[
            TimestampType::None,
            TimestampType::CreateTime,
            TimestampType::LogAppendTime,
        ][..]),
        broker in proptest::option::of(0..=i32::MAX),
        key in nullable(),
        value in nullable(),
        headers in vec((bytes(), nullable()), 0..4),
    ) -> Owned {
        Owned { topic, partition, offset, timestamp_ms, timestamp_type, broker, key, value, headers }
    }
}

fn written(encoder: &mut Encoder, records: &[Owned]) -> Vec<u8> {
    let mut out = Vec::new();
    for record in records {
        record
            .with_record(|record| encoder.encode(record, &mut out))
            .expect("lossless formats have no errors");
    }
    out
}

/// Decodes all of `input`, which arrives in pieces of `piece` bytes.
fn read(format: &Format, input: &[u8], piece: usize) -> Result<Vec<Owned>, DecodeError> {
    let mut decoder = Decoder::new(format.clone()).expect("the format can be read");
    let mut records = Vec::new();
    let (mut start, mut end) = (0, 0);
    while start < input.len() || end < input.len() {
        let at_end = end == input.len();
        match decoder.decode(&input[start..end], at_end)? {
            Decoded::Record { record, used } => {
                records.push(Owned::from(&record.record()));
                assert!(used > 0);
                start += used;
            }
            Decoded::Skipped { used } => start += used,
            Decoded::Incomplete => {
                assert!(!at_end, "at the end nothing is incomplete");
                end = input.len().min(end + piece);
            }
        }
    }
    Ok(records)
}

/// The result of `check` for the only record of `text`.
pub(super) fn decode_one<T>(
    format: Format,
    text: &[u8],
    check: impl FnOnce(Record<'_>) -> T,
) -> Result<T, String> {
    let mut decoder = Decoder::new(format).expect("the format can be read");
    match decoder.decode(text, true) {
        Ok(Decoded::Record { record, used }) => {
            assert_eq!(used, text.len());
            Ok(check(record.record()))
        }
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.to_string()),
    }
}

fn tsv(columns: &str, bytes: ByteStyle) -> Format {
    Format::Tsv(Tsv {
        columns: columns.parse().expect("the columns exist"),
        bytes,
        utf8: Utf8::AsIs,
    })
}

fn template(text: &str) -> Format {
    Format::Template(Template::parse(text).expect("the template is well-formed"))
}

fn raw(delimiter: &[u8], key_delimiter: Option<&[u8]>) -> Format {
    Format::Raw(Raw {
        delimiter: delimiter.to_owned(),
        key_delimiter: key_delimiter.map(<[u8]>::to_owned),
        null_empty: false,
    })
}

fn json() -> Format {
    Format::Json(Json::default())
}

/// The part of a record that a format has.
type Carried = fn(Owned) -> Owned;

/// The formats that are always lossless.
fn lossless() -> Vec<(Format, Carried)> {
    let tsv_carries = |record: Owned| Owned {
        timestamp_type: TimestampType::None,
        broker: None,
        ..record
    };
    let placed = |record: Owned| Owned {
        partition: record.partition,
        offset: record.offset,
        timestamp_ms: record.timestamp_ms,
        ..record.key_and_value()
    };
    let value_only = |record: Owned| Owned {
        key: None,
        ..record.key_and_value()
    };
    vec![
        (tsv("all", ByteStyle::Plain), tsv_carries),
        (tsv("all", ByteStyle::Hex), tsv_carries),
        (
            tsv(
                "value,headers,time,key,topic,offset,partition",
                ByteStyle::Plain,
            ),
            tsv_carries,
        ),
        (tsv("key,value", ByteStyle::Plain), Owned::key_and_value),
        (tsv("value", ByteStyle::Plain), value_only),
        (json(), |record| record),
        (template("%K:%k%S:%s"), Owned::key_and_value),
        (template("%R%s"), value_only),
        (template("%K %R%k%s"), Owned::key_and_value),
        (template("%p,%o,%T;%K %k\\x00%S %s\\n"), placed),
        (template("%{time} %p %o %K-%S-%k%s%%"), placed),
    ]
}

/// The formats that are lossless except for the records that they count as ambiguous.
fn countable() -> Vec<(Format, Carried)> {
    let or_empty = |record: Owned| {
        let record = record.key_and_value();
        Owned {
            key: Some(record.key.unwrap_or_default()),
            value: Some(record.value.unwrap_or_default()),
            ..record
        }
    };
    let value_or_empty = |record: Owned| Owned {
        value: Some(record.value.clone().unwrap_or_default()),
        key: None,
        ..record.key_and_value()
    };
    let with_headers = |record: Owned| Owned {
        topic: record.topic.clone(),
        value: Some(record.value.clone().unwrap_or_default()),
        headers: record.headers.clone(),
        key: None,
        ..record.key_and_value()
    };
    let null_text = Template::parse("%k\\t%S %s %k\\n").expect("the template is well-formed");
    vec![
        (raw(b"\n", None), value_or_empty),
        (raw(b"\n", Some(b"\t")), or_empty),
        (raw(b":MSG:", Some(b"::")), or_empty),
        (raw(b"\0", Some(b":MSG:")), or_empty),
        (template("%k\\t%s\\n"), or_empty),
        (template("%s:M%k:MSG:"), or_empty),
        (template("%t %h;%s\\n"), with_headers),
        (
            Format::Template(null_text.with_null_text(true)),
            Owned::key_and_value,
        ),
    ]
}

/// All formats that can be decoded.
fn readable() -> Vec<Format> {
    let strict = Format::Tsv(Tsv {
        utf8: Utf8::Strict,
        ..Tsv::default()
    });
    let all = lossless().into_iter().chain(countable());
    let z = Format::Raw(Raw {
        key_delimiter: Some(b":".to_vec()),
        null_empty: true,
        ..Raw::default()
    });
    all.map(|(format, _)| format)
        .chain([
            strict,
            z,
            template("%t [%p] %o %T %{time} %h %K %k %S %R%s\\n"),
        ])
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn lossless_formats_read_back_what_they_wrote(records in vec(record(), 1..5), piece in 1usize..40) {
        for (format, carried) in lossless() {
            let mut encoder = Encoder::new(format.clone());
            let text = written(&mut encoder, &records);
            prop_assert_eq!(encoder.ambiguous(), 0);
            let expected: Vec<Owned> = records.iter().cloned().map(carried).collect();
            let found = read(&format, &text, piece);
            prop_assert_eq!(found.as_ref(), Ok(&expected), "{:?} {}", format, text.escape_ascii());
            prop_assert_eq!(read(&format, &text, text.len()), Ok(expected));
        }
    }

    #[test]
    fn a_record_that_is_not_counted_as_ambiguous_is_read_back(record in record(), piece in 1usize..40) {
        for (format, carried) in countable() {
            let mut encoder = Encoder::new(format.clone());
            let text = written(&mut encoder, std::slice::from_ref(&record));
            let expected = carried(record.clone());
            // A NULL or empty value without a key is an empty line, which raw input skips.
            let no_line = matches!(&format, Format::Raw(raw) if raw.key_delimiter.is_none())
                && expected.value.as_ref().is_some_and(Vec::is_empty);
            let expected = if no_line { vec![] } else { vec![expected] };
            let found = read(&format, &text, piece);
            prop_assert_eq!(
                found == Ok(expected),
                encoder.ambiguous() == 0,
                "{:?} {} {:?}", format, text.escape_ascii(), found
            );
        }
    }

    #[test]
    fn a_terminal_gets_no_control_characters_and_pipes_get_the_bytes(record in record()) {
        for (format, carried) in lossless() {
            let pipe = written(&mut Encoder::new(format.clone()).for_terminal(false), std::slice::from_ref(&record));
            prop_assert_eq!(&pipe, &written(&mut Encoder::new(format.clone()), std::slice::from_ref(&record)));
            let terminal = written(&mut Encoder::new(format.clone()).for_terminal(true), std::slice::from_ref(&record));
            let text = std::str::from_utf8(&terminal).expect("a terminal gets text");
            let own: &[char] = if matches!(format, Format::Template(_)) { &['\t', '\n', '\0'] } else { &['\t', '\n'] };
            prop_assert!(!text.chars().any(|c| c.is_control() && !own.contains(&c)), "{:?}", text);
            if !matches!(format, Format::Template(_)) {
                prop_assert_eq!(read(&format, &terminal, terminal.len()), Ok(vec![carried(record.clone())]));
            }
        }
    }

    #[test]
    fn json_is_valid_for_any_bytes(record in record()) {
        for terminal in [false, true] {
            let mut encoder = Encoder::new(json()).for_terminal(terminal);
            let text = written(&mut encoder, std::slice::from_ref(&record));
            let object: serde_json::Value = serde_json::from_slice(&text).expect("valid JSON");
            prop_assert_eq!(object.get("payload").is_some(), object.get("payload_base64").is_none());
            prop_assert_eq!(memchr::memchr_iter(b'\n', &text).count(), 1);
        }
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(input in bytes(), piece in 1usize..40) {
        for format in readable() {
            let in_pieces = read(&format, &input, piece);
            prop_assert_eq!(in_pieces, read(&format, &input, input.len().max(1)));
        }
    }
}

/// Without a delimiter the decoder searches every byte once, not once per read.
#[test]
fn a_long_record_in_many_reads_takes_linear_time() {
    let input = vec![b'a'; 1 << 20];
    let formats = [
        raw(b"\n", None),
        raw(b":MSG:", Some(b"\t")),
        json(),
        tsv("key,value", ByteStyle::Plain),
        template("%k\\t%s\\n"),
    ];
    let start = std::time::Instant::now();
    for format in formats {
        let mut decoder = Decoder::new(format).expect("the format can be read");
        for end in (0..input.len()).step_by(8) {
            let found = decoder.decode(&input[..end], false).expect("no error yet");
            assert!(matches!(found, Decoded::Incomplete));
        }
    }
    // Quadratic search would look at 5 * 2^36 bytes.
    assert!(start.elapsed() < std::time::Duration::from_secs(5));
}
