//! Every pair of a mode and an option.

#[path = "../../tests/options/walk.rs"]
mod walk;

use std::ffi::OsString;

use clap::CommandFactory;
use walk::{Walk, outcome};

use super::parse::parse;
use super::rules;
use crate::cli::Cli;

const MODES: &[(&str, &str)] = &[
    ("P", "-P -t t -b h"),
    ("P-FILE", "-P -t t -b h Cargo.toml"),
    ("P-l", "-P -t t -b h -l Cargo.toml"),
    ("P-ack", "-P -t t -b h --tsv --ack a"),
    ("P-txn", "-P -t t -b h --tsv --ack a --txn x"),
    ("C", "-C -t t -b h"),
    ("C-f", "-C -t t -b h -f %s"),
    ("C-J", "-C -t t -b h -J"),
    ("C-tsv", "-C -t t -b h --tsv"),
    ("C-last", "-C -t t -b h --last 3"),
    ("C-key", "-C -t t -b h --only-key k"),
    ("G", "-G g t -b h"),
    ("G-exec", "-G g t -b h --exec c"),
    ("G-ack", "-G g t -b h --tsv --ack a"),
    ("S", "--share g t -b h"),
    ("S-exec", "--share g t -b h --exec c"),
    ("L", "-L -b h"),
    ("Q", "-Q -t t:0:end -b h"),
    #[cfg(feature = "schema-registry")]
    ("Q-schema", "-Q --schema -r http://h -t t -b h"),
    ("commit", "--commit g -b h"),
    ("commit-J", "--commit g -b h -J"),
    ("delete", "--commit g -b h --delete"),
    ("M", "-M 1"),
    ("U", "-U"),
];

const VALUES: &[(&str, &str)] = &[
    ("topics", "u:0:end"),
    ("group", "g"),
    ("commit", "g"),
    ("share", "g"),
    ("reject_to", "u"),
    ("offsets", "end"),
    ("key", "k"),
    ("headers", "a=1"),
    ("compression", "zstd"),
    ("engine", "librdkafka"),
    ("delimiter", ";"),
    ("key_delimiter", ":"),
    ("template", "%s\n"),
    ("unpack", "value=i"),
    ("exec", "cat"),
    ("ack", "socket"),
    ("idle", "5s"),
    ("batch_wait", "5s"),
    ("batch_bytes", "1M"),
    ("algorithm", "java"),
    ("operands", "Cargo.toml"),
    ("command", "true"),
];

