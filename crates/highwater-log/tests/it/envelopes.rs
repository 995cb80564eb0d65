//! A report as `dmesg` shows it, put into each envelope by hand and taken out again.

use highwater_core::line::{LineSource as _, Origin};
use highwater_core::time::BootTime;
use highwater_log::Stream;
use serde_json::{Value, json};

const REPORT: &str = include_str!("../../../../fixtures/oom/v2-unit-memorymax.txt");

/// Text and microseconds since boot of each line; 0 where no time stands.
type Lines = Vec<(String, u64)>;

fn read(log: &[u8]) -> (Lines, Vec<Origin>) {
    let (mut stream, mut lines, mut origins) = (Stream::new(log), Vec::new(), Vec::new());
    while let Some(line) = stream.next_line() {
        let text = String::from_utf8_lossy(line.text).into_owned();
        lines.push((text, line.boot.map_or(0, BootTime::micros)));
        origins.push(line.origin);
    }
    (lines, origins)
}

/// The lines of the report that have a stamp.
fn stamped() -> impl Iterator<Item = &'static str> {
    REPORT.lines().filter(|line| line.starts_with('['))
}

/// What comes out of the report itself.
fn plain() -> Lines {
    read(stamped().collect::<Vec<_>>().join("\n").as_bytes()).0
}

/// Every line of the report through `wrap`, in one log.
fn wrapped(wrap: impl Fn(&str) -> String) -> String {
    stamped().map(wrap).collect()
}

/// Every message of the report with its time through `wrap`, in one log.
fn entries(wrap: impl Fn(&str, u64) -> String) -> Vec<u8> {
    plain().iter().map(|(text, us)| wrap(text, *us)).collect::<String>().into()
}

/// The export form with counted messages.
fn counted() -> Vec<u8> {
    let entry = |(text, us): &(String, u64)| {
        let head = format!("__CURSOR=s=a\n_SOURCE_MONOTONIC_TIMESTAMP={us}\nMESSAGE\n");
        let length = u64::try_from(text.len()).unwrap_or(0).to_le_bytes();
        [head.as_bytes(), &length, text.as_bytes(), b"\n_TRANSPORT=kernel\n\n"].concat()
    };
    plain().iter().flat_map(entry).collect()
}

fn docker(text: &str) -> String {
    let time = "2026-04-27T08:47:12.123456789Z";
    format!("{}\n", json!({ "log": format!("{text}\n"), "stream": "stderr", "time": time }))
}

fn escaped(line: &str) -> String {
    line.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[test]
fn lines_come_out_of_every_envelope_as_they_went_in() {
    let plain = plain();
    assert!(plain.len() > 20 && plain.iter().all(|(_, us)| *us > 0));
    let iso = "2026-04-27T08:47:12.123456+02:00";
    let logs = [
        wrapped(|line| format!("<6>{line}\r\n")),
        wrapped(|line| format!("> > {line}\n")),
        wrapped(|line| format!("    {line}\n")),
        wrapped(|line| format!("kern.log-12-{line}\n--\n")),
        wrapped(|line| format!("vcpu-0| Guest: <6>{line}\n")),
        wrapped(|line| format!("host1 | {line}\n")),
        wrapped(|line| format!("\u{1b}[32m{line}\u{1b}[0m\n")),
        wrapped(|line| format!("{}<br>\n", escaped(line))),
        wrapped(|line| format!("{line}\r")),
        wrapped(|line| format!("Apr 27 08:47:12 host kernel: {line}\n")),
        wrapped(|line| format!("{iso} host kernel: {line}\n")),
        wrapped(|line| format!("<6>1 {iso} host kernel - - - {line}\n")),
        wrapped(|line| {
            let frame = format!("<6>1 {iso} host kernel - - [a b=\"]\"] {line}");
            format!("{} {frame}\n", frame.len())
        }),
        wrapped(|line| format!("Jan  1 00:00:12 host kern.info kernel: {line}\n")),
        wrapped(|line| format!("09-22 15:36:44.117     0     0 W         : {line}\n")),
        wrapped(docker),
        wrapped(|line| docker(&format!("Apr 27 08:47:12 host kernel: {line}"))),
        wrapped(|line| format!("2026-04-27T08:47:12.123456789Z stdout F {line}\n")),
        wrapped(|line| {
            let (front, back) = line.split_at(line.len() / 2);
            let stamp = "2026-04-27T08:47:12.123456789Z stdout";
            format!("{stamp} P {front}\n{stamp} F {back}\n")
        }),
        wrapped(|line| format!("web-1  | {}\n", json!({ "level": "info", "message": line }))),
    ];
    for log in &logs {
        let (lines, origins) = read(log.as_bytes());
        let first = log.lines().next().unwrap_or_default();
        if log.ends_with('\r') {
            let texts: Vec<&str> = plain.iter().map(|(text, _)| text.as_str()).collect();
            assert_eq!(lines[0].0, texts.join("\n"), "{first}");
        } else {
            assert_eq!(lines, plain, "{first}");
        }
        assert!(origins.iter().all(|origin| *origin == Origin::Unsaid), "{first}");
    }
}

#[test]
fn entries_of_the_journal_are_the_kernels_in_every_form() {
    let plain = plain();
    let object = |text: &str, us: u64| {
        let message: Value =
            if us.is_multiple_of(2) { text.into() } else { text.as_bytes().into() };
        json!({
            "MESSAGE": message,
            "_TRANSPORT": "kernel",
            "SYSLOG_FACILITY": "0",
            "__REALTIME_TIMESTAMP": "1777272432123456",
            "_SOURCE_MONOTONIC_TIMESTAMP": us.to_string(),
        })
    };
    let head = "Mon 2026-04-27 08:47:12.123456 UTC [s=a;i=1;b=c;m=140fd78;t=660c0769315bd;x=d]";
    let logs = [
        entries(|text, us| format!("{}\n", object(text, us))),
        entries(|text, us| format!("data: {}\n\n", object(text, us))),
        entries(|text, us| format!("\u{1e}{}\n", object(text, us))),
        entries(|text, us| {
            format!("{}\n", serde_json::to_string_pretty(&object(text, us)).unwrap())
        }),
        entries(|text, us| {
            let stamp = format!(
                "__CURSOR=s=a\n__REALTIME_TIMESTAMP=1777272432123456\n_SOURCE_MONOTONIC_TIMESTAMP={us}"
            );
            format!("{stamp}\n_TRANSPORT=kernel\nMESSAGE={text}\n\n")
        }),
        counted(),
        entries(|text, us| {
            format!(
                "{head}\n    MESSAGE={text}\n    _SOURCE_MONOTONIC_TIMESTAMP={us}\n    _TRANSPORT=kernel\n"
            )
        }),
        entries(|text, us| format!("6,12,{us},-,caller=T7;{text}\n SUBSYSTEM=x\n")),
    ];
    for log in &logs {
        let (lines, origins) = read(log);
        let first = String::from_utf8_lossy(&log[..60]);
        assert_eq!(lines, plain, "{first}");
        assert!(origins.iter().all(|origin| *origin == Origin::Kernel), "{first}");
    }
}
