//! Any request of Kafka's protocol over librdkafka's own connections.
//!
//! librdkafka resolves, connects, encrypts, authenticates and reconnects, with
//! every property that its users know. Here a request is encoded in the newest
//! version that both sides know (crate kafka-protocol) and sent; many may be
//! under way, to many brokers; an answer is handed back as the bytes that
//! librdkafka received, without a copy.
//!
//! - [`Wire::send`] gives a [`Ticket`], [`Wire::next`] the [`Answer`]s in the order in which they come.
//! - [`Reply::decode`] makes a response of kafka-protocol's of the bytes.
//! - [`gather`](Wire::gather): many brokers side by side, each one's error with its row.
//! - [`ask_first`](Wire::ask_first): the first contact, with the reason where there is none.
//! - `shape`: what is checked of an answer before it is decoded.
//! - `shim`: the C functions below, as safe types.
//!
//! A request that fails is not sent again here: whether to ask again, and whom,
//! is for the asker to say.

mod contact;
mod gather;
mod shape;
mod shim;

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::{Decodable, Request};

use super::client::Client;
use super::error::{KafkaError, code};
use shape::Shape;
use shim::{Arrival, Body, Encoded, Link, Queue};

/// Whom to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum To {
    /// Any broker that is up; before the first metadata, one of the bootstrap list.
    Any,
    /// The broker of this number.
    Broker(i32),
}

/// Stands for a request that was sent, until its answer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(u64);

/// What came back.
pub struct Answer {
    /// For which request.
    pub ticket: Ticket,
    /// The response, or why there is none.
    pub result: Result<Reply, KafkaError>,
}

/// A response as it was received.
pub struct Reply {
    api: i16,
    version: i16,
    broker: i32,
    broker_name: String,
    body: Body,
}

impl Reply {
    /// The version of the API that the request was sent in, and the response with it.
    pub fn version(&self) -> i16 {
        self.version
    }

    /// The number of the broker that answered, -1 where the connection was opened before it was known.
    pub fn broker(&self) -> i32 {
        self.broker
    }

    /// librdkafka's name for the broker, `host:port/id`; empty where it was asked for by its number.
    pub fn broker_name(&self) -> &str {
        &self.broker_name
    }

    /// The response without its header.
    pub fn body(&self) -> &[u8] {
        self.body.as_ref()
    }

    /// The response as kafka-protocol has it; byte strings in it share the memory of the response.
    pub fn decode<R: Request>(self) -> Result<R::Response, KafkaError> {
        debug_assert_eq!(self.api, R::KEY, "a response is decoded as what it is");
        let (version, broker) = (self.version, self.broker);
        let unreadable = |why: &str| {
            let api = api_name(R::KEY);
            let reason =
                format!("the answer of broker {broker} to {api} v{version} can't be read: {why}");
            KafkaError::new(code::BAD_MESSAGE, reason)
        };
        if Shape::of(R::KEY).is_some_and(|shape| !shape.fits(self.body.as_ref(), version)) {
            return Err(unreadable("it is cut or malformed"));
        }
        let mut bytes = Bytes::from_owner(self.body);
        R::Response::decode(&mut bytes, version).map_err(|error| unreadable(&error.to_string()))
    }
}

/// An API's name as the protocol's documentation writes it.
fn api_name(key: i16) -> String {
    ApiKey::try_from(key).map_or_else(|()| format!("API {key}"), |api| format!("{api:?}"))
}

type Encode = Box<dyn FnOnce(i16) -> anyhow::Result<BytesMut>>;

/// A request that waits for a connection.
struct Waiting {
    ticket: u64,
    to: To,
    api: i16,
    lowest: i16,
    newest: i16,
    /// The first version with compact fields and tags.
    flexible_from: i16,
    deadline: Instant,
    /// When to give up where there is no connection yet.
    connect_by: Instant,
    encode: Encode,
}

/// What holds for a request.
#[derive(Clone, Debug)]
pub struct Limits {
    /// By when there is an answer, or an error.
    pub deadline: Instant,
    /// By when there is a connection, or an error.
    pub connect_by: Instant,
    /// In which versions it can be sent.
    pub versions: std::ops::RangeInclusive<i16>,
}

/// A request that is under way.
struct Sent {
    api: i16,
    version: i16,
    broker: i32,
    broker_name: String,
}

/// Sends requests and receives their answers; for one thread.
pub struct Wire<'c> {
    client: &'c Client,
    queue: Queue,
    waiting: VecDeque<Waiting>,
    under_way: HashMap<u64, Sent>,
    arrived: VecDeque<(u64, Result<Body, KafkaError>)>,
    next_ticket: u64,
    refreshed: Option<Instant>,
}

/// While some answers are awaited and some connections too, how often the latter are looked at.
const LOOK: Duration = Duration::from_millis(2);
/// How often librdkafka is asked to look for a broker that it has not heard of.
const REFRESH: Duration = Duration::from_millis(500);

