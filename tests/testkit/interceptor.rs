//! A proxy that speaks Kafka: it sees every request and answer, and can change, cut, delay and answer itself.
//!
//! It rewrites the brokers' addresses in answers, so that a client comes through it to every broker. Only for plain
//! listeners. What it changes it re-encodes by the schema of `kafka-protocol`, or as bytes.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, FindCoordinatorResponse, MetadataResponse,
};
use kafka_protocol::protocol::{Decodable, Encodable};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

/// One request, and the answer to it.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) api: ApiKey,
    pub(crate) version: i16,
    /// How many requests of this API came before, from all clients.
    pub(crate) number: usize,
}

/// What becomes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// It is passed on, with the changes that were made to it.
    Pass,
    /// Nothing is passed on, and the connection stays.
    Silence,
}

type OnAnswer = Box<dyn Fn(&Call, &mut Vec<u8>) -> Then + Send>;

#[derive(Default)]
struct Rules {
    answers: Vec<OnAnswer>,
    newest: HashMap<i16, i16>,
    counts: HashMap<i16, usize>,
}

/// Ports that lead to brokers' ports.
pub(crate) struct Interceptor {
    /// The broker's port and ours.
    ports: Arc<Vec<(u16, u16)>>,
    rules: Arc<Mutex<Rules>>,
}

impl Interceptor {
    /// Opens a port before each broker of a `bootstrap` list of 127.0.0.1; they end with the process.
    pub(crate) fn before(bootstrap: &str) -> Self {
        let port = |address: &str| address.rsplit(':').next().unwrap().parse().unwrap();
        let listeners: Vec<(u16, TcpListener)> = bootstrap
            .split(',')
            .map(|address| (port(address), TcpListener::bind(("127.0.0.1", 0)).unwrap()))
            .collect();
        let ports = listeners.iter().map(|(broker, listener)| {
            let own = listener.local_addr().unwrap().port();
            (*broker, own)
        });
        let interceptor = Self {
            ports: Arc::new(ports.collect()),
            rules: Arc::default(),
        };
        for (broker, listener) in listeners {
            let (ports, rules) = (
                Arc::clone(&interceptor.ports),
                Arc::clone(&interceptor.rules),
            );
            std::thread::spawn(move || {
                for client in listener.incoming().flatten() {
                    let Ok(server) = TcpStream::connect(("127.0.0.1", broker)) else {
                        continue;
                    };
                    let connection = Connection {
                        ports: Arc::clone(&ports),
                        rules: Arc::clone(&rules),
                    };
                    connection.start(&client, &server);
                }
            });
        }
        interceptor
    }

    /// Where clients connect to.
    pub(crate) fn bootstrap(&self) -> String {
        let addresses = self.ports.iter().map(|(_, own)| format!("127.0.0.1:{own}"));
        addresses.collect::<Vec<_>>().join(",")
    }

    /// The brokers know an API up to this version only.
    pub(crate) fn newest(self, api: ApiKey, version: i16) -> Self {
        self.rules
            .lock()
            .unwrap()
            .newest
            .insert(api as i16, version);
        self
    }

    /// Shows `rule` the body of every answer of `api`, to be changed, held back or lost.
    pub(crate) fn on(
        self,
        api: ApiKey,
        rule: impl Fn(&Call, &mut Vec<u8>) -> Then + Send + 'static,
    ) -> Self {
        let rule = move |call: &Call, body: &mut Vec<u8>| {
            if call.api == api {
                rule(call, body)
            } else {
                Then::Pass
            }
        };
        self.rules.lock().unwrap().answers.push(Box::new(rule));
        self
    }

    /// As [`Interceptor::on`], with the response as its schema has it.
    pub(crate) fn change<R: Decodable + Encodable>(
        self,
        api: ApiKey,
        rule: impl Fn(&Call, &mut R) + Send + 'static,
    ) -> Self {
        self.on(api, move |call, body| {
            rewrite::<R>(call.version, body, |response| rule(call, response));
            Then::Pass
        })
    }

    /// How many requests of an API there were.
    pub(crate) fn count(&self, api: ApiKey) -> usize {
        let rules = self.rules.lock().unwrap();
        rules.counts.get(&(api as i16)).copied().unwrap_or(0)
    }
}

fn rewrite<R: Decodable + Encodable>(
    version: i16,
    body: &mut Vec<u8>,
    change: impl FnOnce(&mut R),
) {
    let mut bytes = Bytes::from(std::mem::take(body));
    let mut response = R::decode(&mut bytes, version).expect("a response as the schema says");
    change(&mut response);
    let mut encoded = BytesMut::new();
    response.encode(&mut encoded, version).expect("a response");
    *body = encoded.to_vec();
}

