//! Which partitions the topics have, as the cluster says.
#![allow(unsafe_code)]

use super::ConsumeError;
use crate::kafka::client::ContactError;
use crate::kafka::error::{KafkaError, code};
use crate::kafka::partitions::topic_name;
use crate::kafka::{Client, ffi};

/// A topic in librdkafka; given back when dropped.
pub(crate) struct TopicHandle {
    ptr: *mut ffi::rd_kafka_topic_t,
}

// SAFETY: librdkafka's topics may be used from any thread.
unsafe impl Send for TopicHandle {}

impl TopicHandle {
    pub(crate) fn new(client: &Client, name: &str) -> Result<TopicHandle, ConsumeError> {
        let refused = |error| ConsumeError::Topic(name.to_owned(), error);
        let name_c = topic_name(name).map_err(refused)?;
        // SAFETY: handle and name are live; without a configuration the client's default one holds.
        let ptr = unsafe {
            ffi::rd_kafka_topic_new(client.as_ptr(), name_c.as_ptr(), std::ptr::null_mut())
        };
        if ptr.is_null() {
            return Err(refused(KafkaError::of(ffi::last_error())));
        }
        Ok(TopicHandle { ptr })
    }

    pub(crate) fn as_ptr(&self) -> *mut ffi::rd_kafka_topic_t {
        self.ptr
    }
}

impl Drop for TopicHandle {
    fn drop(&mut self) {
        // SAFETY: live, ours, and not used after this.
        unsafe { ffi::rd_kafka_topic_destroy(self.ptr) }
    }
}

/// A topic that exists, with its partitions in their order.
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) handle: TopicHandle,
    pub(crate) partitions: Vec<i32>,
}

/// Finds each of `names`; `^regex` names all topics that match now.
///
/// The topics' handles are made before the question is sent, so that
/// librdkafka knows the leaders when reading starts: else it would wait 500 ms.
pub(crate) fn find(
    client: &Client,
    names: &[String],
    interrupted: &dyn Fn() -> bool,
) -> Result<Vec<Topic>, ConsumeError> {
    let mut wanted: Vec<String> = Vec::new();
    for name in names.iter().filter(|name| !name.starts_with('^')) {
        if !wanted.contains(name) {
            wanted.push(name.clone());
        }
    }
    let patterns = Patterns::new(names)?;
    if !patterns.is_empty() {
        let all = ask(client, true, interrupted)?;
        let matching = all.into_iter().filter(|row| patterns.matches(&row.name));
        for row in matching {
            if !wanted.contains(&row.name) {
                wanted.push(row.name);
            }
        }
        if wanted.is_empty() {
            return Err(ConsumeError::NothingMatches(names.join(" ")));
        }
    }
    let handles = wanted.iter().map(|name| TopicHandle::new(client, name));
    let handles = handles.collect::<Result<Vec<_>, _>>()?;
    let mut rows = ask(client, false, interrupted)?;
    let mut topics = Vec::new();
    for (name, handle) in wanted.into_iter().zip(handles) {
        let row = rows.iter_mut().find(|row| row.name == name);
        let row = row.ok_or_else(|| ConsumeError::NoTopic(name.clone()))?;
        match row.error {
            code::NONE => {}
            code::UNKNOWN_TOPIC_OR_PARTITION | code::UNKNOWN_TOPIC => {
                return Err(ConsumeError::NoTopic(name));
            }
            other => return Err(ConsumeError::Topic(name, KafkaError::of(other))),
        }
        row.partitions.sort_unstable();
        topics.push(Topic {
            name,
            handle,
            partitions: std::mem::take(&mut row.partitions),
        });
    }
    Ok(topics)
}

/// What the cluster says of one topic.
struct Row {
    name: String,
    error: i32,
    partitions: Vec<i32>,
}

/// Asks for all topics, or for those that have a handle.
fn ask(
    client: &Client,
    all: bool,
    interrupted: &dyn Fn() -> bool,
) -> Result<Vec<Row>, ContactError> {
    client.ask_first(interrupted, |timeout_ms| {
        let mut metadata = std::ptr::null();
        // SAFETY: the handle is live; NULL stands for every topic with a handle.
        // On success the metadata is ours, read and freed here.
        unsafe {
            let error = ffi::metadata(
                client.as_ptr(),
                i32::from(all),
                std::ptr::null_mut(),
                &raw mut metadata,
                timeout_ms,
            );
            if error != code::NONE {
                return Err(KafkaError::of(error));
            }
            let rows = rows(metadata);
            ffi::rd_kafka_metadata_destroy(metadata);
            // A leader that is being elected is a matter of moments.
            match rows
                .iter()
                .find(|row| row.error == code::LEADER_NOT_AVAILABLE)
            {
                Some(_) if !all => Err(KafkaError::of(code::TIMED_OUT)),
                _ => Ok(rows),
            }
        }
    })
}

/// # Safety
/// `metadata` is live.
unsafe fn rows(metadata: *const ffi::rd_kafka_metadata) -> Vec<Row> {
    // SAFETY: the counts are librdkafka's own; codes are read as integers.
    unsafe {
        let count = usize::try_from((*metadata).topic_cnt).unwrap_or(0);
        (0..count)
            .map(|i| {
                let topic = (*metadata).topics.add(i);
                let partitions = usize::try_from((*topic).partition_cnt).unwrap_or(0);
                Row {
                    name: ffi::text((*topic).topic),
                    error: std::ptr::addr_of!((*topic).err).cast::<i32>().read(),
                    partitions: (0..partitions)
                        .map(|p| (*(*topic).partitions.add(p)).id)
                        .collect(),
                }
            })
            .collect()
    }
}

/// The `^regex` among the topics, POSIX extended as librdkafka has them.
struct Patterns(Vec<libc::regex_t>);

impl Patterns {
    fn new(names: &[String]) -> Result<Patterns, ConsumeError> {
        let mut patterns = Patterns(Vec::new());
        for name in names.iter().filter(|name| name.starts_with('^')) {
            let bad = || ConsumeError::BadPattern(name.clone());
            let text = std::ffi::CString::new(name.as_str()).map_err(|_| bad())?;
            let mut regex = std::mem::MaybeUninit::<libc::regex_t>::uninit();
            // SAFETY: regcomp fills the regex where it returns 0; the text is NUL-terminated.
            unsafe {
                let flags = libc::REG_EXTENDED | libc::REG_NOSUB;
                if libc::regcomp(regex.as_mut_ptr(), text.as_ptr(), flags) != 0 {
                    return Err(bad());
                }
                patterns.0.push(regex.assume_init());
            }
        }
        Ok(patterns)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn matches(&self, topic: &str) -> bool {
        let Ok(text) = std::ffi::CString::new(topic) else {
            return false;
        };
        // SAFETY: compiled by `new`, and not moved in a way that regexec minds; no matches are asked for.
        self.0.iter().any(|regex| unsafe {
            libc::regexec(regex, text.as_ptr(), 0, std::ptr::null_mut(), 0) == 0
        })
    }
}

impl Drop for Patterns {
    fn drop(&mut self) {
        for regex in &mut self.0 {
            // SAFETY: compiled by `new`, and not used after this.
            unsafe { libc::regfree(regex) }
        }
    }
}
