//! Any request of Kafka's protocol over librdkafka's own connections.
//!
//! librdkafka resolves, connects, encrypts, authenticates and reconnects, with
//! every property that its users know. This module encodes a request in the
//! newest version that both sides know (crate kafka-protocol) and sends it.
//! Many requests to many brokers may be in flight; a response is the bytes that
//! librdkafka received, without a copy.
//!
//! - [`Wire::send`] returns a [`CorrelationId`], [`Wire::next`] the [`RequestResult`]s in the order in which they arrive.
//! - [`RawResponse::decode`] decodes the bytes with kafka-protocol.
//! - [`fan_out`](Wire::fan_out): the same request to many brokers, with a result for each.
//! - [`retry_until_contact`](Wire::retry_until_contact): the first contact, with the reason if nobody answers.
//! - `layout`: checks a response before kafka-protocol decodes it.
//! - `shim`: the C functions of shim.c as safe types.
//!
//! Nothing here retries a failed request: the caller decides whether to retry, and at which broker.

mod contact;
mod fan_out;
mod layout;
mod response;
mod shim;

use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::{Deref, RangeInclusive};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::Request;

use super::client::Client;
use super::error::{KafkaError, code};
pub use response::RawResponse;
use response::{InFlightRequest, api_name};
pub use shim::Waker;
use shim::{BrokerHandle, EncodedRequest, Queue, ResponseBody};
pub(super) use shim::{follow_coordinator, learned_brokers};

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// Any broker that is up; before the first metadata, one of the bootstrap list.
    Any,
    Broker(i32),
}

/// Identifies a request; its [`RequestResult`] has the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CorrelationId(u64);

/// A response, or why there is none.
pub struct RequestResult {
    pub id: CorrelationId,
    pub result: Result<RawResponse, KafkaError>,
}

#[derive(Clone, Debug)]
pub struct RequestLimits {
    /// The time limit for the response.
    pub deadline: Instant,
    /// The time limit for the connection.
    pub connect_by: Instant,
    /// The versions in which the request can be encoded.
    pub versions: RangeInclusive<i16>,
}

/// The body of a request in some version, in parts.
type Encode = Box<dyn FnOnce(i16) -> anyhow::Result<Vec<Bytes>>>;

/// A request that waits for a connection.
struct QueuedRequest {
    id: CorrelationId,
    target: Target,
    api: i16,
    lowest: i16,
    newest: i16,
    /// The first version with compact fields and tags.
    flexible_from: i16,
    deadline: Instant,
    connect_by: Instant,
    has_response: bool,
    encode: Encode,
}

/// A client that is borrowed, or kept.
enum ClientRef<'c> {
    Borrowed(&'c Client),
    Shared(Arc<Client>),
}

impl Deref for ClientRef<'_> {
    type Target = Client;

    fn deref(&self) -> &Client {
        match self {
            ClientRef::Borrowed(client) => client,
            ClientRef::Shared(client) => client,
        }
    }
}

/// Sends requests and receives their responses; for one thread.
pub struct Wire<'c> {
    queue: Queue,
    queued: VecDeque<QueuedRequest>,
    in_flight: HashMap<CorrelationId, InFlightRequest>,
    /// Received or failed, and not returned yet.
    arrived: VecDeque<(CorrelationId, Result<ResponseBody, KafkaError>)>,
    next_id: u64,
    brokers_refreshed_at: Option<Instant>,
    connect_poll_interval: Duration,
    /// The state of the connections at the last check.
    seen_state: i32,
    // The last field: the queue is destroyed before its client.
    client: ClientRef<'c>,
}

/// How often connections are checked while other responses are awaited.
const CONNECT_POLL_INTERVAL: Duration = Duration::from_millis(2);
/// The same where no connection has changed since the last check.
const LONGEST_CONNECT_POLL_INTERVAL: Duration = Duration::from_millis(64);
/// How often librdkafka refreshes its list of brokers to find one that it does not know.
const BROKER_REFRESH_INTERVAL: Duration = Duration::from_millis(500);

