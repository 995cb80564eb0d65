use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use super::*;
use proptest::prelude::*;

const BEFORE_1_52: &str = r#"{"LayersSize":1000,
    "Images":[{"Id":"sha256:a","Size":700,"SharedSize":100,"Containers":1},
              {"Id":"sha256:b","Size":500,"SharedSize":100,"Containers":0},
              {"Id":"sha256:c","Size":-1,"SharedSize":-1,"Containers":1}],
    "Containers":[{"SizeRw":5,"State":"running"},{"SizeRw":7,"State":"exited"},{"State":"dead"}],
    "Volumes":[{"Name":"v","UsageData":{"Size":30,"RefCount":0}},
               {"Name":"w","UsageData":{"Size":40,"RefCount":2}},
               {"Name":"x","UsageData":{"Size":-1,"RefCount":-1}},{"Name":"y"}],
    "BuildCache":[{"Size":11,"InUse":true,"Shared":false},{"Size":13,"InUse":false,"Shared":false},
                  {"Size":17,"InUse":false,"Shared":true}],"BuilderSize":41}"#;

proptest! {
    #[test]
    fn no_answer_makes_it_panic(
        at in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
        head in "HTTP/1.1 200 OK\r\n(Content-Length: [0-9]{1,20}\r\n|Transfer-Encoding: chunked\r\n)?\r\n",
    ) {
        let mut answer = [head.as_bytes(), b"3f0\r\n", BEFORE_1_52.as_bytes()].concat();
        let at = at.index(answer.len());
        answer[at] = byte;
        for answer in [&answer[..], &answer[..at]] {
            if let Ok(body) = http::body(answer) {
                prop_assert!(body.len() <= answer.len());
                drop(parse(&body));
            }
        }
    }
}

const fn share(count: u64, bytes: u64, reclaimable: u64) -> Share {
    Share { count, bytes, reclaimable }
}

#[test]
fn objects_are_added_up_as_docker_does() {
    let usage = Usage {
        images: share(3, 1000, 400),
        containers: share(3, 12, 7),
        volumes: share(4, 70, 30),
        build_cache: share(3, 24, 13),
    };
    assert_eq!(parse(BEFORE_1_52.as_bytes()), Ok(usage));
}

#[test]
fn sums_are_taken_where_the_engine_has_them() {
    let text = r#"{"ImageUsage":{"ActiveCount":1,"TotalCount":2,"TotalSize":9,"Reclaimable":4},
        "ContainerUsage":{"TotalCount":1},"Images":null}"#;
    let usage = Usage { images: share(2, 9, 4), containers: share(1, 0, 0), ..Usage::default() };
    assert_eq!(parse(text.as_bytes()), Ok(usage));
}

#[test]
fn nothing_is_nothing_and_garbage_is_said_so() {
    assert_eq!(parse(b"{}"), Ok(Usage::default()));
    for garbage in [&b""[..], b"null", b"{\"Images\":7}", b"{\"Images\":[", b"\xff"] {
        let why = parse(garbage).unwrap_err();
        assert!(why.starts_with("its answer is not understood: "), "{why}");
    }
}

/// A socket whose listener answers once with these bytes, or with nothing for as long as it lives.
fn engine(
    answer: Option<&'static str>,
) -> (tempfile::TempDir, PathBuf, std::thread::JoinHandle<String>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("docker.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let serve = move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if stream.read_exact(&mut byte).is_err() {
                break;
            }
            asked.extend(byte);
        }
        match answer {
            Some(answer) => stream.write_all(answer.as_bytes()).unwrap(),
            None => drop(std::io::copy(&mut stream, &mut std::io::sink())),
        }
        String::from_utf8_lossy(&asked).into_owned()
    };
    let thread = std::thread::Builder::new().spawn(serve).unwrap();
    (dir, path, thread)
}

fn at(seconds: u64) -> BootTime {
    BootTime::from_micros(seconds * 1_000_000)
}

/// Lets the asking thread come to its end.
fn wait(docker: &mut Docker, now: BootTime) -> Reading {
    let mut reading = Reading::default();
    for _ in 0..5000 {
        docker.tell(now, &mut reading);
        if !docker.is_waiting() {
            return reading;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    panic!("no outcome");
}

#[test]
fn an_engine_is_asked_and_what_it_says_stays_until_the_next_answer() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n\
        {\"LayersSize\":1000,\"Images\":[]}";
    let (_dir, path, thread) = engine(Some(answer));
    let mut docker = Docker::default();
    docker.ask(&path, at(0));
    assert!(docker.is_waiting());
    let first = wait(&mut docker, at(1));
    assert!(thread.join().unwrap().starts_with("GET /system/df HTTP/1.1\r\nHost: "));
    assert_eq!(first.blind, Vec::<String>::new());
    let images = &first.things[0];
    assert_eq!((images.labels.get("type"), images.value), ("images", 1000.0));
    assert_eq!(wait(&mut docker, at(300)).things, first.things);
}

#[test]
fn a_silent_engine_keeps_nobody_waiting_and_is_asked_less_often() {
    let (_dir, path, thread) = engine(None);
    let mut docker = Docker::default();
    docker.ask(&path, at(0));
    let mut reading = Reading::default();
    docker.tell(at(30), &mut reading);
    assert!(docker.is_waiting() && reading.things.is_empty());
    let late = wait(&mut docker, at(61));
    assert_eq!(late.blind, ["docker: it gave no answer in time"]);
    thread.join().unwrap();
    for _ in 0..2 {
        docker.ask(&path, at(100));
        assert!(!docker.is_waiting(), "it is left alone for two readings");
    }
    docker.ask(&path, at(100));
    assert_eq!(wait(&mut docker, at(100)).blind.len(), 1, "nobody listens any more");
}

#[test]
fn a_machine_without_docker_has_nothing_to_say() {
    let mut docker = Docker::default();
    docker.ask(Path::new("/nonexistent/docker.sock"), at(0));
    let reading = wait(&mut docker, at(0));
    assert_eq!((reading.things.len(), reading.blind.len()), (0, 0));
}

#[test]
fn an_engine_that_refuses_is_told() {
    let (_dir, path, thread) = engine(Some("HTTP/1.1 403 Forbidden\r\n\r\n"));
    let mut docker = Docker::default();
    docker.ask(&path, at(0));
    assert_eq!(wait(&mut docker, at(1)).blind, ["docker: it answers with status 403"]);
    thread.join().unwrap();
}
