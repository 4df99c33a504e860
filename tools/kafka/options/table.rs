//! librdkafka's own table of properties: their names, and the values that they take.
#![allow(unsafe_code)]

use std::collections::BTreeSet;

use crate::kafka::ffi;

/// The table as text, for `-X list`.
pub fn list() -> String {
    let mut text: *mut libc::c_char = std::ptr::null_mut();
    let mut size: libc::size_t = 0;
    // SAFETY: the stream writes into memory that it allocates, and which is freed after it was copied.
    unsafe {
        let stream = libc::open_memstream(&raw mut text, &raw mut size);
        if stream.is_null() {
            return String::new();
        }
        ffi::rd_kafka_conf_properties_show(stream.cast());
        libc::fclose(stream);
        let copy = String::from_utf8_lossy(std::slice::from_raw_parts(text.cast::<u8>(), size))
            .into_owned();
        libc::free(text.cast());
        copy
    }
}

/// The names of all properties, each once.
pub fn names() -> BTreeSet<String> {
    let table = list();
    rows(&table).map(|(name, _)| name.to_owned()).collect()
}

/// The values that the property `name` takes, if they can be listed.
pub fn values(name: &str) -> Vec<String> {
    let range = range(name).unwrap_or_default();
    if range.is_empty() || range.contains(" to ") {
        return Vec::new();
    }
    range.split(", ").map(str::to_owned).collect()
}

/// The values of a property, or the least and the most: `1 to 100`.
pub(super) fn range(name: &str) -> Option<String> {
    let table = list();
    let (_, range) = rows(&table).find(|(row, _)| *row == name)?;
    (!range.is_empty()).then(|| range.replace(" .. ", " to "))
}

/// Name and range of each property.
fn rows(table: &str) -> impl Iterator<Item = (&str, &str)> {
    let cells = table.lines().filter_map(|line| {
        let mut cells = line.split('|').map(str::trim);
        Some((cells.next()?, cells.nth(1)?))
    });
    // Headings and rules have no such names.
    cells.filter(|(name, _)| {
        let is_name = |b: u8| b.is_ascii_alphanumeric() || b"._".contains(&b);
        (name.contains('.') || ["acks", "retries", "debug", "partitioner"].contains(name))
            && name.bytes().all(is_name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_listed_where_they_are_words_and_a_range_where_they_are_numbers() {
        let isolation = ["read_uncommitted", "read_committed"];
        assert_eq!(values("isolation.level"), isolation);
        assert_eq!(range("isolation.level"), Some(isolation.join(", ")));
        assert_eq!(range("socket.timeout.ms").as_deref(), Some("10 to 300000"));
        for without in ["socket.timeout.ms", "client.id", "no.such"] {
            assert_eq!(values(without), [""; 0], "{without}");
        }
        let names = names();
        assert!(names.contains("acks") && names.contains("client.id"));
        assert!(!names.contains("Property"));
    }
}
