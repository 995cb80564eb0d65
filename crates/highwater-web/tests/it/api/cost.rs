//! What questions may cost: size, time, how many at once.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use highwater_web::Limits;

use super::history::{BEGIN_S, Gate, Shelf};
use super::{Got, Served};

const PACKED: &str = "Accept-Encoding: gzip, deflate\r\n";

fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = Command::new("gzip")
        .arg("-dc")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = gzip.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let feed = move || pipe.write_all(&bytes).unwrap();
    let feeder = std::thread::Builder::new().name("feed".into()).spawn(feed).unwrap();
    let done = gzip.wait_with_output().unwrap();
    feeder.join().unwrap();
    assert!(done.status.success());
    done.stdout
}

#[test]
fn long_answers_are_packed_for_whom_can_unpack() {
    let web = Served::new(Shelf::crowd(1000), Limits::default());
    let range =
        format!("/api/v1/query_range?query=crowd&start={BEGIN_S}&end={}&step=15", BEGIN_S + 3600);
    for (path, is_packed) in [
        (range.as_str(), true),
        ("/api/v1/series?match[]=crowd", true),
        ("/api/v1/query?query=1", false),
    ] {
        let plain = web.ask("GET", path, "", b"");
        assert_eq!(plain.status, 200, "{}", plain.shown());
        assert!(!plain.head.contains("content-encoding"), "{}", plain.head);
        let packed = web.ask("GET", path, PACKED, b"");
        assert_eq!(packed.head.contains("content-encoding: gzip"), is_packed, "{}", packed.head);
        assert!(packed.head.contains("vary: Accept-Encoding"), "{}", packed.head);
        if is_packed {
            assert!(packed.body.len() * 4 < plain.body.len());
            assert!(unpacked(&packed.body) == plain.body, "{path}");
        } else {
            assert_eq!(packed.body, plain.body);
        }
    }
    let long = web.ask("GET", &range, "", b"");
    assert!(long.body.len() > 3 << 20, "it is sent in pieces");
    let values = long.data()["result"][999]["values"].as_array().unwrap().len();
    assert_eq!(values, 240);
    web.end();
}

#[test]
fn a_question_ends_with_its_time() {
    let gate = Arc::new(Gate::default());
    let web = Served::new(Shelf::demo().behind(&gate), Limits::default());
    let (status, kind, text) = web.get("query?query=1&timeout=50ms").error();
    assert_eq!((status, kind.as_str()), (503, "timeout"), "{text}");
    let limits = Limits { timeout: Duration::from_millis(50), ..Limits::default() };
    let short = Served::new(Shelf::demo().behind(&gate), limits);
    assert_eq!(short.get("query?query=1&timeout=1h").error().1, "timeout", "it can only be less");
    assert_eq!(short.get("labels").error().1, "timeout");
    assert_eq!(short.get("status/buildinfo").status, 200, "what needs no history needs no turn");
    gate.open();
    web.end();
    short.end();
}

#[test]
fn those_for_whom_there_is_no_room_are_sent_away_at_once() {
    let gate = Arc::new(Gate::default());
    let limits = Limits { at_once: 2, waiting: 1, ..Limits::default() };
    let web = Served::new(Shelf::demo().behind(&gate), limits);
    let request = format!("GET /api/v1/labels HTTP/1.0\r\nHost: {}\r\n\r\n", web.at);
    let answered: Vec<_> = (0..2).map(|_| web.sent(request.as_bytes())).collect();
    gate.await_questions(2);
    let waits = web.sent(request.as_bytes());
    // Whichever of the next comes later than the one that waits finds no room.
    let refused = loop {
        let (status, kind, text) = match web.get("labels?timeout=10ms") {
            got if got.status == 503 => got.error(),
            got => panic!("{}", got.shown()),
        };
        if kind == "unavailable" {
            break (status, text);
        }
    };
    assert_eq!(refused, (503, "1 questions wait already: ask again later".to_owned()));
    gate.open();
    for stream in answered.into_iter().chain([waits]) {
        assert_eq!(Got::read(stream).status, 200);
    }
    web.end();
}

#[test]
fn who_has_gone_is_not_answered() {
    let gate = Arc::new(Gate::default());
    let web = Served::new(Shelf::crowd(5_000).behind(&gate), Limits::default());
    let request = format!("GET /api/v1/labels HTTP/1.0\r\nHost: {}\r\n\r\n", web.at);
    let stream = web.sent(request.as_bytes());
    gate.await_questions(1);
    drop(stream);
    // The server learns of it as it learns of the next connection.
    for _ in 0..20 {
        assert_eq!(web.get("status/buildinfo").status, 200);
    }
    gate.open();
    gate.await_stop();
    web.end();
}

#[test]
fn samples_are_limited() {
    let limits = Limits { max_samples: 1000, ..Limits::default() };
    let web = Served::new(Shelf::crowd(50), limits);
    let (status, kind, text) = web.get("query?query=count_over_time(crowd[1h])").error();
    assert_eq!((status, kind.as_str()), (422, "execution"), "{text}");
    assert!(text.contains("too many samples"), "{text}");
    web.end();
}

#[test]
fn hostile_expressions_are_refused_in_bounded_time() {
    let web = Served::demo();
    let deep = format!("query={}1{}", "(".repeat(10_000), ")".repeat(10_000));
    let long = format!("query={}", "up%2B".repeat(150_000));
    let bomb = "query=%7Ba%3D~%22%28%28a%7B1000%7D%29%7B1000%7D%29%7B1000%7D%22%7D".to_owned();
    let many = format!("query=1&{}", "a&".repeat(400_000));
    for form in [deep, long, bomb, many] {
        let got = web.post("query", &form);
        assert_eq!((got.status, got.error().1.as_str()), (400, "bad_data"));
    }
    let huge = web.post("query", &format!("query={}", "1".repeat(3 << 20)));
    assert_eq!(huge.status, 413);
    assert_eq!(web.get("query?query=1").status, 200, "and serves on");
    web.end();
}
