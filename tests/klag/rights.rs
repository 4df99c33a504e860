//! What a user may not see is said, and no check is green without it. The ACLs are those of the manual.

use super::{commit, numbers, rows};
use crate::testkit::broker::{Kafka, Spec};
use crate::testkit::cluster::{Cluster as _, PATIENCE, Record};
use crate::testkit::command::{Cmd, cmd};
use crate::testkit::java;
use crate::testkit::session;

const USERS: [&str; 7] = [
    "nobody",
    "grouper",
    "reader",
    "team",
    "everything",
    "lister",
    "ages",
];

fn guarded() -> Option<Kafka> {
    let login = "org.apache.kafka.common.security.plain.PlainLoginModule required";
    let users = USERS.map(|user| format!(" user_{user}=\"secret\""));
    let login = format!("{login}{};", users.concat());
    Spec::new()
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
    let tool = java::tool("org.apache.kafka.tools.AclCommand").unwrap();
    let principal = format!("User:{user}");
    tool.args(["--bootstrap-server", &kafka.bootstrap(), "--add"])
        .args(["--allow-principal", &principal])
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
    let kafka = guarded()?;
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
    let metrics = as_user(kafka, "nobody", "klag", &["-o", "prometheus"]).run();
    metrics.stdout_has("klag_scrape_success{part=\"groups\"} 0\n");

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
}

#[test]
fn a_member_s_topics_that_may_not_be_described_are_not_gone() {
    let Some(kafka) = guarded() else { return };
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
