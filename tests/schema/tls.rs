//! Registries that want a login, speak TLS or are behind a proxy.

use super::at;
use super::registry::{READ, SEVEN, long};
use crate::testkit::certificates::{Authority, Good};
use crate::testkit::cluster::{Cluster, Record, any};
use crate::testkit::command::cmd;
use crate::testkit::output::Output;
use crate::testkit::registry::Registry;
use crate::testkit::session;
use serde_json::json;
use std::path::Path;

#[test]
fn the_login_of_a_clients_file_is_used_and_never_shown() {
    let cluster = any();
    let registry = Registry::start();
    let topic = cluster.topic("registry", 1, &[]);
    cluster.produce(&topic, &[Record::of(SEVEN)]);
    registry.answer("/schemas/ids/1", 200, &long());
    let folder = session::folder("registry");
    let file = folder.join("client.properties");
    let text = format!(
        "bootstrap.servers={}\nschema.registry.url={}\nbasic.auth.credentials.source=USER_INFO\n\
         basic.auth.user.info=key:secret\nsession.timeout.ms=45000\nclient.dns.lookup=use_all_dns_ips\n\
         acks=all\nclient.id=ccloud-java-client-1\nsasl.mechanism=PLAIN\nsasl.jaas.config=\
         org.apache.kafka.common.security.plain.PlainLoginModule required username='u' password='hush';\n",
        cluster.bootstrap(),
        registry.url
    );
    std::fs::write(&file, text).unwrap();
    let file = file.display().to_string();
    let args = [&READ[..], &["-t", &topic, "-F", &file]].concat();
    cmd("kcat-lite")
        .args(&args)
        .run()
        .succeeds()
        .stdout_is("7\n");
    assert_eq!(
        registry.requests(),
        ["GET /schemas/ids/1 Basic a2V5OnNlY3JldA=="]
    );
    let dump = cmd("kcat-lite")
        .args(["-X", "dump", "-F", &file])
        .run()
        .succeeds();
    let dump = dump.stdout_has("schema.registry.url = http://127.0.0.1");
    assert!(
        !dump.text().contains("secret\n")
            && !dump.text().contains("key:")
            && !dump.text().contains("hush"),
        "{}",
        dump.text()
    );
    let token = folder.join("token");
    std::fs::write(&token, "abc\n").unwrap();
    let token = format!("bearer.auth.token=@{}", token.display());
    let args = [&READ[..], &["-t", &topic, "-X", &token]].concat();
    at(&*cluster, &registry.url, &args).run().succeeds();
    assert_eq!(registry.requests()[1], "GET /schemas/ids/1 Bearer abc");
    // The cluster's own login.
    let source = "basic.auth.credentials.source=SASL_INHERIT";
    let args = [&READ[..], &["-t", &topic, "-F", &file, "-X", source]].concat();
    cmd("kcat-lite").args(&args).run().succeeds();
    assert_eq!(registry.requests()[2], "GET /schemas/ids/1 Basic dTpodXNo");
}

/// Reads the topic with TLS properties of the registry.
fn consume(cluster: &dyn Cluster, topic: &str, url: &str, properties: &[(&str, &Path)]) -> Output {
    let args = [&READ[..], &["-t", topic]].concat();
    let properties = properties.iter().flat_map(|(name, path)| {
        let property = format!("schema.registry.ssl.{name}={}", path.display());
        ["-X".to_owned(), property]
    });
    at(cluster, url, &args).args(properties).run()
}

