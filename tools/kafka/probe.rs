//! What listens at an address: asked of it where librdkafka only sees that a connection breaks.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};

/// What answers at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Listener {
    /// Kafka without TLS and without a login.
    Plain,
    /// Kafka without TLS that asks for a login, by one of these mechanisms.
    Sasl(Vec<String>),
    /// Something that speaks TLS, and asks for a login there by one of these mechanisms.
    SaslTls(Vec<String>),
    /// Kafka with TLS that takes no login.
    PlainTls,
    /// Something that speaks TLS, and says no more to a client without a certificate.
    Tls,
    /// A web server.
    Http,
    /// Nothing that is known.
    Unknown,
}

/// How long each step may take; there was a connection to this address a moment ago.
const PATIENCE: Duration = Duration::from_millis(400);

/// A `SaslHandshake` request of version 1 with a mechanism that nobody has: who takes a login answers which he has.
const HANDSHAKE: &[u8] =
    b"\0\0\0\x17\0\x11\0\x01\0\0\0\x07\0\x06\x6b\x70\x72\x6f\x62\x65\0\x05\x4e\x4f\x4e\x45\x21";
/// The correlation number in it.
const NUMBER: [u8; 4] = [0, 0, 0, 7];
/// Answers of Kafka: the mechanism is not known, and no login is expected.
const UNSUPPORTED_MECHANISM: i16 = 33;

/// The least that a TLS server answers (RFC 8446, section 4.1.2; RFC 5246): with its hello or with an alert.
const CLIENT_HELLO: &[u8] = &[
    0x16, 0x03, 0x01, 0x00, 0x2f, 0x01, 0x00, 0x00, 0x2b, 0x03, 0x03, 0x6b, 0x61, 0x66, 0x6b, 0x61,
    0x75, 0x74, 0x69, 0x6c, 0x73, 0x6b, 0x61, 0x66, 0x6b, 0x61, 0x75, 0x74, 0x69, 0x6c, 0x73, 0x6b,
    0x61, 0x66, 0x6b, 0x61, 0x75, 0x74, 0x69, 0x6c, 0x73, 0x6b, 0x61, 0x00, 0x00, 0x04, 0xc0, 0x2f,
    0x00, 0x2f, 0x01, 0x00,
];

/// Finds out what listens at `host:port`.
pub(super) fn probe(address: &str) -> Listener {
    match ask(address, HANDSHAKE).as_deref().map(of_answer) {
        Some(Listener::Tls) => return behind_tls(address),
        None | Some(Listener::Unknown) => {}
        Some(known) => return known,
    }
    match ask(address, CLIENT_HELLO).as_deref() {
        Some([0x15 | 0x16, 3, ..]) => behind_tls(address),
        _ => Listener::Unknown,
    }
}

/// What is behind the TLS at `host:port`.
fn behind_tls(address: &str) -> Listener {
    match ask_over_tls(address).as_deref().map(of_answer) {
        Some(Listener::Sasl(offered)) => Listener::SaslTls(offered),
        Some(Listener::Plain) => Listener::PlainTls,
        Some(Listener::Http) => Listener::Http,
        _ => Listener::Tls,
    }
}

fn ask(address: &str, question: &[u8]) -> Option<Vec<u8>> {
    exchange(connect(address)?, question)
}

/// The handshake goes to whoever answers: it says nothing of the user.
fn ask_over_tls(address: &str) -> Option<Vec<u8>> {
    let (host, _) = address.rsplit_once(':')?;
    let mut connector = SslConnector::builder(SslMethod::tls_client()).ok()?;
    connector.set_verify(SslVerifyMode::NONE);
    let connection = connector.build().configure().ok()?.verify_hostname(false);
    exchange(connection.connect(host, connect(address)?).ok()?, HANDSHAKE)
}

fn connect(address: &str) -> Option<TcpStream> {
    let address = address.to_socket_addrs().ok()?.next()?;
    let stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    Some(stream)
}

fn exchange(mut stream: impl Read + Write, question: &[u8]) -> Option<Vec<u8>> {
    stream.write_all(question).ok()?;
    let mut answer = vec![0; 1024];
    let size = stream.read(&mut answer).ok()?;
    answer.truncate(size);
    Some(answer)
}

/// What somebody is who answers [`HANDSHAKE`] so.
fn of_answer(answer: &[u8]) -> Listener {
    match answer {
        [b'H', b'T', b'T', b'P', ..] => Listener::Http,
        [0x15, 3, ..] => Listener::Tls,
        [_, _, _, _, number @ ..] if number.starts_with(&NUMBER) => {
            let Some((error, rest)) = number[4..].split_first_chunk::<2>() else {
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

/// The texts of an array, as many as there are.
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
        assert_eq!(of_answer(sasl), Listener::Sasl(offered));
        assert_eq!(
            of_answer(b"\0\0\0\x0a\0\0\0\x07\0\x22\0\0\0\0"),
            Listener::Plain
        );
        assert_eq!(of_answer(b"\x15\x03\x03\0\x02\x02\x50"), Listener::Tls);
        assert_eq!(of_answer(b"HTTP/1.1 400 Bad Request\r\n"), Listener::Http);
        assert_eq!(of_answer(b"SSH-2.0-x"), Listener::Unknown);
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(answer in proptest::collection::vec(any::<u8>(), 0..80), is_ours in any::<bool>()) {
            let mut answer = answer;
            if is_ours && answer.len() > 8 {
                answer[4..8].copy_from_slice(&NUMBER);
            }
            of_answer(&answer);
        }
    }
}
