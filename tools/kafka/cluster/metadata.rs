//! Brokers, topics and partitions, as the cluster's metadata has them.
#![allow(unsafe_code)]

use crate::kafka::client::{Client, ContactError};
use crate::kafka::error::{KafkaError, code};
use crate::kafka::ffi;
use crate::kafka::topic::TopicHandle;

/// Which topics to ask for.
#[derive(Clone, Copy, Debug)]
pub enum Topics<'a> {
    /// All that one may see.
    All,
    /// These, in this order; one that does not exist has its error in its row.
    Named(&'a [String]),
}

/// What the cluster consists of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The broker that answered: its id, -1 before it has told one, and librdkafka's name for it, `host:port/id`.
    pub origin: (i32, String),
    /// The cluster's own name, where it has told one.
    pub cluster_id: Option<String>,
    /// The broker that controls the cluster, where that is known.
    pub controller: Option<i32>,
    /// The brokers that are up, as the answer has them.
    pub brokers: Vec<Broker>,
    /// The topics, as the answer has them.
    pub topics: Vec<Topic>,
}

/// A broker that is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Its number in the cluster.
    pub id: i32,
    /// The name that it tells its clients.
    pub host: String,
    /// The port that it tells its clients.
    pub port: i32,
}

/// A topic, or why there is none of this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Why the broker can't say more of it.
    pub error: Option<KafkaError>,
    /// Its partitions by number.
    pub partitions: Vec<Partition>,
}

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its number.
    pub id: i32,
    /// The broker that leads it; none while none does.
    pub leader: Option<i32>,
    /// The brokers that are to keep it.
    pub replicas: Vec<i32>,
    /// The brokers that keep it and are in sync.
    pub isrs: Vec<i32>,
    /// What is wrong with it: most often that it has no leader.
    pub error: Option<KafkaError>,
}

impl Metadata {
    /// The topic of this name.
    pub fn topic(&self, name: &str) -> Option<&Topic> {
        self.topics.iter().find(|topic| topic.name == name)
    }

    /// The first answer may come over a connection that was opened before its
    /// broker's number was known; the answer itself tells it.
    fn name_origin(&mut self) {
        let (id, name) = &self.origin;
        let Some(address) = name.strip_suffix("/bootstrap").filter(|_| *id < 0) else {
            return;
        };
        let is_origin = |b: &&Broker| address == format!("{}:{}", b.host, b.port);
        if let Some(broker) = self.brokers.iter().find(is_origin) {
            self.origin = (broker.id, format!("{address}/{}", broker.id));
        }
    }
}

impl Topic {
    /// The partition of this number.
    pub fn partition(&self, id: i32) -> Option<&Partition> {
        self.partitions.iter().find(|partition| partition.id == id)
    }
}

/// More topics than this are asked for by one request for all, because librdkafka's interface takes one name or none.
const ASKED_ONE_BY_ONE: usize = 4;

/// Asks the cluster for its metadata; the first contact, within the time that the client has for it.
///
/// Asking for a topic does not create it: a consumer's handle says so to the
/// broker (`allow.auto.create.topics`, which it leaves off unless told).
pub fn metadata(
    client: &Client,
    topics: Topics<'_>,
    interrupted: &dyn Fn() -> bool,
) -> Result<Metadata, ContactError> {
    let ask = |name: Option<&str>| client.ask_first(interrupted, |ms| request(client, name, ms));
    let Topics::Named(names) = topics else {
        return ask(None);
    };
    let mut all = if names.len() > ASKED_ONE_BY_ONE {
        ask(None)?
    } else {
        Metadata::default()
    };
    let known = std::mem::take(&mut all.topics);
    let mut whole = all;
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        if let Some(topic) = known.iter().find(|topic| topic.name == *name) {
            found.push(topic.clone());
            continue;
        }
        // Only a question for this topic alone brings the reason why it is not there.
        let mut one = ask(Some(name))?;
        found.append(&mut one.topics);
        whole = one;
    }
    whole.topics = found;
    Ok(whole)
}

