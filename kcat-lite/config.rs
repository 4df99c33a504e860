//! What the command line means: one mode with its facts, settled once.
//!
//! An option that the mode can't honour is a usage error that names it.

use std::ffi::{OsStr, OsString};
use std::io::IsTerminal;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use clap_complete::Shell;
use tools::cli::connection::Listing;
use tools::kafka::Options;
use tools::record::Format;
use tools::units::{parse_time, parse_whole};

use crate::cli::Cli;
use crate::offset::{Range, Start};
use crate::unpack::Unpack;

/// One mode and all that it needs to know.
pub enum Config {
    /// `-P`
    Produce(Produce),
    /// `-C`
    Consume(Consume),
    /// `-G`
    Group(Group),
    /// `-L`
    List(List),
    /// `-Q`
    Query(Query),
    /// `-M`
    Mock(Mock),
    /// `-U`
    SelfTest,
    /// `-V`
    Version,
    /// `-X list`, `-X dump`
    Properties(Listing, Box<Options>),
    /// `--generate-completions`
    Completions(Shell),
}

/// Where records to produce come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Standard input, or these files one after the other (`-l`), cut into records by the format.
    Lines(Vec<PathBuf>),
    /// Each file is one record.
    Whole(Vec<PathBuf>),
}

/// `-P`
pub struct Produce {
    pub options: Options,
    /// `-t`; else each record names its topic.
    pub topic: Option<String>,
    /// `-p`, where it is not -1; else the record's, else the partitioner's.
    pub partition: Option<i32>,
    pub source: Source,
    pub format: Format,
    pub key: Option<Vec<u8>>,
    /// Name and value of each `-H`.
    pub headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    pub null_empty: bool,
    pub count: Option<u64>,
    pub tee: bool,
}

/// How consumed records are written.
pub struct Output {
    pub format: Format,
    /// Exact bytes to a terminal too.
    pub raw: bool,
    /// `-O`: the offset and this before each record.
    pub offset_delimiter: Option<Vec<u8>>,
    pub unpack: Unpack,
    pub unbuffered: bool,
    /// `-E`: a record that can't be written is skipped, an error of a partition does not end the program.
    pub keep_trying: bool,
}

/// `-C`
pub struct Consume {
    pub options: Options,
    pub topics: Vec<String>,
    pub partition: Option<i32>,
    pub range: Range,
    pub count: Option<u64>,
    pub exit_at_end: bool,
    pub output: Output,
}

/// `-G`
pub struct Group {
    pub options: Options,
    pub group: String,
    pub topics: Vec<String>,
    /// `-o`: overrides the committed offsets at the first assignment.
    pub start: Option<Start>,
    pub count: Option<u64>,
    pub exit_at_end: bool,
    pub output: Output,
}

/// How `-L` and `-Q` answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Text,
    Json,
    Tsv,
}

/// `-L`
pub struct List {
    pub options: Options,
    pub topics: Vec<String>,
    pub answer: Answer,
}

/// What `-Q` asks of a partition: an offset by time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub topic: String,
    pub partition: i32,
    /// Milliseconds since 1970; -1 is the end, -2 the beginning.
    pub time_ms: i64,
}

/// `-Q`
pub struct Query {
    pub options: Options,
    pub questions: Vec<Question>,
    pub answer: Answer,
}

/// `-M`
pub struct Mock {
    pub brokers: u32,
    pub command: Vec<OsString>,
    pub quiet: bool,
}

/// Parses the command line of this process and settles what it means.
pub fn from_command_line() -> anyhow::Result<Config> {
    let cli = Cli::try_parse()?;
    let config = settle(cli)?;
    Ok(config)
}

/// A usage error, as clap words and ends them.
pub fn usage(text: impl std::fmt::Display) -> anyhow::Error {
    Cli::command()
        .error(ErrorKind::ArgumentConflict, text)
        .into()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Produce,
    Consume,
    Group,
    List,
    Query,
    Mock,
    SelfTest,
}

impl Mode {
    fn option(self) -> &'static str {
        match self {
            Mode::Produce => "-P",
            Mode::Consume => "-C",
            Mode::Group => "-G",
            Mode::List => "-L",
            Mode::Query => "-Q",
            Mode::Mock => "-M",
            Mode::SelfTest => "-U",
        }
    }
}

