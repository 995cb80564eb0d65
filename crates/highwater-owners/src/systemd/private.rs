//! systemd's own socket: D-Bus without a bus in between.
//!
//! There systemd signs its messages with its well-known name, where the specification has a unique
//! one, and the reader of messages that this is built on does not survive that. So messages are taken
//! off the socket whole, and the name is written over by one of the same length that is allowed.
//!
//! A user may put a listener of his own where his systemd would be. So messages of a user are taken
//! this way from his bus, too: each is bounded before there is memory for it.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;

use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use zbus::connection::socket::{ReadHalf, Socket, Split};

/// What every message begins with: byte order, type, flags, version, the length of the body, a
/// serial number, the length of the fields; four bytes each from the body's length on.
const HEAD_BYTES: usize = 16;

/// The longest line of the handshake: a name of 32 digits is the most that is said.
const LINE_BYTES: usize = 4 << 10;

/// What a message may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// Any message.
    usual: usize,
    /// Some.
    long: usize,
    /// So many are longer than usual.
    long_ones: usize,
}

impl Budget {
    /// Root's own systemd is no enemy: a list of all units of the largest machine is a tenth of it.
    pub(super) const OF_THE_SYSTEM: Self =
        Self { usual: 16 << 20, long: 16 << 20, long_ones: usize::MAX };

    /// All that is known of a unit takes 20 KiB, and the list of some thousand units, which is asked
    /// for once, about a MiB.
    pub(super) const OF_A_USER: Self = Self { usual: 256 << 10, long: 4 << 20, long_ones: 1 };

    /// Whether a message of `length` bytes is allowed.
    const fn allows(self, length: usize) -> bool {
        length <= self.usual || (length <= self.long && self.long_ones > 0)
    }

    /// One of `length` bytes was taken.
    const fn spend(&mut self, length: usize) {
        if length > self.usual {
            self.long_ones = self.long_ones.saturating_sub(1);
        }
    }
}

/// Who signs the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signed {
    /// systemd, with its well-known name.
    ByName,
    /// A bus, as the specification has it.
    ByBus,
}

/// How much is read at once.
const READ_BYTES: usize = 16 << 10;

/// The field that names who sent the message.
const SENDER: u8 = 7;

/// systemd's own socket, or a user's bus.
#[derive(Debug)]
pub(super) struct Private {
    pub(super) stream: UnixStream,
    pub(super) budget: Budget,
    pub(super) signed: Signed,
}

impl Socket for Private {
    type ReadHalf = Reader;
    type WriteHalf = OwnedWriteHalf;

    fn split(self) -> Split<Reader, OwnedWriteHalf> {
        let (socket, write) = self.stream.into_split();
        Split::new(Reader::of(socket, self.budget, self.signed), write)
    }
}

/// What comes from it.
pub(super) struct Reader {
    socket: OwnedReadHalf,
    /// As it came.
    raw: Vec<u8>,
    /// Whole messages, as they are handed on.
    ready: Vec<u8>,
    /// Room for one read.
    room: Box<[u8]>,
    budget: Budget,
    signed: Signed,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reader").field(&self.socket).finish()
    }
}

type Received = io::Result<(usize, Vec<OwnedFd>)>;

impl ReadHalf for Reader {
    // As `async_trait` writes it.
    fn recvmsg<'reader, 'buffer, 'both>(
        &'reader mut self,
        buffer: &'buffer mut [u8],
    ) -> Pin<Box<dyn Future<Output = Received> + Send + 'both>>
    where
        'reader: 'both,
        'buffer: 'both,
        Self: 'both,
    {
        Box::pin(async move {
            while self.ready.is_empty() {
                if let Some(length) = whole(&self.raw, self.budget)? {
                    self.budget.spend(length);
                    self.ready.extend(self.raw.drain(..length));
                    if self.signed == Signed::ByName {
                        sign(&mut self.ready);
                    }
                } else if self.read().await? == 0 {
                    return Ok((0, Vec::new()));
                }
            }
            let count = buffer.len().min(self.ready.len());
            for (to, from) in buffer.iter_mut().zip(self.ready.drain(..count)) {
                *to = from;
            }
            Ok((count, Vec::new()))
        })
    }
}

