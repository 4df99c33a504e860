//! Every pair of a mode and an option.

#[path = "../tests/options/walk.rs"]
mod walk;

use clap::{CommandFactory, Parser};
use walk::{Walk, outcome};

use crate::cli::Cli;
use crate::config::{Config, TopicConfig};

const VALUES: &[(&str, &str)] = &[
    ("count", "2"),
    ("topic", "topic"),
    ("recheck", "5s"),
    ("algorithm", "fnv1a"),
    ("weights", "1,2"),
    ("split", "x{}"),
    ("exec", "c{}"),
    ("output", "json"),
    ("files", "Cargo.toml"),
];

/// Options, the modes in which they do something (`*` for all), and the test that shows it.
const SHOWN: &str = "\
weights | weights | shards_of_a_distributed_table_have_weights
count | weights | shards_of_a_distributed_table_have_weights
topic | label split exec | the_number_of_partitions_is_the_topics
recheck | topic | more_partitions_than_at_the_start_end_the_run_at_the_first_line_that_may_be_affected
algorithm | * | columns_are_picked_as_the_algorithm_needs_them
key | * | columns_are_picked_as_the_algorithm_needs_them
json | * | the_key_of_a_json_line_is_the_records_or_where_a_pointer_leads
split | label topic weights | lines_keep_their_order_in_their_partitions_file
exec | label topic weights | every_partition_has_one_command_that_gets_its_lines_in_order
max_children | exec | the_number_of_commands_may_be_raised
skew | skew | each_candidate_has_a_row_that_adds_up
output | skew | records_without_a_place_are_counted_apart_and_nothing_is_reported_of_a_part
header | skew | the_columns_have_names_where_they_are_asked_for
brokers | topic | the_number_of_partitions_is_the_topics
timeout | topic | a_cluster_that_is_not_there_is_named
quiet | * | quiet_changes_nothing_of_the_lines
files | * | several_files_are_one_stream_whose_lines_do_not_run_together";

#[test]
fn every_option_of_every_mode_is_refused_by_name_or_does_something() {
    let walk = Walk {
        command: Cli::command(),
        modes: &[
            ("label", "-n 2"),
            ("topic", "-t topic -b h"),
            ("split", "-n 2 --split x{}"),
            ("exec", "-n 2 --exec c{}"),
            ("skew", "--skew 2"),
            ("weights", "--algo clickhouse:cityHash64 --weights 1,2"),
        ],
        values: VALUES,
        shown: SHOWN,
        connection: "topic",
        outcome: |words| {
            outcome("kpart", words, |words| {
                let cli = Cli::try_parse_from(words)?;
                let topic = TopicConfig::new(&cli)?;
                Config::new(&cli, topic.map(|_| 3), false).map(|_| Vec::new())
            })
        },
    };
    walk.check();
}
