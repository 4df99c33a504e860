//! From librdkafka's connection errors to the property to change. Pure.

use super::probe::Listener;

/// The user's settings that decide how to connect.
#[derive(Clone, Debug, Default)]
pub(super) struct ConnectionSettings {
    /// `security.protocol`, in capitals.
    pub(super) protocol: String,
    /// `sasl.kerberos.principal`.
    pub(super) principal: Option<String>,
}

/// Why this client can't talk to the listener at `address`; `None` if it can.
pub(super) fn mismatch(
    settings: &ConnectionSettings,
    address: &str,
    listener: &Listener,
) -> Option<String> {
    let (has_tls, has_login) = (
        settings.protocol.ends_with("SSL"),
        settings.protocol.starts_with("SASL"),
    );
    let now = &settings.protocol;
    let wants = |protocol: &str, why: &str| {
        Some(format!(
            "{address} {why}: -X security.protocol={protocol} is needed, not {now}"
        ))
    };
    let with_login = |protocol: &str, why: &str, offered: &[String]| {
        let login = if has_login {
            String::new()
        } else {
            let offered = offered.join(", ");
            format!(", and sasl.mechanisms (it offers {offered}), sasl.username, sasl.password")
        };
        wants(protocol, why).map(|text| text + &login)
    };
    match listener {
        Listener::Http => Some(format!(
            "{address} is a web server, not a Kafka broker: -b names a broker's HOST:PORT"
        )),
        Listener::SaslTls(offered) if !has_tls => with_login("SASL_SSL", "speaks TLS", offered),
        Listener::SaslTls(offered) if !has_login => {
            with_login("SASL_SSL", "asks for a login", offered)
        }
        Listener::PlainTls if has_login && has_tls => wants("SSL", "takes no login"),
        Listener::PlainTls if !has_tls => wants("SSL", "speaks TLS"),
        Listener::Tls if !has_tls && has_login => wants("SASL_SSL", "speaks TLS"),
        Listener::Tls if !has_tls => {
            wants("SSL (or SASL_SSL, where it asks for a login)", "speaks TLS")
        }
        Listener::Plain if has_tls || has_login => {
            let why = match (has_tls, has_login) {
                (true, true) => "speaks neither TLS nor takes a login",
                (true, false) => "does not speak TLS",
                _ => "takes no login",
            };
            wants("PLAINTEXT", why)
        }
        Listener::Sasl(offered) if has_tls => {
            with_login("SASL_PLAINTEXT", "does not speak TLS", offered)
        }
        Listener::Sasl(offered) if !has_login => {
            with_login("SASL_PLAINTEXT", "asks for a login", offered)
        }
        _ => None,
    }
}

/// Whether a reason may come from a wrong security.protocol.
pub(super) fn is_suspicious(reason: &str) -> bool {
    const SIGNS: &[&str] = &[
        "Disconnected",
        "closed by peer",
        "SSL handshake failed",
        "wrong version number",
        "Invalid response size",
        "Protocol parse failure",
        "Connection reset",
        "Broken pipe",
        "not valid in current SASL state",
        "Timed out",
        "timed out",
    ];
    SIGNS.iter().any(|sign| reason.contains(sign))
}

