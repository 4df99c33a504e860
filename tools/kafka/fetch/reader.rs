//! Drives the machine over the wire: sends what it asks, tells it what came, hands out what that holds.

use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use kafka_protocol::messages::MetadataRequest;

use super::answer::Answer as FetchAnswer;
use super::deliver::{Bad, Deliverer, Handed, Rules};
use super::machine::{Log, Machine, Piece};
use super::settings::Settings;
use super::{Taker, request, stored};
use crate::kafka::client::{Client, ContactError};
use crate::kafka::cluster::metadata::{OLDEST, metadata_request, rows};
use crate::kafka::cluster::{Isolation, Question, Spec, offsets};
use crate::kafka::consume::span::{self, Beginning, Span};
use crate::kafka::consume::topics::{self, Found};
use crate::kafka::consume::{ConsumeError, Place, Start, Wanted};
use crate::kafka::error::{KafkaError, code};
use crate::kafka::options::Options;
use crate::kafka::wire::{CorrelationId, RawResponse, RequestLimits, RequestResult, Target, Wire};

/// How long a question for metadata is waited for before another broker is asked.
const METADATA_PATIENCE: Duration = Duration::from_secs(2);

/// How long a leader that can't be reached is waited for before it is asked again who leads.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a replica may take to be reached, and to answer, before its leader is asked.
const REPLICA_CONNECT: Duration = Duration::from_secs(2);
const REPLICA_PATIENCE: Duration = Duration::from_secs(10);

/// Reads partitions.
pub struct Reader<'c> {
    wire: Wire<'c>,
    settings: Settings,
    machine: Machine,
    deliverer: Deliverer,
    in_flight: HashMap<CorrelationId, Asked>,
    current: Option<Current>,
    names: Vec<String>,
    stop_time_ms: i64,
    wants_headers: bool,
    expected_records: Option<u64>,
    partly_read: Vec<Place>,
}

/// What a id stands for.
enum Asked {
    Fetch { broker: i32, request: u64 },
    Metadata,
}

/// An answer that is being handed out.
struct Current {
    response: RawResponse,
    broker: i32,
    pieces: VecDeque<Piece>,
}

impl<'c> Reader<'c> {
    /// Finds the partitions, settles their bounds and starts reading.
    ///
    /// `client` is a consumer made of `options`, which were [tuned](super::tune).
    pub fn start(
        client: &'c Client,
        options: &Options,
        wanted: &Wanted,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Reader<'c>, ConsumeError> {
        let mut wire = Wire::new(client);
        let (metadata, found) = topics::resolve(&mut wire, &wanted.topics, interrupted)?;
        let spans = span::settle(
            &mut wire,
            &metadata,
            wanted,
            &found,
            Beginning::LookedUp,
            interrupted,
        )?;
        let settings = Settings::of(client, options);
        let takes_new =
            !wanted.stop_at_end && wanted.partition.is_none() && wanted.placed.is_none();
        let partly_read = span::partly_read(found.iter().map(|t| t.name.as_str()).zip(&spans));
        let expected = spans.iter().flatten().map(|span| span.expected_records);
        let mut reader = Reader {
            machine: Machine::new(settings.clone(), takes_new, Instant::now()),
            deliverer: Deliverer::new(settings.receive_max_bytes as usize),
            settings,
            in_flight: HashMap::new(),
            current: None,
            names: found.iter().map(|topic| topic.name.clone()).collect(),
            stop_time_ms: wanted.stop_time_ms.unwrap_or(i64::MAX),
            wants_headers: wanted.wants_headers,
            expected_records: expected
                .collect::<Option<Vec<u64>>>()
                .map(|c| c.iter().sum()),
            partly_read,
            wire,
        };
        let commits = match wanted.start {
            Start::Stored => reader.committed(&found, &spans, interrupted)?,
            _ => HashMap::new(),
        };
        reader.add(found, &spans, &commits);
        reader.machine.learn(&metadata, Instant::now());
        reader.send();
        Ok(reader)
    }

    fn committed(
        &self,
        found: &[Found],
        spans: &[Vec<Span>],
        interrupted: &dyn Fn() -> bool,
    ) -> Result<HashMap<Place, i64>, ConsumeError> {
        let topics = found.iter().zip(spans);
        let places: Vec<Place> = topics
            .flat_map(|(topic, spans)| spans.iter().map(|s| (topic.name.clone(), s.partition)))
            .collect();
        stored::committed(self.wire.client(), &places, interrupted)
    }

