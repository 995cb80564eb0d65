//! `stream`: says that something was added to the recording, to whoever looks (server-sent events).
//!
//! ```text
//!  the recorder ── counts ──► read every 2 s ── changed? ──► event: progress
//!                                             └─ long not? ─► : a comment, so that nobody hangs up
//! ```
//!
//! The recorder does not know of it: its counts are read here, and only while somebody follows. Nothing
//! waits in a queue either: what is sent is how far it has come by then, so whoever is slow misses steps
//! and no more.

use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use hyper::body::Frame;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::{Progress, Teller, failed};

/// Where it is, behind the base.
pub(super) const PATH: &str = "stream";

/// How many may follow at once: a browser needs one for each page that is seen.
pub(super) const PLACES: usize = 32;

/// No more often than this is anything said.
const EVERY: Duration = Duration::from_secs(2);

/// After so many looks without news a comment is sent: proxies hang up after a minute or so.
const QUIET: u32 = 7;

/// After so many looks a stream ends, and whoever still follows asks anew: an hour.
const LOOKS: u32 = 1800;

/// How long a browser waits before it asks anew.
const RETRY_MS: u32 = 3000;

/// Of an answer that goes on until its peer or the server ends it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endless;

/// Who follows.
pub(super) struct Streams {
    places: Arc<Semaphore>,
    /// All look at the same moments, so that what they ask then is asked together.
    begun: Instant,
}

impl Default for Streams {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(PLACES)), begun: Instant::now() }
    }
}

impl Streams {
    /// A stream of what `teller` knows, if there is a place for one.
    pub(super) fn answer(&self, teller: &Arc<dyn Teller>, method: &Method) -> Response {
        // A proxy may hold back what it takes for a page.
        let head = [
            (CONTENT_TYPE, "text/event-stream"),
            (CACHE_CONTROL, "no-store"),
            (HeaderName::from_static("x-accel-buffering"), "no"),
        ];
        if method == Method::HEAD {
            return (head, Body::empty()).into_response();
        }
        if teller.progress().is_none() {
            return (head, still()).into_response();
        }
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            let why = format!("{PLACES} follow already: ask now and then instead");
            let refusal = failed(StatusCode::SERVICE_UNAVAILABLE, &why);
            return ([(RETRY_AFTER, "60")], refusal).into_response();
        };
        let looks = self.looks();
        let teller = Arc::clone(teller);
        let stream = Stream { teller, looks, last: None, quiet: 0, left: LOOKS, _place: place };
        let mut response = (head, Body::new(stream)).into_response();
        response.extensions_mut().insert(Endless);
        response
    }

    /// The moments at which it is looked.
    fn looks(&self) -> Interval {
        let since = self.begun.elapsed().as_millis();
        let into = u64::try_from(since % EVERY.as_millis()).unwrap_or(0);
        let next = EVERY.saturating_sub(Duration::from_millis(into));
        let first = Instant::now().checked_add(next).unwrap_or_else(Instant::now);
        let mut looks = interval_at(first, EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        looks
    }
}

/// One who follows.
struct Stream {
    teller: Arc<dyn Teller>,
    looks: Interval,
    /// What was said last; `None` before the first word.
    last: Option<Progress>,
    /// Looks since anything was said.
    quiet: u32,
    left: u32,
    _place: OwnedSemaphorePermit,
}

impl Stream {
    /// What is to be said now.
    fn word(&mut self) -> Option<String> {
        let Some(progress) = self.teller.progress() else { return Some(still()) };
        self.quiet = self.quiet.saturating_add(1);
        let word = match self.last {
            None => format!("retry: {RETRY_MS}\n\n{}", event(progress)),
            Some(last) if last != progress => event(progress),
            Some(_) if self.quiet >= QUIET => ": nothing new\n\n".to_owned(),
            Some(_) => return None,
        };
        self.last = Some(progress);
        self.quiet = 0;
        Some(word)
    }
}

impl HttpBody for Stream {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        while self.left > 0 {
            if self.last.is_some() {
                ready!(self.looks.poll_tick(cx));
                self.left = self.left.saturating_sub(1);
            }
            if let Some(word) = self.word() {
                return Poll::Ready(Some(Ok(Frame::data(Bytes::from(word)))));
            }
        }
        Poll::Ready(None)
    }
}

fn event(progress: Progress) -> String {
    let Progress { samples, events, alerts } = progress;
    let mut text = "event: progress\n".to_owned();
    // Writing to a String cannot fail.
    writeln!(text, r#"data: {{"samples":{samples},"events":{events},"alerts":{alerts}}}"#)
        .unwrap_or_default();
    text.push('\n');
    text
}

/// What is said of a history to which nothing is added. A browser that is told nothing more asks anew:
/// it is on the page to hang up.
fn still() -> String {
    "event: still\ndata: {\"why\":\"this is a history: nothing is added to it\"}\n\n".to_owned()
}
