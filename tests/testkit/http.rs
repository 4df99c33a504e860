//! A client of HTTP: one request, and all that the server sends until it closes.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    /// As `200 OK`.
    pub(crate) status: String,
    /// In lower case.
    pub(crate) headers: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body of an answer with status 200.
    #[track_caller]
    pub(crate) fn text(self) -> String {
        let text = String::from_utf8(self.body).unwrap();
        assert_eq!(self.status, "200 OK", "{text}");
        text
    }
}

/// A connection whose server has to answer in half a minute.
pub(crate) fn connect(address: impl ToSocketAddrs) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    Ok(stream)
}

/// Sends a request as it stands.
pub(crate) fn send(mut stream: impl Read + Write, request: &str) -> std::io::Result<Answer> {
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    // A server may close TLS without saying so in TLS' own way.
    let ended = stream.read_to_end(&mut answer);
    let Some(end) = memchr::memmem::find(&answer, b"\r\n\r\n") else {
        return Err(ended
            .err()
            .unwrap_or(std::io::ErrorKind::UnexpectedEof.into()));
    };
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let (first, headers) = head.split_once("\r\n").unwrap_or((&head, ""));
    Ok(Answer {
        status: first
            .split_once(' ')
            .map_or(first, |(_, status)| status)
            .to_owned(),
        headers: headers.to_lowercase(),
        body: answer.split_off(end + 4),
    })
}

/// `GET` of this path.
pub(crate) fn get(address: impl ToSocketAddrs, path: &str) -> std::io::Result<Answer> {
    send(connect(address)?, &request(path, ""))
}

/// A request for a path with these header lines, each ended by `\r\n`.
///
/// It is one of HTTP/1.0, in which no server answers in chunks, as Prometheus does from 2 KiB on.
pub(crate) fn request(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.0\r\nHost: here\r\n{headers}Connection: close\r\n\r\n")
}
