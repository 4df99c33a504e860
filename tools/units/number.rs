//! Whole numbers, parsed whole.

use std::num::IntErrorKind;
use std::str::FromStr;

/// A whole number in decimal digits, `-` before it if `T` has negative numbers.
///
/// Stricter than [`str::parse`]: no `+`. The error is a sentence for a user.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_parsed_whole() {
        assert_eq!(parse_whole("0"), Ok(0u64));
        assert_eq!(parse_whole("-9223372036854775808"), Ok(i64::MIN));
        assert_eq!(parse_whole("007"), Ok(7i32));
    }

    #[test]
    fn anything_else_is_refused_with_its_reason() {
        for text in [
            "", "-", "+1", " 1", "1 ", "1x", "x", "0x1", "1.0", "1e3", "--1", "١",
        ] {
            let reason = format!("{text:?} is not a whole number");
            assert_eq!(parse_whole::<i64>(text), Err(reason));
        }
        assert_eq!(
            parse_whole::<i32>("2147483648"),
            Err("2147483648 is too large".into())
        );
        assert_eq!(
            parse_whole::<i32>("-2147483649"),
            Err("-2147483649 is too small".into())
        );
        assert_eq!(parse_whole::<u32>("-1"), Err("-1 is below 0".into()));
    }
}
