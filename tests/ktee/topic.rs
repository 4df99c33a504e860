use super::lines;
use crate::testkit::cluster;
use crate::testkit::command::cmd;
use crate::testkit::session;

#[test]
fn records_reach_the_topic_with_key_time_and_headers_and_the_files_too() {
    let kafka = cluster::any();
    let topic = kafka.topic("ktee-topic", 1, &[]);
    let folder = session::folder("ktee-topic");
    let input = lines("other", 0, 1000);
    cmd("ktee")
        .args([
            "--tsv=all",
            "-b",
            &kafka.bootstrap(),
            &format!("kafka:{topic}"),
            "copy",
            "b/",
        ])
        .inside(&folder)
        .stdin(input.as_str())
        .run()
        .succeeds()
        .stdout_is(&input);
    let records = kafka.records(&topic);
    assert_eq!(records.len(), 1000);
    assert_eq!(records[7].key.as_deref(), Some(&b"k7"[..]));
    assert_eq!(records[7].timestamp_ms, Some(1_700_000_007_000));
    let headers = [
        ("h".to_owned(), Some(b"1".to_vec())),
        ("n".to_owned(), None),
    ];
    assert_eq!(records[7].headers, headers);
    assert_eq!(std::fs::read_to_string(folder.join("copy")).unwrap(), input);
    cmd("ktee")
        .args(["--cat", "b"])
        .inside(&folder)
        .run()
        .succeeds()
        .stdout_is(&input);
}

#[test]
fn every_format_of_lines_reaches_the_topic_as_its_records() {
    let kafka = cluster::any();
    let cases: [(&[&str], &str, Option<&str>); 6] = [
        (&["-J"], "{\"key\":\"k\",\"payload\":\"v\"}\n", Some("v")),
        (&["-f", "%k=%s\\n"], "k=v\n", Some("v")),
        (&["-K", ":"], "k:v\n", Some("v")),
        (&["-D", ";", "-K", ":"], "k:v;", Some("v")),
        (&["-Z", "-K", ":"], "k:\n", None),
        (
            &["--tsv", "--bytes", "hex"],
            "\\\\x6b\t\\\\x76\n",
            Some("v"),
        ),
    ];
    for (options, input, value) in cases {
        let topic = kafka.topic("ktee-formats", 1, &[]);
        cmd("ktee")
            .args(options)
            .args(["-b", &kafka.bootstrap(), &format!("kafka:{topic}")])
            .stdin(input)
            .run()
            .succeeds()
            .stdout_is(input);
        let records = kafka.records(&topic);
        assert_eq!(records.len(), 1, "{options:?}");
        assert_eq!(records[0].key.as_deref(), Some(&b"k"[..]), "{options:?}");
        let expected = value.map(str::as_bytes);
        assert_eq!(records[0].value.as_deref(), expected, "{options:?}");
    }
}

#[test]
fn a_record_that_is_not_delivered_is_named_and_the_others_are() {
    let kafka = cluster::any();
    let topic = kafka.topic("ktee-partition", 1, &[]);
    let input = lines("t", 0, 10) + "t\t7\t10\t1\tk\tv\t\\N\n" + &lines("t", 11, 5);
    cmd("ktee")
        .args([
            "--tsv=all",
            "-b",
            &kafka.bootstrap(),
            &format!("kafka:{topic}"),
        ])
        .stdin(input.as_str())
        .run()
        .fails_with(2)
        .stdout_is(&input)
        .stderr_has("line 11")
        .stderr_has("1 record not delivered (16 accepted, 15 delivered)");
    assert_eq!(kafka.records(&topic).len(), 15);
}

#[test]
fn a_cluster_that_is_not_there_is_told_and_the_stream_passes() {
    cmd("ktee")
        .args(["-b", "127.0.0.1:1", "-m", "1", "kafka:t"])
        .stdin("one\n")
        .run()
        .fails_with(2)
        .stdout_is("one\n")
        .stderr_has("kafka:t: no contact");
}
