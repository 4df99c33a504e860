//! The exporter: one thread that looks at the cluster, one that answers whoever asks.

mod http;
mod look;

use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::{TcpListener, UnixStream};
use tools::cli::signals::Signals;
use tools::cli::{Exit, message};
use tools::kafka::{Client, Role};

use crate::cli::Config;

/// What a slow reader of the answer has beside the time that the cluster has.
const READING: Duration = Duration::from_secs(30);

/// Serves until a signal comes, which is a normal end.
pub(crate) fn run(config: &Config, address: SocketAddr, signals: &Signals) -> Result<Exit> {
    let client = Client::new(&config.options, Role::Consumer)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the server")?;
    let (asks, asked) = mpsc::channel();
    // The first contact, and then the look.
    let limit = 2 * client.first_contact() + READING;
    std::thread::scope(|threads| {
        let client = &client;
        threads.spawn(move || look::answer(client, config, signals, asked));
        runtime
            .block_on(async {
                let listener = TcpListener::bind(address).await;
                let listener = listener.with_context(|| format!("cannot listen on {address}"))?;
                if config.options.verbosity >= 0 {
                    let address = listener.local_addr().unwrap_or(address);
                    message(format_args!("listening on http://{address}/metrics"));
                }
                let ended = wakeable(signals)?;
                tokio::spawn(http::serve(listener, asks, limit));
                ended.readable().await?;
                anyhow::Ok(Exit::Done)
            })
            // The runtime's tasks end with it, and with the last of them the channel.
            .inspect(|_| drop(runtime))
    })
}

/// Readable from the first signal on; it is one end of a pair of sockets.
fn wakeable(signals: &Signals) -> std::io::Result<UnixStream> {
    let socket = std::os::unix::net::UnixStream::from(signals.as_fd().try_clone_to_owned()?);
    socket.set_nonblocking(true)?;
    UnixStream::from_std(socket)
}
