//! From the text of a template to its tokens.

use super::{Field, Template, TemplateError, Token};
use crate::text::{decode_escapes, parse_hex_escape, parse_number};

impl Template {
    /// Parses `%` tokens, and the escapes `\t \n \r \xHH \NNN` between them.
    ///
    /// As in kcat, `\NNN` is read as C reads numbers (`\010` is octal, `\65`
    /// decimal), and a backslash before another character is that
    /// character. Unlike kcat, NUL is a byte as any other, `\xHH` takes one or
    /// two digits of either kind, and an escape beyond a byte is an error.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Template, TemplateError> {
        let mut rest = text.as_ref();
        let mut tokens = Vec::new();
        while !rest.is_empty() {
            let percent = memchr::memchr(b'%', rest).unwrap_or(rest.len());
            // kcat splits at the percent signs first: `\%` is a backslash, then a token.
            push_literal(&mut tokens, &unescape(&rest[..percent])?);
            rest = &rest[percent..];
            if rest.is_empty() {
                break;
            }
            let used = push_token(&mut tokens, &rest[1..])?;
            rest = &rest[1 + used..];
        }
        Ok(Template {
            tokens,
            null_text: false,
        })
    }
}

/// Adds the token after a `%`. Returns how many bytes it has.
fn push_token(tokens: &mut Vec<Token>, text: &[u8]) -> Result<usize, TemplateError> {
    for field in [Field::Time, Field::DeliveryCount] {
        let name = &field.token()[1..];
        if text.starts_with(name.as_bytes()) {
            tokens.push(Token::Field(field));
            return Ok(name.len());
        }
    }
    let field = match text.first() {
        None => return Err(TemplateError::LonePercent),
        Some(b'%') => {
            push_literal(tokens, b"%");
            return Ok(1);
        }
        Some(b's') => Field::Value,
        Some(b'S') => Field::ValueLen,
        Some(b'R') => Field::ValueLen32,
        Some(b'k') => Field::Key,
        Some(b'K') => Field::KeyLen,
        Some(b'h') => Field::Headers,
        Some(b't') => Field::Topic,
        Some(b'p') => Field::Partition,
        Some(b'o') => Field::Offset,
        Some(b'T') => Field::Timestamp,
        Some(b'{') => {
            let end = memchr::memchr(b'}', text).map_or(text.len(), |end| end + 1);
            let shown = String::from_utf8_lossy(&text[..end]);
            return Err(TemplateError::UnknownToken(format!("%{shown}")));
        }
        Some(_) => {
            let shown = String::from_utf8_lossy(text);
            let first = shown.chars().next().unwrap_or(' ');
            return Err(TemplateError::UnknownToken(format!("%{first}")));
        }
    };
    tokens.push(Token::Field(field));
    Ok(1)
}

/// Adds text, merged with text before it, so that a decoder searches for all of it.
fn push_literal(tokens: &mut Vec<Token>, text: &[u8]) {
    match tokens.last_mut() {
        _ if text.is_empty() => {}
        Some(Token::Literal(before)) => before.extend_from_slice(text),
        _ => tokens.push(Token::Literal(text.to_owned())),
    }
}

fn unescape(text: &[u8]) -> Result<Vec<u8>, TemplateError> {
    let mut out = Vec::with_capacity(text.len());
    decode_escapes(text, b'\\', &mut out, |_, after| match after.first() {
        None => Ok((b'\\', 0)),
        Some(b't') => Ok((b'\t', 1)),
        Some(b'n') => Ok((b'\n', 1)),
        Some(b'r') => Ok((b'\r', 1)),
        Some(b'x') => parse_hex_escape(after),
        Some(b'0'..=b'9') => c_number(after),
        Some(&other) => Ok((other, 1)),
    })
    .map_err(TemplateError::BadEscape)?;
    Ok(out)
}

/// A number as strtoul reads it in base 0: all its digits, octal after a 0, hexadecimal after 0x.
fn c_number(text: &[u8]) -> Result<(u8, usize), String> {
    match text {
        [b'0', b'x' | b'X', digit, ..] if digit.is_ascii_hexdigit() => {
            let (value, used) = parse_number(&text[2..], 16, text.len())?;
            Ok((value, used + 2))
        }
        [b'0', ..] => parse_number(text, 8, text.len()),
        _ => parse_number(text, 10, text.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(text: &[u8]) -> Token {
        Token::Literal(text.to_owned())
    }

    fn tokens(text: &str) -> Vec<Token> {
        Template::parse(text)
            .expect("the template is well-formed")
            .tokens
    }

    #[test]
    fn tokens_and_text_alternate() {
        assert_eq!(
            tokens("%t [%p] 100%%\\n%{time}"),
            [
                Token::Field(Field::Topic),
                literal(b" ["),
                Token::Field(Field::Partition),
                literal(b"] 100%\n"),
                Token::Field(Field::Time),
            ]
        );
        assert_eq!(tokens(""), []);
    }

    #[test]
    fn escapes_are_kcats() {
        assert_eq!(tokens("\\t\\n\\r\\\\\\q"), [literal(b"\t\n\r\\q")]);
        assert_eq!(
            tokens("\\010\\65\\0x41\\x4a\\xff"),
            [literal(b"\x08AAJ\xff")]
        );
        assert_eq!(tokens("\\0\\x00"), [literal(b"\0\0")]);
        assert_eq!(
            tokens("\\%s\\"),
            [literal(b"\\"), Token::Field(Field::Value), literal(b"\\")]
        );
    }

    #[test]
    fn a_malformed_template_is_refused() {
        let refused = |text: &str| {
            Template::parse(text)
                .map_err(|error| error.to_string())
                .expect_err("the template is malformed")
        };
        assert_eq!(
            refused("%s%"),
            "the template ends in a lone % (write %% for a percent sign)"
        );
        assert_eq!(
            refused("%x"),
            "unknown token %x in the template (tokens: %s %S %R %k %K %h %t %p %o %T %{time} %{delivery_count} %%)"
        );
        assert!(refused("%{date} %s").starts_with("unknown token %{date} in"));
        assert!(refused("%ü").starts_with("unknown token %ü in"));
        assert_eq!(
            refused("%s\\xzz"),
            "in the template, \\x needs one or two hexadecimal digits"
        );
        assert_eq!(refused("\\256"), "in the template, \\256 is not a byte");
    }
}
