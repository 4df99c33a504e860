//! What a line of input becomes: delimiters, keys, empties and NULLs, formats.

use super::produce;
use crate::testkit::cluster::{Cluster, Record, any};

/// NULL, or bytes.
type Bytes = Option<Vec<u8>>;

/// Key and value of each record, by offset.
fn pairs(cluster: &dyn Cluster, topic: &str) -> Vec<(Bytes, Bytes)> {
    cluster
        .records(topic)
        .into_iter()
        .map(|record| (record.key, record.value))
        .collect()
}

// What it is compared with may be NULL.
#[allow(clippy::unnecessary_wraps)]
fn some(bytes: &str) -> Bytes {
    Some(bytes.into())
}

#[test]
fn each_line_is_a_record_and_the_last_needs_no_delimiter() {
    let cluster = any();
    let topic = cluster.topic("lines", 1, &[]);
    produce(&*cluster, &topic)
        .stdin("one\ntwo\r\n\x00\x01\nlast")
        .run()
        .succeeds()
        .stdout_is("");
    assert_eq!(cluster.values(&topic), ["one", "two\r", "\0\x01", "last"]);
}

#[test]
fn raw_input_skips_empty_lines_and_says_how_many() {
    let cluster = any();
    let topic = cluster.topic("empty-lines", 1, &[]);
    let output = produce(&*cluster, &topic)
        .stdin("\none\n\n\ntwo\n")
        .run()
        .succeeds();
    output.stderr_has("3 empty lines");
    assert_eq!(cluster.values(&topic), ["one", "two"]);
    produce(&*cluster, &topic)
        .stdin("three\n")
        .run()
        .succeeds()
        .stderr_lacks("empty");
    produce(&*cluster, &topic)
        .stdin("\nfour\n")
        .run()
        .succeeds()
        .stderr_has("1 empty line");
}

#[test]
fn tsv_and_json_send_the_empty_and_the_null() {
    let cluster = any();
    let topic = cluster.topic("empties", 1, &[]);
    produce(&*cluster, &topic)
        .arg("--tsv")
        .stdin("\t\n\\N\t\\N\nk\t\\N\n\\N\tv\n")
        .run()
        .succeeds();
    let json = "{\"key\":\"\",\"payload\":\"\"}\n{\"key\":null,\"payload\":null}\n{\"key\":\"k\",\"payload\":null}\n{\"payload\":\"v\"}\n";
    produce(&*cluster, &topic)
        .arg("-J")
        .stdin(json)
        .run()
        .succeeds();
    let expected = [
        (some(""), some("")),
        (None, None),
        (some("k"), None),
        (None, some("v")),
    ];
    assert_eq!(
        pairs(&*cluster, &topic),
        [expected.clone(), expected].concat()
    );
}

#[test]
fn a_key_ends_at_the_first_delimiter_and_a_line_without_one_has_none() {
    let cluster = any();
    let topic = cluster.topic("keys", 1, &[]);
    produce(&*cluster, &topic)
        .args(["-K", ":"])
        .stdin("k:v\nno key\na:b:c\n:v\nk:\n")
        .run()
        .succeeds();
    let expected = [
        (some("k"), some("v")),
        (None, some("no key")),
        (some("a"), some("b:c")),
        (some(""), some("v")),
        (some("k"), some("")),
    ];
    assert_eq!(pairs(&*cluster, &topic), expected);
}

#[test]
fn an_empty_key_or_value_is_null_where_it_is_asked_for() {
    let cluster = any();
    let topic = cluster.topic("nulls", 1, &[]);
    produce(&*cluster, &topic)
        .args(["-Z", "-K", ":"])
        .stdin("k:\n:v\n:\nNULL:NULL\n")
        .run()
        .succeeds();
    assert_eq!(
        pairs(&*cluster, &topic),
        [
            (some("k"), None),
            (None, some("v")),
            (None, None),
            (some("NULL"), some("NULL"))
        ]
    );
}

