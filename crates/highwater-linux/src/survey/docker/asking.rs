//! One question to Docker, in a thread that lives as long as the answer takes.

use std::io::{self, ErrorKind, Read};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread;
use std::time::Duration;

use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType};

/// Without a version: an engine refuses those that are older or newer than it knows, and both
/// forms of the answer are understood.
const QUESTION: &[u8] = b"GET /system/df HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n";

/// The most of an answer that is taken: about 1 KiB per image or container.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// A silence this long ends the question, whatever the asker does meanwhile.
const SILENCE_MAX: Duration = Duration::from_mins(2);

/// The thread only moves bytes.
const STACK_BYTES: usize = 128 << 10;

/// A question that is under way.
#[derive(Debug)]
pub(super) struct Asking {
    stream: UnixStream,
    outcome: Receiver<Outcome>,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Outcome {
    /// All that was said, head and body.
    Answer(Vec<u8>),
    /// Why there is no answer.
    Failed(String),
}

impl Outcome {
    /// There was none in time.
    pub(super) fn late() -> Self {
        Self::Failed("it gave no answer in time".to_owned())
    }
}

impl Asking {
    /// Connects, which never waits, and leaves the rest to a thread.
    pub(super) fn begin(socket: &Path) -> io::Result<Self> {
        let stream = connect(socket)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        stream.set_write_timeout(Some(SILENCE_MAX))?;
        let mut theirs = stream.try_clone()?;
        let (tell, outcome) = sync_channel(1);
        let talk = move || {
            // Nobody may be listening any more.
            tell.send(talk(&mut theirs)).unwrap_or_default();
        };
        thread::Builder::new().name("docker-df".to_owned()).stack_size(STACK_BYTES).spawn(talk)?;
        Ok(Self { stream, outcome })
    }

    /// What came of it, once.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        match self.outcome.try_recv() {
            Ok(outcome) => Some(outcome),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Outcome::Failed("the asking ended".to_owned())),
        }
    }

    /// Ends the conversation: the thread comes back with what it has.
    pub(super) fn hang_up(&self) {
        // It fails only where the other side has hung up already.
        self.stream.shutdown(Shutdown::Both).unwrap_or_default();
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.hang_up();
    }
}

/// Connecting to a socket whose queue is full would wait; this says so instead.
fn connect(socket: &Path) -> io::Result<UnixStream> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let kind = SocketType::STREAM;
    let fd: OwnedFd = rustix::net::socket_with(AddressFamily::UNIX, kind, flags, None)?;
    rustix::net::connect(&fd, &SocketAddrUnix::new(socket)?)?;
    let stream = UnixStream::from(fd);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

fn talk(stream: &mut UnixStream) -> Outcome {
    let mut answer = Vec::new();
    let most = u64::try_from(ANSWER_BYTES_MAX).unwrap_or(u64::MAX);
    // One send takes all of it: the socket's room is a thousand times as large.
    let said = rustix::net::send(&*stream, QUESTION, SendFlags::NOSIGNAL).map_err(io::Error::from);
    match said.and_then(|_| stream.take(most).read_to_end(&mut answer)) {
        Ok(0) => Outcome::Failed("it hangs up without an answer".to_owned()),
        Ok(length) if length >= ANSWER_BYTES_MAX => {
            Outcome::Failed("its answer is longer than 4 MiB".to_owned())
        }
        Ok(_) => Outcome::Answer(answer),
        // It hung up with something of the question unread, after it had answered.
        Err(_) if !answer.is_empty() => Outcome::Answer(answer),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Outcome::late()
        }
        Err(error) => Outcome::Failed(format!("it cannot be asked: {error}")),
    }
}
