use super::lines;
use crate::testkit::command::{Cmd, cmd};
use crate::testkit::output::Output;
use crate::testkit::s3::S3;
use std::time::Duration;

fn ktee(s3: &S3) -> Cmd {
    s3.known_to(cmd("ktee"))
}

#[test]
fn a_backup_in_a_bucket_goes_on_is_whole_and_comes_back() {
    let s3 = S3::start();
    let run = |input: String| {
        ktee(&s3)
            .args(["--tsv=all", "--segment-records", "100", "s3://backups/a/b"])
            .stdin(input)
            .run()
            .succeeds()
    };
    run(lines("t", 0, 250));
    run(lines("t", 200, 250)).stderr_has("50 records already in the backup, 200 added");
    ktee(&s3)
        .args(["--verify", "s3://backups/a/b"])
        .run()
        .succeeds()
        .stdout_has("t\t0\t5\t450\t0\t449\t");
    ktee(&s3)
        .args(["--cat", "s3://backups/a/b/"])
        .run()
        .succeeds()
        .stdout_is(lines("t", 0, 450));
    let folder = s3.folder().join("backups/a/b/topics/t/partition=0");
    cmd("sh")
        .args(["-c", "sha256sum --quiet -c *.sha256 && zstdcat *.zst"])
        .inside(&folder)
        .run()
        .succeeds()
        .stdout_is(lines("t", 0, 450));
}

#[test]
fn a_backup_in_google_cloud_storage_goes_on_is_whole_and_comes_back() {
    let google = S3::start_as_google();
    let ktee = || google.known_to_google(cmd("ktee"));
    let run = |input: String| {
        ktee()
            .args(["--tsv=all", "--segment-records", "100", "gs://backups/a/b"])
            .stdin(input)
            .run()
            .succeeds()
    };
    run(lines("t", 0, 250));
    run(lines("t", 200, 250)).stderr_has("50 records already in the backup, 200 added");
    let first = "backups/a/b/topics/t/partition=0/t+0+00000000000000000000.tsv.zst";
    assert!(google.folder().join(first).is_file());
    ktee()
        .args(["--verify", "gs://backups/a/b"])
        .run()
        .succeeds()
        .stdout_has("t\t0\t5\t450\t0\t449\t");
    ktee()
        .args(["--cat", "gs://backups/a/b/"])
        .run()
        .succeeds()
        .stdout_is(lines("t", 0, 450));
}

/// Has two writers store the same records at the same time, cut elsewhere, and looks that each is there once.
pub(super) fn store_twice(ktee: &dyn Fn() -> Cmd, url: &str) {
    let start = |records: &str| {
        let mut running = ktee()
            .args(["-q", "--tsv=all", "--segment-records", records, url])
            .stdin_open()
            .start();
        running.write(lines("t", 0, 1));
        running
    };
    let mut writers = [start("70"), start("90")];
    // Both have looked and found nothing.
    for running in &mut writers {
        running.stdout_until("value 0", Duration::from_secs(10));
        running.write(lines("t", 1, 499));
    }
    for mut running in writers {
        running.close_stdin();
        running.wait().succeeds();
    }
    ktee()
        .args(["--verify", url, "-o", "json"])
        .run()
        .succeeds()
        .stdout_has("\"records\":500,")
        .stdout_has("\"duplicates\":0");
}

#[test]
fn the_server_refuses_to_write_over_an_object_and_so_two_writers_double_nothing() {
    let (s3, google) = (S3::start(), S3::start_as_google());
    store_twice(&|| ktee(&s3), "s3://backups");
    store_twice(&|| google.known_to_google(cmd("ktee")), "gs://backups");
}

/// Rows of the trial: both exited with 0, and a foreign reader found records twice.
#[test]
fn two_writers_that_meet_in_one_hole_of_a_bucket_say_what_is_stored_twice() {
    let s3 = S3::start();
    let start = |first: i64| {
        let mut running = ktee(&s3)
            .args(["--tsv=all", "s3://backups/meet"])
            .stdin_open()
            .start();
        running.write(lines("t", first, 1));
        running.stdout_until("value", Duration::from_secs(10));
        running
    };
    // Both are open; then neither can create its segment before the other one has listed what is there.
    let mut writers = [(0, start(0)), (50, start(50))];
    s3.conflict(1000);
    for (first, running) in &mut writers {
        running.write(lines("t", *first + 1, 99));
        running.close_stdin();
    }
    let begun = std::time::Instant::now();
    while s3.faults_met() < 8 && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    s3.conflict(0);
    let ends = writers.map(|(_, running)| running.wait());
    let told = ends.iter().filter(|end| end.status.code() == Some(2));
    let told: Vec<_> = told.map(Output::story).collect();
    assert!(
        told.iter().any(|it| it.contains("50 records stored twice")),
        "{told:?}"
    );
    ktee(&s3)
        .args(["--verify", "s3://backups/meet", "-o", "json"])
        .run()
        .succeeds()
        .stdout_has("\"records\":150,")
        .stdout_has("\"duplicates\":50");
    ktee(&s3)
        .args(["--cat", "s3://backups/meet"])
        .run()
        .succeeds()
        .stdout_is(lines("t", 0, 150));
}

