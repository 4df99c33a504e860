//! From the text of a template to a record.

mod partial;

use super::super::decode::{Decoded, DecodedRecord};
use super::super::{DecodeError, FormatError, Header, Record};
use super::{Field, NULL_TEXT, Template, TokenCodec};
use crate::units;
use partial::{PartialField, PartialRecord};

/// No number or time is longer.
const MAX_NUMBER_BYTES: usize = 64;

#[derive(Clone, Debug)]
pub(in super::super) struct TemplateDecoder {
    codecs: Vec<TokenCodec>,
    null_text: bool,
    partial: PartialRecord,
}

enum TokenRead {
    Complete,
    NeedsInput,
}

impl TemplateDecoder {
    pub(in super::super) fn new(template: &Template) -> Result<TemplateDecoder, FormatError> {
        template.check_decodable()?;
        Ok(TemplateDecoder {
            codecs: template.codecs(),
            null_text: template.null_text,
            partial: PartialRecord::default(),
        })
    }

    pub(in super::super) fn decode<'a>(
        &mut self,
        input: &'a [u8],
        at_end: bool,
    ) -> Result<Decoded<'a>, DecodeError> {
        if input.is_empty() {
            return Ok(Decoded::Incomplete);
        }
        while self.partial.token < self.codecs.len() {
            match self.read_token(input, at_end) {
                Ok(TokenRead::Complete) => self.partial.token += 1,
                Ok(TokenRead::NeedsInput) => return Ok(Decoded::Incomplete),
                Err(error) => {
                    self.partial = PartialRecord::default();
                    return Err(error);
                }
            }
        }
        let partial = std::mem::take(&mut self.partial);
        let used = partial.at;
        let record = self.record(partial, input)?;
        Ok(Decoded::Record { record, used })
    }

    fn read_token(&mut self, input: &[u8], at_end: bool) -> Result<TokenRead, DecodeError> {
        let rest = &input[self.partial.at..];
        match &self.codecs[self.partial.token] {
            TokenCodec::Literal(..) => self.read_literal(rest, at_end),
            TokenCodec::Number(field) => self.read_number(*field, rest, at_end),
            TokenCodec::Length32 => match rest.first_chunk() {
                Some(bytes) => {
                    self.partial.at += bytes.len();
                    let len = i64::from(i32::from_be_bytes(*bytes));
                    self.partial.set_len(Field::ValueLen32, len)?;
                    Ok(TokenRead::Complete)
                }
                None => self.needs_input(Field::ValueLen32, at_end),
            },
            TokenCodec::LengthPrefixed(field) => self.read_length_prefixed(*field, input, at_end),
            TokenCodec::Delimited(field) => self.read_delimited(*field, input, at_end),
        }
    }

    fn is_last(&self, token: usize) -> bool {
        token + 1 == self.codecs.len()
    }

    /// More bytes are needed: an error at the end of the input.
    fn needs_input(&self, field: Field, at_end: bool) -> Result<TokenRead, DecodeError> {
        if at_end {
            Err(truncated(field.token(), self.partial.at))
        } else {
            Ok(TokenRead::NeedsInput)
        }
    }

    fn read_literal(&mut self, rest: &[u8], at_end: bool) -> Result<TokenRead, DecodeError> {
        let TokenCodec::Literal(text, _) = &self.codecs[self.partial.token] else {
            return Ok(TokenRead::Complete);
        };
        let found = &rest[..rest.len().min(text.len())];
        if found == text {
            self.partial.at += text.len();
            return Ok(TokenRead::Complete);
        }
        let same = found.iter().zip(text).take_while(|(a, b)| a == b).count();
        if same < found.len() {
            let problem = format!(
                "expected \"{}\", found \"{}\"",
                text.escape_ascii(),
                // Only up to the difference, so that the message does not depend on how much was read.
                found[..=same].escape_ascii()
            );
            return Err(DecodeError::new("", problem).at(self.partial.at + same));
        }
        match (at_end, found.is_empty() && self.is_last(self.partial.token)) {
            (false, _) => Ok(TokenRead::NeedsInput),
            // A last record may lack the text that ends it.
            (true, true) => Ok(TokenRead::Complete),
            (true, false) => Err(truncated("", self.partial.at + same)),
        }
    }

    fn read_number(
        &mut self,
        field: Field,
        rest: &[u8],
        at_end: bool,
    ) -> Result<TokenRead, DecodeError> {
        let sign = usize::from(rest.first() == Some(&b'-'));
        let len = sign
            + rest[sign..]
                .iter()
                .take(MAX_NUMBER_BYTES)
                .take_while(|byte| field.may_contain(**byte))
                .count();
        if len == rest.len() && (!at_end || len == 0) {
            return self.needs_input(field, at_end);
        }
        let start = self.partial.at;
        let text = std::str::from_utf8(&rest[..len]).unwrap_or_default();
        let number = if field == Field::Time {
            units::parse_instant_ms(text)
        } else {
            units::parse_whole(text)
        };
        let number = number.map_err(|_| {
            let what = match field {
                Field::Time => "a time",
                _ => "a whole number",
            };
            let shown = rest[..rest.len().min(len.max(1))].escape_ascii();
            DecodeError::new(field.token(), format!("{shown} is not {what}")).at(start)
        })?;
        self.partial.at += len;
        self.partial.set_number(field, number)?;
        Ok(TokenRead::Complete)
    }

    fn read_length_prefixed(
        &mut self,
        field: Field,
        input: &[u8],
        at_end: bool,
    ) -> Result<TokenRead, DecodeError> {
        let declared_len = self.partial.field(field).declared_len;
        let len = match usize::try_from(declared_len.unwrap_or(-1)) {
            Ok(len) => len,
            // NULL: nothing, or `NULL` under -Z.
            Err(_) if self.null_text => NULL_TEXT.len(),
            Err(_) => 0,
        };
        let start = self.partial.at;
        let end = start + len;
        if input.len() < end {
            return self.needs_input(field, at_end);
        }
        self.partial.at = end;
        self.partial.set_range(field, start..end, input)?;
        Ok(TokenRead::Complete)
    }

    fn read_delimited(
        &mut self,
        field: Field,
        input: &[u8],
        at_end: bool,
    ) -> Result<TokenRead, DecodeError> {
        let next = self.partial.token + 1;
        let Some(TokenCodec::Literal(_, search)) = self.codecs.get(next) else {
            return Err(truncated(field.token(), self.partial.at));
        };
        let start = self.partial.at;
        let from = start + self.partial.searched;
        let end = match search.find(&input[from..]) {
            Some(found) => from + found,
            None if !at_end => {
                // The last bytes may be the first ones of the literal.
                let searched = (input.len() - start).saturating_sub(search.len() - 1);
                self.partial.searched = searched.max(self.partial.searched);
                return Ok(TokenRead::NeedsInput);
            }
            None if self.is_last(next) => input.len(),
            None => return Err(truncated(field.token(), start)),
        };
        self.partial.searched = 0;
        self.partial.at = end;
        self.partial.set_range(field, start..end, input)?;
        Ok(TokenRead::Complete)
    }

    fn record<'a>(
        &self,
        partial: PartialRecord,
        input: &'a [u8],
    ) -> Result<DecodedRecord<'a>, DecodeError> {
        let topic = partial
            .topic
            .map(|range| std::str::from_utf8(&input[range]));
        let topic = topic.transpose();
        let topic = topic.map_err(|_| DecodeError::new("%t", "the topic is not UTF-8"))?;
        let partition = known(Field::Partition, partial.partition)?.map(i32::try_from);
        let fields = Record {
            topic: topic.filter(|topic| !topic.is_empty()),
            partition: partition
                .transpose()
                .map_err(|_| DecodeError::new("%p", "there is no such partition"))?,
            offset: known(Field::Offset, partial.offset)?,
            timestamp_ms: partial.timestamp_ms.filter(|ms| *ms != -1),
            key: self.bytes(Field::Key, partial.key, input)?,
            value: self.bytes(Field::Value, partial.value, input)?,
            ..Record::default()
        };
        let headers = match partial.headers {
            Some(range) => headers(&input[range.clone()], range.start)?,
            None => Vec::new(),
        };
        Ok(DecodedRecord::with_headers(fields, headers))
    }

    fn bytes<'a>(
        &self,
        field: Field,
        partial: PartialField,
        input: &'a [u8],
    ) -> Result<Option<&'a [u8]>, DecodeError> {
        let Some(range) = partial.range else {
            return Ok(None);
        };
        let start = range.start;
        let bytes = &input[range];
        let null: &[u8] = if self.null_text { NULL_TEXT } else { b"" };
        match partial.declared_len {
            Some(-1) if bytes == null => Ok(None),
            Some(len) if usize::try_from(len) != Ok(bytes.len()) => {
                let problem = format!(
                    "{} bytes, but the length before or after it is {len}",
                    bytes.len()
                );
                Err(DecodeError::new(field.token(), problem).at(start))
            }
            None if self.null_text && bytes == NULL_TEXT => Ok(None),
            _ => Ok(Some(bytes)),
        }
    }
}

/// A partition or offset; -1 is "not known".
fn known(field: Field, number: Option<i64>) -> Result<Option<i64>, DecodeError> {
    match number {
        Some(number) if number < -1 => {
            let problem = format!("{number} is below 0");
            Err(DecodeError::new(field.token(), problem))
        }
        number => Ok(number.filter(|number| *number != -1)),
    }
}

fn headers(text: &[u8], start: usize) -> Result<Vec<Header<'_>>, DecodeError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    text.split(|&byte| byte == b',')
        .map(|item| {
            let equals = memchr::memchr(b'=', item).ok_or_else(|| {
                let problem = format!("header {} has no =", item.escape_ascii());
                DecodeError::new("%h", problem).at(start)
            })?;
            let value = &item[equals + 1..];
            Ok(Header::new(
                &item[..equals],
                (value != NULL_TEXT).then_some(value),
            ))
        })
        .collect()
}

fn truncated(token: &'static str, index: usize) -> DecodeError {
    DecodeError::new(token, "the input ends in the middle of a record").at(index)
}

#[cfg(test)]
mod tests;
