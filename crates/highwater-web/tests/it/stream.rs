//! `/api/highwater/v1/stream`, as whoever follows a recording reads it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use highwater_web::{Progress, Question, Teller, Untold};
use tokio::time::Instant;

use crate::served::{HANGS, Served, rest, status};

/// So many may follow.
const PLACES: usize = 32;

/// A recording to which the test adds.
#[derive(Default)]
struct Growing(Arc<AtomicU64>);

impl Teller for Growing {
    fn tell(&self, _: &Question) -> Result<Vec<u8>, Untold> {
        Err(Untold::Failed("nothing else is asked".to_owned()))
    }

    fn progress(&self) -> Option<Progress> {
        Some(Progress { samples: self.0.load(Ordering::SeqCst), events: 3, alerts: 0 })
    }
}

/// A history that nobody records any more.
struct Still;

impl Teller for Still {
    fn tell(&self, _: &Question) -> Result<Vec<u8>, Untold> {
        Err(Untold::Failed("nothing else is asked".to_owned()))
    }

    fn progress(&self) -> Option<Progress> {
        None
    }
}

const PATH: &str = "/api/highwater/v1/stream";

/// Somebody who follows: the lines of the answer, its head read.
struct Follower(BufReader<TcpStream>);

impl Follower {
    fn of(web: &Served) -> Self {
        let mut stream = web.connect();
        write!(stream, "GET {PATH} HTTP/1.1\r\nHost: {}\r\n\r\n", web.at).unwrap();
        let mut follower = Self(BufReader::new(stream));
        let head = follower.until("\r\n");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(head.contains("content-type: text/event-stream\r\n"), "{head}");
        assert!(head.contains("cache-control: no-store\r\n"), "{head}");
        follower
    }

    /// All that comes up to a line that is `last`, or to the end.
    fn until(&mut self, last: &str) -> String {
        let mut all = String::new();
        loop {
            let before = all.len();
            let count = self.0.read_line(&mut all).expect("the stream hangs");
            if count == 0 || all.get(before..) == Some(last) {
                return all;
            }
        }
    }

    /// The next data that comes.
    fn data(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).expect("the stream hangs") > 0, "it ended");
            if let Some(data) = line.strip_prefix("data: ") {
                return data.trim().to_owned();
            }
        }
    }
}

#[test]
fn whoever_follows_is_told_how_far_it_is_and_then_what_is_new() {
    let count = Arc::<AtomicU64>::default();
    let web = Served::telling(Growing(Arc::clone(&count)));
    let mut follower = Follower::of(&web);
    let retry = follower.until("\n");
    assert!(retry.contains("retry: 3000\n"), "{retry}");
    assert_eq!(follower.data(), r#"{"samples":0,"events":3,"alerts":0}"#);
    // Two before the next look are one piece of news.
    count.store(1, Ordering::SeqCst);
    count.store(2, Ordering::SeqCst);
    assert_eq!(follower.data(), r#"{"samples":2,"events":3,"alerts":0}"#);
    let begun = Instant::now();
    count.store(3, Ordering::SeqCst);
    assert_eq!(follower.data(), r#"{"samples":3,"events":3,"alerts":0}"#);
    assert!(begun.elapsed() > Duration::from_secs(1), "{:?}", begun.elapsed());
    web.end();
}

#[test]
fn a_quiet_stream_is_kept_open_by_comments() {
    let web = Served::telling(Growing::default());
    let mut follower = Follower::of(&web);
    follower.data();
    let quiet = follower.until(": nothing new\n");
    assert!(!quiet.contains("data:"), "{quiet}");
    web.end();
}

#[test]
fn so_many_may_follow_and_the_next_is_told_what_to_do_instead() {
    let web = Served::telling(Growing::default());
    let mut followers: Vec<Follower> = (0..PLACES).map(|_| Follower::of(&web)).collect();
    let refused = web.get(PATH, "");
    assert_eq!(status(&refused), "503");
    assert!(refused.contains("retry-after: 60\r\n"), "{refused}");
    assert!(refused.contains("32 follow already"), "{refused}");
    // Everything else is answered as ever.
    web.lives();
    // A place is free again when its holder has gone.
    followers.pop();
    let begun = Instant::now();
    while !follows(&web) {
        assert!(begun.elapsed() < HANGS, "the place stays taken");
        thread::yield_now();
    }
    web.end();
}

/// Whether there is a place to follow from.
fn follows(web: &Served) -> bool {
    let mut stream = web.connect();
    write!(stream, "GET {PATH} HTTP/1.1\r\nHost: {}\r\n\r\n", web.at).unwrap();
    let mut first = String::new();
    BufReader::new(stream).read_line(&mut first).unwrap();
    status(&first) == "200"
}

#[test]
fn it_ends_with_the_server_and_at_once() {
    let web = Served::telling(Growing::default());
    let mut followers: Vec<Follower> = (0..4).map(|_| Follower::of(&web)).collect();
    for follower in &mut followers {
        follower.data();
    }
    let begun = Instant::now();
    let read = |mut follower: Follower| {
        let reader = thread::Builder::new().name("follower".into());
        reader.spawn(move || rest(&mut follower.0)).unwrap()
    };
    let ends: Vec<_> = followers.into_iter().map(read).collect();
    web.end();
    assert!(begun.elapsed() < Duration::from_millis(900), "{:?}", begun.elapsed());
    for end in ends {
        // The last chunk of an answer that came to its end.
        let end = String::from_utf8(end.join().unwrap()).unwrap();
        assert!(end.ends_with("0\r\n\r\n"), "{end:?}");
    }
}

#[test]
fn a_history_says_that_nothing_comes() {
    let web = Served::telling(Still);
    let answer = web.get(PATH, "");
    assert_eq!(status(&answer), "200");
    assert!(answer.contains("content-type: text/event-stream\r\n"), "{answer}");
    assert!(answer.contains("event: still\ndata: {\"why\":"), "{answer}");
    web.end();
}

#[test]
fn a_head_takes_no_place_and_other_pages_may_not_follow() {
    let web = Served::telling(Growing::default());
    let head = web.ask(&format!("HEAD {PATH} HTTP/1.1\r\nHost: {}\r\n\r\n", web.at));
    assert_eq!(status(&head), "200");
    assert_eq!(status(&web.get(PATH, "Sec-Fetch-Site: cross-site\r\n")), "403");
    web.end();
}
