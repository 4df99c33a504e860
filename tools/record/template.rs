//! Templates: kcat's `%` tokens, to write records with and to read them back.
//!
//! | token | is |
//! |---|---|
//! | `%s` `%k` | value, key |
//! | `%S` `%K` | their lengths in bytes, -1 for NULL |
//! | `%R` | the value's length as four bytes, big-endian, -1 for NULL |
//! | `%h` | headers, `name=value` joined by commas, `NULL` for a NULL value |
//! | `%t` `%p` `%o` | topic, partition, offset |
//! | `%T` `%{time}` | timestamp in milliseconds, and as ISO 8601 |
//! | `%{delivery_count}` | how often a share group has delivered the record |
//! | `%%` | a percent sign |
//!
//! A decoder ends a field where the next literal begins. A field with its
//! length before it may contain anything, and NULL stays NULL. Tokens and
//! escapes mean what they mean in kcat's `format.c`.

mod decode;
mod encode;
mod parse;

pub(super) use decode::TemplateDecoder;
pub(super) use encode::TemplateEncoder;

use super::split::ByteSearch;

/// NULL under `-Z`, and the NULL value of a header in `%h`.
pub(super) const NULL_TEXT: &[u8] = b"NULL";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    tokens: Vec<Token>,
    null_text: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// Never empty, and never next to another literal.
    Literal(Vec<u8>),
    Field(Field),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Topic,
    Partition,
    Offset,
    Timestamp,
    Time,
    DeliveryCount,
    Headers,
    Key,
    KeyLen,
    Value,
    ValueLen,
    ValueLen32,
}

/// Why a template was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// `%` as the last character.
    #[error("the template ends in a lone % (write %% for a percent sign)")]
    LonePercent,
    /// A token that does not exist.
    #[error(
        "unknown token {0} in the template (tokens: %s %S %R %k %K %h %t %p %o %T %{{time}} %{{delivery_count}} %%)"
    )]
    UnknownToken(String),
    /// A backslash escape that means no byte.
    #[error("in the template, {0}")]
    BadEscape(String),
    /// Nothing to read: no field at all.
    #[error("the template names no field, so no record can be read with it")]
    NoField,
    /// The end of the first of two neighbours is unknown.
    #[error(
        "the template is ambiguous: where {first} ends and {second} begins cannot be known{hint}"
    )]
    Neighbours {
        /// The token whose end is unknown.
        first: &'static str,
        second: &'static str,
        /// What to write instead.
        hint: &'static str,
    },
    /// The end of the last field is unknown.
    #[error(
        "the template is ambiguous: where {0} ends cannot be known (end it with a newline: {0}\\n)"
    )]
    OpenEnd(&'static str),
    /// The text after a number or time could be a part of it.
    #[error("the template is ambiguous: {text:?} behind {token} could be a part of it")]
    NumberContinues {
        token: &'static str,
        /// The text that follows.
        text: String,
    },
}

impl Template {
    /// `-Z`: NULL is written as `NULL` and, unlike in raw output, read back as NULL.
    #[must_use]
    pub fn with_null_text(self, yes: bool) -> Template {
        Template {
            null_text: yes,
            ..self
        }
    }

    /// Whether each line is one record, so that line numbers are record numbers: no field can contain a line feed.
    pub fn is_by_line(&self) -> bool {
        let ends_line =
            matches!(self.tokens.last(), Some(Token::Literal(text)) if text.ends_with(b"\n"));
        let is_framed = self.tokens.iter().any(|token| {
            matches!(
                token,
                Token::Field(Field::KeyLen | Field::ValueLen | Field::ValueLen32)
            )
        });
        ends_line && !is_framed
    }

    /// Whether records that are written with it can be read back.
    pub fn check_decodable(&self) -> Result<(), TemplateError> {
        if !self
            .tokens
            .iter()
            .any(|token| matches!(token, Token::Field(_)))
        {
            return Err(TemplateError::NoField);
        }
        let codecs = self.codecs();
        for (index, token) in codecs.iter().enumerate() {
            let (TokenCodec::Number(field) | TokenCodec::Delimited(field)) = token else {
                continue;
            };
            match codecs.get(index + 1) {
                None => return Err(TemplateError::OpenEnd(field.token())),
                Some(TokenCodec::Literal(text, _)) => {
                    if matches!(token, TokenCodec::Number(_)) && field.may_contain(text[0]) {
                        return Err(TemplateError::NumberContinues {
                            token: field.token(),
                            text: String::from_utf8_lossy(text).into_owned(),
                        });
                    }
                }
                Some(other) => {
                    return Err(TemplateError::Neighbours {
                        first: field.token(),
                        second: other.token(),
                        hint: field.separation(),
                    });
                }
            }
        }
        Ok(())
    }

