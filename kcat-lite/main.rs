//! Moves records between a Kafka topic and a pipe.
//!
//! ```text
//! kcat-lite -C -t orders -e --tsv | sort | kcat-lite -P -t sorted --tsv
//! ```

mod admin_query;
mod cli;
mod commit;
mod config;
mod consume;
mod contact;
mod engine;
mod group;
mod last;
mod list;
mod mock;
mod offset;
mod offset_tracker;
mod output;
mod produce;
mod query;
#[cfg(feature = "schema-registry")]
mod schema;
#[cfg(not(feature = "schema-registry"))]
#[path = "schema/absent.rs"]
mod schema;
mod selftest;
mod share;
mod unpack;
mod version;

use std::process::ExitCode;

use config::Config;
use tools::cli::run;

fn main() -> ExitCode {
    run("kcat-lite", || match config::from_command_line()? {
        Config::Produce(config) => produce::run(&config),
        Config::Consume(config) => consume::run(&config),
        Config::List(c) => list::run(&c),
        Config::Group(config) => group::run(&config),
        Config::Share(config) => share::run(&config),
        Config::Query(c) => query::run(&c),
        Config::Schemas(c) => schema::list(&c),
        Config::Commit(config) => commit::run(&config),
        Config::Mock(c) => mock::run(&c),
        Config::Version => version::print_version(),
        Config::Properties(listing, options) => version::print_properties(listing, &options),
        Config::SelfTest => selftest::run(),
    })
}
