//! What the command line means: one mode with its facts, settled once.
//!
//! An option that the mode can't honour is a usage error that names it.

mod facts;
mod habits;
mod mode;
#[cfg(test)]
mod pairs;
mod pipe;
mod rules;
mod value;

use std::os::unix::ffi::OsStringExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::CommandFactory;
use clap::error::ErrorKind;
use tools::cli::format::FormatArgs;
use tools::cli::parse::Typed;
use tools::kafka::Options;
use tools::record::Decoder;

use crate::cli::Cli;
use crate::offset::{Range, Start};
use crate::unpack::Unpack;
pub(crate) use facts::*;
use mode::{Mode, choose_mode, refuse_avro};
use value::{check_topic, key_partition, parse_header, parse_partition, parse_question};

/// Parses the command line of this process and settles what it means.
pub(crate) fn from_command_line() -> anyhow::Result<Config> {
    let typed = tools::cli::parse_last::<Cli>(rules::LAST_COUNTS)?;
    let quiet = typed.cli.connection.quiet;
    let (config, warnings) = settle(typed)?;
    if !quiet {
        for warning in warnings {
            tools::cli::message(warning);
        }
    }
    Ok(config)
}

/// A usage error, as clap words and ends them.
pub(crate) fn usage(text: impl std::fmt::Display) -> anyhow::Error {
    Cli::command()
        .error(ErrorKind::ArgumentConflict, text)
        .into()
}

/// What is to be done, and what the user should know of options that are ignored.
fn settle(typed: Typed<Cli>) -> anyhow::Result<(Config, Vec<String>)> {
    let mut cli = typed.cli;
    if cli.version {
        return Ok((Config::Version, Vec::new()));
    }
    refuse_avro(&cli)?;
    if let Some(listing) = cli.connection.wants_listing() {
        let options = Box::new(cli.connection.options()?);
        return Ok((Config::Properties(listing, options), Vec::new()));
    }
    let mode = choose_mode(&cli)?;
    rules::refuse_what_does_not_fit(&typed.matches, mode)?;
    habits::refuse_java_properties(&cli.connection.properties)?;
    let warnings = take_off_overridden(&mut cli, &typed.repeated, mode);
    config_of(cli, mode).map(|config| (config, warnings))
}

fn config_of(cli: Cli, mode: Mode) -> anyhow::Result<Config> {
    match mode {
        Mode::Produce => produce(cli).map(Config::Produce),
        Mode::Consume => consume(&cli).map(Config::Consume),
        Mode::Group => group(cli).map(Config::Group),
        Mode::List => list(cli).map(Config::List),
        Mode::Query => query(&cli).map(Config::Query),
        Mode::Mock => Ok(Config::Mock(Mock {
            brokers: cli.mock.unwrap_or(1),
            command: cli.command,
            quiet: cli.connection.quiet,
        })),
        Mode::SelfTest => Ok(Config::SelfTest),
    }
}

/// What kcat ignores in silence is ignored with a warning.
fn take_off_overridden(cli: &mut Cli, repeated: &[String], mode: Mode) -> Vec<String> {
    let mut warnings = Vec::new();
    for option in repeated {
        let warning = format!("{option} is there more than once; the last one counts");
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
    if matches!(mode, Mode::Consume | Mode::Group) {
        warnings.extend(cli.format.override_as_kcat());
    }
    warnings
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_millis() as i64)
}

fn options(cli: &Cli) -> anyhow::Result<Options> {
    let mut options = cli.connection.options()?;
    if cli.keep_trying {
        options.first_contact = Duration::from_secs(365 * 86_400);
    }
    options.brokers()?;
    Ok(options)
}

fn output(cli: &Cli) -> anyhow::Result<Output> {
    let is_raw_format =
        !cli.format.json && cli.format.tsv.is_none() && cli.format.template.is_none();
    if cli.print_offset && !is_raw_format {
        return Err(usage(
            "-O goes with raw records only; -f has %o, --tsv has offset",
        ));
    }
    let key_delimiter = cli.format.key_delimiter.clone().map(|d| d.0);
    Ok(Output {
        format: cli.format.format().map_err(usage)?,
        raw: cli.raw,
        offset_delimiter: cli
            .print_offset
            .then(|| key_delimiter.unwrap_or_else(|| b"\t".to_vec())),
        unpack: Unpack::parse(&cli.unpack).map_err(usage)?,
        only_key: cli.only_key.clone().map(OsStringExt::into_vec),
        unbuffered: cli.unbuffered,
        keep_trying: cli.keep_trying,
    })
}

