//! Values that are serialized with a schema: JSON in the pipe, bytes in the topic.
//!
//! - [`avro`]: Avro there and back, judged by Python's client; [`node`]: by JavaScript's.
//! - [`list`]: which schemas a topic uses.
//! - [`json`]: JSON without a schema.
//! - [`table`]: schemas of all shapes, there and back.
//! - [`types`]: Protobuf, JSON Schema, references.
//! - [`registry`]: registries that are slow, gone or wrong; [`tls`]: those that want a login or speak TLS.

mod avro;
mod json;
mod list;
mod node;
mod registry;
mod table;
mod tls;
mod types;

use crate::testkit::cluster::Cluster;
use crate::testkit::command::{Cmd, cmd};

/// `kcat-lite` with this cluster and registry.
fn at(cluster: &dyn Cluster, registry: &str, args: &[&str]) -> Cmd {
    cmd("kcat-lite")
        .args(args)
        .args(["-r", registry, "-b", &cluster.bootstrap()])
}

/// The keys, values and what follows of JSON objects: what does not depend on time and place.
fn payloads(text: &str) -> Vec<String> {
    let payload = |line: &str| {
        let start = line.find("\"key").unwrap_or_default();
        line[start..].to_owned()
    };
    text.lines().map(payload).collect()
}
