//! A history served over HTTP, as it is typed and asked.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::exits::highwater;
use crate::leaks::{Imported, creep, words};

/// `highwater serve` over an import.
pub(crate) struct Served {
    child: Child,
    greeting: String,
    pub(crate) url: String,
}

impl Served {
    pub(crate) fn new(imported: &Imported) -> Self {
        let mut command = highwater(&["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
        command.arg(imported.data()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut greeting = String::new();
        while !greeting.contains("Grafana") {
            assert!(said.read_line(&mut greeting).unwrap() > 0, "it ended: {greeting}");
        }
        let url = greeting.lines().find_map(|line| Some(line.split_once("http://")?.1)).unwrap();
        let url = format!("http://{}", url.split('/').next().unwrap());
        Self { child, greeting, url }
    }

    /// The body of an answer, also of one that is an error.
    fn get(&self, path: &str) -> String {
        let settings = ureq::Agent::config_builder().http_status_as_error(false);
        let agent = settings.build().new_agent();
        let answer = agent.get(format!("{}{path}", self.url)).call().unwrap();
        let mut text = String::new();
        answer.into_body().into_reader().read_to_string(&mut text).unwrap();
        text
    }

    pub(crate) fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.get(path)).unwrap()
    }

    /// Ends it as a service manager does.
    pub(crate) fn end(mut self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

/// Ends the server of a test that failed, too.
impl Drop for Served {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn an_import_is_served_until_it_is_ended() {
    let imported = Imported::new(&creep());
    let served = Served::new(&imported);
    let span = "2024-04-27T00:00:00.250Z to 2024-04-29T00:00:00.250Z";
    assert!(served.greeting.contains(span), "{}", served.greeting);
    let names = served.json("/api/v1/label/name/values");
    assert_eq!(names["data"], json!(["collector", "gateway"]));
    let count = "/api/v1/query?query=count(container_memory_rss)&time=1714348800";
    assert_eq!(served.json(count)["data"]["result"][0]["value"], json!([1_714_348_800, "2"]));
    let series = served.json("/api/v1/series?match[]=container_memory_cache");
    assert_eq!(series["data"].as_array().unwrap().len(), 2);
    let types = served.json("/api/v1/metadata?metric=container_memory_rss");
    assert_eq!(types["data"]["container_memory_rss"][0]["type"], "gauge");
    served.end();
}

#[test]
fn the_query_command_asks_it_as_it_asks_a_directory() {
    let imported = Imported::new(&creep());
    let served = Served::new(&imported);
    let query = "sum by (name) (rate(container_memory_rss[1h]))";
    let range = ["--start", "2024-04-28", "--end", "2024-04-29", "--step", "1h", "--json"];
    let here = imported.answer("query", &[&[query][..], &range].concat());
    let there = highwater(&["query", query, "--source", &served.url]).args(range).output().unwrap();
    assert_eq!(String::from_utf8(there.stdout).unwrap(), here);
    served.end();
}

#[test]
fn where_there_is_no_history_it_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let done = highwater(&["serve", "--data-dir", dir.path().to_str().unwrap()]).output().unwrap();
    assert_eq!(done.status.code(), Some(1));
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(said.contains("no recording in"), "{said}");
    assert_eq!(highwater(&["serve", "--listen", "here"]).output().unwrap().status.code(), Some(64));
    let imported = Imported::new(&creep());
    let served = Served::new(&imported);
    let taken = served.url.trim_start_matches("http://");
    let done = imported.run("serve", &["--listen", taken]);
    assert_eq!(done.status.code(), Some(1));
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(said.contains("choose another address with --listen"), "{said}");
    served.end();
}

/// What the manual shows is what curl prints. `TRYCMD=overwrite` writes it there.
#[test]
fn the_manual_shows_real_answers() {
    const PREFIX: &str = "$ curl -gs ";
    let imported = Imported::new(&creep());
    let served = Served::new(&imported);
    let path = format!("{}/../../docs/manual/http-api.md", env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(&path).unwrap();
    let (mut real, mut is_output, mut shown) = (String::new(), false, 0);
    for line in page.lines() {
        is_output &= line != "```";
        if !is_output {
            writeln!(real, "{line}").unwrap();
        }
        if let Some(typed) = line.strip_prefix(PREFIX) {
            let url = words(typed).into_iter().find(|word| word.starts_with("127.0.0.1:9478"));
            let path = url.unwrap().trim_start_matches("127.0.0.1:9478");
            writeln!(real, "{}", served.get(path)).unwrap();
            is_output = true;
            shown += 1;
        }
    }
    assert!(shown >= 8, "{shown}");
    if std::env::var("TRYCMD").is_ok_and(|way| way == "overwrite") {
        std::fs::write(&path, real).unwrap();
    } else {
        assert_eq!(real, page);
    }
    served.end();
}
