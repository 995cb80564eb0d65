//! `/api/highwater/v1` and the page, as a browser and a program ask for them.

use std::io::Write as _;

use highwater_web::{Progress, Question, Teller, Untold};

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

#[test]
fn the_description_names_every_path() {
    let web = Served::telling(Witness);
    let answer = web.get("/api/highwater/v1/openapi.json", "");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let document: serde_json::Value = serde_json::from_str(body).unwrap();
    let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    for path in ["now", "growth", "deaths", "deaths/{id}", "events", "stream"] {
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