    /// How each token is encoded and decoded, which depends on the tokens before it.
    fn codecs(&self) -> Vec<TokenCodec> {
        let (mut has_key_len, mut has_value_len) = (false, false);
        let codecs = self.tokens.iter().map(|token| match token {
            Token::Literal(text) => TokenCodec::Literal(text.clone(), ByteSearch::new(text)),
            Token::Field(field) => {
                match field {
                    Field::KeyLen => has_key_len = true,
                    Field::ValueLen | Field::ValueLen32 => has_value_len = true,
                    _ => {}
                }
                match field {
                    Field::ValueLen32 => TokenCodec::Length32,
                    Field::Key if std::mem::take(&mut has_key_len) => {
                        TokenCodec::LengthPrefixed(*field)
                    }
                    Field::Value if std::mem::take(&mut has_value_len) => {
                        TokenCodec::LengthPrefixed(*field)
                    }
                    Field::Topic | Field::Headers | Field::Key | Field::Value => {
                        TokenCodec::Delimited(*field)
                    }
                    _ => TokenCodec::Number(*field),
                }
            }
        });
        codecs.collect()
    }
}

/// How a token is encoded and decoded.
#[derive(Clone, Debug)]
enum TokenCodec {
    Literal(Vec<u8>, ByteSearch),
    /// A number or time, as long as its characters continue.
    Number(Field),
    /// Four bytes: the length of the value.
    Length32,
    /// A key or value whose length is before it.
    LengthPrefixed(Field),
    /// Anything up to the next literal.
    Delimited(Field),
}

impl TokenCodec {
    fn token(&self) -> &'static str {
        match self {
            TokenCodec::Literal(..) => "",
            TokenCodec::Length32 => Field::ValueLen32.token(),
            TokenCodec::Number(field)
            | TokenCodec::LengthPrefixed(field)
            | TokenCodec::Delimited(field) => field.token(),
        }
    }
}

impl Field {
    fn token(self) -> &'static str {
        match self {
            Field::Topic => "%t",
            Field::Partition => "%p",
            Field::Offset => "%o",
            Field::Timestamp => "%T",
            Field::Time => "%{time}",
            Field::DeliveryCount => "%{delivery_count}",
            Field::Headers => "%h",
            Field::Key => "%k",
            Field::KeyLen => "%K",
            Field::Value => "%s",
            Field::ValueLen => "%S",
            Field::ValueLen32 => "%R",
        }
    }

    /// A hint how to mark the end of the field.
    fn separation(self) -> &'static str {
        match self {
            Field::Key => " (put its length %K before it, or a separator between them)",
            Field::Value => " (put its length %S or %R before it, or a separator between them)",
            _ => " (put a separator between them)",
        }
    }

    /// Whether a number or time may continue with this byte.
    fn may_contain(self, byte: u8) -> bool {
        byte.is_ascii_digit() || (self == Field::Time && b"TZtz:.+-".contains(&byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Template::parse(text)
            .expect("the template is well-formed")
            .check_decodable()
            .map_err(|error| error.to_string())
            .expect_err("the template is ambiguous")
    }

    #[test]
    fn a_decodable_template_is_accepted() {
        for text in [
            "%s\\n",
            "%k\\t%s\\n",
            "%K:%k%S:%s",
            "%R%s",
            "%K %S\\n%k%s",
            "%t [%p] at offset %o: key %k\\n",
            "%{time} %s\\n",
            "%o-%s\\n",
            "Key (%K bytes): %k\\nValue (%S bytes): %s\\n--\\n",
            "%s %S\\n",
        ] {
            let template = Template::parse(text).expect("the template is well-formed");
            assert_eq!(template.check_decodable(), Ok(()), "{text}");
        }
    }

    #[test]
    fn an_ambiguous_template_is_refused_with_the_place() {
        assert_eq!(
            refused("%k%s\\n"),
            "the template is ambiguous: where %k ends and %s begins cannot be known \
             (put its length %K before it, or a separator between them)"
        );
        assert_eq!(
            refused("%s"),
            "the template is ambiguous: where %s ends cannot be known (end it with a newline: %s\\n)"
        );
        assert_eq!(
            refused("%p%o\\n"),
            "the template is ambiguous: where %p ends and %o begins cannot be known \
             (put a separator between them)"
        );
        assert_eq!(
            refused("%p0\\n"),
            "the template is ambiguous: \"0\\n\" behind %p could be a part of it"
        );
        assert_eq!(
            refused("%{time}:%s\\n"),
            "the template is ambiguous: \":%s\\n\" behind %{time} could be a part of it"
                .replace("%s\\n", "")
        );
        assert_eq!(
            refused("hello\\n"),
            "the template names no field, so no record can be read with it"
        );
        assert!(refused("%S%s").contains("where %S ends and %s begins"));
        assert!(refused("%k\\t%s\\n%o").contains("where %o ends"));
    }
}
