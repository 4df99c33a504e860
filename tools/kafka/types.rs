//! Types that name things of the cluster.

/// A topic's name and a partition's number.
pub type TopicPartition = (String, i32);
