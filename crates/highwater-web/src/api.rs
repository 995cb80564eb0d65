//! The Prometheus API over a history: everything that a Grafana data source, promtool or curl asks
//! under `/api/v1`.
//!
//! Questions are answered on threads of their own, a few at once; others wait for their turn, and
//! where too many wait, the next is refused. The reactor only reads what is asked and sends what is
//! answered, in pieces.

mod answered;
mod ask;
pub(crate) mod failure;
pub(crate) mod form;
mod history;
mod json;
pub(crate) mod moment;
mod names;
mod reply;
mod rules;
mod status;
mod turns;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method};
use axum::response::Response;
use axum::routing::any;
use highwater_promql::Watch;

use answered::Answered;
use failure::{Failure, Kind};
use form::Form;
pub use history::{Figures, History, Known, Reading};
use reply::{Coding, Reply};
pub use rules::Ruled;
use turns::Turns;

/// Prometheus's default (`--query.timeout`).
const TIMEOUT: Duration = Duration::from_mins(2);
/// Questions that are answered at once: the rest of the machine has work to do, and each may hold
/// [`Limits::max_samples`].
const AT_ONCE: usize = 2;
/// Questions that wait for their turn: a dashboard has some thirty panels, and a team two of them.
const WAITING: usize = 64;
/// Samples in memory at once, 16 bytes each: 160 MB. Prometheus's default, five times as many, is
/// meant for a machine of its own.
const MAX_SAMPLES: usize = 10_000_000;

/// How much the questions may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long one may take; whoever asks may ask for less.
    pub timeout: Duration,
    /// How many are answered at once.
    pub at_once: usize,
    /// How many wait for their turn; the next is refused.
    pub waiting: usize,
    /// How many samples one may hold in memory.
    pub max_samples: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { timeout: TIMEOUT, at_once: AT_ONCE, waiting: WAITING, max_samples: MAX_SAMPLES }
    }
}

/// A history, and how it may be asked.
pub struct Api {
    history: Arc<dyn History>,
    limits: Limits,
    turns: Turns,
}

impl Api {
    /// Answers from `history` within `limits`.
    pub fn new(history: Arc<dyn History>, limits: Limits) -> Self {
        Self { history, limits, turns: Turns::new(&limits) }
    }

    /// The answer to a question without a server, on this thread and with no deadline: the status and
    /// the JSON of `/api/v1/…`, of parameters as they stand behind a `?` and in a form.
    pub fn ask(&self, path: &str, parameters: &str, form: &[u8]) -> (u16, Vec<u8>) {
        let reply = match (Endpoint::of_path(path), Form::read(parameters, form)) {
            (Some(endpoint), Ok(form)) => {
                self.attend(&endpoint, &form, &Watch::new(|| None), Coding::Plain)
            }
            (Some(_), Err(failure)) => Reply::new(Err(failure), Coding::Plain),
            (None, _) => Reply::new(Err(no_such_path()), Coding::Plain),
        };
        let (status, bytes) = reply.whole();
        (status.as_u16(), bytes)
    }

    /// What `ask` makes of a reading, and what stands in the way of complete answers.
    fn read<T>(
        &self,
        ask: impl FnOnce(&dyn Reading) -> Result<T, Failure>,
    ) -> Result<(T, Vec<String>), Failure> {
        let (mut ask, mut answer) = (Some(ask), None);
        self.history.read(&mut |reading| {
            if let Some(ask) = ask.take() {
                answer = Some(ask(reading).map(|answer| (answer, reading.caveats())));
            }
        })?;
        answer.unwrap_or_else(|| Err(Failure::new(Kind::Internal, "the history lent no reading")))
    }

    /// The reply to a question, on a thread of its own.
    fn attend(&self, endpoint: &Endpoint, form: &Form, watch: &Watch, coding: Coding) -> Reply {
        let mut reply = None;
        self.history.attend(&mut || {
            reply = Some(Reply::new(self.answer(endpoint, form, watch.clone()), coding));
        });
        let nobody = || Err(Failure::new(Kind::Internal, "the history did not attend"));
        reply.unwrap_or_else(|| Reply::new(nobody(), coding))
    }

