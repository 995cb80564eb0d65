//! What passes over a connection, and in which phase that puts it.
//!
//! ```text
//!  Head ──whole──► Work ◄──whole── Body
//!   ▲               │ └────more─────▲
//!   │ first byte    ▼ answer is made
//!  Idle ◄──taken── Sending, or Streaming
//! ```

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::Patience;
use super::door::Seat;

/// How fast an answer is taken at the least: ISDN of 1990 with both its channels does it.
const LEAST_BYTES_PER_SECOND: u64 = 16 * 1024;

/// A body that is late is refused in words before its connection ends.
const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// What a connection does, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The head of its first or next request is coming in.
    Head(Instant),
    /// A request's body is.
    Body(Instant),
    /// An answer is made.
    Work,
    /// The answer goes out; so much of it has.
    Sending(Instant, u64),
    /// An answer goes on and on; since when its last piece waits to be taken.
    Streaming(Option<Instant>),
    /// It was answered, and may ask again.
    Idle(Instant),
    /// It has to end, for the sake of others.
    Over,
}

impl Phase {
    /// An answer begins to go out.
    pub(super) fn sending() -> Self {
        Self::Sending(Instant::now(), 0)
    }

    /// When the peer's patience is used up; `None` while it is not the peer that is waited for.
    pub(super) fn deadline(self, patience: &Patience) -> Option<Instant> {
        match self {
            Self::Head(since) => since.checked_add(patience.head),
            Self::Body(since) => since.checked_add(patience.body.saturating_add(REFUSAL_TIME)),
            Self::Idle(since) => since.checked_add(patience.idle),
            Self::Sending(since, bytes) => {
                let taken = Duration::from_secs(bytes / LEAST_BYTES_PER_SECOND);
                since.checked_add(patience.sending.saturating_add(taken))
            }
            Self::Streaming(since) => since?.checked_add(patience.sending),
            Self::Work => None,
            Self::Over => Some(Instant::now()),
        }
    }

    /// Who gives way first: the least. `None`: nobody is waited for.
    pub(super) fn rank(self) -> Option<(u8, Instant)> {
        match self {
            Self::Idle(since) => Some((0, since)),
            Self::Head(since) | Self::Body(since) | Self::Sending(since, _) => Some((1, since)),
            // Those are few.
            Self::Streaming(_) | Self::Work | Self::Over => None,
        }
    }

    /// Whether an answer goes out.
    pub(super) fn is_answering(self) -> bool {
        matches!(self, Self::Sending(..) | Self::Streaming(_))
    }
}

/// A stream that tells its seat what passes.
#[derive(Debug)]
pub(super) struct Wire<S> {
    stream: S,
    seat: Arc<Seat>,
}

impl<S> Wire<S> {
    pub(super) fn new(stream: S, seat: Arc<Seat>) -> Self {
        Self { stream, seat }
    }

    pub(super) fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.seat.heard();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.seat.took(count);
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, parts))?;
        self.seat.took(count);
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.seat.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// When the server closes.
type Closing = Pin<Box<dyn Future<Output = ()> + Send>>;

/// An answer's body: once it is dropped, all of it is in the wire's buffer.
pub(super) struct Sent {
    body: Body,
    seat: Arc<Seat>,
    /// What ends a body that has no end of its own.
    closing: Option<Closing>,
}

impl Sent {
    pub(super) fn new(body: Body, seat: Arc<Seat>) -> Self {
        Self { body, seat, closing: None }
    }

    /// A body without an end; it ends with the server.
    pub(super) fn endless(body: Body, seat: Arc<Seat>, closing: Closing) -> Self {
        Self { body, seat, closing: Some(closing) }
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.seat.said();
    }
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(closing) = &mut self.closing {
            if closing.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
            self.seat.says();
            return Poll::Ready(frame);
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_ends_when_its_last_piece_is_not_taken_and_gives_way_to_nobody() {
        let (patience, now) = (Patience::default(), Instant::now());
        let waits = Phase::Streaming(Some(now));
        assert_eq!(waits.deadline(&patience), Some(now + patience.sending));
        assert_eq!(Phase::Streaming(None).deadline(&patience), None);
        assert_eq!(waits.rank(), None);
        assert!(waits.is_answering() && !Phase::Work.is_answering());
    }
}
