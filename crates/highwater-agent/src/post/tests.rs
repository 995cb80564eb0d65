//! Notices through real connections: outages, slow receivers, agents that die.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver as Inbox, sync_channel};
use std::thread::Builder;

use highwater_core::time::BootTime;
use serde_json::Value;

use super::*;
use crate::config::Config;

fn at(seconds: i64) -> Stamp {
    let wall = WallTime::from_millis(1_795_219_200_000 + seconds * 1000);
    Stamp { wall, boot: BootTime::from_micros(0) }
}

fn fires(name: &str) -> Report {
    let labels = [("alertname", name), ("id", "/a")];
    let labels: BTreeMap<_, _> =
        labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    Report { labels, starts_at: at(0).wall, ..Report::default() }
}

/// A server that says 200 to everything, and what it was told.
fn server(listener: TcpListener) -> Inbox<Value> {
    let (tell, told) = sync_channel(10_000);
    let serve = move || {
        for stream in listener.incoming() {
            let body = heard(&stream.unwrap());
            tell.send(serde_json::from_slice(&body).unwrap()).unwrap();
        }
    };
    Builder::new().name("server".to_owned()).spawn(serve).unwrap();
    told
}

fn heard(mut stream: &TcpStream) -> Vec<u8> {
    let mut lines = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    lines.read_exact(&mut body).unwrap();
    stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").unwrap();
    let _closed = stream.shutdown(Shutdown::Write);
    body
}

fn bound() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let door = listener.local_addr().unwrap().port();
    (listener, door)
}

fn notify(receivers: &str) -> Notify {
    let text = format!("[notify]\ngroup_wait = \"0s\"\ntimeout = \"1s\"\n{receivers}");
    Config::parse(&text, "f").unwrap().notify
}

fn webhook(name: &str, door: u16) -> String {
    format!("[[notify.webhook]]\nname = \"{name}\"\nurl = \"http://127.0.0.1:{door}/\"\n")
}

fn open(notify: &Notify, saved: Option<&str>) -> Post {
    let (post, said) = Post::open(notify, "http://here", saved);
    assert_eq!(said, [""; 0]);
    post
}

/// Delivers at `now` until nobody is busy, as the agent does twice a second.
fn deliver(post: &mut Post, now: Stamp) -> Vec<String> {
    let mut said = Vec::new();
    loop {
        said.extend(post.deliver(now).said);
        if !post.lines.iter().any(|line| line.courier.as_ref().is_some_and(Courier::is_busy)) {
            return said;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn names(told: &Inbox<Value>) -> Vec<String> {
    let name = |value: Value| {
        format!("{} {}", value["status"].as_str().unwrap(), value["groupLabels"]["alertname"])
    };
    told.try_iter().map(name).collect()
}

/// Its port is closed for the first hour; three alerts begin, one of them ends. The agent dies after
/// every step. Then the port is open: each group arrives once.
#[test]
fn who_is_down_for_an_hour_gets_everything_once() {
    let (listener, door) = bound();
    drop(listener);
    let notify = notify(&webhook("ops", door));
    let mut post = open(&notify, None);
    let mut said = Vec::new();
    for minute in 0..60 {
        let now = at(minute * 60);
        let mut alerts = vec![fires("A")];
        alerts.extend((minute >= 10).then(|| fires("B")));
        alerts.extend((20..40).contains(&minute).then(|| fires("C")));
        post.round(&alerts, now);
        said.extend(deliver(&mut post, now));
        let saved = post.saved();
        post = open(&notify, Some(&saved));
    }
    assert!(said[0].starts_with("notify: ops: ") && said[0].ends_with("tried again"), "{said:?}");
    let told = server(TcpListener::bind(("127.0.0.1", door)).unwrap());
    for second in 3600..4300 {
        post.round(&[fires("A"), fires("B")], at(second));
        deliver(&mut post, at(second));
    }
    let mut all = names(&told);
    all.sort();
    assert_eq!(all, ["firing \"A\"", "firing \"B\"", "resolved \"C\""]);
    let counts: BTreeMap<_, _> =
        post.counts().into_iter().map(|thing| (thing.metric.name, thing.value)).collect();
    assert_eq!(counts["highwater_agent_notify_sent_total"].to_string(), "3");
    assert_eq!(counts["highwater_agent_notify_waiting"].to_string(), "0");
}

/// One takes connections and never answers: the other has everything before the first has failed.
#[test]
fn a_slow_receiver_delays_nobody() {
    let (_never_answers, slow) = bound();
    let (listener, quick) = bound();
    let told = server(listener);
    let receivers = format!("{}{}", webhook("slow", slow), webhook("quick", quick));
    let notify = notify(&receivers);
    let mut post = open(&notify, None);
    for (second, name) in ["A", "B", "C"].into_iter().enumerate() {
        let now = at(i64::try_from(second * 2).unwrap());
        let alerts: Vec<Report> = ["A", "B", "C"][..=second].iter().map(|it| fires(it)).collect();
        post.round(&alerts, now);
        while !post.deliver(now).changed {
            std::thread::sleep(Duration::from_millis(2));
        }
        assert_eq!(names(&told), [format!("firing \"{name}\"")]);
    }
    let is_busy = |line: &Line| line.courier.as_ref().is_some_and(Courier::is_busy);
    let counts = post.lines[0].counts.things("slow", post.lines[0].book.outbox.len());
    assert!(is_busy(&post.lines[0]) || counts[1].value > 0.0, "it was tried, and took nothing");
    assert_eq!(post.lines[0].book.outbox.len(), 3);
}

#[test]
fn an_alertmanager_is_told_alerts_and_one_that_is_away_holds_up_no_other() {
    let (listener, door) = bound();
    let (gone, away) = bound();
    drop(gone);
    let told = server(listener);
    let manager = |name: &str, door: u16| {
        format!("[[notify.alertmanager]]\nname = \"{name}\"\nurl = \"http://127.0.0.1:{door}\"\n")
    };
    let mut post = open(&notify(&(manager("am1", away) + &manager("am2", door))), None);
    post.round(&[fires("A")], at(0));
    deliver(&mut post, at(0));
    post.round(&[], at(15));
    deliver(&mut post, at(15));
    let all: Vec<Value> = told.try_iter().collect();
    assert_eq!(all.len(), 2, "{all:?}");
    assert_eq!(all[0][0]["labels"]["alertname"], "A");
    assert_eq!(all[0][0]["endsAt"], "2026-11-21T00:04:00.000Z");
    assert_eq!(all[1][0]["endsAt"], "2026-11-21T00:00:15.000Z");
}

#[test]
fn a_receiver_that_is_gone_is_spoken_of_and_one_that_moved_keeps_what_waits() {
    let (gone, door) = bound();
    drop(gone);
    let mut post = open(&notify(&(webhook("a", door) + &webhook("b", door))), None);
    post.round(&[fires("A")], at(0));
    deliver(&mut post, at(0));
    let (listener, elsewhere) = bound();
    let told = server(listener);
    let said = post.reload(&notify(&webhook("a", elsewhere)), "http://here");
    assert_eq!(said, ["notify: b is no longer set; what waits for it is dropped: 1"]);
    deliver(&mut post, at(600));
    deliver(&mut post, at(601));
    assert_eq!(names(&told), ["firing \"A\""]);
}

#[test]
fn what_was_saved_and_cannot_be_read_is_told() {
    let (_, said) = Post::open(&Notify::default(), "", Some("{"));
    assert!(said[0].starts_with("notify: what waited cannot be read: "), "{said:?}");
}