/// Adds to librdkafka's reason what to do.
pub(super) fn advise(settings: &ConnectionSettings, reason: &mut String) {
    // librdkafka's guess is about brokers older than 2016.
    if let Some(at) = reason.find(": probably due to broker version < 0.10") {
        reason.truncate(at);
    }
    let without_login = match settings.protocol.as_str() {
        "SASL_SSL" => "SSL",
        _ => "PLAINTEXT",
    };
    if reason.contains("not valid in current SASL state") {
        let address = address(reason).unwrap_or_default();
        *reason = format!(
            "{address} takes no login: -X security.protocol={without_login} is needed, not {}",
            settings.protocol
        );
    } else if let Some((_, offered)) = reason.split_once("broker's supported mechanisms: ") {
        let address = address(reason).unwrap_or_default();
        let first = offered.split(',').next().unwrap_or_default();
        *reason = format!(
            "{address} does not take this sasl.mechanisms; it offers {offered}: -X sasl.mechanisms={first}"
        );
    } else if reason.contains("No provider for SASL mechanism GSSAPI") {
        "sasl.mechanisms is GSSAPI (Kerberos), its default, which is not in this build (cargo install --features gssapi): set -X sasl.mechanisms=PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER".clone_into(reason);
    } else if let Some(advice) = kerberos(settings, reason) {
        reason.push_str(&advice);
    } else if reason.contains("sasl.username and sasl.password must be set") {
        "this sasl.mechanisms needs -X sasl.username and sasl.password (sasl.password=@FILE keeps it off the command line)".clone_into(reason);
    } else if reason.contains("uthentication failed")
        || reason.contains("SASL authentication error")
    {
        reason.push_str(" (sasl.username, sasl.password, sasl.mechanisms)");
    } else if reason.contains("require SASL authentication")
        || (settings.protocol == "SSL"
            && reason.contains("Disconnected: SSL connection closed by peer"))
    {
        let address = address(reason).unwrap_or_default();
        *reason = format!(
            "{address} breaks the connection, as a listener does that asks for a login: is -X security.protocol=SASL_{} needed, with sasl.mechanisms, sasl.username, sasl.password?",
            settings.protocol
        );
    }
    if let Some((id, address)) = advertised(reason)
        && is_unreachable(reason)
    {
        let hint = format!(
            " (the cluster says that broker {id} is at {address}: its advertised.listeners; this name and port must be reachable from here)"
        );
        reason.push_str(&hint);
    }
}

/// What to do if a Kerberos login fails; the texts are those of MIT's library.
fn kerberos(settings: &ConnectionSettings, reason: &str) -> Option<String> {
    let has = |signs: &[&str]| signs.iter().any(|sign| reason.contains(sign));
    if has(&[
        "No Kerberos credentials",
        "credentials cache",
        "Ticket expired",
    ]) {
        let principal = settings.principal.as_deref().unwrap_or("USER@REALM");
        return Some(format!(
            " (no Kerberos ticket: `kinit {principal}` gets one; or -X sasl.kerberos.keytab=FILE with sasl.kerberos.principal={principal})"
        ));
    }
    if has(&["not found in Kerberos database"]) {
        return Some(" (the broker's principal is SERVICE/HOST: sasl.kerberos.service.name, and the host's name of -b)".to_owned());
    }
    has(&["No worthy mechs found"]).then(|| {
        " (libsasl2 lacks this mechanism: Debian's package is libsasl2-modules-gssapi-mit)"
            .to_owned()
    })
}

/// Whether a name does not resolve or a connection is refused.
pub(super) fn is_unreachable(reason: &str) -> bool {
    ["Failed to resolve", "Connect to"]
        .iter()
        .any(|sign| reason.contains(sign))
}

/// Id and address of the broker that a reason is about, if the address is an advertised listener.
pub(super) fn advertised(reason: &str) -> Option<(i32, &str)> {
    let (name, _) = reason.split_once(": ")?;
    let (address, id) = name.rsplit_once('/')?;
    Some((id.parse().ok()?, without_scheme(address)))
}

/// The `host:port` at the start of a reason: `ssl://127.0.0.1:9093/bootstrap: ...`.
pub(super) fn address(reason: &str) -> Option<&str> {
    let (name, _) = reason.split_once(": ")?;
    let name = without_scheme(name);
    let name = name.split('/').next()?;
    let (_, port) = name.rsplit_once(':')?;
    port.parse::<u16>().ok().map(|_| name)
}

