//! Java's client.properties, said in librdkafka's words.

/// What a property of a file means to librdkafka: none, one or several properties.
///
/// A setting that librdkafka can't honour is an error that names it, but for
/// those that only concern Java's own classes (serializers, metrics).
pub(super) fn translate(name: String, value: String) -> Result<Vec<(String, String)>, String> {
    let one = |name: &str, value: String| Ok(vec![(name.to_owned(), value)]);
    match name.as_str() {
        "sasl.jaas.config" => login(&value),
        "sasl.mechanism" => one("sasl.mechanisms", value),
        "ssl.endpoint.identification.algorithm" if value.is_empty() => {
            one(&name, "none".to_owned())
        }
        "ssl.truststore.location" => match keep_pem(&name, &value) {
            Ok(()) => one("ssl.ca.location", value),
            Err(reason) => Err(reason),
        },
        "ssl.truststore.certificates" => one("ssl.ca.pem", value),
        "ssl.keystore.certificate.chain" => one("ssl.certificate.pem", value),
        "ssl.keystore.key" => one("ssl.key.pem", value),
        "ssl.truststore.type" if matches!(value.as_str(), "PEM" | "PKCS12") => Ok(Vec::new()),
        "ssl.keystore.type" if value == "PKCS12" => Ok(Vec::new()),
        _ if concerns_only_java(&name) => Ok(Vec::new()),
        _ => Ok(vec![(name, value)]),
    }
}

fn keep_pem(name: &str, path: &str) -> Result<(), String> {
    let binary = [".jks", ".p12", ".pfx"]
        .iter()
        .any(|end| path.ends_with(end));
    if binary {
        return Err(format!(
            "{name}: librdkafka reads certificate authorities as PEM only; convert {path} and set ssl.ca.location"
        ));
    }
    Ok(())
}

/// Settings of Java's client classes that have nothing to do with the cluster.
fn concerns_only_java(name: &str) -> bool {
    const PREFIXES: &[&str] = &["key.", "value.", "metric.", "metrics.", "auto.include.jmx"];
    const NAMES: &[&str] = &[
        "interceptor.classes",
        "partitioner.class",
        "buffer.memory",
        "max.block.ms",
        "max.poll.records",
        "client.dns.lookup.legacy",
        "ssl.truststore.password",
        "ssl.protocol",
        "ssl.enabled.protocols",
        "ssl.trustmanager.algorithm",
        "ssl.keymanager.algorithm",
        "ssl.secure.random.implementation",
        "security.providers",
    ];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// `sasl.jaas.config`: the login module says where its options go (Kafka documentation, "JAAS").
fn login(jaas: &str) -> Result<Vec<(String, String)>, String> {
    let module = jaas.split_whitespace().next().unwrap_or_default();
    let class = module.rsplit('.').next().unwrap_or_default();
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
        _ => return Err(format!("sasl.jaas.config: unknown login module `{module}`")),
    };
    let options = login_options(&jaas[module.len().min(jaas.len())..]);
    Ok(names
        .iter()
        .filter_map(|&(java, ours)| {
            let found = options.iter().find(|(name, _)| name == java);
            found.map(|(_, value)| (ours.to_owned(), value.clone()))
        })
        .collect())
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
    use super::translate;

    fn says(name: &str, value: &str) -> Vec<(String, String)> {
        translate(name.to_owned(), value.to_owned()).expect("a translation")
    }

    #[test]
    fn a_login_module_gives_user_name_and_password() {
        let jaas = r#"org.apache.kafka.common.security.plain.PlainLoginModule required username="al ice" password="a\"b=c;";"#;
        assert_eq!(
            says("sasl.jaas.config", jaas),
            [
                ("sasl.username".to_owned(), "al ice".to_owned()),
                ("sasl.password".to_owned(), "a\"b=c;".to_owned())
            ]
        );
    }

    #[test]
    fn an_unknown_login_module_is_an_error_and_a_serializer_is_nobodys_business() {
        assert!(
            translate(
                "sasl.jaas.config".to_owned(),
                "x.Other required;".to_owned()
            )
            .is_err()
        );
        assert!(says("key.serializer", "x").is_empty());
        assert!(translate("ssl.truststore.location".to_owned(), "/a/b.jks".to_owned()).is_err());
    }
}
