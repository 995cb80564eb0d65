//! Questions over HTTP. Each has a time-out and a most that is read.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use super::config::KubeConfig;
use crate::told::{Absent, cut};

/// How long one question may take, from looking up the name to the last byte.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most that is read of an answer: a pod takes up to 20 KiB, a node has 110 by default and
/// rarely more than 500.
const MOST: usize = 16 << 20;

/// The most that is read of a token or of certificates.
const MOST_OF_FILE: u64 = 1 << 20;

/// How much of an address or an error is repeated.
const REPEATED_CHARS: usize = 160;

#[derive(Debug)]
pub(super) struct Client {
    agent: Agent,
    config: KubeConfig,
}

impl Client {
    pub(super) fn new(config: &KubeConfig) -> Result<Self, Absent> {
        let mut tls = TlsConfig::builder().disable_verification(config.insecure);
        if let Some(file) = config.ca_file.as_deref().filter(|_| !config.insecure) {
            tls = tls.root_certs(RootCerts::Specific(Arc::new(authorities(file)?)));
        }
        let settings = Agent::config_builder()
            .tls_config(tls.build())
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .max_redirects(0)
            // The node's own services are not asked through a proxy.
            .proxy(None);
        Ok(Self { agent: settings.build().new_agent(), config: config.clone() })
    }

    /// The server as people write it.
    pub(super) fn url(&self) -> String {
        cut(self.config.url.trim_end_matches('/').as_bytes(), REPEATED_CHARS)
    }

    /// The body at `path`.
    pub(super) fn get(&self, path: &str) -> Result<Vec<u8>, Absent> {
        let plain = path.split('?').next().unwrap_or(path);
        let what = format!("{}{plain}", self.url());
        let mut request =
            self.agent.get(format!("{}{path}", self.config.url.trim_end_matches('/')));
        if let Some(file) = &self.config.token_file {
            request = request.header("Authorization", format!("Bearer {}", token(file)?));
        }
        let answer = request.call().map_err(|error| failed(&what, &error))?;
        let status = answer.status().as_u16();
        if status != 200 {
            return Err(self.refused(&what, status));
        }
        // One more byte than may be: so it is seen that there are more.
        let mut body = Vec::new();
        let most = u64::try_from(MOST).unwrap_or(u64::MAX);
        let mut rest = answer.into_body().into_reader().take(most.saturating_add(1));
        match rest.read_to_end(&mut body) {
            Ok(_) if body.len() > MOST => {
                Err(Absent::because(format!("{what}: an answer of more than {MOST} bytes")))
            }
            Ok(_) => Ok(body),
            // What came before it broke off is read as far as it goes.
            Err(_) if !body.is_empty() => Ok(body),
            Err(error) => Err(Absent::because(format!("{what}: {error}"))),
        }
    }

    fn refused(&self, what: &str, status: u16) -> Absent {
        let needs = match (status, &self.config.node) {
            (401, _) if self.config.token_file.is_none() => "; needs a token file",
            (401, _) => "; the token is not accepted",
            (403, None) => "; needs a token that may get nodes/proxy, or nodes/pods",
            (403, Some(_)) => "; needs a service account that may list pods and events",
            _ => "",
        };
        Absent::because(format!("{what} answers {status}{needs}"))
    }
}

fn failed(what: &str, error: &ureq::Error) -> Absent {
    let words = cut(error.to_string().as_bytes(), REPEATED_CHARS);
    Absent::because(match error {
        ureq::Error::Timeout(_) => format!("{what} did not answer within {PATIENCE:?}"),
        ureq::Error::Rustls(_) | ureq::Error::Tls(_) => {
            format!("{what}: {words}; needs the file of the authority that signed it")
        }
        _ if words.contains("certificate") => {
            format!("{what}: {words}; needs the file of the authority that signed it")
        }
        _ => format!("{what}: {words}"),
    })
}

fn read(file: &Path) -> Result<Vec<u8>, Absent> {
    let mut bytes = Vec::new();
    let read = File::open(file).and_then(|open| open.take(MOST_OF_FILE).read_to_end(&mut bytes));
    let name = || cut(file.as_os_str().as_encoded_bytes(), REPEATED_CHARS);
    read.map(|_| bytes).map_err(|error| Absent::because(format!("{}: {error}", name())))
}

/// The token, which must fit into a line of the question.
fn token(file: &Path) -> Result<String, Absent> {
    let bytes = read(file)?;
    let text = bytes.trim_ascii();
    if !text.is_empty() && text.iter().all(u8::is_ascii_graphic) {
        return Ok(String::from_utf8_lossy(text).into_owned());
    }
    let name = cut(file.as_os_str().as_encoded_bytes(), REPEATED_CHARS);
    Err(Absent::because(format!("{name} holds no token")))
}

fn authorities(file: &Path) -> Result<Vec<Certificate<'static>>, Absent> {
    let bytes = read(file)?;
    let certificates: Vec<Certificate<'static>> = parse_pem(&bytes)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        let name = cut(file.as_os_str().as_encoded_bytes(), REPEATED_CHARS);
        return Err(Absent::because(format!("{name} holds no certificate")));
    }
    Ok(certificates)
}

/// A name as a part of a question.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            let digits = [byte >> 4, byte & 0xf];
            out.extend(digits.iter().filter_map(|digit| char::from_digit((*digit).into(), 16)));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_ask_for_something_else() {
        assert_eq!(encoded("node-1.example"), "node-1.example");
        assert_eq!(encoded("a&limit=1 /"), "a%26limit%3d1%20%2f");
    }

    #[test]
    fn files_that_hold_no_token_and_no_certificate_say_so() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        assert!(token(&file).unwrap_err().why.contains("No such file"));
        for text in ["", " \n", "two words", "a\u{0}b", "a\nb"] {
            std::fs::write(&file, text).unwrap();
            assert!(token(&file).unwrap_err().why.ends_with("file holds no token"), "{text:?}");
            assert!(authorities(&file).unwrap_err().why.ends_with("file holds no certificate"));
        }
        std::fs::write(&file, "eyJ.abc-_\n").unwrap();
        assert_eq!(token(&file).unwrap(), "eyJ.abc-_");
    }
}
