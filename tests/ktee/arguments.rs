use crate::testkit::command::cmd;

#[test]
fn what_cannot_be_honoured_is_a_usage_error_that_names_it() {
    for (line, named) in [
        ("--segment-bytes 1x d/", "1x"),
        ("--segment-bytes 0 d/", "--segment-bytes"),
        ("--segment-bytes 1M", "--segment-bytes"),
        ("--compress zip d/", "zip"),
        ("--compress gzip file", "--compress"),
        ("--buffer 1K d/", "--buffer"),
        ("--max-delay 5 d/", "unit"),
        ("--on-error ignore", "ignore"),
        ("-a d/", "-a"),
        ("-b host file", "-b"),
        ("--delivery-timeout 1s file", "--delivery-timeout"),
        ("--spill s file", "--spill"),
        ("--spill s.zst kafka:t", ".zst"),
        ("--spill copy copy kafka:t", "--spill"),
        ("--spill . -b 127.0.0.1:1 kafka:t", "directory"),
        ("--cat a --spill s", "--spill"),
        ("-f %s d/", "-f"),
        ("-D ; d/ kafka:t", "-D"),
        ("kafka:", "kafka:TOPIC"),
        ("-t x file", "-t"),
        ("--from now file", "--from"),
        ("-o json file", "-o"),
        ("--ack s d/", "--tsv"),
        ("--ack s --tsv file", "--ack"),
        ("--verify", "--verify"),
        ("--verify a b", "--verify"),
        ("--verify --cat a", "--cat"),
        ("--verify a --from now", "--from"),
        ("--cat a --tsv", "--tsv"),
        ("--verify a --bytes hex", "--bytes"),
        ("--cat a --utf8 strict", "--utf8"),
        ("--cat a --compress gzip", "--compress"),
        ("--cat a --from yesterdays", "yesterdays"),
        ("--cat a --from 1700000000", "@1700000000"),
        ("--restore a --to 1700000000", "@1700000000"),
        ("--cat a -p -1", "-1"),
        ("x://y/z", "x://"),
    ] {
        cmd("ktee")
            .args(line.split(' '))
            .run()
            .fails_with(2)
            .stderr_has(named)
            .stdout_is("");
    }
}

/// Without the feature there are no object stores, which is told and no surprise.
#[cfg(not(feature = "object-store"))]
#[test]
fn a_bucket_is_refused_where_object_stores_were_left_out() {
    for mode in [&["--verify"][..], &["--cat"], &[]] {
        for place in ["s3://b/p", "gs://b", "az://c"] {
            cmd("ktee")
                .args(mode)
                .arg(place)
                .run()
                .fails_with(2)
                .stderr_has(format!(
                    "{place}: this ktee was built without object stores"
                ));
        }
    }
}
