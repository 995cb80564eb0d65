//! People with mailboxes, reached over SMTP.

mod delivery;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use highwater_core::time::WallTime;
use lettre::message::header::ContentType;
use lettre::message::{MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{Address, Message};

use crate::failure::words;
use crate::receiver::Outcome;
use crate::secret::Secret;
use crate::web::pem;

/// A server of e-mail, and who is written to through it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Smtp {
    /// Its name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How what is said to it is kept from others.
    pub security: Security,
    /// Who writes, as the server knows them, with the password.
    pub login: Option<(String, Secret)>,
    /// From whom the letters are.
    pub from: String,
    /// To whom.
    pub to: Vec<String>,
    /// The authorities that vouch for the server, as PEM; else those that browsers know.
    pub ca_file: Option<PathBuf>,
    /// How long each of its answers may take.
    pub timeout: Duration,
}

/// How what is said to a server is kept from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte, as on port 465.
    Tls,
    /// TLS after a greeting, as on port 587; a server that does not offer it gets nothing.
    StartTls,
    /// Not at all.
    Plain,
}

/// Whether `text` is an address that letters can be sent to.
pub fn is_address(text: &str) -> bool {
    text.parse::<Address>().is_ok()
}

/// What keeps a letter from being written.
#[derive(Debug, thiserror::Error)]
enum Unmade {
    #[error(transparent)]
    Secret(#[from] crate::secret::SecretError),
    #[error("cannot read ca_file {0:?}: {1}")]
    Unreadable(PathBuf, std::io::Error),
    #[error("TLS cannot be set up for this server: {0}")]
    Tls(String),
    #[error("the letter cannot be written: {0}")]
    Letter(String),
}

impl Smtp {
    /// Sends a letter. Whom the server refuses does not keep it from the others.
    pub(crate) fn send(
        &self,
        id: &str,
        (subject, text, html): (&str, &str, &str),
        now: WallTime,
    ) -> Outcome {
        let made = self.letter(id, (subject, text, html), now);
        match made.and_then(|letter| Ok((letter, self.tls()?, self.credentials()?))) {
            Err(unmade) => Outcome::later(unmade.to_string()),
            Ok((letter, tls, login)) => {
                let outcome = delivery::deliver(self, &tls, login.as_ref(), &letter);
                outcome.unwrap_or_else(|error| failed(&error))
            }
        }
    }

    fn letter(
        &self,
        id: &str,
        (subject, text, html): (&str, &str, &str),
        now: WallTime,
    ) -> Result<Message, Unmade> {
        let wrong = |error: &dyn std::fmt::Display| Unmade::Letter(error.to_string());
        let from: Address = self.from.parse().map_err(|error| wrong(&error))?;
        let part = |kind, text: &str| SinglePart::builder().header(kind).body(text.to_owned());
        let both = MultiPart::alternative()
            .singlepart(part(ContentType::TEXT_PLAIN, text))
            .singlepart(part(ContentType::TEXT_HTML, html));
        let mut letter = Message::builder()
            .message_id(Some(format!("<{id}.highwater@{}>", from.domain())))
            .date(system_time(now))
            .subject(subject)
            .from(from.into());
        for to in &self.to {
            let to: Address = to.parse().map_err(|error| wrong(&error))?;
            letter = letter.to(to.into());
        }
        letter.multipart(both).map_err(|error| wrong(&error))
    }

    fn credentials(&self) -> Result<Option<Credentials>, Unmade> {
        let Some((name, password)) = &self.login else { return Ok(None) };
        Ok(Some(Credentials::new(name.clone(), password.read()?)))
    }

    fn tls(&self) -> Result<Tls, Unmade> {
        if self.security == Security::Plain {
            return Ok(Tls::None);
        }
        let wrong = |error: lettre::transport::smtp::Error| Unmade::Tls(error.to_string());
        let mut parameters = TlsParameters::builder(self.host.clone());
        if let Some(file) = &self.ca_file {
            let bytes = pem(file).map_err(|error| Unmade::Unreadable(file.clone(), error))?;
            let certificate = Certificate::from_pem(&bytes).map_err(wrong)?;
            parameters = parameters.add_root_certificate(certificate);
        }
        let parameters = parameters.build().map_err(wrong)?;
        Ok(match self.security {
            Security::Tls => Tls::Wrapper(parameters),
            _ => Tls::Required(parameters),
        })
    }
}

/// What a server says with 5xx is for ever only where it speaks of the letter: addresses and
/// passwords are put right, and then the letter is still wanted.
fn failed(error: &lettre::transport::smtp::Error) -> Outcome {
    /// The message is too large; the transaction failed (RFC 5321, 4.2.3).
    const OF_THE_LETTER: [&str; 2] = ["552", "554"];
    let why = said(error);
    let code = error.status().map(|code| code.to_string());
    match code {
        Some(code) if OF_THE_LETTER.contains(&code.as_str()) => Outcome::never(why),
        _ => Outcome::later(why),
    }
}

/// What went wrong, in one line.
fn said(error: &lettre::transport::smtp::Error) -> String {
    let why = words(error.to_string().as_bytes());
    let cause = std::error::Error::source(error);
    match cause.map(|cause| words(cause.to_string().as_bytes())) {
        Some(cause) if !why.contains(&cause) => format!("{why}: {cause}"),
        _ => why,
    }
}

fn system_time(at: WallTime) -> SystemTime {
    SystemTime::UNIX_EPOCH + at.since(WallTime::default())
}
