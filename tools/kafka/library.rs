//! Which librdkafka this is, and what it was built with.
#![allow(unsafe_code)]

use super::ffi;
use super::options::Conf;

/// The version that librdkafka reports: `2.12.1`.
pub fn version() -> String {
    // SAFETY: a static text.
    unsafe { ffi::text(ffi::rd_kafka_version_str()) }
}

/// What it was built with, as its property `builtin.features` lists it: `gzip`, `ssl`, `sasl_plain`, ...; with ours.
pub fn features() -> Vec<String> {
    let default = Conf::new().get("builtin.features").unwrap_or_default();
    let ours = cfg!(feature = "oidc").then_some("oidc");
    let all = default
        .split(',')
        .filter(|name| *name != "oidc")
        .chain(ours)
        .chain(OF_SCHEMAS.iter().copied());
    all.map(ToOwned::to_owned).collect()
}

/// The serializations of kcat-lite's `-s`.
const OF_SCHEMAS: &[&str] = if cfg!(feature = "schema-registry") {
    &["avro", "protobuf", "json-schema"]
} else {
    &[]
};

#[cfg(test)]
mod tests {
    use super::{features, version};

    #[test]
    fn every_codec_and_password_login_are_built_in() {
        let features = features();
        for needed in [
            "gzip",
            "snappy",
            "lz4",
            "zstd",
            "ssl",
            "sasl_plain",
            "sasl_scram",
        ] {
            assert!(
                features.iter().any(|f| f == needed),
                "{needed}: {features:?}"
            );
        }
    }

    #[test]
    fn the_library_is_the_one_that_this_was_written_against() {
        assert!(version().starts_with("2.12."), "{}", version());
    }
}
