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
