//! What a user may not see is said, and no check is green without it. The ACLs are those of the manual.

use super::{commit, numbers, rows};
use crate::testkit::broker::{Kafka, Spec};
use crate::testkit::cluster::{Cluster as _, PATIENCE, Record};
use crate::testkit::command::{Cmd, cmd};
use crate::testkit::java;
use crate::testkit::session;
use std::time::Instant;

const USERS: [&str; 8] = [
    "nobody",
    "describer",
    "grouper",
    "reader",
    "team",
    "everything",
    "lister",
    "ages",
];

fn guarded(brokers: u16) -> Option<Kafka> {
    let login = "org.apache.kafka.common.security.plain.PlainLoginModule required";
    let users = USERS.map(|user| format!(" user_{user}=\"secret\""));
    let login = format!("{login}{};", users.concat());
    Spec::new()
        .brokers(brokers)
        .listener("SASL_PLAINTEXT")
        .setting("sasl.enabled.mechanisms", "PLAIN")
        .setting(
            "listener.name.sasl_plaintext.plain.sasl.jaas.config",
            &login,
        )
        .setting(
            "authorizer.class.name",
            "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        )
        .setting("super.users", "User:ANONYMOUS")
        .start()
}

fn grant(kafka: &Kafka, user: &str, words: &[&str]) {
    add_rule(kafka, "--allow-principal", user, words);
}

fn add_rule(kafka: &Kafka, kind: &str, user: &str, words: &[&str]) {
    let tool = java::tool("org.apache.kafka.tools.AclCommand").unwrap();
    let principal = format!("User:{user}");
    tool.args(["--bootstrap-server", &kafka.bootstrap(), "--add"])
        .args([kind, &principal])
        .args(words)
        .limit(PATIENCE * 2)
        .run()
        .succeeds();
}

fn as_user(kafka: &Kafka, user: &str, program: &str, args: &[&str]) -> Cmd {
    let name = format!("sasl.username={user}");
    let properties = [
        "security.protocol=SASL_PLAINTEXT",
        "sasl.mechanisms=PLAIN",
        "sasl.password=secret",
        &name,
    ];
    let command = cmd(program).args(["-b", &kafka.bootstrap_of("SASL_PLAINTEXT"), "-m", "20"]);
    let command = properties
        .iter()
        .fold(command, |c, property| c.args(["-X", property]));
    command.args(args)
}

/// A group that reads two topics, and users who may see more and more of it.
struct World {
    kafka: Kafka,
    team: String,
    shop: String,
    orders: String,
    secret: String,
}

fn world() -> Option<World> {
    let kafka = guarded(1)?;
    let team = session::unique("team");
    let (shop, orders) = (format!("{team}-shop"), format!("{team}-orders"));
    let secret = session::unique("secret");
    for topic in [&orders, &secret] {
        kafka.create_topic(topic, 1, &[]);
        kafka.produce(topic, &[Record::of("x"), Record::of("y")]);
        commit(&kafka, &shop, topic, &[(0, 1)]);
    }
    let on_topic = &["--operation", "Describe", "--operation", "Read", "--topic"][..];
    let on_group = &["--operation", "Describe", "--group"][..];
    let prefixed = &["--resource-pattern-type", "prefixed"][..];
    grant(&kafka, "grouper", &[on_group, &[&shop]].concat());
    grant(&kafka, "describer", &[on_group, &[&shop]].concat());
    let describe = ["--operation", "Describe", "--topic", &orders];
    grant(&kafka, "describer", &describe);
    for (user, group, topic) in [
        ("reader", shop.as_str(), orders.as_str()),
        ("everything", "*", "*"),
    ] {
        grant(&kafka, user, &[on_group, &[group]].concat());
        grant(&kafka, user, &[on_topic, &[topic]].concat());
    }
    grant(&kafka, "team", &[on_group, &[&team], prefixed].concat());
    grant(&kafka, "team", &[on_topic, &[&team], prefixed].concat());
    for user in ["everything", "lister"] {
        grant(&kafka, user, &["--operation", "Describe", "--cluster"]);
    }
    Some(World {
        kafka,
        team,
        shop,
        orders,
        secret,
    })
}

#[test]
fn groups_whose_coordinator_is_gone_are_missed_by_who_may_not_describe_the_offsets_topic() {
    let Some(kafka) = guarded(3) else { return };
    let team = session::unique("team");
    let orders = format!("{team}-orders");
    kafka.create_topic(&orders, 1, &[]);
    for n in 0..12 {
        commit(&kafka, &format!("{team}-{n}"), &orders, &[(0, 0)]);
    }
    for kind in ["--group", "--topic"] {
        let operations = ["--operation", "Describe", "--operation", "Read"];
        let names = [kind, &team, "--resource-pattern-type", "prefixed"];
        grant(&kafka, "team", &[operations, names].concat());
    }
    let pattern = format!("^{team}");
    let check = || {
        let args = ["-g", &pattern, "-t", &orders, "--max-lag", "100"];
        as_user(&kafka, "team", "klag", &args).run()
    };
    check().succeeds().stderr_is("");
    kafka.kill(2);
    // Regression: what the others listed was all there was.
    let deadline = Instant::now() + PATIENCE;
    let said = "groups whose coordinator is gone are not listed";
    loop {
        let output = check();
        if output.story().contains(said) {
            output.fails_with(2);
            return;
        }
        assert!(Instant::now() < deadline, "{}", output.story());
    }
}

#[test]
fn no_check_is_green_for_who_may_not_see_and_the_manual_s_acls_are_enough() {
    let Some(world) = world() else { return };
    let (kafka, team, shop) = (&world.kafka, &world.team, &world.shop);
    let (orders, secret) = (&world.orders, &world.secret);
    let check = |user: &str, args: &[&str]| {
        as_user(kafka, user, "klag", args)
            .args(["--max-lag", "1", "--time"])
            .run()
    };
    let pattern = format!("^{team}-");

    // Without any right nothing is listed, and nothing of that is well.
    check("nobody", &[])
        .fails_with(2)
        .stderr_has("not authorised to describe all groups");
    check("nobody", &["-g", &pattern]).fails_with(2);
    check("nobody", &["-g", shop])
        .fails_with(2)
        .stderr_has(shop);
    // The group alone: its topics are hidden, not gone and not absent.
    let hidden = check("grouper", &["-g", shop]).fails_with(2);
    hidden.stderr_has("not authorised to describe all topics");
    let hidden = check("grouper", &["-g", shop, "-t", orders]).fails_with(2);
    hidden.stderr_has(format!("topic {orders}: not authorised to describe it"));
    // Groups that may be listed and not looked at.
    check("lister", &[]).fails_with(2).stderr_has("uthoriz");
    // Regression: koldest's metrics for a file had a success.
    for (program, metric) in [
        ("klag", "klag_scrape_success{part=\"groups\"} 0\n"),
        ("koldest", "koldest_scrape_success 0\n"),
    ] {
        let metrics = as_user(kafka, "nobody", program, &["-o", "prometheus"]).run();
        // Regression: what was refused was a success.
        metrics.fails_with(2).stdout_has(metric).expect(
            |output| !output.text().contains("log_dirs"),
            "nothing of the log dirs",
        );
    }

    // What the manual says is enough, for exactly that.
    check("reader", &["-g", shop, "-t", orders])
        .succeeds()
        .stdout_is("")
        .stderr_is("");
    check("reader", &["-g", shop])
        .fails_with(2)
        .stderr_has("all topics");
    // What is left out is known by the commits.
    let active = ["-g", shop, "-t", orders, "--active", "1d"];
    check("reader", &active)
        .fails_with(2)
        .stderr_has("--active can't read the times of commits in __consumer_offsets");
    grant(
        kafka,
        "reader",
        &["--operation", "Read", "--topic", "__consumer_offsets"],
    );
    check("reader", &active).succeeds().stderr_is("");
    check("reader", &["-t", orders])
        .fails_with(2)
        .stderr_has("all groups");
    check("reader", &["-g", shop, "-t", secret])
        .fails_with(2)
        .stderr_has(secret);
    check("team", &["-g", &pattern, "-t", &pattern])
        .succeeds()
        .stderr_is("");
    check("team", &["-g", &pattern])
        .fails_with(2)
        .stderr_has("all topics");
    check("everything", &["-g", &pattern])
        .succeeds()
        .stderr_is("");
    let over = as_user(
        kafka,
        "everything",
        "klag",
        &["-g", shop, "--max-lag", "0", "-J"],
    );
    let over = over.run().fails_with(1).stderr_is("");
    let over = rows(over.text());
    assert_eq!(over.len(), 2, "{over:?}");
    assert_eq!(numbers(&over[0]), [Some(1), Some(0), Some(0)]);
    check_ages(&world);
    check_who_may_not_read(&world);
}

/// Without READ nobody knows since when a message waits, nor what follows the first one of a log.
fn check_who_may_not_read(world: &World) {
    let (kafka, shop, orders) = (&world.kafka, &world.shop, &world.orders);
    let klag = |args: &[&str]| {
        as_user(kafka, "describer", "klag", &["-g", shop, "-t", orders])
            .args(args)
            .run()
    };
    let said = "not authorised to read it";
    klag(&["--max-lag", "1"]).succeeds().stdout_is("");
    klag(&["--max-time", "1h"]).fails_with(2).stderr_has(said);
    let pass = ["--max-time", "1h", "--unknown", "pass"];
    klag(&pass).fails_with(2).stderr_has(said);
    let report = klag(&["--time", "-J"]).fails_with(2);
    let row = &rows(report.text())[0];
    assert_eq!(numbers(row), [Some(1), Some(0), Some(0)]);
    assert!(row["time_lag"].is_null(), "{row}");
    let metrics = klag(&["-o", "prometheus", "--time"]).fails_with(2);
    metrics
        .stdout_has("klag_scrape_success{part=\"times\"} 0\n")
        .expect(
            |output| !output.text().contains("lag_seconds{"),
            "no time lag",
        );
    let koldest = |args: &[&str]| {
        as_user(kafka, "describer", "koldest", &[orders])
            .args(args)
            .run()
    };
    koldest(&[]).succeeds();
    koldest(&["--max-age", "1h"]).fails_with(2).stderr_has(
        "whether older messages follow the first is unknown: not authorised to read it",
    );
    koldest(&["--need", "7d"])
        .fails_with(2)
        .stderr_has("settings not known");
    koldest(&["--what-if", "rate=x2"])
        .fails_with(2)
        .stderr_has("settings not known");
    // The broker still tells the time of a message that was deleted.
    let cut = session::unique("cut");
    kafka.create_topic(&cut, 1, &[]);
    let at = |ms: i64| Record {
        timestamp_ms: Some(super::now_ms() + ms),
        ..Record::of("x")
    };
    let hour_ms = 3_600_000;
    kafka.produce(&cut, &[at(0), at(-3 * hour_ms), at(-2 * hour_ms)]);
    kafka.delete_before(&cut, 1);
    let describe = ["--operation", "Describe", "--topic", &cut];
    grant(kafka, "describer", &describe);
    let stale = |user| as_user(kafka, user, "koldest", &["--max-stale", "1h", &cut]).run();
    stale("describer").fails_with(2).stderr_has(said);
    stale("everything")
        .fails_with(1)
        .stdout_has("no message for more than 1h");
}

/// The same for koldest.
fn check_ages(world: &World) {
    let (kafka, orders) = (&world.kafka, &world.orders);
    let pattern = format!("^{}-", world.team);
    let age = |user: &str, args: &[&str]| {
        as_user(kafka, user, "koldest", args)
            .args(["--max-age", "1h"])
            .run()
    };
    age("nobody", &[])
        .fails_with(2)
        .stderr_has("not authorised to describe all topics");
    age("nobody", &[orders])
        .fails_with(2)
        .stderr_has("not authorised to describe it");
    age("reader", &[orders]).succeeds().stdout_is("");
    age("reader", &[]).fails_with(2).stderr_has("all topics");
    age("team", &[&pattern])
        .succeeds()
        .stdout_is("")
        .stderr_is("");
    age("everything", &[])
        .succeeds()
        .stdout_is("")
        .stderr_is("");
    // What koldest(1) lists is enough for all that koldest tells.
    let words = "--operation Describe --operation Read --operation DescribeConfigs --topic";
    let words: Vec<&str> = words.split(' ').collect();
    grant(kafka, "ages", &[&words[..], &[orders]].concat());
    let words = "--operation Describe --operation DescribeConfigs --cluster";
    grant(kafka, "ages", &words.split(' ').collect::<Vec<_>>());
    let told = as_user(kafka, "ages", "koldest", &["-J", orders]).run();
    let told = rows(told.succeeds().stderr_is("").text());
    let known = ["age", "bytes", "rate_bytes", "retention_ms", "keeps_min"];
    assert!(
        known.iter().all(|name| !told[0][name].is_null()),
        "{told:?}"
    );
    let need = ["--need", "7d", orders];
    as_user(kafka, "ages", "koldest", &need).run().succeeds();
    // A rule that denies one topic of all; its disk tells of it to who may describe the cluster.
    let deny = ["--operation", "Describe", "--topic", &world.secret];
    add_rule(kafka, "--deny-principal", "everything", &deny);
    let said = format!("{}: not authorised to describe it", world.secret);
    age("everything", &[]).fails_with(2).stderr_has(said);
    age("everything", &["--exclude", &world.secret]).succeeds();
    check_denied(world);
}

/// A group without members whose topic one rule denies among all: no offset tells of it.
fn check_denied(world: &World) {
    let (kafka, secret) = (&world.kafka, &world.secret);
    let klag = |args: &[&str]| as_user(kafka, "everything", "klag", args).run();
    let said = format!("topic {secret}: not authorised to describe it: groups may read it");
    let check = ["--max-lag", "100"];
    klag(&check).fails_with(2).stderr_has(&said);
    klag(&[&check[..], &["-g", &world.shop]].concat())
        .fails_with(2)
        .stderr_has(&said);
    klag(&[]).succeeds().stderr_has(&said);
    klag(&["-o", "prometheus"])
        .fails_with(2)
        .stdout_has("klag_scrape_success{part=\"cluster\"} 0\n");
    for topics in [["--exclude-topic", secret], ["-t", &world.orders]] {
        klag(&[&check[..], &topics].concat())
            .succeeds()
            .stderr_is("");
    }
}

#[test]
fn a_member_s_topics_that_may_not_be_described_are_not_gone() {
    let Some(kafka) = guarded(1) else { return };
    for protocol in ["classic", "consumer"] {
        let topic = kafka.topic_of("hidden", &["x"]);
        let member = super::Member::join(&kafka, &topic, &topic, protocol);
        member.commit(&topic, &[(0, 0)]);
        grant(
            &kafka,
            "grouper",
            &["--operation", "Describe", "--group", &topic],
        );
        let output = as_user(&kafka, "grouper", "klag", &["-J", "-g", &topic])
            .run()
            .fails_with(2);
        let story = output.story();
        assert!(!story.contains("no such partition"), "{story}");
        assert!(story.contains("uthoriz"), "{story}");
        drop(member);
    }
}
