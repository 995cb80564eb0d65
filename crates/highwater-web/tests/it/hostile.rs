//! Whoever is slow, loud or wrong gets the answer that is due to him, and keeps nobody out.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use highwater_web::Patience;

use crate::served::{Served, rest, status, text};

/// One end of patience comes soon, so that a test waits for it; no other comes in a test's time.
const SOON: Duration = Duration::from_millis(200);

/// Soon, but late enough for a request that comes at once, on a machine that does much else.
const IN_A_WHILE: Duration = Duration::from_secs(2);

/// Everything is waited for longer than any test lasts.
fn patient(connections: usize) -> Patience {
    let long = Duration::from_hours(1);
    Patience { head: long, body: long, idle: long, sending: long, connections }
}

/// A head for the API's form, as far as the blank line.
fn form(length: &str) -> String {
    format!(
        "POST /api/v1/query HTTP/1.1\r\nHost: localhost\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n{length}\r\n"
    )
}

#[test]
fn a_head_that_does_not_come_in_time_ends_its_connection() {
    let web = Served::patiently(Patience { head: IN_A_WHILE, ..patient(16) });
    for part in [&b""[..], b"G", b"GET /metrics HTTP/1.1\r\nHost: lo"] {
        let answer = web.send(part);
        assert!(!answer.contains(" 200 "), "{answer}");
    }
    // A byte now and then does not buy time.
    let mut stream = web.connect();
    let mut request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: ".to_vec();
    request.extend([b'x'; 10_000]);
    let sent = request.iter().take_while(|byte| {
        thread::sleep(Duration::from_millis(5));
        stream.write_all(std::slice::from_ref(*byte)).is_ok()
    });
    assert!(sent.count() < request.len(), "the server hung up before the end");
    web.lives();
    web.end();
}

#[test]
fn a_body_that_does_not_come_in_time_is_refused() {
    let web = Served::patiently(Patience { body: SOON, ..patient(16) });
    let answer = web.send(format!("{}q", form("Content-Length: 100\r\n")).as_bytes());
    assert_eq!(status(&answer), "408", "{answer}");
    let chunked = form("Transfer-Encoding: chunked\r\n");
    assert_eq!(status(&web.send(format!("{chunked}5\r\nquery").as_bytes())), "408");
    web.lives();
    web.end();
}

#[test]
fn a_connection_is_kept_and_ends_when_it_is_idle() {
    let web = Served::patiently(Patience { idle: IN_A_WHILE, ..patient(16) });
    let mut stream = web.connect();
    let request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(request).unwrap();
    let answer = text(&rest(&mut stream));
    assert_eq!(status(&answer), "200");
    assert!(!answer.contains("connection: close"), "{answer}");
    web.end();

    let web = Served::patiently(patient(16));
    let mut stream = web.connect();
    for _ in 0..100 {
        stream.write_all(request).unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
        let mut tail = Vec::new();
        while !tail.ends_with(b"needs root or CAP_SYSLOG\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            tail.push(byte[0]);
        }
    }
    web.end();
}

#[test]
fn requests_that_come_at_once_are_answered_in_order() {
    let web = Served::patiently(patient(16));
    let paths = ["/healthz", "/nowhere", "/", "/api/v1/query?query=1"];
    let ask = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut all: String = paths.iter().cycle().take(200).map(|path| ask(path)).collect();
    all.push_str("GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let answer = web.send(all.as_bytes());
    let statuses: Vec<&str> =
        answer.split("HTTP/1.1 ").skip(1).filter_map(|one| one.get(..3)).collect();
    let expected: Vec<&str> =
        ["200", "404", "200", "200"].into_iter().cycle().take(200).chain(["200"]).collect();
    assert_eq!(statuses, expected);
    web.end();
}

#[test]
fn who_does_not_read_his_answers_is_left() {
    let web = Served::patiently(Patience { sending: SOON, ..patient(16) });
    let mut stream = web.connect();
    let many = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1_000);
    // Writes until the server does not read on, waits no more, and hangs up.
    let mut turns = 0;
    while stream.write_all(many.as_bytes()).is_ok() {
        turns += 1;
        assert!(turns < 10_000, "the server takes whatever comes");
    }
    web.lives();
    web.end();
}

