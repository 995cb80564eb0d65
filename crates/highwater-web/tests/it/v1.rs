//! `/api/highwater/v1` and the page, as a browser and a program ask for them.

use std::io::Write as _;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;

use highwater_web::{Progress, Question, Teller, Trial, Tried, Untold};

use crate::served::{Served, rest, status};

/// Knows one death, and cannot tell what grows.
struct Witness;

impl Teller for Witness {
    fn tell(&self, question: &Question) -> Result<Vec<u8>, Untold> {
        match question {
            Question::Now => Ok(br#"{"schema":1}"#.to_vec()),
            Question::Deaths => Ok(br#"{"deaths":[]}"#.to_vec()),
            Question::Death(id) if id == "17-7" => Ok(br#"{"summary":"x"}"#.to_vec()),
            Question::Death(_) => Err(Untold::Absent("no such \"death\"".to_owned())),
            Question::Growth => Err(Untold::Failed("the disk hangs".to_owned())),
            Question::Restarts => Ok(br#"{"owners":[]}"#.to_vec()),
            Question::Events => panic!("a defect"),
            Question::Backtest(Trial { of: Tried::All, .. }) => Ok(br#"{"rules":[]}"#.to_vec()),
            Question::Backtest(_) => Err(Untold::Wrong("1:4: unexpected end".to_owned())),
        }
    }

    fn progress(&self) -> Option<Progress> {
        None
    }
}

#[test]
fn a_document_is_given_as_it_is_told() {
    let web = Served::telling(Witness);
    for (path, document) in [
        ("now", r#"{"schema":1}"#),
        ("deaths", r#"{"deaths":[]}"#),
        ("deaths/17-7", r#"{"summary":"x"}"#),
        ("restarts", r#"{"owners":[]}"#),
        ("backtest?last=7d&scrape=60", r#"{"rules":[]}"#),
    ] {
        let answer = web.get(&format!("/api/highwater/v1/{path}"), "");
        assert_eq!(status(&answer), "200", "{path}");
        assert!(answer.contains("content-type: application/json\r\n"), "{answer}");
        assert!(answer.contains("cache-control: no-store\r\n"), "{answer}");
        assert!(answer.ends_with(document), "{answer}");
    }
    web.end();
}

#[test]
fn what_cannot_be_told_says_why() {
    let web = Served::telling(Witness);
    for (path, code, why) in [
        ("deaths/1-2", "404", r#"{"error":"no such \"death\""}"#),
        ("deaths/..%2f", "404", "there is no such path"),
        ("nothing", "404", "deaths/{id}"),
        ("growth", "503", r#"{"error":"the disk hangs"}"#),
        ("events", "500", "a defect"),
        ("backtest?last=99d", "400", "at most 31 days"),
        ("backtest?expr=up+%3D%3D", "400", r#"{"error":"1:4: unexpected end"}"#),
    ] {
        let answer = web.get(&format!("/api/highwater/v1/{path}"), "");
        assert_eq!(status(&answer), code, "{path}");
        assert!(answer.contains(why), "{answer}");
    }
    let path = "/api/highwater/v1/now";
    let posted = web.ask(&format!("POST {path} HTTP/1.1\r\nHost: {}\r\n\r\n", web.at));
    assert_eq!(status(&posted), "405");
    assert!(posted.contains("allow: GET, HEAD\r\n"), "{posted}");
    web.end();
}

/// Goes through a history until it is told to end.
struct Slow {
    begun: Mutex<SyncSender<()>>,
    end: Mutex<Receiver<()>>,
}

impl Teller for Slow {
    fn tell(&self, question: &Question) -> Result<Vec<u8>, Untold> {
        if matches!(question, Question::Backtest(_)) {
            self.begun.lock().unwrap().send(()).unwrap();
            self.end.lock().unwrap().recv().unwrap();
        }
        Ok(b"{}".to_vec())
    }

    fn progress(&self) -> Option<Progress> {
        None
    }
}

#[test]
fn nobody_waits_for_a_backtest_that_somebody_else_asked_for() {
    let (begun, wait) = sync_channel(1);
    let (finish, end) = sync_channel(1);
    let web = Served::telling(Slow { begun: Mutex::new(begun), end: Mutex::new(end) });
    let web = Arc::new(web);
    let asking = Arc::clone(&web);
    let slow = thread::Builder::new().name("slow".into());
    let slow = slow.spawn(move || asking.get("/api/highwater/v1/backtest", "")).unwrap();
    wait.recv().unwrap();
    assert_eq!(status(&web.get("/api/highwater/v1/now", "")), "200");
    finish.send(()).unwrap();
    assert_eq!(status(&slow.join().unwrap()), "200");
    Arc::into_inner(web).unwrap().end();
}

#[test]
fn the_description_names_every_path() {
    let web = Served::telling(Witness);
    let answer = web.get("/api/highwater/v1/openapi.json", "");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let document: serde_json::Value = serde_json::from_str(body).unwrap();
    let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    for path in ["now", "growth", "deaths", "deaths/{id}", "events", "backtest", "stream"] {
        assert!(paths.iter().any(|known| **known == format!("/api/highwater/v1/{path}")), "{path}");
    }
    web.end();
}

#[test]
fn a_page_from_elsewhere_is_told_nothing() {
    let web = Served::telling(Witness);
    for (path, header) in [
        ("/api/highwater/v1/now", "Sec-Fetch-Site: cross-site\r\n"),
        ("/", "Sec-Fetch-Site: cross-site\r\n"),
    ] {
        assert_eq!(status(&web.get(path, header)), "403", "{path}");
    }
    web.end();
}

#[test]
fn a_browser_gets_the_page_and_a_program_a_list() {
    let web = Served::telling(Witness);
    let listed = web.get("/", "Accept: */*\r\n");
    assert!(listed.contains("/api/highwater/v1/ "), "{listed}");
    let page = web.get("/", "Accept: text/html,*/*\r\n");
    assert_eq!(status(&page), "200");
    if cfg!(feature = "page") {
        let policy = "content-security-policy: default-src 'none'; script-src 'self';";
        assert!(page.contains(policy), "{page}");
        let script = page.split_once("src=\"").unwrap().1.split_once('"').unwrap().0;
        let answer = web.get(script, "");
        assert!(answer.contains("content-type: text/javascript; charset=utf-8\r\n"), "{script}");
        assert!(answer.contains("immutable\r\n"), "{script}");
        let mut stream = web.connect();
        let close = "Connection: close\r\nAccept-Encoding: gzip\r\n";
        write!(stream, "GET {script} HTTP/1.1\r\nHost: {}\r\n{close}\r\n", web.at).unwrap();
        let packed = rest(&mut stream);
        assert!(packed.len() * 2 < answer.len(), "{} of {}", packed.len(), answer.len());
        let notices = web.get("/assets/notices.txt", "");
        for whose in ["text/plain", "== preact", "== uplot", "Permission is hereby granted"] {
            assert!(notices.contains(whose), "{whose} is missing: {notices}");
        }
    } else {
        assert!(page.contains("built without the page"), "{page}");
    }
    assert_eq!(status(&web.get("/assets/nothing.js", "")), "404");
    web.end();
}
