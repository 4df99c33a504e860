//! The properties of a schema registry, which never reach librdkafka. Their names are those of Java's clients.

const NAMES: &[&str] = &[
    "auto.register.schemas",
    "key.subject.name.strategy",
    "schema.registry.basic.auth.credentials.source",
    "schema.registry.basic.auth.user.info",
    "schema.registry.bearer.auth.client.id",
    "schema.registry.bearer.auth.client.secret",
    "schema.registry.bearer.auth.credentials.source",
    "schema.registry.bearer.auth.identity.pool.id",
    "schema.registry.bearer.auth.issuer.endpoint.url",
    "schema.registry.bearer.auth.logical.cluster",
    "schema.registry.bearer.auth.scope",
    "schema.registry.bearer.auth.token",
    "schema.registry.ssl.ca.location",
    "schema.registry.ssl.certificate.location",
    "schema.registry.ssl.endpoint.identification.algorithm",
    "schema.registry.ssl.key.location",
    "schema.registry.ssl.key.password",
    "schema.registry.ssl.keystore.certificate.chain",
    "schema.registry.ssl.keystore.key",
    "schema.registry.ssl.keystore.location",
    "schema.registry.ssl.keystore.type",
    "schema.registry.ssl.truststore.certificates",
    "schema.registry.ssl.truststore.location",
    "schema.registry.ssl.truststore.type",
    "schema.registry.url",
    "value.subject.name.strategy",
];

/// The name with its prefix, if it is one that may stand without: those of logins, as in the client files of clouds.
pub(super) fn canonical(name: &str) -> Option<&'static str> {
    let is_login = name.starts_with("basic.auth.") || name.starts_with("bearer.auth.");
    let mut names = NAMES.iter().copied();
    names.find(|whole| is_login && whole.strip_prefix("schema.registry.") == Some(name))
}

/// Whether this is a property of a schema registry.
pub(super) fn is_known(name: &str) -> bool {
    NAMES.contains(&name)
}

/// Whether the value makes sense; what it names is looked at when it is needed.
pub(super) fn check(name: &str, value: &str) -> Result<(), String> {
    let expected = match name {
        "auto.register.schemas" if !matches!(value, "true" | "false") => "true or false",
        "key.subject.name.strategy" | "value.subject.name.strategy"
            if !STRATEGIES.contains(&value.rsplit('.').next().unwrap_or_default()) =>
        {
            "TopicNameStrategy, RecordNameStrategy or TopicRecordNameStrategy"
        }
        "schema.registry.ssl.keystore.type" | "schema.registry.ssl.truststore.type"
            if !value.eq_ignore_ascii_case("PEM") =>
        {
            "PEM"
        }
        _ => return Ok(()),
    };
    Err(format!("{name}: {expected} is expected, not `{value}`"))
}

const STRATEGIES: &[&str] = &[
    "TopicNameStrategy",
    "RecordNameStrategy",
    "TopicRecordNameStrategy",
];
