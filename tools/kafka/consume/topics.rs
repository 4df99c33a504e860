//! The topics of a request and their partitions, from the metadata.
#![allow(unsafe_code)]

use std::time::{Duration, Instant};

use super::ConsumeError;
use crate::kafka::Client;
use crate::kafka::admin::{self, Metadata, Topics};
use crate::kafka::client::ContactError;
use crate::kafka::error::code;
use crate::kafka::topic::{TopicHandle, learn_leaders};
use crate::kafka::wire::Wire;

/// A topic, with its partitions in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResolvedTopic {
    pub(crate) name: String,
    pub(crate) partitions: Vec<i32>,
}

/// As [`resolve`]; librdkafka knows the leaders of all of them afterwards.
pub(crate) fn find(
    client: &Client,
    names: &[String],
    interrupted: &dyn Fn() -> bool,
) -> Result<Vec<ResolvedTopic>, ConsumeError> {
    let (_, found) = resolve(&mut Wire::new(client), names, interrupted)?;
    open(
        client,
        found.iter().map(|topic| topic.name.as_str()),
        interrupted,
    )?;
    Ok(found)
}

/// Opens librdkafka's handles of the topics and makes it fetch their leaders.
pub(super) fn open<'n>(
    client: &Client,
    names: impl Iterator<Item = &'n str>,
    interrupted: &dyn Fn() -> bool,
) -> Result<Vec<TopicHandle>, ConsumeError> {
    let handle = |name: &str| {
        TopicHandle::new(client, name).map_err(|error| ConsumeError::Topic(name.to_owned(), error))
    };
    let handles = names.map(handle).collect::<Result<Vec<_>, _>>()?;
    learn_leaders(client, interrupted);
    Ok(handles)
}

/// Finds each of `names`; `^regex` stands for all topics that match now. The metadata are those of the topics found.
pub(crate) fn resolve(
    wire: &mut Wire<'_>,
    names: &[String],
    interrupted: &dyn Fn() -> bool,
) -> Result<(Metadata, Vec<ResolvedTopic>), ConsumeError> {
    let mut wanted: Vec<String> = Vec::new();
    for name in names.iter().filter(|name| !name.starts_with('^')) {
        if !wanted.contains(name) {
            wanted.push(name.clone());
        }
    }
    let patterns = TopicPatterns::new(names)?;
    if !patterns.is_empty() {
        let all = admin::metadata::metadata_over(wire, Topics::All, interrupted)?;
        for topic in all.topics {
            if patterns.matches(&topic.name) && !wanted.contains(&topic.name) {
                wanted.push(topic.name);
            }
        }
        if wanted.is_empty() {
            return Err(ConsumeError::NothingMatches(names.join(" ")));
        }
    }
    let metadata = metadata_of(wire, &wanted, interrupted)?;
    let found = wanted.into_iter().map(|name| {
        let row = metadata.topic(&name);
        let row = row.ok_or_else(|| ConsumeError::NoTopic(name.clone()))?;
        if let Some(error) = &row.error {
            return Err(match error.code {
                code::UNKNOWN_TOPIC_OR_PARTITION | code::UNKNOWN_TOPIC => {
                    ConsumeError::NoTopic(name)
                }
                _ => ConsumeError::Topic(name, error.clone()),
            });
        }
        Ok(ResolvedTopic {
            name,
            partitions: row.partitions.iter().map(|p| p.id).collect(),
        })
    });
    let found = found.collect::<Result<Vec<_>, _>>()?;
    Ok((metadata, found))
}

/// How long to wait before asking again for a topic that is being created.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// Waits for leaders that are being elected.
fn metadata_of(
    wire: &mut Wire<'_>,
    names: &[String],
    interrupted: &dyn Fn() -> bool,
) -> Result<Metadata, ContactError> {
    let until = Instant::now() + wire.client().first_contact();
    loop {
        let topics = Topics::Named(names);
        let metadata = admin::metadata::metadata_over(wire, topics, interrupted)?;
        let is_settled = metadata.topics.iter().all(|topic| {
            topic
                .error
                .as_ref()
                .is_none_or(|error| error.code != code::LEADER_NOT_AVAILABLE)
        });
        if is_settled || Instant::now() >= until {
            return Ok(metadata);
        }
        if interrupted() {
            return Err(ContactError::Interrupted);
        }
        std::thread::sleep(RETRY_INTERVAL);
    }
}

/// The `^regex` among the names: POSIX extended, as in librdkafka.
pub struct TopicPatterns(Vec<libc::regex_t>);

impl TopicPatterns {
    pub fn new(names: &[String]) -> Result<TopicPatterns, ConsumeError> {
        let mut patterns = TopicPatterns(Vec::new());
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

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn matches(&self, topic: &str) -> bool {
        let Ok(text) = std::ffi::CString::new(topic) else {
            return false;
        };
        // SAFETY: compiled by `new`; regexec allows moving it; no matches are requested.
        self.0.iter().any(|regex| unsafe {
            libc::regexec(regex, text.as_ptr(), 0, std::ptr::null_mut(), 0) == 0
        })
    }
}

impl Drop for TopicPatterns {
    fn drop(&mut self) {
        for regex in &mut self.0 {
            // SAFETY: compiled by `new`, and not used after this.
            unsafe { libc::regfree(regex) }
        }
    }
}
