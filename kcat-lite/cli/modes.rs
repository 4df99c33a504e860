//! The options that choose the mode, as typed.

use clap::Args;

/// Each names its heading: the one of a whole group would go on after it.
#[derive(Args, Debug)]
pub(crate) struct ModeArgs {
    /// Produce standard input, or each FILE as one record, to a topic
    #[arg(short = 'P', long = "produce", group = "mode", help_heading = "Modes")]
    pub(crate) produce: bool,

    /// Consume topics, or one partition
    #[arg(short = 'C', long = "consume", group = "mode", help_heading = "Modes")]
    pub(crate) consume: bool,

    /// Consume topics as a member of GROUP; ^REGEX matches many
    #[arg(
        short = 'G',
        long = "group",
        value_name = "GROUP",
        conflicts_with_all = ["produce", "list", "query", "commit", "mock", "self_test", "version"],
        help_heading = "Modes"
    )]
    pub(crate) group: Option<String>,

    /// Consume topics as a member of the share group GROUP; accept each record separately
    #[arg(
        long = "share",
        value_name = "GROUP",
        group = "mode",
        conflicts_with = "group",
        help_heading = "Modes"
    )]
    pub(crate) share: Option<String>,

    /// List brokers, topics, partitions
    #[arg(short = 'L', long = "list", group = "mode", help_heading = "Modes")]
    pub(crate) list: bool,

    /// Print the first offsets at or after a time: -t TOPIC:TIME, -t TOPIC:PARTITION:TIME, -t ^REGEX:TIME
    #[arg(short = 'Q', long = "query", group = "mode", help_heading = "Modes")]
    pub(crate) query: bool,

    /// Commit the positions on standard input for GROUP, which must not have members
    #[arg(
        long = "commit",
        value_name = "GROUP",
        group = "mode",
        help_heading = "Modes"
    )]
    pub(crate) commit: Option<String>,

    /// Start a throw-away cluster of N brokers for COMMAND, or until standard input ends
    #[arg(
        short = 'M',
        long = "mock",
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(tools::kafka::mock::MAX_BROKERS)),
        group = "mode",
        help_heading = "Modes"
    )]
    pub(crate) mock: Option<u32>,

    /// Test this program itself, without a cluster
    #[arg(
        short = 'U',
        long = "self-test",
        group = "mode",
        help_heading = "Modes"
    )]
    pub(crate) self_test: bool,

    /// Print the versions of this program and of librdkafka
    #[arg(short = 'V', long = "version", group = "mode", help_heading = "Modes")]
    pub(crate) version: bool,
}
