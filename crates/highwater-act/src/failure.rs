//! What went wrong, in words that hold no secret: an address may be one, so none is repeated.

use highwater_core::text::escape;

/// How much of somebody else's words is repeated.
const MOST_CHARS: usize = 200;

/// Somebody else's words, on one line and not too long.
pub(crate) fn words(bytes: &[u8]) -> String {
    let text = escape(bytes.trim_ascii());
    match text.char_indices().nth(MOST_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.into_owned(),
    }
}

/// Why a question over HTTP got no answer.
pub(crate) fn http(error: &ureq::Error) -> String {
    use ureq::Error;
    match error {
        Error::Timeout(_) => "no answer in time".to_owned(),
        Error::HostNotFound => "the name of the host is not known".to_owned(),
        Error::BadUri(_) | Error::Http(_) => {
            "the address is none, or a header cannot be sent; look at url and the credentials"
                .to_owned()
        }
        Error::ConnectionFailed => "it cannot be reached".to_owned(),
        Error::InvalidProxyUrl => {
            "the proxy of the environment (HTTPS_PROXY, HTTP_PROXY) is no address".to_owned()
        }
        Error::Io(error) => words(error.to_string().as_bytes()),
        Error::Rustls(error) => {
            let said = words(error.to_string().as_bytes());
            format!("{said}; a private authority goes into ca_file")
        }
        Error::Protocol(_) => "what answers does not speak HTTP".to_owned(),
        _ => "the request failed".to_owned(),
    }
}
