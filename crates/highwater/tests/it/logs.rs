//! Logs of every kind on the command line: several, patterns, pipes, broken ones.

use std::io::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::exits::highwater;

pub(crate) fn output(args: &[&str]) -> Output {
    highwater(args).output().unwrap()
}

pub(crate) fn fixture(name: &str) -> String {
    format!("{}/../../fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// The answer as JSON.
pub(crate) fn answer(args: &[&str]) -> Value {
    let done = output(&[&["why", "--json"], args].concat());
    serde_json::from_slice(&done.stdout)
        .unwrap_or_else(|_| panic!("{args:?}: {}", String::from_utf8_lossy(&done.stderr)))
}

/// What `highwater why -` answers to `log`, and how it ends.
pub(crate) fn piped(log: &[u8], args: &[&str]) -> Output {
    let mut child = highwater(&[&["why", "-"], args].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let log = log.to_vec();
    // A reader that ends early closes the pipe; what it answers is what counts.
    let feeder = std::thread::Builder::new().spawn(move || stdin.write_all(&log)).unwrap();
    let done = child.wait_with_output().unwrap();
    let _fed = feeder.join().unwrap();
    done
}

fn deaths(answer: &Value) -> Vec<u64> {
    let deaths = answer["deaths"].as_array().unwrap();
    deaths.iter().map(|death| death["victim"]["pid"].as_u64().unwrap()).collect()
}

fn kill(head: &str, pid: u32) -> String {
    format!(
        "{head}Out of memory: Killed process {pid} (worker) total-vm:9000{pid}kB, anon-rss:800{pid}kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:8kB oom_score_adj:0\n"
    )
}

#[test]
fn several_logs_are_one_story() {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    put("kern.log", &kill("Mar  2 04:00:00 box kernel: [  900.000000] ", 30));
    put("kern.log.1", &kill("Mar  2 03:00:00 box kernel: [  800.000000] ", 20));
    put("kern.log.10", &kill("Mar  1 03:00:00 box kernel: [  700.000000] ", 10));
    let syslog = kill("Mar  2 03:00:00 box kernel: [  800.000000] ", 20)
        + &kill("Mar  2 03:00:09 box kernel: [  809.000000] ", 21);
    put("syslog.1", &syslog);
    let pattern = dir.path().join("kern.log*").display().to_string();
    assert_eq!(deaths(&answer(&[&pattern])), [10, 20, 30]);
    let syslog = dir.path().join("syslog.1").display().to_string();
    let both = answer(&[&pattern, &syslog]);
    assert_eq!(deaths(&both), [10, 20, 21, 30]);
    let claims = both["deaths"][1]["claims"].as_array().unwrap();
    let told = claims.iter().find(|claim| claim["evidence"][0]["source"] == syslog.as_str());
    assert!(told.unwrap()["text"].as_str().unwrap().starts_with("The same death is told in "));
    let named = answer(&["--file", &syslog, "--file", &pattern, "21"]);
    assert_eq!(deaths(&named), [21]);
    assert_eq!(deaths(&answer(&[&pattern, "20"])), [20], "a name beside logs");
}

/// A report, and after it 200 kB that compress badly.
fn long_log() -> Vec<u8> {
    let mut log = std::fs::read(fixture("diagnose/v1.log")).unwrap();
    let mut seed = 1u64;
    for _ in 0..10_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        writeln!(log, "Nov 20 10:00:00 host app: {seed:x}").unwrap();
    }
    log
}

fn gzip(log: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    out.write_all(log).unwrap();
    out.finish().unwrap()
}

fn xz(log: &[u8]) -> Vec<u8> {
    let mut out = liblzma::write::XzEncoder::new(Vec::new(), 1);
    out.write_all(log).unwrap();
    out.finish().unwrap()
}

#[test]
fn compressed_logs_are_read_from_files_and_pipes() {
    let dir = tempfile::tempdir().unwrap();
    let log = long_log();
    let split = dir.path().join("split").display().to_string();
    for (name, bytes) in [
        ("a.gz", gzip(&log)),
        ("a.zst", zstd::encode_all(&log[..], 1).unwrap()),
        ("a.xz", xz(&log)),
    ] {
        let path = dir.path().join(name).display().to_string();
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(deaths(&answer(&[&path])), [4098], "{name}");
        let done = piped(&bytes, &["--split", &format!("{split}-{name}")]);
        assert_eq!(done.status.code(), Some(0), "{name}");
        let written = format!("{split}-{name}/0001-boot812.114320-resize-4098.log");
        assert_eq!(deaths(&answer(&[&written])), [4098], "{name}");
    }
    let pattern = dir.path().join("a.*").display().to_string();
    assert_eq!(deaths(&answer(&[&pattern])), [4098], "three copies of one death");
}

#[test]
fn what_a_broken_archive_still_holds_is_explained() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cut.gz").display().to_string();
    let whole = gzip(&long_log());
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let done = output(&["why", &path]);
    assert_eq!(done.status.code(), Some(1));
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(said.contains("cut.gz breaks off after line "), "{said}");
    assert!(String::from_utf8_lossy(&done.stdout).contains("resize (pid 4098)"));
    let cut = answer(&[&path]);
    assert_eq!(deaths(&cut), [4098]);
    assert!(cut["notes"][0]["text"].as_str().unwrap().contains("breaks off"), "{cut}");
    std::fs::write(&path, &whole[..4]).unwrap();
    let nothing = output(&["why", &path]);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(nothing.stdout.is_empty() && !nothing.stderr.is_empty());
}

#[test]
fn many_deaths_are_a_table_and_the_newest() {
    let log: String = (1..=200).map(|n| kill(&format!("[{:>5}.000000] ", n * 100), n)).collect();
    let done = piped(log.as_bytes(), &[]);
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(text.starts_with("200 deaths, the newest first\n"), "{text}");
    assert!(text.contains("and 188 earlier ones"), "{text}");
    assert!(text.contains("worker (pid 200)") && !text.contains("worker (pid 150):"), "{text}");
}

#[test]
fn what_cannot_be_read_is_told_and_the_rest_is_explained() {
    let dir = tempfile::tempdir().unwrap();
    let gone = dir.path().join("gone.log").display().to_string();
    let here = fixture("diagnose/v1.log");
    // Its first page is never mapped, so not even root can read it.
    let unreadable = "/proc/self/mem";
    for wrong in [gone.as_str(), unreadable, dir.path().to_str().unwrap()] {
        let args = ["why", "--file", &here, "--file", wrong];
        let done = output(&args);
        assert_eq!(done.status.code(), Some(1), "{wrong}");
        assert!(String::from_utf8_lossy(&done.stderr).contains(wrong), "{wrong}");
        assert!(String::from_utf8_lossy(&done.stdout).contains("resize (pid 4098)"), "{wrong}");
        let answer = answer(&["--file", &here, "--file", wrong]);
        assert_eq!(deaths(&answer), [4098]);
        assert!(answer["notes"][0]["text"].as_str().unwrap().contains(wrong), "{answer}");
        let alone = output(&["why", "--file", wrong]);
        assert_eq!(alone.status.code(), Some(1), "{wrong}");
        assert!(alone.stdout.is_empty() && !alone.stderr.is_empty(), "{wrong}");
    }
}

#[test]
fn nothing_and_what_is_no_text_have_no_report() {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    for (file, said) in [
        (put("empty", b""), "(0 lines read)"),
        (put("binary", b"\x7fELF\x00\x00 oom-killer %s\n"), "looks like a binary file"),
        (put("system.journal", b"LPKSHHRH\x00\x00"), "journalctl --file"),
    ] {
        let done = output(&["why", &file]);
        assert_eq!(done.status.code(), Some(0), "{file}");
        let text = String::from_utf8(done.stdout).unwrap().replace('\n', " ");
        assert!(text.contains(said), "{text}");
    }
    let both = answer(&[&put("a", b"x\n"), &put("b", b"y\ny\n")]);
    assert!(both["notes"][0]["text"].as_str().unwrap().ends_with("(3 lines read)."), "{both}");
}

#[test]
fn a_directory_names_the_logs_in_it() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("messages-20261101"), "x").unwrap();
    let path = dir.path().to_str().unwrap();
    for args in [&["why", path][..], &["why", "--file", path]] {
        let done = output(args);
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("highwater why '{path}/messages*'")), "{said}");
    }
}

#[test]
fn pipes_are_named_like_files() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    let feed = |path: &Path| {
        let path = path.to_owned();
        let log = std::fs::read(fixture("diagnose/v1.log")).unwrap();
        std::thread::Builder::new().spawn(move || std::fs::write(path, log)).unwrap()
    };
    let feeder = feed(&fifo);
    assert_eq!(deaths(&answer(&[fifo.to_str().unwrap()])), [4098]);
    feeder.join().unwrap().unwrap();
}

#[test]
fn progress_is_for_terminals() {
    let log = std::fs::read(fixture("oom/v1-burst-of-30.txt")).unwrap();
    let done = piped(&log, &[]);
    assert_eq!((done.status.code(), done.stderr.as_slice()), (Some(0), &b""[..]));
}
