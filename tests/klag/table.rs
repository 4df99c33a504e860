//! Tables at the width of a terminal, chosen columns, pages.

use super::{commit, klag};
use crate::testkit::broker::shared_kafka;
use crate::testkit::cluster::{Cluster as _, Record};
use crate::testkit::command::cmd;
use crate::testkit::session;
use crate::testkit::witness;

#[test]
fn at_eighty_columns_a_row_is_a_line() {
    let Some(kafka) = shared_kafka() else { return };
    let group = session::unique("a-group-with-quite-a-long-name");
    let topic = kafka.topic("a-topic-with-quite-a-long-name", 3, &[]);
    kafka.produce(&topic, &vec![Record::of("x"); 30]);
    commit(kafka, &group, &topic, &[(0, 1), (1, 0)]);
    let table = |args: &[&str]| {
        let klag = klag(kafka, &group)
            .args(["--time", "-o", "table"])
            .args(args);
        let run = klag.env("COLUMNS", "80").env("LC_ALL", "C.UTF-8").run();
        run.succeeds().text().to_owned()
    };
    let text = table(&[]);
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}\n{text}");
    }
    let rows = text
        .lines()
        .filter(|line| line.contains("never committed") || line.ends_with(char::is_numeric));
    assert!(
        text.lines().count() >= 4 && text.contains(&format!("GROUP: {group}")),
        "{text} {}",
        rows.count()
    );
    let ages = cmd("koldest")
        .args(["-b", &kafka.bootstrap(), "-m", "20", "-o", "table"])
        .args([&topic, &kafka.topic_of("short", &["x"])])
        .env("COLUMNS", "80");
    for more in [&[][..], &["--by", "topic"], &["--need", "7d"]] {
        let ages = ages.clone().args(more).run().succeeds();
        let is_wide = |line: &str| line.chars().count() > 80;
        assert!(!ages.text().lines().any(is_wide), "{}", ages.text());
    }
    let wide = table(&["--wide"]);
    assert!(
        wide.lines().next().unwrap().starts_with("GROUP") && wide.lines().count() == 4,
        "{wide}"
    );
    assert!(
        wide.lines()
            .all(|line| line.starts_with("GROUP") || line.contains(&topic)),
        "{wide}"
    );
}

#[test]
fn columns_are_chosen_in_every_format() {
    let Some(kafka) = shared_kafka() else { return };
    let group = session::unique("columns");
    let topic = kafka.topic("columns", 1, &[]);
    commit(kafka, &group, &topic, &[(0, 0)]);
    let with = |format: &str| {
        let klag =
            klag(kafka, &group).args(["--columns", "topic,partition,committed", "-o", format]);
        klag.run().succeeds().text().to_owned()
    };
    assert_eq!(with("tsv"), format!("{topic}\t0\t0\n"));
    assert_eq!(
        with("csv"),
        format!("topic,partition,committed\n{topic},0,0\n")
    );
    assert_eq!(
        with("json"),
        format!("{{\"topic\":\"{topic}\",\"partition\":0,\"committed\":0}}\n")
    );
    assert!(with("table").starts_with("TOPIC"));
    assert!(with("html").contains(&format!("<td>{topic}</td>")));
    klag(kafka, &group)
        .args(["--columns", "comitted"])
        .run()
        .fails_with(2)
        .stderr_has("comitted");
}

#[test]
fn a_browser_shows_the_page() {
    let Some(chromium) = witness::installed("chromium") else {
        return;
    };
    let Some(kafka) = shared_kafka() else { return };
    let folder = session::folder("page");
    let group = format!("<b>{}&", session::unique("page"));
    let topic = kafka.topic("page", 2, &[]);
    kafka.produce(&topic, &vec![Record::of("x"); 10]);
    commit(kafka, &group, &topic, &[(0, 0), (1, 0)]);
    let page = folder.join("klag.html");
    let file = page.display().to_string();
    klag(kafka, &group)
        .args(["--time", "-o", "html", "--write", &file])
        .run()
        .succeeds();
    let text = std::fs::read_to_string(&page).unwrap();
    for forbidden in ["<script", "src=", "href=", "http://", "https://", "url("] {
        assert!(!text.contains(forbidden), "{forbidden}: {text}");
    }
    let dump = chromium
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
        ])
        .arg(format!(
            "--user-data-dir={}",
            folder.join("profile").display()
        ))
        .args(["--virtual-time-budget=1000", "--dump-dom"])
        .arg(format!("file://{file}"))
        .limit(std::time::Duration::from_secs(120))
        .run();
    let dump = dump.succeeds();
    let dump = dump.text();
    assert_eq!(dump.matches("<tr>").count(), 3, "{dump}");
    assert!(
        dump.contains("&lt;b&gt;page-") && dump.contains("&amp;</td>"),
        "{dump}"
    );
    assert!(dump.contains("class=\"b\" style=\"width:100%\""), "{dump}");
    assert!(dump.contains("<th class=\"n\""), "{dump}");
}

/// The names of columns that a page explains: the words of `.It Va` and `.It Li` in COLUMNS.
fn explained(page: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("man")
        .join(page);
    let text = std::fs::read_to_string(path).unwrap();
    let (_, text) = text.split_once(".Sh COLUMNS\n").unwrap();
    let text = text.split("\n.Sh ").next().unwrap();
    let items = text.lines().filter(|line| line.starts_with(".It "));
    items.collect::<Vec<_>>().join(" ")
}

#[test]
fn every_column_of_every_report_is_in_the_manual() {
    let Some(kafka) = shared_kafka() else { return };
    let bootstrap = kafka.bootstrap();
    let topic = kafka.topic("explained", 1, &[]);
    for (program, lines) in [
        (
            "klag",
            &[
                "--rate --cluster c",
                "--by group",
                "--by topic",
                "--by member",
            ][..],
        ),
        ("koldest", &["", "--by topic", "--by broker", "--need 7d"]),
    ] {
        let known = explained(&format!("{program}.1"));
        for line in lines {
            let mut run = cmd(program)
                .args(["-b", &bootstrap, "-o", "csv"])
                .args(line.split_whitespace());
            if !line.contains("broker") {
                run = run.args(["-t", &topic]);
            }
            let run = run.run();
            let header = run.text().lines().next().unwrap_or("").to_owned();
            assert!(header.contains(','), "{program} {line}: {header}");
            for column in header.split(',') {
                let is_known = known.split([' ', ',']).any(|word| word == column);
                assert!(
                    is_known,
                    "{column} of {program} {line} is not in the manual"
                );
            }
        }
    }
}