#[test]
fn a_registry_with_tls_is_trusted_and_shown_a_certificate_by_pem_files() {
    let cluster = any();
    let topic = cluster.topic("registry", 1, &[]);
    cluster.produce(&topic, &[Record::of(SEVEN)]);
    let folder = session::folder("registry-tls");
    let authority = Authority::new(&folder, "authority");
    let here = authority.sign("registry", "IP:127.0.0.1", Good::Now);
    let client = authority.sign("client", "DNS:client.example", Good::Now);
    let trusted = authority.trusted();
    let registry = Registry::start_tls(&here, Some(&trusted));
    registry.answer("/schemas/ids/1", 200, &long());
    let both = folder.join("both.pem");
    let read = |path| std::fs::read_to_string(path).unwrap();
    std::fs::write(&both, read(&client.certificate) + &read(&client.key)).unwrap();
    let locked = folder.join("locked.key");
    cmd("openssl")
        .args(["pkey", "-aes256", "-passout", "pass:changeit", "-in"])
        .arg(&client.key)
        .arg("-out")
        .arg(&locked)
        .run()
        .succeeds();
    let consume =
        |properties: &[(&str, &Path)]| consume(&*cluster, &topic, &registry.url, properties);
    let ca = ("ca.location", &*trusted);
    let pem = Path::new("PEM");
    let (certificate, key) = (&*client.certificate, &*client.key);
    for properties in [
        &[
            ca,
            ("certificate.location", certificate),
            ("key.location", key),
        ][..],
        &[
            ("truststore.location", &*trusted),
            ("truststore.type", pem),
            ("keystore.location", &both),
            ("keystore.type", pem),
        ],
        &[
            ca,
            ("certificate.location", certificate),
            ("key.location", &locked),
            ("key.password", Path::new("changeit")),
        ],
    ] {
        consume(properties).succeeds().stdout_is("7\n");
    }
    for (properties, said) in [
        (&[][..], "certificate verify failed"),
        (&[ca], "schema registry https://127.0.0.1"),
        (
            &[ca, ("certificate.location", certificate)],
            "ssl.key.location is missing",
        ),
        (
            &[ca, ("key.location", key)],
            "ssl.certificate.location is missing",
        ),
        (
            &[ca, ("certificate.location", key), ("key.location", key)],
            "schema.registry.ssl.",
        ),
        (
            &[
                ca,
                ("certificate.location", certificate),
                ("key.location", &locked),
            ],
            "the key of schema.registry.ssl.*",
        ),
        (
            &[("ca.location", key)],
            "schema.registry.ssl.ca.location: there is no certificate",
        ),
        (
            &[("ca.location", Path::new("/none"))],
            "/none: No such file",
        ),
        (
            &[("truststore.location", Path::new("/a.jks"))],
            "a PEM file is expected",
        ),
        (
            &[("truststore.type", Path::new("JKS"))],
            "PEM is expected, not `JKS`",
        ),
    ] {
        consume(properties)
            .fails_with(2)
            .stdout_is("")
            .stderr_has(said);
    }
}

#[test]
fn the_name_in_the_certificate_of_a_registry_is_checked_unless_that_is_switched_off() {
    let cluster = any();
    let topic = cluster.topic("registry", 1, &[]);
    cluster.produce(&topic, &[Record::of(SEVEN)]);
    let folder = session::folder("registry-tls");
    let authority = Authority::new(&folder, "authority");
    let trusted = authority.trusted();
    let ca = ("ca.location", &*trusted);
    let elsewhere = authority.sign("elsewhere", "DNS:elsewhere.example", Good::Now);
    let registry = Registry::start_tls(&elsewhere, None);
    registry.answer("/schemas/ids/1", 200, &long());
    consume(&*cluster, &topic, &registry.url, &[ca])
        .fails_with(2)
        .stderr_has("certificate verify failed");
    let any_host = ("endpoint.identification.algorithm", Path::new(""));
    consume(&*cluster, &topic, &registry.url, &[ca, any_host])
        .succeeds()
        .stdout_is("7\n");
}

#[test]
fn a_token_for_the_registry_comes_from_an_endpoint() {
    let cluster = any();
    let registry = Registry::start();
    let topic = cluster.topic("registry", 1, &[]);
    cluster.produce(&topic, &[Record::of(SEVEN)]);
    registry.answer("/schemas/ids/1", 200, &long());
    let token = json!({"access_token": "abc", "token_type": "Bearer", "expires_in": 300});
    registry.answer("/token", 200, &token);
    let endpoint = format!("bearer.auth.issuer.endpoint.url={}/token", registry.url);
    let properties = [
        "bearer.auth.credentials.source=OAUTHBEARER",
        "bearer.auth.client.id=me",
        "bearer.auth.client.secret=hush",
        "bearer.auth.scope=schemas",
        &endpoint,
    ];
    let read = || {
        let args = [&READ[..], &["-t", &topic]].concat();
        let properties = properties.iter().flat_map(|property| ["-X", property]);
        at(&*cluster, &registry.url, &args).args(properties).run()
    };
    read().succeeds().stdout_is("7\n");
    assert_eq!(
        registry.requests(),
        [
            "POST /token Basic bWU6aHVzaA==",
            "GET /schemas/ids/1 Bearer abc"
        ]
    );
    registry.answer("/token", 401, &json!({"error": "invalid_client"}));
    read()
        .fails_with(2)
        .stdout_is("")
        .stderr_has("/token: HTTP status 401 invalid_client");
}

#[test]
fn a_registry_behind_a_proxy_is_asked_through_it() {
    let cluster = any();
    let proxy = Registry::start();
    let topic = cluster.topic("registry", 1, &[]);
    cluster.produce(&topic, &[Record::of(SEVEN)]);
    let address = "http://registry.invalid:8081/schemas/ids/1";
    proxy.answer(address, 200, &long());
    let args = [&READ[..], &["-t", &topic]].concat();
    at(&*cluster, "http://registry.invalid:8081", &args)
        .env("HTTP_PROXY", &proxy.url)
        .run()
        .succeeds()
        .stdout_is("7\n");
    assert_eq!(proxy.requests(), [format!("GET {address}")]);
}
