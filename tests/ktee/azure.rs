use super::bucket::store_twice;
use super::lines;
use crate::testkit::azure::Azure;
use crate::testkit::command::{Cmd, cmd};

fn ktee(azure: &Azure) -> Cmd {
    azure.known_to(cmd("ktee"))
}

#[test]
fn a_backup_in_azure_goes_on_is_whole_and_comes_back() {
    let Some(azure) = Azure::start() else { return };
    let run = |input: String| {
        ktee(&azure)
            .args(["--tsv=all", "--segment-records", "100", "az://backups/a/b"])
            .stdin(input)
            .run()
            .succeeds()
    };
    run(lines("t", 0, 250));
    run(lines("t", 200, 250)).stderr_has("50 records already in the backup, 200 added");
    ktee(&azure)
        .args(["--verify", "az://backups/a/b"])
        .run()
        .succeeds()
        .stdout_has("t\t0\t5\t450\t0\t449\t");
    ktee(&azure)
        .args(["--cat", "az://backups/a/b"])
        .run()
        .succeeds()
        .stdout_is(lines("t", 0, 450));
    // One line says what is wrong, once.
    let missing = ktee(&azure)
        .args(["--tsv=all", "az://missing"])
        .stdin(lines("t", 0, 1))
        .run()
        .fails_with(2);
    let text = String::from_utf8(missing.stderr.clone()).unwrap();
    assert_eq!(text.matches("ContainerNotFound").count(), 1, "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn two_writers_to_azure_double_nothing() {
    let Some(azure) = Azure::start() else { return };
    store_twice(&|| ktee(&azure), "az://backups");
}
