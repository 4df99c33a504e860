//! Rights that a user does not have: the message names what is refused, in time, and nothing incomplete passes for whole.

use super::{Fortress, PASSWORD, fortress, refs};
use crate::testkit::cluster::{Cluster as _, Record};
use crate::testkit::command::{Cmd, cmd};
use crate::testkit::output::Output;
use crate::testkit::{session, witness};
use std::time::Duration;

/// The seconds of `-m`, and what a busy machine takes beside them.
const LIMIT: Duration = Duration::from_secs(20);

/// `describer` sees a topic, `reader` and `writer` use it, `member` has the group too, `grouper` has the group alone.
const GRANT: &str = r#"
import sys
from confluent_kafka.admin import (AclBinding, AclOperation, AclPermissionType, AdminClient, ResourcePatternType,
                                   ResourceType)
broker, t, u, g = sys.argv[1:]
def right(user, kind, name, operation):
    return AclBinding(kind, name, ResourcePatternType.LITERAL, "User:" + user, "*", operation, AclPermissionType.ALLOW)
rights = [right("describer", ResourceType.TOPIC, t, AclOperation.DESCRIBE),
          right("reader", ResourceType.TOPIC, t, AclOperation.READ),
          right("writer", ResourceType.TOPIC, t, AclOperation.WRITE),
          right("member", ResourceType.TOPIC, t, AclOperation.READ),
          right("member", ResourceType.GROUP, g, AclOperation.READ),
          right("grouper", ResourceType.GROUP, g, AclOperation.READ),
          right("describer", ResourceType.GROUP, g + "-queue", AclOperation.READ),
          right("member", ResourceType.GROUP, g + "-queue", AclOperation.READ)]
admin = AdminClient({"bootstrap.servers": broker})
for made in admin.create_acls(rights).values():
    made.result()
"#;

/// A topic with one record, another one that is nobody's, and a group that has read the first.
struct Rights {
    fortress: &'static Fortress,
    seen: String,
    hidden: String,
    group: String,
}

fn rights() -> Option<Rights> {
    let python = witness::python()?;
    let fortress = fortress()?;
    let kafka = &fortress.kafka;
    let rights = Rights {
        fortress,
        seen: kafka.topic_of("seen", &["a record"]),
        hidden: kafka.topic_of("hidden", &["a secret record"]),
        group: session::unique("rights"),
    };
    let (seen, hidden, group) = (&rights.seen, &rights.hidden, &rights.group);
    let earliest = "auto.offset.reset=earliest";
    cmd("kcat-lite")
        .args([
            "-G",
            group,
            "-e",
            "-q",
            "-X",
            earliest,
            "-b",
            &kafka.bootstrap(),
            seen,
            hidden,
        ])
        .run()
        .succeeds();
    kafka.produce(seen, &[Record::of("unread")]);
    python
        .args(["-c", GRANT, &kafka.bootstrap(), seen, hidden, group])
        .run()
        .succeeds();
    Some(rights)
}

impl Rights {
    fn as_user(&self, user: &str, command: Cmd) -> Output {
        let door = self.fortress.kafka.bootstrap_of("SASL_SSL");
        let secret = self.fortress.secret(&format!("password-{user}"), PASSWORD);
        let mut login = self.fortress.login("PLAIN");
        login.pop();
        login.push(format!("sasl.username={user}"));
        login.push(format!("sasl.password=@{}", secret.display()));
        Fortress::through(command, &door, &refs(&login))
            .limit(LIMIT)
            .run()
    }

    /// The command ends with 2 in time, and says who refuses what; more than that it does not say on stdout.
    #[track_caller]
    fn refuses(&self, user: &str, command: Cmd, named: &[&str]) -> Output {
        let output = self.as_user(user, command);
        let output = output.fails_with(2).stderr_has("uthoriz");
        named
            .iter()
            .fold(output, |output, name| output.stderr_has(name))
    }
}

#[test]
fn a_reader_is_told_which_topic_or_group_it_may_not_use() {
    let Some(rights) = rights() else { return };
    let (seen, hidden, group) = (&rights.seen, &rights.hidden, &rights.group);
    let kcat = |args: &[&str]| cmd("kcat-lite").args(args);
    let consume = || kcat(&["-C", "-e", "-q", "-t", seen]);
    for user in ["alice", "describer", "writer", "grouper"] {
        rights.refuses(user, consume(), &[seen]).stdout_is("");
    }
    rights.as_user("reader", consume()).succeeds();
    let join = || kcat(&["-G", group, "-e", "-q", seen]);
    rights.refuses("reader", join(), &[group]).stdout_is("");
    rights.refuses("grouper", join(), &[seen]).stdout_is("");
    // Of two topics one may be read: the group as a whole is refused, for nobody would miss the other.
    let both = kcat(&["-G", group, "-e", "-q", seen, hidden]);
    rights.refuses("member", both, &[hidden]);
    for (user, topic) in [("alice", seen), ("member", hidden)] {
        rights.refuses(user, kcat(&["-L", "-t", topic]), &[topic]);
        let place = format!("{topic}:0:end");
        rights.refuses(user, kcat(&["-Q", "-t", &place]), &[topic]);
    }
}

