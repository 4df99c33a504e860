//! Logical types: what a number or bytes mean. One that does not fit its type is ignored, as the specification says.

use std::fmt;

use serde_json::{Map, Value};

use super::Kind;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Logical {
    Date,
    TimeMillis,
    TimeMicros,
    /// A time of the time line, in parts of a second.
    Timestamp(Unit),
    /// A time of the calendar, in parts of a second.
    LocalTimestamp(Unit),
    Decimal {
        precision: usize,
        scale: usize,
    },
    Uuid,
    Duration,
}

/// Parts of a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Millis,
    Micros,
    Nanos,
}

impl Unit {
    pub(super) const fn nanos(self) -> i128 {
        match self {
            Unit::Millis => 1_000_000,
            Unit::Micros => 1_000,
            Unit::Nanos => 1,
        }
    }
}

impl Logical {
    /// The logical type of a schema, if it is one for this type.
    pub(super) fn of(object: &Map<String, Value>, kind: &Kind) -> Option<Logical> {
        let name = object.get("logicalType")?.as_str()?;
        let number = |name| object.get(name).and_then(Value::as_u64);
        match (name, kind) {
            ("date", Kind::Int) => Some(Logical::Date),
            ("time-millis", Kind::Int) => Some(Logical::TimeMillis),
            ("time-micros", Kind::Long) => Some(Logical::TimeMicros),
            ("timestamp-millis", Kind::Long) => Some(Logical::Timestamp(Unit::Millis)),
            ("timestamp-micros", Kind::Long) => Some(Logical::Timestamp(Unit::Micros)),
            ("timestamp-nanos", Kind::Long) => Some(Logical::Timestamp(Unit::Nanos)),
            ("local-timestamp-millis", Kind::Long) => Some(Logical::LocalTimestamp(Unit::Millis)),
            ("local-timestamp-micros", Kind::Long) => Some(Logical::LocalTimestamp(Unit::Micros)),
            ("local-timestamp-nanos", Kind::Long) => Some(Logical::LocalTimestamp(Unit::Nanos)),
            ("uuid", Kind::Fixed(16)) => Some(Logical::Uuid),
            ("duration", Kind::Fixed(12)) => Some(Logical::Duration),
            ("decimal", Kind::Bytes | Kind::Fixed(_)) => {
                let precision = usize::try_from(number("precision")?).ok()?;
                let scale = usize::try_from(number("scale").unwrap_or(0)).ok()?;
                let is_valid = precision > 0 && scale <= precision && precision <= MAX_PRECISION;
                is_valid.then_some(Logical::Decimal { precision, scale })
            }
            _ => None,
        }
    }
}

/// More digits than any database has; it bounds the time that a hostile schema takes.
const MAX_PRECISION: usize = 10_000;

impl fmt::Display for Logical {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Logical::Date => f.write_str("date"),
            Logical::TimeMillis | Logical::TimeMicros => f.write_str("time of day"),
            Logical::Timestamp(_) => f.write_str("timestamp"),
            Logical::LocalTimestamp(_) => f.write_str("local timestamp"),
            Logical::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            Logical::Uuid => f.write_str("uuid"),
            Logical::Duration => f.write_str("duration"),
        }
    }
}
