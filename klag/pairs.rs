//! Every pair of a mode and an option.

#[path = "../tests/options/walk.rs"]
mod walk;

use clap::{CommandFactory, Parser};
use walk::{Walk, outcome};

use crate::cli::Cli;
use crate::config::Config;

const VALUES: &[(&str, &str)] = &[
    ("states", "stable"),
    ("active", "1d"),
    ("rate", "10s"),
    ("by", "group"),
    ("sort", "lag"),
    ("max_time", "5m"),
    ("max_stale", "5m"),
    ("columns", "lag"),
    ("granularity", "topic"),
    ("metrics", "klag_group_lag"),
    ("metric_names", "kafka_exporter"),
];

/// Options, the modes in which they do something (`*` for all), and the test that shows it.
const SHOWN: &str = "\
groups topics exclude exclude_group exclude_topic | * | rows_are_selected_and_ordered
active | * | topics_that_a_group_has_left_are_left_out
states | * | a_state_selects_groups_in_any_case_of_its_letters
allow_empty | * | a_name_that_fits_nothing_is_no_empty_answer
time | * | a_limit_of_time_looks_for_times
rate | report table json html check write by | rates_are_of_two_looks_or_of_the_last_hour
by | * | rows_are_summed
sort top | report table json html check write watch rate by | rows_are_selected_and_ordered
max_lag max_time max_lost max_stale | report table json html check write watch rate by | a_check_is_silent_within_its_limits_and_names_what_exceeds_them
unknown | check | the_unknown_trips_a_limit_unless_it_is_let_pass
output json header cluster | * | every_format_has_the_same_columns
columns | report table json html check write watch rate by | columns_are_chosen_in_every_format
wide | report table json html prometheus check write watch rate by | at_eighty_columns_a_row_is_a_line
watch | report table json check by | a_watched_report_comes_again_until_a_signal
write | report table json html prometheus check rate by | a_file_is_replaced_as_a_whole
listen | report by | a_scrape_is_what_there_is_now
web_config | listen | the_exporters_web_configuration_file_gives_tls_and_users
granularity | prometheus listen | granularity_and_by_say_what_is_told_apart
metrics metric_names | prometheus listen | chosen_groups_choose_the_topics_that_are_exported
timeout | * | no_contact_says_why
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
            ("check", "-b h --max-lag 1"),
            ("listen", "-b h --listen 127.0.0.1:0"),
            ("write", "-b h --write f"),
            ("watch", "-b h --watch 2s"),
            ("rate", "-b h --rate"),
            ("by", "-b h --by group"),
        ],
        values: VALUES,
        shown: SHOWN,
        connection: "*",
        outcome: |words| {
            outcome("klag", words, |words| {
                Config::new(&Cli::try_parse_from(words)?, false).map(|_| Vec::new())
            })
        },
    };
    walk.check();
}
