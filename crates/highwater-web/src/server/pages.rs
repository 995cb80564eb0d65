//! The pages that are not the API's: metrics, health, and a word on what there is.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, ALLOW, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::exposition::Format;
use crate::guard::{Caller, plain};
use crate::health::health;
use crate::metrics::{Detail, metrics};
use crate::page;
use crate::readings::Readings;

/// What a browser is told where the page is not part of the program.
const WITHOUT: &str = "\nthis program was built without the page (cargo feature `page`)\n";

/// What is read of the recorder, if there is one, and what `/` says.
pub(super) struct Pages {
    readings: Option<(Arc<dyn Readings>, Detail)>,
    paths: String,
    /// Whether there is somebody whom a page could ask.
    has_page: bool,
    /// How long the last page of metrics was: the next one asks for its memory at once.
    last_length: AtomicUsize,
}

impl Pages {
    pub(super) fn new(
        readings: Option<(Arc<dyn Readings>, Detail)>,
        api: bool,
        has_page: bool,
    ) -> Arc<Self> {
        let all = [
            (readings.is_some(), "/metrics", "memory of this machine, for Prometheus"),
            (readings.is_some(), "/healthz", "200 while it is recorded, else 503 and why"),
            (api, "/api/v1/", "its history, by the API of Prometheus: query, query_range, …"),
            (has_page, "/api/highwater/v1/", "deaths, growth, events: openapi.json describes it"),
        ];
        let mut paths = String::new();
        for (_, path, what) in all.iter().filter(|(is_there, ..)| *is_there) {
            // Writing to a String cannot fail.
            writeln!(paths, "{path}  {what}").unwrap_or_default();
        }
        Arc::new(Self { readings, paths, has_page, last_length: AtomicUsize::new(0) })
    }

    pub(super) fn router(self: &Arc<Self>) -> Router {
        Router::new().fallback(page).with_state(Arc::clone(self))
    }

    /// The page for a browser, else a word on what there is.
    fn entrance(&self, headers: &HeaderMap) -> Response {
        let asked = self.has_page && is_browser(headers);
        if let Some(page) = asked.then(|| page::page(headers)).flatten() {
            return page;
        }
        let version = env!("CARGO_PKG_VERSION");
        let without = if asked { WITHOUT } else { "" };
        let text = format!("highwater {version}\n{}{without}", self.paths);
        ([(VARY, "Accept")], plain(StatusCode::OK, text)).into_response()
    }

    fn metrics(&self, readings: &dyn Readings, detail: Detail, headers: &HeaderMap) -> Response {
        let accept: Vec<&str> =
            headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
        let format = Format::accepted(&accept.join(","));
        let capacity = self.last_length.load(Ordering::Relaxed);
        let text = metrics(readings, detail, format, capacity);
        self.last_length.store(text.len(), Ordering::Relaxed);
        ([(CONTENT_TYPE, format.content_type())], text).into_response()
    }
}

/// Whether a browser asks: it names HTML, and a program takes anything.
fn is_browser(headers: &HeaderMap) -> bool {
    let accepted = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|accepted| accepted.contains("text/html"))
}

async fn page(State(pages): State<Arc<Pages>>, request: Request) -> Response {
    let there = |readings: &Option<(Arc<dyn Readings>, Detail)>| readings.clone();
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let refusal = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n".to_owned());
        return ([(ALLOW, "GET, HEAD")], refusal).into_response();
    }
    match (request.uri().path(), there(&pages.readings)) {
        ("/metrics", Some((readings, detail))) => {
            pages.metrics(readings.as_ref(), detail, request.headers())
        }
        ("/healthz", Some((readings, _))) => healthz(readings.as_ref(), request.extensions().get()),
        ("/", _) => pages.entrance(request.headers()),
        _ => plain(StatusCode::NOT_FOUND, format!("no such path; there are:\n{}", pages.paths)),
    }
}

/// A probe without credentials learns whether, and not why.
fn healthz(readings: &dyn Readings, caller: Option<&Caller>) -> Response {
    let (healthy, text) = health(&readings.health());
    let status = if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    match (caller, healthy) {
        (Some(Caller::Known), _) => plain(status, text),
        (_, true) => plain(status, "ok\n".to_owned()),
        (_, false) => plain(status, "unhealthy\n".to_owned()),
    }
}
