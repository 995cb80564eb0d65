//! Series of other programs go in, and come out as they were.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};

use highwater_agent::place::Place;
use highwater_core::series::{Matcher, NAME, Selection, SeriesSource as _};
use highwater_core::time::WallTime;
use highwater_store::{Reader, Store};
use serde_json::Value;

use crate::exits::highwater;

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn run(dir: &Path, args: &[&str]) -> Output {
    highwater(args).current_dir(dir).output().unwrap()
}

/// What a run prints that must succeed.
fn said(dir: &Path, args: &[&str]) -> String {
    let done = run(dir, args);
    assert!(done.status.success(), "{args:?}: {}", text(&done.stderr));
    text(&done.stdout)
}

/// Two owners as cAdvisor tells of them, one of them in two lives, every five minutes with gaps.
fn cadvisor(hours: i64) -> String {
    let mut out = String::from("# HELP container_memory_rss Anonymous memory.\n");
    out += "# TYPE container_memory_rss gauge\n";
    for (id, name) in [("/docker/aa", "web"), ("/docker/bb", "db")] {
        for n in (0..hours * 12).filter(|n| n % 37 != 5) {
            let (at, value) = (1_760_000_000 + n * 300, 100_000_000 + n % 40 * 4096);
            let labels = format!("id=\"{id}\",image=\"x:1\",name=\"{name}\"");
            writeln!(out, "container_memory_rss{{{labels}}} {value} {at}").unwrap();
        }
    }
    out += "# TYPE container_start_time_seconds gauge\n";
    out += "container_start_time_seconds{name=\"web\"} 1.76e9 1760000000\n";
    out += "# TYPE process_cpu_seconds counter\n";
    out += "process_cpu_seconds_total{name=\"web\"} 0.125 1760000000.5\n";
    out += "process_cpu_seconds_total{name=\"web\"} 0.25 1760000300.25\n# EOF\n";
    out
}

#[test]
fn what_is_exported_comes_back_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fs::write(dir.join("a.om"), cadvisor(72)).unwrap();
    let first = said(dir, &["import", "a.om", "--data-dir", "one"]);
    assert!(first.starts_with("Imported 1,683 samples of 4 series."), "{first}");
    let out = said(dir, &["export", "--data-dir", "one"]);
    fs::write(dir.join("b.om"), &out).unwrap();
    said(dir, &["import", "b.om", "--data-dir", "two"]);
    assert_eq!(said(dir, &["export", "--data-dir", "two"]), out);
    assert!(out.ends_with("# EOF\n") && out.contains("# HELP container_memory_rss Anonymous"));
    let line = "process_cpu_seconds_total{name=\"web\"} 0.25 1760000300.25\n";
    assert!(out.contains(line), "{out}");
    said(dir, &["export", "--data-dir", "two", "-o", "c.om"]);
    assert_eq!(fs::read_to_string(dir.join("c.om")).unwrap(), out);
    let again = run(dir, &["export", "--data-dir", "two", "-o", "c.om"]);
    assert!(text(&again.stderr).contains("nothing is overwritten"), "{again:?}");
}

