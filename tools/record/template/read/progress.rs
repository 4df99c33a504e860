//! How far a record was read, and what it said so far.

use std::ops::Range;

use super::super::super::DecodeError;
use super::super::Field;

/// How far the first record of the input was read; places count from its start.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    pub(super) step: usize,
    pub(super) at: usize,
    /// How much behind `at` was searched for the text that ends a field.
    pub(super) searched: usize,
    pub(super) topic: Option<Range<usize>>,
    pub(super) partition: Option<i64>,
    pub(super) offset: Option<i64>,
    pub(super) timestamp_ms: Option<i64>,
    pub(super) headers: Option<Range<usize>>,
    pub(super) key: Part,
    pub(super) value: Part,
}

/// A key or value.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    pub(super) place: Option<Range<usize>>,
    /// The length that was said before or after, -1 for NULL.
    pub(super) said_len: Option<i64>,
}

impl Progress {
    pub(super) fn part(&mut self, field: Field) -> &mut Part {
        match field {
            Field::Key | Field::KeyLen => &mut self.key,
            _ => &mut self.value,
        }
    }

    pub(super) fn set_len(&mut self, field: Field, len: i64) -> Result<(), DecodeError> {
        // Kafka's own lengths are 32 bits wide.
        if !(-1..=i64::from(i32::MAX)).contains(&len) {
            return Err(DecodeError::new(
                field.token(),
                format!("{len} is not a length"),
            ));
        }
        let at = self.at;
        agree(field, &mut self.part(field).said_len, len, at)
    }

    pub(super) fn set_number(&mut self, field: Field, number: i64) -> Result<(), DecodeError> {
        let slot = match field {
            Field::Partition => &mut self.partition,
            Field::Offset => &mut self.offset,
            Field::Timestamp | Field::Time => &mut self.timestamp_ms,
            _ => return self.set_len(field, number),
        };
        agree(field, slot, number, self.at)
    }

    pub(super) fn set_place(
        &mut self,
        field: Field,
        place: Range<usize>,
        input: &[u8],
    ) -> Result<(), DecodeError> {
        let slot = match field {
            Field::Topic => &mut self.topic,
            Field::Headers => &mut self.headers,
            _ => &mut self.part(field).place,
        };
        match slot {
            Some(before) if input[before.clone()] != input[place.clone()] => {
                let problem = "differs from what it was before in the same record";
                Err(DecodeError::new(field.token(), problem).at(place.start))
            }
            _ => {
                *slot = Some(place);
                Ok(())
            }
        }
    }
}

/// A number that the template has twice, or as two tokens, must be the same.
fn agree(field: Field, slot: &mut Option<i64>, new: i64, at: usize) -> Result<(), DecodeError> {
    match slot.replace(new) {
        Some(before) if before != new => {
            let problem = format!("{new}, but it was {before} before in the same record");
            Err(DecodeError::new(field.token(), problem).at(at))
        }
        _ => Ok(()),
    }
}
