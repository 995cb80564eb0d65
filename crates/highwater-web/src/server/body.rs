//! Bodies of requests: small, plain and in time, or refused.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::{CONTENT_ENCODING, TRANSFER_ENCODING};
use axum::http::{HeaderMap, Method, StatusCode, request};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::door::Seat;
use super::wire::Phase;
use crate::guard::plain;

/// The most a form may take. An expression has its own, smaller limit; what else a form has are
/// times and selectors.
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// A longer one takes one of [`LONG_BODIES`] places: what everybody may send at once stays small.
const SHORT_BODY_BYTES: usize = 64 * 1024;
/// So many long bodies are held at once, until their request is answered.
pub(super) const LONG_BODIES: usize = 8;
/// What is read beyond that and thrown away, so that the answer is read and not a broken pipe.
const MAX_DISCARDED_BYTES: usize = 16 * 1024 * 1024;

/// Why a body is not taken.
pub(super) enum Refusal {
    TooLarge,
    TooMany,
    TooSlow,
    Encoded,
    Broken,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Self::TooLarge => {
                let text = format!("a request may have {MAX_BODY_BYTES} bytes of body\n");
                return plain(StatusCode::PAYLOAD_TOO_LARGE, text);
            }
            Self::TooMany => (
                StatusCode::SERVICE_UNAVAILABLE,
                "too many long requests are under way; ask again\n",
            ),
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, "the body did not come in time\n"),
            Self::Encoded => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "a request's body may not be compressed\n")
            }
            Self::Broken => (StatusCode::BAD_REQUEST, "the body broke off\n"),
        };
        plain(status, text.to_owned())
    }
}

/// The body of the request with this head, whole. Only what is posted has one: what else comes is
/// left unread, and the connection ends with the answer.
pub(super) async fn read(
    head: &request::Parts,
    mut body: Incoming,
    seat: &Seat,
    (patience, places): (Duration, &Arc<Semaphore>),
) -> Result<(Body, Option<OwnedSemaphorePermit>), Refusal> {
    if head.method != Method::POST || body.is_end_stream() {
        return Ok((Body::empty(), None));
    }
    if is_encoded(&head.headers) {
        return Err(Refusal::Encoded);
    }
    seat.enter(Phase::Body(Instant::now()));
    // The connection's own deadline comes after this one.
    let read = timeout(patience, collect(&mut body, places)).await;
    seat.enter(Phase::Work);
    let (bytes, place) = read.map_err(|_| Refusal::TooSlow)??;
    Ok((Body::from(bytes), place))
}

/// Whether the body is anything but itself, or itself in chunks.
fn is_encoded(headers: &HeaderMap) -> bool {
    let other = |name, usual: &str| {
        headers
            .get_all(name)
            .iter()
            .any(|value| !value.as_bytes().eq_ignore_ascii_case(usual.as_bytes()))
    };
    other(CONTENT_ENCODING, "identity") || other(TRANSFER_ENCODING, "chunked")
}

async fn collect(
    body: &mut Incoming,
    places: &Arc<Semaphore>,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Refusal> {
    let (mut bytes, mut place) = (Vec::new(), None);
    let mut discarded: usize = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Refusal::Broken)?.into_data() else { continue };
        if discarded > 0 || bytes.len().saturating_add(data.len()) > MAX_BODY_BYTES {
            (bytes, place) = (Vec::new(), None);
            discarded = discarded.saturating_add(data.len());
            if discarded > MAX_DISCARDED_BYTES {
                break;
            }
        } else {
            bytes.extend_from_slice(&data);
            if bytes.len() > SHORT_BODY_BYTES && place.is_none() {
                let free = Arc::clone(places).try_acquire_owned();
                place = Some(free.map_err(|_| Refusal::TooMany)?);
            }
        }
    }
    if discarded > 0 { Err(Refusal::TooLarge) } else { Ok((bytes.into(), place)) }
}
