//! The exporters' HTTP server: `/metrics` for Prometheus, a page for people, and whether all is well.
//!
//! One thread looks at the cluster, once for all who ask meanwhile; another
//! one answers. A client that is slow, silent or half closed costs nobody
//! else a scrape: where places are scarce, the one that has kept the server
//! waiting for the longest time loses its place.

mod access;
mod address;
mod connections;
mod http;
mod negotiate;
mod scraper;
mod state;
mod tls;
mod web_config;

pub use address::Address;
pub use scraper::{Scraped, Scraper};
pub use state::{Problem, StateLog};
pub use web_config::WebConfigError;

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::net::{TcpListener, UnixStream};

use access::AccessControl;

/// How to serve.
#[derive(Clone, Debug)]
pub struct Settings {
    pub address: Address,
    /// TLS and users, as Prometheus' exporters have them in a file.
    pub web_config: Option<PathBuf>,
    /// How long a scrape of the cluster may take.
    pub scrape_timeout: Duration,
    /// Whose metrics these are: `klag`.
    pub program: &'static str,
}

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The system has no thread or no descriptor left.
    #[error("cannot start the server")]
    Start(#[source] io::Error),
    /// Another program listens there, or the address is not this machine's.
    #[error("cannot listen on {0}")]
    Listen(String, #[source] io::Error),
    /// The file of TLS and users is not right.
    #[error(transparent)]
    WebConfig(#[from] WebConfigError),
}

/// What a slow reader of the answer has beside the time that the cluster has.
const READING: Duration = Duration::from_secs(30);

/// Who gets the server's messages.
pub type Report = Arc<dyn Fn(&str) + Send + Sync>;

/// Serves what `scraper` sees until `end` is readable. `listening` hears of every address at the beginning.
///
/// # Errors
/// The server can't be started.
pub fn run(
    settings: &Settings,
    end: OwnedFd,
    scraper: &mut (dyn Scraper + Send),
    report: &Report,
    listening: &dyn Fn(&str),
) -> Result<(), ServeError> {
    let access = AccessControl::new(settings.web_config.as_deref(), Arc::clone(report))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ServeError::Start)?;
    let (asks, asked) = mpsc::channel();
    let service = Arc::new(http::Service {
        asks,
        access,
        program: settings.program,
        limit: settings.scrape_timeout + READING,
    });
    std::thread::scope(|threads| {
        threads.spawn(move || scraper::answer(scraper, &asked));
        let served = runtime.block_on(async {
            let listeners = bind(&settings.address).await?;
            for listener in &listeners {
                let address = listener.local_addr().map_err(ServeError::Start)?;
                listening(&url(service.access.is_tls(), address));
            }
            let ended = wakeable(end).map_err(ServeError::Start)?;
            let clients = connections::Connections::default();
            for listener in listeners {
                let (service, clients) = (Arc::clone(&service), clients.clone());
                tokio::spawn(http::serve(listener, service, clients));
            }
            ended.readable().await.map_err(ServeError::Start)
        });
        // The runtime's tasks end with it, and with the last of them the channel.
        runtime.shutdown_background();
        drop(service);
        served
    })
}

fn url(is_tls: bool, address: SocketAddr) -> String {
    let scheme = if is_tls { "https" } else { "http" };
    format!("{scheme}://{address}/metrics")
}

/// A listener for each address of the name; those that this machine lacks are left out if there are others.
async fn bind(address: &Address) -> Result<Vec<TcpListener>, ServeError> {
    let failed = |error| ServeError::Listen(address.to_string(), error);
    let mut listeners: Vec<TcpListener> = Vec::new();
    let mut refused = None;
    for mut address in address.resolve().map_err(failed)? {
        // A port that the system chose is the same for all.
        if let Some(first) = listeners.first().and_then(|l| l.local_addr().ok())
            && address.port() == 0
        {
            address.set_port(first.port());
        }
        match TcpListener::bind(address).await {
            Ok(listener) => listeners.push(listener),
            Err(error) if is_not_here(&error) => refused = Some(error),
            Err(error) => return Err(failed(error)),
        }
    }
    if listeners.is_empty() && address.is_everywhere() {
        // A machine without IPv6.
        let all = SocketAddr::from(([0, 0, 0, 0], address.port()));
        listeners.push(TcpListener::bind(all).await.map_err(failed)?);
    }
    match (listeners.is_empty(), refused) {
        (true, refused) => Err(failed(
            refused.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()),
        )),
        (false, _) => Ok(listeners),
    }
}

fn is_not_here(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT)
    )
}

/// Readable from the first signal on.
fn wakeable(end: OwnedFd) -> io::Result<UnixStream> {
    let socket = std::os::unix::net::UnixStream::from(end);
    socket.set_nonblocking(true)?;
    UnixStream::from_std(socket)
}
