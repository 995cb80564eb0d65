//! Servers that take documents over HTTP.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use highwater_core::time::WallTime;
use serde_json::Value;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::answer::{meaning, retry_after};
use crate::receiver::Outcome;
use crate::secret::{Secret, SecretError};
use crate::{failure, sign};

/// The most that is read of an answer: messengers say a line.
const MOST_OF_ANSWER: u64 = 64 * 1024;
/// The most that is read of a file of certificates.
const MOST_OF_FILE: u64 = 1 << 20;

/// The fields that say when to ask again: everybody's, and Feishu's own.
const ASK_AGAIN: [&str; 2] = ["retry-after", "x-ogw-ratelimit-reset"];

/// A server that takes documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Web {
    /// Its address. Of messengers it is a secret: who knows it may write there.
    pub url: Secret,
    /// Who asks.
    pub auth: Option<Auth>,
    /// How it is spoken to.
    pub manner: Manner,
    /// The authorities that vouch for it, as PEM; else those that browsers know.
    pub ca_file: Option<PathBuf>,
    /// How long all of it may take.
    pub timeout: Duration,
}

/// How a server is shown who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// A token.
    Bearer(Secret),
    /// A name and a password.
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: Secret,
    },
}

/// How a server is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manner {
    /// A document is posted, and 2xx means yes.
    Plain,
    /// The same, below the address of an Alertmanager.
    Alertmanager,
    /// DingTalk: signed in the address, and the answer says how it went.
    DingTalk {
        /// What it is signed with, if the robot asks for that.
        secret: Option<Secret>,
    },
    /// Feishu: signed in the document, and the answer says how it went.
    Feishu {
        /// What it is signed with, if the bot asks for that.
        secret: Option<Secret>,
    },
}

/// What keeps a request from being made.
#[derive(Debug, thiserror::Error)]
enum Unmade {
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(
        "the secret that should be an address is none: it begins with neither http:// nor https://"
    )]
    NoAddress,
    #[error("cannot read ca_file {0:?}: {1}")]
    Unreadable(PathBuf, std::io::Error),
    #[error("ca_file {0:?} holds no certificate")]
    NoCertificate(PathBuf),
}

impl Web {
    /// What nobody else should see.
    pub(crate) fn secrets(&self) -> Vec<&Secret> {
        let mut all = vec![&self.url];
        match &self.auth {
            Some(Auth::Bearer(secret) | Auth::Basic { password: secret, .. }) => all.push(secret),
            None => {}
        }
        match &self.manner {
            Manner::DingTalk { secret } | Manner::Feishu { secret } => all.extend(secret),
            Manner::Plain | Manner::Alertmanager => {}
        }
        all
    }

    /// Posts `document`.
    pub(crate) fn send(&self, id: &str, document: &Value, now: WallTime) -> Outcome {
        self.post(id, document, now).unwrap_or_else(|unmade| Outcome::later(unmade.to_string()))
    }

    fn post(&self, id: &str, document: &Value, now: WallTime) -> Result<Outcome, Unmade> {
        let (url, body) = self.signed(document, now)?;
        let mut request = self.agent()?.post(url);
        request = request.header("Content-Type", "application/json");
        if !id.is_empty() {
            request = request.header("Idempotency-Key", id);
        }
        if let Some(auth) = &self.auth {
            request = request.header("Authorization", auth.field()?);
        }
        let mut answer = match request.send(body) {
            Ok(answer) => answer,
            Err(error) => return Ok(Outcome::later(failure::http(&error))),
        };
        let field = |name| answer.headers().get(name).and_then(|field| field.to_str().ok());
        let asked = ASK_AGAIN.into_iter().find_map(|name| retry_after(field(name)?, now));
        let status = answer.status().as_u16();
        let mut said = Vec::new();
        // It is the status that counts: what breaks off behind it is read as far as it goes.
        let _broken = answer.body_mut().as_reader().take(MOST_OF_ANSWER).read_to_end(&mut said);
        Ok(meaning(&self.manner, status, asked, &said))
    }

    /// The address and the document, signed as the receiver wants it.
    fn signed(&self, document: &Value, now: WallTime) -> Result<(String, String), Unmade> {
        let mut url = self.url.read()?;
        if !["http://", "https://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(Unmade::NoAddress);
        }
        match &self.manner {
            Manner::Alertmanager => {
                let url = format!("{}/api/v2/alerts", url.trim_end_matches('/'));
                Ok((url, document.to_string()))
            }
            Manner::DingTalk { secret: Some(secret) } => {
                let join = if url.contains('?') { '&' } else { '?' };
                url.push(join);
                url.push_str(&sign::dingtalk(&secret.read()?, now));
                Ok((url, document.to_string()))
            }
            Manner::Feishu { secret: Some(secret) } => {
                Ok((url, sign::feishu(document, &secret.read()?, now).to_string()))
            }
            _ => Ok((url, document.to_string())),
        }
    }

    fn agent(&self) -> Result<ureq::Agent, Unmade> {
        let mut tls = TlsConfig::builder();
        if let Some(file) = &self.ca_file {
            tls = tls.root_certs(RootCerts::Specific(Arc::new(authorities(file)?)));
        }
        let settings = ureq::Agent::config_builder()
            .tls_config(tls.build())
            .timeout_global(Some(self.timeout))
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent("highwater");
        Ok(settings.build().new_agent())
    }
}

impl Auth {
    /// The value of the field `Authorization`.
    fn field(&self) -> Result<String, SecretError> {
        Ok(match self {
            Self::Bearer(token) => format!("Bearer {}", token.read()?),
            Self::Basic { user, password } => {
                format!("Basic {}", STANDARD.encode(format!("{user}:{}", password.read()?)))
            }
        })
    }
}

/// The certificates of a file of PEM.
fn authorities(file: &Path) -> Result<Vec<Certificate<'static>>, Unmade> {
    let bytes = pem(file).map_err(|error| Unmade::Unreadable(file.to_owned(), error))?;
    let certificates: Vec<Certificate<'static>> = parse_pem(&bytes)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(Unmade::NoCertificate(file.to_owned()));
    }
    Ok(certificates)
}

/// What a file of PEM holds.
pub(crate) fn pem(file: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(file)?.take(MOST_OF_FILE).read_to_end(&mut bytes)?;
    Ok(bytes)
}
