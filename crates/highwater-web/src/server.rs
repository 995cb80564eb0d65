//! The server: whoever may ask is answered, and nobody keeps the others from it.
//!
//! ```text
//!  listener ── door ── wire ── guard ── body ── page or api
//!              64 in    phases   who      1 MiB
//!              all      with     may
//!                       deadlines ask
//! ```
//!
//! A connection is always in one [`Phase`], and each phase in which its peer is waited for ends at a
//! deadline. Where all places are taken, whoever has been waited for longest gives way: thousands of
//! silent connections cost the next scraper nothing.

mod body;
mod door;
mod pages;
mod wire;

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::http::HeaderName;
use axum::http::header::X_CONTENT_TYPE_OPTIONS;
use axum::response::{IntoResponse as _, Response};
use axum::{Router, http};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::{sleep, timeout};

use crate::api::{self, Api};
use crate::guard::Guard;
use crate::metrics::Detail;
use crate::page;
use crate::readings::Readings;
use crate::v1::{self, Endless, Teller};
use body::LONG_BODIES;
use door::{Door, Seat};
use pages::Pages;
use wire::{Phase, Sent, Wire};

/// The most a request's head may take: Grafana asks by POST, others put whole expressions into the
/// path. It is also what hyper buffers of an answer.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// How many lines a head may have; a browser behind proxies has some thirty.
const MAX_HEADERS: usize = 100;
/// How long to wait when a connection cannot be accepted, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long answers under way may take to end when the server does.
const FAREWELL: Duration = Duration::from_secs(1);
/// What is still read, and thrown away, of a peer that is told no: closed before that, its kernel
/// would throw away the answer.
const LINGER_BYTES: u64 = 1024 * 1024;
const LINGER_TIME: Duration = Duration::from_secs(1);
/// Threads for what computes (questions, passwords), beside the one that serves. The questions
/// themselves are bounded by the API.
const MAX_BLOCKING_THREADS: usize = 8;
/// Such threads end when nothing was to do for so long: a recorder is mostly asked nothing.
const BLOCKING_KEEP_ALIVE: Duration = Duration::from_secs(5);

/// A browser gives no other site's page what is served here, not even as a picture.
const OWN_PAGES_ONLY: (HeaderName, &str) =
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
/// Nor takes it for anything but what it says it is.
const AS_IT_SAYS: (HeaderName, &str) = (X_CONTENT_TYPE_OPTIONS, "nosniff");

/// How patient the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// From the first byte of a connection or a request to the end of its head.
    pub head: Duration,
    /// For a request's body.
    pub body: Duration,
    /// Until the next request comes.
    pub idle: Duration,
    /// For an answer to be taken, and a second more for each 16 KiB of it.
    pub sending: Duration,
    /// Connections at once.
    pub connections: usize,
}

impl Default for Patience {
    /// A head and a body come within the time-out of a scraper; a dashboard that refreshes each half
    /// minute keeps its connections. Beside the questions that run and wait at the API (66), as
    /// many scrapers and probes are served as there are anywhere.
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            body: Duration::from_secs(30),
            idle: Duration::from_mins(1),
            sending: Duration::from_secs(30),
            connections: 128,
        }
    }
}

/// Says a line in the log of whoever serves.
type Say = Arc<dyn Fn(&str) + Send + Sync>;

/// What is served, and to whom.
pub struct Site {
    guard: Guard,
    readings: Option<(Arc<dyn Readings>, Detail)>,
    api: Option<Arc<Api>>,
    teller: Option<Arc<dyn Teller>>,
    patience: Patience,
    say: Say,
}

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Site").field("guard", &self.guard).finish_non_exhaustive()
    }
}

impl Site {
    /// Nothing yet, for those whom `guard` lets in.
    pub fn new(guard: Guard) -> Self {
        let patience = Patience::default();
        Self { guard, readings: None, api: None, teller: None, patience, say: Arc::new(|_| {}) }
    }

