//! Every pair of a mode and an option.

#[path = "../../tests/options/walk.rs"]
mod walk;

use clap::{CommandFactory, Parser};
use walk::{Mode, Walk};

use super::settle;
use crate::cli::Cli;

const VALUES: &[(&str, &str)] = &[
    ("prune", "7d"),
    ("as_of", "@1"),
    ("from", "@1"),
    ("to", "@1"),
    ("output", "json"),
    ("output_error", "warn"),
    ("on_error", "stop"),
    ("delivery_timeout", "1m"),
    ("segment_format", "json"),
    ("compress", "gzip"),
    ("max_delay", "1m"),
    ("expire_after", "7d"),
    ("buffer", "8M"),
    ("tsv", "all"),
    ("bytes", "hex"),
    ("utf8", "strict"),
    ("template", "%s\\n"),
    ("properties", "client.id=me"),
    ("config_files", "none"),
    ("debug", "broker"),
    ("timeout", "3"),
];

const SHOWN: &[(&str, &str, &str)] = &[
    (
        "verify",
        "file backup",
        "a_whole_backup_is_a_row_for_each_partition_and_0",
    ),
    (
        "cat",
        "file backup",
        "cat_gives_an_offset_once_and_verify_tells_overlaps_apart",
    ),
    ("prune", "file backup", "segments_of_old_records_are_pruned"),
    (
        "restore",
        "topic",
        "a_topic_comes_back_as_it_was_and_keeps_its_old_records",
    ),
    (
        "accept",
        "verify quarantine",
        "what_retention_took_is_told_until_it_is_accepted_and_stored_beats_all",
    ),
    (
        "quarantine",
        "verify accept",
        "a_damaged_segment_is_moved_aside_and_sent_again",
    ),
    (
        "force",
        "restore",
        "a_backup_with_a_hole_is_refused_without_force",
    ),
    (
        "as_of",
        "restore",
        "groups_are_committed_on_partitions_without_records_and_as_of_a_time",
    ),
    (
        "topics",
        "cat restore verify accept quarantine prune",
        "cat_selects_by_time_topic_and_partition",
    ),
    (
        "partitions",
        "cat restore verify accept quarantine prune",
        "cat_selects_by_time_topic_and_partition",
    ),
    (
        "from",
        "cat restore",
        "cat_selects_by_time_topic_and_partition",
    ),
    (
        "to",
        "cat restore",
        "cat_selects_by_time_topic_and_partition",
    ),
    (
        "output",
        "verify accept quarantine",
        "a_whole_backup_is_a_row_for_each_partition_and_0",
    ),
    (
        "header",
        "verify accept quarantine",
        "a_whole_backup_is_a_row_for_each_partition_and_0",
    ),
    (
        "append",
        "file",
        "any_bytes_pass_to_standard_output_and_every_file_unchanged",
    ),
    (
        "ignore_interrupts",
        "pass file topic backup records json bucket ack",
        "an_interrupt_is_ignored_where_that_is_said_and_last_words_are_kept_where_not",
    ),
    (
        "output_error",
        "pass file topic backup records json bucket ack",
        "a_reader_that_leaves_a_pipe_is_named_and_no_failure",
    ),
    (
        "on_error",
        "pass file topic backup records json bucket ack",
        "a_reader_that_leaves_a_pipe_is_named_and_no_failure",
    ),
    (
        "ack",
        "records json bucket topic",
        "a_position_is_acknowledged_when_its_segment_is_durable_and_not_before",
    ),
    (
        "delivery_timeout",
        "bucket topic",
        "a_store_that_stays_away_is_given_up_when_the_time_is_over",
    ),
    (
        "delivery_timeout",
        "restore",
        "a_restore_that_is_cut_off_says_how_much_was_delivered_and_goes_on_when_the_cluster_is_back",
    ),
    (
        "spill",
        "topic",
        "what_is_not_delivered_in_time_is_spilled_and_sent_once_more_nothing_is_missing_and_nothing_twice",
    ),
    (
        "single_writer",
        "bucket",
        "a_store_that_overwrites_objects_is_refused_unless_there_is_one_writer",
    ),
    (
        "segment_format",
        "records json bucket ack backup",
        "every_format_and_compression_comes_back_as_it_was",
    ),
    (
        "compress",
        "backup records json bucket ack",
        "every_format_and_compression_comes_back_as_it_was",
    ),
    (
        "segment_bytes",
        "backup records json bucket ack",
        "a_backup_is_segments_that_other_tools_read_and_check",
    ),
    (
        "segment_records",
        "backup records json bucket ack",
        "a_backup_is_segments_that_other_tools_read_and_check",
    ),
    (
        "max_delay",
        "backup records json bucket ack",
        "a_quiet_segment_is_stored_after_max_delay",
    ),
    (
        "expire_after",
        "backup records json bucket ack",
        "only_what_is_old_enough_may_have_been_deleted_by_the_bucket",
    ),
    (
        "settings",
        "records json bucket ack",
        "a_topic_comes_back_as_it_was_and_keeps_its_old_records",
    ),
    (
        "groups",
        "records json bucket ack restore",
        "groups_go_on_behind_the_records_that_they_had_read",
    ),
    (
        "buffer",
        "backup records json bucket ack",
        "a_window_that_is_smaller_than_a_segment_is_no_reason_to_wait_for_it",
    ),
    (
        "tsv",
        "topic",
        "records_reach_the_topic_with_key_time_and_headers_and_the_files_too",
    ),
    (
        "json",
        "topic",
        "records_reach_the_topic_with_key_time_and_headers_and_the_files_too",
    ),
    (
        "template",
        "topic",
        "records_reach_the_topic_with_key_time_and_headers_and_the_files_too",
    ),
    (
        "delimiter",
        "topic",
        "records_reach_the_topic_with_key_time_and_headers_and_the_files_too",
    ),
    (
        "key_delimiter",
        "topic",
        "records_reach_the_topic_with_key_time_and_headers_and_the_files_too",
    ),
    (
        "null_empty",
        "topic",
        "records_reach_the_topic_with_key_time_and_headers_and_the_files_too",
    ),
    (
        "tsv",
        "backup",
        "every_format_and_compression_comes_back_as_it_was",
    ),
    (
        "json",
        "backup",
        "every_format_and_compression_comes_back_as_it_was",
    ),
    (
        "delimiter",
        "backup json",
        "records_are_not_taken_for_lines_unless_that_is_said",
    ),
    (
        "key_delimiter",
        "backup json",
        "records_are_not_taken_for_lines_unless_that_is_said",
    ),
    (
        "bytes",
        "records bucket ack",
        "every_format_and_compression_comes_back_as_it_was",
    ),
    (
        "utf8",
        "records bucket ack",
        "every_format_and_compression_comes_back_as_it_was",
    ),
    (
        "operands",
        "pass file topic backup records json bucket ack",
        "any_bytes_pass_to_standard_output_and_every_file_unchanged",
    ),
    (
        "timeout",
        "records json bucket ack topic restore",
        "a_cluster_that_is_not_there_is_told_and_the_stream_passes",
    ),
    (
        "quiet",
        "*",
        "progress_is_on_a_terminal_and_nothing_of_it_is_left",
    ),
    (
        "brokers",
        "records json bucket ack topic restore",
        "the_first_that_says_where_the_cluster_is_wins",
    ),
    (
        "properties",
        "records json bucket ack topic restore",
        "the_first_that_says_where_the_cluster_is_wins",
    ),
    (
        "config_files",
        "records json bucket ack topic restore",
        "the_first_that_says_where_the_cluster_is_wins",
    ),
    (
        "debug",
        "records json bucket ack topic restore",
        "librdkafkas_log_is_shown_where_it_is_asked_for",
    ),
    (
        "verbose",
        "records json bucket ack topic restore",
        "librdkafkas_log_is_shown_where_it_is_asked_for",
    ),
];

