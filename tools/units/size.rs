//! Sizes in bytes: `64M`, `1GB`.

/// The letters of the units, each 1024 (or 1000) times the one before it.
const UNITS: [char; 6] = ['K', 'M', 'G', 'T', 'P', 'E'];

/// A number of bytes: `4096`, `100k`, `64M`, `1.5GiB`, `1GB`.
///
/// As GNU coreutils have it: `K`, `M`, ... and `KiB`, `MiB`, ... are powers
/// of 1024, `KB`, `MB`, ... powers of 1000. Case does not matter. A fraction
/// is cut off at a whole byte.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let refused = || format!("{text:?} is not a size (write it as 4096, 100k, 64M, 1GB or 1.5GiB)");
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let unit = unit_bytes(suffix).ok_or_else(refused)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 18 {
        return Err(refused());
    }
    let too_large = || format!("{text} is too large");
    let whole: u128 = whole.parse().map_err(|_| too_large())?;
    let fraction_bytes =
        fraction.parse::<u128>().map_err(|_| refused())? * unit / 10u128.pow(fraction.len() as u32);
    whole
        .checked_mul(unit)
        .and_then(|bytes| bytes.checked_add(fraction_bytes))
        .and_then(|bytes| u64::try_from(bytes).ok())
        .ok_or_else(too_large)
}

fn unit_bytes(suffix: &str) -> Option<u128> {
    let suffix = suffix.to_ascii_uppercase();
    let mut letters = suffix.chars();
    let power = match letters.next() {
        None => return Some(1),
        Some('B') if suffix.len() == 1 => return Some(1),
        Some(letter) => UNITS.iter().position(|unit| *unit == letter)? as u32 + 1,
    };
    match letters.as_str() {
        "" | "IB" => Some(1024u128.pow(power)),
        "B" => Some(1000u128.pow(power)),
        _ => None,
    }
}

/// A size for people, in powers of 1024: `512`, `1.5K`, `64M`. One decimal
/// below 10, rounded down, so that a limit never looks reached too early.
/// [`parse_size`] reads it back.
pub fn format_size(bytes: u64) -> String {
    let mut unit_bytes = 1;
    let mut letter = None;
    for unit in UNITS {
        if bytes / unit_bytes < 1024 {
            break;
        }
        unit_bytes *= 1024;
        letter = Some(unit);
    }
    let Some(letter) = letter else {
        return bytes.to_string();
    };
    let whole = bytes / unit_bytes;
    // A tenth of an exbibyte times ten still fits: only the rest is multiplied.
    let tenths = (u128::from(bytes % unit_bytes) * 10 / u128::from(unit_bytes)) as u64;
    if whole >= 10 || tenths == 0 {
        format!("{whole}{letter}")
    } else {
        format!("{whole}.{tenths}{letter}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn letters_are_powers_of_1024_as_gnu_has_them() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("4096B", 4096),
            ("100k", 102_400),
            ("64M", 67_108_864),
            ("1KiB", 1024),
            ("1KB", 1000),
            ("1kb", 1000),
            ("1GB", 1_000_000_000),
            ("1.5GiB", 1_610_612_736),
            ("0.5", 0),
            ("2T", 2_199_023_255_552),
            ("15E", 17_293_822_569_102_704_640),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_its_reason() {
        for text in [
            "", "M", "1x", "1MM", "-1", "+1", "1 M", "1.", ".5M", "1.5.5", "1Mi", "1e3",
        ] {
            assert_eq!(
                parse_size(text),
                Err(format!(
                    "{text:?} is not a size (write it as 4096, 100k, 64M, 1GB or 1.5GiB)"
                ))
            );
        }
        for text in [
            "16E",
            "18446744073709551616",
            "99999999999999999999999999999999999999999",
            "340282366920938463463374607431768211.999KB",
            "340282366920938463463374607431768211455.9",
        ] {
            assert_eq!(parse_size(text), Err(format!("{text} is too large")));
        }
    }

    #[test]
    fn sizes_are_short() {
        for (bytes, text) in [
            (0, "0"),
            (1023, "1023"),
            (1024, "1K"),
            (1536, "1.5K"),
            (10_239, "9.9K"),
            (67_108_864, "64M"),
            (1_048_575, "1023K"),
            (u64::MAX, "15E"),
        ] {
            assert_eq!(format_size(bytes), text);
        }
    }

    proptest! {
        #[test]
        fn a_size_is_shown_at_most_a_tenth_too_low(bytes: u64) {
            let read = parse_size(&format_size(bytes)).expect("what is printed is read");
            prop_assert!(read <= bytes);
            prop_assert!(bytes - read <= bytes / 10, "{} {}", bytes, format_size(bytes));
        }
    }
}