    /// Also `/metrics` and `/healthz`.
    #[must_use]
    pub fn readings(self, readings: Arc<dyn Readings>, detail: Detail) -> Self {
        Self { readings: Some((readings, detail)), ..self }
    }

    /// Also `/api/v1`.
    #[must_use]
    pub fn api(self, api: Arc<Api>) -> Self {
        Self { api: Some(api), ..self }
    }

    /// Also `/api/highwater/v1`, and the page that asks there.
    #[must_use]
    pub fn teller(self, teller: Arc<dyn Teller>) -> Self {
        Self { teller: Some(teller), ..self }
    }

    /// With other deadlines.
    #[must_use]
    pub fn patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// What goes wrong with the site itself is said there.
    #[must_use]
    pub fn log(self, say: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { say: Arc::new(say), ..self }
    }
}

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

impl Stopping {
    /// Whether the end comes within `time`; waits for it. What has a server's end but no server yet
    /// asks this.
    pub fn within(&mut self, time: Duration) -> io::Result<bool> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        // Both a word and silence for ever are an end.
        Ok(runtime.block_on(async { timeout(time, &mut self.0).await.is_ok() }))
    }
}

/// Answers requests that come to `listener` until stopped. Blocks: give it a thread of its own.
pub fn serve(listener: std::net::TcpListener, site: Site, stopping: Stopping) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .thread_keep_alive(BLOCKING_KEEP_ALIVE)
        .thread_name("web-work")
        .build()?;
    let served = Arc::new(Served::new(site));
    let (closing, _) = watch::channel(false);
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        tokio::select! {
            () = accept(&listener, &served, &closing) => {}
            _ = stopping.0 => {}
        }
        drop(listener);
        closing.send_replace(true);
        // Late connections are cut when the runtime is dropped.
        drop(timeout(FAREWELL, served.door.empty()).await);
        io::Result::Ok(())
    })?;
    // Questions that run learn by their own deadline that nobody waits.
    runtime.shutdown_background();
    Ok(())
}

/// A site with its doors open.
struct Served {
    guard: Guard,
    door: Arc<Door>,
    router: Router,
    patience: Patience,
    long_bodies: Arc<Semaphore>,
    say: Say,
}

impl Served {
    fn new(site: Site) -> Self {
        let Site { guard, readings, api, teller, patience, say } = site;
        let pages = Pages::new(readings, api.is_some(), teller.is_some());
        let mut router = pages.router();
        if let Some(api) = api {
            router = router.merge(api::router(api));
        }
        if let Some(teller) = teller {
            router = router.merge(v1::router(teller)).merge(page::router());
        }
        let door = Arc::new(Door::new(patience.connections));
        let long_bodies = Arc::new(Semaphore::new(LONG_BODIES));
        Self { guard, door, router, patience, long_bodies, say }
    }

    /// The answer to one request, whatever it is.
    async fn answer(&self, seat: &Seat, request: http::Request<Incoming>) -> Response {
        seat.begin().await;
        let (head, body) = request.into_parts();
        let caller = match self.guard.admit(&head).await {
            Ok(caller) => caller,
            Err(refusal) => return refusal.into_response(),
        };
        let limits = (self.patience.body, &self.long_bodies);
        let (body, _place) = match body::read(&head, body, seat, limits).await {
            Ok(read) => read,
            Err(refusal) => return refusal.into_response(),
        };
        let mut request = Request::from_parts(head, body);
        request.extensions_mut().insert(caller);
        let Ok(response) = TowerToHyperService::new(self.router.clone()).call(request).await;
        ([OWN_PAGES_ONLY, AS_IT_SAYS], response).into_response()
    }
}

/// Accepts for ever.
async fn accept(listener: &TcpListener, served: &Arc<Served>, closing: &watch::Sender<bool>) {
    loop {
        match listener.accept().await {
            Err(_) => sleep(ACCEPT_PAUSE).await,
            Ok((stream, peer)) => {
                let seat = served.door.seat(peer.ip()).await;
                let (served, closing) = (Arc::clone(served), closing.subscribe());
                tokio::spawn(async move { attend(&served, seat, stream, closing).await });
            }
        }
    }
}