    fn add(&mut self, found: Vec<Found>, spans: &[Vec<Span>], commits: &HashMap<Place, i64>) {
        for (topic, spans) in found.into_iter().zip(spans) {
            let index = self.machine.add_topic(&topic.name);
            for span in spans {
                let place = (topic.name.clone(), span.partition);
                let known = (span.start >= 0).then_some(span.start);
                let start = commits.get(&place).copied().or(known);
                // Behind the end there may be nothing more to read, or never have been anything.
                let is_behind = |end| start.is_some_and(|start| start > end);
                if let Some(start) = start
                    && (span.out_of_range.is_some() || span.end.is_some_and(is_behind))
                {
                    self.machine
                        .add_lost(index, span.partition, start, span.end);
                    continue;
                }
                let is_empty = span.end.is_some_and(|end| end == 0 || start == Some(end));
                let partition = self.machine.add(index, span.partition, start, span.end);
                if is_empty {
                    self.machine.finish(partition);
                }
            }
        }
    }

    /// Whether every partition has reached its bound.
    pub fn is_done(&self) -> bool {
        self.machine.is_done()
    }

    /// Whether every partition was read to its end at least once.
    pub fn was_at_ends(&self) -> bool {
        self.current.is_none() && self.machine.was_at_ends()
    }

    /// How many offsets lie between the starts and the bounds, where all are known.
    pub fn expected_records(&self) -> Option<u64> {
        self.expected_records
    }

    /// The partitions that have records before those that are read, where that is known.
    pub fn partly_read(&self) -> &[Place] {
        &self.partly_read
    }

