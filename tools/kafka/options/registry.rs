//! The properties of a schema registry, which never reach librdkafka. Their names are those of Java's clients.

/// Names that may also stand without `schema.registry.`, as in the client files of clouds.
const BARE: &[(&str, &str)] = &[
    (
        "basic.auth.credentials.source",
        "schema.registry.basic.auth.credentials.source",
    ),
    (
        "basic.auth.user.info",
        "schema.registry.basic.auth.user.info",
    ),
    (
        "bearer.auth.credentials.source",
        "schema.registry.bearer.auth.credentials.source",
    ),
    ("bearer.auth.token", "schema.registry.bearer.auth.token"),
    (
        "bearer.auth.issuer.endpoint.url",
        "schema.registry.bearer.auth.issuer.endpoint.url",
    ),
    (
        "bearer.auth.client.id",
        "schema.registry.bearer.auth.client.id",
    ),
    (
        "bearer.auth.client.secret",
        "schema.registry.bearer.auth.client.secret",
    ),
    ("bearer.auth.scope", "schema.registry.bearer.auth.scope"),
    (
        "bearer.auth.logical.cluster",
        "schema.registry.bearer.auth.logical.cluster",
    ),
    (
        "bearer.auth.identity.pool.id",
        "schema.registry.bearer.auth.identity.pool.id",
    ),
];

/// The others.
const NAMES: &[&str] = &[
    "auto.register.schemas",
    "key.subject.name.strategy",
    "schema.registry.ssl.ca.location",
    "schema.registry.ssl.certificate.location",
    "schema.registry.ssl.endpoint.identification.algorithm",
    "schema.registry.ssl.key.location",
    "schema.registry.ssl.key.password",
    "schema.registry.ssl.keystore.certificate.chain",
    "schema.registry.ssl.keystore.key",
    "schema.registry.ssl.keystore.location",
    "schema.registry.ssl.truststore.certificates",
    "schema.registry.ssl.truststore.location",
    "schema.registry.url",
    "value.subject.name.strategy",
];

/// The name with its prefix, if it is one that may stand without.
pub(super) fn canonical(name: &str) -> Option<&'static str> {
    let found = BARE.iter().find(|(bare, _)| *bare == name);
    found.map(|(_, whole)| *whole)
}

/// Whether this is a property of a schema registry.
pub(super) fn is_known(name: &str) -> bool {
    NAMES.contains(&name) || BARE.iter().any(|(_, whole)| *whole == name)
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
        _ => return Ok(()),
    };
    Err(format!("{name}: {expected} is expected, not `{value}`"))
}

const STRATEGIES: &[&str] = &[
    "TopicNameStrategy",
    "RecordNameStrategy",
    "TopicRecordNameStrategy",
];