fn settle(cli: Cli) -> anyhow::Result<Config> {
    if cli.version {
        return Ok(Config::Version);
    }
    if let Some(shell) = cli.completions {
        return Ok(Config::Completions(shell));
    }
    refuse_avro(&cli)?;
    if let Some(listing) = cli.connection.wants_listing() {
        return Ok(Config::Properties(
            listing,
            Box::new(cli.connection.options()?),
        ));
    }
    let mode = choose_mode(&cli);
    refuse_what_does_not_fit(&cli, mode)?;
    match mode {
        Mode::Produce => produce(cli).map(Config::Produce),
        Mode::Consume => consume(cli).map(Config::Consume),
        Mode::Group => group(cli).map(Config::Group),
        Mode::List => list(cli).map(Config::List),
        Mode::Query => query(cli).map(Config::Query),
        Mode::Mock => Ok(Config::Mock(Mock {
            brokers: cli.mock.unwrap_or(1),
            command: cli.command,
            quiet: cli.connection.quiet,
        })),
        Mode::SelfTest => Ok(Config::SelfTest),
    }
}

fn refuse_avro(cli: &Cli) -> anyhow::Result<()> {
    let avro = |pack: &String| pack.rsplit('=').next() == Some("avro");
    if cli.registry.is_some() {
        return Err(usage("-r: schema registries and Avro are not supported"));
    }
    if cli.unpack.iter().any(avro) {
        return Err(usage(
            "-s avro: Avro and schema registries are not supported",
        ));
    }
    Ok(())
}

/// The mode that was asked for; else the one that the options are about; else by what standard input is, as kcat does.
fn choose_mode(cli: &Cli) -> Mode {
    let asked = [
        (cli.produce, Mode::Produce),
        (cli.consume, Mode::Consume),
        (cli.group.is_some(), Mode::Group),
        (cli.list, Mode::List),
        (cli.query, Mode::Query),
        (cli.mock.is_some(), Mode::Mock),
        (cli.self_test, Mode::SelfTest),
    ];
    if let Some((_, mode)) = asked.into_iter().find(|(is_asked, _)| *is_asked) {
        return mode;
    }
    let mode = if !cli.offsets.is_empty() || cli.exit_at_end || std::io::stdin().is_terminal() {
        Mode::Consume
    } else {
        Mode::Produce
    };
    if !cli.connection.quiet {
        tools::cli::message(format_args!(
            "no mode given: {} it is (-P produces, -C consumes)",
            mode.option()
        ));
    }
    mode
}

fn refuse_what_does_not_fit(cli: &Cli, mode: Mode) -> anyhow::Result<()> {
    use Mode::{Consume, Group, List, Mock, Produce, Query};
    const READ: &[Mode] = &[Consume, Group];
    const MOVE: &[Mode] = &[Produce, Consume, Group];
    const ANSWER: &[Mode] = &[Produce, Consume, Group, List, Query];
    let format = &cli.format;
    let rules: &[(&str, bool, &[Mode])] = &[
        ("-t", !cli.topics.is_empty(), ANSWER),
        ("-p", cli.partition.is_some(), &[Produce, Consume]),
        ("-o", !cli.offsets.is_empty(), READ),
        ("-c", cli.count.is_some(), MOVE),
        ("-e", cli.exit_at_end, READ),
        ("-l", cli.lines, &[Produce]),
        ("-k", cli.key.is_some(), &[Produce]),
        ("-H", !cli.headers.is_empty(), &[Produce]),
        ("-z", cli.compression.is_some(), &[Produce]),
        ("-T", cli.tee, &[Produce]),
        ("-u", cli.unbuffered, READ),
        ("-E", cli.keep_trying, ANSWER),
        ("-O", cli.print_offset, READ),
        ("-s", !cli.unpack.is_empty(), READ),
        ("--raw", cli.raw, READ),
        ("-D", format.delimiter.is_some(), MOVE),
        ("-K", format.key_delimiter.is_some(), MOVE),
        ("-Z", format.null_empty, MOVE),
        ("-f", format.template.is_some(), MOVE),
        ("--bytes", format.bytes.is_some(), MOVE),
        ("--utf8", format.utf8.is_some(), MOVE),
        ("--tsv", format.tsv.is_some(), ANSWER),
        ("-J", format.json, ANSWER),
        ("COMMAND", !cli.command.is_empty(), &[Mock]),
        ("-b", cli.connection.brokers.is_some() && mode == Mock, &[]),
    ];
    for (option, is_given, modes) in rules {
        if *is_given && !modes.contains(&mode) && !(mode == Mode::SelfTest && *option == "-b") {
            return Err(usage(format_args!(
                "{option} does not go with {}",
                mode.option()
            )));
        }
    }
    if !cli.operands.is_empty() && !MOVE.contains(&mode) {
        let first = cli.operands[0].display();
        return Err(usage(format_args!(
            "`{first}`: {} takes no operand",
            mode.option()
        )));
    }
    Ok(())
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
    let source = if cli.lines || cli.operands.is_empty() {
        Source::Lines(cli.operands)
    } else {
        Source::Whole(cli.operands)
    };
    Ok(Produce {
        options,
        topic: cli.topics.into_iter().next(),
        partition: parse_partition(cli.partition)?,
        source,
        format,
        key: cli.key.map(OsStringExt::into_vec),
        headers,
        null_empty: cli.format.null_empty,
        count: cli.count,
        tee: cli.tee,
    })
}

