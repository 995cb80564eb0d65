//! A daemon that answers as it is told to, and all the ways in which one does not answer.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Mutex;
use std::thread;

use highwater_core::testimony::{ContainerWord, Fact};
use highwater_core::time::WallTime;
use tempfile::TempDir;

use super::*;
use crate::told::Told;

const VERSION: &str = r#"{"Version":"28.2.2","Components":[{"Name":"Engine"}]}"#;
const EVENTS: &str = include_str!("../../../../fixtures/docker/events.jsonl");
const HOG: &str = include_str!("../../../../fixtures/docker/inspect-oom.json");
const KEEPER: &str = include_str!("../../../../fixtures/docker/inspect-keeper.json");

const QUICK: Patience = Patience {
    short: Duration::from_millis(200),
    inspection: Duration::from_millis(200),
    list: Duration::from_millis(200),
    replay: Duration::from_millis(100),
    silence: Duration::from_millis(200),
    relist: Duration::from_mins(1),
    overdue: Duration::from_millis(200),
};

/// What a daemon does when it is asked.
enum Answer {
    /// Says this, and is done.
    Body(String),
    /// Says this much of an endless answer, and then nothing.
    Open(String),
    /// The same, but the connection breaks.
    Broken(String),
    /// This much of an endless answer again and again.
    Again(String),
    /// These very bytes.
    Raw(Vec<u8>),
    /// Nothing, for ever.
    Never,
}

/// Answers each connection's one question until the test ends.
fn daemon(answer: impl Fn(&str) -> Answer + Send + 'static) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("docker.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let serve = move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let path = asked(&mut stream);
            let answer = answer(&path);
            if let Answer::Again(text) = &answer {
                let chunk = format!("{:x}\r\n{text}\r\n", text.len()).into_bytes();
                let again = stream.try_clone().unwrap();
                thread::Builder::new()
                    .name("chatter".to_owned())
                    .spawn(move || repeat(again, &chunk))
                    .unwrap();
            }
            let (bytes, stays) = bytes(answer);
            // The other side may be gone already: that is its right.
            drop(stream.write_all(&bytes));
            if stays {
                held.push(stream);
            }
        }
    };
    thread::Builder::new().name("daemon".to_owned()).spawn(serve).unwrap();
    (dir, socket)
}

/// Until nobody listens.
fn repeat(mut stream: UnixStream, chunk: &[u8]) {
    loop {
        thread::sleep(Duration::from_millis(10));
        if stream.write_all(chunk).is_err() {
            return;
        }
    }
}

fn asked(stream: &mut UnixStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap();
    head.split(' ').nth(1).unwrap_or_default().to_owned()
}

fn bytes(answer: Answer) -> (Vec<u8>, bool) {
    let head = |more: &str| {
        format!("HTTP/1.1 200 OK\r\nDate: Sat, 21 Nov 2026 10:00:00 GMT\r\n{more}\r\n\r\n")
    };
    let open = |text: &str| {
        let chunk =
            if text.is_empty() { String::new() } else { format!("{:x}\r\n{text}\r\n", text.len()) };
        format!("{}{chunk}", head("Transfer-Encoding: chunked")).into_bytes()
    };
    match answer {
        Answer::Body(body) => (
            format!("{}{body}", head(&format!("Content-Length: {}", body.len()))).into_bytes(),
            false,
        ),
        Answer::Open(text) => (open(&text), true),
        Answer::Again(_) => (open(""), true),
        Answer::Broken(text) => (open(&text), false),
        Answer::Raw(bytes) => (bytes, false),
        Answer::Never => (Vec::new(), true),
    }
}

/// Listens until the daemon is heard no more.
fn all(socket: &std::path::Path, since: Option<u64>) -> (Vec<Heard>, Absent, Arc<Directory>) {
    within(QUICK, socket, since)
}

