//! Why a broker's certificate is not accepted, or ours by the broker: librdkafka only says that TLS failed.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_void};

use super::client::add_cause;
use super::error::{KafkaError, code};
use super::ffi;
use super::options::Conf;

/// Reports why OpenSSL refuses a certificate; OpenSSL still decides.
pub(super) fn explain_refusals(conf: &Conf) {
    // SAFETY: the configuration is live; the callback has the type that librdkafka calls.
    // The result only says whether librdkafka was built with TLS.
    unsafe {
        let _ = ffi::rd_kafka_conf_set_ssl_cert_verify_cb(conf.as_ptr(), Some(verify));
    }
}

/// Called for each certificate of the broker's chain, with OpenSSL's result.
///
/// # Safety
/// The pointers are librdkafka's and live; `opaque` is the client's.
unsafe extern "C" fn verify(
    _rk: *mut ffi::rd_kafka_t,
    broker: *const c_char,
    _id: i32,
    result: *mut c_int,
    _depth: c_int,
    _certificate: *const c_char,
    _size: usize,
    reason: *mut c_char,
    reason_size: usize,
    opaque: *mut c_void,
) -> c_int {
    // SAFETY: the caller's promise; OpenSSL answers any number with a static text; `reason` has `reason_size` bytes.
    unsafe {
        if *result == 0 {
            return 1;
        }
        let why = openssl_sys::X509_verify_cert_error_string((*result).into());
        let why = CStr::from_ptr(why);
        libc::snprintf(reason, reason_size, c"%s".as_ptr(), why.as_ptr());
        let text = format!(
            "{}: {NOT_ACCEPTED}: {}",
            ffi::text(broker),
            why.to_string_lossy()
        );
        add_cause(opaque, KafkaError::new(code::SSL, text));
    }
    0
}

/// What marks our own result.
const NOT_ACCEPTED: &str = "its certificate is not accepted";

/// Whether a cause is our own result, which says more than OpenSSL's error that follows it.
pub(super) fn is_own_result(cause: &KafkaError) -> bool {
    cause.reason.contains(NOT_ACCEPTED)
}

/// Whether a reason is about a certificate that one side does not take; waiting does not mend it.
pub(super) fn is_refused(reason: &str) -> bool {
    reason.contains("certificate verify failed")
        || reason.contains(NOT_ACCEPTED)
        || wants_ours(reason)
}

/// Whether the broker asks for a certificate of ours, or for another (RFC 8446, section 6.2).
fn wants_ours(reason: &str) -> bool {
    let alerts = [
        "alert bad certificate",
        "alert certificate required",
        "alert certificate expired",
        "alert unknown ca",
    ];
    alerts.iter().any(|alert| reason.contains(alert))
}

/// Adds what to do.
pub(super) fn advise(reason: &mut String) {
    if wants_ours(reason) {
        reason.push_str(
            " (the broker asks for a client certificate, or for another: ssl.certificate.location, ssl.key.location)",
        );
    } else if reason.contains("unable to get") || reason.contains("self-signed") {
        reason.push_str(" (ssl.ca.location names the authorities that are trusted)");
    } else if reason.contains("mismatch") {
        reason.push_str(
            " (it is for another name than this: say -b with the name that is in it, or -X ssl.endpoint.identification.algorithm=none)",
        );
    } else if reason.contains("has expired") || reason.contains("not yet valid") {
        reason.push_str(
            " (it has to be renewed, or the clock of this machine is wrong; -X enable.ssl.certificate.verification=false reads without a check)",
        );
    }
}
