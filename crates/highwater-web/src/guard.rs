//! Who may ask.
//!
//! Three questions, in this order, before anything of a request is looked at but its head:
//!
//! 1. **Was it meant for this server, and does no web page ask through somebody's browser?**
//!    [`origin`]
//! 2. **Does it bring a token or a password?** [`credentials`]
//! 3. And before both, where the address is open to others: **can nobody read along?** [`tls`]
//!
//! What a server is exposed to is decided when it starts: an address that is not the loopback
//! without TLS, or without credentials, is refused unless the configuration says so in words.

mod certificate;
mod credentials;
mod origin;
mod password;
mod secret;
mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{StatusCode, request};
use axum::response::{AppendHeaders, IntoResponse, Response};
use highwater_core::time::WallTime;

use credentials::{Credentials, Verdict};
use origin::Expected;
pub use secret::{SecretError, new_token, token_line, user_line};
pub(crate) use tls::Tls;
pub use tls::TlsError;

/// The one path that answers without credentials: a probe of a container has none.
const OPEN_PATH: &str = "/healthz";

/// How a server is protected, as the configuration says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Protection {
    /// By what it is known and spoken to in secret.
    pub tls: Option<TlsFiles>,
    /// Hashes of tokens: `sha256:` and 64 hexadecimal digits.
    pub tokens: Vec<String>,
    /// Users, with a hash of bcrypt: `name:$2y$10$…`.
    pub users: Vec<String>,
    /// Names by which it is asked, other than the loopback's.
    pub hosts: Vec<String>,
    /// Whether it may be asked from elsewhere without TLS.
    pub plain_http: bool,
    /// Whether it may be asked from elsewhere without credentials.
    pub anyone: bool,
}

/// A certificate with its chain, and its key, as PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate first, then whoever vouches for it.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Why a server is not begun.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// Others could read along.
    #[error(
        "{0} can be reached from elsewhere, and without TLS others read along: name \
         web.tls_certificate_file and web.tls_key_file, or write web.allow_plain_http = true"
    )]
    Readable(SocketAddr),
    /// Others could ask.
    #[error(
        "{0} can be reached from elsewhere, and whoever asks is told about this machine: make a \
         token or a password with highwater web-secret, or write web.allow_anyone = true"
    )]
    Open(SocketAddr),
    /// What should be a hash is none.
    #[error("number {0} of web.tokens is no hash of a token: make one with highwater web-secret")]
    Token(usize),
    /// What should be a user is none.
    #[error(
        "number {0} of web.users is not a name, a colon and a hash of bcrypt with a cost of {1} at \
         most: make one with highwater web-secret --user NAME"
    )]
    User(usize, u32),
    /// Two users have one name.
    #[error("web.users has {0} twice")]
    Twice(String),
    /// No randomness.
    #[error("the system gives no random numbers")]
    Random,
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Somebody who may ask everything.
    Known,
    /// Somebody who did not say who he is, and may know whether the recorder is well.
    Unknown,
}

/// Whom a server answers.
#[derive(Debug)]
pub struct Guard {
    expected: Expected,
    credentials: Credentials,
    tls: Option<Tls>,
}

impl Guard {
    /// The guard of a server at `address`. `clock` tells whether a certificate is past its time.
    pub fn new(
        address: SocketAddr,
        protection: &Protection,
        clock: fn() -> WallTime,
    ) -> Result<Self, GuardError> {
        let loopback = address.ip().to_canonical().is_loopback();
        let credentials = Credentials::new(&protection.tokens, &protection.users)?;
        if !loopback && protection.tls.is_none() && !protection.plain_http {
            return Err(GuardError::Readable(address));
        }
        if !loopback && credentials.is_empty() && !protection.anyone {
            return Err(GuardError::Open(address));
        }
        let tls = protection.tls.as_ref().map(|files| Tls::load(files, clock)).transpose()?;
        let expected = Expected::new(loopback, &protection.hosts, !credentials.is_empty());
        Ok(Self { expected, credentials, tls })
    }

    /// The guard of a server on the loopback that asks nobody who he is.
    pub fn of_loopback() -> Self {
        let expected = Expected::new(true, &[], false);
        Self { expected, credentials: Credentials::default(), tls: None }
    }

    /// What is wrong with a certificate that is used all the same.
    pub fn warnings(&self) -> Vec<String> {
        self.tls.iter().flat_map(Tls::warnings).collect()
    }