/// The same, with other time-outs.
fn within(
    patience: Patience,
    socket: &std::path::Path,
    since: Option<u64>,
) -> (Vec<Heard>, Absent, Arc<Directory>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let directory = Arc::new(Directory::new());
    let heard = RefCell::new(Vec::new());
    let out = |word| heard.borrow_mut().push(word);
    let engine = Engine::at(socket.to_owned());
    let absent = runtime.block_on(listen(engine, patience, since, Arc::clone(&directory), &out));
    (heard.into_inner(), absent, directory)
}

fn told(heard: &[Heard]) -> Vec<&Told> {
    let told = heard.iter().filter_map(|word| match word {
        Heard::Told(told) => Some(told.as_ref()),
        _ => None,
    });
    told.collect()
}

fn missed(heard: &[Heard]) -> Vec<&Missed> {
    let missed = heard.iter().filter_map(|word| match word {
        Heard::Missed(missed) => Some(missed),
        _ => None,
    });
    missed.collect()
}

/// One that has the recorded events and two containers, and then falls silent.
fn recorded(path: &str) -> Answer {
    let id = |body: &str| {
        serde_json::from_str::<Value>(body).unwrap()["Id"].as_str().unwrap().to_owned()
    };
    match path {
        "/version" => Answer::Body(VERSION.to_owned()),
        "/containers/json?all=1" => Answer::Body(format!(
            r#"[{{"Id":"{}","Names":["/hog"]}},{{"Id":"{}","Names":["/keeper"]}}]"#,
            id(HOG),
            id(KEEPER)
        )),
        path if path.contains(&id(HOG)) => Answer::Body(HOG.to_owned()),
        path if path.contains(&id(KEEPER)) => Answer::Body(KEEPER.to_owned()),
        path if path.starts_with("/events?since=1&until") => Answer::Body(String::new()),
        path if path.starts_with("/events") => Answer::Open(EVENTS.to_owned()),
        _ => Answer::Never,
    }
}

#[test]
fn the_past_is_told_and_what_no_event_told_is_added() {
    let (_dir, socket) = daemon(recorded);
    let (heard, absent, directory) = all(&socket, None);
    assert_eq!(heard.first(), Some(&Heard::Here("Docker 28.2.2".to_owned())));
    assert_eq!(absent.why, "docker.sock did not answer /_ping within 200ms");
    assert!(missed(&heard).is_empty(), "nobody listened before: there is no hole");
    let told = told(&heard);
    let keys: std::collections::BTreeSet<&str> =
        told.iter().map(|told| told.key.as_str()).collect();
    assert_eq!(keys.len(), told.len(), "each once");
    let hog = told.iter().find(|told| {
        told.key.ends_with(":die")
            && told.testimony.about.owner == Some(Owner::Container("hog".to_owned()))
    });
    let word = ContainerWord::Died { code: Some(137), oom: Some(true) };
    assert_eq!(hog.unwrap().testimony.fact, Fact::Container(word));
    let caught = heard.iter().position(|word| *word == Heard::Caught);
    assert_eq!(caught, Some(heard.len() - 1), "only then, and once");
    // Its last start came after the events that are recorded, its end among them.
    let last = told.last().unwrap();
    assert!(last.key.starts_with("docker:seen-") && last.key.ends_with(":start"), "{}", last.key);
    let id = last.testimony.about.container_id.as_ref().unwrap();
    assert_eq!(directory.owner_of_container(id), Owner::Container("keeper".to_owned()));
}

#[test]
fn a_hole_is_named_where_there_is_one() {
    let (_dir, socket) = daemon(recorded);
    // The first of the recorded events is known: whatever came after it is here.
    let first = 1_795_253_192_146_603_488;
    assert!(missed(&all(&socket, Some(first)).0).is_empty());
    let (heard, ..) = all(&socket, Some(first - 60_000_000_000));
    let missed = missed(&heard);
    let [hole] = missed.as_slice() else { panic!("{missed:?}") };
    assert_eq!(hole.from, WallTime::from_millis(1_795_253_132_146));
    assert_eq!(hole.until, WallTime::from_millis(1_795_253_192_146));
    assert!(hole.why.starts_with("docker.sock no longer has its events of that time"));
}

