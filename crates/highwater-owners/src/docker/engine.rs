//! Questions to a daemon over its socket. Each has a time-out and a most that is read.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{DATE, HOST};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::lines::{Line, Lines};
use crate::told::{Absent, cut};

/// How much of a daemon's refusal is repeated.
const REFUSAL_CHARS: usize = 120;

/// The daemon behind a socket.
#[derive(Clone, Debug)]
pub(super) struct Engine {
    socket: PathBuf,
}

impl Engine {
    pub(super) fn at(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// `docker.sock`, `podman.sock`: how it is called in evidence.
    pub(super) fn name(&self) -> String {
        let name = self.socket.file_name().unwrap_or(self.socket.as_os_str());
        cut(name.as_encoded_bytes(), REFUSAL_CHARS)
    }

    /// The body at `path`, of at most `most` bytes, within `patience`.
    pub(super) async fn ask(
        &self,
        path: &str,
        most: usize,
        patience: Duration,
    ) -> Result<Vec<u8>, Absent> {
        match timeout(patience, self.body(path, most)).await {
            Ok(body) => body,
            Err(_) => Err(self.silent(path, patience)),
        }
    }

    async fn body(&self, path: &str, most: usize) -> Result<Vec<u8>, Absent> {
        let (answer, talk) = self.get(path).await?;
        let mut answer = pin!(whole(answer, most));
        match select(pin!(talk), answer.as_mut()).await {
            Either::Right((body, _)) => body,
            // The connection may end before the last bytes of the body are taken.
            Either::Left(_) => answer.await,
        }
    }

    /// The endless answer at `path`, once its head is here.
    pub(super) async fn stream(&self, path: &str, patience: Duration) -> Result<Stream, Absent> {
        let got = timeout(patience, self.get(path)).await;
        let (answer, talk) = got.map_err(|_| self.silent(path, patience))??;
        let date = answer.headers().get(DATE).and_then(|date| date.to_str().ok());
        let began = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
        let began = began.map(|date| date.timestamp());
        let talk: Talk = Box::pin(async move { drop(talk.await) });
        Ok(Stream { began, body: answer.into_body(), talk: Some(talk), lines: Lines::default() })
    }

    async fn get(&self, path: &str) -> Result<(Response<Incoming>, Connection), Absent> {
        let stream = UnixStream::connect(&self.socket).await;
        let stream = stream.map_err(|error| refused(&self.socket, &error))?;
        let broken = |error: hyper::Error| {
            // What went wrong below says more than where.
            let below = std::error::Error::source(&error).map(|below| format!(": {below}"));
            let below = below.unwrap_or_default();
            Absent::because(format!("{}: {error}{below}", self.name()))
        };
        let (mut ask, mut talk) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let request = Request::get(path).header(HOST, "localhost").body(Empty::new());
        let request = request.map_err(|error| Absent::because(format!("{path}: {error}")))?;
        let sent = pin!(ask.send_request(request));
        let answer = match select(&mut talk, sent).await {
            Either::Right((answer, _)) => answer.map_err(broken)?,
            Either::Left((end, sent)) => match end {
                Ok(()) => sent.await.map_err(broken)?,
                Err(error) => return Err(broken(error)),
            },
        };
        if answer.status().is_success() {
            return Ok((answer, talk));
        }
        let path = path.split('?').next().unwrap_or(path);
        Err(Absent::because(format!("{} answers {} to {path}", self.name(), answer.status())))
    }

    fn silent(&self, path: &str, patience: Duration) -> Absent {
        // What is asked for does not matter to people.
        let path = path.split('?').next().unwrap_or(path);
        Absent::because(format!("{} did not answer {path} within {patience:?}", self.name()))
    }
}

type Connection = http1::Connection<TokioIo<UnixStream>, Empty<Bytes>>;
type Talk = std::pin::Pin<Box<dyn Future<Output = ()>>>;

/// Why a socket does not take a connection, and what would help.
fn refused(socket: &Path, error: &std::io::Error) -> Absent {
    let socket = cut(socket.as_os_str().as_encoded_bytes(), REFUSAL_CHARS);
    Absent::because(match error.kind() {
        std::io::ErrorKind::NotFound => format!("there is no socket at {socket}"),
        std::io::ErrorKind::PermissionDenied => {
            format!("{socket}: permission denied; needs root or the group of the socket")
        }
        std::io::ErrorKind::ConnectionRefused => format!("nobody listens at {socket}"),
        _ => format!("{socket}: {error}"),
    })
}

/// The body, if it is not longer than `most`.
async fn whole(answer: Response<Incoming>, most: usize) -> Result<Vec<u8>, Absent> {
    let mut body = answer.into_body();
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| Absent::because(format!("an answer broke off: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len().saturating_add(data.len()) > most {
            return Err(Absent::because(format!("an answer of more than {most} bytes")));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

/// An answer that comes line by line, for as long as the daemon lives.
pub(super) struct Stream {
    /// The daemon's clock when it began to answer, in whole seconds.
    pub(super) began: Option<jiff::Timestamp>,
    body: Incoming,
    talk: Option<Talk>,
    lines: Lines,
}

/// What comes next of a [`Stream`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// One line.
    Line(Vec<u8>),
    /// A line was longer than what is kept, and is not here.
    TooLong,
    /// Nothing came in time.
    Silence,
    /// There will be no more.
    End,
}

impl Stream {
    /// The next line, if one comes within `patience`. Nothing is lost by asking again.
    pub(super) async fn next(&mut self, patience: Duration) -> Next {
        timeout(patience, self.line()).await.unwrap_or(Next::Silence)
    }

    async fn line(&mut self) -> Next {
        loop {
            if let Some(line) = self.lines.take() {
                return match line {
                    Line::Whole(line) => Next::Line(line),
                    Line::TooLong => Next::TooLong,
                };
            }
            match self.chunk().await {
                Some(data) => self.lines.add(&data),
                None => return Next::End,
            }
        }
    }

    async fn chunk(&mut self) -> Option<Bytes> {
        loop {
            let frame = match &mut self.talk {
                None => self.body.frame().await,
                Some(talk) => match select(pin!(self.body.frame()), talk).await {
                    Either::Left((frame, _)) => frame,
                    Either::Right(((), _)) => {
                        self.talk = None;
                        continue;
                    }
                },
            };
            if let Ok(data) = frame?.ok()?.into_data() {
                return Some(data);
            }
        }
    }
}