#[test]
fn files_come_in_any_order_overlap_and_come_again() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let whole = cadvisor(48);
    let (early, late) = (cadvisor(30), whole.clone());
    fs::write(dir.join("early.om"), early).unwrap();
    let mut packed = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    packed.write_all(late.as_bytes()).unwrap();
    fs::write(dir.join("late.om.gz"), packed.finish().unwrap()).unwrap();
    let told = said(dir, &["import", "late.om.gz", "early.om", "--data-dir", "d", "--json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["schema"], 1);
    let (samples, new) = (told["samples"].as_u64().unwrap(), told["new"].as_u64().unwrap());
    let of = |n: usize| told["files"][n]["samples"].as_u64().unwrap();
    assert_eq!((samples, new), (of(0) + of(1), of(0)), "{told}");
    let again = said(dir, &["import", "early.om", "--data-dir", "d"]);
    assert!(again.contains("all of which were there before"), "{again}");
    // From standard input, and again the same in all.
    let mut child = highwater(&["import", "-", "--data-dir", "piped"])
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(whole.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    let (one, other) =
        (said(dir, &["export", "--data-dir", "d"]), said(dir, &["export", "--data-dir", "piped"]));
    assert_eq!(one, other);
}

#[test]
fn labels_stay_as_they_were_and_are_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.om"), cadvisor(24)).unwrap();
    said(dir.path(), &["import", "a.om", "--data-dir", "d"]);
    let reader = Reader::open(&dir.path().join("d")).unwrap();
    let asked = Selection {
        matchers: vec![Matcher::is(NAME, "container_memory_rss"), Matcher::is("name", "web")],
        from: WallTime::from_millis(0),
        to: WallTime::from_millis(i64::MAX),
        step: None,
        ends: false,
    };
    let found = reader.select(&asked).unwrap();
    let labels = r#"container_memory_rss{id="/docker/aa",image="x:1",name="web"}"#;
    assert_eq!((found.len(), found[0].labels.to_string().as_str()), (1, labels));
    let choice = r#"{id="/docker/bb",image!="y"}"#;
    let out =
        said(dir.path(), &["export", "--match", choice, "--match", "nobody", "--data-dir", "d"]);
    assert!(out.contains("/docker/bb") && !out.contains("/docker/aa"), "{out}");
    let end = [
        "export",
        "--match",
        "container_memory_rss",
        "--end",
        "2025-10-09 09:00",
        "--data-dir",
        "d",
    ];
    assert_eq!(said(dir.path(), &end).matches(" 17600").count(), 4, "two samples of each");
    let none = run(dir.path(), &["export", "--match", "nobody", "--data-dir", "d"]);
    assert_eq!((none.status.code(), text(&none.stderr).contains("no series")), (Some(1), true));
    assert_eq!(run(dir.path(), &["export", "--match", "x{y=~\"z\"}"]).status.code(), Some(64));
}

#[test]
fn recordings_and_imports_are_kept_apart_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fs::write(dir.join("a.om"), cadvisor(2)).unwrap();
    drop(Store::open(&dir.join("recorded")).unwrap());
    let held = Place::claim(&dir.join("held")).unwrap();
    for into in ["recorded", "held"] {
        let refused = run(dir, &["import", "a.om", "--data-dir", into]);
        let why = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{into}");
        assert!(why.contains("agent") && why.contains("--data-dir"), "{why}");
    }
    drop(held);
    said(dir, &["import", "a.om", "--data-dir", "d"]);
    for args in [
        &["agent", "--listen", "off", "--data-dir", "d"][..],
        &["store", "compact", "--data-dir", "d"],
    ] {
        let refused = run(dir, args);
        let why = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{args:?}: {why}");
        assert!(why.contains("imported series") && why.contains("--data-dir"), "{why}");
    }
    let info = said(dir, &["store", "info", "--data-dir", "d"]);
    assert!(info.contains("It was imported") && !info.contains("kept for:"), "{info}");
    assert_eq!(run(dir, &["import", "a.om"]).status.code(), Some(64), "no directory is usual");
    assert!(said(dir, &["store", "check", "--data-dir", "d"]).contains("whole"));
}

#[test]
fn what_cannot_be_read_costs_its_own_file_only() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fs::write(dir.join("a.om"), cadvisor(2)).unwrap();
    fs::write(dir.join("noise"), [0_u8, 159, 146, 150].repeat(100)).unwrap();
    fs::write(dir.join("empty"), "").unwrap();
    let odd = "a 1 1760000000\nb{ 2 1760000000\nc 3\na \x1b[31m 1760000001\n# EOF\n";
    fs::write(dir.join("odd.prom"), odd).unwrap();
    let files = ["noise", "empty", "odd.prom", "a.om"];
    let told = run(dir, &[&["import"][..], &files, &["--data-dir", "d", "--json"]].concat());
    assert_eq!(told.status.code(), Some(1));
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    let fault = |n: usize| told["files"][n]["fault"].as_str();
    assert!(fault(0).unwrap().contains("--format"), "{told}");
    assert_eq!((fault(1), fault(2), fault(3)), (Some("it is empty"), None, None));
    assert!(told["files"][2]["odd"].as_u64().unwrap() >= 2, "{told}");
    assert_eq!(told["files"][2]["untimed"], 1);
    let page = run(dir, &["import", "odd.prom", "--data-dir", "d"]);
    let page = text(&page.stdout);
    assert!(page.contains("odd.prom:2: ") && page.contains("--at"), "{page}");
    assert!(!page.contains('\x1b'), "{page}");
    for missing in ["gone.om", "."] {
        let refused = run(dir, &["import", "a.om", missing, "--data-dir", "new"]);
        assert_eq!(refused.status.code(), Some(1), "{missing}");
    }
    assert!(!dir.join("new").exists(), "nothing is made for what cannot be read");
}
