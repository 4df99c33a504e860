//! HTTP/1.1 for many clients at a time: GET and HEAD only, and no header larger than it has to be.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, ALLOW, AUTHORIZATION, CONTENT_ENCODING, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, HeaderName, HeaderValue, VARY, WWW_AUTHENTICATE,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use openssl::ssl::Ssl;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_openssl::SslStream;

use super::access::{AccessControl, LoadedConfig};
use super::connections::{Admission, ClientState, ConnectionSlot, Connections};
use super::negotiate::Variant;
use super::scraper::{ScrapeRequest, ScrapeResponse};

/// How long a request may take to arrive.
const HEADER_TIME: Duration = Duration::from_secs(5);
/// How large a request's head may be.
const HEADER_BYTES: usize = 16 * 1024;
/// How long to wait for a free slot or descriptor.
const PAUSE: Duration = Duration::from_millis(5);

/// What all connections share.
pub(super) struct Service {
    pub(super) asks: mpsc::Sender<ScrapeRequest>,
    pub(super) access: AccessControl,
    pub(super) program: &'static str,
    /// How long a connection may last.
    pub(super) limit: Duration,
}

/// Accepts connections for ever.
pub(super) async fn serve(listener: TcpListener, service: Arc<Service>, clients: Connections) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) {
                    clients.evict_one();
                }
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let Some(slot) = slot(&clients).await else {
            continue;
        };
        let number = slot.number();
        let task = tokio::spawn(converse(stream, slot, Arc::clone(&service)));
        ConnectionSlot::served_by(number, &clients, task.abort_handle());
        // It may have asked already, and is then not cut off for the next one.
        tokio::task::yield_now().await;
    }
}

async fn slot(clients: &Connections) -> Option<ConnectionSlot> {
    loop {
        match clients.admit() {
            Admission::Slot(slot) => return Some(slot),
            Admission::Refused => return None,
            Admission::Later => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn converse(stream: TcpStream, slot: ConnectionSlot, service: Arc<Service>) {
    let limit = service.limit;
    let web = service.access.current();
    // A client that takes longer is cut off; nobody else has to know.
    let _ = tokio::time::timeout(limit, async {
        match &web.acceptor {
            Some(acceptor) => {
                let Ok(ssl) = Ssl::new(acceptor.context()) else {
                    return;
                };
                let Ok(mut stream) = SslStream::new(ssl, stream) else {
                    return;
                };
                let shaken = tokio::time::timeout(HEADER_TIME, Pin::new(&mut stream).accept());
                if matches!(shaken.await, Ok(Ok(()))) {
                    talk(stream, &slot, &service, &web).await;
                }
            }
            None => talk(stream, &slot, &service, &web).await,
        }
    })
    .await;
}

async fn talk<S>(stream: S, slot: &ConnectionSlot, service: &Service, web: &LoadedConfig)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let answer = service_fn(async |request| {
        let mut response = service.respond(&request, slot, web).await;
        for (name, value) in &web.headers {
            response.headers_mut().insert(name, value.clone());
        }
        Ok::<_, Infallible>(response)
    });
    // Each scrape has a connection of its own, so that an idle one holds no slot.
    // A client may have closed its half: it asked, and listens.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(HEADER_BYTES)
        .keep_alive(false)
        .half_close(true)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
}

impl Service {
    async fn respond(
        &self,
        request: &Request<Incoming>,
        slot: &ConnectionSlot,
        web: &LoadedConfig,
    ) -> Response<Full<Bytes>> {
        let authorization = request.headers().get(AUTHORIZATION);
        if !self.access.authorize(web, authorization).await {
            let mut response = text(
                StatusCode::UNAUTHORIZED,
                "a name and a password are needed\n",
            );
            let scheme = HeaderValue::from_static("Basic");
            response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
            return response;
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let text_only = "only GET and HEAD are answered\n";
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, text_only);
            let headers = response.headers_mut();
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        slot.set(ClientState::AwaitingScrape);
        let (response, scrape) = self.answer(request).await;
        slot.set(ClientState::Reading(scrape));
        response
    }

    /// The response, and the number of its scrape.
    async fn answer(&self, request: &Request<Incoming>) -> (Response<Full<Bytes>>, u64) {
        // No scrape: it is read at once.
        const NONE: u64 = u64::MAX;
        let header = |name: HeaderName| request.headers().get(name)?.to_str().ok();
        let is_ending = || {
            let reason = format!("{} is about to end\n", self.program);
            (text(StatusCode::SERVICE_UNAVAILABLE, reason), NONE)
        };
        match request.uri().path() {
            "/metrics" => {
                let variant = Variant::of(header(ACCEPT), header(ACCEPT_ENCODING));
                match self
                    .ask(|answer| ScrapeRequest::Metrics(variant, answer))
                    .await
                {
                    Some(body) => (metrics(&body, variant), body.scrape),
                    None => is_ending(),
                }
            }
            "/" => match self.ask(ScrapeRequest::Page).await {
                Some(body) => (page(&body), body.scrape),
                None => is_ending(),
            },
            "/health" => (text(StatusCode::OK, "ok\n"), NONE),
            "/ready" => match self.ask(ScrapeRequest::Ready).await {
                Some(Ok(())) => (text(StatusCode::OK, "ok\n"), NONE),
                Some(Err(reason)) => (
                    text(StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
                    NONE,
                ),
                None => is_ending(),
            },
            _ => {
                let known = "there are /, /metrics, /health and /ready\n";
                (text(StatusCode::NOT_FOUND, known), NONE)
            }
        }
    }

    async fn ask<T>(&self, make: impl FnOnce(oneshot::Sender<T>) -> ScrapeRequest) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.asks.send(make(answer)).ok()?;
        answered.await.ok()
    }
}

fn metrics(body: &ScrapeResponse, variant: Variant) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.bytes.clone()));
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static(variant.content_type()),
    );
    headers.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    if variant.is_gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn page(body: &ScrapeResponse) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.bytes.clone()));
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    // It has no script, and nothing of it is loaded from elsewhere.
    let policy = "default-src 'none'; style-src 'unsafe-inline'";
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
