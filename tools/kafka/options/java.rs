//! Java's client.properties, said in librdkafka's words.

use super::canonical;
use super::conf::is_of_registry;

/// What a property of a file means here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Properties of librdkafka.
    Is(Vec<(String, String)>),
    /// Something of Java's classes that has nothing to do with the cluster.
    Ignored,
    /// A store of certificates, which has to be read.
    TrustStore(String),
}

/// What a property of a file means to librdkafka, with the others of its file.
///
/// A setting that can't be honoured is an error that names it, but for those that only concern Java's own classes.
pub(super) fn translate(
    name: &str,
    value: &str,
    other: &dyn Fn(&str) -> Option<String>,
) -> Result<Meaning, String> {
    let one = |name: &str, value: &str| Ok(is(&[(name, value)]));
    let is_java = value.starts_with("org.apache.kafka.");
    match name {
        "sasl.jaas.config" => login(value, other).map(Meaning::Is),
        "sasl.mechanism" | "sasl.mechanisms" if value == "AWS_MSK_IAM" => Err(format!(
            "{name}: AWS_MSK_IAM is a login of Java's only; say sasl.mechanism=OAUTHBEARER and sasl.oauthbearer.config=command:COMMAND, where COMMAND prints a token of aws-msk-iam-sasl-signer"
        )),
        "ssl.endpoint.identification.algorithm" if value.is_empty() => one(name, "none"),
        "ssl.endpoint.identification.algorithm" => one(name, &value.to_ascii_lowercase()),
        "auto.offset.reset" if value == "none" => one(name, "error"),
        "ssl.truststore.location" => match store_type(value, other("ssl.truststore.type")) {
            Store::Pem => one("ssl.ca.location", value),
            Store::Pkcs12 => Ok(Meaning::TrustStore(value.to_owned())),
            Store::Jks => Err(refuse_jks(name, value)),
        },
        "ssl.keystore.location" => match store_type(value, other("ssl.keystore.type")) {
            Store::Pem => Ok(is(&[
                ("ssl.certificate.location", value),
                ("ssl.key.location", value),
            ])),
            Store::Pkcs12 => one(name, value),
            Store::Jks => Err(refuse_jks(name, value)),
        },
        "ssl.truststore.certificates" => one("ssl.ca.pem", value),
        "ssl.keystore.certificate.chain" => one("ssl.certificate.pem", value),
        "ssl.keystore.key" => one("ssl.key.pem", value),
        "sasl.login.callback.handler.class"
            if value.ends_with("OAuthBearerLoginCallbackHandler") =>
        {
            match other("sasl.oauthbearer.token.endpoint.url") {
                Some(_) => one("sasl.oauthbearer.method", "oidc"),
                None => Ok(Meaning::Ignored),
            }
        }
        "partition.assignment.strategy" if is_java => Ok(assignors(value)),
        "ssl.cipher.suites" if value.contains("_WITH_") => Ok(Meaning::Ignored),
        "client.dns.lookup" if value == "default" => Ok(Meaning::Ignored),
        "send.buffer.bytes" | "receive.buffer.bytes" if value == "-1" => Ok(Meaning::Ignored),
        _ => match EQUIVALENTS.iter().find(|(java, _)| *java == name) {
            Some((_, ours)) => one(ours, value),
            None if is_of_registry(canonical(name)) => one(name, value),
            None if concerns_only_java(name) => Ok(Meaning::Ignored),
            None => one(name, value),
        },
    }
}

fn is(rows: &[(&str, &str)]) -> Meaning {
    let rows = rows
        .iter()
        .map(|&(name, value)| (name.to_owned(), value.to_owned()));
    Meaning::Is(rows.collect())
}

/// Java's names of properties that librdkafka has under another.
const EQUIVALENTS: &[(&str, &str)] = &[
    ("broker.list", "bootstrap.servers"),
    ("fetch.max.wait.ms", "fetch.wait.max.ms"),
    ("max.request.size", "message.max.bytes"),
    ("receive.buffer.bytes", "socket.receive.buffer.bytes"),
    ("send.buffer.bytes", "socket.send.buffer.bytes"),
];

/// librdkafka's name for a property that Java calls otherwise.
pub(super) fn equivalent(name: &str) -> Option<&'static str> {
    let found = EQUIVALENTS.iter().find(|(java, _)| *java == name);
    found.map(|(_, ours)| *ours)
}

/// What a store of certificates is, by its type, or else by its name: Java's default is JKS, but most are PKCS12 by now.
enum Store {
    Pem,
    Pkcs12,
    Jks,
}

fn store_type(path: &str, said: Option<String>) -> Store {
    let said = said.unwrap_or_default().to_ascii_uppercase();
    let path = path.to_ascii_lowercase();
    let ends = |ends: &[&str]| ends.iter().any(|end| path.ends_with(end));
    match said.as_str() {
        "PEM" => Store::Pem,
        "PKCS12" => Store::Pkcs12,
        "JKS" => Store::Jks,
        _ if ends(&[".p12", ".pfx", ".pkcs12"]) => Store::Pkcs12,
        _ if ends(&[".jks", ".keystore", ".truststore"]) => Store::Jks,
        _ => Store::Pem,
    }
}