impl<'c> Wire<'c> {
    /// Opens no connection before the first request.
    pub fn new(client: &'c Client) -> Wire<'c> {
        Wire::over(ClientRef::Borrowed(client))
    }

    /// As [`Wire::new`]; keeps the client.
    pub fn shared(client: Arc<Client>) -> Wire<'static> {
        Wire::over(ClientRef::Shared(client))
    }

    fn over(client: ClientRef<'_>) -> Wire<'_> {
        Wire {
            queue: Queue::new(&client),
            client,
            queued: VecDeque::new(),
            in_flight: HashMap::new(),
            arrived: VecDeque::new(),
            next_id: 0,
            brokers_refreshed_at: None,
            connect_poll_interval: CONNECT_POLL_INTERVAL,
            seen_state: 0,
        }
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    /// How many requests have no result yet.
    pub fn in_flight_count(&self) -> usize {
        self.queued.len() + self.in_flight.len() + self.arrived.len()
    }

    /// Sends what `build` returns for the newest version that both sides know, as soon as the broker is connected.
    ///
    /// [`Wire::next`] returns the response or an error by `deadline`, whatever the broker does.
    pub fn send<R: Request>(
        &mut self,
        target: Target,
        deadline: Instant,
        build: impl FnOnce(i16) -> R + 'static,
    ) -> CorrelationId {
        self.send_within(target, deadline, i16::MIN..=i16::MAX, build)
    }

    /// As [`Wire::send`], in one of these versions.
    pub fn send_within<R: Request>(
        &mut self,
        target: Target,
        deadline: Instant,
        versions: RangeInclusive<i16>,
        build: impl FnOnce(i16) -> R + 'static,
    ) -> CorrelationId {
        let limits = RequestLimits {
            deadline,
            connect_by: deadline,
            versions,
        };
        self.send_limited(target, limits, build)
    }

    /// As [`Wire::send`], within these limits.
    pub fn send_limited<R: Request>(
        &mut self,
        target: Target,
        limits: RequestLimits,
        build: impl FnOnce(i16) -> R + 'static,
    ) -> CorrelationId {
        let encode = move |version| {
            let mut body = BytesMut::new();
            build(version).encode(&mut body, version)?;
            Ok(vec![body.freeze()])
        };
        self.queue_request::<R>(target, limits, true, Box::new(encode))
    }

    /// Sends an encoded request, which is the same in all versions of `limits`; large parts are not copied.
    ///
    /// Without a response its result is an error with code 0 once it was sent.
    pub fn send_encoded<R: Request>(
        &mut self,
        target: Target,
        limits: RequestLimits,
        has_response: bool,
        body: Vec<Bytes>,
    ) -> CorrelationId {
        self.queue_request::<R>(target, limits, has_response, Box::new(|_| Ok(body)))
    }

    fn queue_request<R: Request>(
        &mut self,
        target: Target,
        limits: RequestLimits,
        has_response: bool,
        encode: Encode,
    ) -> CorrelationId {
        let id = CorrelationId(self.next_id);
        self.next_id += 1;
        let (lowest, newest) = limits.versions.into_inner();
        let lowest = lowest.max(R::VERSIONS.min);
        let newest = newest.min(R::VERSIONS.max);
        let is_flexible = |version: &i16| R::header_version(*version) >= 2;
        self.queued.push_back(QueuedRequest {
            id,
            target,
            api: R::KEY,
            lowest,
            newest,
            flexible_from: (lowest..=newest).find(is_flexible).unwrap_or(i16::MAX),
            deadline: limits.deadline,
            connect_by: limits.connect_by.min(limits.deadline),
            has_response,
            encode,
        });
        self.send_queued();
        id
    }

    /// The next result; waits for it until `until`.
    pub fn next(&mut self, until: Instant) -> Option<RequestResult> {
        loop {
            self.send_queued();
            self.receive(Duration::ZERO);
            if let Some((id, result)) = self.arrived.pop_front() {
                return Some(self.result(id, result));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.in_flight_count() == 0 {
                return None;
            }
            self.wait(left);
        }
    }

    /// The next result; waits for it until `until` or until the [`Waker`] wakes it.
    pub fn next_or_wake(&mut self, until: Instant) -> Option<RequestResult> {
        self.send_queued();
        if self.arrived.is_empty() {
            let mut left = until.saturating_duration_since(Instant::now());
            if !self.queued.is_empty() {
                left = left.min(self.next_connect_poll());
            }
            self.receive(left);
        }
        let (id, result) = self.arrived.pop_front()?;
        Some(self.result(id, result))
    }

    /// Ends the waits of [`Wire::next_or_wake`] from any thread.
    pub fn waker(&self) -> Waker {
        self.queue.waker()
    }

    /// Whether a broker is connected; if not, librdkafka connects to it.
    pub fn is_connected(&mut self, broker: i32) -> bool {
        if BrokerHandle::find(&self.client, Some(broker)).is_some() {
            return true;
        }
        self.refresh_unknown_broker(Some(broker));
        false
    }

    /// Waits for a response, or for the connection of a queued request.
    fn wait(&mut self, left: Duration) {
        if self.queued.is_empty() {
            self.receive(left);
        } else if self.in_flight.is_empty() {
            let seen = shim::state_version(&self.client);
            self.send_queued();
            let first = self.queued.iter().map(|queued| queued.connect_by).min();
            if let (Some(first), true) = (first, self.arrived.is_empty()) {
                let wait = left.min(first.saturating_duration_since(Instant::now()));
                // librdkafka changes no broker's state when it learns the id of one.
                shim::wait_for_state(&self.client, seen, wait.min(CONNECT_POLL_INTERVAL * 5));
            }
        } else {
            let poll = self.next_connect_poll();
            self.receive(left.min(poll));
        }
    }

    /// How long to wait before connections are checked again.
    fn next_connect_poll(&mut self) -> Duration {
        let state = shim::state_version(&self.client);
        let is_new = std::mem::replace(&mut self.seen_state, state) != state;
        self.connect_poll_interval = if is_new {
            CONNECT_POLL_INTERVAL
        } else {
            (self.connect_poll_interval * 2).min(LONGEST_CONNECT_POLL_INTERVAL)
        };
        self.connect_poll_interval
    }

    fn receive(&mut self, wait: Duration) {
        let arrived = self.queue.serve(wait);
        let arrived =
            arrived.map(|(id, result)| (CorrelationId(id), result.map_err(KafkaError::of)));
        self.arrived.extend(arrived);
    }

    fn result(
        &mut self,
        id: CorrelationId,
        result: Result<ResponseBody, KafkaError>,
    ) -> RequestResult {
        let result = match (result, self.in_flight.remove(&id)) {
            (Ok(body), Some(request)) => Ok(RawResponse { request, body }),
            (Ok(_), None) => Err(KafkaError::new(
                code::BAD_MESSAGE,
                "an answer to no request",
            )),
            (Err(error), Some(sent)) => Err(sent.explain(error)),
            (Err(error), None) => Err(error),
        };
        RequestResult { id, result }
    }

    /// Sends the queued requests whose brokers are connected, for each broker in their order.
    fn send_queued(&mut self) {
        let mut unreached = HashSet::new();
        for request in std::mem::take(&mut self.queued) {
            let target = request.target;
            let is_due = request.connect_by <= Instant::now();
            if !is_due && unreached.contains(&target) {
                self.queued.push_back(request);
            } else if let Some(request) = self.try_send(request) {
                unreached.insert(target);
                self.queued.push_back(request);
            }
        }
    }

    /// Returns the request if its broker is not connected yet.
    fn try_send(&mut self, request: QueuedRequest) -> Option<QueuedRequest> {
        let now = Instant::now();
        let timeout = request.deadline.saturating_duration_since(now);
        let broker_id = match request.target {
            Target::Any => None,
            Target::Broker(id) => Some(id),
        };
        let id = request.id;
        let sent = match BrokerHandle::find(&self.client, broker_id) {
            None if request.connect_by <= now => Err(self.unreachable(request.target)),
            None => {
                self.refresh_unknown_broker(broker_id);
                return Some(request);
            }
            Some(_) if timeout.is_zero() => Err(KafkaError::of(code::TIMED_OUT)),
            Some(broker) => self.send_to(&broker, request, timeout),
        };
        if let Err(error) = sent {
            self.arrived.push_back((id, Err(error)));
        }
        None
    }

    fn send_to(
        &mut self,
        broker: &BrokerHandle,
        request: QueuedRequest,
        timeout: Duration,
    ) -> Result<(), KafkaError> {
        let api = request.api;
        let Some(version) = broker.version(api, request.lowest, request.newest) else {
            return Err(unsupported(broker, &request));
        };
        let invalid = |why: String| {
            let reason = format!("{} v{version} can't be sent: {why}", api_name(api));
            KafkaError::new(code::INVALID_ARG, reason)
        };
        let mut body = (request.encode)(version).map_err(|why| invalid(why.to_string()))?;
        let is_flexible = version >= request.flexible_from;
        // librdkafka writes the last tag list itself, an empty one.
        if is_flexible {
            let last = body.last_mut().filter(|last| last.last() == Some(&0));
            let Some(last) = last else {
                return Err(invalid("it has tagged fields of its own".to_owned()));
            };
            last.truncate(last.len() - 1);
        }
        let encoded = EncodedRequest {
            api,
            version,
            is_flexible,
            body,
            timeout,
            may_wait_at_broker: [ApiKey::Fetch as i16, ApiKey::ShareFetch as i16].contains(&api),
            has_response: request.has_response,
        };
        broker.send(&self.queue, request.id.0, encoded)?;
        let broker_name = match request.target {
            Target::Any => broker.name(),
            Target::Broker(_) => String::new(),
        };
        let sent = InFlightRequest {
            api,
            version,
            broker: broker.id(),
            broker_name,
        };
        self.in_flight.insert(request.id, sent);
        Ok(())
    }

    fn refresh_unknown_broker(&mut self, id: Option<i32>) {
        let Some(id) = id else { return };
        let last = self.brokers_refreshed_at;
        let is_due = last.is_none_or(|at| at.elapsed() >= BROKER_REFRESH_INTERVAL);
        if is_due && !shim::is_known(&self.client, id) {
            shim::refresh_brokers(&self.client);
            self.brokers_refreshed_at = Some(Instant::now());
        }
    }

    fn unreachable(&self, target: Target) -> KafkaError {
        let cause = match target {
            Target::Any => self.client.cause(),
            Target::Broker(id) => self.client.cause_of(id),
        };
        let cause = cause.unwrap_or_else(|| "no answer".to_owned());
        let reason = match target {
            Target::Any => cause,
            Target::Broker(id) => format!("broker {id} is not reached: {cause}"),
        };
        KafkaError::new(code::TRANSPORT, reason)
    }

    /// Forgets all requests that have no result yet.
    fn abandon_all(&mut self) {
        self.queued.clear();
        self.arrived.clear();
        self.in_flight.clear();
        self.queue = Queue::new(&self.client);
    }
}

/// The broker knows none of the versions of a request.
fn unsupported(broker: &BrokerHandle, request: &QueuedRequest) -> KafkaError {
    let reason = if request.api == ApiKey::Metadata as i16 {
        let name = broker.name().replace("/bootstrap", "");
        format!(
            "{name} is not a broker's port (it may be a controller's): -b names a broker, usually HOST:9092"
        )
    } else {
        format!(
            "broker {} does not know {} in a version from {} to {}",
            broker.id(),
            api_name(request.api),
            request.lowest,
            request.newest
        )
    };
    KafkaError::new(code::UNSUPPORTED_FEATURE, reason)
}
