//! Names of files that are made of topics, keys or labels: none leads out of its folder.

use crate::testkit::command::{cmd, shell};
use crate::testkit::session;
use std::path::Path;

/// Everything below a folder, by path.
fn tree(folder: &Path) -> Vec<String> {
    let find = shell("find . -type f | sort")
        .inside(folder)
        .run()
        .succeeds();
    find.lines().into_iter().map(str::to_owned).collect()
}

const TOPICS: [&str; 9] = [
    "..",
    ".",
    "",
    "../../etc/x",
    "/etc/x",
    "a/../../x",
    "a/b",
    "..\\\\x",
    "partition=0",
];

#[test]
fn a_topic_of_a_line_does_not_lead_out_of_a_backup() {
    for topic in TOPICS {
        for compress in ["none", "zstd"] {
            let outer = session::folder("escape");
            let inner = outer.join("a/b/c");
            std::fs::create_dir_all(&inner).unwrap();
            let line = format!("{topic}\t0\t0\t1700000000000\tk\tv\t\\N\n");
            cmd("ktee")
                .args(["-q", "--tsv=all", "--compress", compress, "backup/"])
                .inside(&inner)
                .stdin(&line)
                .run()
                .fails_with(2)
                .stdout_is(&line);
            let left = tree(&outer);
            assert!(left.is_empty(), "{topic:?}: {left:?}");
        }
    }
    // The same in JSON, where a topic may hold anything.
    let outer = session::folder("escape");
    std::fs::create_dir_all(outer.join("a/b")).unwrap();
    cmd("ktee")
        .args(["-q", "-J", "backup/"])
        .inside(&outer.join("a/b"))
        .stdin(r#"{"topic":"../../../x","partition":0,"offset":0,"ts":1,"key":"k","payload":"v"}"#)
        .run()
        .fails_with(2);
    assert!(tree(&outer).is_empty());
}

#[test]
fn a_partition_of_a_line_is_a_number_or_nothing() {
    let folder = session::folder("escape-partition");
    for partition in ["../x", "-5", "0/../../x", "1e3", "99999999999"] {
        cmd("ktee")
            .args(["-q", "--tsv=all", "backup/"])
            .inside(&folder)
            .stdin(format!("t\t{partition}\t0\t1700000000000\tk\tv\t\\N\n"))
            .run()
            .fails_with(2);
        assert!(tree(&folder).is_empty(), "{partition}");
    }
}

#[test]
fn a_key_or_label_does_not_name_a_file_of_kparts() {
    let outer = session::folder("escape-split");
    let inner = outer.join("in");
    std::fs::create_dir(&inner).unwrap();
    let lines = "../../x\tv\n/etc/x\tv\n\tv\n..\tv\n{}\tv\n";
    cmd("kpart")
        .args(["-n", "3", "--split", "part-{}.tsv"])
        .inside(&inner)
        .stdin(lines)
        .run()
        .succeeds();
    let expected = ["./in/part-0.tsv", "./in/part-1.tsv", "./in/part-2.tsv"];
    assert_eq!(tree(&outer), expected);
    // What a command is given is the number, and a key is never part of its words.
    cmd("kpart")
        .args(["-n", "2", "--exec", "cat >{}.out"])
        .inside(&inner)
        .stdin("$(touch owned)\tv\n; touch owned\tv\n`touch owned`\tv\n")
        .run()
        .succeeds();
    assert!(!inner.join("owned").exists());
}

#[test]
fn a_manifest_that_names_another_file_leads_nowhere() {
    let outer = session::folder("escape-manifest");
    let inner = outer.join("in");
    std::fs::create_dir(&inner).unwrap();
    std::fs::write(
        outer.join("secret"),
        "t\t0\t0\t1700000000000\tk\tsecret\t\\N\n",
    )
    .unwrap();
    cmd("ktee")
        .args(["-q", "--tsv=all", "--compress", "none", "backup/"])
        .inside(&inner)
        .stdin("t\t0\t0\t1700000000000\tk\tv\t\\N\n")
        .run()
        .succeeds();
    let name = "t+0+00000000000000000000.tsv";
    let place = inner.join("backup/topics/t/partition=0");
    let manifest = place.join(format!("{name}.sha256"));
    let text = std::fs::read_to_string(&manifest).unwrap();
    assert!(text.contains(name));
    std::fs::write(&manifest, text.replace(name, "../../../../../secret")).unwrap();
    // What is read is the file beside it, whatever name it gives.
    for mode in ["--verify", "--cat"] {
        let output = cmd("ktee").args([mode, "backup/"]).inside(&inner).run();
        output
            .succeeds()
            .expect(|it| !it.text().contains("secret"), "not the other file");
    }
    // Folders that are no topic's are not read at all.
    let evil = inner.join("backup/topics/a/../..");
    let evil = evil.join("topics/b/partition=0/../partition=x");
    std::fs::create_dir_all(inner.join("backup/topics/b/partition=0")).unwrap();
    std::fs::create_dir_all(inner.join("backup/topics/a")).unwrap();
    std::fs::create_dir_all(&evil).unwrap();
    std::fs::write(evil.join(name), "not a segment").unwrap();
    let cat = cmd("ktee").args(["--cat", "backup/"]).inside(&inner).run();
    assert_eq!(cat.succeeds().lines().len(), 1);
}
