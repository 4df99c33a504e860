//! From the options as typed to the settings of a mode.

use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use tools::cli::format::FormatArgs;
use tools::cli::now_ms;
use tools::cli::parse::Typed;
use tools::kafka::Options;
use tools::record::{Decoder, Format};

use super::mode::{Mode, choose_mode};
use super::value::{check_topic, group_name, key_partition, parse_header, parse_partition};
use super::{
    Config, Consume, Group, List, Mock, Output, OutputFormat, Produce, SchemaQuery, Share, Source,
    other_tools, pipe, positions, rules, schemas, usage, value,
};
use crate::cli::Cli;
use crate::offset::{Range, Start};
use crate::schema;
use crate::unpack::Unpack;

/// The mode and its settings, and warnings about ignored options.
pub(super) fn parse(typed: Typed<Cli>) -> anyhow::Result<(Config, Vec<String>)> {
    let mut cli = typed.cli;
    if cli.modes.version {
        return Ok((Config::Version, Vec::new()));
    }
    if let Some(listing) = cli.connection.wants_listing() {
        let options = Box::new(cli.connection.options()?);
        return Ok((Config::Properties(listing, options), Vec::new()));
    }
    let mode = choose_mode(&cli)?;
    rules::check_options(&typed.matches, mode)?;
    other_tools::refuse_java_properties(&cli.connection.properties)?;
    let warnings = warn_of_overridden(&mut cli, &typed.repeated, mode);
    config_of(cli, mode).map(|config| (config, warnings))
}

fn config_of(cli: Cli, mode: Mode) -> anyhow::Result<Config> {
    match mode {
        Mode::Produce => produce(cli).map(Config::Produce),
        Mode::Consume => consume(&cli).map(Config::Consume),
        Mode::Group => group(&cli).map(Config::Group),
        Mode::Share => share(&cli).map(Config::Share),
        Mode::List => list(cli).map(Config::List),
        Mode::Query if cli.schema.schema.is_empty() => {
            positions::query(&cli, now_ms()).map(Config::Query)
        }
        Mode::Query => schemas_of_topics(&cli).map(Config::Schemas),
        Mode::Commit => positions::commit(cli).map(Config::Commit),
        Mode::Mock => Ok(Config::Mock(Mock {
            brokers: cli.modes.mock.unwrap_or(1),
            command: cli.command,
            quiet: cli.connection.quiet,
        })),
        Mode::SelfTest => Ok(Config::SelfTest),
    }
}

