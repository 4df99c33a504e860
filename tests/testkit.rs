//! What the tests stand on: servers, commands and witnesses.
//!
//! - [`session`]: whatever a test run starts or writes is gone when the run is gone, even by `kill -9`.
//! - [`command`]: run a program with a deadline; [`output`]: judge what it printed; [`running`]: talk to one that runs.
//! - [`broker`]: a real Apache Kafka, shared by all tests or of a kind of your own ([`spec`]); [`node`]: one process of it;
//!   [`java`]: its jars and its tools.
//! - [`certificates`]: authorities and what they sign.
//! - [`clock`]: a wall clock for commands, to be set while they run.
//! - [`mock`]: librdkafka's mock cluster, in this process or lent by `kcat-lite -M`.
//! - [`cluster`]: topics and records of any of them, written and read by a foreign client.
//! - [`proxy`]: the network between a client and a broker, to be cut.
//! - [`http`]: a client of HTTP; [`process`]: what a process has in use; [`random`]: numbers that a seed gives again.
//! - [`interceptor`]: a proxy that speaks Kafka, and changes, cuts and delays answers.
//! - [`old`]: Apache Kafka 2.4.1 with ZooKeeper.
//! - [`postgres`]: a real PostgreSQL of a test's own.
//! - [`azure`]: the emulator of Azure's blob storage.
//! - `registry`: a real schema registry, and one of a test's own.
//! - [`s3`]: a real S3 server of a test's own.
//! - [`witness`]: other people's programs that the same data is shown to.

#[cfg(feature = "object-store")]
pub(crate) mod azure;
pub(crate) mod broker;
pub(crate) mod certificates;
pub(crate) mod clock;
pub(crate) mod cluster;
pub(crate) mod command;
pub(crate) mod http;
pub(crate) mod interceptor;
pub(crate) mod java;
pub(crate) mod mock;
mod node;
pub(crate) mod old;
pub(crate) mod output;
pub(crate) mod postgres;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod random;
#[cfg(feature = "schema-registry")]
pub(crate) mod registry;
pub(crate) mod rolling;
pub(crate) mod running;
#[cfg(feature = "object-store")]
pub(crate) mod s3;
pub(crate) mod session;
mod spec;
pub(crate) mod witness;

pub(crate) use node::free_port;

/// The testkit, tested on itself.
mod selftest;

use std::io::Write as _;
use std::panic::Location;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The variable that turns every skipped test into a failed one.
const REQUIRE: &str = "KAFKAUTILS_REQUIRE_KAFKA";

/// A number that the environment says, for long runs by hand.
pub(crate) fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is no number")),
    )
}

/// Counts and names a test that cannot run here, on stderr in spite of libtest's capture.
///
/// libtest has no end of the run to hang a total on, so each line carries the count so far.
#[track_caller]
pub(crate) fn skip(reason: &str) {
    static SKIPPED: AtomicUsize = AtomicUsize::new(0);
    let test = test_name();
    assert!(
        std::env::var_os(REQUIRE).is_none_or(|v| v == "0"),
        "{test} must not be skipped ({REQUIRE}): {reason}"
    );
    let count = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
    // The handle is not captured as `eprintln!` would be; a closed stderr is no reason to fail a test.
    drop(writeln!(
        std::io::stderr(),
        "skipped ({count} so far): {test}: {reason}"
    ));
}

/// What a test needs; if it is missing, the test is skipped.
#[track_caller]
pub(crate) fn or_skip<T>(needed: Result<T, impl std::fmt::Display>) -> Option<T> {
    match needed {
        Ok(found) => Some(found),
        Err(reason) => {
            skip(&reason.to_string());
            None
        }
    }
}

/// libtest names the thread after the test; with one test thread it runs them on `main`, and the place has to do.
#[track_caller]
fn test_name() -> String {
    match std::thread::current().name() {
        Some(name) if name != "main" => name.to_owned(),
        _ => Location::caller().to_string(),
    }
}

/// Where downloads are kept between runs: `target/testkit`.
pub(crate) fn cache() -> PathBuf {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let cache = target.parent().unwrap_or(&target).join("testkit");
    std::fs::create_dir_all(&cache).unwrap();
    cache
}

/// Makes `cache()/name` by `fill` if it is not there: whole or absent, once, whatever runs beside us.
pub(crate) fn cached(
    name: &str,
    fill: impl FnOnce(&std::path::Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let ready = cache().join(name);
    if ready.exists() {
        return Ok(ready);
    }
    let lock =
        std::fs::File::create(cache().join(format!("{name}.lock"))).map_err(|e| e.to_string())?;
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive)
        .map_err(|e| e.to_string())?;
    if ready.exists() {
        return Ok(ready);
    }
    let partial = cache().join(format!("{name}.partial"));
    if partial.exists() {
        std::fs::remove_dir_all(&partial).map_err(|e| e.to_string())?;
    }
    std::fs::create_dir_all(&partial).map_err(|e| e.to_string())?;
    fill(&partial)?;
    std::fs::rename(&partial, &ready).map_err(|e| e.to_string())?;
    Ok(ready)
}
