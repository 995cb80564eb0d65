//! The reply over HTTP: short answers whole, long ones as they are written, both packed if whoever
//! asks can unpack.

use std::convert::Infallible;
use std::io::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::{Bytes, Frame};
use tokio::sync::OwnedSemaphorePermit;

use super::answered::{Answered, Pieces};
use super::failure::Failure;

/// What is shorter is not packed: it fits one packet of a network as it is.
const PACKED_FROM_BYTES: usize = 1 << 10;
/// What is shorter is made whole before any of it is sent; what is longer is written while it is
/// sent, so that a slow reader needs no copy of it.
const WHOLE_BYTES: usize = 1 << 20;

/// Whether whoever asks can unpack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Plain,
    Gzip,
}

impl Coding {
    /// The coding that a request accepts.
    pub(super) fn accepted(headers: &HeaderMap) -> Self {
        let values =
            headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        let takes_gzip = |coding: &str| {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
            let weight = weight.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
            name.trim().eq_ignore_ascii_case("gzip") && weight.is_ok_and(|weight| weight > 0.0)
        };
        let mut codings = values.flat_map(|value| value.split(','));
        if codings.any(takes_gzip) { Self::Gzip } else { Self::Plain }
    }
}

/// A reply: its status, and its bytes as far as they are made.
#[derive(Debug)]
pub(super) struct Reply {
    status: StatusCode,
    coding: Coding,
    first: Vec<u8>,
    rest: Option<Stream>,
    /// Its place among the long ones.
    place: Option<OwnedSemaphorePermit>,
}

impl Reply {
    /// The reply to a question. It takes a while: call it where waiting is allowed.
    pub(super) fn new(answered: Result<Answered, Failure>, coding: Coding) -> Self {
        let (status, mut pieces) = match answered {
            Ok(answered) => (StatusCode::OK, Pieces::new(answered)),
            Err(failure) => (failure.kind.status(), Pieces::of_failure(&failure)),
        };
        let mut first = Vec::new();
        while pieces.write(&mut first) {
            if first.len() >= WHOLE_BYTES {
                let mut stream = Stream { pieces: Some(pieces), packer: packer(coding) };
                let first = stream.packed(first);
                return Self { status, coding, first, rest: Some(stream), place: None };
            }
        }
        if first.len() < PACKED_FROM_BYTES || coding == Coding::Plain {
            return Self { status, coding: Coding::Plain, first, rest: None, place: None };
        }
        let first = Stream { pieces: None, packer: packer(coding) }.packed(first);
        Self { status, coding, first, rest: None, place: None }
    }

    /// Its status and all of its bytes.
    pub(super) fn whole(self) -> (StatusCode, Vec<u8>) {
        let Self { status, mut first, mut rest, .. } = self;
        while let Some(more) = rest.as_mut().and_then(Stream::next) {
            first.extend(more);
        }
        (status, first)
    }

    /// Whether more of it is written while it is sent.
    pub(super) fn is_long(&self) -> bool {
        self.rest.is_some()
    }

    /// The same, which keeps its place until it has been taken.
    pub(super) fn at(self, place: OwnedSemaphorePermit) -> Self {
        Self { place: Some(place), ..self }
    }

    pub(super) fn response(self) -> Response {
        let Self { status, coding, first, rest, place } = self;
        let body = match rest {
            None => Body::from(first),
            Some(stream) => Body::new(Streamed { first: Some(first), stream, _place: place }),
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        if coding == Coding::Gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

fn packer(coding: Coding) -> Option<GzEncoder<Vec<u8>>> {
    (coding == Coding::Gzip).then(|| GzEncoder::new(Vec::new(), Compression::fast()))
}

/// What is still to be written.
#[derive(Debug)]
struct Stream {
    /// None is left after the last one.
    pieces: Option<Pieces>,
    packer: Option<GzEncoder<Vec<u8>>>,
}

impl Stream {
    /// The next bytes.
    fn next(&mut self) -> Option<Vec<u8>> {
        while let Some(pieces) = &mut self.pieces {
            let mut piece = Vec::new();
            if !pieces.write(&mut piece) {
                self.pieces = None;
            }
            let packed = self.packed(piece);
            // A packer may keep a piece for later.
            if !packed.is_empty() {
                return Some(packed);
            }
        }
        None
    }

    /// What goes out for a piece; behind the last one the end of the packing, too.
    fn packed(&mut self, piece: Vec<u8>) -> Vec<u8> {
        let Some(packer) = &mut self.packer else { return piece };
        // Writing into memory cannot fail.
        packer.write_all(&piece).unwrap_or_default();
        if self.pieces.is_none() {
            packer.try_finish().unwrap_or_default();
        }
        std::mem::take(packer.get_mut())
    }
}

/// The body of a long answer.
#[derive(Debug)]
struct Streamed {
    first: Option<Vec<u8>>,
    stream: Stream,
    _place: Option<OwnedSemaphorePermit>,
}

impl hyper::body::Body for Streamed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let first = self.first.take().filter(|first| !first.is_empty());
        let next = first.or_else(|| self.stream.next());
        Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes.into()))))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;
    use highwater_core::series::{Labels, Point, Series};
    use highwater_core::time::WallTime;
    use highwater_promql::{Answer, Value};

    use super::*;

    fn answered(points: i64) -> Answered {
        let point = |at| Point { at: WallTime::from_millis(at), value: 0.1 };
        let series = Series { labels: Labels::default(), points: (0..points).map(point).collect() };
        let value = Value::Matrix(vec![series]);
        Answer { value, warnings: vec![], infos: vec![] }.into()
    }

    #[test]
    fn packed_or_not_long_or_short_it_is_the_same() {
        for points in [1, 100, 10_000, 200_000] {
            let (_, plain) = Reply::new(Ok(answered(points)), Coding::Plain).whole();
            let reply = Reply::new(Ok(answered(points)), Coding::Gzip);
            assert_eq!(reply.coding == Coding::Gzip, plain.len() >= PACKED_FROM_BYTES);
            assert_eq!(reply.rest.is_some(), plain.len() >= WHOLE_BYTES);
            let is_packed = reply.coding == Coding::Gzip;
            let (_, mut got) = reply.whole();
            if is_packed {
                let mut unpacked = Vec::new();
                GzDecoder::new(got.as_slice()).read_to_end(&mut unpacked).unwrap();
                got = unpacked;
            }
            assert!(got == plain, "{points} points");
        }
    }

    #[test]
    fn gzip_is_sent_to_who_accepts_it() {
        let accepted = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(value));
            Coding::accepted(&headers)
        };
        for yes in ["gzip", "deflate, GZIP;q=0.5", "br,gzip"] {
            assert_eq!(accepted(yes), Coding::Gzip, "{yes}");
        }
        for no in ["", "identity", "gzip;q=0", "gzip;q=x", "xgzip"] {
            assert_eq!(accepted(no), Coding::Plain, "{no}");
        }
        assert_eq!(Coding::accepted(&HeaderMap::new()), Coding::Plain);
    }
}
