//! The server: two paths, read only, small and hard to keep busy.
//!
//! Each request has a connection of its own, and each connection a deadline: a scraper notices
//! nothing, and whoever holds a connection open holds it for seconds.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{sleep, timeout};

use crate::exposition::Format;
use crate::health::health;
use crate::metrics::{Detail, metrics};
use crate::readings::Readings;

/// The most a request's head may take: Prometheus's is 300 bytes, a browser's with cookies a few
/// thousand. 8 KiB is also the least that hyper allows.
const MAX_HEAD_BYTES: usize = 8 * 1024;
/// How long one connection may last from first to last byte: Prometheus's own default is 10 s.
const CONNECTION_TIME: Duration = Duration::from_secs(10);
/// How many connections are served at once; others wait in the kernel's queue. Two Prometheus
/// servers, a probe and a person are 4.
const MAX_CONNECTIONS: u32 = 8;
/// How long to wait when a connection cannot be accepted, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long connections may take to end when the server does.
const FAREWELL: Duration = Duration::from_secs(1);

/// What `/` says, and what is said to who asks for a path that is not there.
const PATHS: &str = "/metrics  memory of this machine, for Prometheus\n/healthz  200 while it is recorded, else 503 and why\n";

/// Ends a server; dropping it ends the server too.
#[derive(Debug)]
pub struct Stopper(oneshot::Sender<()>);

/// The server's end of a [`Stopper`].
#[derive(Debug)]
pub struct Stopping(oneshot::Receiver<()>);

/// A stopper and what it stops.
pub fn stopper() -> (Stopper, Stopping) {
    let (send, receive) = oneshot::channel();
    (Stopper(send), Stopping(receive))
}

impl Stopper {
    /// Ends the server: [`serve`] returns within a second or so.
    pub fn stop(self) {
        // The server may have ended by itself: then there is nothing to stop.
        let _nobody_to_stop = self.0.send(());
    }
}

/// Answers requests that come to `listener` until stopped. Blocks: give it a thread of its own.
pub fn serve(
    listener: std::net::TcpListener,
    readings: Arc<dyn Readings>,
    detail: Detail,
    stopping: Stopping,
) -> io::Result<()> {
    let local = listener.local_addr()?;
    listener.set_nonblocking(true)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let site = Arc::new(Site { readings, detail, local, last_length: AtomicUsize::new(0) });
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        let connections = Arc::new(Semaphore::new(permits(MAX_CONNECTIONS)));
        tokio::select! {
            () = accept(listener, router(site), &connections) => {}
            _ = stopping.0 => {}
        }
        // Late connections are cut when the runtime is dropped.
        drop(timeout(FAREWELL, connections.acquire_many(MAX_CONNECTIONS)).await);
        Ok(())
    })
}

fn permits(count: u32) -> usize {
    usize::try_from(count).unwrap_or(1)
}

/// Accepts for ever.
async fn accept(listener: TcpListener, router: Router, connections: &Arc<Semaphore>) {
    loop {
        let Ok(permit) = Arc::clone(connections).acquire_owned().await else { return };
        match listener.accept().await {
            Err(_) => sleep(ACCEPT_PAUSE).await,
            Ok((stream, _)) => {
                let router = router.clone();
                tokio::spawn(async move {
                    // Whatever goes wrong with one connection is its peer's matter.
                    drop(timeout(CONNECTION_TIME, answer(stream, router)).await);
                    drop(permit);
                });
            }
        }
    }
}

async fn answer(stream: TcpStream, router: Router) -> hyper::Result<()> {
    http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await
}

/// What is served, and to whom.
struct Site {
    readings: Arc<dyn Readings>,
    detail: Detail,
    local: SocketAddr,
    /// How long the last page of metrics was: the next one asks for its memory at once.
    last_length: AtomicUsize,
}

fn router(site: Arc<Site>) -> Router {
    Router::new().fallback(page).with_state(site)
}

async fn page(State(site): State<Arc<Site>>, request: Request) -> Response {
    if !site.expects(&request) {
        let text = "this is served on the loopback only: ask for it as localhost or 127.0.0.1\n";
        return plain(StatusCode::FORBIDDEN, text.to_owned());
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let refusal = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n".to_owned());
        return ([(ALLOW, "GET, HEAD")], refusal).into_response();
    }
    match request.uri().path() {
        "/metrics" => site.metrics(request.headers()),
        "/healthz" => site.health(),
        "/" => plain(StatusCode::OK, format!("highwater {}\n{PATHS}", env!("CARGO_PKG_VERSION"))),
        _ => plain(StatusCode::NOT_FOUND, format!("no such path; there are:\n{PATHS}")),
    }
}

impl Site {
    /// Whether the request was meant for this server. A web page anywhere can give its own name
    /// this machine's address (DNS rebinding) and have the browser read what is served here; its
    /// requests carry that name.
    fn expects(&self, request: &Request) -> bool {
        let host = request.headers().get(HOST).map(HeaderValue::as_bytes);
        let target = request.uri().authority().map(|authority| authority.as_str().as_bytes());
        !self.local.ip().to_canonical().is_loopback()
            || [host, target].into_iter().flatten().all(is_loopback)
    }

    fn metrics(&self, headers: &HeaderMap) -> Response {
        let accept: Vec<&str> =
            headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
        let format = Format::accepted(&accept.join(","));
        let capacity = self.last_length.load(Ordering::Relaxed);
        let text = metrics(self.readings.as_ref(), self.detail, format, capacity);
        self.last_length.store(text.len(), Ordering::Relaxed);
        ([(CONTENT_TYPE, format.content_type())], text).into_response()
    }

    fn health(&self) -> Response {
        let (healthy, text) = health(&self.readings.health());
        plain(if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, text)
    }
}

fn plain(status: StatusCode, text: String) -> Response {
    let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "no-store")];
    (status, headers, text).into_response()
}

/// Whether `host`, with or without a port, is this machine's loopback.
fn is_loopback(host: &[u8]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else { return false };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_loopback_names_are_loopback() {
        for host in
            ["localhost", "LocalHost:9477", "127.0.0.1:9477", "127.8.9.1", "[::1]:9477", "[::1]"]
        {
            assert!(is_loopback(host.as_bytes()), "{host}");
        }
        for host in [
            "",
            ":9477",
            "evil.example",
            "localhost.evil.example:9477",
            "127.0.0.1.evil.example",
            "10.0.0.1:9477",
            "127.0.0.1:80:90",
            "[::2]:1",
            "[127.0.0.1",
            "localhost@evil.example",
            "\u{202e}",
        ] {
            assert!(!is_loopback(host.as_bytes()), "{host}");
        }
        assert!(!is_loopback(b"\xff"));
    }
}
