//! Compressed logs and those in UTF-16, as the bytes they hold.
//!
//! What an input is, its first bytes say; its name says nothing. What is damaged or cut off is
//! read as far as it goes, then the reader fails with a sentence. Memory is bounded whatever a
//! file asks for.

use std::fmt;
use std::io::{self, BufReader, Chain, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use liblzma::bufread::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};

use self::utf16::Utf16;

mod utf16;

/// As many first bytes tell what an input is.
const MAGIC_BYTES: usize = 8;

/// Compressed bytes are taken from the input so many at a time.
const BUFFER_BYTES: usize = 64 << 10;

/// The farthest that `zstd --long` may look back: 128 MiB, its own default for what a reader
/// without further notice has to bear.
const ZSTD_WINDOW_LOG: u32 = 27;

/// What `xz -9` needs is 65 MiB.
const XZ_BYTES: u64 = 128 << 20;

/// How an input is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Gzip,
    Zstd,
    Xz,
    Lzma,
    Bzip2,
}

impl Kind {
    fn of(first: &[u8]) -> Option<Self> {
        const MAGICS: [(&[u8], Kind); 5] = [
            (b"\x1f\x8b\x08", Kind::Gzip),
            (b"\x28\xb5\x2f\xfd", Kind::Zstd),
            (b"\xfd7zXZ\x00", Kind::Xz),
            // Properties and a dictionary of a multiple of 64 KiB: all that ever wrote this.
            (b"\x5d\x00\x00", Kind::Lzma),
            (b"BZh", Kind::Bzip2),
        ];
        let kind = MAGICS.iter().find(|(magic, _)| first.starts_with(magic)).map(|(_, kind)| *kind);
        // A log may begin with these letters; the compressed form goes on with a digit and π.
        let is_block = |first: &[u8]| first.get(3).is_some_and(u8::is_ascii_digit);
        let is_pi = |first: &[u8]| first.get(4) == Some(&b'1') || first.get(4) == Some(&0x17);
        kind.filter(|kind| *kind != Kind::Bzip2 || (is_block(first) && is_pi(first)))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
            Self::Lzma => "lzma",
            Self::Bzip2 => "bzip2",
        }
    }
}

/// What an input holds: decompressed and in UTF-8.
///
/// ```
/// use std::io::Read as _;
///
/// let mut text = String::new();
/// highwater_log::decoded(&b"\xff\xfeh\0i\0"[..])?.read_to_string(&mut text)?;
/// assert_eq!(text, "hi");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Decoded {
    read: Box<dyn Read + Send>,
    kind: Option<Kind>,
    /// How many compressed bytes were taken from the input.
    taken: Arc<AtomicU64>,
}

impl fmt::Debug for Decoded {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Decoded").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// What `input` holds: decompressed if it is gzip, zstd, xz, lzma or bzip2, and in UTF-8 if it was
/// UTF-16 with a byte order mark; else as it is. Fails if its first bytes cannot be read.
pub fn decoded(input: impl Read + Send + 'static) -> io::Result<Decoded> {
    let (first, input) = peeked(input)?;
    let kind = Kind::of(&first);
    let taken = Arc::new(AtomicU64::new(0));
    let read: Box<dyn Read + Send> = match kind {
        None => Box::new(input),
        Some(kind) => {
            let counted = Counted { input, taken: Arc::clone(&taken) };
            decompressed(kind, BufReader::with_capacity(BUFFER_BYTES, counted))?
        }
    };
    let mut decoded = Decoded { read, kind, taken };
    // An error here comes again, and in its place, when the bytes before it were read.
    let mut first = Vec::new();
    let fault = decoded.by_ref().take(2).read_to_end(&mut first).err();
    let unread = Cursor::new(first.clone()).chain(Failing(fault)).chain(decoded.read);
    decoded.read = match Utf16::of(&first) {
        Some(order) => Box::new(Utf16::new(order, unread)),
        None => Box::new(unread),
    };
    Ok(decoded)
}

/// An input whose first bytes were read: those, and the rest.
type Whole<R> = Chain<Cursor<Vec<u8>>, R>;

/// The first bytes, and the whole input.
fn peeked<R: Read>(mut input: R) -> io::Result<(Vec<u8>, Whole<R>)> {
    let mut first = Vec::with_capacity(MAGIC_BYTES);
    let most = u64::try_from(MAGIC_BYTES).unwrap_or(u64::MAX);
    input.by_ref().take(most).read_to_end(&mut first)?;
    Ok((first.clone(), Cursor::new(first).chain(input)))
}

fn decompressed<R: Read + Send + 'static>(
    kind: Kind,
    input: BufReader<R>,
) -> io::Result<Box<dyn Read + Send>> {
    Ok(match kind {
        Kind::Gzip => Box::new(MultiGzDecoder::new(input)),
        Kind::Bzip2 => Box::new(MultiBzDecoder::new(input)),
        Kind::Zstd => {
            let mut zstd = zstd::Decoder::with_buffer(input)?;
            zstd.window_log_max(ZSTD_WINDOW_LOG)?;
            Box::new(zstd)
        }
        Kind::Xz => {
            let xz = Stream::new_stream_decoder(XZ_BYTES, CONCATENATED)?;
            Box::new(XzDecoder::new_stream(input, xz))
        }
        Kind::Lzma => Box::new(XzDecoder::new_stream(input, Stream::new_lzma_decoder(XZ_BYTES)?)),
    })
}

impl Decoded {
    /// How it was compressed: `gzip`, `zstd`, `xz`, `lzma`, `bzip2`.
    pub fn compression(&self) -> Option<&'static str> {
        self.kind.map(Kind::name)
    }
}

impl Read for Decoded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read.read(buffer).map_err(|error| match self.kind {
            Some(kind) if error.kind() != io::ErrorKind::Interrupted => {
                told(kind, self.taken.load(Ordering::Relaxed), &error)
            }
            _ => error,
        })
    }
}

/// The sentence for what went wrong when `taken` compressed bytes had been read.
fn told(kind: Kind, taken: u64, error: &io::Error) -> io::Error {
    let name = kind.name();
    let text = match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            format!("the {name} data ends early at byte {taken}: what is before it was read")
        }
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => format!(
            "the {name} data is damaged, or needs too much memory, before byte {taken}: what is before it was read ({error})"
        ),
        _ => error.to_string(),
    };
    io::Error::new(error.kind(), text)
}

/// An input whose bytes are counted as they are taken.
struct Counted<R> {
    input: R,
    taken: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.taken.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
        Ok(count)
    }
}

/// Fails once, if there is something to fail with.
struct Failing(Option<io::Error>);

impl Read for Failing {
    fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

#[cfg(test)]
mod tests;