#[test]
fn many_silent_connections_give_way_to_who_asks() {
    let web = Served::patiently(patient(16));
    let mut crowd: Vec<TcpStream> = Vec::new();
    for round in 0..300 {
        let mut stream = web.connect();
        let part: &[u8] = match round % 3 {
            0 => b"",
            1 => b"GET /metrics HTTP/1.1\r\nHo",
            _ => b"POST /api/v1/query HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nq",
        };
        let _cut_short = stream.write_all(part);
        crowd.push(stream);
        if round % 50 == 49 {
            web.lives();
        }
    }
    // What gave way was ended; at most as many as there are places still wait.
    web.lives();
    let ended = crowd.iter_mut().filter_map(|stream| {
        stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        // Reset or ended: both are an end.
        let waits = |error: &std::io::Error| {
            matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
        };
        (!stream.read(&mut [0; 64]).is_err_and(|error| waits(&error))).then_some(())
    });
    assert!(ended.count() >= crowd.len() - 16 - 1);
    web.end();
}

#[test]
fn a_body_that_is_too_large_is_refused_and_not_kept() {
    let web = Served::patiently(patient(16));
    for size in [1024 * 1024 + 1, 10 * 1024 * 1024] {
        let head = form(&format!("Content-Length: {size}\r\nConnection: close\r\n"));
        let mut request = head.into_bytes();
        request.resize(request.len() + size, b'a');
        let answer = web.send(&request);
        assert_eq!(status(&answer), "413", "{answer}");
        assert!(answer.contains("1048576 bytes"), "{answer}");
    }
    let exactly = 1024 * 1024;
    let head = form(&format!("Content-Length: {exactly}\r\nConnection: close\r\n"));
    let answer = web.send(format!("{head}query={}", "1".repeat(exactly - 6)).as_bytes());
    assert_eq!(status(&answer), "400", "it is read, and no query: {answer}");
    web.lives();
    web.end();
}

#[test]
fn chunks_without_end_are_not_read_without_end() {
    let web = Served::patiently(patient(16));
    let mut stream = web.connect();
    let mut reader = stream.try_clone().unwrap();
    let answer = thread::Builder::new().spawn(move || text(&rest(&mut reader))).unwrap();
    stream.write_all(form("Transfer-Encoding: chunked\r\n").as_bytes()).unwrap();
    let chunk = format!("10000\r\n{}\r\n", "a".repeat(0x10000));
    let chunks = (0..10_000).take_while(|_| stream.write_all(chunk.as_bytes()).is_ok()).count();
    assert!(chunks < 1_000, "{chunks} chunks were taken");
    let answer = answer.join().unwrap();
    assert_eq!(status(&answer), "413", "{answer}");
    web.lives();
    web.end();
}

#[test]
fn a_compressed_body_is_not_unpacked() {
    let web = Served::patiently(patient(16));
    for encoding in ["gzip", "br", "identity, gzip"] {
        let head = form(&format!(
            "Content-Encoding: {encoding}\r\nContent-Length: 7\r\nConnection: close\r\n"
        ));
        let answer = web.send(format!("{head}query=1").as_bytes());
        assert_eq!(status(&answer), "415", "{encoding}: {answer}");
    }
    let head = form("Content-Encoding: identity\r\nContent-Length: 7\r\nConnection: close\r\n");
    assert_eq!(status(&web.send(format!("{head}query=1").as_bytes())), "200");
    web.end();
}