#[test]
fn events_of_other_kinds_show_that_there_is_no_hole() {
    let (_dir, socket) = daemon(|path| match path {
        path if path.starts_with("/events?since=1&until") => {
            Answer::Body("{\"Type\":\"network\",\"timeNano\":1795253000000000000}\n".to_owned())
        }
        path => recorded(path),
    });
    assert!(missed(&all(&socket, Some(1_795_253_100_000_000_000)).0).is_empty());
}

#[test]
fn a_daemon_that_never_answers_is_absent() {
    for silent in ["/version", "/events", "/containers/json"] {
        let (_dir, socket) = daemon(move |path| match path {
            path if path.starts_with(silent) => Answer::Never,
            path => recorded(path),
        });
        let (heard, absent, _) = all(&socket, None);
        assert!(heard.is_empty(), "{heard:?}");
        assert!(absent.why.contains("did not answer /"), "{}", absent.why);
    }
}

#[test]
fn a_socket_that_nobody_reads_is_absent() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("docker.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    assert!(all(&socket, None).1.why.contains("did not answer /version within"));
}

#[test]
fn inspections_that_hang_cost_what_they_would_have_said() {
    let (_dir, socket) = daemon(|path| match path {
        path if path.starts_with("/containers/") && !path.starts_with("/containers/json") => {
            Answer::Never
        }
        path => recorded(path),
    });
    let (heard, ..) = all(&socket, None);
    let died = told(&heard).into_iter().filter(|told| told.key.ends_with(":die"));
    assert_eq!(died.count(), EVENTS.matches(r#""Action":"die""#).count());
}

#[test]
fn what_the_daemon_dropped_is_found_in_its_list() {
    // Of the second container no event comes, and only the second list has it.
    let lists = Mutex::new(0);
    let (_dir, socket) = daemon(move |path| {
        let mut lists = lists.lock().unwrap();
        match path {
            "/containers/json?all=1" => {
                *lists += 1;
                match *lists {
                    1 => Answer::Body("[]".to_owned()),
                    3 => Answer::Never,
                    _ => recorded(path),
                }
            }
            path if path.starts_with("/events?since=1&until") => recorded(path),
            path if path.starts_with("/events") => Answer::Open(String::new()),
            path => recorded(path),
        }
    });
    let patience = Patience { relist: Duration::from_millis(50), ..QUICK };
    let (heard, ..) = within(patience, &socket, None);
    let told = told(&heard);
    let keys: std::collections::BTreeSet<_> = told.iter().map(|told| &told.key).collect();
    assert_eq!((told.len(), keys.len()), (4, 4), "each start and end once: {keys:?}");
    assert!(matches!(heard.get(1), Some(Heard::Caught)), "after the past: {heard:?}");
}

/// The list of both containers, the second of which has this status.
fn list(keeper: &str) -> Answer {
    let Answer::Body(body) = recorded("/containers/json?all=1") else { unreachable!() };
    let hog = r#"["/hog"],"State":"exited","Status":"Exited (137) 2 hours ago""#;
    let keeper = format!(r#"["/keeper"],"State":"running","Status":"{keeper}""#);
    Answer::Body(body.replace(r#"["/hog"]"#, hog).replace(r#"["/keeper"]"#, &keeper))
}

#[test]
fn only_what_changed_is_inspected_again() {
    let inspected = Arc::new(Mutex::new(Vec::new()));
    let (noted, lists) = (Arc::clone(&inspected), Mutex::new(0));
    let (_dir, socket) = daemon(move |path| match path {
        "/containers/json?all=1" => {
            let mut lists = lists.lock().unwrap();
            *lists += 1;
            match *lists {
                1..=3 => list("Up 2 hours"),
                4 => list("Up 4 seconds"),
                _ => Answer::Never,
            }
        }
        path if path.starts_with("/containers/") => {
            noted.lock().unwrap().push((*lists.lock().unwrap(), path.to_owned()));
            recorded(path)
        }
        path if path.starts_with("/events") => Answer::Open(String::new()),
        path => recorded(path),
    });
    // Only the fifth list has to be waited for in vain.
    let slow = Duration::from_secs(5);
    let relist = Duration::from_millis(50);
    let patience =
        Patience { short: slow, inspection: slow, list: Duration::from_secs(1), relist, ..QUICK };
    within(patience, &socket, None);
    let inspected: Vec<i32> = inspected.lock().unwrap().iter().map(|(list, _)| *list).collect();
    assert_eq!(inspected, [1, 1, 4]);
}

#[test]
fn a_list_that_fails_does_not_end_the_stream() {
    let lists = Mutex::new(0);
    let (_dir, socket) = daemon(move |path| {
        let mut lists = lists.lock().unwrap();
        match path {
            "/containers/json?all=1" => {
                *lists += 1;
                match *lists {
                    1 => Answer::Body("[]".to_owned()),
                    2 | 3 => Answer::Raw(REFUSES.to_vec()),
                    4 => recorded(path),
                    _ => Answer::Never,
                }
            }
            "/_ping" if *lists < 5 => Answer::Body("OK".to_owned()),
            path if path.starts_with("/events") => Answer::Open(String::new()),
            path => recorded(path),
        }
    });
    let patience = Patience { relist: Duration::from_millis(50), ..QUICK };
    let (heard, absent, _) = within(patience, &socket, None);
    assert_eq!(told(&heard).len(), 4, "of the fourth list");
    let missed = missed(&heard);
    let [hole] = missed.as_slice() else { panic!("once: {missed:?}") };
    assert!(hole.why.contains("answers 500 Internal Server Error to /containers/json"));
    assert!(absent.why.contains("did not answer /_ping"), "{}", absent.why);
}

#[test]
fn what_is_due_is_done_though_events_never_pause() {
    let lists = Mutex::new(0);
    let event = r#"{"Type":"container","Action":"health_status: healthy","Actor":{"ID":"aa","Attributes":{"name":"busy"}},"timeNano":1795255300000000000}"#;
    let (_dir, socket) = daemon(move |path| {
        let mut lists = lists.lock().unwrap();
        match path {
            "/containers/json?all=1" => {
                *lists += 1;
                match *lists {
                    1 => Answer::Body("[]".to_owned()),
                    2 => recorded(path),
                    _ => Answer::Never,
                }
            }
            path if path.starts_with("/events") => Answer::Again(format!("{event}\n")),
            path => recorded(path),
        }
    });
    let patience = Patience { relist: Duration::from_millis(50), ..QUICK };
    let (heard, ..) = within(patience, &socket, None);
    let told = told(&heard);
    assert!(told.iter().any(|told| told.key.contains("health")), "{told:?}");
    let seen = told.iter().filter(|told| told.key.starts_with("docker:seen-"));
    assert_eq!(seen.count(), 4, "of the second list");
}

#[test]
fn a_daemon_that_is_too_slow_is_not_waited_for_at_each_event() {
    let mut late = Late::default();
    let tries = |late: &mut Late, answers: bool| {
        let tried = (0..UNINSPECTED).filter(|_| {
            let may = late.may_inspect();
            if may {
                late.note(answers);
            }
            may
        });
        u32::try_from(tried.count()).unwrap()
    };
    assert_eq!(tries(&mut late, true), UNINSPECTED);
    assert_eq!(tries(&mut late, false), MOST_FAILURES);
    assert_eq!(tries(&mut late, false), 1, "now and then it is tried");
    while tries(&mut late, true) == 0 {}
    assert_eq!(tries(&mut late, true), UNINSPECTED, "it answers again");
    assert!(!late.note(true));
    (0..MOST_FAILURES).for_each(|_| assert!(!late.note(false)));
    assert!(late.note(true) && !late.note(true), "then the list is looked at once");
}

#[test]
fn garbage_among_the_events_is_left_out() {
    let lines = format!(
        "{{\n\u{0}\nnull\n{}\n{}",
        "x".repeat(lines::LONGEST * 3),
        EVENTS.lines().take(5).collect::<Vec<_>>().join("\n")
    );
    let (_dir, socket) = daemon(move |path| match path {
        path if path.starts_with("/events") => Answer::Broken(lines.clone()),
        "/containers/json?all=1" => Answer::Body("[".repeat(9_000)),
        path => recorded(path),
    });
    let (heard, absent, _) = all(&socket, None);
    // The last line has no end: it may be half of one.
    assert_eq!(told(&heard).len(), 3);
    assert!(missed(&heard).iter().any(|missed| missed.why.contains("an event of more than")));
    assert_eq!(absent.why, "docker.sock ended the stream of events");
}

const REFUSES: &[u8] = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n";

#[test]
fn what_is_no_daemon_is_absent() {
    let absent = |answer: fn() -> Answer| {
        let (_dir, socket) = daemon(move |_| answer());
        let (heard, absent, _) = all(&socket, None);
        assert!(heard.is_empty(), "{heard:?}");
        absent.why
    };
    assert_eq!(
        absent(|| Answer::Body("<html>".to_owned())),
        "docker.sock answers, but not as Docker does"
    );
    let refused = absent(|| Answer::Raw(REFUSES.to_vec()));
    assert_eq!(refused, "docker.sock answers 500 Internal Server Error to /version");
    assert!(absent(|| Answer::Raw(b"\0\xff\r\n\r\n".to_vec())).starts_with("docker.sock: "));
    assert!(absent(|| Answer::Raw(Vec::new())).starts_with("docker.sock: "));
    let huge = absent(|| Answer::Body(" ".repeat(MOST_SMALL + 1)));
    assert_eq!(huge, format!("an answer of more than {MOST_SMALL} bytes"));
    let cut = absent(|| Answer::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{".to_vec()));
    assert!(cut.starts_with("an answer broke off: "), "{cut}");
}

#[test]
fn without_a_socket_it_is_absent() {
    let dir = tempfile::tempdir().unwrap();
    let none = dir.path().join("docker.sock");
    assert!(all(&none, None).1.why.starts_with("there is no socket at "));
    drop(UnixListener::bind(&none).unwrap());
    assert!(all(&none, None).1.why.starts_with("nobody listens at "));
}

#[test]
fn the_daemon_says_who_it_is() {
    let podman = br#"{"Version":"5.2.1","Components":[{"Name":"Podman Engine"}]}"#;
    let of = |body: &[u8]| Daemon::parse(body, "docker.sock");
    let docker = Daemon { words: "Docker 28.2.2".to_owned(), is_podman: false };
    assert_eq!(of(VERSION.as_bytes()).unwrap(), docker);
    let expected = Daemon { words: "Podman 5.2.1".to_owned(), is_podman: true };
    assert_eq!(of(podman).unwrap(), expected);
    for body in [&b""[..], b"{}", b"<html>", b"{\"Version\":7}"] {
        assert_eq!(of(body).unwrap_err().why, "docker.sock answers, but not as Docker does");
    }
}

#[test]
fn podman_is_asked_in_its_own_words() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&asked);
    let (_dir, socket) = daemon(move |path| {
        noted.lock().unwrap().push(path.to_owned());
        match path {
            "/version" => Answer::Body(VERSION.replace("Engine", "Podman Engine")),
            path => recorded(path),
        }
    });
    let (heard, ..) = all(&socket, None);
    assert_eq!(heard.first(), Some(&Heard::Here("Podman 28.2.2".to_owned())));
    all(&socket, Some(5_000_000_007));
    let asked = asked.lock().unwrap();
    let events: Vec<&String> = asked.iter().filter(|path| path.starts_with("/events")).collect();
    let filters = "filters=%7b%22type%22%3a%5b%22container%22%5d%7d";
    let expected = [format!("/events?{filters}"), format!("/events?since=4.000000007&{filters}")];
    assert_eq!(events, expected.iter().collect::<Vec<_>>());
}