#[test]
fn a_fixed_key_gives_way_to_a_key_in_the_line() {
    let cluster = any();
    let topic = cluster.topic("fixed-key", 1, &[]);
    produce(&*cluster, &topic)
        .args(["-k", "fixed", "-K", ":"])
        .stdin("own:v\nplain\n")
        .run()
        .succeeds();
    assert_eq!(
        pairs(&*cluster, &topic),
        [(some("own"), some("v")), (some("fixed"), some("plain"))]
    );
}

#[test]
fn any_delimiter_is_taken_as_it_was_typed() {
    let cluster = any();
    let long = "d".repeat(70);
    let cases: [(&str, &str); 8] = [
        (":MSG:", "a:MSG:b:MSG:c"),
        ("\\r\\n", "a\r\nb\r\nc\r\n"),
        ("\\x00", "a\0b\0c\0"),
        ("\\t", "a\tb\tc"),
        ("%s", "a%sb%sc"),
        ("%", "a%b%c%"),
        (&long, &format!("a{long}b{long}c")),
        ("::", "a::b::c::"),
    ];
    for (delimiter, input) in cases {
        let topic = cluster.topic("delimiter", 1, &[]);
        produce(&*cluster, &topic)
            .args(["-D", delimiter])
            .stdin(input)
            .run()
            .succeeds();
        assert_eq!(cluster.values(&topic), ["a", "b", "c"], "-D {delimiter}");
        let output = super::consume(&*cluster, &topic)
            .args(["-D", delimiter])
            .run()
            .succeeds();
        let ended = if input.ends_with('c') {
            format!("{input}{}", delimiter.replace("\\t", "\t"))
        } else {
            input.to_owned()
        };
        output.stdout_is(ended);
    }
    produce(&*cluster, "unused")
        .args(["-D", ""])
        .stdin("a")
        .run()
        .fails_with(2)
        .stderr_has("empty");
}