#[test]
fn a_request_of_which_two_readings_are_possible_is_one_or_none() {
    let web = Served::patiently(patient(16));
    let hidden = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for lengths in [
        "Content-Length: 7\r\nContent-Length: 8\r\n",
        "Content-Length: 7, 8\r\n",
        "Content-Length: +7\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 0x7\r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "Content-Length : 7\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, gzip\r\n",
        "Transfer-Encoding: identity\r\n",
        " Folded: 1\r\n",
        "X: a\r\n folded\r\n",
        "X: a\rb\r\n",
        "X: a\0b\r\n",
    ] {
        let answer = web.send(format!("{}query=1{hidden}", form(lengths)).as_bytes());
        assert_eq!(status(&answer), "400", "{lengths:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{lengths:?}: {answer}");
    }
    // Chunks outweigh a length, and nothing that follows them is believed (RFC 9112, 6.3).
    for both in [
        "Content-Length: 7\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
    ] {
        let body = format!("7\r\nquery=1\r\n0\r\n\r\n{hidden}");
        let answer = web.send(format!("{}{body}", form(both)).as_bytes());
        assert_eq!(status(&answer), "200", "{both:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{both:?}: {answer}");
    }
    let odd = "7;x=y\r\nquery=1\r\nzz\r\n\r\n";
    let answer = web.send(format!("{}{odd}", form("Transfer-Encoding: chunked\r\n")).as_bytes());
    assert_eq!(status(&answer), "400", "{answer}");
    // What is sent as a body is never taken for the next request, also where nobody wants a body.
    let length = hidden.len();
    for method in ["GET", "HEAD", "PUT"] {
        let head =
            format!("{method} / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n");
        let last = "GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let answer = web.send(format!("{head}\r\n{hidden}{last}").as_bytes());
        assert!(!answer.contains("last sample"), "{method}: {answer}");
        assert!(answer.matches("HTTP/1.1 ").count() <= 2, "{method}: {answer}");
    }
    web.lives();
    web.end();
}

#[test]
fn floods_of_headers_and_long_paths_are_refused() {
    let web = Served::patiently(patient(16));
    for count in [200, 20_000] {
        let flood = "X-Flood: 1\r\n".repeat(count);
        assert_eq!(status(&web.get("/metrics", &flood)), "431", "{count}");
    }
    let long = format!("X: {}\r\n", "a".repeat(1024 * 1024));
    assert_eq!(status(&web.get("/metrics", &long)), "431");
    let answer = web.get(&format!("/api/v1/query?query={}", "1".repeat(200_000)), "");
    assert!(matches!(status(&answer), "414" | "431"), "{answer}");
    let answer = web.get(&format!("/api/v1/query?query=1{}", "%20".repeat(20_000)), "");
    assert_eq!(status(&answer), "200", "60 KB are a long query and no flood: {answer}");
    web.lives();
    web.end();
}

#[test]
fn what_is_not_utf8_is_an_error_of_the_asker() {
    let web = Served::patiently(patient(16));
    let raw = |path: &[u8]| {
        let tail = b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        web.send(&[b"GET ", path, tail].concat())
    };
    for (path, expected) in [
        (&b"/%ff%fe"[..], "404"),
        (b"/api/v1/query?query=%ff", "400"),
        (b"/api/v1/query?%ff=1", "400"),
        (b"/api/v1/label/%ff/values", "404"),
        (b"/api/v1/query?query=%", "400"),
        (b"/\0", "400"),
        (b"", "400"),
        (b"/ /", "400"),
    ] {
        let answer = raw(path);
        assert_eq!(status(&answer), expected, "{}: {answer}", text(path));
    }
    // Bytes that a path may not have: whichever of the two is said, it is not answered.
    let answer = raw(b"/\xff\xfe");
    assert!(matches!(status(&answer), "400" | "404"), "{answer}");
    let head = form("Content-Length: 8\r\nConnection: close\r\n");
    let answer = web.send(&[head.as_bytes(), b"query=\xff\xfe"].concat());
    assert_eq!(status(&answer), "400", "{answer}");
    web.lives();
    web.end();
}

#[test]
fn whatever_is_sent_ends() {
    let web = Served::patiently(patient(16));
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed.to_le_bytes()
    };
    let whole =
        b"POST /api/v1/query HTTP/1.1\r\nHost: localhost\r\nContent-Length: 7\r\n\r\nquery=1";
    for round in 0..400 {
        let mut bytes: Vec<u8> = (0..round % 50).flat_map(|_| random()).collect();
        if round % 2 == 0 {
            // A request with some bytes that are others.
            bytes = whole.to_vec();
            for _ in 0..=round % 5 {
                let [at, byte, ..] = random();
                let at = usize::from(at) % bytes.len();
                bytes[at] = byte;
            }
        }
        let mut stream = web.connect();
        let _cut_short = stream.write_all(&bytes);
        let _gone = stream.shutdown(Shutdown::Write);
        let answer = text(&rest(&mut stream));
        assert!(answer.is_empty() || answer.starts_with("HTTP/1."), "{bytes:?}: {answer}");
    }
    web.lives();
    web.end();
}