/// The refusal of a store in Java's own format, with the command that makes another of it.
pub(super) fn refuse_jks(name: &str, path: &str) -> String {
    let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
    let kind = name.replace("location", "type");
    format!(
        "{name}: {path} is in Java's own format (JKS); make a PKCS12 store of it, and say {name}={stem}.p12 and {kind}=PKCS12: keytool -importkeystore -srckeystore {path} -destkeystore {stem}.p12 -deststoretype PKCS12"
    )
}

/// Java's names of assignors; one that librdkafka does not have is left to its default.
fn assignors(value: &str) -> Meaning {
    let name = |class: &str| match class.trim().rsplit('.').next() {
        Some("RangeAssignor") => Some("range"),
        Some("RoundRobinAssignor") => Some("roundrobin"),
        Some("CooperativeStickyAssignor") => Some("cooperative-sticky"),
        _ => None,
    };
    let mut names: Vec<&str> = value.split(',').filter_map(name).collect();
    // librdkafka does not mix the two protocols; Java lists both while a group moves from one to the other.
    if names.len() > 1 {
        names.retain(|name| *name != "cooperative-sticky");
    }
    if names.is_empty() {
        return Meaning::Ignored;
    }
    is(&[("partition.assignment.strategy", &names.join(","))])
}

/// Settings of Java's client classes, of serializers, registries and tools, that have nothing to do with the cluster.
pub(super) fn concerns_only_java(name: &str) -> bool {
    const PREFIXES: &[&str] = &[
        "key.",
        "value.",
        "metric.",
        "metrics.",
        "auto.include.jmx",
        "schema.registry.",
        "basic.auth.",
        "bearer.auth.",
        "confluent.",
        "json.",
        "avro.",
        "specific.",
        "partitioner.",
        "share.",
        "config.providers",
        "sasl.login.",
        "sasl.kerberos.ticket.",
        "sasl.oauthbearer.jwks.",
        "sasl.oauthbearer.expected.",
        "sasl.oauthbearer.header.",
        "sasl.oauthbearer.clock.",
        "azure.",
        "aws.",
    ];
    const NAMES: &[&str] = &[
        "auto.register.schemas",
        "bootstrap.controllers",
        "buffer.memory",
        "compression.gzip.level",
        "compression.lz4.level",
        "compression.zstd.level",
        "default.api.timeout.ms",
        "default.list.key.serde.inner",
        "enable.metrics.push.java",
        "exclude.internal.topics",
        "interceptor.classes",
        "internal.leave.group.on.close",
        "latest.compatibility.strict",
        "max.block.ms",
        "max.poll.records",
        "metadata.max.idle.ms",
        "metadata.recovery.rebootstrap.trigger.ms",
        "receive.message.max.bytes.java",
        "sasl.client.callback.handler.class",
        "security.providers",
        "socket.connection.setup.timeout.max.ms",
        "ssl.enabled.protocols",
        "ssl.engine.factory.class",
        "ssl.keymanager.algorithm",
        "ssl.keystore.type",
        "ssl.protocol",
        "ssl.provider",
        "ssl.secure.random.implementation",
        "ssl.trustmanager.algorithm",
        "ssl.truststore.password",
        "ssl.truststore.type",
        "throw.on.fetch.stable.offset.unsupported",
        "transaction.two.phase.commit.enable",
        "use.latest.version",
    ];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// `sasl.jaas.config`: the login module says where its options go (Kafka documentation, "JAAS").
fn login(
    jaas: &str,
    other: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<(String, String)>, String> {
    let jaas = jaas.trim_start();
    let module = jaas.split_whitespace().next().unwrap_or_default();
    let class = module
        .trim_end_matches(';')
        .rsplit('.')
        .next()
        .unwrap_or_default();
    let names: &[(&str, &str)] = match class {
        "PlainLoginModule" | "ScramLoginModule" => {
            &[("username", "sasl.username"), ("password", "sasl.password")]
        }
        "OAuthBearerLoginModule" => &[
            ("clientId", "sasl.oauthbearer.client.id"),
            ("clientSecret", "sasl.oauthbearer.client.secret"),
            ("scope", "sasl.oauthbearer.scope"),
        ],
        "Krb5LoginModule" => &[
            ("principal", "sasl.kerberos.principal"),
            ("keyTab", "sasl.kerberos.keytab"),
        ],
        "IAMLoginModule" => return Ok(Vec::new()),
        _ => return Err(format!("sasl.jaas.config: unknown login module `{module}`")),
    };
    let options = login_options(&jaas[module.len()..]);
    let value = |java: &str| {
        let found = options.iter().find(|(name, _)| name == java);
        found.map(|(_, value)| value.clone())
    };
    let mut rows: Vec<(String, String)> = names
        .iter()
        .filter_map(|&(java, ours)| value(java).map(|value| (ours.to_owned(), value)))
        .collect();
    if class == "OAuthBearerLoginModule" {
        let extensions = options.iter().filter_map(|(name, value)| {
            let name = name.strip_prefix("extension_")?;
            Some(format!("{name}={value}"))
        });
        let extensions: Vec<String> = extensions.collect();
        if !extensions.is_empty() {
            rows.push((
                "sasl.oauthbearer.extensions".to_owned(),
                extensions.join(","),
            ));
        }
        if other("sasl.oauthbearer.token.endpoint.url").is_some() {
            rows.push(("sasl.oauthbearer.method".to_owned(), "oidc".to_owned()));
        }
    }
    Ok(rows)
}

/// `name="value" name=value ... ;` with backslash escapes inside the quotes.
fn login_options(text: &str) -> Vec<(String, String)> {
    let mut options = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        let name: String = std::iter::from_fn(|| chars.next_if(|&c| c != '=')).collect();
        if chars.next().is_none() {
            return options;
        }
        let quote = chars.next_if(|&c| c == '"' || c == '\'');
        let mut value = String::new();
        while let Some(c) = chars.next() {
            match (c, quote) {
                ('\\', Some(_)) => value.extend(chars.next()),
                (c, Some(quote)) if c == quote => break,
                (c, None) if c.is_whitespace() || c == ';' => break,
                _ => value.push(c),
            }
        }
        // `required` and its like stand before the first name.
        let name = name.split_whitespace().next_back().unwrap_or_default();
        options.push((name.to_owned(), value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(name: &str, value: &str) -> Meaning {
        translate(name, value, &|_| None).expect("a translation")
    }

    #[test]
    fn a_login_module_gives_user_name_and_password() {
        let jaas = r#"org.apache.kafka.common.security.plain.PlainLoginModule required username="al ice" password="a\"b=c;";"#;
        let expected = is(&[("sasl.username", "al ice"), ("sasl.password", "a\"b=c;")]);
        assert_eq!(says("sasl.jaas.config", jaas), expected);
    }

    #[test]
    fn a_login_by_tokens_gives_the_client_its_scope_and_its_extensions() {
        let jaas = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required clientId='me' clientSecret='s' scope='a b' extension_logicalCluster='lkc-1' extension_identityPoolId='pool-2';";
        let url = |name: &str| (name == "sasl.oauthbearer.token.endpoint.url").then(String::new);
        let expected = is(&[
            ("sasl.oauthbearer.client.id", "me"),
            ("sasl.oauthbearer.client.secret", "s"),
            ("sasl.oauthbearer.scope", "a b"),
            (
                "sasl.oauthbearer.extensions",
                "logicalCluster=lkc-1,identityPoolId=pool-2",
            ),
            ("sasl.oauthbearer.method", "oidc"),
        ]);
        assert_eq!(translate("sasl.jaas.config", jaas, &url), Ok(expected));
    }

    #[test]
    fn what_java_calls_otherwise_is_translated_and_what_is_only_javas_is_left_out() {
        assert_eq!(
            says("fetch.max.wait.ms", "5"),
            is(&[("fetch.wait.max.ms", "5")])
        );
        for name in [
            "key.serializer",
            "default.api.timeout.ms",
            "exclude.internal.topics",
            "specific.avro.reader",
            "ssl.truststore.type",
        ] {
            assert_eq!(says(name, "x"), Meaning::Ignored, "{name}");
        }
        let assignor = "org.apache.kafka.clients.consumer.RangeAssignor, org.apache.kafka.clients.consumer.CooperativeStickyAssignor";
        assert_eq!(
            says("partition.assignment.strategy", assignor),
            is(&[("partition.assignment.strategy", "range")])
        );
        assert_eq!(says("no.such", "x"), is(&[("no.such", "x")]));
        let of_registry = Meaning::Is(vec![("basic.auth.user.info".to_owned(), "a:b".to_owned())]);
        let expected = if cfg!(feature = "schema-registry") {
            of_registry
        } else {
            Meaning::Ignored
        };
        assert_eq!(says("basic.auth.user.info", "a:b"), expected);
    }

    #[test]
    fn a_store_is_read_by_its_type_and_javas_own_is_refused_with_the_command_that_converts_it() {
        let pem = |_: &str| Some("PEM".to_owned());
        assert_eq!(
            translate("ssl.truststore.location", "/a/b.jks", &pem),
            Ok(is(&[("ssl.ca.location", "/a/b.jks")]))
        );
        assert_eq!(
            translate("ssl.keystore.location", "/a/b", &pem),
            Ok(is(&[
                ("ssl.certificate.location", "/a/b"),
                ("ssl.key.location", "/a/b")
            ]))
        );
        assert_eq!(
            says("ssl.truststore.location", "/a/b.p12"),
            Meaning::TrustStore("/a/b.p12".to_owned())
        );
        for name in ["ssl.truststore.location", "ssl.keystore.location"] {
            let error = translate(name, "/a/b.jks", &|_| None).expect_err("JKS");
            assert!(
                error.contains(
                    "keytool -importkeystore -srckeystore /a/b.jks -destkeystore /a/b.p12"
                ),
                "{error}"
            );
        }
        assert!(translate("sasl.mechanism", "AWS_MSK_IAM", &|_| None).is_err());
        assert!(translate("sasl.jaas.config", "x.Other required;", &|_| None).is_err());
    }
}