fn request(client: &Client, topic: Option<&str>, timeout_ms: i32) -> Result<Metadata, KafkaError> {
    let handle = topic.map(|name| TopicHandle::new(client, name));
    let handle = handle.transpose()?;
    let only = handle
        .as_ref()
        .map_or(std::ptr::null_mut(), TopicHandle::as_ptr);
    let mut answer = std::ptr::null();
    // SAFETY: both handles are live; on success `answer` is ours, copied and then destroyed.
    unsafe {
        let failed = ffi::metadata(
            client.as_ptr(),
            i32::from(handle.is_none()),
            only,
            &raw mut answer,
            timeout_ms,
        );
        if failed != code::NONE {
            return Err(KafkaError::of(failed));
        }
        let mut rows = copy(&*answer);
        ffi::rd_kafka_metadata_destroy(answer);
        // From librdkafka's memory of the answer just read: no time is needed.
        let controller = ffi::rd_kafka_controllerid(client.as_ptr(), 0);
        rows.controller = (controller >= 0).then_some(controller);
        rows.cluster_id = cluster_id(client);
        rows.name_origin();
        Ok(rows)
    }
}

/// The cluster's name as the last metadata told it, without asking anybody.
fn cluster_id(client: &Client) -> Option<String> {
    // SAFETY: the handle is live; the text is ours, copied and then freed.
    unsafe {
        let id = ffi::rd_kafka_clusterid(client.as_ptr(), 0);
        if id.is_null() {
            return None;
        }
        let text = ffi::text(id);
        ffi::rd_kafka_mem_free(client.as_ptr(), id.cast());
        Some(text)
    }
}

/// Whether the cluster is librdkafka's mock, which has no look-up by time, no groups to list and no log dirs
/// (rdkafka_mock.c names it so). Known after the first contact.
pub(crate) fn is_mock(client: &Client) -> bool {
    cluster_id(client).is_some_and(|id| id.starts_with("mockCluster"))
}

/// # Safety
/// `answer` comes from `rd_kafka_metadata` and is live.
unsafe fn copy(answer: &ffi::rd_kafka_metadata) -> Metadata {
    // SAFETY: the caller's promise: each count tells the length of the array beside it, each name is NUL-terminated.
    unsafe {
        let brokers = (0..answer.broker_cnt as usize).map(|index| {
            let broker = answer.brokers.add(index);
            Broker {
                id: (*broker).id,
                host: ffi::text((*broker).host),
                port: (*broker).port,
            }
        });
        let topics = (0..answer.topic_cnt as usize).map(|at| copy_topic(answer.topics.add(at)));
        Metadata {
            origin: (answer.orig_broker_id, ffi::text(answer.orig_broker_name)),
            cluster_id: None,
            controller: None,
            brokers: brokers.collect(),
            topics: topics.collect(),
        }
    }
}

/// # Safety
/// `topic` is one of a live answer's.
unsafe fn copy_topic(topic: *const ffi::rd_kafka_metadata_topic) -> Topic {
    // SAFETY: as in `copy`; codes are read as integers, because the enum has holes.
    unsafe {
        let partitions = (0..(*topic).partition_cnt as usize).map(|index| {
            let partition = (*topic).partitions.add(index);
            let leader = (*partition).leader;
            Partition {
                id: (*partition).id,
                leader: (leader >= 0).then_some(leader),
                replicas: copy_ids((*partition).replicas, (*partition).replica_cnt),
                isrs: copy_ids((*partition).isrs, (*partition).isr_cnt),
                error: ffi::error_at(std::ptr::addr_of!((*partition).err).cast()),
            }
        });
        Topic {
            name: ffi::text((*topic).topic),
            error: ffi::error_at(std::ptr::addr_of!((*topic).err).cast()),
            partitions: partitions.collect(),
        }
    }
}

/// # Safety
/// `ids` has `count` elements.
unsafe fn copy_ids(ids: *const i32, count: i32) -> Vec<i32> {
    // SAFETY: the caller's promise.
    (0..count.max(0) as usize)
        .map(|index| unsafe { *ids.add(index) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Broker, Metadata};

    #[test]
    fn the_broker_that_answered_is_named_by_its_number() {
        let mut metadata = Metadata {
            origin: (-1, "kafka:9092/bootstrap".to_owned()),
            brokers: vec![Broker {
                id: 7,
                host: "kafka".to_owned(),
                port: 9092,
            }],
            ..Metadata::default()
        };
        metadata.name_origin();
        assert_eq!(metadata.origin, (7, "kafka:9092/7".to_owned()));

        let alias = (-1, "localhost:9092/bootstrap".to_owned());
        metadata.origin = alias.clone();
        metadata.name_origin();
        assert_eq!(metadata.origin, alias);
    }
}
