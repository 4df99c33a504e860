//! HTTP/1: GET only, so many connections, so long, and no header larger than it has to be.

use std::convert::Infallible;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};

use super::look::Ask;

/// Connections at a time; the next one waits in the system's queue.
const CONNECTIONS: usize = 64;
/// How long a request may take to arrive.
const HEADER_TIME: Duration = Duration::from_secs(5);
/// How large a request's head may be.
const HEADER_BYTES: usize = 16 * 1024;
/// What the text format of Prometheus is called.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Accepts connections for ever; each ends after `limit` at the latest.
pub(super) async fn serve(listener: TcpListener, asks: mpsc::Sender<Ask>, limit: Duration) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            // No descriptor is left, or the client is gone already.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let asks = asks.clone();
        tokio::spawn(async move {
            // A client that takes longer is cut off; nobody else has to know.
            let _ = tokio::time::timeout(limit, converse(stream, asks)).await;
            drop(place);
        });
    }
}

async fn converse(stream: TcpStream, asks: mpsc::Sender<Ask>) {
    let answer = service_fn(move |request| {
        let asks = asks.clone();
        async move { Ok::<_, Infallible>(answer(&request, &asks).await) }
    });
    // Each scrape has a connection of its own, so that an idle one holds no place.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(HEADER_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
}

async fn answer(request: &Request<Incoming>, asks: &mpsc::Sender<Ask>) -> Response<Full<Bytes>> {
    if request.method() != Method::GET {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered\n");
        let headers = response.headers_mut();
        headers.insert(ALLOW, HeaderValue::from_static("GET"));
        return response;
    }
    match request.uri().path() {
        "/metrics" => match ask(asks, Ask::Metrics).await {
            Some(metrics) => {
                let mut response = Response::new(Full::new(metrics));
                let kind = HeaderValue::from_static(METRICS_TYPE);
                response.headers_mut().insert(CONTENT_TYPE, kind);
                response
            }
            None => text(StatusCode::SERVICE_UNAVAILABLE, "klag is about to end\n"),
        },
        "/health" => match ask(asks, Ask::Health).await {
            Some(Ok(())) => text(StatusCode::OK, "ok\n"),
            Some(Err(reason)) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
            None => text(StatusCode::SERVICE_UNAVAILABLE, "klag is about to end\n"),
        },
        "/" => text(StatusCode::OK, "klag: /metrics /health\n"),
        _ => text(StatusCode::NOT_FOUND, "there are /metrics and /health\n"),
    }
}

async fn ask<T>(
    asks: &mpsc::Sender<Ask>,
    make: impl FnOnce(oneshot::Sender<T>) -> Ask,
) -> Option<T> {
    let (answer, answered) = oneshot::channel();
    asks.send(make(answer)).ok()?;
    answered.await.ok()
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
