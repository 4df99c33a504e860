//! A standard descriptor that is closed: nothing can be read or said, and no program says that all is well.

use crate::testkit::command::shell;

#[test]
fn a_closed_descriptor_is_an_error_in_every_program() {
    let programs = [
        "kcat-lite -L",
        "kcat-lite -P -t t",
        "kcat-lite -C -t t -e",
        "kcat-lite -G g t",
        "kcat-lite -Q -t t:0:end",
        "kcat-lite -M 1 -- true",
        "kcat-lite -V",
        "kpart -n 3",
        "ktee copy",
        "koldest",
        "klag",
        "klag --help",
    ];
    for program in programs {
        for (closed, name) in [
            ("<&-", "standard input"),
            (">&-", "standard output"),
            ("2>&-", "standard error"),
        ] {
            let output = shell(&format!("exec {program} {closed}"))
                .env("KAFKA_BROKERS", "127.0.0.1:1")
                .inside(&crate::testkit::session::folder("closed"))
                .run()
                .fails_with(2)
                .stdout_is("");
            if closed != "2>&-" {
                output.stderr_has(format!("{name} is closed"));
            }
        }
    }
}
