//! Which partitions the topics have, as the cluster says.
#![allow(unsafe_code)]

use std::time::{Duration, Instant};

use super::ConsumeError;
use crate::kafka::Client;
use crate::kafka::client::ContactError;
use crate::kafka::cluster::{self, Metadata, Topics};
use crate::kafka::error::code;
use crate::kafka::topic::{TopicHandle, learn_leaders};
use crate::kafka::wire::Wire;

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
    let (_, found) = resolve(&mut Wire::new(client), names, interrupted)?;
    with_handles(client, found)
}

/// Has librdkafka know the topics and their leaders.
pub(super) fn with_handles(client: &Client, found: Vec<Found>) -> Result<Vec<Topic>, ConsumeError> {
    let topics = found.into_iter().map(|Found { name, partitions }| {
        let handle = TopicHandle::new(client, &name)
            .map_err(|error| ConsumeError::Topic(name.clone(), error))?;
        Ok(Topic {
            name,
            handle,
            partitions,
        })
    });
    let topics = topics.collect::<Result<Vec<_>, ConsumeError>>()?;
    learn_leaders(client, client.first_contact());
    Ok(topics)
}

/// A topic as the metadata have it, with its partitions in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) name: String,
    pub(crate) partitions: Vec<i32>,
}

/// Finds each of `names`; `^regex` names all topics that match now. The metadata are those of the topics found.
pub(crate) fn resolve(
    wire: &mut Wire<'_>,
    names: &[String],
    interrupted: &dyn Fn() -> bool,
) -> Result<(Metadata, Vec<Found>), ConsumeError> {
    let mut wanted: Vec<String> = Vec::new();
    for name in names.iter().filter(|name| !name.starts_with('^')) {
        if !wanted.contains(name) {
            wanted.push(name.clone());
        }
    }
    let patterns = Patterns::new(names)?;
    if !patterns.is_empty() {
        let all = cluster::metadata::metadata_over(wire, Topics::All, interrupted)?;
        for topic in all.topics {
            if patterns.matches(&topic.name) && !wanted.contains(&topic.name) {
                wanted.push(topic.name);
            }
        }
        if wanted.is_empty() {
            return Err(ConsumeError::NothingMatches(names.join(" ")));
        }
    }
    let metadata = ask(wire, &wanted, interrupted)?;
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
        Ok(Found {
            name,
            partitions: row.partitions.iter().map(|p| p.id).collect(),
        })
    });
    let found = found.collect::<Result<Vec<_>, _>>()?;
    Ok((metadata, found))
}

/// How long a topic that is being created is left alone before it is asked for again.
const RETRY: Duration = Duration::from_millis(100);

/// Asks for topics; a leader that is being elected is a matter of moments.
fn ask(
    wire: &mut Wire<'_>,
    names: &[String],
    interrupted: &dyn Fn() -> bool,
) -> Result<Metadata, ContactError> {
    let until = Instant::now() + wire.client().first_contact();
    loop {
        let topics = Topics::Named(names);
        let metadata = cluster::metadata::metadata_over(wire, topics, interrupted)?;
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
