//! What HTTP's clients share: the causes of errors, escapes, tokens.

pub mod token;

use std::time::Duration;

/// How long an answer may take.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// How often it is looked whether nobody waits any more.
const SLICE: Duration = Duration::from_millis(100);

/// What comes of a request, or `None` once nobody waits for it any more.
pub(crate) async fn while_wanted<T>(
    request: impl Future<Output = T>,
    is_unwanted: &dyn Fn() -> bool,
) -> Option<T> {
    tokio::pin!(request);
    loop {
        tokio::select! {
            answer = &mut request => return Some(answer),
            () = tokio::time::sleep(SLICE) => if is_unwanted() {
                return None;
            },
        }
    }
}

/// An error of reqwest's with the cause that says most, which is the last of the chain, and the URL once.
pub fn cause(error: &reqwest::Error) -> String {
    let mut last: &dyn std::error::Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    if error.is_timeout() {
        return format!("no answer within {} s", TIMEOUT.as_secs());
    }
    last.to_string()
}

/// Text as a part of a path, a query or a form.
pub fn percent_encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(byte.into());
            }
            byte => out.extend(['%', hex(byte >> 4), hex(byte & 15)]),
        }
    }
    out
}

fn hex(digit: u8) -> char {
    char::from_digit(digit.into(), 16).map_or('0', |digit| digit.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::percent_encoded;

    #[test]
    fn text_is_percent_encoded() {
        assert_eq!(
            percent_encoded("api://x/.default a+b"),
            "api%3A%2F%2Fx%2F.default%20a%2Bb"
        );
    }
}
