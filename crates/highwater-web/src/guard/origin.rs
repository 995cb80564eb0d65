//! For whom a request was meant, and whether a web page makes it.
//!
//! A browser lets any page send requests to this machine's loopback. It keeps the page from reading
//! the answers, unless the page's own name leads to the loopback, too (DNS rebinding): then the
//! request's host is that name. And it says of its requests from which site they come.

use std::net::IpAddr;

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderName, HeaderValue, request};

use super::Refusal;

/// Where a request comes from, as every browser since 2020 says it (Fetch Metadata,
/// <https://www.w3.org/TR/fetch-metadata/>).
static SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// By which names a server is asked.
#[derive(Debug)]
pub(super) struct Expected {
    /// Only by the loopback's and those below.
    loopback: bool,
    /// Without ports.
    hosts: Vec<String>,
    /// Whoever asks has to say who he is.
    secret: bool,
}

impl Expected {
    pub(super) fn new(loopback: bool, hosts: &[String], secret: bool) -> Self {
        let hosts = hosts.iter().map(|host| name_of(host).to_owned()).collect();
        Self { loopback, hosts, secret }
    }

    /// Whether the request was meant for this server, and no page from elsewhere asks.
    pub(super) fn check(&self, head: &request::Parts) -> Result<(), Refusal> {
        let one = |name| {
            let mut values = head.headers.get_all(name).iter();
            match (values.next(), values.next()) {
                (value, None) => Ok(value.map(HeaderValue::as_bytes)),
                _ => Err(Refusal::Ambiguous),
            }
        };
        let host = one(&HOST)?;
        let target = head.uri.authority().map(|authority| authority.as_str().as_bytes());
        if ![host, target].into_iter().flatten().all(|host| self.is_own(host)) {
            return Err(Refusal::Host);
        }
        let site = one(&SEC_FETCH_SITE)?;
        let from_page = !matches!(site, None | Some(b"same-origin" | b"none"));
        let origin = one(&ORIGIN)?;
        let from_elsewhere = origin.is_some_and(|origin| !self.is_own_page(origin, host));
        if from_page || from_elsewhere { Err(Refusal::Page) } else { Ok(()) }
    }

    /// Whether this server goes by `host`, with or without a port.
    fn is_own(&self, host: &[u8]) -> bool {
        match std::str::from_utf8(host).map(name_of) {
            Ok(name) => {
                is_loopback(name) && self.loopback || self.is_named(name) || self.is_any(name)
            }
            Err(_) => false,
        }
    }

    /// An open address whose names nobody told: any name where whoever asks has to show credentials,
    /// which a page that comes by another name does not have; else the bare addresses, which no page
    /// can make its own.
    fn is_any(&self, name: &str) -> bool {
        !self.loopback && self.hosts.is_empty() && (self.secret || address(name).is_some())
    }

    fn is_named(&self, name: &str) -> bool {
        self.hosts.iter().any(|own| own.eq_ignore_ascii_case(name))
    }

    /// Whether a page of this origin is this server's: the host it was asked by, or one of its names.
    fn is_own_page(&self, origin: &[u8], host: Option<&[u8]>) -> bool {
        let Some(authority) =
            origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"))
        else {
            return false;
        };
        host.is_some_and(|host| host.eq_ignore_ascii_case(authority))
            || std::str::from_utf8(authority).is_ok_and(|origin| self.is_named(name_of(origin)))
    }
}

/// A host without its port.
fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

fn is_loopback(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost")
        || address(name).is_some_and(|address| address.to_canonical().is_loopback())
}

/// A host that is an address.
fn address(name: &str) -> Option<IpAddr> {
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    bare.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    use axum::http::Request;

    fn check(expected: &Expected, headers: &[(&str, &str)]) -> Result<(), Refusal> {
        let mut request = Request::builder().uri("/metrics");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        expected.check(&request.body(()).unwrap().into_parts().0)
    }

    fn loopback() -> Expected {
        Expected::new(true, &["mon.example:9477".to_owned()], false)
    }

    #[test]
    fn only_the_loopback_and_its_own_names_are_its_hosts() {
        for host in [
            "localhost",
            "LocalHost:9477",
            "127.0.0.1:9477",
            "127.8.9.1",
            "[::1]:9477",
            "[::1]",
            "Mon.example:443",
        ] {
            assert!(loopback().is_own(host.as_bytes()), "{host}");
        }
        for host in [
            "",
            ":9477",
            "evil.example",
            "localhost.evil.example:9477",
            "127.0.0.1.evil.example",
            "10.0.0.1:9477",
            "127.0.0.1:80:90",
            "[::2]:1",
            "[127.0.0.1",
            "localhost@evil.example",
            "a.mon.example",
            "\u{202e}",
        ] {
            assert!(!loopback().is_own(host.as_bytes()), "{host}");
        }
        assert!(!loopback().is_own(b"\xff"));
    }

    #[test]
    fn an_open_address_goes_by_any_name_until_its_own_are_told() {
        let open = Expected::new(false, &[], true);
        assert!(open.is_own(b"10.0.0.1:9477") && open.is_own(b"x.example"));
        // A name that a page gave this address reads nothing where nobody is asked who he is.
        let anyone = Expected::new(false, &[], false);
        assert!(anyone.is_own(b"10.0.0.1:9477") && anyone.is_own(b"[fe80::1]:9477"));
        assert!(!anyone.is_own(b"x.example") && !anyone.is_own(b"localhost:1"));
        let named = Expected::new(false, &["mon.example".to_owned()], false);
        assert!(named.is_own(b"mon.example:1"));
        assert!(!named.is_own(b"x.example") && !named.is_own(b"127.0.0.1"));
    }

    #[test]
    fn programs_and_its_own_pages_pass() {
        let host = ("host", "localhost:9477");
        for headers in [
            &[host][..],
            &[],
            &[host, ("origin", "http://localhost:9477")],
            &[host, ("origin", "https://mon.example")],
            &[host, ("sec-fetch-site", "same-origin"), ("origin", "http://LOCALHOST:9477")],
            &[host, ("sec-fetch-site", "none")],
        ] {
            assert_eq!(check(&loopback(), headers), Ok(()), "{headers:?}");
        }
    }

    #[test]
    fn pages_from_elsewhere_do_not() {
        let host = ("host", "localhost:9477");
        for page in [
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("origin", "file://"),
            ("origin", ""),
            // Another program of this machine has a page, too.
            ("origin", "http://localhost:3000"),
            ("origin", "http://localhost:9477.evil.example"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", "what-comes-next"),
        ] {
            assert_eq!(check(&loopback(), &[host, page]), Err(Refusal::Page), "{page:?}");
        }
        assert_eq!(check(&loopback(), &[("host", "evil.example")]), Err(Refusal::Host));
        let two = [host, ("host", "evil.example")];
        assert_eq!(check(&loopback(), &two), Err(Refusal::Ambiguous));
        let two = [host, ("origin", "http://localhost:9477"), ("origin", "null")];
        assert_eq!(check(&loopback(), &two), Err(Refusal::Ambiguous));
    }
}