#[test]
fn a_delimiter_cut_by_the_blocks_of_a_pipe_is_still_one() {
    let cluster = any();
    let topic = cluster.topic("blocks", 1, &[]);
    let mut program = produce(&*cluster, &topic)
        .args(["-D", ":MSG:", "-K", ";KEY;"])
        .stdin_open()
        .start();
    for piece in ["k;KE", "Y;one:M", "SG", ":two:MSG:k;K", "EY;", ":MSG", ":"] {
        program.write(piece);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    program.close_stdin();
    program.wait().succeeds();
    assert_eq!(
        pairs(&*cluster, &topic),
        [
            (some("k"), some("one")),
            (None, some("two")),
            (some("k"), some(""))
        ]
    );
}

#[test]
fn headers_of_the_command_line_are_on_every_record_in_their_order() {
    let cluster = any();
    let topic = cluster.topic("headers", 1, &[]);
    let headers = ["-H", "a=1", "-H", "null", "-H", "empty=", "-H", "a=x=y,z"];
    produce(&*cluster, &topic)
        .args(headers)
        .stdin("one\ntwo\n")
        .run()
        .succeeds();
    let named = |name: &str, value: Option<&str>| {
        (
            name.to_owned(),
            value.map(|value| value.as_bytes().to_vec()),
        )
    };
    let expected = [
        named("a", Some("1")),
        named("null", None),
        named("empty", Some("")),
        named("a", Some("x=y,z")),
    ];
    for record in cluster.records(&topic) {
        assert_eq!(record.headers, expected, "{}", record.text());
    }
    produce(&*cluster, &topic)
        .args(["-H", "=v"])
        .stdin("a\n")
        .run()
        .fails_with(2)
        .stderr_has("=v");
}

#[test]
fn a_whole_record_comes_from_a_line_of_json_or_tsv() {
    let cluster = any();
    let topic = cluster.topic("whole", 2, &[]);
    let other = cluster.topic("other", 1, &[]);
    let header = |name: &str, value: Option<&[u8]>| (name.to_owned(), value.map(<[u8]>::to_vec));
    let record = Record {
        partition: Some(1),
        offset: 0,
        timestamp_ms: Some(1_500_000_000_123),
        headers: vec![
            header("a", Some(b"1")),
            header("n", None),
            header("b", Some(b"\xff")),
        ],
        ..Record::keyed(b"\xff\x00".to_vec(), b"\tv\n".to_vec())
    };
    let json = format!(
        "{{\"topic\":\"{other}\",\"partition\":1,\"offset\":77,\"tstype\":\"create\",\"ts\":1500000000123,\"broker\":9,\
         \"headers\":[[\"a\",\"1\"],[\"n\",null],[\"b\",null,\"/w==\"]],\"key_base64\":\"/wA=\",\"payload\":\"\\tv\\n\"}}\n"
    );
    // -t beats the record's own topic.
    produce(&*cluster, &topic)
        .arg("-J")
        .stdin(json)
        .run()
        .succeeds();
    let mut tsv = format!("{topic}\t1\t77\t1500000000123\t").into_bytes();
    tsv.extend_from_slice(b"\xff\\0\t\\tv\\n\ta=1&n&b=%FF\n");
    super::at(&*cluster, &["-P", "--tsv=all"])
        .stdin(tsv)
        .run()
        .succeeds();
    assert_eq!(
        cluster.records(&topic),
        [
            record.clone(),
            Record {
                offset: 1,
                ..record
            }
        ]
    );
    assert_eq!(cluster.records(&other), []);
}

#[test]
fn kcats_flat_headers_are_read() {
    let cluster = any();
    let topic = cluster.topic("flat", 1, &[]);
    produce(&*cluster, &topic)
        .arg("-J")
        .stdin("{\"headers\":[\"a\",\"1\",\"b\",\"2\"],\"payload\":\"v\"}\n")
        .run()
        .succeeds();
    let header = |name: &str, value: &str| (name.to_owned(), some(value));
    assert_eq!(
        cluster.records(&topic)[0].headers,
        [header("a", "1"), header("b", "2")]
    );
}

#[test]
fn a_template_reads_back_what_it_wrote() {
    let cluster = any();
    let topic = cluster.topic("template", 1, &[]);
    produce(&*cluster, &topic)
        .args(["-f", "%k\\t%s\\n"])
        .stdin("a\tone\nb\ttwo\tthree\n")
        .run()
        .succeeds();
    assert_eq!(
        pairs(&*cluster, &topic),
        [(some("a"), some("one")), (some("b"), some("two\tthree"))]
    );
    produce(&*cluster, &topic)
        .args(["-f", "%k%s"])
        .stdin("ab")
        .run()
        .fails_with(2)
        .stderr_has("%k");
}

#[test]
fn a_malformed_line_ends_with_its_number_and_what_came_before_is_delivered() {
    let cluster = any();
    let cases: [(&[&str], &[u8]); 4] = [
        (&["--tsv"], b"k\tone\nk\ttwo\nonly one column\nk\tfour\n"),
        (&["--tsv"], b"k\tone\nk\ttwo\nk\tbad \\q escape\nk\tfour\n"),
        (&["-J"], b"{\"payload\":\"one\"}\n{\"payload\":\"two\"}\n{\"payload\":\n{\"payload\":\"four\"}\n"),
        (&["-f", "%p:%s\\n"], b"0:one\n0:two\nx:three\n0:four\n"),
    ];
    for (format, input) in cases {
        let topic = cluster.topic("malformed", 1, &[]);
        let output = produce(&*cluster, &topic)
            .args(format)
            .stdin(input)
            .run()
            .fails_with(2);
        output.stderr_has("3").stderr_has("2 delivered");
        assert_eq!(cluster.values(&topic), ["one", "two"], "{format:?}");
    }
}
