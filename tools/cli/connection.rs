//! The options that say where the cluster is and how to get in; the same in every program.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::kafka::options::{Options, OptionsError, Source};
use crate::units::parse_duration;

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Connection")]
pub struct Connection {
    /// Bootstrap brokers, as HOST or HOST:PORT, separated by commas
    ///
    /// The default is the first of: -X bootstrap.servers, -F FILE, the variable
    /// KAFKA_BROKERS, the file named by KCAT_CONFIG, ~/.config/kcat.conf.
    #[arg(short = 'b', long = "brokers", value_name = "HOST,...")]
    pub brokers: Option<String>,

    /// Set a librdkafka property; kcat-lite -X list and -X dump print them
    ///
    /// @FILE as VALUE reads the value from a file, without the last newline,
    /// and keeps secrets off the command line. @@ stands for a plain @.
    #[arg(short = 'X', long = "property", value_name = "NAME=VALUE")]
    pub properties: Vec<String>,

    /// Read librdkafka or Java properties from FILE; with "none", read no file
    #[arg(short = 'F', long = "config", value_name = "FILE")]
    pub config_files: Vec<PathBuf>,

    /// Time limit for the first contact with the cluster, in seconds if no unit is given
    #[arg(short = 'm', long = "timeout", value_name = "TIME", default_value = "5", allow_negative_numbers = true, value_parser = parse_seconds)]
    pub timeout: Duration,

    /// Log parts of librdkafka to stderr: broker,topic,msg,cgrp,... or all
    #[arg(short = 'd', long = "debug", value_name = "PART,...")]
    pub debug: Option<String>,

    /// Print more on stderr; -vv also logs what librdkafka does
    #[arg(short = 'v', long = "verbose", action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// Print only failures on stderr
    #[arg(short = 'q', long = "quiet")]
    pub quiet: bool,
}

impl Connection {
    /// Whether anything was typed of how the cluster is reached; `-q` and `-m 5` change nothing where none is.
    pub fn is_given(&self) -> bool {
        self.brokers.is_some()
            || !self.properties.is_empty()
            || !self.config_files.is_empty()
            || self.debug.is_some()
            || self.verbose > 0
            || self.timeout != Duration::from_secs(5)
    }

    /// What of `-X` asks for a listing instead of setting a property.
    pub fn wants_listing(&self) -> Option<Listing> {
        self.properties
            .iter()
            .find_map(|property| match property.as_str() {
                "list" => Some(Listing::Known),
                "dump" => Some(Listing::InForce),
                _ => None,
            })
    }

    /// All sources put together, the first that names a property winning; starts the log as `-q`, `-v` and `-d` ask for.
    ///
    /// Reads the environment and the files.
    pub fn options(&self) -> Result<Options, OptionsError> {
        let mut options = Options::default();
        if let Some(brokers) = &self.brokers {
            options.set("bootstrap.servers", brokers, &Source::Option("-b"))?;
        }
        if let Some(debug) = &self.debug {
            options.set("debug", debug, &Source::Option("-d"))?;
        }
        let typed = |p: &&String| !matches!(p.as_str(), "list" | "dump");
        options.add_typed(self.properties.iter().filter(typed))?;
        options.add_files_and_environment(&self.config_files)?;
        options.set_default("client.id", super::message::program());
        options.verbosity = if self.quiet {
            -1
        } else {
            i32::from(self.verbose)
        };
        super::logger::start(options.verbosity, options.get("debug").is_some());
        for (name, source) in options.ignored() {
            log::info!("{source}: {name} concerns only Java's clients, and is passed over");
        }
        options.first_contact = self.timeout;
        Ok(options)
    }
}

/// What `-X list` and `-X dump` show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// Every property that librdkafka knows.
    Known,
    /// Every property with its value, as this command line sets it; secrets are masked.
    InForce,
}

/// The most that `-m` takes.
const LONGEST: Duration = Duration::from_secs(86_400);

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let limit = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => parse_duration(text).ok(),
    };
    let is_sound = |limit: &Duration| !limit.is_zero() && *limit <= LONGEST;
    limit.filter(is_sound).ok_or_else(|| {
        "a number of seconds, or a time as 500ms or 1m, above 0 and up to a day is expected"
            .to_owned()
    })
}