    /// The answer to a question, on whatever thread this is.
    fn answer(&self, endpoint: &Endpoint, form: &Form, watch: Watch) -> Result<Answered, Failure> {
        match endpoint {
            Endpoint::Query => ask::instant(self, form, watch),
            Endpoint::QueryRange => ask::range(self, form, watch),
            Endpoint::FormatQuery => ask::format(form),
            Endpoint::Exemplars => ask::exemplars(form),
            Endpoint::Labels => names::labels(self, form, &watch),
            Endpoint::LabelValues(label) => names::values(self, label, form, &watch),
            Endpoint::Series => names::series(self, form, &watch),
            Endpoint::Metadata => names::metadata(self, form),
            Endpoint::Tsdb => status::tsdb(self, form, &watch),
            Endpoint::BuildInfo => Ok(status::build()),
            Endpoint::Rules => rules::rules(self, form),
            Endpoint::Alerts => Ok(rules::alerts(self)),
        }
    }
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// All paths under `/api/v1`. It reads bodies of forms; how long they may be, who may ask at all, and
/// how patiently, is the server's matter.
pub(crate) fn router(api: Arc<Api>) -> Router {
    Router::new().route("/api/v1/{*path}", any(handle)).with_state(api)
}

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Endpoint {
    Query,
    QueryRange,
    FormatQuery,
    Exemplars,
    Labels,
    LabelValues(String),
    Series,
    Metadata,
    Rules,
    Alerts,
    BuildInfo,
    Tsdb,
}

impl Endpoint {
    /// What is asked at a path.
    fn of_path(path: &str) -> Option<Self> {
        let path = path.strip_prefix("/api/v1/")?;
        let label = path.strip_prefix("label/").and_then(|rest| rest.strip_suffix("/values"));
        if let Some(label) = label.filter(|label| !label.contains('/')) {
            return form::of_path(label).map(Self::LabelValues);
        }
        Some(match path {
            "query" => Self::Query,
            "query_range" => Self::QueryRange,
            "format_query" => Self::FormatQuery,
            "query_exemplars" => Self::Exemplars,
            "labels" => Self::Labels,
            "series" => Self::Series,
            "metadata" => Self::Metadata,
            "rules" => Self::Rules,
            "alerts" => Self::Alerts,
            "status/buildinfo" => Self::BuildInfo,
            "status/tsdb" => Self::Tsdb,
            _ => return None,
        })
    }

    /// Whether it takes a form as well.
    const fn takes_post(&self) -> bool {
        matches!(
            self,
            Self::Query
                | Self::QueryRange
                | Self::FormatQuery
                | Self::Exemplars
                | Self::Labels
                | Self::Series
        )
    }

    /// Whether the answer is known without looking.
    const fn is_known(&self) -> bool {
        matches!(self, Self::Rules | Self::Alerts | Self::BuildInfo)
    }
}

async fn handle(State(api): State<Arc<Api>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let coding = Coding::accepted(&head.headers);
    let failed = |failure| Reply::new(Err(failure), coding).response();
    let Some(endpoint) = Endpoint::of_path(head.uri.path()) else {
        return failed(no_such_path());
    };
    let is_post = head.method == Method::POST;
    let is_known = match head.method {
        Method::GET | Method::HEAD => true,
        Method::POST => endpoint.takes_post(),
        _ => false,
    };
    if !is_known {
        let allowed = if endpoint.takes_post() { "GET, HEAD, POST" } else { "GET, HEAD" };
        let text = format!("the method is not taken here, but these are: {allowed}");
        let mut response = failed(Failure::new(Kind::Method, text));
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
        return response;
    }
    let form = match read_form(&head, body, is_post).await {
        Ok(form) => form,
        Err(failure) => return failed(failure),
    };
    answer(&api, endpoint, form, coding).await.response()
}

fn no_such_path() -> Failure {
    Failure::new(Kind::NotFound, "there is no such path under /api/v1")
}

async fn answer(api: &Arc<Api>, endpoint: Endpoint, form: Form, coding: Coding) -> Reply {
    // A parameter that is no span is refused where it is its turn.
    let asked = moment::timeout(&form).ok().flatten().unwrap_or(Duration::MAX);
    let timeout = asked.min(api.limits.timeout);
    if endpoint.is_known() {
        return Reply::new(api.answer(&endpoint, &form, Watch::new(|| None)), coding);
    }
    let own = Arc::clone(api);
    let work = move |watch: Watch| own.attend(&endpoint, &form, &watch, coding);
    let reply = api.turns.take(timeout, work).await;
    let reply =
        reply.and_then(
            |reply| {
                if reply.is_long() { Ok(reply.at(api.turns.long()?)) } else { Ok(reply) }
            },
        );
    reply.unwrap_or_else(|failure| Reply::new(Err(failure), coding))
}

/// The parameters of a request: of a body only if it says that it is a form.
async fn read_form(head: &Parts, body: Body, is_post: bool) -> Result<Form, Failure> {
    let kind = head.headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let is_form = kind.split(|b| *b == b';').next().is_some_and(|kind| {
        kind.trim_ascii().eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
    });
    let mut bytes = hyper::body::Bytes::new();
    if is_post && is_form {
        // How long it may be is the server's matter.
        let whole = to_bytes(body, usize::MAX).await;
        bytes = whole.map_err(|_| Failure::bad("the form broke off"))?;
    }
    Form::read(head.uri.query().unwrap_or_default(), &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_endpoints() {
        let of = |path: &str| Endpoint::of_path(&format!("/api/v1/{path}"));
        assert_eq!(of("query"), Some(Endpoint::Query));
        assert_eq!(of("label/job/values"), Some(Endpoint::LabelValues("job".to_owned())));
        assert_eq!(of("label/a%2Eb/values"), Some(Endpoint::LabelValues("a.b".to_owned())));
        for wrong in ["", "query/", "label/values", "label/a/b/values", "label/%zz/values", "x"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }
}
