//! Decimals: two's complement, big-endian, of any length, with a scale; and their digits.

/// The digits of a number. Its time is quadratic in the length, which a schema bounds by its precision.
pub(super) fn text_of(bytes: &[u8], scale: usize) -> String {
    let is_negative = bytes.first().is_some_and(|&first| first >= 128);
    let mut magnitude = bytes.to_vec();
    if is_negative {
        negate(&mut magnitude);
    }
    let mut digits = Vec::new();
    while magnitude.iter().any(|&byte| byte != 0) {
        let remainder = divide_by_ten(&mut magnitude);
        digits.push(char::from(b'0' + remainder));
    }
    while digits.len() <= scale {
        digits.push('0');
    }
    let mut text = String::with_capacity(digits.len() + 2);
    if is_negative {
        text.push('-');
    }
    let point = digits.len() - scale;
    for (at, &digit) in digits.iter().rev().enumerate() {
        if at == point {
            text.push('.');
        }
        text.push(digit);
    }
    text
}

/// The fewest bytes of a number with this scale, or why there are none.
pub(super) fn bytes_of(text: &str, precision: usize, scale: usize) -> Result<Vec<u8>, String> {
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !are_digits(whole) || !are_digits(fraction) {
        return Err(format!("{text:?} is no decimal number"));
    }
    let kept = fraction.trim_end_matches('0');
    if kept.len() > scale {
        return Err(format!(
            "{text} has more than {scale} digits behind the point"
        ));
    }
    let zeros = std::iter::repeat_n(b'0', scale - kept.len());
    let digits: Vec<u8> = whole
        .bytes()
        .chain(kept.bytes())
        .chain(zeros)
        .skip_while(|&digit| digit == b'0')
        .collect();
    if digits.len() > precision {
        return Err(format!("{text} has more than {precision} digits"));
    }
    // The sign's byte is the first one.
    let mut bytes = vec![0];
    for digit in digits {
        multiply_by_ten(&mut bytes, digit - b'0');
    }
    if is_negative {
        negate(&mut bytes);
    }
    let is_redundant = |pair: &[u8]| matches!((pair[0], pair[1]), (0, 0..=127) | (255, 128..=255));
    let redundant = bytes.windows(2).take_while(|pair| is_redundant(pair));
    let redundant = redundant.count();
    bytes.drain(..redundant);
    Ok(bytes)
}

/// A number with the sign in front, to fill this size.
pub(super) fn extended(bytes: &[u8], size: usize) -> Option<Vec<u8>> {
    let missing = size.checked_sub(bytes.len())?;
    let sign = if bytes.first().is_some_and(|&first| first >= 128) {
        255
    } else {
        0
    };
    Some(
        std::iter::repeat_n(sign, missing)
            .chain(bytes.iter().copied())
            .collect(),
    )
}

fn negate(bytes: &mut [u8]) {
    let mut carry = true;
    for byte in bytes.iter_mut().rev() {
        (*byte, carry) = (!*byte).overflowing_add(carry.into());
    }
}

/// Divides in place, and returns the remainder.
fn divide_by_ten(bytes: &mut [u8]) -> u8 {
    bytes.iter_mut().fold(0, |remainder, byte| {
        let dividend = u16::from(remainder) << 8 | u16::from(*byte);
        *byte = (dividend / 10) as u8;
        (dividend % 10) as u8
    })
}

fn multiply_by_ten(bytes: &mut Vec<u8>, digit: u8) {
    let mut carry = u16::from(digit);
    for byte in bytes.iter_mut().rev() {
        let product = u16::from(*byte) * 10 + carry;
        *byte = product as u8;
        carry = product >> 8;
    }
    if carry > 0 {
        bytes.insert(0, carry as u8);
    }
    if bytes[0] >= 128 {
        bytes.insert(0, 0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn digits_are_those_of_java() {
        assert_eq!(text_of(&[4, 210], 2), "12.34");
        assert_eq!(text_of(&[0xfb, 0x2e], 2), "-12.34");
        assert_eq!(text_of(&[], 0), "0");
        assert_eq!(text_of(&[5], 3), "0.005");
        assert_eq!(bytes_of("12.34", 4, 2), Ok(vec![4, 210]));
        assert_eq!(bytes_of("-12.340", 4, 2), Ok(vec![0xfb, 0x2e]));
        assert_eq!(bytes_of("0", 4, 2), Ok(vec![0]));
        assert_eq!(bytes_of("128", 4, 0), Ok(vec![0, 128]));
        assert_eq!(bytes_of("-128", 4, 0), Ok(vec![128]));
        for wrong in ["12.345", "12345", "", "-", ".5", "1e3", "+1", "1.2.3"] {
            assert!(bytes_of(wrong, 4, 2).is_err(), "{wrong}");
        }
        assert_eq!(extended(&[0xfb, 0x2e], 4), Some(vec![255, 255, 0xfb, 0x2e]));
        assert_eq!(extended(&[1, 2], 1), None);
    }

    proptest! {
        #[test]
        fn every_number_comes_back(number in any::<i128>(), scale in 0usize..45) {
            let text = text_of(&number.to_be_bytes(), scale);
            let bytes = bytes_of(&text, 100, scale).expect("a number");
            prop_assert_eq!(extended(&bytes, 16), Some(number.to_be_bytes().to_vec()));
            let plain = text_of(&number.to_be_bytes(), 0);
            prop_assert_eq!(plain, number.to_string());
        }
    }
}