impl<'c> Wire<'c> {
    /// No connection is made before the first request.
    pub fn new(client: &'c Client) -> Wire<'c> {
        Wire {
            client,
            queue: Queue::new(client),
            waiting: VecDeque::new(),
            under_way: HashMap::new(),
            arrived: VecDeque::new(),
            next_ticket: 0,
            refreshed: None,
        }
    }

    /// The handle whose connections these are.
    pub fn client(&self) -> &'c Client {
        self.client
    }

    /// How many answers are still to come.
    pub fn open_count(&self) -> usize {
        self.waiting.len() + self.under_way.len() + self.arrived.len()
    }

    /// Sends what `build` makes for the version that both sides know, as soon as the broker is reached.
    ///
    /// The answer, or an error, comes from [`Wire::next`] by `deadline`, whatever the broker does.
    pub fn send<R: Request>(
        &mut self,
        to: To,
        deadline: Instant,
        build: impl FnOnce(i16) -> R + 'static,
    ) -> Ticket {
        self.send_within(to, deadline, R::VERSIONS.min..=R::VERSIONS.max, build)
    }

    /// As [`Wire::send`], in one of these versions.
    pub fn send_within<R: Request>(
        &mut self,
        to: To,
        deadline: Instant,
        versions: std::ops::RangeInclusive<i16>,
        build: impl FnOnce(i16) -> R + 'static,
    ) -> Ticket {
        let limits = Limits {
            deadline,
            connect_by: deadline,
            versions,
        };
        self.send_limited(to, limits, build)
    }

    /// As [`Wire::send`], within these limits.
    pub fn send_limited<R: Request>(
        &mut self,
        to: To,
        limits: Limits,
        build: impl FnOnce(i16) -> R + 'static,
    ) -> Ticket {
        let versions = limits.versions;
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let lowest = (*versions.start()).max(R::VERSIONS.min);
        let newest = (*versions.end()).min(R::VERSIONS.max);
        let is_flexible = |version: &i16| R::header_version(*version) >= 2;
        let waiting = Waiting {
            ticket,
            to,
            api: R::KEY,
            lowest,
            newest,
            flexible_from: (lowest..=newest).find(is_flexible).unwrap_or(i16::MAX),
            deadline: limits.deadline,
            connect_by: limits.connect_by.min(limits.deadline),
            encode: Box::new(move |version| {
                let mut body = BytesMut::new();
                build(version).encode(&mut body, version)?;
                Ok(body)
            }),
        };
        self.waiting.push_back(waiting);
        self.send_what_waits();
        Ticket(ticket)
    }

