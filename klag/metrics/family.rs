//! Every family of metrics that there is: its name and its help.

/// A family of gauges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Family {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
}

macro_rules! families {
    ($list:ident: $($constant:ident = $name:literal, $help:literal;)*) => {
        $(pub(super) const $constant: Family = Family { name: $name, help: $help };)*
        pub(super) const $list: &[Family] = &[$($constant),*];
    };
}

families! { OWN:
    LAG = "kafka_consumergroup_group_lag", "Messages that may be read and are not yet.";
    LAG_SECONDS = "kafka_consumergroup_group_lag_seconds", "Age of the first message not yet read.";
    OFFSET = "kafka_consumergroup_group_offset", "The committed offset, or their sum.";
    LOST = "kafka_consumergroup_group_messages_lost", "Messages deleted before they were read.";
    BLOCKED = "kafka_consumergroup_group_messages_blocked", "Messages that an open transaction holds back.";
    UNKNOWN = "kafka_consumergroup_group_unknown", "Partitions of which a number is not known, and why.";
    PARTITIONS_UNKNOWN = "kafka_consumergroup_group_partitions_unknown", "Partitions whose lag is not known, and is in no sum.";
    UNCOMMITTED = "kafka_consumergroup_group_uncommitted_partitions", "Partitions with messages for which the group has never committed.";
    SUM_LAG = "kafka_consumergroup_group_sum_lag", "Sum of the lags that are known.";
    TOPIC_SUM_LAG = "kafka_consumergroup_group_topic_sum_lag", "Sum of the lags that are known.";
    MAX_LAG = "kafka_consumergroup_group_max_lag", "Largest lag of a partition.";
    MAX_LAG_SECONDS = "kafka_consumergroup_group_max_lag_seconds", "Age of the oldest message not yet read.";
    STATE = "kafka_consumergroup_group_state", "The group's state, as a label.";
    MEMBERS = "kafka_consumergroup_group_members", "Members of the group.";
    INFO = "kafka_consumergroup_group_info", "The group's type and coordinator, as labels.";
    LATEST = "kafka_partition_latest_offset", "The high watermark, or their sum.";
    EARLIEST = "kafka_partition_earliest_offset", "The first offset that is kept, or their sum.";
    OLDEST = "kafka_partition_oldest_timestamp", "When the first message that is kept was written, in seconds since 1970.";
    UNDER_REPLICATED = "kafka_partition_under_replicated", "Partitions of which a replica is not in sync.";
    NOT_PREFERRED = "kafka_partition_not_preferred", "Partitions that another broker than the preferred one leads.";
    LEADERLESS = "kafka_partition_leaderless", "Partitions that no broker leads.";
    LOGDIR_SIZE = "kafka_topic_broker_logdir_size", "Bytes of a topic's segments on a broker.";
    TOPIC_INFO = "kafka_topic_info", "A topic's number of partitions and of replicas, as labels.";
    BROKER_INFO = "kafka_broker_info", "A broker's address, as labels.";
    CLUSTER_INFO = "kafka_cluster_info", "The cluster's id and its controller, as labels.";
    SUCCESS = "klag_scrape_success", "Whether this part of the cluster answered.";
    UNMATCHED = "klag_selection_unmatched", "Given names, patterns, states and lines of limits that match nothing.";
    DURATION = "klag_scrape_duration_seconds", "How long the scrape took.";
}

families! { KAFKA_EXPORTER:
    KE_BROKERS = "kafka_brokers", "Number of brokers.";
    KE_PARTITIONS = "kafka_topic_partitions", "Number of partitions of the topic.";
    KE_CURRENT = "kafka_topic_partition_current_offset", "The high watermark.";
    KE_OLDEST = "kafka_topic_partition_oldest_offset", "The first offset that is kept.";
    KE_ISR = "kafka_topic_partition_in_sync_replica", "Number of replicas in sync.";
    KE_LEADER = "kafka_topic_partition_leader", "The broker that leads.";
    KE_PREFERRED = "kafka_topic_partition_leader_is_preferred", "Whether the preferred broker leads.";
    KE_REPLICAS = "kafka_topic_partition_replicas", "Number of replicas.";
    KE_UNDER_REPLICATED = "kafka_topic_partition_under_replicated_partition", "Whether a replica is not in sync.";
    KE_OFFSET = "kafka_consumergroup_current_offset", "The committed offset.";
    KE_OFFSET_SUM = "kafka_consumergroup_current_offset_sum", "Sum of the committed offsets.";
    KE_LAG = "kafka_consumergroup_lag", "Messages that may be read and are not yet.";
    KE_LAG_SUM = "kafka_consumergroup_lag_sum", "Sum of the lags that are known.";
    KE_LAG_SECONDS = "kafka_consumergroup_lag_seconds", "Age of the first message not yet read.";
    KE_MEMBERS = "kafka_consumergroup_members", "Members of the group.";
}

/// Checks a name of `--metrics`.
pub(crate) fn known_name(name: &str) -> Result<String, String> {
    let mut all = OWN.iter().chain(KAFKA_EXPORTER);
    if all.any(|family| family.name == name) {
        return Ok(name.to_owned());
    }
    Err(format!(
        "there is no family of metrics {name}: -o prometheus shows them"
    ))
}
