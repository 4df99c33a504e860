//! Whole numbers, parsed whole.

use std::num::IntErrorKind;
use std::str::FromStr;

/// A whole number in decimal digits, `-` before it if `T` has negative numbers.
///
/// Stricter than [`str::parse`]: no `+`. The error is a sentence for a user.
///
/// # Errors
/// Anything else, blanks included, and what `T` cannot hold.
pub fn parse_whole<T>(text: &str) -> Result<T, String>
where
    T: FromStr<Err = std::num::ParseIntError>,
{
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("{text:?} is not a whole number"));
    }
    text.parse()
        .map_err(|error: std::num::ParseIntError| match error.kind() {
            IntErrorKind::PosOverflow => format!("{text} is too large"),
            IntErrorKind::NegOverflow => format!("{text} is too small"),
            // The digits were checked, so this is the sign of an unsigned type.
            _ => format!("{text} is below 0"),
        })
}