struct Connection {
    ports: Arc<Vec<(u16, u16)>>,
    rules: Arc<Mutex<Rules>>,
}

/// A request whose answer is to come.
struct Pending {
    call: Call,
    correlation: [u8; 4],
}

impl Connection {
    fn start(self, client: &TcpStream, server: &TcpStream) {
        let (sender, receiver) = channel();
        let this = Arc::new(self);
        let ends = || (client.try_clone().unwrap(), server.try_clone().unwrap());
        for is_forth in [true, false] {
            let (mut client, mut server) = ends();
            let (this, sender) = (Arc::clone(&this), sender.clone());
            if is_forth {
                std::thread::spawn(move || {
                    while this.request(&mut client, &mut server, &sender).is_some() {}
                    close(&client, &server);
                });
            }
        }
        let (mut client, mut server) = ends();
        drop(sender);
        std::thread::spawn(move || {
            while this.response(&mut client, &mut server, &receiver).is_some() {}
            close(&client, &server);
        });
    }

    fn request(
        &self,
        client: &mut TcpStream,
        server: &mut TcpStream,
        sender: &Sender<Pending>,
    ) -> Option<()> {
        let frame = read_frame(client)?;
        let number = |at: usize| i16::from_be_bytes([frame[at], frame[at + 1]]);
        let (key, version) = (number(0), number(2));
        let api = ApiKey::try_from(key).ok()?;
        let correlation = [frame[4], frame[5], frame[6], frame[7]];
        let call = {
            let mut rules = self.rules.lock().unwrap();
            let count = rules.counts.entry(key).or_default();
            let number = *count;
            *count += 1;
            Call {
                api,
                version,
                number,
            }
        };
        sender.send(Pending { call, correlation }).ok()?;
        write_frame(server, &frame)
    }

    fn response(
        &self,
        client: &mut TcpStream,
        server: &mut TcpStream,
        receiver: &Receiver<Pending>,
    ) -> Option<()> {
        let pending = receiver.recv().ok()?;
        let call = pending.call;
        let mut frame = pending.correlation.to_vec();
        let has_tags = call.api.response_header_version(call.version) >= 1;
        let mut body = read_frame(server)?.split_off(4 + usize::from(has_tags));
        if self.apply(&call, &mut body) == Then::Silence {
            return Some(());
        }
        if has_tags {
            frame.push(0);
        }
        frame.extend(body);
        write_frame(client, &frame)
    }

    fn apply(&self, call: &Call, body: &mut Vec<u8>) -> Then {
        let port = |port: i32| {
            let known = self
                .ports
                .iter()
                .find(|(broker, _)| i32::from(*broker) == port);
            known.map_or(port, |(_, own)| i32::from(*own))
        };
        let rules = self.rules.lock().unwrap();
        match call.api {
            // An error about the version is answered in version 0.
            ApiKey::ApiVersions if body.starts_with(&[0, 0]) => {
                rewrite::<ApiVersionsResponse>(call.version, body, |response| {
                    for row in &mut response.api_keys {
                        if let Some(&newest) = rules.newest.get(&row.api_key) {
                            row.max_version = row.max_version.min(newest);
                        }
                    }
                });
            }
            ApiKey::Metadata => rewrite::<MetadataResponse>(call.version, body, |response| {
                response
                    .brokers
                    .iter_mut()
                    .for_each(|b| b.port = port(b.port));
            }),
            ApiKey::FindCoordinator => {
                rewrite::<FindCoordinatorResponse>(call.version, body, |response| {
                    response.port = port(response.port);
                    let rows = response.coordinators.iter_mut();
                    rows.for_each(|row| row.port = port(row.port));
                });
            }
            _ => {}
        }
        let mut thens = rules.answers.iter().map(|rule| rule(call, body));
        thens.find(|then| *then != Then::Pass).unwrap_or(Then::Pass)
    }
}

fn close(client: &TcpStream, server: &TcpStream) {
    // What has ended by itself is as good.
    drop(client.shutdown(Shutdown::Both));
    drop(server.shutdown(Shutdown::Both));
}

fn read_frame(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut size = [0; 4];
    stream.read_exact(&mut size).ok()?;
    let mut frame = vec![0; u32::from_be_bytes(size) as usize];
    stream.read_exact(&mut frame).ok()?;
    Some(frame)
}

fn write_frame(stream: &mut TcpStream, frame: &[u8]) -> Option<()> {
    let size = u32::try_from(frame.len()).unwrap().to_be_bytes();
    stream.write_all(&[&size[..], frame].concat()).ok()
}