#[test]
fn a_bucket_that_goes_away_is_told_and_the_stream_passes() {
    let s3 = S3::start();
    let mut running = ktee(&s3)
        .args([
            "--tsv=all",
            "--segment-records",
            "10",
            "s3://backups/p",
            "copy",
        ])
        .inside(s3.folder())
        .stdin_open()
        .start();
    running.write(lines("t", 0, 10).as_bytes());
    let first = s3
        .folder()
        .join("backups/p/topics/t/partition=0/t+0+00000000000000000000.tsv.zst.sha256");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !first.exists() {
        assert!(std::time::Instant::now() < deadline, "nothing is stored");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    s3.lose_buckets();
    running.write(lines("t", 10, 20).as_bytes());
    running.stderr_until("s3://backups", std::time::Duration::from_secs(20));
    running.write(lines("t", 30, 10).as_bytes());
    running.close_stdin();
    running.wait().fails_with(2).stdout_is(lines("t", 0, 40));
    assert_eq!(
        std::fs::read_to_string(s3.folder().join("copy")).unwrap(),
        lines("t", 0, 40)
    );
}

#[test]
fn a_wrong_secret_and_a_wrong_bucket_are_told() {
    let s3 = S3::start();
    ktee(&s3)
        .env("AWS_SECRET_ACCESS_KEY", "wrong")
        .args(["--tsv=all", "s3://backups"])
        .stdin(lines("t", 0, 1))
        .run()
        .fails_with(2)
        .stderr_has("s3://backups");
    s3.lose_buckets();
    ktee(&s3)
        .args(["--tsv=all", "s3://other"])
        .stdin(lines("t", 0, 1))
        .run()
        .fails_with(2)
        .stderr_has("s3://other");
}

#[test]
fn a_store_that_is_away_for_a_while_is_tried_until_it_is_back() {
    let s3 = S3::start();
    s3.slow_down(8);
    s3.conflict(2);
    ktee(&s3)
        .args(["--tsv=all", "s3://backups/p"])
        .stdin(lines("t", 0, 10))
        .run()
        .succeeds();
    assert_eq!(s3.faults_met(), 10);
    ktee(&s3)
        .args(["--cat", "s3://backups/p"])
        .run()
        .succeeds()
        .stdout_is(lines("t", 0, 10));
}

#[test]
fn what_is_stored_although_the_answer_was_lost_is_stored_once_and_counted_as_added() {
    let s3 = S3::start();
    let run = |url: &str, options: &[&str], input: &str| {
        s3.lose_answers(10);
        ktee(&s3)
            .args(options)
            .args(["--segment-records", "10", url])
            .stdin(input)
            .run()
            .succeeds()
            .stderr_lacks("already in the backup");
        ktee(&s3).args(["--cat", url]).run().succeeds()
    };
    let records = lines("t", 0, 30) + &lines("t", 35, 20);
    run("s3://backups/p", &["--tsv=all"], &records).stdout_is(&records);
    let lines: Vec<String> = (0..40).map(|n| format!("{n}\n")).collect();
    run("s3://backups/lines", &[], &lines.concat()).stdout_is(lines.concat());
    assert_eq!(s3.faults_met(), 10);
}

#[test]
fn a_store_that_stays_away_is_given_up_when_the_time_is_over() {
    let s3 = S3::start();
    s3.slow_down(u32::MAX);
    ktee(&s3)
        .args(["--tsv=all", "--delivery-timeout", "3s", "s3://backups/p"])
        .stdin(lines("t", 0, 1))
        .run()
        .fails_with(2)
        .stdout_is(lines("t", 0, 1))
        .stderr_has("s3://backups/p/.ktee-probe: 503 SlowDown: wait; tried for 3s")
        .stderr_lacks("<");
    assert!(s3.faults_met() > 3, "{}", s3.faults_met());
}

#[test]
fn a_store_that_overwrites_objects_is_refused_unless_there_is_one_writer() {
    let s3 = S3::start();
    s3.overwrite();
    let run = |options: &[&str], records: i64| {
        ktee(&s3)
            .args(["--tsv=all", "--segment-records", "10"])
            .args(options)
            .arg("s3://backups/p")
            .stdin(lines("t", 0, records))
            .run()
    };
    run(&[], 10)
        .fails_with(2)
        .stderr_has("If-None-Match")
        .stderr_has("--single-writer");
    assert!(!s3.folder().join("backups/p/topics").exists());
    run(&["--single-writer"], 20).succeeds();
    run(&["--single-writer"], 30)
        .succeeds()
        .stderr_has("20 records already in the backup, 10 added");
    ktee(&s3)
        .args(["--cat", "s3://backups/p"])
        .run()
        .succeeds()
        .stdout_is(lines("t", 0, 30));
}

#[test]
fn what_is_wrong_with_a_store_is_one_line_that_names_the_cause() {
    let s3 = S3::start();
    let run = |command: Cmd, url: &str| {
        let output = command
            .args(["--tsv=all", "--delivery-timeout", "1s", url])
            .stdin(lines("t", 0, 1))
            .run()
            .fails_with(2)
            .stderr_lacks("<")
            .stderr_lacks("secret");
        assert_eq!(String::from_utf8_lossy(&output.stderr).lines().count(), 1);
        output
    };
    run(
        ktee(&s3).env("AWS_SECRET_ACCESS_KEY", "wrong"),
        "s3://backups",
    )
    .stderr_has("403 SignatureDoesNotMatch");
    s3.lose_buckets();
    run(ktee(&s3), "s3://other/p").stderr_has("s3://other/p/.ktee-probe: 404 NoSuchBucket");
    let plain = s3.url().replace("http:", "https:");
    run(ktee(&s3).env("AWS_ENDPOINT_URL", plain), "s3://other").stderr_has("TLS: ");
    // A port that was just free.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let refused = format!("http://me:secret@127.0.0.1:{port}");
    run(ktee(&s3).env("AWS_ENDPOINT_URL", refused), "s3://other").stderr_has("Connection refused");
    let keyless = || {
        ktee(&s3)
            .env("AWS_ACCESS_KEY_ID", "")
            .env("AWS_SECRET_ACCESS_KEY", "")
            .env("AWS_METADATA_ENDPOINT", format!("http://127.0.0.1:{port}"))
    };
    run(keyless(), "s3://other").stderr_has("s3://other: no credentials: ");
    run(keyless().env("AWS_PROFILE", "nobody"), "s3://other")
        .stderr_has("there is no profile nobody");
    cmd("ktee")
        .args(["--cat", "s3://me:secret@backups/p"])
        .run()
        .fails_with(2)
        .stderr_has("s3://***@backups/p")
        .stderr_lacks("secret");
}

#[test]
fn keys_are_read_from_the_files_of_the_aws_tools() {
    let s3 = S3::start();
    let home = crate::testkit::session::folder("aws-home");
    std::fs::create_dir(home.join(".aws")).unwrap();
    let keys = "aws_access_key_id = me\naws_secret_access_key = secret\n";
    let write = |name: &str, text: String| std::fs::write(home.join(name), text).unwrap();
    write(".aws/credentials", format!("[default]\n{keys}"));
    write(
        ".aws/config",
        format!(
            "[default]\nregion = us-east-1\nendpoint_url = {}\n[profile role]\nrole_arn = x\n",
            s3.url()
        ),
    );
    write("other", format!("[work]\n{keys}"));
    let run = |command: Cmd| {
        command
            .env("HOME", &home)
            .args(["--tsv=all", "s3://backups/p"])
            .stdin(lines("t", 0, 1))
            .run()
    };
    run(cmd("ktee")).succeeds();
    run(cmd("ktee")
        .env("AWS_PROFILE", "work")
        .env("AWS_SHARED_CREDENTIALS_FILE", home.join("other"))
        .env("AWS_ENDPOINT_URL", s3.url()))
    .succeeds();
    run(cmd("ktee").env("AWS_PROFILE", "role"))
        .fails_with(2)
        .stderr_has("role_arn");
    // What the environment says comes first.
    run(s3
        .known_to(cmd("ktee"))
        .env("AWS_SECRET_ACCESS_KEY", "wrong"))
    .fails_with(2)
    .stderr_has("403");
}