    /// The next answer, waited for until `until`.
    pub fn next(&mut self, until: Instant) -> Option<Answer> {
        loop {
            self.send_what_waits();
            self.receive(Duration::ZERO);
            if let Some((ticket, result)) = self.arrived.pop_front() {
                return Some(self.answer(ticket, result));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.open_count() == 0 {
                return None;
            }
            self.wait(left);
        }
    }

    /// Waits for an answer, or for a connection that a request waits for.
    fn wait(&mut self, left: Duration) {
        if self.waiting.is_empty() {
            self.receive(left);
        } else if self.under_way.is_empty() {
            let seen = shim::state_version(self.client);
            self.send_what_waits();
            let first = self.waiting.iter().map(|waiting| waiting.connect_by).min();
            if let (Some(first), true) = (first, self.arrived.is_empty()) {
                let wait = left.min(first.saturating_duration_since(Instant::now()));
                // A broker whose number librdkafka learns comes without a change of its state.
                shim::wait_for_state(self.client, seen, wait.min(LOOK * 5));
            }
        } else {
            self.receive(left.min(LOOK));
        }
    }

    fn receive(&mut self, wait: Duration) {
        let mut arrivals: Vec<Arrival> = Vec::new();
        self.queue.serve(wait, &mut arrivals);
        self.arrived.extend(
            arrivals
                .into_iter()
                .map(|(ticket, result)| (ticket, result.map_err(KafkaError::of))),
        );
    }

    fn answer(&mut self, ticket: u64, result: Result<Body, KafkaError>) -> Answer {
        let sent = self.under_way.remove(&ticket);
        let result = match (result, sent) {
            (Ok(body), Some(sent)) => Ok(Reply {
                api: sent.api,
                version: sent.version,
                broker: sent.broker,
                broker_name: sent.broker_name,
                body,
            }),
            (Ok(_), None) => Err(KafkaError::new(
                code::BAD_MESSAGE,
                "an answer to no request",
            )),
            (Err(error), Some(sent)) => Err(explain(error, &sent)),
            (Err(error), None) => Err(error),
        };
        Answer {
            ticket: Ticket(ticket),
            result,
        }
    }

    /// Sends what can be sent, in its order for each broker.
    fn send_what_waits(&mut self) {
        let mut unreached = HashSet::new();
        for waiting in std::mem::take(&mut self.waiting) {
            let to = waiting.to;
            let is_due = waiting.connect_by <= Instant::now();
            if !is_due && unreached.contains(&to) {
                self.waiting.push_back(waiting);
            } else if let Some(waiting) = self.try_to_send(waiting) {
                unreached.insert(to);
                self.waiting.push_back(waiting);
            }
        }
    }

    /// Gives the request back while its broker is not reached.
    fn try_to_send(&mut self, waiting: Waiting) -> Option<Waiting> {
        let left = waiting.deadline.saturating_duration_since(Instant::now());
        let id = match waiting.to {
            To::Any => None,
            To::Broker(id) => Some(id),
        };
        let link = Link::find(self.client, id);
        let is_given_up = link.is_none() && waiting.connect_by <= Instant::now();
        if left.is_zero() || is_given_up {
            let error = match link {
                Some(_) => KafkaError::of(code::TIMED_OUT),
                None => self.not_reached(waiting.to),
            };
            self.arrived.push_back((waiting.ticket, Err(error)));
            return None;
        }
        let Some(link) = link else {
            self.ask_for_unknown(id);
            return Some(waiting);
        };
        if let Err(error) = self.hand_over(&link, waiting.ticket, waiting, left) {
            self.arrived.push_back(error);
        }
        None
    }

    fn hand_over(
        &mut self,
        link: &Link,
        ticket: u64,
        waiting: Waiting,
        timeout: Duration,
    ) -> Result<(), (u64, Result<Body, KafkaError>)> {
        let failed = |code, reason: String| (ticket, Err(KafkaError::new(code, reason)));
        let api = waiting.api;
        let Some(version) = link.version(api, waiting.lowest, waiting.newest) else {
            if api == ApiKey::Metadata as i16 {
                let name = link.name().replace("/bootstrap", "");
                let reason = format!(
                    "{name} is not a broker's port (it may be a controller's): -b names a broker, usually HOST:9092"
                );
                return Err(failed(code::UNSUPPORTED_FEATURE, reason));
            }
            let reason = format!(
                "broker {} does not know {} in a version from {} to {}",
                link.id(),
                api_name(api),
                waiting.lowest,
                waiting.newest
            );
            return Err(failed(code::UNSUPPORTED_FEATURE, reason));
        };
        let unsent = |why: String| format!("{} v{version} can't be sent: {why}", api_name(api));
        let mut body = (waiting.encode)(version)
            .map_err(|why| failed(code::INVALID_ARG, unsent(why.to_string())))?;
        let is_flexible = version >= waiting.flexible_from;
        if is_flexible {
            // librdkafka writes the last tag list itself, an empty one.
            if body.last() != Some(&0) {
                let why = unsent("it has tagged fields of its own".to_owned());
                return Err(failed(code::INVALID_ARG, why));
            }
            body.truncate(body.len() - 1);
        }
        let encoded = Encoded {
            api,
            version,
            is_flexible,
            body: &body,
            timeout,
            may_wait_at_broker: api == ApiKey::Fetch as i16,
        };
        link.send(&self.queue, ticket, &encoded)
            .map_err(|error| (ticket, Err(error)))?;
        let is_known = matches!(waiting.to, To::Broker(_));
        let sent = Sent {
            api,
            version,
            broker: link.id(),
            broker_name: if is_known { String::new() } else { link.name() },
        };
        self.under_way.insert(ticket, sent);
        Ok(())
    }

    fn ask_for_unknown(&mut self, id: Option<i32>) {
        let Some(id) = id else { return };
        let is_due = self.refreshed.is_none_or(|at| at.elapsed() >= REFRESH);
        if is_due && !shim::is_known(self.client, id) {
            shim::refresh_brokers(self.client);
            self.refreshed = Some(Instant::now());
        }
    }

    fn not_reached(&self, to: To) -> KafkaError {
        let cause = self.client.cause();
        let cause = cause.unwrap_or_else(|| "no answer".to_owned());
        match to {
            To::Any => KafkaError::new(code::TRANSPORT, cause),
            To::Broker(id) => KafkaError::new(
                code::TRANSPORT,
                format!("broker {id} is not reached: {cause}"),
            ),
        }
    }
}

/// Which broker did not answer what.
fn explain(error: KafkaError, sent: &Sent) -> KafkaError {
    let api = api_name(sent.api);
    let broker = if sent.broker_name.is_empty() {
        sent.broker.to_string()
    } else {
        sent.broker_name.clone()
    };
    match error.code {
        code::TIMED_OUT | code::TIMED_OUT_QUEUE => KafkaError::new(
            code::TIMED_OUT,
            format!("broker {broker} did not answer {api} in time"),
        ),
        // librdkafka closes what it bootstrapped from as soon as it knows the brokers by their numbers.
        code::TRANSPORT | code::DESTROY_BROKER => KafkaError::new(
            code::TRANSPORT,
            format!("the connection to broker {broker} broke before it answered {api}"),
        ),
        code::UNDERFLOW => KafkaError::new(
            code::BAD_MESSAGE,
            format!("broker {broker} sent an answer to {api} that is empty or cut"),
        ),
        // librdkafka received a length that it does not take; nothing else ends so.
        code::BAD_MESSAGE => KafkaError::new(
            code::TOO_LARGE_ANSWER,
            format!(
                "broker {broker} sent an answer to {api} that is larger than receive.message.max.bytes"
            ),
        ),
        _ => error,
    }
}
