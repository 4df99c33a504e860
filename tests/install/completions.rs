//! Completion: what each shell offers, with the scripts that the programs print.

use crate::testkit::broker::shared_kafka;
use crate::testkit::cluster::Cluster as _;
use crate::testkit::command::{Cmd, cmd, shell};
use crate::testkit::{session, witness};

use super::PROGRAMS;

/// Prints what bash offers at the end of the line `$1`.
const BASH: &str = r#"
    program=${1%% *}
    source <("$program" --generate-completions bash)
    function=$(complete -p "$program" | sed 's/.*-F \([^ ]*\).*/\1/')
    COMP_LINE=$1 COMP_POINT=${#1}
    "$function"
    printf '%s\n' "${COMPREPLY[@]}"
"#;

/// The same in zsh, where `_describe` shows what it is given.
const ZSH: &str = r#"
    autoload -U compinit && compinit -u
    program=${1%% *}
    source <("$program" --generate-completions zsh)
    function _describe() { print -rl -- ${(P)${@[-1]}%%:*} }
    words=("${(@z)1}")
    [[ $1 == *' ' ]] && words+=("")
    CURRENT=$#words
    $_comps[$program]
"#;

/// The same in fish.
const FISH: &str = r"
    set program (string split ' ' $argv[1])[1]
    $program --generate-completions fish | source
    complete -C $argv[1] | string replace -r '\t.*' ''; or true
";

/// A shell that says what it completes this line to, in a folder with one file.
fn offer(shell: &str, line: &str) -> Cmd {
    let folder = session::folder("completed");
    std::fs::write(folder.join("a-file"), "").unwrap();
    let (options, script): (&[&str], _) = match shell {
        "bash" => (&["-c", BASH, "bash"], BASH),
        "zsh" => (&["-fc", ZSH, "zsh"], ZSH),
        _ => (&["--no-config", "-c", FISH], FISH),
    };
    assert!(options.contains(&script));
    cmd(shell).args(options).arg(line).inside(&folder)
}

#[track_caller]
fn offered(shell: &str, line: &str) -> Vec<String> {
    let output = offer(shell, line).run().succeeds();
    let output = output.stderr_is("");
    output.lines().into_iter().map(str::to_owned).collect()
}

fn shells() -> impl Iterator<Item = &'static str> {
    let shells = ["bash", "zsh", "fish"].into_iter();
    shells.filter(|shell| witness::installed(shell).is_some())
}

#[test]
fn every_shell_completes_options_of_every_program() {
    for shell in shells() {
        for program in PROGRAMS {
            let offered = offered(shell, &format!("{program} --he"));
            assert!(
                offered.contains(&"--help".to_owned()),
                "{shell} {program}: {offered:?}"
            );
        }
    }
}

#[test]
fn values_are_completed_by_what_they_are_and_not_by_files() {
    for (line, value) in [
        ("kcat-lite -o ", "beginning"),
        ("kcat-lite -z ", "zstd"),
        ("kcat-lite --tsv=", "all"),
        ("kcat-lite --algo ", "java"),
        ("kcat-lite --engine ", "librdkafka"),
        ("kcat-lite -X sasl.mech", "sasl.mechanisms="),
        ("kcat-lite -X isolation.level=", "read_committed"),
        ("kpart --algo mur", "murmur2"),
        ("klag -o ", "prometheus"),
        ("klag --state stable,", "empty"),
        ("koldest -o ", "csv"),
    ] {
        let offered = offered("bash", line);
        let has = |word: &str| offered.iter().any(|offer| offer.ends_with(word));
        assert!(has(value), "{line}: {offered:?}");
        assert!(!has("a-file"), "{line}");
    }
    for line in [
        "kcat-lite -p ",
        "kcat-lite -k ",
        "klag --max-lag ",
        "koldest --min-age ",
        "ktee --segment-bytes ",
    ] {
        assert_eq!(offered("bash", line), [""], "{line}");
    }
    for line in [
        "kcat-lite -F ",
        "kcat-lite --ack ",
        "kcat-lite -P ",
        "ktee --spill ",
        "ktee ",
    ] {
        let offered = offered("bash", line);
        assert!(
            offered.contains(&"a-file".to_owned()),
            "{line}: {offered:?}"
        );
    }
}

#[test]
fn every_shell_completes_the_topics_and_groups_of_the_cluster_that_the_line_names() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("completed", 1, &[]);
    let brokers = kafka.bootstrap();
    let group = format!("{topic}-readers");
    shell("echo 1 | kcat-lite -P -t $T && kcat-lite -G $T-readers -q -e -X auto.offset.reset=earliest $T")
        .env("KAFKA_BROKERS", &brokers)
        .env("T", &topic)
        .run()
        .succeeds();
    let start = &topic[..topic.len() - 1];
    for shell in shells() {
        for (line, name) in [
            (format!("kcat-lite -C -b {brokers} -t {start}"), &topic),
            (format!("kcat-lite -b{brokers} -G x {start}"), &topic),
            (
                format!("koldest -X bootstrap.servers={brokers} {start}"),
                &topic,
            ),
            (format!("klag --brokers={brokers} -g {start}"), &group),
        ] {
            let offered = offered(shell, &line);
            assert!(offered.contains(name), "{shell} {line}: {offered:?}");
        }
    }
}

#[test]
fn a_cluster_that_does_not_answer_completes_nothing_in_silence() {
    for shell in shells() {
        let offered = offered(shell, "klag -b 127.0.0.1:1 -t ");
        assert!(offered.iter().all(String::is_empty), "{shell}: {offered:?}");
    }
}
