//! What a Grafana data source asks, request by request, and what it gets.

use super::{Got, Served};

const REQUESTS: &str = include_str!("../../../../../fixtures/web/grafana.http");

/// The bytes of a request of the file.
fn request(text: &str, host: &str) -> Vec<u8> {
    let text = text.replace("HOST", host);
    let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let body = body.trim_end();
    let head = head.trim_end().replace('\n', "\r\n").replace("HTTP/1.1", "HTTP/1.0");
    format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

#[test]
fn every_request_of_grafana_is_answered() {
    let web = Served::demo();
    let host = web.at.to_string();
    let mut page = String::new();
    let mut count = 0;
    for part in REQUESTS.split("### ").skip(1) {
        let (when, text) = part.split_once('\n').unwrap();
        let got = Got::read(web.sent(&request(text, &host)));
        assert!(got.head.contains("content-type: application/json"), "{}", got.head);
        let is_wrong = when.ends_with("is wrong");
        assert_eq!(got.status, if is_wrong { 400 } else { 200 }, "{when}: {}", got.shown());
        page.extend([when, "\n  ", &got.shown(), "\n"]);
        count += 1;
    }
    assert_eq!(count, 23);
    insta::assert_snapshot!(page);
    web.end();
}

#[test]
fn a_probe_of_the_kind_of_server_finds_no_features() {
    let web = Served::demo();
    let build = web.get("status/buildinfo").data();
    assert!(build.get("features").is_none(), "with features it would be taken for a Mimir");
    let version = build["version"].as_str().unwrap();
    let major: u32 = version.split('.').next().unwrap().parse().unwrap();
    assert!(major >= 3, "older ones are asked for series in place of labels: {version}");
    assert_eq!(build["application"], "highwater");
    web.end();
}
