//! librdkafka's configuration object.
#![allow(unsafe_code)]

use std::ffi::CString;

use super::{Options, OptionsError, Source, registry, table};
use crate::kafka::ffi;
use crate::near::nearest;

/// A configuration that is not yet a client.
pub(crate) struct Conf {
    ptr: *mut ffi::rd_kafka_conf_t,
}

impl Conf {
    /// librdkafka's defaults.
    pub(crate) fn new() -> Conf {
        // SAFETY: allocates; librdkafka ends the process when it can't.
        let ptr = unsafe { ffi::rd_kafka_conf_new() };
        Conf { ptr }
    }

    /// All of `options`, each checked again in the company of the others.
    pub(crate) fn build(options: &Options) -> Result<Conf, OptionsError> {
        let conf = Conf::new();
        for (name, value, source) in options.iter().filter(|(name, ..)| !is_own(name)) {
            let fail = |reason| OptionsError::Property(Source::clone(source), reason);
            conf.set(name, value).map_err(fail)?;
        }
        Ok(conf)
    }

    fn set(&self, name: &str, value: &str) -> Result<(), String> {
        let nul = |_| format!("{name}: a NUL byte can't be in a property");
        let name_c = CString::new(name).map_err(nul)?;
        let value_c = CString::new(value).map_err(nul)?;
        let mut reason = [0u8; 512];
        // SAFETY: `ptr` is a live configuration, the strings are NUL-terminated, the buffer's size is passed.
        let result = unsafe {
            ffi::rd_kafka_conf_set(
                self.ptr,
                name_c.as_ptr(),
                value_c.as_ptr(),
                reason.as_mut_ptr().cast(),
                reason.len(),
            )
        };
        match result {
            ffi::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK => Ok(()),
            ffi::rd_kafka_conf_res_t::RD_KAFKA_CONF_UNKNOWN => {
                let hint = match super::java::equivalent(name) {
                    Some(ours) => format!("here it is {ours}"),
                    None if super::java::concerns_only_java(name) => {
                        "it concerns only Java's clients; leave it out".to_owned()
                    }
                    None => match nearest(name, table::names()) {
                        Some(near) => format!("is {near} meant? -X list shows all"),
                        None => "-X list shows all".to_owned(),
                    },
                };
                Err(format!("no such property: {name} ({hint})"))
            }
            ffi::rd_kafka_conf_res_t::RD_KAFKA_CONF_INVALID => {
                let reason = ffi::buffer_text(&reason);
                let reason = reason.trim_end();
                Err(match table::range(name) {
                    // A number out of range is refused with the range.
                    Some(accepted) if !reason.contains("range") => {
                        format!("{reason}: {accepted} is expected")
                    }
                    _ => reason.to_owned(),
                })
            }
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let rows = self.dump();
        rows.into_iter().find(|row| row.0 == name).map(|row| row.1)
    }

    /// Every property with its value; topic properties behind the global ones.
    pub(super) fn dump(&self) -> Vec<(String, String)> {
        let mut count = 0;
        let mut rows = Vec::new();
        // SAFETY: `ptr` is live; dump returns `count` strings, name and value in turn, freed below.
        unsafe {
            let topic = ffi::rd_kafka_conf_get_default_topic_conf(self.ptr);
            let global = ffi::rd_kafka_conf_dump(self.ptr, &raw mut count);
            take_rows(global, count, &mut rows);
            if !topic.is_null() {
                let of_topic = ffi::rd_kafka_topic_conf_dump(topic, &raw mut count);
                take_rows(of_topic, count, &mut rows);
            }
        }
        rows
    }

    pub(crate) fn as_ptr(&self) -> *mut ffi::rd_kafka_conf_t {
        self.ptr
    }
}

impl Drop for Conf {
    fn drop(&mut self) {
        // SAFETY: `ptr` is live and ours; what was given to `rd_kafka_new` is forgotten and not dropped.
        unsafe { ffi::rd_kafka_conf_destroy(self.ptr) }
    }
}

/// # Safety
/// `dump` holds `count` strings and comes from one of the dump functions.
unsafe fn take_rows(
    dump: *mut *const std::ffi::c_char,
    count: usize,
    rows: &mut Vec<(String, String)>,
) {
    for pair in 0..count / 2 {
        // SAFETY: the caller's promise: both indices are below `count`.
        let (name, value) = unsafe {
            (
                ffi::text(*dump.add(2 * pair)),
                ffi::text(*dump.add(2 * pair + 1)),
            )
        };
        rows.push((name, value));
    }
    // SAFETY: allocated by the dump function, and not used after this.
    unsafe { ffi::rd_kafka_conf_dump_free(dump, count) }
}

/// Properties of librdkafka's that are ours to honour: it would need libcurl for them.
const OWN: &[&str] = &[
    "https.ca.location",
    "https.ca.pem",
    "sasl.oauthbearer.method",
    "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.scope",
    "sasl.oauthbearer.extensions",
    "sasl.oauthbearer.token.endpoint.url",
    "sasl.oauthbearer.grant.type",
];

/// Whether this property is not passed to librdkafka.
pub(super) fn is_own(name: &str) -> bool {
    is_of_oidc(name) || is_of_registry(name)
}

fn is_of_oidc(name: &str) -> bool {
    cfg!(feature = "oidc") && OWN.contains(&name)
}

/// Whether this is a property of a schema registry.
pub(super) fn is_of_registry(name: &str) -> bool {
    cfg!(feature = "schema-registry") && registry::is_known(name)
}

/// Says whether librdkafka takes this property with this value, or we do.
pub(super) fn check(name: &str, value: &str) -> Result<(), String> {
    if is_of_registry(name) {
        return registry::check(name, value);
    }
    if !is_own(name) {
        return Conf::new().set(name, value);
    }
    let is_one_of = |values: &[&str]| {
        let is_there = values.iter().any(|known| value.eq_ignore_ascii_case(known));
        is_there
            .then_some(())
            .ok_or_else(|| format!("{name}: {} is expected, not `{value}`", values.join(" or ")))
    };
    match name {
        "sasl.oauthbearer.method" => is_one_of(&["default", "oidc"]),
        "sasl.oauthbearer.grant.type" => is_one_of(&["client_credentials"]),
        "sasl.oauthbearer.token.endpoint.url"
            if !["http://", "https://"]
                .iter()
                .any(|scheme| value.starts_with(scheme)) =>
        {
            Err(format!("{name}: a URL is expected, https://HOST/PATH"))
        }
        _ => Ok(()),
    }
}
