//! Rules gone through a history, as it is typed.

use std::path::PathBuf;
use std::process::Output;

use serde_json::Value;

use crate::exits::highwater;
use crate::leaks::{Imported, creep};
use crate::serve::Served;

const RULES: &str = r#"groups:
  - name: g
    rules:
      - record: held:bytes
        expr: sum by (name) (container_memory_rss)
      - alert: Leak
        expr: highwater_growth_bytes_per_hour{verdict="leak"} > 0
        for: 15m
      - alert: Large
        expr: held:bytes{name="gateway"} > 1e10
      - alert: Slip
        expr: container_memory_rss{name="colector"} > 1
"#;

fn written(imported: &Imported, name: &str, text: &str) -> PathBuf {
    let path = imported.data().with_file_name(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn backtest(imported: &Imported, text: &str, more: &[&str]) -> Output {
    let rules = written(imported, "r.yml", text);
    let mut command = highwater(&["rules", "backtest", "--rules"]);
    command.arg(rules).args(more);
    if !more.contains(&"--source") {
        command.arg("--data-dir").arg(imported.data());
    }
    command.output().unwrap()
}

fn document(done: &Output) -> Value {
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

fn rule<'d>(told: &'d Value, alert: &str) -> &'d Value {
    let all = told["rules"].as_array().unwrap();
    all.iter().find(|rule| rule["alert"] == alert).unwrap()
}

#[test]
fn it_says_who_warned_and_why_others_did_not() {
    let imported = Imported::new(&creep());
    let told = document(&backtest(&imported, RULES, &["--json"]));
    assert_eq!((&told["schema"], told["rules"].as_array().unwrap().len()), (&1.into(), 3));
    let leak = rule(&told, "Leak");
    assert_eq!(leak["alerts"][0]["labels"]["name"], "collector");
    assert!(leak["alerts"][0]["ended_at"].is_null() && leak["why_not"] == Value::Array(vec![]));
    let large = &rule(&told, "Large")["why_not"][0];
    assert_eq!(large["kind"], "never-reached");
    let condition = &rule(&told, "Large")["conditions"][0];
    assert_eq!(condition["left"], r#"held:bytes{name="gateway"}"#);
    assert_eq!((&condition["op"], &condition["bound"]), (&">".into(), &"10000000000".into()));
    let slip = rule(&told, "Slip")["why_not"][0]["text"].as_str().unwrap();
    assert!(slip.ends_with(r#"its name is "collector", "gateway""#), "{slip}");
    let incidents = told["incidents"].as_array().unwrap();
    let growth = incidents.iter().find(|one| one["kind"] == "growth").unwrap();
    assert_eq!(
        (&growth["owner"], &growth["warned"][0]["alert"]),
        (&"collector".into(), &"Leak".into())
    );
    assert!(growth["warned"][0]["lead_seconds"].as_f64().unwrap() > 86_400.0);
    let restarts = incidents.iter().filter(|one| one["kind"] == "restart");
    assert_eq!(restarts.map(|one| one["owner"] == "gateway").collect::<Vec<_>>(), [true; 6]);
}

#[test]
fn a_server_is_gone_through_as_a_directory_is() {
    let imported = Imported::new(&creep());
    let served = Served::new(&imported);
    let range = ["--start", "2024-04-28", "--end", "2024-04-28T06:00:00Z", "--json"];
    let simple = RULES.replace(
        "highwater_growth_bytes_per_hour{verdict=\"leak\"} > 0",
        "max_over_time(container_memory_rss[1h]) > 4e8",
    );
    let here = document(&backtest(&imported, &simple, &range));
    let source = ["--source", &served.url];
    let there = document(&backtest(&imported, &simple, &[&range[..], &source].concat()));
    for (one, other) in
        here["rules"].as_array().unwrap().iter().zip(there["rules"].as_array().unwrap())
    {
        assert_eq!(one["alerts"], other["alerts"]);
    }
    assert!(rule(&there, "Leak")["fired"].as_bool().unwrap());
    served.end();
}

#[test]
fn a_page_is_told_of_a_rule_that_was_typed_and_of_one_that_ships() {
    let imported = Imported::new(&creep());
    let served = Served::new(&imported);
    let path = "/api/highwater/v1/backtest?start=1714262400&end=1714284000";
    let typed = served.json(&format!("{path}&expr=container_memory_rss%3E4e8&for=5m"));
    let rule = &typed["rules"][0];
    assert_eq!(
        (&rule["expr"], &rule["for_seconds"]),
        (&"container_memory_rss>4e8".into(), &300.0.into())
    );
    assert!(rule["fired"].as_bool().unwrap(), "{rule}");
    let shipped = served.json(&format!("{path}&rule=OomKill&scrape=60"));
    assert_eq!(shipped["scrape_seconds"], 60.0);
    assert_eq!(shipped["rules"].as_array().unwrap().len(), 1);
    assert_eq!(shipped["rules"][0]["why_not"][0]["kind"], "no-series");
    for (wrong, why) in [
        ("expr=up+%3D%3D", "unexpected end"),
        ("rule=Nobody", "no rule that is loaded is called Nobody"),
        ("start=1&end=2", "nothing is on record"),
        ("last=x", "last"),
    ] {
        let path = format!("/api/highwater/v1/backtest?{wrong}");
        let said = served.json(&path)["error"].as_str().unwrap_or_default().to_owned();
        assert!(said.contains(why), "{wrong}: {said}");
    }
    served.end();
}

#[test]
fn what_cannot_be_read_is_told_with_its_place() {
    let imported = Imported::new(&creep());
    let done =
        backtest(&imported, "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up ==\n", &[]);
    assert_eq!(done.status.code(), Some(1));
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(said.contains("r.yml:5:"), "{said}");
    let missing = highwater(&["rules", "backtest"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(64));
    let both = backtest(&imported, RULES, &["--start", "2024-04-29", "--end", "2024-04-28"]);
    assert_eq!(both.status.code(), Some(1));
    assert!(String::from_utf8(both.stderr).unwrap().contains("nothing lies between"));
}
