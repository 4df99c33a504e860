//! Every pair of a mode and an option.

#[path = "../tests/options/walk.rs"]
mod walk;

use clap::{CommandFactory, Parser};
use walk::{Walk, outcome};

use crate::cli::Cli;
use crate::config::Config;

const VALUES: &[(&str, &str)] = &[
    ("topics", "orders"),
    ("more_topics", "orders"),
    ("by", "topic"),
    ("window", "2h"),
    ("what_if", "rate=x2"),
    ("need", "7d"),
    ("min_age", "7d"),
    ("max_age", "7d"),
    ("max_stale", "7d"),
    ("columns", "bytes"),
];

/// Options, the modes in which they do something (`*` for all), and the test that shows it.
const SHOWN: &str = "\
topics more_topics exclude_topic internal | report table json html prometheus topics need check listen write watch | topics_are_chosen_by_name_and_pattern_and_internal_ones_only_on_request
allow_empty | report table json html prometheus topics need check listen write watch | a_topic_that_is_not_there_is_a_failure_even_of_a_check
by | report table json html prometheus check listen write watch | every_format_has_every_column
window | * | the_rate_is_that_of_the_window
what_if | report table json html prometheus topics disks need listen write watch | what_is_needed_and_what_would_be_follow_from_the_rate
need | report table json html prometheus write watch | what_is_needed_and_what_would_be_follow_from_the_rate
min_age | report table json html prometheus topics check write watch | a_log_that_was_cut_is_short_and_a_young_one_is_not
max_age max_stale | report table json html prometheus topics check write watch | what_is_kept_too_long_or_not_fed_is_shown
unknown | check | a_future_timestamp_is_in_no_age_rate_or_limit
output json header | * | every_format_has_every_column
columns | report table json html prometheus topics disks need check write watch | columns_are_chosen_in_every_format
wide | report table json html prometheus topics disks need check write watch | at_eighty_columns_a_row_is_a_line
watch | report table json topics disks need check | watching_shows_what_comes_in
write | report table json html prometheus topics disks need check | every_format_has_every_column
listen | report topics disks | an_address_is_taken_in_every_form
web_config | listen | the_exporters_web_configuration_file_gives_tls_and_users
timeout | * | a_cluster_that_is_not_there_is_told_and_ends_with_2
quiet | * | a_refused_connection_is_waited_for_and_that_is_said_alike_by_every_program";

#[test]
fn every_option_of_every_mode_is_refused_by_name_or_does_something() {
    let walk = Walk {
        command: Cli::command(),
        modes: &[
            ("report", "-b h"),
            ("table", "-b h -o table"),
            ("json", "-b h -J"),
            ("html", "-b h -o html"),
            ("prometheus", "-b h -o prometheus"),
            ("topics", "-b h --by topic"),
            ("disks", "-b h --by broker"),
            ("need", "-b h --need 7d"),
            ("check", "-b h --max-age 7d"),
            ("listen", "-b h --listen 127.0.0.1:0"),
            ("write", "-b h --write f"),
            ("watch", "-b h --watch 2s"),
        ],
        values: VALUES,
        shown: SHOWN,
        connection: "*",
        outcome: |words| {
            outcome("koldest", words, |words| {
                Config::new(Cli::try_parse_from(words)?, false).map(|_| Vec::new())
            })
        },
    };
    walk.check();
}
