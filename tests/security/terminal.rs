//! What a terminal is shown of names, keys and values that would drive it.

use crate::testkit::broker::shared_kafka;
use crate::testkit::cluster::{Cluster as _, Record};
use crate::testkit::command::{Cmd, Terminal, cmd, shell};
use crate::testkit::output::Output;
use crate::testkit::session;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// What clears the screen, retitles the window (C0 and C1), and turns text around.
const EVIL: &str = "x\x1b[2Jy\x1b]0;owned\x07\u{9b}2Jz\u{202e}txt\u{200f}\u{61c}\r";
const SOON: Duration = Duration::from_secs(30);

fn on_terminal(command: Cmd) -> Cmd {
    command.env("EVIL", EVIL).on_terminal(Terminal {
        stdout: true,
        stderr: true,
        ..Terminal::default()
    })
}

/// The screen shows the letters of the evil text, and nothing of it that a terminal would obey.
#[track_caller]
fn is_tame(output: &Output) {
    let screen = String::from_utf8(output.screen.clone()).expect("text on the screen");
    let story = output.story();
    assert!(
        screen.contains("txt"),
        "it is not shown at all\n{story}\n{screen:?}"
    );
    // A terminal's own line discipline ends lines with a carriage return; a table drawn again begins in the corner.
    let plain = screen.replace("\r\n", "\n");
    let plain = ["\x1b[H", "\x1b[K", "\x1b[J"]
        .iter()
        .fold(plain, |text, own| text.replace(own, ""));
    let wrong = plain.chars().find(|&character| {
        let is_text = matches!(character, '\n' | '\t');
        !is_text && (character.is_control() || "\u{202e}\u{200f}\u{61c}".contains(character))
    });
    assert!(wrong.is_none(), "{wrong:?} reaches the terminal\n{plain:?}");
}

#[test]
fn a_record_cannot_drive_the_terminal_in_any_format() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("evil", 1, &[]);
    let record = Record {
        headers: vec![(EVIL.to_owned(), Some(EVIL.into()))],
        ..Record::keyed(EVIL, EVIL)
    };
    kafka.produce(&topic, &[record]);
    let formats: [&[&str]; 6] = [
        &[],
        &["-K", ":"],
        &["--tsv=all"],
        &["-J"],
        &["-f", "%k %s %h\n"],
        &["--tsv=headers"],
    ];
    for format in formats {
        let consume = cmd("kcat-lite").args(["-C", "-e", "-b", &kafka.bootstrap(), "-t", &topic]);
        is_tame(&on_terminal(consume.args(format)).run().succeeds());
    }
    // Through a pipe go the bytes; the last program of it sits at the terminal.
    let last = [
        "ktee -q --tsv=all backup/",
        "kpart -n 3 -k 6",
        r#"kcat-lite -P -T -q -t "$TOPIC-copy" --tsv=all"#,
        "cat >/dev/null; ktee --cat backup/",
        "cat >/dev/null; ktee --cat -q backup/ | kpart -n 2 -k 1",
    ];
    let folder = session::folder("evil");
    for last in last {
        let pipe = format!(r#"kcat-lite -C -e -q -t "$TOPIC" --tsv=all | {{ {last}; }}"#);
        let pipe = shell(&pipe).env("TOPIC", &topic).inside(&folder);
        is_tame(
            &on_terminal(pipe.env("KAFKA_BROKERS", kafka.bootstrap()))
                .run()
                .succeeds(),
        );
    }
}

#[test]
fn what_a_line_or_an_option_says_cannot_drive_the_terminal_by_a_message() {
    let Some(kafka) = shared_kafka() else { return };
    let at = |script: &str| on_terminal(shell(script).env("KAFKA_BROKERS", kafka.bootstrap()));
    for script in [
        r#"kcat-lite -C -e -t "$EVIL""#,
        r#"kcat-lite -C -e -t nothing -o "$EVIL""#,
        r#"kcat-lite -L -t "$EVIL""#,
        r#"kcat-lite -Q -t "$EVIL:0:end""#,
        r#"echo x | kcat-lite -P -t "$EVIL""#,
        r#"printf '%s\t0\tk\tv\n' "$EVIL" | kcat-lite -P --tsv=topic,partition,key,value"#,
        r#"kcat-lite -X "$EVIL=1" -L"#,
        r#"klag -g "$EVIL""#,
        r#"klag --max-lag "$EVIL""#,
        r#"koldest "$EVIL""#,
        r#"echo x | kpart -n 2 --algo "$EVIL""#,
        r#"echo x | kpart -n 2 /none/"$EVIL""#,
        r#"echo x | ktee "/none/$EVIL""#,
        r#"echo x | ktee "kafka:$EVIL""#,
        r#"ktee --verify "/none/$EVIL""#,
    ] {
        let output = at(script).run();
        is_tame(&output.expect(|it| !it.status.success(), "a refusal"));
    }
}

#[test]
fn a_group_and_its_clients_cannot_drive_the_terminal_by_their_names() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic_of("evil-group", &["one", "two"]);
    let group = format!("{}{EVIL}", session::unique("evil"));
    let member: BaseConsumer = kafka
        .config()
        .set("group.id", &group)
        .set("client.id", EVIL)
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap();
    member.subscribe(&[&topic]).unwrap();
    let until = Instant::now() + SOON;
    while member.assignment().unwrap().count() == 0 {
        assert!(Instant::now() < until, "nothing is assigned");
        let _ = member.poll(Duration::from_millis(100));
    }
    let klag = |args: &[&str]| {
        let klag = cmd("klag").args(["-b", &kafka.bootstrap(), "-m", "20", "-t", &topic]);
        on_terminal(klag.args(args))
    };
    for format in ["table", "tsv", "csv", "json", "prometheus"] {
        is_tame(&klag(&["-g", &group, "-o", format]).run());
    }
    for by in ["group", "member"] {
        is_tame(&klag(&["-g", "^evil", "--by", by]).run());
    }
    let mut watch = klag(&["-g", &group, "--watch", "200ms"]).start();
    watch.screen_until("txt", SOON);
    std::thread::sleep(Duration::from_secs(1));
    watch.signal(Signal::TERM);
    is_tame(&watch.wait());
    drop(member);
}