    /// The client, for what it knows of the cluster.
    pub fn client(&self) -> &'c Client {
        self.wire.client()
    }

    /// What is wrong with the cluster as a whole, if something new is.
    pub fn trouble(&self) -> Option<KafkaError> {
        let mut last = None;
        while let Some(event) = self.client().poll(0) {
            last = self.client().note(&event).or(last);
        }
        last
    }

    /// Hands what has arrived to `taker`, in order, after waiting for it at most
    /// `timeout_ms`; says how many records there were.
    ///
    /// `Break` ends the call; what has arrived stays for the next. After an
    /// error the next call goes on with what can still be read.
    pub fn read(&mut self, timeout_ms: i32, taker: &mut impl Taker) -> Result<usize, ConsumeError> {
        if self.current.is_none() {
            self.receive(Duration::from_millis(
                u64::try_from(timeout_ms).unwrap_or(0),
            ))?;
        }
        self.deliverer.records = 0;
        let Some(mut current) = self.current.take() else {
            return Ok(0);
        };
        while let Some(piece) = current.pieces.front_mut() {
            match self.hand_out(&current.response, current.broker, piece, taker) {
                Ok(ControlFlow::Continue(())) => {
                    current.pieces.pop_front();
                }
                Ok(ControlFlow::Break(())) => {
                    self.current = Some(current);
                    return Ok(self.deliverer.records);
                }
                Err(bad) => {
                    let error = self.refuse(piece.partition, bad);
                    self.current = Some(current);
                    return Err(error);
                }
            }
        }
        Ok(self.deliverer.records)
    }

    /// A batch that can't be read is told; its partition goes on behind it, where that is known.
    fn refuse(&mut self, index: usize, bad: Bad) -> ConsumeError {
        let (topic, partition) = self.machine.place(index);
        let topic = topic.to_owned();
        if !bad.is_passable {
            self.machine.finish(index);
        }
        ConsumeError::Batch {
            topic,
            partition,
            offset: bad.offset,
            error: bad.error,
        }
    }

    fn hand_out(
        &mut self,
        response: &RawResponse,
        broker: i32,
        piece: &mut Piece,
        taker: &mut impl Taker,
    ) -> Result<ControlFlow<()>, Bad> {
        let index = piece.partition;
        if self.machine.is_over(index) {
            return Ok(ControlFlow::Continue(()));
        }
        let (topic, partition) = self.machine.place(index);
        let end = self.machine.partitions[index].end;
        let rules = Rules {
            topic,
            partition,
            broker,
            end: end.unwrap_or(i64::MAX),
            stop_time_ms: self.stop_time_ms,
            is_committed_only: self.settings.isolation == Isolation::ReadCommitted,
            wants_headers: self.wants_headers,
        };
        let handed = self
            .deliverer
            .piece(response.body(), piece, &rules, taker)?;
        let offset = match handed {
            Handed::Stopped => return Ok(ControlFlow::Break(())),
            Handed::Bound(offset) => offset,
            Handed::All if piece.is_end && end.is_none() => piece.stretch.next,
            Handed::All => return Ok(ControlFlow::Continue(())),
        };
        // Told once, also if the taker stops here.
        piece.is_end = false;
        let flow = taker.end(topic, partition, offset);
        if matches!(handed, Handed::Bound(_)) {
            self.machine.finish(index);
        }
        Ok(flow)
    }

    /// Waits until there is something to hand out.
    fn receive(&mut self, wait: Duration) -> Result<(), ConsumeError> {
        let until = Instant::now() + wait;
        loop {
            self.find_lost();
            self.send();
            if let Some(error) = self.machine.next_error() {
                return Err(error);
            }
            if self.machine.is_done() {
                return Ok(());
            }
            let now = Instant::now();
            let wake = self.machine.next_wake(now).unwrap_or(until).min(until);
            let answer = self.wire.next(wake);
            let is_answer = answer.is_some();
            if let Some(answer) = answer {
                self.take_in(answer);
            }
            if self.current.is_some() {
                // The next request is under way before this answer is read.
                self.send();
                return Ok(());
            }
            if !is_answer {
                let client = self.wire.client();
                self.machine
                    .report_silence(Instant::now(), || client.cause());
                if Instant::now() >= until {
                    return Ok(());
                }
            }
            if !is_answer && self.wire.in_flight_count() == 0 {
                // Nothing is under way: all is held back, for as long as is known.
                let held = wake.saturating_duration_since(Instant::now());
                std::thread::sleep(held);
            }
        }
    }

    fn take_in(&mut self, answer: RequestResult) {
        let now = Instant::now();
        let Some(question) = self.in_flight.remove(&answer.id) else {
            return;
        };
        match (question, answer.result) {
            (Asked::Fetch { broker, request }, Ok(response)) => {
                let parsed = FetchAnswer::parse(response.body(), response.version());
                let mut parsed = match parsed {
                    Ok(parsed) => parsed,
                    Err(error) => {
                        let reason = format!("broker {broker}: {error}");
                        let error = KafkaError::new(code::BAD_MESSAGE, reason);
                        self.machine.failed(broker, request, &error, now);
                        return;
                    }
                };
                let pieces =
                    self.machine
                        .answered(broker, request, response.body(), &mut parsed, now);
                if !pieces.is_empty() {
                    self.current = Some(Current {
                        response,
                        broker,
                        pieces: pieces.into(),
                    });
                }
            }
            (Asked::Fetch { broker, request }, Err(error)) => {
                self.machine.failed(broker, request, &error, now);
            }
            (Asked::Metadata, result) => {
                match result.and_then(RawResponse::decode::<MetadataRequest>) {
                    Ok(response) => self.machine.learn(&rows(response), now),
                    Err(_) => self.machine.metadata_failed(now),
                }
            }
        }
    }

    /// Sends what is to be asked now.
    fn send(&mut self) {
        let now = Instant::now();
        for ask in self.machine.asks(now) {
            let build = request::build(&ask, &self.machine.topics, &self.settings);
            // A replica has a leader to fall back on.
            let (patience, connecting) = if ask.is_replica {
                (REPLICA_PATIENCE, REPLICA_CONNECT)
            } else {
                (self.settings.patience, CONNECT)
            };
            let limits = RequestLimits {
                deadline: now + self.settings.max_wait + patience,
                connect_by: now + connecting,
                versions: request::versions(&ask, &self.machine.topics),
            };
            let id = self
                .wire
                .send_limited(Target::Broker(ask.broker), limits, build);
            let question = Asked::Fetch {
                broker: ask.broker,
                request: ask.request,
            };
            self.in_flight.insert(id, question);
        }
        if self.machine.wants_metadata(now) {
            self.machine.metadata_asked(now);
            let names = self.names.clone();
            let build = move |_| metadata_request(Some(&names), false);
            let deadline = now + METADATA_PATIENCE;
            let versions = OLDEST..=i16::MAX;
            let id = self
                .wire
                .send_within(Target::Any, deadline, versions, build);
            self.in_flight.insert(id, Asked::Metadata);
        }
    }

    /// Looks up positions that are not known, or says that they are out of range.
    fn find_lost(&mut self) {
        let lost = self.machine.lost();
        if lost.is_empty() {
            return;
        }
        let mut questions = Vec::new();
        for &index in &lost {
            let (topic, partition) = self.machine.place(index);
            for spec in [Spec::Earliest, Spec::Latest, Spec::HighWatermark] {
                questions.push(Question {
                    topic: topic.to_owned(),
                    partition,
                    spec,
                });
            }
        }
        let answers = offsets(self.client(), &questions, self.settings.isolation, &|| {
            false
        });
        let answers = match answers {
            Ok(answers) => answers,
            // Nobody is reached; the next call asks again.
            Err(ContactError::Unreachable { .. } | ContactError::Interrupted) => return,
            Err(error) => {
                let reason = error.to_string();
                let failed = KafkaError::new(code::TRANSPORT, reason);
                vec![Err(failed); questions.len()]
            }
        };
        for (index, found) in lost.into_iter().zip(answers.chunks(3)) {
            let offsets: Result<Vec<i64>, KafkaError> = found
                .iter()
                .map(|found| found.clone().map(|found| found.offset.unwrap_or(0)))
                .collect();
            match offsets.as_deref() {
                Ok(&[first, stable, high]) => {
                    let log = Log {
                        first,
                        stable,
                        high,
                    };
                    self.machine.settle(index, log);
                }
                Ok(_) => {}
                Err(error) => self.machine.not_settled(index, error),
            }
        }
    }
}
