//! A record that is decoded in part.

use std::ops::Range;

use super::super::super::DecodeError;
use super::super::Field;

/// How far the first record of the input is decoded, and its fields so far; ranges count from its start.
#[derive(Clone, Debug, Default)]
pub(super) struct PartialRecord {
    /// The index of the next token.
    pub(super) token: usize,
    pub(super) at: usize,
    /// How many bytes after `at` do not contain the literal that ends the field.
    pub(super) searched: usize,
    pub(super) topic: Option<Range<usize>>,
    pub(super) partition: Option<i64>,
    pub(super) offset: Option<i64>,
    pub(super) timestamp_ms: Option<i64>,
    pub(super) headers: Option<Range<usize>>,
    pub(super) key: PartialField,
    pub(super) value: PartialField,
}

#[derive(Clone, Debug, Default)]
pub(super) struct PartialField {
    pub(super) range: Option<Range<usize>>,
    /// The length before or after it, -1 for NULL.
    pub(super) declared_len: Option<i64>,
}

impl PartialRecord {
    pub(super) fn field(&mut self, field: Field) -> &mut PartialField {
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
        set_once(field, &mut self.field(field).declared_len, len, at)
    }

    pub(super) fn set_number(&mut self, field: Field, number: i64) -> Result<(), DecodeError> {
        let slot = match field {
            Field::Partition => &mut self.partition,
            Field::Offset => &mut self.offset,
            Field::Timestamp | Field::Time => &mut self.timestamp_ms,
            // It is the group's, not the record's.
            Field::DeliveryCount => return Ok(()),
            _ => return self.set_len(field, number),
        };
        set_once(field, slot, number, self.at)
    }

    pub(super) fn set_range(
        &mut self,
        field: Field,
        range: Range<usize>,
        input: &[u8],
    ) -> Result<(), DecodeError> {
        let slot = match field {
            Field::Topic => &mut self.topic,
            Field::Headers => &mut self.headers,
            _ => &mut self.field(field).range,
        };
        match slot {
            Some(before) if input[before.clone()] != input[range.clone()] => {
                let problem = "differs from what it was before in the same record";
                Err(DecodeError::new(field.token(), problem).at(range.start))
            }
            _ => {
                *slot = Some(range);
                Ok(())
            }
        }
    }
}

/// Sets a number. If the template has it twice, both must be equal.
fn set_once(field: Field, slot: &mut Option<i64>, new: i64, at: usize) -> Result<(), DecodeError> {
    match slot.replace(new) {
        Some(before) if before != new => {
            let problem = format!("{new}, but it was {before} before in the same record");
            Err(DecodeError::new(field.token(), problem).at(at))
        }
        _ => Ok(()),
    }
}
