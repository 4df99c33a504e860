use crate::testkit::command::{cmd, shell};

#[test]
fn each_candidate_has_a_row_that_adds_up() {
    let report =
        shell("(seq 60000; seq 40000 | sed s/.*/heavy/) | kpart --skew 6,12,48 -o json").run();
    let rows: Vec<serde_json::Value> = report
        .succeeds()
        .lines()
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for (row, partitions) in rows.iter().zip([6, 12, 48]) {
        assert_eq!(row["row"], "partitions");
        assert_eq!(row["partitions"], partitions);
        assert_eq!(row["records"], 100_000);
        let fullest = row["fullest_records"].as_u64().unwrap();
        assert!(fullest > 40_000 && fullest < 40_000 + 2 * 60_000 / partitions as u64);
        let fair = 100_000.0 / f64::from(partitions);
        let ratio = row["fullest_ratio"].as_f64().unwrap();
        // Six decimals.
        assert!((ratio - fullest as f64 / fair).abs() <= 5e-7);
        assert!(row["emptiest_records"].as_u64() <= row["median_records"].as_u64());
        assert!(row["median_records"].as_u64() < row["fullest_records"].as_u64());
    }
    assert_eq!(rows.len(), 3 + 10);
    assert_eq!(rows[3]["key"], "heavy");
    assert_eq!(rows[3]["key_records"], 40_000);
    assert_eq!(rows[3]["key_records_error"], 0);
}

#[test]
fn the_counts_are_those_of_the_label_mode() {
    shell(
        "seq 5000 >/tmp/kpart-skew-$$; \
         kpart --skew 7 --algo fnv1a </tmp/kpart-skew-$$ | cut -f5,7 | head -1; \
         kpart -n 7 --algo fnv1a </tmp/kpart-skew-$$ | cut -f1 | sort | uniq -c | sort -n | \
             awk 'NR==1{low=$1} {high=$1} END {print high \"\\t\" low}'; rm /tmp/kpart-skew-$$",
    )
    .run()
    .succeeds()
    .expect(|out| out.lines()[0] == out.lines()[1], "the same counts");
}

#[test]
fn records_without_a_place_are_counted_apart_and_nothing_is_reported_of_a_part() {
    let table = cmd("kpart")
        .args(["--skew", "2", "-o", "csv"])
        .stdin("\\N\n\\N\na\n")
        .run()
        .succeeds();
    let table = table
        .stdout_has("partitions,2,1,2,")
        .stdout_has(",2,,,,\n")
        .stdout_has("key,,,,,,,,,,,,a,1,0,");
    let widths: Vec<usize> = table.lines().iter().map(|l| l.split(',').count()).collect();
    assert_eq!(widths, [16, 16, 16], "{}", table.story());
    let run = cmd("kpart")
        .args(["--skew", "2", "--algo", "jump"])
        .stdin("1\nx\n")
        .run();
    run.fails_with(2).stdout_is("").stderr_has("line 2");
}

#[test]
fn the_columns_have_names_where_they_are_asked_for() {
    let report = |args: &[&str]| {
        let run = cmd("kpart").args(["--skew", "2"]).args(args);
        run.stdin("a\n").run().succeeds()
    };
    report(&[]).stdout_has("partitions\t2\t1\t");
    report(&["--header"]).stdout_has("row\tpartitions\trecords\t");
}
