//! Every pair of a mode and an option.

#[path = "../../tests/options/walk.rs"]
mod walk;

use clap::{CommandFactory, Parser};
use walk::{Walk, outcome};

use super::validate;
use crate::cli::Cli;

#[rustfmt::skip]
const VALUES: &[(&str, &str)] = &[
    ("prune", "7d"), ("as_of", "@1"), ("from", "@1"), ("to", "@1"), ("output", "json"), ("output_error", "warn"),
    ("on_error", "stop"), ("delivery_timeout", "1m"), ("segment_format", "json"), ("compress", "gzip"),
    ("max_delay", "1m"), ("expire_after", "7d"), ("buffer", "8M"), ("template", "%s\\n"),
];

/// Options, the modes in which they do something (`*` for all), and the test that shows it.
const SHOWN: &str = "\
verify | file backup | a_whole_backup_is_a_row_for_each_partition_and_0
cat | file backup | cat_gives_an_offset_once_and_verify_tells_overlaps_apart
prune | file backup | what_is_pruned_is_removed_and_not_missed_and_nothing_else_is_excused
restore | topic | a_topic_comes_back_as_it_was_and_keeps_its_old_records
accept | verify quarantine | what_retention_took_between_two_runs_is_told_until_it_is_accepted
quarantine | verify accept | a_damaged_segment_is_moved_aside_and_its_records_are_sent_again
force | restore | a_backup_with_a_hole_is_refused_without_force
as_of | restore | groups_are_committed_on_partitions_without_records_and_as_of_a_time
topics | cat restore verify accept quarantine prune records json bucket ack | cat_selects_by_time_topic_and_partition
partitions | cat restore verify accept quarantine prune | cat_selects_by_time_topic_and_partition
from | cat restore | cat_selects_by_time_topic_and_partition
to | cat restore | cat_selects_by_time_topic_and_partition
output | verify accept quarantine | a_whole_backup_is_a_row_for_each_partition_and_0
header | verify accept quarantine | the_report_has_the_names_of_its_columns_where_they_are_asked_for
append | file | any_bytes_pass_to_standard_output_and_every_file_unchanged
ignore_interrupts | pass file topic backup records json bucket ack | an_interrupt_is_ignored_where_that_is_said_and_last_words_are_kept_where_not
output_error | pass file topic backup records json bucket ack | a_reader_that_leaves_a_pipe_is_named_and_no_failure
on_error | pass file topic backup records json bucket ack | a_reader_that_leaves_a_pipe_is_named_and_no_failure
ack | records json bucket topic | a_position_is_acknowledged_when_its_segment_is_durable_and_not_before
delivery_timeout | bucket topic | a_store_that_stays_away_is_given_up_when_the_time_is_over
delivery_timeout | restore | a_restore_that_is_cut_off_says_how_much_was_delivered_and_goes_on_when_the_cluster_is_back
spill | topic | what_is_not_delivered_in_time_is_spilled_and_sent_once_more_nothing_is_missing_and_nothing_twice
single_writer | bucket | a_store_that_overwrites_objects_is_refused_unless_there_is_one_writer
segment_format | records json bucket ack backup | every_format_and_compression_comes_back_as_it_was
compress | backup records json bucket ack | every_format_and_compression_comes_back_as_it_was
segment_bytes | backup records json bucket ack | a_topic_backed_up_through_kills_is_restored_as_it_was
segment_records | backup records json bucket ack | a_backup_is_segments_that_other_tools_read_and_check
max_delay | backup records json bucket ack | a_quiet_segment_is_stored_after_max_delay
expire_after | backup records json bucket ack | a_bucket_that_deletes_may_lack_old_segments_and_no_others
settings | records json bucket ack | a_topic_comes_back_as_it_was_and_keeps_its_old_records
groups | records json bucket ack restore | groups_go_on_behind_the_records_that_they_had_read
buffer | backup records json bucket ack | records_that_wait_to_be_compressed_have_as_much_memory_as_was_said
tsv | topic | records_reach_the_topic_with_key_time_and_headers_and_the_files_too
json | topic | every_format_of_lines_reaches_the_topic_as_its_records
template | topic | every_format_of_lines_reaches_the_topic_as_its_records
delimiter | topic | every_format_of_lines_reaches_the_topic_as_its_records
key_delimiter | topic | every_format_of_lines_reaches_the_topic_as_its_records
null_empty | topic | every_format_of_lines_reaches_the_topic_as_its_records
tsv | backup | every_format_and_compression_comes_back_as_it_was
json | backup | records_are_stored_alike_whatever_format_they_come_in
delimiter | backup json | records_are_not_taken_for_lines_unless_that_is_said
key_delimiter | backup json | records_are_not_taken_for_lines_unless_that_is_said
bytes | records bucket ack | records_are_stored_alike_whatever_format_they_come_in
utf8 | records bucket ack | records_are_stored_alike_whatever_format_they_come_in
operands | pass file topic backup records json bucket ack | any_bytes_pass_to_standard_output_and_every_file_unchanged
timeout | records json bucket ack topic restore | a_cluster_that_is_not_there_is_told_and_the_stream_passes
quiet | * | progress_is_on_a_terminal_and_nothing_of_it_is_left";

#[test]
fn every_option_of_every_mode_is_refused_by_name_or_does_something() {
    let walk = Walk {
        command: Cli::command(),
        modes: &[
            ("pass", ""),
            ("file", "f"),
            ("backup", "d/"),
            ("records", "-b h --tsv=all d/"),
            ("json", "-b h -J d/"),
            ("bucket", "-b h --tsv=all s3://bucket/d"),
            ("topic", "-b h kafka:t"),
            ("ack", "-b h --tsv=all --ack a d/"),
            ("cat", "--cat d/"),
            ("restore", "--restore d/ -b h"),
            ("verify", "--verify d/"),
            ("accept", "--verify --accept d/"),
            ("quarantine", "--verify --quarantine d/"),
            ("prune", "--prune 7d d/"),
        ],
        values: VALUES,
        shown: SHOWN,
        connection: "records json bucket ack topic restore",
        outcome: |words| {
            outcome("ktee", words, |words| {
                validate(&Cli::try_parse_from(words)?).map(|_| Vec::new())
            })
        },
    };
    walk.check();
}