/// One connection, from its first byte to its last. Whatever goes wrong with it is its peer's matter.
async fn attend(
    served: &Arc<Served>,
    seat: Arc<Seat>,
    stream: TcpStream,
    closing: watch::Receiver<bool>,
) {
    // Small answers leave at once; where that cannot be set they leave a little later.
    let _later = stream.set_nodelay(true);
    let overdue = seat.overdue(served.patience);
    tokio::select! {
        () = converse(served, &seat, stream, closing) => {}
        () = overdue => {}
    }
}

async fn converse(
    served: &Arc<Served>,
    seat: &Arc<Seat>,
    stream: TcpStream,
    closing: watch::Receiver<bool>,
) {
    let Some(tls) = served.guard.tls() else {
        return exchange(served, seat, stream, closing).await;
    };
    if speaks_plainly(&stream).await {
        // He may have gone already.
        return drop(timeout(LINGER_TIME, correct(stream)).await);
    }
    let acceptor = tls.acceptor(served.say.as_ref());
    if let Ok(stream) = acceptor.accept(stream).await {
        exchange(served, seat, stream, closing).await;
    }
}

/// Whether HTTP is spoken where TLS is expected: a method is a word in capital letters, a record of
/// TLS begins with a 22.
async fn speaks_plainly(stream: &TcpStream) -> bool {
    let mut first = [0];
    stream.peek(&mut first).await.is_ok_and(|count| count > 0)
        && first.iter().all(u8::is_ascii_uppercase)
}

/// Says so to whoever took `http` for `https`.
async fn correct(mut stream: TcpStream) -> io::Result<()> {
    let text = "this port speaks TLS: ask by https://\n";
    let length = text.len();
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{text}"
    );
    stream.write_all(answer.as_bytes()).await?;
    linger(stream).await
}

/// Requests and answers, until one of both sides ends it.
async fn exchange<S>(
    served: &Arc<Served>,
    seat: &Arc<Seat>,
    stream: S,
    closing: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let closes = closing.clone();
    let service = service_fn(|request| {
        Box::pin(async {
            let response = served.answer(seat, request).await;
            Ok::<_, Infallible>(handed_over(response, seat, &closes))
        })
    });
    let mut conversation = http1::Builder::new()
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(Wire::new(stream, Arc::clone(seat))), service);
    let ends_first = tokio::select! {
        _ = poll_fn(|cx| conversation.poll_without_shutdown(cx)) => true,
        () = closed(closing) => false,
    };
    if !ends_first {
        if seat.is_unasked() {
            return;
        }
        Pin::new(&mut conversation).graceful_shutdown();
        // An error ends the conversation as well as its end does.
        drop(poll_fn(|cx| conversation.poll_without_shutdown(cx)).await);
    }
    seat.enter(Phase::sending());
    // The peer may be gone: then nobody is left to wait for.
    drop(
        timeout(LINGER_TIME, linger(conversation.into_parts().io.into_inner().into_inner())).await,
    );
}

/// An answer on its way.
fn handed_over(
    response: Response,
    seat: &Arc<Seat>,
    closing: &watch::Receiver<bool>,
) -> http::Response<Sent> {
    let seat = Arc::clone(seat);
    if response.extensions().get::<Endless>().is_some() {
        seat.enter(Phase::Streaming(None));
        let closing = Box::pin(closed(closing.clone()));
        return response.map(|body| Sent::endless(body, seat, closing));
    }
    seat.enter(Phase::sending());
    response.map(|body| Sent::new(body, seat))
}

/// Waits until the server closes.
async fn closed(mut closing: watch::Receiver<bool>) {
    // A server that is gone is closed, too.
    drop(closing.wait_for(|closing| *closing).await);
}

/// Ends a connection so that its peer still reads the last answer.
async fn linger<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> io::Result<()> {
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(LINGER_BYTES), &mut tokio::io::sink()).await?;
    Ok(())
}
