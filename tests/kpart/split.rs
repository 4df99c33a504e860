use crate::testkit::command::{cmd, shell};
use crate::testkit::session;

#[test]
fn lines_keep_their_order_in_their_partitions_file() {
    let folder = session::folder("kpart-split");
    shell("seq 100000 | awk '{print $1 % 97 \"\\t\" $1}' >in; kpart -n 12 --split 'part-{}.tsv' <in; kpart -n 12 <in >labelled")
        .inside(&folder)
        .run()
        .succeeds()
        .stdout_is("");
    for partition in 0..12 {
        shell("awk -F'\\t' -v p=$P '$1 == p {print $2 \"\\t\" $3}' labelled | cmp - part-$P.tsv")
            .env("P", partition.to_string())
            .inside(&folder)
            .run()
            .succeeds();
    }
}

#[test]
fn ten_thousand_partitions_need_few_descriptors_and_little_memory() {
    // An address space of 256 MiB and 64 descriptors; without line feeds of its own the last line keeps none.
    shell(
        "ulimit -n 64; ulimit -v 262144; seq 300000 | kpart -n 10000 --split 'p-{}' && \
         ls | wc -l && cat p-* | sort -n | cmp - <(seq 300000)",
    )
    .inside(&session::folder("kpart-10000"))
    .run()
    .succeeds()
    .stdout_is("10000\n");
}

#[test]
fn nothing_of_an_earlier_run_stays() {
    shell("seq 100 | kpart -n 4 --split f{}; printf '\\\\N\\n' | kpart -n 4 --split f{}; echo | kpart -n 4 --split f{}; wc -c f*")
        .inside(&session::folder("kpart-again"))
        .run()
        .succeeds()
        .stdout_is("0 f-1\n0 f0\n1 f1\n0 f2\n0 f3\n1 total\n");
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let run = cmd("kpart")
        .args(["-n", "2", "--split", "/no/such/folder/{}"])
        .stdin("a\n")
        .run();
    run.fails_with(2).stderr_has("/no/such/folder/0");
    shell(
        "ln -s /dev/full full-0; ln -s /dev/full full-1; seq 100000 | kpart -n 2 --split full-{}",
    )
    .inside(&session::folder("kpart-full"))
    .run()
    .fails_with(2)
    .stderr_has("cannot write to full-");
}
