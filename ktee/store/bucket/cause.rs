//! Why a request to a store failed, in one line, and whether another try may help. Pure.

use std::error::Error as StdError;

use object_store::Error;
use object_store::client::{HttpError, HttpErrorKind};

/// How object_store's error for an answer that is no success begins.
const STATUS: &str = "Server returned non-2xx status code: ";
/// How that for an answer begins that calls itself a success and is none.
const ERROR_BODY: &str = "Server returned error response: ";
/// How a text begins of a server that was not reached.
const CONNECT: &str = "cannot connect";
/// So much of an answer is shown that says nothing in XML.
const SHOWN_CHARS: usize = 200;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cause {
    pub(super) text: String,
    /// Whether another try may help.
    pub(super) is_passing: bool,
    /// The status, if the store has answered.
    pub(super) status: Option<u16>,
}

impl Cause {
    /// A request that was given up after this many seconds.
    pub(super) fn timed_out(seconds: u64) -> Cause {
        Cause {
            text: format!("no answer within {seconds} s"),
            is_passing: true,
            status: None,
        }
    }

    /// With the endpoint that was not reached, because a bucket's name does not say where it is.
    pub(super) fn at(error: &Error, endpoint: Option<&str>) -> Cause {
        let mut cause = Cause::of(error);
        if let Some(reason) = cause.text.strip_prefix(CONNECT)
            && let Some(endpoint) = endpoint
        {
            cause.text = format!("{CONNECT} to {endpoint}{reason}");
        }
        cause
    }

    pub(super) fn of(error: &Error) -> Cause {
        let mut link: Option<&(dyn StdError + 'static)> = Some(error);
        let mut deepest = String::new();
        while let Some(error) = link {
            let text = error.to_string();
            if let Some(answer) = text.strip_prefix(STATUS) {
                return Cause::of_answer(answer);
            }
            if let Some(body) = text.strip_prefix(ERROR_BODY) {
                return Cause {
                    text: described(body),
                    is_passing: true,
                    status: Some(200),
                };
            }
            if let Some(error) = error.downcast_ref::<HttpError>() {
                return Cause::of_transport(error);
            }
            deepest = text;
            link = error.source();
        }
        Cause {
            text: one_line(&deepest),
            is_passing: false,
            status: None,
        }
    }

    /// `answer` is the status, its name and the body.
    fn of_answer(answer: &str) -> Cause {
        let status: Option<u16> = answer.get(..3).and_then(|digits| digits.parse().ok());
        let (_, body) = answer.split_once(": ").unwrap_or((answer, ""));
        let number = status.unwrap_or(0);
        // 501 is a request that this store does not know: it will not learn it.
        let is_passing = matches!(number, 408 | 409 | 425 | 429 | 500 | 502..=599);
        let described = described(body);
        Cause {
            text: match described.as_str() {
                "" => one_line(answer.trim_end_matches([':', ' '])),
                described => format!("{number} {described}"),
            },
            is_passing,
            status,
        }
    }

    fn of_transport(error: &HttpError) -> Cause {
        let mut texts = Vec::new();
        let mut link = error.source();
        while let Some(error) = link {
            texts.push(error.to_string());
            link = error.source();
        }
        let deepest = one_line(texts.last().map_or("", String::as_str));
        let is_tls = texts.iter().any(|text| {
            text.contains("SSL") || text.contains("certificate") || text.contains("TLS")
        });
        let text = match error.kind() {
            _ if is_tls && deepest.contains("wrong version number") => {
                "TLS: the server does not speak it; an endpoint without TLS begins with http://"
                    .to_owned()
            }
            _ if is_tls => format!("TLS: {deepest}"),
            HttpErrorKind::Timeout => "no answer in time".to_owned(),
            HttpErrorKind::Connect => format!("{CONNECT}: {deepest}"),
            _ => deepest,
        };
        Cause {
            text,
            // A server that speaks no TLS, or has the wrong certificate, goes on doing so.
            is_passing: !is_tls,
            status: None,
        }
    }
}

/// `CODE: MESSAGE` of an answer in XML, else its beginning.
fn described(body: &str) -> String {
    let element = |name: &str| {
        let (_, rest) = body.split_once(&format!("<{name}>"))?;
        let (text, _) = rest.split_once(&format!("</{name}>"))?;
        Some(one_line(text))
    };
    match (element("Code"), element("Message")) {
        (Some(code), Some(message)) if !message.is_empty() => format!("{code}: {message}"),
        (Some(code), _) => code,
        (None, _) => one_line(body),
    }
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Said(String);

    fn answered(text: &str) -> Cause {
        Cause::of(&Error::Generic {
            store: "S3",
            source: Box::new(Said(format!("{STATUS}{text}"))),
        })
    }

    #[test]
    fn an_answer_is_one_line_without_xml() {
        let cause = answered(
            "404 Not Found: <?xml version=\"1.0\"?>\n<Error>\n<Code>NoSuchBucket</Code>\n\
             <Message>The specified\nbucket does not exist</Message></Error>",
        );
        assert_eq!(
            cause.text,
            "404 NoSuchBucket: The specified bucket does not exist"
        );
        assert_eq!((cause.is_passing, cause.status), (false, Some(404)));
        assert_eq!(answered("403 Forbidden: ").text, "403 Forbidden");
        assert_eq!(answered("500 Oh: no\n xml ").text, "500 no xml");
    }

    #[test]
    fn what_passes_is_tried_again_and_what_stays_is_not() {
        for passing in ["503 x: y", "500 x: y", "429 x: y", "408 x: y", "409 x: y"] {
            assert!(answered(passing).is_passing, "{passing}");
        }
        for lasting in ["400 x: y", "401 x: y", "403 x: y", "404 x: y", "501 x: y"] {
            assert!(!answered(lasting).is_passing, "{lasting}");
        }
    }

    #[test]
    fn the_deepest_cause_of_a_broken_connection_is_named() {
        let refused = std::io::Error::from_raw_os_error(111);
        let error = Error::Generic {
            store: "S3",
            source: Box::new(HttpError::new(HttpErrorKind::Connect, refused)),
        };
        let cause = Cause::of(&error);
        assert!(
            Cause::at(&error, Some("http://minio:9000"))
                .text
                .starts_with("cannot connect to http://minio:9000: Connection refused")
        );
        assert!(
            cause.text.starts_with("cannot connect: Connection refused"),
            "{}",
            cause.text
        );
        assert_eq!((cause.is_passing, cause.status), (true, None));
        let tls = Said("error:0A00010B:SSL routines:ssl3_get_record:wrong version number".into());
        let cause = Cause::of(&Error::Generic {
            store: "S3",
            source: Box::new(HttpError::new(HttpErrorKind::Connect, tls)),
        });
        assert!(cause.text.contains("http://"), "{}", cause.text);
        assert!(!cause.is_passing);
    }
}
