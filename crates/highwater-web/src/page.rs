//! The page: the files of `ui/`, built and packed when this crate was, and how a browser is told to
//! handle them.
//!
//! Nothing of it comes from anywhere else, and nothing in it runs that is not one of its files: the
//! policy forbids inline scripts and styles, so that a name that is shown can never become code.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    REFERRER_POLICY, VARY,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::io::Read as _;

use crate::guard::plain;

include!(concat!(env!("OUT_DIR"), "/page.rs"));

/// A file of the page.
struct File {
    path: &'static str,
    kind: &'static str,
    /// Packed with gzip.
    packed: &'static [u8],
}

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
                      img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// The name of a file has a hash of what is in it: what goes by a name never changes.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// The page itself names them: it is asked for anew each time.
const EACH_TIME: &str = "no-cache";

/// Whose work is in it, and under what licence. It has no hash in its name.
const NOTICES: &str = "/assets/notices.txt";

/// The files behind the page; the page itself is at `/`.
pub(crate) fn router() -> Router {
    Router::new().route("/assets/{*path}", get(asset))
}

/// The page; `None` in a program that was built without it.
pub(crate) fn page(headers: &HeaderMap) -> Option<Response> {
    let file = FILES.iter().find(|file| file.path == "/index.html")?;
    Some(file.response(headers, EACH_TIME))
}

async fn asset(request: Request) -> Response {
    let path = request.uri().path();
    match FILES.iter().find(|file| file.path == path) {
        Some(file) if path == NOTICES => file.response(request.headers(), EACH_TIME),
        Some(file) => file.response(request.headers(), FOR_EVER),
        None => plain(StatusCode::NOT_FOUND, "the page has no such file\n".to_owned()),
    }
}

impl File {
    fn response(&self, headers: &HeaderMap, cache: &'static str) -> Response {
        let head = [
            (CONTENT_TYPE, self.kind),
            (CACHE_CONTROL, cache),
            (CONTENT_SECURITY_POLICY, POLICY),
            (REFERRER_POLICY, "no-referrer"),
            (VARY, "Accept-Encoding"),
        ];
        let accepted = headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
        if accepted.is_some_and(|accepted| accepted.contains("gzip")) {
            let body = Body::from(self.packed);
            return (head, [(CONTENT_ENCODING, "gzip")], body).into_response();
        }
        let mut whole = Vec::new();
        match flate2::read::GzDecoder::new(self.packed).read_to_end(&mut whole) {
            Ok(_) => (head, whole).into_response(),
            Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "the page is damaged\n".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the page may weigh on its way, of the plan of this page.
    const MOST_PACKED: usize = 150 << 10;

    #[test]
    fn the_page_is_small_and_names_only_its_own_files() {
        let sum: usize = FILES.iter().map(|file| file.packed.len()).sum();
        assert!(sum <= MOST_PACKED, "{sum}");
        let Some(index) = FILES.iter().find(|file| file.path == "/index.html") else {
            assert!(FILES.is_empty());
            return;
        };
        let mut text = String::new();
        flate2::read::GzDecoder::new(index.packed).read_to_string(&mut text).unwrap();
        for part in text.split("=\"/").skip(1) {
            let path = format!("/{}", part.split('"').next().unwrap());
            assert!(FILES.iter().any(|file| file.path == path), "{path}");
        }
        assert!(!text.contains("<style") && !text.contains("style="), "{text}");
    }
}