/// Warns of options that kcat ignores silently.
fn warn_of_overridden(cli: &mut Cli, repeated: &[String], mode: Mode) -> Vec<String> {
    let mut warnings = Vec::new();
    for option in repeated {
        let warning = format!("{option} is there more than once; the last one counts");
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
    if matches!(mode, Mode::Consume | Mode::Group | Mode::Share) {
        warnings.extend(cli.format.override_as_kcat());
    }
    warnings
}

/// `-Q --schema` looks at these, unless `--last` says how many.
const NEWEST_RECORDS: u64 = 100;

/// `-E` waits this long for the first contact, unless `--give-up` is given.
const A_YEAR: Duration = Duration::from_secs(365 * 86_400);

pub(super) fn options(cli: &Cli) -> anyhow::Result<Options> {
    let mut options = cli.connection.options()?;
    if cli.keep_trying {
        options.first_contact = cli.give_up.unwrap_or(A_YEAR);
    }
    options.brokers()?;
    Ok(options)
}

fn output(cli: &Cli, options: &Options) -> anyhow::Result<Output> {
    let is_raw_format =
        !cli.format.json && cli.format.tsv.is_none() && cli.format.template.is_none();
    if cli.print_offset && !is_raw_format {
        return Err(usage(
            "-O goes with raw records only; -f has %o, --tsv has offset",
        ));
    }
    let key_delimiter = cli.format.key_delimiter.clone().map(|d| d.0);
    let unpacked = schemas::Unpacked::new(&cli.unpack);
    let mut format = cli.format.format().map_err(usage)?;
    if let (Format::Raw(raw), Some(_)) = (&mut format, &unpacked.key) {
        // As kcat: who decodes keys wants to see them.
        raw.key_delimiter.get_or_insert_default();
    }
    Ok(Output {
        format,
        raw: cli.raw,
        offset_delimiter: cli
            .print_offset
            .then(|| key_delimiter.unwrap_or_else(|| b"\t".to_vec())),
        unpack: Unpack::parse(&unpacked.packs).map_err(usage)?,
        schemas: schemas::reading(cli, &unpacked, options)?,
        only_key: cli.only_key.clone().map(OsStringExt::into_vec),
        unbuffered: cli.unbuffered,
        keep_trying: cli.keep_trying,
    })
}

fn produce(cli: Cli) -> anyhow::Result<Produce> {
    let mut options = options(&cli)?;
    if options.get("transactional.id") == Some("") || cli.pipe.txn.as_deref() == Some("") {
        return Err(usage("the transactional.id is empty; is a variable empty?"));
    }
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
    // Not every format can be decoded; that is an error before any connection.
    Decoder::new(format.clone()).map_err(usage)?;
    let ack_input = pipe::ack_input(&cli, &mut options)?;
    for file in &cli.operands {
        value::check_operand(&file.to_string_lossy(), &cli.format, Mode::Produce)?;
    }
    let schemas = schemas::writing(&cli, &options)?;
    let source = if cli.lines || cli.operands.is_empty() {
        Source::Lines(cli.operands)
    } else {
        refuse_format_of_whole_files(&cli.format)?;
        Source::Whole(cli.operands)
    };
    Ok(Produce {
        schemas,
        ack_input,
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

/// A file that is one record has no delimiters, columns or lines.
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
    let has_group = options.get("group.id").is_some_and(|id| !id.is_empty());
    if range.start == Some(Start::Stored) && !has_group {
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
        output: output(cli, &options)?,
        options,
    })
}

fn group(cli: &Cli) -> anyhow::Result<Group> {
    let range = Range::parse(&cli.offsets, now_ms()).map_err(usage)?;
    if range.stop_time_ms.is_some() || matches!(range.start, Some(Start::Time(_))) {
        return Err(usage(
            "-G: -o takes beginning, end, stored, N or -N; times go with -C",
        ));
    }
    let name = group_name("-G", cli.modes.group.as_ref())?;
    let options = options(cli)?;
    Ok(Group {
        name,
        delivery: pipe::delivery(cli)?,
        topics: topics(cli, Mode::Group)?,
        output: output(cli, &options)?,
        options,
        start: range.start,
        count: cli.count,
        exit_at_end: cli.exit_at_end,
        idle: cli.idle,
        give_up: cli.give_up,
        engine: cli.engine.unwrap_or_default(),
    })
}

fn share(cli: &Cli) -> anyhow::Result<Share> {
    let group = group_name("--share", cli.modes.share.as_ref())?;
    let options = options(cli)?;
    let topics = topics(cli, Mode::Share)?;
    Ok(Share {
        group,
        jobs: pipe::jobs(cli, &topics)?,
        topics,
        output: output(cli, &options)?,
        options,
        count: cli.count,
        idle: cli.idle,
        give_up: cli.give_up,
    })
}

fn schemas_of_topics(cli: &Cli) -> anyhow::Result<SchemaQuery> {
    if let Some(file) = cli.schema.schema.iter().find(|file| !file.is_empty()) {
        return Err(usage(format_args!(
            "--schema {file}: -Q --schema takes no FILE; the topic goes with -t"
        )));
    }
    let options = options(cli)?;
    Ok(SchemaQuery {
        topics: topics(cli, Mode::Query)?,
        count: cli.last.unwrap_or(NEWEST_RECORDS),
        registry: schema::asking(&cli.schema, &options).map_err(usage)?,
        format: output_format(cli)?,
        options,
    })
}

fn output_format(cli: &Cli) -> anyhow::Result<OutputFormat> {
    match (&cli.format.tsv, cli.format.json) {
        (Some(columns), _) if *columns != tools::record::tsv::Columns::default() => Err(usage(
            "--tsv=COLUMNS chooses the columns of records; here it is --tsv alone",
        )),
        (Some(_), _) => Ok(OutputFormat::Tsv),
        (None, true) => Ok(OutputFormat::Json),
        (None, false) => Ok(OutputFormat::Text),
    }
}

fn list(cli: Cli) -> anyhow::Result<List> {
    for topic in &cli.topics {
        check_topic(topic, "-t", Mode::List)?;
    }
    Ok(List {
        options: options(&cli)?,
        format: output_format(&cli)?,
        topics: cli.topics,
    })
}
