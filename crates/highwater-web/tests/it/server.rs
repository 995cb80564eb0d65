//! The server over a real socket.

use std::net::TcpStream;
use std::time::Duration;

use crate::machine::Still;
use crate::served::{Served, status};

#[test]
fn a_scraper_gets_the_format_it_asks_for() {
    let web = Served::new(Still::new());
    let plain = web.get("/metrics", "");
    assert_eq!(status(&plain), "200");
    assert!(plain.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    assert!(plain.contains("\nnode_memory_MemTotal_bytes 25276502016\n"));
    let open = web.get("/metrics", "Accept: application/openmetrics-text;version=1.0.0\r\n");
    assert!(open.contains("application/openmetrics-text; version=1.0.0"), "{open}");
    assert!(open.ends_with("# EOF\n"));
    web.end();
}

#[test]
fn a_probe_learns_whether_the_machine_is_recorded() {
    let web = Served::new(Still::new());
    let answer = web.get("/healthz", "");
    assert_eq!(status(&answer), "200");
    let facts =
        "\r\n\r\nok\nlast sample: 1.2 s ago\nstore: ok\nkmsg: off: needs root or CAP_SYSLOG\n";
    assert!(answer.ends_with(facts), "{answer}");
    web.end();

    let mut blind = Still::new();
    blind.health.sample_age = Some(Duration::from_secs(61));
    let web = Served::new(blind);
    let answer = web.get("/healthz", "");
    assert_eq!(status(&answer), "503");
    assert!(answer.contains("unhealthy: the last sample is 61.0 s old"), "{answer}");
    web.end();
}

#[test]
fn the_front_page_and_a_wrong_path_name_the_right_ones() {
    let web = Served::new(Still::new());
    for (path, expected) in [("/", "200"), ("/metric", "404"), ("/metrics/", "404")] {
        let answer = web.get(path, "");
        assert_eq!(status(&answer), expected, "{path}");
        assert!(answer.contains("/metrics ") && answer.contains("/healthz "), "{answer}");
    }
    assert_eq!(status(&web.get("/metrics?x=1", "")), "200");
    web.end();
}

#[test]
fn reading_is_all_that_can_be_asked() {
    let web = Served::new(Still::new());
    let refused = web.ask(&format!("POST /metrics HTTP/1.1\r\nHost: {}\r\n\r\n", web.at));
    assert_eq!(status(&refused), "405");
    assert!(refused.contains("allow: GET, HEAD\r\n"), "{refused}");
    let head = web.ask(&format!("HEAD /metrics HTTP/1.1\r\nHost: {}\r\n\r\n", web.at));
    assert_eq!(status(&head), "200");
    assert!(head.ends_with("\r\n\r\n"), "a HEAD has no body: {head}");
    web.end();
}

#[test]
fn a_web_page_cannot_read_through_its_own_name() {
    let web = Served::new(Still::new());
    let port = web.at.port();
    let with_host = |line: &str| web.ask(&format!("GET /metrics HTTP/1.1\r\n{line}\r\n"));
    assert_eq!(status(&with_host(&format!("Host: rebound.example:{port}\r\n"))), "403");
    assert_eq!(status(&with_host(&format!("Host: localhost:{port}\r\n"))), "200");
    assert_eq!(status(&with_host("Host: [::1]\r\n")), "200");
    assert_eq!(status(&with_host("")), "200", "not a browser");
    let absolute =
        format!("GET http://rebound.example/metrics HTTP/1.1\r\nHost: {}\r\n\r\n", web.at);
    assert_eq!(status(&web.ask(&absolute)), "403");
    web.end();
}

#[test]
fn a_request_larger_than_any_scraper_makes_is_refused() {
    let web = Served::new(Still::new());
    // What is over the bound is still read for a while, so that the answer arrives.
    let long = format!("X: {}\r\n", "a".repeat(128 * 1024));
    let answer = web.get("/metrics", &long);
    assert_eq!(status(&answer), "431", "{answer}");
    assert_eq!(status(&web.ask("nonsense\r\n\r\n")), "400");
    assert_eq!(status(&web.get("/healthz", "")), "200", "and serves on");
    web.end();
}

#[test]
fn idle_connections_keep_nobody_out_and_do_not_delay_the_end() {
    let web = Served::new(Still::new());
    let idle: Vec<_> = (0..7).map(|_| TcpStream::connect(web.at).unwrap()).collect();
    assert_eq!(status(&web.get("/metrics", "")), "200");
    web.end();
    drop(idle);
}
