//! Who wins, and what is refused.

use super::{Options, Source};

fn typed(properties: &[&str]) -> Options {
    let properties: Vec<String> = properties.iter().map(|&p| p.to_owned()).collect();
    let mut options = Options::default();
    options
        .add_typed(properties.iter())
        .expect("valid properties");
    options
}

#[test]
fn the_last_typed_property_of_a_name_wins_and_no_file_overrides_it() {
    let mut options = typed(&["linger.ms=1", "queue.buffering.max.ms=7"]);
    options
        .set("linger.ms", "9", &Source::File("x".into(), 1))
        .expect("valid");
    assert_eq!(options.get("linger.ms"), Some("7"));
}

#[test]
fn an_alias_and_kcats_topic_prefix_name_the_same_property() {
    let options = typed(&["metadata.broker.list=a:1", "topic.request.required.acks=1"]);
    assert_eq!(options.brokers().expect("brokers"), "a:1");
    assert_eq!(options.get("acks"), Some("1"));
}

#[test]
fn a_property_of_librdkafkas_that_begins_with_topic_is_itself() {
    let options = typed(&["topic.metadata.refresh.interval.ms=300"]);
    assert_eq!(
        options.get("topic.metadata.refresh.interval.ms"),
        Some("300")
    );
}

#[test]
fn an_unknown_property_or_value_is_refused_by_name() {
    for (typed, expected) in [
        ("no.such=1", "no such property: no.such (-X list shows all)"),
        (
            "sasl.mechanismz=PLAIN",
            "no such property: sasl.mechanismz (is sasl.mechanism meant?",
        ),
        (
            "security.protocol=SASL",
            "plaintext, ssl, sasl_plaintext, sasl_ssl is expected",
        ),
        ("linger.ms=x", "0 to 900000 is expected"),
    ] {
        let error = Options::default().add_typed([&typed.to_owned()].into_iter());
        let error = error.expect_err(typed).to_string();
        assert!(error.contains(expected), "{typed}: {error}");
    }
}

#[test]
fn a_value_from_a_file_loses_its_last_newline_and_a_doubled_at_sign_is_one() {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), "s3cret\n").expect("written");
    let secret = format!("sasl.password=@{}", file.path().display());
    assert_eq!(typed(&[&secret]).get("sasl.password"), Some("s3cret"));
    assert_eq!(
        typed(&["sasl.password=@@x"]).get("sasl.password"),
        Some("@x")
    );
}

#[test]
fn a_dump_masks_secrets() {
    let dump = typed(&["sasl.password=hidden"]).dump();
    let row = dump
        .iter()
        .find(|row| row.0 == "sasl.password")
        .expect("the row");
    assert_eq!((row.1.as_str(), row.2.as_str()), ("[secret]", "-X"));
}

#[test]
fn a_port_that_cannot_be_is_refused_and_not_wrapped_around() {
    for wrong in ["h:99999", "a:1,b:x", "h:0", "h:", "[::1]:70000"] {
        let options = typed(&[&format!("bootstrap.servers={wrong}")]);
        let error = options.brokers().expect_err(wrong).to_string();
        assert!(error.contains("a port is"), "{error}");
    }
    for right in [
        "h",
        "a:1, b:65535",
        "plaintext://h:9093",
        "[::1]:9092",
        "::1",
    ] {
        let options = typed(&[&format!("bootstrap.servers={right}")]);
        assert_eq!(options.brokers().ok(), Some(right));
    }
}

#[test]
fn a_file_that_is_not_there_is_named_with_the_reason_once() {
    let mut options = Options::default();
    let error = options.add_files_and_environment(&["/no/such/file".into()]);
    let error = anyhow::Error::from(error.unwrap_err());
    assert_eq!(
        format!("{error:#}"),
        "/no/such/file: No such file or directory (os error 2)"
    );
}

#[test]
fn a_url_and_an_address_of_another_protocol_are_refused_with_what_is_expected() {
    for wrong in [
        "http://h:1",
        "kafka://h:9092",
        "ssl://h:9093/x",
        "a:1,https://b:2",
    ] {
        let options = typed(&[&format!("bootstrap.servers={wrong}")]);
        let error = options.brokers().expect_err(wrong).to_string();
        assert!(error.contains("HOST:PORT is expected"), "{error}");
    }
    let options = typed(&["bootstrap.servers=SSL://h:9093"]);
    let error = options.brokers().expect_err("plaintext").to_string();
    assert!(error.contains("security.protocol=SSL is needed"), "{error}");
    let options = typed(&["bootstrap.servers=SSL://h:9093", "security.protocol=ssl"]);
    assert!(options.brokers().is_ok());
}