#[test]
fn a_member_of_a_queue_is_told_what_it_may_not_read_and_what_it_may_not_see() {
    let Some(rights) = rights() else { return };
    let seen = &rights.seen;
    let queue = format!("{}-queue", rights.group);
    let share = || cmd("kcat-lite").args(["--share", &queue, "--idle", "1s", seen]);
    rights.refuses("reader", share(), &[&queue]).stdout_is("");
    let named = format!("{seen} [0]: Topic authorization failed");
    rights
        .refuses("describer", share(), &[&named])
        .stdout_is("");
    // Regression: it was said to begin at the end, whatever its settings were.
    let begins = "unless its settings, which this user may not see, say otherwise";
    rights
        .as_user("member", share())
        .succeeds()
        .stderr_has(begins);
}

#[test]
fn positions_are_committed_by_who_may_use_the_group_and_the_topic() {
    let Some(rights) = rights() else { return };
    let (seen, hidden, group) = (&rights.seen, &rights.hidden, &rights.group);
    let commit = |topic: &str, args: &[&str]| {
        let commit = cmd("kcat-lite").args(["--commit", group]).args(args);
        commit.stdin(format!("{topic}\t0\t0\n"))
    };
    for user in ["alice", "reader", "writer"] {
        rights.refuses(user, commit(seen, &[]), &[group]);
    }
    rights.refuses(
        "grouper",
        commit(seen, &[]),
        &[seen, "nothing was committed"],
    );
    rights.refuses(
        "member",
        commit(hidden, &[]),
        &[hidden, "nothing was committed"],
    );
    // To delete takes a right that to commit does not.
    rights.refuses(
        "member",
        commit(seen, &["--delete"]),
        &[seen, "not committed"],
    );
    let kafka = &rights.fortress.kafka;
    assert_eq!(kafka.committed(group, seen), [(0, 1)].into());
    let commit = rights.as_user("member", commit(seen, &[]));
    commit.succeeds().stdout_is(format!("{seen}\t0\t1\t0\n"));
}

#[test]
fn a_writer_is_told_which_topic_refused_how_much() {
    let Some(rights) = rights() else { return };
    let (seen, hidden) = (&rights.seen, &rights.hidden);
    let line = "x\n";
    // Who may write nowhere is refused before a topic is named.
    let nowhere = "may write to no topic";
    for (user, topic, named) in [("reader", seen, nowhere), ("writer", hidden, hidden)] {
        let produce = cmd("kcat-lite").args(["-P", "-t", topic]).stdin(line);
        rights.refuses(user, produce, &[named, "1 record not delivered"]);
        let tee = cmd("ktee").arg(format!("kafka:{topic}")).stdin(line);
        // What passes through ktee passes, whatever becomes of the copy.
        rights.refuses(user, tee, &[named]).stdout_is(line);
    }
    let produce = cmd("kcat-lite").args(["-P", "-t", seen]).stdin(line);
    rights.as_user("writer", produce).succeeds();
    assert_eq!(rights.fortress.kafka.values(hidden), ["a secret record"]);
}

#[test]
fn a_backup_is_not_restored_by_halves_without_a_word() {
    let Some(rights) = rights() else { return };
    let kafka = &rights.fortress.kafka;
    let folder = session::folder("denied-restore");
    let there = kafka.topic("restored", 1, &[]);
    let missing = session::unique("never-made");
    for topic in [&there, &missing] {
        cmd("ktee")
            .args(["-q", "--tsv=all", "b/"])
            .inside(&folder)
            .stdin(format!("{topic}\t0\t0\t1700000000000\tk\tv\t\\N\n"))
            .run()
            .succeeds();
    }
    for topic in [&there, &missing] {
        let restore = cmd("ktee")
            .args(["--restore", "b/", "-t", topic])
            .inside(&folder);
        rights.refuses("writer", restore, &[topic]);
    }
    assert!(kafka.values(&there).is_empty());
}

#[test]
fn a_report_is_not_whole_without_the_rights_for_it() {
    let Some(rights) = rights() else { return };
    let (seen, hidden, group) = (&rights.seen, &rights.hidden, &rights.group);
    let klag = |args: &[&str]| cmd("klag").args(args);
    for user in ["alice", "reader"] {
        rights.refuses(user, klag(&["-g", group]), &[group]);
    }
    let lag = rights.as_user("member", klag(&["-g", group, "--time"]));
    lag.succeeds().stdout_has(seen).expect(
        |it| !it.text().contains(hidden.as_str()),
        "nothing of what it may not see",
    );
    for (user, topic) in [("alice", seen), ("grouper", seen), ("reader", hidden)] {
        rights.refuses(user, cmd("koldest").arg(topic), &[topic]);
    }
    // The disks are the cluster's.
    let disks = cmd("koldest").args(["--by", "broker"]);
    rights.refuses("reader", disks, &["luster"]);
    // What a partition holds is told, what its settings are is not, and the row says so.
    let row = rights.as_user("reader", cmd("koldest").args(["-J", seen]));
    row.stdout_has("settings not known")
        .stdout_has("bytes not known");
}
