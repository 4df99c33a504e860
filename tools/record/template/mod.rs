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
//! | `%%` | a percent sign |
//!
//! Reading, a field ends where the text after it begins; a length before a
//! field frames it, so that it may hold anything and NULL stays NULL. The
//! meaning of the tokens and escapes is that of kcat's `format.c`.

mod parse;
mod read;
mod write;

pub(super) use read::Reader;
pub(super) use write::Writer;

use super::scan::Needle;

/// What NULL looks like under `-Z`, and the NULL value of a header in `%h`.
pub(super) const NULL_TEXT: &[u8] = b"NULL";

/// A template, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    tokens: Vec<Token>,
    null_text: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// Never empty, and never beside another one.
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
        "unknown token {0} in the template (tokens: %s %S %R %k %K %h %t %p %o %T %{{time}} %%)"
    )]
    UnknownToken(String),
    /// A backslash escape that means no byte.
    #[error("in the template, {0}")]
    BadEscape(String),
    /// Nothing to read: no field at all.
    #[error("the template names no field, so no record can be read with it")]
    NoField,
    /// Nothing says where the first of two neighbours ends.
    #[error(
        "the template is ambiguous: where {first} ends and {second} begins cannot be known{hint}"
    )]
    Neighbours {
        /// The token whose end is unknown.
        first: &'static str,
        /// The token right behind it.
        second: &'static str,
        /// What to write instead.
        hint: &'static str,
    },
    /// Nothing says where the last field ends.
    #[error(
        "the template is ambiguous: where {0} ends cannot be known (end it with a newline: {0}\\n)"
    )]
    OpenEnd(&'static str),
    /// The text behind a number or time could be a part of it.
    #[error("the template is ambiguous: {text:?} behind {token} could be a part of it")]
    RunsOn {
        /// The token.
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

    /// Whether a record ends with its line and a line feed in a field would end it too, so that lines number the records.
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
    ///
    /// # Errors
    /// The template is ambiguous; the error names the place.
    pub fn check_decodable(&self) -> Result<(), TemplateError> {
        if !self
            .tokens
            .iter()
            .any(|token| matches!(token, Token::Field(_)))
        {
            return Err(TemplateError::NoField);
        }
        let steps = self.steps();
        for (index, step) in steps.iter().enumerate() {
            let (Step::Run(field) | Step::Until(field)) = step else {
                continue;
            };
            match steps.get(index + 1) {
                None => return Err(TemplateError::OpenEnd(field.token())),
                Some(Step::Literal(text, _)) => {
                    if matches!(step, Step::Run(_)) && field.may_hold(text[0]) {
                        return Err(TemplateError::RunsOn {
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

    /// What is to be done for each token, knowing the tokens before it.
    fn steps(&self) -> Vec<Step> {
        let (mut key_framed, mut value_framed) = (false, false);
        let steps = self.tokens.iter().map(|token| match token {
            Token::Literal(text) => Step::Literal(text.clone(), Needle::new(text)),
            Token::Field(field) => {
                let framed = match field {
                    Field::KeyLen => {
                        key_framed = true;
                        false
                    }
                    Field::ValueLen | Field::ValueLen32 => {
                        value_framed = true;
                        false
                    }
                    Field::Key => std::mem::take(&mut key_framed),
                    Field::Value => std::mem::take(&mut value_framed),
                    _ => false,
                };
                match field {
                    Field::ValueLen32 => Step::Length32,
                    _ if framed => Step::Framed(*field),
                    Field::Topic | Field::Headers | Field::Key | Field::Value => {
                        Step::Until(*field)
                    }
                    _ => Step::Run(*field),
                }
            }
        });
        steps.collect()
    }
}

/// One token, as it is read and written.
#[derive(Clone, Debug)]
enum Step {
    /// This text.
    Literal(Vec<u8>, Needle),
    /// A number or time, as long as its characters go on.
    Run(Field),
    /// Four bytes: the length of the value.
    Length32,
    /// A key or value whose length came before.
    Framed(Field),
    /// Anything up to the text of the next step.
    Until(Field),
}

impl Step {
    fn token(&self) -> &'static str {
        match self {
            Step::Literal(..) => "",
            Step::Length32 => Field::ValueLen32.token(),
            Step::Run(field) | Step::Framed(field) | Step::Until(field) => field.token(),
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
            Field::Headers => "%h",
            Field::Key => "%k",
            Field::KeyLen => "%K",
            Field::Value => "%s",
            Field::ValueLen => "%S",
            Field::ValueLen32 => "%R",
        }
    }

    /// How to say where the field ends.
    fn separation(self) -> &'static str {
        match self {
            Field::Key => " (put its length %K before it, or a separator between them)",
            Field::Value => " (put its length %S or %R before it, or a separator between them)",
            _ => " (put a separator between them)",
        }
    }

    /// Whether a number or time, once begun, may go on with this byte.
    fn may_hold(self, byte: u8) -> bool {
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
    fn what_can_be_read_back_is_accepted() {
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
    fn what_cannot_be_read_back_is_refused_with_the_place() {
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
