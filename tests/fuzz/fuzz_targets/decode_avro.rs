//! No schema and no bytes make the decoder panic, and what it decodes is encoded to a value that decodes to the same.
//!
//! The first line of the input is the schema. Run it from the root of the
//! repository: `.ci/fuzz decode_avro`

#![no_main]
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the modules are the library's own"
)]

#[path = "../../../tools"]
mod library {
    pub mod text;
}
use library::text;

/// The pure part of tools/schema.
#[path = "../../../tools/schema"]
mod schema {
    pub mod avro;
    pub mod json;
    mod mismatch;

    pub use mismatch::Mismatch;

    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub enum JsonStyle {
        #[default]
        Tagged,
        Plain,
    }
}

use libfuzzer_sys::fuzz_target;
use schema::{JsonStyle, avro, json};

fuzz_target!(|data: &[u8]| {
    let Some(newline) = data.iter().position(|&byte| byte == b'\n') else {
        return;
    };
    let (text, bytes) = (&data[..newline], &data[newline + 1..]);
    let Some(schema) = std::str::from_utf8(text)
        .ok()
        .and_then(|text| avro::Schema::parse(text, &[]).ok())
    else {
        return;
    };
    for style in [JsonStyle::Tagged, JsonStyle::Plain] {
        let mut first = Vec::new();
        if schema.decode(bytes, style, &mut first).is_err() || first.len() > 100_000 {
            continue;
        }
        let value = json::parse(&first).expect("what is decoded is JSON");
        let mut again = Vec::new();
        // Plain values may fit more than one branch, and a map may have a key twice.
        if schema.encode(&value, style, &mut again).is_ok() {
            let mut second = Vec::new();
            schema
                .decode(&again, style, &mut second)
                .expect("what is encoded is a value");
            assert_eq!(json::parse(&second).expect("JSON"), value);
        }
    }
});
