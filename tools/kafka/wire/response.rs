//! The response to a request, or why there is none.

use bytes::Bytes;
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::{Decodable, Request};

use super::layout::Layout;
use super::shim::ResponseBody;
use crate::kafka::error::{KafkaError, code};

/// A response as it was received.
pub struct RawResponse {
    /// The request that it answers.
    pub(super) request: InFlightRequest,
    pub(super) body: ResponseBody,
}

impl RawResponse {
    /// The version of the request and of its response.
    pub fn version(&self) -> i16 {
        self.request.version
    }

    /// The id of the broker that answered, -1 if the connection was opened before it was known.
    pub fn broker(&self) -> i32 {
        self.request.broker
    }

    /// librdkafka's name for the broker, `host:port/id`; empty for a request to a broker by its id.
    pub fn broker_name(&self) -> &str {
        &self.request.broker_name
    }

    pub fn body(&self) -> &[u8] {
        self.body.as_ref()
    }

    /// The response as kafka-protocol decodes it; byte strings in it share the memory of the response.
    pub fn decode<R: Request>(self) -> Result<R::Response, KafkaError> {
        debug_assert_eq!(self.request.api, R::KEY, "the response is of another API");
        let (version, broker) = (self.request.version, self.request.broker);
        let malformed = |why: &str| {
            let api = api_name(R::KEY);
            let reason =
                format!("the answer of broker {broker} to {api} v{version} can't be read: {why}");
            KafkaError::new(code::BAD_MESSAGE, reason)
        };
        let layout = Layout::of(R::KEY);
        if layout.is_some_and(|layout| !layout.matches(self.body.as_ref(), version)) {
            return Err(malformed("it is cut or malformed"));
        }
        let mut bytes = Bytes::from_owner(self.body);
        R::Response::decode(&mut bytes, version).map_err(|error| malformed(&error.to_string()))
    }
}

/// An API's name as the protocol's documentation writes it.
pub(super) fn api_name(key: i16) -> String {
    ApiKey::try_from(key).map_or_else(|()| format!("API {key}"), |api| format!("{api:?}"))
}

/// A request that was sent and not answered yet.
pub(super) struct InFlightRequest {
    pub(super) api: i16,
    pub(super) version: i16,
    pub(super) broker: i32,
    pub(super) broker_name: String,
}

impl InFlightRequest {
    /// librdkafka's error, with the broker and the API that it concerns.
    pub(super) fn explain(&self, error: KafkaError) -> KafkaError {
        let api = api_name(self.api);
        let broker = if self.broker_name.is_empty() {
            self.broker.to_string()
        } else {
            self.broker_name.clone()
        };
        let (code, reason) = match error.code {
            code::TIMED_OUT | code::TIMED_OUT_QUEUE => (
                code::TIMED_OUT,
                format!("broker {broker} did not answer {api} in time"),
            ),
            // librdkafka closes its bootstrap connections as soon as it knows the brokers by their ids.
            code::TRANSPORT | code::DESTROY_BROKER => (
                code::TRANSPORT,
                format!("the connection to broker {broker} broke before it answered {api}"),
            ),
            code::UNDERFLOW => (
                code::BAD_MESSAGE,
                format!("broker {broker} sent an answer to {api} that is empty or cut"),
            ),
            // librdkafka reports this only for a response longer than it accepts.
            code::BAD_MESSAGE => (
                code::TOO_LARGE_ANSWER,
                format!(
                    "broker {broker} sent an answer to {api} that is larger than receive.message.max.bytes"
                ),
            ),
            _ => return error,
        };
        KafkaError::new(code, reason)
    }
}
