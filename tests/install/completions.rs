//! Completion: what each shell makes of the scripts that the programs print.

use crate::testkit::command::{cmd, shell};
use crate::testkit::{session, witness};

use super::PROGRAMS;

/// The script of a program for a shell, in a file.
fn script(program: &str, language: &str) -> std::path::PathBuf {
    let output = cmd(program)
        .args(["--generate-completions", language])
        .run()
        .succeeds();
    let file = session::folder("completions").join(program);
    std::fs::write(&file, output.text()).unwrap();
    file
}

#[test]
fn bash_completes_options_of_every_program() {
    for program in PROGRAMS {
        let asked = r#"
            source "$SCRIPT"
            COMP_WORDS=("$PROGRAM" --he) COMP_CWORD=1
            _complete=$(complete -p "$PROGRAM" | sed 's/.*-F \([^ ]*\).*/\1/')
            "$_complete" "$PROGRAM" --he "$PROGRAM"
            printf '%s\n' "${COMPREPLY[@]}"
        "#;
        shell(asked)
            .env("SCRIPT", script(program, "bash"))
            .env("PROGRAM", program)
            .run()
            .succeeds()
            .stdout_has("--help\n");
    }
}

/// What bash offers behind these words, in a folder with one file.
fn offered(program: &str, words: &[&str]) -> Vec<String> {
    let folder = session::folder("completed");
    std::fs::write(folder.join("a-file"), "").unwrap();
    let asked = r#"
        source "$SCRIPT"
        _complete=$(complete -p "$PROGRAM" | sed 's/.*-F \([^ ]*\).*/\1/')
        COMP_WORDS=("$PROGRAM" "$@") COMP_CWORD=$#
        "$_complete" "$PROGRAM" "${@: -1}" "${@: -2:1}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let output = cmd("bash")
        .args(["-c", asked, "bash"])
        .args(words)
        .env("SCRIPT", script(program, "bash"))
        .env("PROGRAM", program)
        .inside(&folder)
        .run()
        .succeeds();
    output.lines().into_iter().map(str::to_owned).collect()
}

#[test]
fn values_are_completed_by_what_they_are_and_not_by_files() {
    for (program, option, value) in [
        ("kcat-lite", "-o", "beginning"),
        ("kcat-lite", "-z", "zstd"),
        ("kcat-lite", "--algo", "java"),
        ("kcat-lite", "--engine", "librdkafka"),
        ("kcat-lite", "-X", "sasl.mechanisms="),
        ("kpart", "--algo", "murmur2"),
        ("klag", "-o", "prometheus"),
        ("klag", "--state", "stable"),
        ("koldest", "-o", "csv"),
    ] {
        let offered = offered(program, &[option, ""]);
        assert!(
            offered.iter().any(|word| word == value),
            "{option}: {offered:?}"
        );
        assert!(!offered.contains(&"a-file".to_owned()), "{option}");
    }
    for (program, option) in [
        ("kcat-lite", "-t"),
        ("kcat-lite", "-p"),
        ("kcat-lite", "-k"),
        ("klag", "-g"),
        ("klag", "--max-lag"),
        ("koldest", "--min-age"),
        ("ktee", "--segment-bytes"),
    ] {
        assert_eq!(offered(program, &[option, ""]), [""], "{program} {option}");
    }
    for (program, option) in [
        ("kcat-lite", "-F"),
        ("kcat-lite", "--ack"),
        ("ktee", "--spill"),
    ] {
        let offered = offered(program, &[option, ""]);
        assert!(
            offered.contains(&"a-file".to_owned()),
            "{program} {option}: {offered:?}"
        );
    }
}

#[test]
fn zsh_and_fish_take_the_scripts() {
    for (language, check) in [("zsh", "-n"), ("fish", "--no-execute")] {
        let Some(reader) = witness::installed(language) else {
            continue;
        };
        for program in PROGRAMS {
            let reader = reader.clone().arg(check).arg(script(program, language));
            reader.run().succeeds().stderr_is("");
        }
    }
}
