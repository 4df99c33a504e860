//! Whether this user is shown all that there is.
//!
//! Brokers leave out of their lists what a user may not describe, and say
//! nothing about it. So a name is asked for that nobody has: who may not
//! describe it is refused, and may not describe others with the same beginning.

use kafka_protocol::messages::describe_cluster_request::DescribeClusterRequest;
use kafka_protocol::messages::describe_groups_request::DescribeGroupsRequest;
use kafka_protocol::messages::metadata_request::MetadataRequest;
use kafka_protocol::messages::{GroupId, MetadataResponse};
use kafka_protocol::protocol::StrBytes;

use super::metadata::{Metadata, OLDEST, Topic, metadata_request};
use super::query_budget::{ANY_VERSION, QueryBudget};
use crate::kafka::error::{KafkaError, code};
use crate::kafka::wire::Wire;

/// What nobody calls a group or a topic; it is added to what the names in question begin with.
const NOBODYS_NAME: &str = "-no-such-name-";

/// `AclOperation.DESCRIBE` of Kafka: its bit among the operations that a user may do.
const DESCRIBE: i32 = 1 << 8;

/// Whether every group is listed whose name begins with `prefix`.
///
/// With DESCRIBE on the cluster a user sees all groups, otherwise only those it may DESCRIBE.
pub fn may_list_groups(
    wire: &mut Wire<'_>,
    prefix: &str,
    budget: &mut QueryBudget<'_>,
) -> Result<bool, KafkaError> {
    let name = GroupId(StrBytes::from_string(format!("{prefix}{NOBODYS_NAME}")));
    let build = move |_: i16| DescribeGroupsRequest::default().with_groups(vec![name]);
    let answer = budget.ask_any::<DescribeGroupsRequest, _>(wire, &ANY_VERSION, &build)?;
    let refused = answer
        .groups
        .iter()
        .any(|group| i32::from(group.error_code) == code::GROUP_AUTHORIZATION_FAILED);
    if !refused {
        return Ok(true);
    }
    Ok(cluster_operations(wire, budget)? & DESCRIBE != 0)
}

/// What this user may do with the cluster, a bit for each operation; 0 if the broker does not report it.
fn cluster_operations(
    wire: &mut Wire<'_>,
    budget: &mut QueryBudget<'_>,
) -> Result<i32, KafkaError> {
    let build =
        |_: i16| DescribeClusterRequest::default().with_include_cluster_authorized_operations(true);
    let operations = match budget.ask_any::<DescribeClusterRequest, _>(wire, &ANY_VERSION, &build) {
        Ok(answer) => answer.cluster_authorized_operations,
        // Before Kafka 2.8 the metadata contained it.
        Err(error) if error.code == code::UNSUPPORTED_FEATURE => {
            let build = |_: i16| {
                metadata_request(Some(&[]), false).with_include_cluster_authorized_operations(true)
            };
            let answer = budget.ask_any::<MetadataRequest, _>(wire, &(8..=10), &build)?;
            answer.cluster_authorized_operations
        }
        Err(error) => return Err(error),
    };
    // The smallest integer means "not reported".
    Ok(if operations == i32::MIN {
        0
    } else {
        operations
    })
}

/// Whether every topic is listed whose name begins with `prefix`.
pub fn may_list_topics(
    wire: &mut Wire<'_>,
    prefix: &str,
    budget: &mut QueryBudget<'_>,
) -> Result<bool, KafkaError> {
    // No topic has a longer name.
    let longest_prefix = 249 - NOBODYS_NAME.len();
    let prefix: String = prefix.chars().take(longest_prefix).collect();
    let name = format!("{prefix}{NOBODYS_NAME}");
    Ok(denied_topics(wire, &[name], budget)?.is_empty())
}

/// Those of `names` that this user may not describe, though they exist or may exist.
pub fn denied_topics(
    wire: &mut Wire<'_>,
    names: &[String],
    budget: &mut QueryBudget<'_>,
) -> Result<Vec<Topic>, KafkaError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut topics = named_topics(wire, names, budget)?;
    topics.retain(is_denied);
    Ok(topics)
}

fn is_denied(topic: &Topic) -> bool {
    let error = topic.error.as_ref();
    error.is_some_and(|error| error.code == code::TOPIC_AUTHORIZATION_FAILED)
}

/// What the cluster says of topics that it may not have listed; none of them is created by the question.
pub fn named_topics(
    wire: &mut Wire<'_>,
    names: &[String],
    budget: &mut QueryBudget<'_>,
) -> Result<Vec<Topic>, KafkaError> {
    let names = names.to_vec();
    let build = move |_: i16| metadata_request(Some(&names), false);
    let versions = OLDEST..=i16::MAX;
    let answer: MetadataResponse = budget.ask_any::<MetadataRequest, _>(wire, &versions, &build)?;
    Ok(Metadata::from_response(answer).topics)
}
