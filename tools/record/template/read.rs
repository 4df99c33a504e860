//! From the text of a template to a record.

mod progress;

use super::super::decode::{Decoded, DecodedRecord};
use super::super::{DecodeError, FormatError, Header, Record};
use super::{Field, NULL_TEXT, Step, Template};
use crate::units;
use progress::{Part, Progress};

/// No number or time is longer; what goes on without end is neither.
const MAX_RUN: usize = 64;

/// Reads records by a template.
#[derive(Clone, Debug)]
pub(in super::super) struct Reader {
    steps: Vec<Step>,
    null_text: bool,
    progress: Progress,
}

/// Whether there is more to do before more bytes are needed.
enum Pace {
    Goes,
    Waits,
}

impl Reader {
    pub(in super::super) fn new(template: &Template) -> Result<Reader, FormatError> {
        template.check_decodable()?;
        Ok(Reader {
            steps: template.steps(),
            null_text: template.null_text,
            progress: Progress::default(),
        })
    }

    pub(in super::super) fn read<'a>(
        &mut self,
        input: &'a [u8],
        at_end: bool,
    ) -> Result<Decoded<'a>, DecodeError> {
        if input.is_empty() {
            return Ok(Decoded::Incomplete);
        }
        while self.progress.step < self.steps.len() {
            match self.take_step(input, at_end) {
                Ok(Pace::Goes) => self.progress.step += 1,
                Ok(Pace::Waits) => return Ok(Decoded::Incomplete),
                Err(error) => {
                    self.progress = Progress::default();
                    return Err(error);
                }
            }
        }
        let progress = std::mem::take(&mut self.progress);
        let used = progress.at;
        let record = self.record(progress, input)?;
        Ok(Decoded::Record { record, used })
    }

    fn take_step(&mut self, input: &[u8], at_end: bool) -> Result<Pace, DecodeError> {
        let rest = &input[self.progress.at..];
        match &self.steps[self.progress.step] {
            Step::Literal(..) => self.take_text(rest, at_end),
            Step::Run(field) => self.take_run(*field, rest, at_end),
            Step::Length32 => match rest.first_chunk() {
                Some(bytes) => {
                    self.progress.at += bytes.len();
                    let len = i64::from(i32::from_be_bytes(*bytes));
                    self.progress.set_len(Field::ValueLen32, len)?;
                    Ok(Pace::Goes)
                }
                None => self.wait(Field::ValueLen32, at_end),
            },
            Step::Framed(field) => self.take_framed(*field, input, at_end),
            Step::Until(field) => self.take_until(*field, input, at_end),
        }
    }

    fn is_last(&self, step: usize) -> bool {
        step + 1 == self.steps.len()
    }

    /// More bytes are needed: an error where none will come.
    fn wait(&self, field: Field, at_end: bool) -> Result<Pace, DecodeError> {
        if at_end {
            Err(cut_short(field.token(), self.progress.at))
        } else {
            Ok(Pace::Waits)
        }
    }

    fn take_text(&mut self, rest: &[u8], at_end: bool) -> Result<Pace, DecodeError> {
        let Step::Literal(text, _) = &self.steps[self.progress.step] else {
            return Ok(Pace::Goes);
        };
        let here = &rest[..rest.len().min(text.len())];
        if here == text {
            self.progress.at += text.len();
            return Ok(Pace::Goes);
        }
        let same = here.iter().zip(text).take_while(|(a, b)| a == b).count();
        if same < here.len() {
            let problem = format!(
                "expected \"{}\", found \"{}\"",
                text.escape_ascii(),
                // No more than is needed, so that it does not depend on how much is there.
                here[..=same].escape_ascii()
            );
            return Err(DecodeError::new("", problem).at(self.progress.at + same));
        }
        match (at_end, here.is_empty() && self.is_last(self.progress.step)) {
            (false, _) => Ok(Pace::Waits),
            // A last record may lack the text that ends it.
            (true, true) => Ok(Pace::Goes),
            (true, false) => Err(cut_short("", self.progress.at + same)),
        }
    }

    fn take_run(&mut self, field: Field, rest: &[u8], at_end: bool) -> Result<Pace, DecodeError> {
        let sign = usize::from(rest.first() == Some(&b'-'));
        let len = sign
            + rest[sign..]
                .iter()
                .take(MAX_RUN)
                .take_while(|byte| field.may_hold(**byte))
                .count();
        if len == rest.len() && (!at_end || len == 0) {
            return self.wait(field, at_end);
        }
        let start = self.progress.at;
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
        self.progress.at += len;
        self.progress.set_number(field, number)?;
        Ok(Pace::Goes)
    }

    fn take_framed(
        &mut self,
        field: Field,
        input: &[u8],
        at_end: bool,
    ) -> Result<Pace, DecodeError> {
        let part = self.progress.part(field);
        let len = match usize::try_from(part.said_len.unwrap_or(-1)) {
            Ok(len) => len,
            // NULL: nothing, or under -Z the word.
            Err(_) if self.null_text => NULL_TEXT.len(),
            Err(_) => 0,
        };
        let start = self.progress.at;
        let end = start + len;
        if input.len() < end {
            return self.wait(field, at_end);
        }
        self.progress.at = end;
        self.progress.set_place(field, start..end, input)?;
        Ok(Pace::Goes)
    }

    fn take_until(
        &mut self,
        field: Field,
        input: &[u8],
        at_end: bool,
    ) -> Result<Pace, DecodeError> {
        let next = self.progress.step + 1;
        let Some(Step::Literal(_, needle)) = self.steps.get(next) else {
            return Err(cut_short(field.token(), self.progress.at));
        };
        let start = self.progress.at;
        let from = start + self.progress.searched;
        let end = match needle.find(&input[from..]) {
            Some(found) => from + found,
            None if !at_end => {
                // The last bytes may be the first ones of the text.
                let searched = (input.len() - start).saturating_sub(needle.len() - 1);
                self.progress.searched = searched.max(self.progress.searched);
                return Ok(Pace::Waits);
            }
            None if self.is_last(next) => input.len(),
            None => return Err(cut_short(field.token(), start)),
        };
        self.progress.searched = 0;
        self.progress.at = end;
        self.progress.set_place(field, start..end, input)?;
        Ok(Pace::Goes)
    }

    fn record<'a>(
        &self,
        progress: Progress,
        input: &'a [u8],
    ) -> Result<DecodedRecord<'a>, DecodeError> {
        let topic = progress
            .topic
            .map(|place| std::str::from_utf8(&input[place]));
        let topic = topic.transpose();
        let topic = topic.map_err(|_| DecodeError::new("%t", "the topic is not UTF-8"))?;
        let partition = known(Field::Partition, progress.partition)?.map(i32::try_from);
        let fields = Record {
            topic: topic.filter(|topic| !topic.is_empty()),
            partition: partition
                .transpose()
                .map_err(|_| DecodeError::new("%p", "there is no such partition"))?,
            offset: known(Field::Offset, progress.offset)?,
            timestamp_ms: progress.timestamp_ms.filter(|ms| *ms != -1),
            key: self.bytes(Field::Key, progress.key, input)?,
            value: self.bytes(Field::Value, progress.value, input)?,
            ..Record::default()
        };
        let headers = match progress.headers {
            Some(place) => headers(&input[place.clone()], place.start)?,
            None => Vec::new(),
        };
        Ok(DecodedRecord::with_headers(fields, headers))
    }

    fn bytes<'a>(
        &self,
        field: Field,
        part: Part,
        input: &'a [u8],
    ) -> Result<Option<&'a [u8]>, DecodeError> {
        let Some(place) = part.place else {
            return Ok(None);
        };
        let start = place.start;
        let bytes = &input[place];
        let null: &[u8] = if self.null_text { NULL_TEXT } else { b"" };
        match part.said_len {
            Some(-1) if bytes == null => Ok(None),
            Some(len) if usize::try_from(len) != Ok(bytes.len()) => {
                let problem = format!("{} bytes, but its length is said to be {len}", bytes.len());
                Err(DecodeError::new(field.token(), problem).at(start))
            }
            None if self.null_text && bytes == NULL_TEXT => Ok(None),
            _ => Ok(Some(bytes)),
        }
    }
}

/// A partition or offset; -1 says that it is not known.
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
            Ok(Header {
                name: &item[..equals],
                value: (value != NULL_TEXT).then_some(value),
            })
        })
        .collect()
}

fn cut_short(token: &'static str, index: usize) -> DecodeError {
    DecodeError::new(token, "the input ends in the middle of a record").at(index)
}

#[cfg(test)]
mod tests;
