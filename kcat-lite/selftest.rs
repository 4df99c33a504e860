//! `-U`: whether the program on this machine does what it must, without a cluster of the user's.

use std::fmt::Write as _;
use std::ops::ControlFlow;

use tools::cli::{Exit, message};
use tools::kafka::consume::{Item, ReadRequest};
use tools::kafka::mock::MockCluster;
use tools::kafka::options::{Options, Source};
use tools::kafka::produce::{Enqueued, Producer};
use tools::kafka::{Client, Role};
use tools::record::json::Json;
use tools::record::template::Template;
use tools::record::tsv::{ByteStyle, Tsv, Utf8};
use tools::record::{Decoded, Decoder, Encoder, Format, Header, Record};
use tools::text::unescape_delimiter;

use crate::admin_query::AdminQuery;
use crate::engine::Engine;
use crate::offset::{Range, Start};

/// One check by its name; an error is a sentence.
type Check = (&'static str, fn() -> Result<(), String>);

const CHECKS: [Check; 6] = [
    ("delimiters", check_delimiters),
    ("offsets", check_offsets),
    ("tsv", check_tsv),
    ("json", check_json),
    ("template", check_template),
    ("produce and consume", check_cluster),
];

/// Runs every check and prints a line for each.
pub(crate) fn run() -> anyhow::Result<Exit> {
    let mut report = String::new();
    let mut exit = Exit::Done;
    for (name, check) in CHECKS {
        let result = match check() {
            Ok(()) => "ok",
            Err(reason) => {
                message(format_args!("{name}: {reason}"));
                exit = Exit::Failed;
                "FAILED"
            }
        };
        let _ = writeln!(report, "{name}: {result}");
    }
    AdminQuery::new()?.print(&report)?;
    Ok(exit)
}

/// The cases of kcat's own unit test, and what it cannot express.
fn check_delimiters() -> Result<(), String> {
    let cases: [(&str, &[u8]); 6] = [
        ("", b""),
        ("\\n", b"\n"),
        ("\\t\\n\\n", b"\t\n\n"),
        ("\\x54!\\x45\\x53T", b"T!EST"),
        ("\\x30", b"0"),
        ("\\0\\r\\\\", b"\0\r\\"),
    ];
    for (text, expected) in cases {
        let found = unescape_delimiter(text)?;
        if found != expected {
            return Err(format!("`{text}` became {found:?}"));
        }
    }
    Ok(())
}

fn check_offsets() -> Result<(), String> {
    let cases = [
        ("beginning", Start::Beginning),
        ("end", Start::End),
        ("17", Start::At(17)),
        ("-3", Start::Tail(3)),
        ("s@1970-01-01T00:00:02Z", Start::Time(2000)),
    ];
    for (text, expected) in cases {
        let found = Range::parse(&[text.to_owned()], 0)?.start;
        if found != Some(expected) {
            return Err(format!("`{text}` became {found:?}"));
        }
    }
    Ok(())
}

fn check_tsv() -> Result<(), String> {
    for bytes in [ByteStyle::Plain, ByteStyle::Hex] {
        let columns = "all"
            .parse()
            .map_err(|error| format!("column all: {error}"))?;
        let utf8 = Utf8::AsIs;
        check_round_trip(
            &Format::Tsv(Tsv {
                columns,
                bytes,
                utf8,
            }),
            true,
        )?;
    }
    Ok(())
}

fn check_json() -> Result<(), String> {
    check_round_trip(&Format::Json(Json::default()), true)
}

fn check_template() -> Result<(), String> {
    let template = Template::parse("%K:%k%S:%s").map_err(|error| error.to_string())?;
    check_round_trip(&Format::Template(template), false)
}

/// Every byte there is, in key and value: none is lost on the way through a pipe.
fn all_bytes() -> Vec<u8> {
    (0..=255).collect()
}

/// What is hard to carry: each byte, NULL beside empty, what looks like NULL, headers that repeat.
fn samples(all: &[u8]) -> Vec<Record<'_>> {
    const HEADERS: &[Header<'static>] = &[
        Header::new(b"h", None),
        Header::new(b"h", Some(b"")),
        Header::new(b"=&,", Some(b"a=b&c\0\xff")),
    ];
    let record = |key, value, headers| Record {
        key,
        value,
        headers,
        ..Record::default()
    };
    vec![
        record(Some(all), Some(all), HEADERS),
        record(None, None, &[]),
        record(Some(b""), Some(b""), &[]),
        record(Some(b"\\N"), Some(b"NULL"), &[]),
    ]
}

