//! `/api/highwater/v1`: what a page cannot get from the Prometheus API. This machine judged, its
//! deaths, what grows, and the marks on the axis of time.
//!
//! Each answer is a document that a [`Teller`] gives, the same as the command line's with `--json`.
//! One question is answered at a time and the others wait: a document is judged anew from what was
//! recorded, and the recorder comes first. What takes long has a turn of its own, so that nobody waits
//! for it who did not ask.

mod openapi;
mod stream;
mod trial;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

pub(crate) use stream::Endless;
use stream::Streams;
pub use trial::{Since, Trial, Tried};

/// Where all of it is.
pub(crate) const BASE: &str = "/api/highwater/v1/";

/// An answer that takes longer, waiting for its turn included, is none.
const MOST_TIME: Duration = Duration::from_secs(30);

/// The longest name of a death: milliseconds since 1970, a dash, a pid, and room.
const MOST_ID: usize = 40;

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// How this machine fares: the document of `checkup --json`.
    Now,
    /// What grows: the document of `leaks --json`.
    Growth,
    /// All deaths that somebody should know of, in short.
    Deaths,
    /// One of them in full: a member of `deaths` of `why --json`.
    Death(String),
    /// What happened, as marks on an axis of time.
    Events,
    /// The lives of services and containers: the document of `restarts --json`.
    Restarts,
    /// What rules would have done: the document of `rules backtest --json`.
    Backtest(Trial),
}

/// Why there is no document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untold {
    /// There is nothing of the kind, and why.
    #[error("{0}")]
    Absent(String),
    /// It was asked wrongly, and how.
    #[error("{0}")]
    Wrong(String),
    /// It could not be told, and why.
    #[error("{0}")]
    Failed(String),
}

/// How far a recording that goes on has come: how often something was added to it. Each only rises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Whole readings of the machine.
    pub samples: u64,
    /// Deaths, growths, restarts, and whatever else happens.
    pub events: u64,
    /// Alerts that came, went or changed their state.
    pub alerts: u64,
}

/// Who knows what happened.
pub trait Teller: Send + Sync {
    /// The document that answers `question`, in JSON; from a thread that may wait.
    fn tell(&self, question: &Question) -> Result<Vec<u8>, Untold>;

    /// How far what is recorded has come, at once; `None` where nothing is added any more.
    fn progress(&self) -> Option<Progress>;
}

/// A teller, who is asked one thing at a time, and beside it one that takes long; some follow.
struct Desk {
    teller: Arc<dyn Teller>,
    turn: Arc<Semaphore>,
    long_turn: Arc<Semaphore>,
    streams: Streams,
}

/// All paths under [`BASE`].
pub(crate) fn router(teller: Arc<dyn Teller>) -> Router {
    let one = || Arc::new(Semaphore::new(1));
    let (turn, long_turn) = (one(), one());
    let desk = Arc::new(Desk { teller, turn, long_turn, streams: Streams::default() });
    Router::new().route(&format!("{BASE}{{*path}}"), any(handle)).with_state(desk)
}

async fn handle(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let refusal = failed(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD");
        return ([(ALLOW, "GET, HEAD")], refusal).into_response();
    }
    let path = request.uri().path().strip_prefix(BASE).unwrap_or_default();
    match path {
        "openapi.json" => return json(StatusCode::OK, openapi::document()),
        stream::PATH => return desk.streams.answer(&desk.teller, request.method()),
        _ => {}
    }
    match question(path, request.uri().query().unwrap_or_default()) {
        Some(Ok(question)) => desk.answer(question).await,
        Some(Err(why)) => failed(StatusCode::BAD_REQUEST, &why),
        None => failed(StatusCode::NOT_FOUND, &no_such_path()),
    }
}

/// What is asked at a path; inside, what is wrong with its parameters.
fn question(path: &str, query: &str) -> Option<Result<Question, String>> {
    if path == "backtest" {
        return Some(Trial::read(query).map(Question::Backtest));
    }
    match path.strip_prefix("deaths/") {
        Some(id) => is_id(id).then(|| Ok(Question::Death(id.to_owned()))),
        None => openapi::PLACES.iter().find(|place| place.path == path)?.question.clone().map(Ok),
    }
}

/// Whether a death may be called so: nothing else is ever looked for.
fn is_id(id: &str) -> bool {
    let is_sign = |byte: u8| byte.is_ascii_digit() || byte == b'-';
    id.len() <= MOST_ID && id.starts_with(|c: char| c.is_ascii_digit()) && id.bytes().all(is_sign)
}

impl Desk {
    async fn answer(&self, question: Question) -> Response {
        let late = || failed(StatusCode::SERVICE_UNAVAILABLE, "it takes too long: ask again later");
        timeout(MOST_TIME, self.told(question)).await.unwrap_or_else(|_| late())
    }

    async fn told(&self, question: Question) -> Response {
        // Nobody closes the semaphore.
        let turn = match question {
            Question::Backtest(_) => &self.long_turn,
            _ => &self.turn,
        };
        let Ok(turn) = Arc::clone(turn).acquire_owned().await else {
            return failed(StatusCode::SERVICE_UNAVAILABLE, "nothing is told any more");
        };
        let teller = Arc::clone(&self.teller);
        let told = spawn_blocking(move || {
            // Kept until it is told, even if nobody waits any more.
            let _turn = turn;
            teller.tell(&question)
        });
        match told.await {
            Ok(Ok(document)) => json(StatusCode::OK, document),
            Ok(Err(Untold::Absent(why))) => failed(StatusCode::NOT_FOUND, &why),
            Ok(Err(Untold::Wrong(why))) => failed(StatusCode::BAD_REQUEST, &why),
            Ok(Err(Untold::Failed(why))) => failed(StatusCode::SERVICE_UNAVAILABLE, &why),
            Err(_) => failed(StatusCode::INTERNAL_SERVER_ERROR, "telling it failed: a defect"),
        }
    }
}

fn no_such_path() -> String {
    let paths: Vec<&str> = openapi::PLACES.iter().map(|place| place.path).collect();
    format!("there is no such path under {BASE}; there are: {}", paths.join(", "))
}

fn failed(status: StatusCode, why: &str) -> Response {
    json(status, serde_json::json!({ "error": why }).to_string())
}

fn json(status: StatusCode, body: impl IntoResponse) -> Response {
    let head = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
    (status, head, body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_questions() {
        assert_eq!(question("now", ""), Some(Ok(Question::Now)));
        assert_eq!(question("deaths", ""), Some(Ok(Question::Deaths)));
        assert_eq!(question("deaths/17-7", ""), Some(Ok(Question::Death("17-7".to_owned()))));
        assert!(matches!(question("backtest", "last=1d"), Some(Ok(Question::Backtest(_)))));
        assert!(matches!(question("backtest", "last=x"), Some(Err(_))));
        for wrong in ["", "now/", "deaths/", "deaths/-1", "deaths/1/2", "deaths/x", "deaths/{id}"] {
            assert_eq!(question(wrong, ""), None, "{wrong}");
        }
        assert_eq!(question(&format!("deaths/{}", "1".repeat(MOST_ID + 1)), ""), None);
    }
}
