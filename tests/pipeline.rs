//! Whole pipelines as a user types them, on the embedded cluster: these programs between those that every system has.

use crate::testkit::command::{Cmd, cmd};
use crate::testkit::witness;

/// Runs a script with a throw-away cluster, `pipefail` on.
fn on_a_lent_cluster(script: &str) -> Cmd {
    cmd("kcat-lite").args([
        "-M", "1", "--", "bash", "-o", "pipefail", "-e", "-c", script,
    ])
}

#[test]
fn words_are_counted() {
    let script = r#"
        printf '%s\n' b a b c b a | kcat-lite -P -q -t words
        kcat-lite -C -e -q -t words | sort | uniq -c | awk '{print $2 "\t" $1}' | kcat-lite -P -q -t counts --tsv
        kcat-lite -C -e -q -t counts --tsv | sort
    "#;
    on_a_lent_cluster(script)
        .run()
        .succeeds()
        .stdout_is("a\t2\nb\t3\nc\t1\n");
}

#[test]
fn two_topics_are_joined_by_their_keys() {
    let script = r"
        printf '1\tAda\n2\tBob by\\ttab\n' | kcat-lite -P -q -t names --tsv
        printf '2\tBerlin\n1\tAthens\n3\tCairo\n' | kcat-lite -P -q -t towns --tsv
        join -t $'\t' <(kcat-lite -C -e -q -t names --tsv | sort) <(kcat-lite -C -e -q -t towns --tsv | sort)
    ";
    on_a_lent_cluster(script)
        .run()
        .succeeds()
        .stdout_is("1\tAda\tAthens\n2\tBob by\\ttab\tBerlin\n");
}

#[test]
fn json_passes_through_jq() {
    let Some(_jq) = witness::installed("jq") else {
        return;
    };
    let script = r"
        printf 'k:5\nk:7\n' | kcat-lite -P -q -t numbers -K : -H unit=m
        kcat-lite -C -e -q -t numbers -J | jq -c '.payload = (.payload | tonumber * 2 | tostring)' | kcat-lite -P -q -t doubled -J
        kcat-lite -C -e -q -t doubled -f '%k %s %h\n'
    ";
    on_a_lent_cluster(script)
        .run()
        .succeeds()
        .stdout_is("k 10 unit=m\nk 14 unit=m\n");
}

#[test]
fn a_failure_anywhere_in_the_pipe_is_the_pipelines() {
    on_a_lent_cluster("echo one | kcat-lite -P -q -t t; kcat-lite -C -e -q -t t | cat > /dev/full")
        .run()
        .fails_with(1);
    let script = "echo 'no tab' | kcat-lite -P -q -t t --tsv | cat";
    on_a_lent_cluster(script)
        .run()
        .fails_with(2)
        .stderr_has("1");
}
