//! TLS of the exporters, by the OpenSSL that librdkafka is built with.

use std::path::Path;

use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::ssl::{SslAcceptor, SslMethod, SslVerifyMode, SslVersion};
use openssl::stack::Stack;
use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;

use super::web_config::{ClientAuth, Pem, TlsConfig, WebConfigError};

/// What accepts TLS connections as `config` has it.
pub(super) fn acceptor(config: &TlsConfig) -> Result<SslAcceptor, WebConfigError> {
    let certificates = certificates(&config.cert)?;
    let key_pem = content(&config.key)?;
    let key_name = name(&config.key);
    let key = PKey::private_key_from_pem(&key_pem).map_err(|error| wrong(key_name, &error))?;
    let authority = match &config.client_ca {
        Some(pem) => self::certificates(pem)?,
        None => Vec::new(),
    };
    build(config, certificates, &key, authority).map_err(|error| wrong(name(&config.cert), &error))
}

fn build(
    config: &TlsConfig,
    certificates: Vec<X509>,
    key: &PKey<openssl::pkey::Private>,
    authority: Vec<X509>,
) -> Result<SslAcceptor, ErrorStack> {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
    let (has_12, has_13) = config.versions;
    let version = |is_13| {
        if is_13 {
            SslVersion::TLS1_3
        } else {
            SslVersion::TLS1_2
        }
    };
    acceptor.set_min_proto_version(Some(version(!has_12)))?;
    acceptor.set_max_proto_version(Some(version(has_13)))?;
    let mut certificates = certificates.into_iter();
    if let Some(own) = certificates.next() {
        acceptor.set_certificate(&own)?;
    }
    for more in certificates {
        acceptor.add_extra_chain_cert(more)?;
    }
    acceptor.set_private_key(key)?;
    acceptor.check_private_key()?;
    let verify = match config.client_auth {
        ClientAuth::None => return Ok(acceptor.build()),
        ClientAuth::IfGiven => SslVerifyMode::PEER,
        ClientAuth::Required => SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT,
    };
    let mut store = X509StoreBuilder::new()?;
    let mut names = Stack::new()?;
    for one in authority {
        names.push(one.subject_name().to_owned()?)?;
        store.add_cert(one)?;
    }
    acceptor.set_cert_store(store.build());
    acceptor.set_client_ca_list(names);
    acceptor.set_verify(verify);
    // Without it a client that resumes a session is refused.
    acceptor.set_session_id_context(b"kafkautils")?;
    Ok(acceptor.build())
}

fn certificates(pem: &Pem) -> Result<Vec<X509>, WebConfigError> {
    let found = X509::stack_from_pem(&content(pem)?).map_err(|error| wrong(name(pem), &error))?;
    if found.is_empty() {
        let reason = "there is no certificate in it".to_owned();
        return Err(WebConfigError::Wrong(name(pem), reason));
    }
    Ok(found)
}

fn content(pem: &Pem) -> Result<Vec<u8>, WebConfigError> {
    match pem {
        Pem::Inline(text) => Ok(text.clone().into_bytes()),
        Pem::File(path) => {
            let read = std::fs::read(path);
            read.map_err(|error| WebConfigError::Unread(shown(path), error))
        }
    }
}

fn name(pem: &Pem) -> String {
    match pem {
        Pem::Inline(_) => "tls_server_config".to_owned(),
        Pem::File(path) => shown(path),
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn wrong(name: String, error: &ErrorStack) -> WebConfigError {
    let reasons = error
        .errors()
        .iter()
        .filter_map(openssl::error::Error::reason);
    let reason = reasons.collect::<Vec<_>>().join(", ");
    WebConfigError::Wrong(name, reason)
}