fn produce(cli: Cli) -> anyhow::Result<Produce> {
    let mut options = options(&cli)?;
    if let Some(codec) = &cli.compression {
        options
            .set(
                "compression.type",
                codec,
                &tools::kafka::options::Source::Option("-z"),
            )
            .map_err(usage)?;
    }
    if cli.topics.len() > 1 {
        return Err(usage(
            "-P takes one -t; without it each record names its topic",
        ));
    }
    let has_topics = match &cli.format {
        format if format.json => true,
        format if format.tsv.is_some() => format
            .tsv
            .as_ref()
            .is_some_and(|columns| columns.contains(tools::record::tsv::Column::Topic)),
        format => format.template.as_ref().is_some_and(|t| t.contains("%t")),
    };
    if cli.topics.is_empty() && !(has_topics && (cli.operands.is_empty() || cli.lines)) {
        return Err(usage("-P: to which topic? Say -t TOPIC"));
    }
    let headers = cli.headers.iter().map(|header| parse_header(header));
    let headers = headers.collect::<Result<Vec<_>, String>>().map_err(usage)?;
    let format = cli.format.format().map_err(usage)?;
    // What can be written can't always be read back; that is known before a cluster is asked for.
    Decoder::new(format.clone()).map_err(usage)?;
    let intake = pipe::intake(&cli, &mut options)?;
    for file in &cli.operands {
        value::check_operand(&file.to_string_lossy(), &cli.format, Mode::Produce)?;
    }
    let source = if cli.lines || cli.operands.is_empty() {
        Source::Lines(cli.operands)
    } else {
        refuse_format_of_whole_files(&cli.format)?;
        Source::Whole(cli.operands)
    };
    Ok(Produce {
        intake,
        options,
        topic: match cli.topics.into_iter().next() {
            Some(topic) => Some(check_topic(&topic, "-t", Mode::Produce)?.to_owned()),
            None => None,
        },
        partition: parse_partition(cli.partition.as_deref())?,
        source,
        format,
        key: cli.key.map(OsStringExt::into_vec),
        headers,
        count: cli.count,
        tee: cli.tee,
    })
}

/// A file that is one record has no delimiters, columns or lines; to ignore these options would send it in the wrong shape.
fn refuse_format_of_whole_files(format: &FormatArgs) -> anyhow::Result<()> {
    let given = [
        ("--tsv", format.tsv.is_some()),
        ("-J", format.json),
        ("-f", format.template.is_some()),
        ("-D", format.delimiter.is_some()),
        ("-K", format.key_delimiter.is_some()),
        ("-Z", format.null_empty),
    ];
    match given.into_iter().find(|(_, is_given)| *is_given) {
        Some((option, _)) => Err(usage(format_args!(
            "{option} is about lines, and each FILE is one record; -l sends the lines of FILE"
        ))),
        None => Ok(()),
    }
}

fn topics(cli: &Cli, mode: Mode) -> anyhow::Result<Vec<String>> {
    let operands = cli
        .operands
        .iter()
        .map(|o| o.to_string_lossy().into_owned());
    let mut topics: Vec<String> = Vec::new();
    for topic in &cli.topics {
        check_topic(topic, "-t", mode)?;
    }
    for topic in operands.clone() {
        value::check_operand(&topic, &cli.format, mode)?;
    }
    for topic in cli.topics.iter().cloned().chain(operands) {
        if !topics.contains(&topic) {
            topics.push(topic);
        }
    }
    if topics.is_empty() {
        return Err(usage(format_args!("{}: which topic?", mode.option())));
    }
    Ok(topics)
}

fn consume(cli: &Cli) -> anyhow::Result<Consume> {
    let options = options(cli)?;
    let range = Range::parse(&cli.offsets, now_ms()).map_err(usage)?;
    if range.start == Some(Start::Stored) && options.get("group.id").is_none() {
        return Err(usage(
            "-o stored: the offsets of which group? Say -X group.id=GROUP",
        ));
    }
    Ok(Consume {
        topics: topics(cli, Mode::Consume)?,
        partition: parse_partition(cli.partition.as_deref())?,
        key_partition: key_partition(cli)?,
        last: cli.last,
        idle: cli.idle,
        range,
        count: cli.count,
        exit_at_end: cli.exit_at_end,
        give_up: cli.give_up,
        engine: cli.engine.unwrap_or_default(),
        output: output(cli)?,
        options,
    })
}

fn group(cli: Cli) -> anyhow::Result<Group> {
    let range = Range::parse(&cli.offsets, now_ms()).map_err(usage)?;
    if range.stop_time_ms.is_some() || matches!(range.start, Some(Start::Time(_))) {
        return Err(usage(
            "-G: -o takes beginning, end, stored, N or -N; times go with -C",
        ));
    }
    Ok(Group {
        delivery: pipe::delivery(&cli)?,
        options: options(&cli)?,
        topics: topics(&cli, Mode::Group)?,
        output: output(&cli)?,
        name: cli.group.unwrap_or_default(),
        start: range.start,
        count: cli.count,
        exit_at_end: cli.exit_at_end,
        idle: cli.idle,
        give_up: cli.give_up,
    })
}

fn answer(cli: &Cli) -> anyhow::Result<Answer> {
    match (&cli.format.tsv, cli.format.json) {
        (Some(columns), _) if *columns != tools::record::tsv::Columns::default() => Err(usage(
            "--tsv=COLUMNS chooses the columns of records; here it is --tsv alone",
        )),
        (Some(_), _) => Ok(Answer::Tsv),
        (None, true) => Ok(Answer::Json),
        (None, false) => Ok(Answer::Text),
    }
}

fn list(cli: Cli) -> anyhow::Result<List> {
    for topic in &cli.topics {
        check_topic(topic, "-t", Mode::List)?;
    }
    Ok(List {
        options: options(&cli)?,
        answer: answer(&cli)?,
        topics: cli.topics,
    })
}

fn query(cli: &Cli) -> anyhow::Result<Query> {
    if cli.topics.is_empty() {
        return Err(usage(
            "-Q: what of which partition? Say -t TOPIC:PARTITION:TIME",
        ));
    }
    let now = now_ms();
    let questions = cli.topics.iter().map(|text| parse_question(text, now));
    Ok(Query {
        questions: questions
            .collect::<Result<Vec<_>, String>>()
            .map_err(usage)?,
        options: options(cli)?,
        answer: answer(cli)?,
    })
}