#[test]
fn every_option_of_every_mode_is_refused_by_name_or_does_something() {
    let mode = |name, words| Mode { name, words };
    let walk = Walk {
        command: Cli::command(),
        modes: &[
            mode("pass", &[]),
            mode("file", &["f"]),
            mode("backup", &["d/"]),
            mode("records", &["-b", "h", "--tsv=all", "d/"]),
            mode("json", &["-b", "h", "-J", "d/"]),
            mode("bucket", &["-b", "h", "--tsv=all", "s3://bucket/d"]),
            mode("topic", &["-b", "h", "kafka:t"]),
            mode("ack", &["-b", "h", "--tsv=all", "--ack", "a", "d/"]),
            mode("cat", &["--cat", "d/"]),
            mode("restore", &["--restore", "d/", "-b", "h"]),
            mode("verify", &["--verify", "d/"]),
            mode("accept", &["--verify", "--accept", "d/"]),
            mode("quarantine", &["--verify", "--quarantine", "d/"]),
            mode("prune", &["--prune", "7d", "d/"]),
        ],
        values: VALUES,
        shown: SHOWN,
        outcome: |words| {
            let words = std::iter::once("ktee").chain(words.iter().map(String::as_str));
            let parsed = || settle(&Cli::try_parse_from(words)?);
            parsed()
                .map(|_| Vec::new())
                .map_err(|error| format!("{error:#}"))
        },
    };
    walk.check();
}