fn without_scheme(name: &str) -> &str {
    name.split_once("://").map_or(name, |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(protocol: &str) -> ConnectionSettings {
        ConnectionSettings {
            protocol: protocol.to_owned(),
            ..ConnectionSettings::default()
        }
    }

    #[test]
    fn every_pair_of_client_and_listener_that_does_not_fit_names_the_protocol_that_does() {
        let sasl = Listener::Sasl(vec!["PLAIN".to_owned()]);
        let sasl_tls = Listener::SaslTls(vec!["PLAIN".to_owned()]);
        for (protocol, listener, needed) in [
            (
                "PLAINTEXT",
                &Listener::Tls,
                "security.protocol=SSL (or SASL_SSL",
            ),
            (
                "SASL_PLAINTEXT",
                &Listener::Tls,
                "security.protocol=SASL_SSL",
            ),
            (
                "PLAINTEXT",
                &sasl,
                "security.protocol=SASL_PLAINTEXT is needed, not PLAINTEXT, and sasl.mechanisms (it offers PLAIN)",
            ),
            (
                "SSL",
                &sasl,
                "does not speak TLS: -X security.protocol=SASL_PLAINTEXT",
            ),
            (
                "SASL_SSL",
                &sasl,
                "does not speak TLS: -X security.protocol=SASL_PLAINTEXT",
            ),
            (
                "SSL",
                &Listener::Plain,
                "does not speak TLS: -X security.protocol=PLAINTEXT",
            ),
            (
                "SASL_PLAINTEXT",
                &Listener::Plain,
                "takes no login: -X security.protocol=PLAINTEXT",
            ),
            ("PLAINTEXT", &Listener::Http, "a web server"),
            (
                "SSL",
                &sasl_tls,
                "asks for a login: -X security.protocol=SASL_SSL is needed, not SSL, and sasl.mechanisms (it offers PLAIN)",
            ),
            (
                "PLAINTEXT",
                &sasl_tls,
                "speaks TLS: -X security.protocol=SASL_SSL is needed, not PLAINTEXT, and sasl.mechanisms (it offers PLAIN)",
            ),
            (
                "SASL_PLAINTEXT",
                &sasl_tls,
                "speaks TLS: -X security.protocol=SASL_SSL",
            ),
            (
                "SASL_SSL",
                &Listener::PlainTls,
                "takes no login: -X security.protocol=SSL is needed",
            ),
            (
                "PLAINTEXT",
                &Listener::PlainTls,
                "speaks TLS: -X security.protocol=SSL is needed",
            ),
        ] {
            let text = mismatch(&settings(protocol), "h:1", listener).expect(needed);
            assert!(text.starts_with("h:1 ") && text.contains(needed), "{text}");
        }
        for (protocol, listener) in [
            ("PLAINTEXT", &Listener::Plain),
            ("SASL_PLAINTEXT", &sasl),
            ("SSL", &Listener::Tls),
            ("SASL_SSL", &Listener::Tls),
            ("SSL", &Listener::PlainTls),
            ("SASL_SSL", &sasl_tls),
            ("SSL", &Listener::Unknown),
        ] {
            assert_eq!(mismatch(&settings(protocol), "h:1", listener), None);
        }
    }

    #[test]
    fn an_advertised_address_is_named_as_such() {
        let mut reason = "kafka.internal:9092/1: Failed to resolve 'kafka.internal:9092': Name or service not known".to_owned();
        advise(&settings("PLAINTEXT"), &mut reason);
        assert!(
            reason.contains("broker 1 is at kafka.internal:9092: its advertised.listeners"),
            "{reason}"
        );
        let mut own = "nosuch:9092/bootstrap: Failed to resolve 'nosuch:9092'".to_owned();
        advise(&settings("PLAINTEXT"), &mut own);
        assert!(!own.contains("advertised"), "{own}");
        assert_eq!(
            address("ssl://[::1]:9093/bootstrap: Disconnected"),
            Some("[::1]:9093")
        );
        assert_eq!(address("no address"), None);
    }

    #[test]
    fn a_mechanism_that_the_broker_does_not_take_is_answered_with_those_that_it_does() {
        let mut reason = "sasl_plaintext://h:1/bootstrap: SASL SCRAM-SHA-512 mechanism handshake failed: Broker: Unsupported SASL mechanism: broker's supported mechanisms: PLAIN,SCRAM-SHA-256".to_owned();
        advise(&settings("SASL_PLAINTEXT"), &mut reason);
        assert_eq!(
            reason,
            "h:1 does not take this sasl.mechanisms; it offers PLAIN,SCRAM-SHA-256: -X sasl.mechanisms=PLAIN"
        );
    }
}
