//! One report in every format, and the texts that could break one.

use super::*;

fn report() -> Report {
    let columns = [
        Column::label("topic"),
        Column::label("partition"),
        Column::value("lag_messages", "Messages not read yet."),
        Column::value("age_ms", "Age of the oldest."),
        Column::value("size_bytes", "Bytes on disk."),
        Column::value("rate", "Messages a second."),
        Column::value("end_ms", "The newest timestamp."),
        Column::remark("note"),
    ];
    let mut report = Report::new("klag", &columns);
    report.push(vec![
        "orders".into(),
        0.into(),
        12_345_i64.into(),
        Cell::DurationMs(90_061_000),
        Cell::Bytes(1_610_612_736),
        2.5.into(),
        Cell::TimeMs(1_767_225_600_123),
        "".into(),
    ]);
    report.push(vec![
        "a\tb\\\"\n\x1b[31m".into(),
        11.into(),
        Cell::Unknown,
        Cell::Unknown,
        Cell::Bytes(0),
        f64::NAN.into(),
        Cell::Unknown,
        "no leader, yet".into(),
    ]);
    report
}

fn written(report: &Report, format: Format, header: bool) -> String {
    let mut out = Vec::new();
    report.write(Style::new(format, header), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_table_aligns_numbers_to_the_right_and_shows_units_and_control_characters() {
    let expected = concat!(
        "TOPIC             PARTITION  LAG_MESSAGES   AGE  SIZE  RATE                       END  NOTE\n",
        "orders                    0         12345  1d1h  1.5G   2.5  2026-01-01T00:00:00.123Z\n",
        "a\\tb\\\"\\n\\x1b[31m         11             -     -     0     -                         -  no leader, yet\n",
    );
    assert_eq!(written(&report(), Format::Table, false), expected);
}

#[test]
fn a_table_counts_the_columns_of_a_terminal_not_bytes() {
    let mut report = Report::new("x", &[Column::label("topic"), Column::value("n", "N.")]);
    report.push(vec!["\u{6ce8}\u{6587}".into(), 1.into()]);
    report.push(vec!["caf\u{e9}".into(), 22.into()]);
    let expected = "TOPIC   N\n\u{6ce8}\u{6587}    1\ncaf\u{e9}   22\n";
    assert_eq!(written(&report, Format::Table, false), expected);
}

#[test]
fn a_unit_stays_in_a_title_where_two_columns_differ_by_it() {
    let columns = [
        Column::value("retention_ms", "Time."),
        Column::value("retention_bytes", "Size."),
        Column::value("rate_bytes", "Rate."),
    ];
    let mut report = Report::new("x", &columns);
    report.push(vec![
        Cell::DurationMs(1000),
        Cell::Bytes(2048),
        Cell::ByteRate(1536.7),
    ]);
    assert_eq!(
        written(&report, Format::Table, false),
        "RETENTION_MS  RETENTION_BYTES    RATE\n          1s               2K  1.5K/s\n"
    );
    assert!(written(&report, Format::Json, false).contains("\"rate_bytes\":1536.7"));
}

#[test]
fn changes_are_next_to_the_counts_of_the_same_row() {
    let columns = [
        Column::label("topic"),
        Column::value("n", "N."),
        Column::value("age_ms", "A."),
        Column::value("size_bytes", "S."),
    ];
    let make = |rows: &[(&str, i64, u64)]| {
        let mut report = Report::new("x", &columns);
        for (topic, n, size) in rows {
            report.push(vec![
                (*topic).into(),
                (*n).into(),
                Cell::DurationMs(n * 1000),
                Cell::Bytes(*size),
            ]);
        }
        report
    };
    let before = make(&[("gone", 1, 1), ("b", 7, 4096), ("a", 2, 10)]);
    let after = make(&[("a", 2, 10), ("b", 4, 1024), ("new", 9, 9)]);
    let mut out = Vec::new();
    after
        .write_changes(Style::new(Format::Table, false), Some(&before), &mut out)
        .unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        concat!(
            "TOPIC  N  +/-  AGE  SIZE  +/-\n",
            "a      2        2s    10\n",
            "b      4   -3   4s    1K  -3K\n",
            "new    9        9s     9\n",
        )
    );
}

#[test]
fn a_time_is_exported_in_seconds_whatever_its_column_is_called() {
    let mut report = Report::new("x", &[Column::value("age", "Age.")]);
    report.push(vec![Cell::Unknown]);
    report.push(vec![Cell::DurationMs(1500)]);
    assert!(written(&report, Format::Prometheus, false).contains("\nx_age_seconds 1.5\n"));
}

#[test]
fn tsv_has_plain_numbers_and_escapes_and_a_header_only_if_asked() {
    let header = "topic\tpartition\tlag_messages\tage_ms\tsize_bytes\trate\tend_ms\tnote\n";
    let rows = concat!(
        "orders\t0\t12345\t90061000\t1610612736\t2.5\t1767225600123\t\n",
        "a\\tb\\\\\"\\n\x1b[31m\t11\t\\N\t\\N\t0\t\\N\t\\N\tno leader, yet\n",
    );
    assert_eq!(written(&report(), Format::Tsv, false), rows);
    assert_eq!(
        written(&report(), Format::Tsv, true),
        format!("{header}{rows}")
    );
}

#[test]
fn csv_quotes_what_needs_it_and_leaves_the_unknown_empty() {
    let expected = concat!(
        "topic,partition,lag_messages,age_ms,size_bytes,rate,end_ms,note\n",
        "orders,0,12345,90061000,1610612736,2.5,1767225600123,\n",
        "\"a\tb\\\"\"\n\x1b[31m\",11,,,0,,,\"no leader, yet\"\n",
    );
    assert_eq!(written(&report(), Format::Csv, false), expected);
}

#[test]
fn json_is_one_object_a_line_with_null_for_the_unknown() {
    let expected = concat!(
        r#"{"topic":"orders","partition":0,"lag_messages":12345,"age_ms":90061000,"size_bytes":1610612736,"rate":2.5,"end_ms":1767225600123,"note":""}"#,
        "\n",
        r#"{"topic":"a\tb\\\"\n\u001b[31m","partition":11,"lag_messages":null,"age_ms":null,"size_bytes":0,"rate":null,"end_ms":null,"note":"no leader, yet"}"#,
        "\n",
    );
    assert_eq!(written(&report(), Format::Json, false), expected);
}

#[test]
fn prometheus_has_a_gauge_for_each_value_in_seconds_and_leaves_the_unknown_out() {
    let odd = "{topic=\"a\tb\\\\\\\"\\n\x1b[31m\",partition=\"11\"}";
    let plain = r#"{topic="orders",partition="0"}"#;
    let expected = format!(
        "# HELP klag_lag_messages Messages not read yet.\n\
         # TYPE klag_lag_messages gauge\n\
         klag_lag_messages{plain} 12345\n\
         # HELP klag_age_seconds Age of the oldest.\n\
         # TYPE klag_age_seconds gauge\n\
         klag_age_seconds{plain} 90061\n\
         # HELP klag_size_bytes Bytes on disk.\n\
         # TYPE klag_size_bytes gauge\n\
         klag_size_bytes{plain} 1610612736\n\
         klag_size_bytes{odd} 0\n\
         # HELP klag_rate Messages a second.\n\
         # TYPE klag_rate gauge\n\
         klag_rate{plain} 2.5\n\
         # HELP klag_end_seconds The newest timestamp.\n\
         # TYPE klag_end_seconds gauge\n\
         klag_end_seconds{plain} 1767225600.123\n"
    );
    assert_eq!(written(&report(), Format::Prometheus, false), expected);
}

#[test]
fn an_empty_report_still_has_its_header_where_the_format_has_one() {
    let report = Report::new("x", &[Column::label("topic"), Column::value("n", "N.")]);
    assert!(report.is_empty());
    assert_eq!(written(&report, Format::Table, false), "TOPIC  N\n");
    assert_eq!(written(&report, Format::Csv, false), "topic,n\n");
    assert_eq!(written(&report, Format::Tsv, false), "");
    assert_eq!(written(&report, Format::Json, false), "");
    assert_eq!(written(&report, Format::Prometheus, false), "");
}

#[test]
fn a_format_is_called_what_it_is_parsed_from() {
    for (name, format) in Format::NAMES {
        assert_eq!(name.parse(), Ok(format));
    }
    assert!(
        "yaml"
            .parse::<Format>()
            .is_err_and(|error| error.contains("prometheus"))
    );
}