fn parse_partition(partition: Option<i32>) -> anyhow::Result<Option<i32>> {
    match partition {
        Some(partition) if partition < -1 => Err(usage(format_args!(
            "-p {partition}: there is no such partition"
        ))),
        Some(-1) | None => Ok(None),
        some => Ok(some),
    }
}

/// `NAME=VALUE`, `NAME=` for the empty value, `NAME` for NULL; the first `=` splits.
fn parse_header(header: &OsStr) -> Result<(Vec<u8>, Option<Vec<u8>>), String> {
    let bytes = header.as_bytes();
    let (name, value) = match bytes.iter().position(|&b| b == b'=') {
        Some(split) => (&bytes[..split], Some(bytes[split + 1..].to_vec())),
        None => (bytes, None),
    };
    if name.is_empty() {
        return Err(format!(
            "-H {}: a header needs a name",
            header.to_string_lossy()
        ));
    }
    Ok((name.to_vec(), value))
}

fn topics(cli: &Cli, mode: Mode) -> anyhow::Result<Vec<String>> {
    let operands = cli
        .operands
        .iter()
        .map(|o| o.to_string_lossy().into_owned());
    let mut topics: Vec<String> = Vec::new();
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

fn consume(cli: Cli) -> anyhow::Result<Consume> {
    let options = options(&cli)?;
    let range = Range::parse(&cli.offsets, now_ms()).map_err(usage)?;
    if range.start == Some(Start::Stored) && options.get("group.id").is_none() {
        return Err(usage(
            "-o stored: the offsets of which group? Say -X group.id=GROUP",
        ));
    }
    Ok(Consume {
        topics: topics(&cli, Mode::Consume)?,
        partition: parse_partition(cli.partition)?,
        range,
        count: cli.count,
        exit_at_end: cli.exit_at_end,
        output: output(&cli)?,
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
        options: options(&cli)?,
        topics: topics(&cli, Mode::Group)?,
        output: output(&cli)?,
        group: cli.group.unwrap_or_default(),
        start: range.start,
        count: cli.count,
        exit_at_end: cli.exit_at_end,
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
    Ok(List {
        options: options(&cli)?,
        answer: answer(&cli)?,
        topics: cli.topics,
    })
}

fn query(cli: Cli) -> anyhow::Result<Query> {
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
        options: options(&cli)?,
        answer: answer(&cli)?,
    })
}

/// `TOPIC:PARTITION:TIME`; a time may hold colons, a topic can't.
fn parse_question(text: &str, now_ms: i64) -> Result<Question, String> {
    let bad = |reason: String| format!("-t {text}: {reason}");
    let mut parts = text.splitn(3, ':');
    let (Some(topic), Some(partition), Some(time)) = (parts.next(), parts.next(), parts.next())
    else {
        return Err(bad("-Q expects TOPIC:PARTITION:TIME".to_owned()));
    };
    let partition = parse_whole::<i32>(partition).map_err(|e| bad(format!("partition: {e}")))?;
    let time_ms = match time {
        "-1" | "end" | "latest" => -1,
        "-2" | "beginning" | "earliest" => -2,
        time => parse_time(time, now_ms).map_err(bad)?,
    };
    if time_ms < -2 {
        return Err(bad(
            "a time is not negative; -1 is the end, -2 the beginning".to_owned(),
        ));
    }
    if topic.is_empty() || partition < 0 {
        return Err(bad("-Q expects TOPIC:PARTITION:TIME".to_owned()));
    }
    Ok(Question {
        topic: topic.to_owned(),
        partition,
        time_ms,
    })
}
