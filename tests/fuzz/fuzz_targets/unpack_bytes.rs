//! No pack and no bytes make `-s` panic, and its numbers are the bytes: packed again they are what they were.
//!
//! The first line of the input is the pack. Run it from the root of the
//! repository: `.ci/fuzz unpack_bytes`

#![no_main]
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the modules are the library's own"
)]

// The module names the library `tools`; here that is what stands below.
extern crate self as tools;

#[path = "../../../kcat-lite/unpack.rs"]
mod unpack;
#[path = "../../../tools"]
mod library {
    pub mod record;
    pub mod text;
    pub mod units;
}

use library::{record, text, units};
use libfuzzer_sys::fuzz_target;
use record::Record;
use unpack::Unpack;

fuzz_target!(|data: &[u8]| {
    let Some(newline) = data.iter().position(|&byte| byte == b'\n') else {
        return;
    };
    let (pack, bytes) = (&data[..newline], &data[newline + 1..]);
    let Ok(pack) = std::str::from_utf8(pack) else {
        return;
    };
    let Ok(unpack) = Unpack::parse(&[format!("value={pack}")]) else {
        return;
    };
    let record = Record {
        key: Some(bytes),
        value: Some(bytes),
        ..Record::default()
    };
    let text = unpack.apply(&record, |record| {
        assert_eq!(record.key, Some(bytes), "the key has no pack");
        record.value.map(<[u8]>::to_vec)
    });
    // Between blanks stands one number each; then it can be packed again.
    let is_numbers = pack.split(' ').all(|part| {
        let part = part.trim_start_matches(['<', '>']);
        part.len() == 1 && "bBhHiIqQ".contains(part)
    });
    if let (Ok(Some(text)), true) = (text, is_numbers) {
        let text = String::from_utf8(text).expect("numbers and blanks");
        let again = pack_again(pack, &text);
        assert_eq!(bytes.get(..again.len()), Some(&again[..]));
    }
});

fn pack_again(pack: &str, text: &str) -> Vec<u8> {
    let (mut bytes, mut little) = (Vec::new(), false);
    for (part, number) in pack.split(' ').zip(text.split(' ')) {
        let number: i128 = number.parse().expect("a number");
        for token in part.chars() {
            let size = match token {
                '<' | '>' => {
                    little = token == '<';
                    continue;
                }
                'b' | 'B' => 1,
                'h' | 'H' => 2,
                'i' | 'I' => 4,
                _ => 8,
            };
            if little {
                bytes.extend(&number.to_le_bytes()[..size]);
            } else {
                bytes.extend(&number.to_be_bytes()[16 - size..]);
            }
        }
    }
    bytes
}
