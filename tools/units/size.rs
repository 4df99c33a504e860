//! Sizes in bytes: `64M`, `1GB`.

/// The letters of the units, each 1024 (or 1000) times the one before it.
const UNITS: [char; 6] = ['K', 'M', 'G', 'T', 'P', 'E'];

/// A number of bytes: `4096`, `100k`, `64M`, `1.5GiB`, `1GB`.
///
/// As GNU coreutils have it: `K`, `M`, ... and `KiB`, `MiB`, ... are powers
/// of 1024, `KB`, `MB`, ... powers of 1000. Case does not matter. A fraction
/// is cut off at a whole byte.
///
/// # Errors
/// A sentence that shows what a size looks like.
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
        .and_then(|bytes| u64::try_from(bytes + fraction_bytes).ok())
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
/// below 10; cut off, not rounded, so that a limit never looks reached before
/// it is. [`parse_size`] reads it back.
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
