//! Which partitions the topics have, as the cluster says.
#![allow(unsafe_code)]

use std::time::{Duration, Instant};

use super::ConsumeError;
use crate::kafka::Client;
use crate::kafka::client::ContactError;
use crate::kafka::cluster::{self, Metadata, Topics};
use crate::kafka::error::code;
use crate::kafka::topic::{TopicHandle, learn_leaders};

/// A topic that exists, with its partitions in their order.
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) handle: TopicHandle,
    pub(crate) partitions: Vec<i32>,
}

/// Finds each of `names`; `^regex` names all topics that match now.
///
/// librdkafka knows the leaders of all of them afterwards.
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
        let all = cluster::metadata(client, Topics::All, interrupted)?;
        for topic in all.topics {
            if patterns.matches(&topic.name) && !wanted.contains(&topic.name) {
                wanted.push(topic.name);
            }
        }
        if wanted.is_empty() {
            return Err(ConsumeError::NothingMatches(names.join(" ")));
        }
    }
    let handles = wanted.iter().map(|name| {
        TopicHandle::new(client, name).map_err(|error| ConsumeError::Topic(name.clone(), error))
    });
    let handles = handles.collect::<Result<Vec<_>, _>>()?;
    let metadata = ask(client, &wanted, interrupted)?;
    learn_leaders(client, client.first_contact());
    let topics = wanted.into_iter().zip(handles).map(|(name, handle)| {
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
        let mut partitions: Vec<i32> = row.partitions.iter().map(|p| p.id).collect();
        partitions.sort_unstable();
        Ok(Topic {
            name,
            handle,
            partitions,
        })
    });
    topics.collect()
}

/// How long a topic that is being created is left alone before it is asked for again.
const RETRY: Duration = Duration::from_millis(100);

/// Asks for topics; a leader that is being elected is a matter of moments.
fn ask(
    client: &Client,
    names: &[String],
    interrupted: &dyn Fn() -> bool,
) -> Result<Metadata, ContactError> {
    let until = Instant::now() + client.first_contact();
    loop {
        let metadata = cluster::metadata(client, Topics::Named(names), interrupted)?;
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
        std::thread::sleep(RETRY);
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
