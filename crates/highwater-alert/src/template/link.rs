//! Addresses: what `stripPort`, `stripDomain` and the links are.

use std::net::IpAddr;

/// `host:port` without the port; what is no such pair stays as it is.
pub(super) fn strip_port(text: &str) -> &str {
    split(text).map_or(text, |(host, _)| host)
}

/// The first part of a host's name, its port kept; addresses stay as they are.
pub(super) fn strip_domain(text: &str) -> String {
    let (host, port) = split(text).map_or((text, None), |(host, port)| (host, Some(port)));
    if host.parse::<IpAddr>().is_ok() {
        return text.to_owned();
    }
    let first = host.split('.').next().unwrap_or_default();
    port.map_or_else(|| first.to_owned(), |port| format!("{first}:{port}"))
}

/// Host and port as Go's `net.SplitHostPort` tells them apart.
fn split(text: &str) -> Option<(&str, &str)> {
    if let Some(rest) = text.strip_prefix('[') {
        return rest
            .split_once("]:")
            .filter(|(host, port)| !(*host).contains(']') && !port.contains(':'));
    }
    let (host, port) = text.split_once(':')?;
    (!port.contains([':', '[', ']'])).then_some((host, port))
}

/// The page of Prometheus that shows an expression.
pub(super) fn page(expr: &str, tab: u8) -> String {
    format!("/graph?g0.expr={}&g0.tab={tab}", gotmpl::url_encode(expr))
}

/// The path of an address.
pub(super) fn path(url: &str) -> &str {
    let after = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = after.find('/').and_then(|at| after.get(at..)).unwrap_or_default();
    path.split(['?', '#']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_lose_ports_and_domains() {
        assert_eq!(strip_port("node1:9100"), "node1");
        assert_eq!(strip_port("[::1]:80"), "::1");
        assert_eq!(strip_port("::1"), "::1");
        assert_eq!(strip_domain("node1.example.com:9100"), "node1:9100");
        assert_eq!(strip_domain("10.0.0.1:9100"), "10.0.0.1:9100");
        assert_eq!(strip_domain("node1.example.com"), "node1");
        assert_eq!(path("http://a.example/hw?x"), "/hw");
        assert_eq!(path("http://a.example"), "");
        assert_eq!(page("up == 0", 0), "/graph?g0.expr=up+%3D%3D+0&g0.tab=0");
    }
}
