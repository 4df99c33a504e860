//! Hexadecimal digits.

/// The digits in lower case.
pub const LOWER: &[u8; 16] = b"0123456789abcdef";
/// The digits in upper case.
pub const UPPER: &[u8; 16] = b"0123456789ABCDEF";

/// The two digits of a byte; `digits` is [`LOWER`] or [`UPPER`].
#[inline]
pub fn hex_digits(byte: u8, digits: &[u8; 16]) -> [u8; 2] {
    [byte >> 4, byte & 15].map(|digit| digits[usize::from(digit)])
}

/// The byte of two digits in either case.
#[inline]
pub fn hex_byte(digits: &[u8]) -> Option<u8> {
    let &[high, low] = digits else { return None };
    Some(hex_value(high)? << 4 | hex_value(low)?)
}

#[inline]
fn hex_value(digit: u8) -> Option<u8> {
    // A table: no branch predictor foresees the digits of binary data.
    const NONE: u8 = 16;
    const VALUES: [u8; 256] = {
        let mut values = [NONE; 256];
        let mut value = 0;
        while value < 16 {
            values[LOWER[value] as usize] = value as u8;
            values[UPPER[value] as usize] = value as u8;
            value += 1;
        }
        values
    };
    let value = VALUES[usize::from(digit)];
    (value != NONE).then_some(value)
}
