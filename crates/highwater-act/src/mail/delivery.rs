//! A letter to several, each of whom the server may refuse: the others get it all the same.

use lettre::address::Envelope;
use lettre::message::Message;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{SmtpConnection, Tls};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, MailParameter};

use super::{Smtp, said};
use crate::receiver::Outcome;

/// So many who are refused are named; a reason is one line.
const MOST_NAMED: usize = 3;

/// Brings `letter` to the server.
pub(super) fn deliver(
    smtp: &Smtp,
    tls: &Tls,
    login: Option<&Credentials>,
    letter: &Message,
) -> Result<Outcome, Error> {
    let mut server = connect(smtp, tls, login)?;
    let outcome = hand_over(&mut server, letter);
    // It has the letter by now, or will not get it: nothing hangs on a farewell.
    server.abort();
    outcome
}

fn connect(smtp: &Smtp, tls: &Tls, login: Option<&Credentials>) -> Result<SmtpConnection, Error> {
    let (name, address) = (ClientId::default(), (smtp.host.as_str(), smtp.port));
    let at_once = if let Tls::Wrapper(parameters) = tls { Some(parameters) } else { None };
    let mut server = SmtpConnection::connect(address, Some(smtp.timeout), &name, at_once, None)?;
    if let Tls::Required(parameters) = tls {
        server.starttls(parameters, &name)?;
    }
    if let Some(login) = login {
        server.auth(DEFAULT_MECHANISMS, login)?;
    }
    Ok(server)
}

fn hand_over(server: &mut SmtpConnection, letter: &Message) -> Result<Outcome, Error> {
    let envelope = letter.envelope();
    server.command(Mail::new(envelope.from().cloned(), parameters(envelope)))?;
    let mut refused = Vec::new();
    for to in envelope.to() {
        match server.command(Rcpt::new(to.clone(), Vec::new())) {
            Ok(_) => {}
            // Without a number it is the connection that failed.
            Err(error) if error.status().is_none() => return Err(error),
            Err(error) => refused.push(format!("{to}: {}", said(&error))),
        }
    }
    let why = named(&refused);
    if refused.len() == envelope.to().len() {
        // It is the address that is wrong, not the letter: somebody puts that right.
        return Ok(Outcome::later(why));
    }
    server.command(Data)?;
    server.message(&letter.formatted())?;
    Ok(if refused.is_empty() { Outcome::Sent } else { Outcome::Partly { why } })
}

/// An address beyond ASCII has to be announced (RFC 6531, 3.4).
fn parameters(envelope: &Envelope) -> Vec<MailParameter> {
    let mut all = envelope.from().into_iter().chain(envelope.to());
    let plain = all.all(|address| AsRef::<str>::as_ref(address).is_ascii());
    if plain { Vec::new() } else { vec![MailParameter::SmtpUtfEight] }
}

fn named(refused: &[String]) -> String {
    let mut names: Vec<&str> = refused.iter().take(MOST_NAMED).map(String::as_str).collect();
    let more = refused.len().saturating_sub(MOST_NAMED);
    let more = format!("and {more} more");
    if refused.len() > MOST_NAMED {
        names.push(&more);
    }
    format!("refused for {}", names.join("; "))
}
