//! TLS by rustls: 1.2 and 1.3, HTTP/1.1, no client certificates.
//!
//! The files are looked at for each connection, which costs two `stat`, and read again when they
//! changed: whoever renews certificates has to tell nobody. New files that do not fit together (one
//! is written after the other) leave the old ones in use until they do.

use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use highwater_core::time::WallTime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

use super::TlsFiles;
use super::certificate::{Validity, validity};

/// Why a certificate and its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {cause}", path = .0.display(), cause = .1)]
    Unreadable(PathBuf, io::Error),
    /// There is no certificate in it.
    #[error("{path} has no certificate in PEM (-----BEGIN CERTIFICATE-----)", path = .0.display())]
    NoCertificate(PathBuf),
    /// There is no key in it.
    #[error(
        "{path} has no private key in PEM without a password (-----BEGIN PRIVATE KEY-----)",
        path = .0.display()
    )]
    NoKey(PathBuf),
    /// They are not for each other.
    #[error(
        "the key in {key} does not belong to the first certificate in {certificate}; the server's own \
         has to be the first",
        key = .0.key.display(),
        certificate = .0.certificate.display()
    )]
    Mismatch(TlsFiles),
    /// Something else is wrong with them.
    #[error("{certificate} cannot be used: {cause}", certificate = .0.display(), cause = .1)]
    Unusable(PathBuf, rustls::Error),
}

/// Speaks TLS by a certificate that is read anew when its files change.
pub(crate) struct Tls {
    files: TlsFiles,
    clock: fn() -> WallTime,
    current: Mutex<Current>,
}

struct Current {
    acceptor: TlsAcceptor,
    validity: Option<Validity>,
    /// What the files were when they were looked at last, usable or not.
    seen: [Option<Stamp>; 2],
}

/// By what a file is known to have changed.
type Stamp = (u64, u64, i64, i64);

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Tls {
    pub(super) fn load(files: &TlsFiles, clock: fn() -> WallTime) -> Result<Self, TlsError> {
        // Before they are read: what is written meanwhile is then read again.
        let seen = stamps(files);
        let (acceptor, validity) = load(files)?;
        let current = Mutex::new(Current { acceptor, validity, seen });
        Ok(Self { files: files.clone(), clock, current })
    }

    /// What accepts connections now; what is wrong with new files is given to `say`, once.
    pub(crate) fn acceptor(&self, say: &dyn Fn(&str)) -> TlsAcceptor {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = stamps(&self.files);
        if seen != current.seen {
            current.seen = seen;
            match load(&self.files) {
                Ok((acceptor, validity)) => {
                    current.acceptor = acceptor;
                    current.validity = validity;
                    say(&format!(
                        "read the certificate {} again",
                        self.files.certificate.display()
                    ));
                    if let Some(line) = warning(&self.files, validity, (self.clock)()) {
                        say(&line);
                    }
                }
                Err(error) => say(&format!("the old certificate stays in use: {error}")),
            }
        }
        current.acceptor.clone()
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let late = warning(&self.files, current.validity, (self.clock)());
        late.into_iter().chain(readable_by_all(&self.files.key)).collect()
    }
}

/// A certificate out of its time is used, since it is the client that refuses it; but nobody else
/// would say why nobody can connect.
fn warning(files: &TlsFiles, validity: Option<Validity>, now: WallTime) -> Option<String> {
    let certificate = files.certificate.display();
    match validity {
        Some(Validity { until, .. }) if now > until => {
            Some(format!("{certificate} expired on {until}; clients will refuse it"))
        }
        Some(Validity { from, .. }) if now < from => {
            Some(format!("{certificate} is good only from {from} on; clients will refuse it"))
        }
        _ => None,
    }
}

/// The permission to read for everybody.
const OTHERS_READ: u32 = 0o004;

fn readable_by_all(key: &Path) -> Option<String> {
    let mode = std::fs::metadata(key).ok()?.mode();
    let text = format!("{} is readable by everybody on this machine", key.display());
    (mode & OTHERS_READ != 0).then_some(text)
}

fn stamps(files: &TlsFiles) -> [Option<Stamp>; 2] {
    [&files.certificate, &files.key].map(|file| {
        let meta = std::fs::metadata(file).ok()?;
        Some((meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec()))
    })
}

fn load(files: &TlsFiles) -> Result<(TlsAcceptor, Option<Validity>), TlsError> {
    let chain = certificates(&files.certificate)?;
    let own = chain.first().and_then(|own| validity(own));
    let key = key(&files.key)?;
    let unusable = |cause| TlsError::Unusable(files.certificate.clone(), cause);
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|cause| match cause {
            rustls::Error::InconsistentKeys(_) => TlsError::Mismatch(files.clone()),
            cause => unusable(cause),
        })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((TlsAcceptor::from(Arc::new(config)), own))
}

/// The most that is read of a file: a long chain has 20 KiB.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    use std::io::Read as _;
    let unreadable = |cause| TlsError::Unreadable(path.to_owned(), cause);
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(path)?;
    let chain: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&pem).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        _ => Err(TlsError::NoCertificate(path.to_owned())),
    }
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|_| TlsError::NoKey(path.to_owned()))
}