fn check_round_trip(format: &Format, carries_headers: bool) -> Result<(), String> {
    let all = all_bytes();
    let mut samples = samples(&all);
    if !carries_headers {
        for record in &mut samples {
            record.headers = &[];
        }
    }
    let mut encoder = Encoder::new(format.clone());
    let mut text = Vec::new();
    for record in &samples {
        encoder
            .encode(record, &mut text)
            .map_err(|error| error.to_string())?;
    }
    let mut decoder = Decoder::new(format.clone()).map_err(|error| error.to_string())?;
    let mut rest = &text[..];
    for (index, expected) in samples.iter().enumerate() {
        match decoder.decode(rest, true) {
            Ok(Decoded::Record { record, used }) => {
                compare(index, expected, &record.record())?;
                rest = &rest[used..];
            }
            Ok(_) => return Err(format!("record {index} is lost")),
            Err(error) => return Err(format!("record {index}: {error}")),
        }
    }
    if rest.is_empty() {
        Ok(())
    } else {
        Err(format!("{} bytes are left over", rest.len()))
    }
}

fn compare(index: usize, expected: &Record<'_>, found: &Record<'_>) -> Result<(), String> {
    let is_same = expected.key == found.key
        && expected.value == found.value
        && expected.headers == found.headers;
    if is_same {
        Ok(())
    } else {
        Err(format!("record {index} came back changed"))
    }
}

/// The whole way, through a cluster in this process.
fn check_cluster() -> Result<(), String> {
    const TOPIC: &str = "self-test";
    let cluster = MockCluster::start(1)?;
    let mut options = Options::default();
    options
        .set("bootstrap.servers", &cluster.brokers(), &Source::Default)
        .map_err(|error| error.to_string())?;
    let all = all_bytes();
    let samples = samples(&all);
    produce(&options, TOPIC, &samples)?;

    let request = ReadRequest {
        topics: vec![TOPIC.to_owned()],
        partition: Some(0),
        stop_at_end: true,
        ..ReadRequest::default()
    };
    let engines = [Engine::Wire, Engine::Librdkafka];
    engines
        .into_iter()
        .try_for_each(|engine| check_engine(engine, options.clone(), &request, &samples))
}

/// Reading this way brings back what was sent.
fn check_engine(
    engine: Engine,
    mut options: Options,
    request: &ReadRequest,
    samples: &[Record<'_>],
) -> Result<(), String> {
    engine.tune(&mut options, request);
    let client = Client::new(&options, Role::Consumer).map_err(|error| error.to_string())?;
    let mut reader = engine
        .start(&client, &options, request, &|| false)
        .map_err(|error| error.to_string())?;
    let mut results = Vec::new();
    while !reader.is_done() {
        let mut take = |item: Item<'_>| {
            if let Item::Record(record) = item {
                let index = results.len();
                let result = match samples.get(index) {
                    Some(expected) => compare(index, expected, record),
                    None => Err("a record too many came back".to_owned()),
                };
                results.push(result);
            }
            ControlFlow::Continue(())
        };
        reader
            .read(100, &mut take)
            .map_err(|error| error.to_string())?;
    }
    if results.len() < samples.len() {
        return Err(format!(
            "{} of {} records came back",
            results.len(),
            samples.len()
        ));
    }
    results.into_iter().collect()
}

fn produce(options: &Options, topic: &str, records: &[Record<'_>]) -> Result<(), String> {
    let mut producer = Producer::new(options).map_err(|error| error.to_string())?;
    let topic = producer.topic(topic);
    producer
        .contact(Some(topic), &|| false)
        .map_err(|error| error.to_string())?;
    for (index, record) in records.iter().enumerate() {
        if producer.send(topic, Some(0), record, index as u64) == Enqueued::QueueFull {
            return Err("the queue is full after a few records".to_owned());
        }
    }
    let totals = producer.finish(&mut |_| true);
    match producer.failures().first() {
        Some(failure) => Err(failure.error.to_string()),
        None if totals.delivered == records.len() as u64 => Ok(()),
        None => Err(format!("{totals:?}")),
    }
}