/// Options, the modes in which they do something (`*` for all), and the test that shows it.
const SHOWN: &str = "\
print_offset | G-exec | a_command_gets_offsets_where_they_are_asked_for
consume | C C-f C-J C-tsv C-last C-key G G-exec G-ack | a_group_may_be_asked_for_beside_c
group | C C-f C-J C-tsv C-key G G-exec G-ack | a_group_may_be_asked_for_beside_c
produce | P P-FILE P-l P-ack P-txn | the_command_lines_of_kcat_do_the_same_or_say_what_to_type
list | L | the_text_is_kcats
query last json tsv | Q-schema | the_schemas_of_the_newest_records_are_listed_with_their_subjects
query | Q | a_time_is_answered_with_the_first_offset_at_or_after_it
json | commit commit-J delete | a_group_is_rewound_to_a_time_as_kafka_s_own_tool_does
tsv | Q | several_topics_are_asked_by_name_and_by_pattern
tsv | commit delete | a_trial_shows_what_would_be_and_commits_nothing
metadata | commit commit-J | a_text_stands_beside_each_position
delete | commit commit-J delete | positions_are_deleted_where_that_is_asked_for
force | commit commit-J | a_line_that_is_wrong_keeps_all_from_being_committed
dry_run | commit commit-J delete | a_trial_shows_what_would_be_and_commits_nothing
keep_trying | commit commit-J delete | with_e_every_mode_waits_for_the_cluster
self_test | U | the_self_test_passes
brokers | U | kcats_unit_tests_pass
topics | Q | a_time_is_answered_with_the_first_offset_at_or_after_it
partition | P P-FILE P-l P-ack P-txn | a_partition_is_obeyed_and_one_that_is_not_there_is_an_error
partition | C C-f C-J C-tsv C-last C-key | all_partitions_are_read_or_the_one_that_was_asked_for
offsets | C C-f C-J C-tsv C-key | an_offset_is_absolute_or_counted_from_the_end
offsets | G G-exec G-ack | a_group_prints_the_same
count | P P-FILE P-l | a_count_ends_production
count | C C-f C-J C-tsv C-key | a_count_ends_consumption_and_the_rest_is_not_shown
count | G G-exec G-ack | a_count_commits_exactly_what_was_shown
exit_at_end | C C-f C-J C-tsv C-last C-key | the_last_are_the_newest_of_all_partitions_by_their_times
exit_at_end | G G-exec G-ack | a_group_reads_to_the_end_and_goes_on_there
idle | C C-f C-J C-tsv C-key G | idleness_ends_a_consumer_and_a_member_of_a_group
give_up | C C-f C-J C-tsv C-last C-key G G-exec G-ack | give_up_ends_a_consumer_whose_cluster_is_away_for_too_long
last | C C-f C-J C-tsv C-key | the_last_are_the_newest_of_all_partitions_by_their_times
only_key | C C-f C-J C-tsv C-last G | only_one_key_is_shown_from_all_partitions_or_from_its_own
algorithm | C-key | only_one_key_is_shown_from_all_partitions_or_from_its_own
lines | P P-FILE P-l | a_line_file_is_read_like_stdin
key | P P-FILE P-l P-ack P-txn | a_fixed_key_gives_way_to_a_key_in_the_line
headers | P P-FILE P-l P-ack P-txn | headers_of_the_command_line_are_on_every_record_in_their_order
compression | P P-FILE P-l P-ack P-txn | every_codec_is_readable_by_others
tee | P-FILE | a_file_that_is_one_record_is_passed_on_too
tee | P P-l | the_input_is_passed_on_with_its_delimiters
unbuffered | C C-f C-J C-tsv C-last C-key G S | a_record_shows_at_once_in_a_pipe
keep_trying | P P-FILE P-l C C-f C-J C-tsv C-last C-key G L Q Q-schema | with_e_every_mode_waits_for_the_cluster
engine | C C-f C-J C-tsv C-last C-key | every_codec_is_read_alike
engine | G G-exec G-ack | a_group_reads_with_either_engine_what_the_other_reads
print_offset | C C-last C-key G S S-exec | the_offset_is_shown_before_a_raw_record_where_it_is_asked_for
unpack | C C-f C-J C-tsv C-last C-key G G-exec G-ack S S-exec | integers_are_unpacked
raw | C C-f C-J C-tsv C-last C-key G S | a_message_cannot_drive_the_terminal
delimiter | P P-l C C-last C-key C-J G G-exec S S-exec | any_delimiter_is_taken_as_it_was_typed
key_delimiter | P P-l C C-last C-key G G-exec S S-exec | a_key_ends_at_the_first_delimiter_and_a_line_without_one_has_none
null_empty | P P-l C C-last C-key C-f G G-exec S S-exec | an_empty_key_or_value_is_null_where_it_is_asked_for
template | P P-l C C-f C-last C-key G G-exec S S-exec | a_template_shows_each_part
json | P P-l P-ack P-txn C C-J C-last C-key G G-exec L Q S S-exec | json_is_valid_for_any_bytes
tsv | P P-l P-ack P-txn C C-tsv C-last C-key G G-exec G-ack S S-exec | tsv_keeps_every_byte_on_one_line
bytes | C-tsv P-ack P-txn G-ack | bytes_are_hexadecimal_or_have_to_be_utf_8_where_that_is_asked_for
utf8 | C-tsv P-ack P-txn G-ack | bytes_are_hexadecimal_or_have_to_be_utf_8_where_that_is_asked_for
exec | G G-exec | a_command_gets_whole_batches_and_is_told_what_they_hold
ack | G-ack P-ack P-txn | what_is_delivered_is_committed_and_nothing_is_left_behind
txn | P-ack P-txn | an_end_that_is_alone_says_so_in_time
max_inflight | G-ack | a_sink_that_stands_still_bounds_what_is_sent
batch | G-exec P-txn | a_command_gets_whole_batches_and_is_told_what_they_hold
batch_wait | G-exec P-txn | a_batch_ends_by_its_bytes_and_by_its_time
batch_bytes | G-exec | a_batch_ends_by_its_bytes_and_by_its_time
retry | G-exec | a_command_that_fails_is_tried_again_with_the_whole_batch
parallel | G-exec | partitions_run_beside_each_other_and_each_in_its_order
timeout | * | every_mode_says_why_the_cluster_is_unreachable
quiet | * | what_kcat_overrides_in_silence_is_named_and_quiet_says_nothing
operands | P P-FILE P-l | each_file_is_one_record_even_an_empty_one
operands | C C-f C-J C-tsv C-last C-key G G-exec G-ack | several_topics_are_read_together
count | S S-exec | what_standard_output_has_taken_is_accepted_and_the_rest_comes_again
idle | S S-exec | what_standard_output_has_taken_is_accepted_and_the_rest_comes_again
exec | S S-exec | each_record_is_accepted_rejected_or_tried_again_as_its_command_says
parallel | S-exec | each_record_is_accepted_rejected_or_tried_again_as_its_command_says
max_tries | S-exec | each_record_is_accepted_rejected_or_tried_again_as_its_command_says
reject_to | S-exec | each_record_is_accepted_rejected_or_tried_again_as_its_command_says
batch | S-exec | several_records_in_one_command_have_one_verdict
operands | S S-exec | a_queue_over_several_topics_ends_when_it_is_idle
give_up | S S-exec | give_up_ends_a_queue_whose_cluster_is_away_for_too_long
command | M | a_command_gets_the_cluster_by_its_environment_and_its_status_is_passed_on";

#[test]
fn every_option_of_every_mode_is_refused_by_name_or_does_something() {
    let walk = Walk {
        command: Cli::command(),
        modes: MODES,
        values: VALUES,
        shown: SHOWN,
        connection: "*",
        outcome: |words| {
            outcome("kcat-lite", words, |words| {
                let words = words.into_iter().map(OsString::from);
                let typed = tools::cli::parse::parse_words::<Cli>(words, rules::LAST_WINS)?;
                parse(typed).map(|(_, warnings)| warnings)
            })
        },
    };
    walk.check();
}