impl Reader {
    fn of(socket: OwnedReadHalf, budget: Budget, signed: Signed) -> Self {
        let room = vec![0; READ_BYTES].into_boxed_slice();
        Self { socket, raw: Vec::new(), ready: Vec::new(), room, budget, signed }
    }

    async fn read(&mut self) -> io::Result<usize> {
        loop {
            self.socket.readable().await?;
            match self.socket.try_read(&mut self.room) {
                Ok(count) => {
                    self.raw.extend_from_slice(self.room.get(..count).unwrap_or_default());
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// How long the first message is, if all of it is there; a line of the handshake is one too.
fn whole(raw: &[u8], budget: Budget) -> io::Result<Option<usize>> {
    let is_little = match raw.first() {
        None => return Ok(None),
        Some(b'l') => true,
        Some(b'B') => false,
        Some(_) => return line(raw),
    };
    let (Some(body), Some(fields)) = (length(raw, 4, is_little), length(raw, 12, is_little)) else {
        return Ok(None);
    };
    let whole = fields.checked_next_multiple_of(8).and_then(|fields| fields.checked_add(body));
    match whole.and_then(|length| length.checked_add(HEAD_BYTES)) {
        Some(length) if budget.allows(length) => Ok((raw.len() >= length).then_some(length)),
        _ => Err(too_long("a message")),
    }
}

fn line(raw: &[u8]) -> io::Result<Option<usize>> {
    match raw.iter().take(LINE_BYTES).position(|byte| *byte == b'\n') {
        Some(end) => Ok(Some(end + 1)),
        None if raw.len() < LINE_BYTES => Ok(None),
        None => Err(too_long("a line")),
    }
}

fn too_long(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what} that is too long"))
}

/// Writes over a sender that is no unique name.
fn sign(message: &mut [u8]) {
    if let Some((start, end)) = sender(message) {
        let name = message.get_mut(start..end).unwrap_or_default();
        if !name.starts_with(b":") && name.len() > 3 {
            name.fill(b'0');
            for (to, from) in name.iter_mut().zip(b":1.") {
                *to = *from;
            }
        }
    }
}

/// Where the sender's name stands: the fields are a byte, a signature of one letter and a value, each
/// at a multiple of eight.
fn sender(message: &[u8]) -> Option<(usize, usize)> {
    let is_little = match message.first()? {
        b'l' => true,
        b'B' => false,
        _ => return None,
    };
    let end = HEAD_BYTES.checked_add(length(message, 12, is_little)?)?;
    let mut at = HEAD_BYTES;
    while at < end {
        let (code, kind) = (*message.get(at)?, *message.get(at.checked_add(2)?)?);
        let value = at.checked_add(4)?;
        let after = match kind {
            b's' | b'o' => {
                let start = value.checked_add(4)?;
                let end = start.checked_add(length(message, value, is_little)?)?;
                if code == SENDER {
                    return Some((start, end));
                }
                end.checked_add(1)?
            }
            b'g' => value.checked_add(usize::from(*message.get(value)?))?.checked_add(2)?,
            b'u' => value.checked_add(4)?,
            _ => return None,
        };
        at = after.checked_next_multiple_of(8)?;
    }
    None
}

fn length(bytes: &[u8], at: usize, is_little: bool) -> Option<usize> {
    let four: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    let number = if is_little { u32::from_le_bytes(four) } else { u32::from_be_bytes(four) };
    usize::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use zbus::message::Message;

    use super::*;

    /// A message as systemd sends it over its own socket.
    fn signed_by_name() -> Vec<u8> {
        let message = Message::signal("/org/freedesktop/systemd1", "a.b", "UnitNew").unwrap();
        let message = message.sender(":1.345678901234567890123").unwrap();
        let message = message.build(&("web.service", 7_u32)).unwrap();
        let mut bytes = message.data().bytes().to_vec();
        let (start, end) = sender(&bytes).unwrap();
        bytes[start..end].copy_from_slice(b"org.freedesktop.systemd1");
        bytes
    }

    #[test]
    fn a_name_that_is_not_unique_is_written_over() {
        let mut bytes = signed_by_name();
        let length = bytes.len();
        sign(&mut bytes);
        let (start, end) = sender(&bytes).unwrap();
        assert_eq!(&bytes[start..end], b":1.000000000000000000000");
        assert_eq!(bytes.len(), length);
        let signed = bytes.clone();
        sign(&mut bytes);
        assert_eq!(bytes, signed);
    }

    #[test]
    fn messages_and_lines_are_cut_where_they_end() {
        let whole = |raw: &[u8]| whole(raw, Budget::OF_THE_SYSTEM);
        let bytes = signed_by_name();
        for cut in 0..bytes.len() {
            assert_eq!(whole(&bytes[..cut]).unwrap(), None, "{cut}");
        }
        let two = [bytes.as_slice(), b"l\x01"].concat();
        assert_eq!(whole(&two).unwrap(), Some(bytes.len()));
        assert_eq!(whole(b"OK 1234\r\nl").unwrap(), Some(9));
        assert_eq!(whole(b"OK 12").unwrap(), None);
        let endless = [b"l\x01\0\x01".as_slice(), &[0xff; 12]].concat();
        assert!(whole(&endless).is_err());
        assert!(whole(&[b'x'; LINE_BYTES]).is_err(), "a line that never ends");
    }

    /// The head of a message of so many bytes.
    fn head(length: usize) -> Vec<u8> {
        let body = u32::try_from(length - HEAD_BYTES).unwrap().to_le_bytes();
        [b"l\x04\0\x01".as_slice(), &body, &[1, 0, 0, 0], &[0; 4]].concat()
    }

    #[test]
    fn a_user_has_one_long_message() {
        let mut budget = Budget::OF_A_USER;
        let (usual, long) = (256 << 10, 4 << 20);
        for length in [usual, long] {
            assert_eq!(whole(&head(length), budget).unwrap(), None, "it is waited for");
        }
        assert!(whole(&head(long + 1), budget).is_err());
        budget.spend(usual);
        budget.spend(long);
        assert!(whole(&head(usual), budget).is_ok());
        assert!(whole(&head(usual + 1), budget).is_err());
        assert!(whole(&head(16 << 20), Budget::OF_THE_SYSTEM).is_ok());
    }

    #[test]
    fn damage_is_passed_on_untouched_or_at_its_length() {
        let bytes = signed_by_name();
        for at in 0..bytes.len() {
            for value in [0, 1, 7, b'g', b's', 0x7f, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] = value;
                sign(&mut damaged);
                assert_eq!(damaged.len(), bytes.len());
            }
        }
        sign(&mut []);
    }

    #[test]
    fn what_systemd_sends_is_read() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (near, far) = UnixStream::pair().unwrap();
            let (_keep, write) = far.into_split();
            let mut bytes = b"OK 00\r\n".to_vec();
            bytes.extend(signed_by_name());
            bytes.extend(signed_by_name());
            write.try_write(&bytes).unwrap();
            let private =
                Private { stream: near, budget: Budget::OF_A_USER, signed: Signed::ByName };
            let (mut reader, _) = private.split().take();
            let mut line = [0; 64];
            assert_eq!(reader.recvmsg(&mut line).await.unwrap().0, 7);
            for _ in 0..2 {
                let mut none = (Vec::new(), Vec::new());
                let read = reader.receive_message(1, &mut none.0, &mut none.1).await.unwrap();
                assert_eq!(read.header().member().unwrap().as_str(), "UnitNew");
                let (name, _): (String, u32) = read.body().deserialize().unwrap();
                assert_eq!(name, "web.service");
            }
        });
    }
}