    /// How it is asked: `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        self.tls.as_ref().map_or("http", |_| "https")
    }

    /// Who asks with this head, if he may.
    pub(crate) async fn admit(&self, head: &request::Parts) -> Result<Caller, Refusal> {
        self.expected.check(head)?;
        match self.credentials.verdict(&head.headers).await {
            Verdict::Fits => Ok(Caller::Known),
            Verdict::Missing if head.uri.path() == OPEN_PATH => Ok(Caller::Unknown),
            Verdict::Missing | Verdict::Wrong => {
                Err(Refusal::Credentials(self.credentials.challenges()))
            }
            Verdict::Busy => Err(Refusal::Busy),
        }
    }

    pub(crate) fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }
}

/// Why somebody is not let in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The request was meant for another server.
    Host,
    /// A web page from elsewhere asks.
    Page,
    /// It says two things about whom it is for.
    Ambiguous,
    /// It brings no credentials, or wrong ones.
    Credentials(Vec<&'static str>),
    /// Too many passwords wait to be verified.
    Busy,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, text) = match &self {
            Self::Host => (
                StatusCode::FORBIDDEN,
                "this server goes by another name: ask for localhost or 127.0.0.1, or add the name to web.hosts\n",
            ),
            Self::Page => {
                (StatusCode::FORBIDDEN, "a web page from elsewhere may not ask this server\n")
            }
            Self::Ambiguous => (StatusCode::BAD_REQUEST, "the request names more than one host\n"),
            Self::Credentials(_) => {
                (StatusCode::UNAUTHORIZED, "a token or a user's password is needed\n")
            }
            Self::Busy => (
                StatusCode::SERVICE_UNAVAILABLE,
                "too many passwords wait to be verified; ask again\n",
            ),
        };
        let answer = plain(status, text.to_owned());
        match self {
            Self::Credentials(challenges) => {
                let headers = challenges.into_iter().map(|how| (WWW_AUTHENTICATE, how));
                (AppendHeaders(headers), answer).into_response()
            }
            Self::Busy => ([(RETRY_AFTER, "1")], answer).into_response(),
            Self::Host | Self::Page | Self::Ambiguous => answer,
        }
    }
}

/// A short answer to a person.
pub(crate) fn plain(status: StatusCode, text: String) -> Response {
    let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "no-store")];
    (status, headers, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str, protection: &Protection) -> Result<Guard, String> {
        let clock = || WallTime::from_millis(0);
        Guard::new(address.parse().unwrap(), protection, clock).map_err(|error| error.to_string())
    }

    fn token() -> Vec<String> {
        vec![token_line("0123456789abcdef").unwrap()]
    }

    #[test]
    fn the_loopback_needs_nothing() {
        for address in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(at(address, &Protection::default()).is_ok(), "{address}");
        }
    }

    #[test]
    fn an_address_that_others_reach_needs_both_or_says_so() {
        for address in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "[fe80::1]:1", "[::ffff:10.0.0.1]:1"] {
            let error = at(address, &Protection::default()).unwrap_err();
            assert!(error.contains("web.allow_plain_http = true"), "{address}: {error}");
            let plain = Protection { plain_http: true, ..Protection::default() };
            let error = at(address, &plain).unwrap_err();
            assert!(error.contains("highwater web-secret"), "{address}: {error}");
            assert!(error.contains("web.allow_anyone = true"), "{address}: {error}");
            assert!(at(address, &Protection { tokens: token(), ..plain.clone() }).is_ok());
            assert!(at(address, &Protection { anyone: true, ..plain }).is_ok());
        }
    }

    #[test]
    fn what_is_no_hash_is_named_by_its_place_and_not_repeated() {
        let tokens = vec![token().remove(0), "a secret itself".to_owned()];
        let error = at("127.0.0.1:1", &Protection { tokens, ..Protection::default() }).unwrap_err();
        assert!(error.contains("number 2 of web.tokens"), "{error}");
        assert!(!error.contains("secret itself"), "{error}");
        let users = vec!["a:password".to_owned()];
        let error = at("127.0.0.1:1", &Protection { users, ..Protection::default() }).unwrap_err();
        assert!(error.contains("number 1 of web.users"), "{error}");
        assert!(!error.contains("password:"), "{error}");
    }
}
