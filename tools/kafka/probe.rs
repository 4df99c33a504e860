//! Finds out what listens at an address whose connections break.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Listener {
    /// Kafka without TLS and without SASL.
    Plain,
    /// Kafka without TLS, with one of these SASL mechanisms.
    Sasl(Vec<String>),
    /// Kafka with TLS and one of these SASL mechanisms.
    SaslTls(Vec<String>),
    /// Kafka with TLS and without SASL.
    PlainTls,
    /// A TLS server that answers nothing to a client without a certificate.
    Tls,
    Http,
    Unknown,
}

/// How long each step may take; a connection to this address existed a moment ago.
const STEP_TIMEOUT: Duration = Duration::from_millis(400);

/// A `SaslHandshake` request of version 1 with an unknown mechanism: a broker with SASL answers with its own.
const HANDSHAKE: &[u8] =
    b"\0\0\0\x17\0\x11\0\x01\0\0\0\x07\0\x06\x6b\x70\x72\x6f\x62\x65\0\x05\x4e\x4f\x4e\x45\x21";
/// Its correlation id.
const CORRELATION_ID: [u8; 4] = [0, 0, 0, 7];
/// Kafka's error code UNSUPPORTED_SASL_MECHANISM.
const UNSUPPORTED_MECHANISM: i16 = 33;

/// The shortest hello that a TLS server answers (RFC 8446, section 4.1.2; RFC 5246), with its own hello or an alert.
const CLIENT_HELLO: &[u8] = &[
    0x16, 0x03, 0x01, 0x00, 0x2f, 0x01, 0x00, 0x00, 0x2b, 0x03, 0x03, 0x6b, 0x61, 0x66, 0x6b, 0x61,
    0x75, 0x74, 0x69, 0x6c, 0x73, 0x6b, 0x61, 0x66, 0x6b, 0x61, 0x75, 0x74, 0x69, 0x6c, 0x73, 0x6b,
    0x61, 0x66, 0x6b, 0x61, 0x75, 0x74, 0x69, 0x6c, 0x73, 0x6b, 0x61, 0x00, 0x00, 0x04, 0xc0, 0x2f,
    0x00, 0x2f, 0x01, 0x00,
];

/// Finds out what listens at `host:port`.
pub(super) fn probe(address: &str) -> Listener {
    match request(address, HANDSHAKE).as_deref().map(classify) {
        Some(Listener::Tls) => return probe_tls(address),
        None | Some(Listener::Unknown) => {}
        Some(known) => return known,
    }
    match request(address, CLIENT_HELLO).as_deref() {
        Some([0x15 | 0x16, 3, ..]) => probe_tls(address),
        _ => Listener::Unknown,
    }
}

/// What speaks TLS at `host:port`.
fn probe_tls(address: &str) -> Listener {
    match request_over_tls(address).as_deref().map(classify) {
        Some(Listener::Sasl(offered)) => Listener::SaslTls(offered),
        Some(Listener::Plain) => Listener::PlainTls,
        Some(Listener::Http) => Listener::Http,
        _ => Listener::Tls,
    }
}

fn request(address: &str, request_bytes: &[u8]) -> Option<Vec<u8>> {
    exchange(connect(address)?, request_bytes)
}

/// The certificate is not verified: the handshake reveals nothing about the user.
fn request_over_tls(address: &str) -> Option<Vec<u8>> {
    let (host, _) = address.rsplit_once(':')?;
    let mut connector = SslConnector::builder(SslMethod::tls_client()).ok()?;
    connector.set_verify(SslVerifyMode::NONE);
    let connection = connector.build().configure().ok()?.verify_hostname(false);
    exchange(connection.connect(host, connect(address)?).ok()?, HANDSHAKE)
}

fn connect(address: &str) -> Option<TcpStream> {
    let address = address.to_socket_addrs().ok()?.next()?;
    let stream = TcpStream::connect_timeout(&address, STEP_TIMEOUT).ok()?;
    stream.set_read_timeout(Some(STEP_TIMEOUT)).ok()?;
    stream.set_write_timeout(Some(STEP_TIMEOUT)).ok()?;
    Some(stream)
}

fn exchange(mut stream: impl Read + Write, request_bytes: &[u8]) -> Option<Vec<u8>> {
    stream.write_all(request_bytes).ok()?;
    let mut answer = vec![0; 1024];
    let size = stream.read(&mut answer).ok()?;
    answer.truncate(size);
    Some(answer)
}

/// Which listener sends this response to [`HANDSHAKE`].
fn classify(answer: &[u8]) -> Listener {
    match answer {
        [b'H', b'T', b'T', b'P', ..] => Listener::Http,
        [0x15, 3, ..] => Listener::Tls,
        [_, _, _, _, body @ ..] if body.starts_with(&CORRELATION_ID) => {
            let Some((error, rest)) = body[4..].split_first_chunk::<2>() else {
                return Listener::Unknown;
            };
            match i16::from_be_bytes(*error) {
                UNSUPPORTED_MECHANISM => Listener::Sasl(mechanisms(rest)),
                _ => Listener::Plain,
            }
        }
        _ => Listener::Unknown,
    }
}

/// The SASL mechanisms in a response that may be cut.
fn mechanisms(bytes: &[u8]) -> Vec<String> {
    let mut rest = bytes.get(4..).unwrap_or_default();
    let mut found = Vec::new();
    while let Some((size, behind)) = rest.split_first_chunk::<2>() {
        let size = u16::from_be_bytes(*size).into();
        let Some((text, behind)) = behind.split_at_checked(size) else {
            break;
        };
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
        if !text.is_empty() && text.iter().all(is_name) {
            found.push(String::from_utf8_lossy(text).into_owned());
        }
        rest = behind;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_questions_have_the_lengths_that_they_say() {
        let size = u32::from_be_bytes(*HANDSHAKE.first_chunk().expect("four bytes"));
        assert_eq!(size as usize, HANDSHAKE.len() - 4);
        assert_eq!(usize::from(CLIENT_HELLO[4]), CLIENT_HELLO.len() - 5);
        assert_eq!(usize::from(CLIENT_HELLO[8]), CLIENT_HELLO.len() - 9);
    }

    #[test]
    fn an_answer_tells_who_gave_it() {
        let sasl = b"\0\0\0\x1f\0\0\0\x07\0\x21\0\0\0\x02\0\x05PLAIN\0\x0dSCRAM-SHA-256";
        let offered = ["PLAIN", "SCRAM-SHA-256"].map(str::to_owned).to_vec();
        assert_eq!(classify(sasl), Listener::Sasl(offered));
        assert_eq!(
            classify(b"\0\0\0\x0a\0\0\0\x07\0\x22\0\0\0\0"),
            Listener::Plain
        );
        assert_eq!(classify(b"\x15\x03\x03\0\x02\x02\x50"), Listener::Tls);
        assert_eq!(classify(b"HTTP/1.1 400 Bad Request\r\n"), Listener::Http);
        assert_eq!(classify(b"SSH-2.0-x"), Listener::Unknown);
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(answer in proptest::collection::vec(any::<u8>(), 0..80), is_ours in any::<bool>()) {
            let mut answer = answer;
            if is_ours && answer.len() > 8 {
                answer[4..8].copy_from_slice(&CORRELATION_ID);
            }
            classify(&answer);
        }
    }
}
