//! PromQL over a data directory, as it is typed.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;

use serde_json::{Value, json};

use crate::exits::highwater;
use crate::leaks::{Imported, creep};

/// The end of what was imported.
const END: &str = "2024-04-29";

#[test]
fn one_moment_is_answered_as_text_json_and_csv() {
    let imported = Imported::new(&creep());
    let total = "count(container_memory_rss)";
    let said = imported.answer("query", &[total, "--at", END]);
    assert_eq!(said, "{} 2 @ 2024-04-29T00:00:00.000Z\n");
    let told: Value =
        serde_json::from_str(&imported.answer("query", &[total, "--at", END, "--json"])).unwrap();
    let result = json!([{"metric": {}, "value": [1_714_348_800, "2"]}]);
    let data = json!({"resultType": "vector", "result": result});
    assert_eq!(told, json!({"status": "success", "data": data}));
    let names = "count by (name) (container_memory_rss)";
    let table = imported.answer("query", &[names, "--at", END, "--csv"]);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines[0], "name,time,value");
    assert!(lines.contains(&"collector,2024-04-29T00:00:00.000Z,1"), "{table}");
}

#[test]
fn a_range_has_figures_a_curve_and_every_sample() {
    let imported = Imported::new(&creep());
    let collector = r#"container_memory_rss{name="collector"}"#;
    let range = ["--start", "2024-04-28", "--end", END];
    let ask = |more: &[&str]| imported.answer("query", &[&[collector][..], &range, more].concat());
    assert!(ask(&[]).contains("highest"));
    assert!(ask(&["--plot"]).contains("2024-04-29 00:00 UTC"));
    let told: Value = serde_json::from_str(&ask(&["--step", "1h", "--json"])).unwrap();
    assert_eq!(told["data"]["result"][0]["values"].as_array().unwrap().len(), 25);
    assert_eq!(ask(&["--step", "1h", "--csv"]).lines().count(), 26);
}

#[test]
fn what_has_no_answer_is_told() {
    let imported = Imported::new(&creep());
    let failed = |args: &[&str]| {
        let done = imported.run("query", args);
        assert_eq!(done.status.code(), Some(1), "{args:?}");
        String::from_utf8(done.stderr).unwrap()
    };
    assert!(failed(&["rate(up"]).contains("the query has no answer"));
    let many = ["up", "--start", "2024-04-01", "--end", END, "--step", "1s"];
    assert!(failed(&many).contains("exceeded maximum resolution"));
    let late = failed(&["up", "--start", END, "--end", "2024-04-28"]);
    assert!(late.contains("nothing lies between"), "{late}");
    let ambiguous = "container_memory_rss + on() container_memory_rss";
    assert!(failed(&[ambiguous, "--at", END]).contains("many-to-many"));
    assert_eq!(imported.run("query", &["up", "--json", "--csv"]).status.code(), Some(64));
    assert_eq!(imported.run("query", &["up", "--plot"]).status.code(), Some(64));
    let nothing = imported.answer("query", &["no_such_series", "--at", END]);
    assert!(nothing.contains("no series"), "{nothing}");
}

#[test]
fn a_server_is_asked_in_place_of_the_recording() {
    const ANSWER: &str = r#"{"status":"success","data":{"resultType":"scalar","result":[4,"7"]}}"#;
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", server.local_addr().unwrap());
    let asked = std::thread::Builder::new().spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let lower = line.to_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            head += &line;
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let size = ANSWER.len();
        let head_back = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n{ANSWER}");
        stream.write_all(head_back.as_bytes()).unwrap();
        (head, String::from_utf8(body).unwrap())
    });
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, "secret\n").unwrap();
    let done = highwater(&["query", "1 + 6", "--at", "1714348800", "--source", &url])
        .args(["--token-file", token.to_str().unwrap()])
        .output()
        .unwrap();
    let (head, body) = asked.unwrap().join().unwrap();
    assert!(head.starts_with("POST /api/v1/query HTTP/1.1"), "{head}");
    assert!(head.to_lowercase().contains("authorization: bearer secret"), "{head}");
    assert_eq!(body, "query=1+%2B+6&time=1714348800.000");
    assert_eq!(String::from_utf8(done.stdout).unwrap(), "scalar 7 @ 1970-01-01T00:00:04.000Z\n");
}

#[test]
fn the_manual_shows_real_output() {
    Imported::new(&creep()).manual("query", 3);
}
