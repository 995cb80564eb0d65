//! `promtool query …` against both: a client that nobody here wrote.

use std::process::{Command, Stdio};

use anyhow::Context;

use super::Count;
use crate::asked::is_near;

/// What is typed; `URL` is the server. Two hours after the beginning, and seven seconds.
const COMMANDS: [&[&str]; 12] = [
    &["instant", "URL", "1+1", "--time=4"],
    &["instant", "URL", "sort(demo_memory_usage_bytes)", "--time=1767578407"],
    &["instant", "URL", "time()", "--time=2026-01-05T02:00:07Z"],
    &["instant", "URL", "\"text\"", "--time=1767578407"],
    &["instant", "URL", "sum(nothing)", "--time=1767578407"],
    &["instant", "URL", "sum(", "--time=1767578407"],
    &["instant", "URL", "demo_up + on() demo_up", "--time=1767578407"],
    &[
        "range",
        "URL",
        "sum by (mode) (rate(demo_cpu_usage_seconds_total[5m]))",
        "--start=1767573007",
        "--end=1767578407",
        "--step=4m",
    ],
    &["range", "URL", "demo_up", "--start=1767573007", "--end=1767578407", "--step=100ms"],
    &[
        "series",
        "URL",
        "--match=demo_wide",
        "--match={__name__=~\"demo_.*_bytes\",instance=~\".*1.*\"}",
        "--start=1767571200",
        "--end=1767582000",
    ],
    &["labels", "URL", "__name__", "--start=1767571200", "--end=1767582000"],
    &[
        "labels",
        "URL",
        "path",
        "--start=1767571200",
        "--end=1767582000",
        "--match=demo_http_requests_total{status=\"500\"}",
    ],
];

/// Runs every command against both.
pub(super) fn compare(theirs: &str, ours: &str, count: &mut Count) -> anyhow::Result<()> {
    for command in COMMANDS {
        let (theirs, ours) = (run(command, theirs)?, run(command, ours)?);
        let is_same = theirs.code == ours.code
            && theirs.lines.len() == ours.lines.len()
            && theirs.lines.iter().zip(&ours.lines).all(|(a, b)| is_near_line(a, b));
        let differs = (!is_same).then(|| format!("theirs {theirs:?}\n      ours   {ours:?}"));
        count.note(&format!("promtool query {}", command.join(" ")), differs, None);
    }
    Ok(())
}

/// How it ended and what it said, by lines; of an error the kind, because the words are each
/// server's own.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    lines: Vec<String>,
}

fn run(command: &[&str], address: &str) -> anyhow::Result<Ended> {
    let url = format!("http://{address}");
    let words = command.iter().map(|word| if *word == "URL" { &url } else { *word });
    let mut promtool = Command::new("promtool");
    promtool.arg("query").args(words).stdin(Stdio::null());
    let done = promtool.output().context("cannot run promtool; is it installed?")?;
    let said = String::from_utf8_lossy(&done.stdout);
    let mut lines: Vec<String> = said.lines().map(str::to_owned).collect();
    // Series come in no order.
    if command.first() == Some(&"series") {
        lines.sort_unstable();
    }
    let complaint = String::from_utf8_lossy(&done.stderr);
    let kind = complaint.lines().find_map(|line| Some(line.split_once(": ")?.0.to_owned()));
    lines.extend(kind);
    Ok(Ended { code: done.status.code(), lines })
}

/// Whether two lines are the same word by word, numbers as close as everywhere.
fn is_near_line(a: &str, b: &str) -> bool {
    let mut pairs = a.split(' ').zip(b.split(' '));
    let is_same = |(a, b): (&str, &str)| {
        let numbers = a.parse().ok().zip(b.parse().ok());
        a == b || numbers.is_some_and(|(a, b)| is_near(a, b))
    };
    a.split(' ').count() == b.split(' ').count() && pairs.all(is_same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_compared_word_by_word() {
        assert!(is_near_line("1.0000000001 @[7]", "1 @[7]"));
        assert!(!is_near_line("1.1 @[7]", "1 @[7]"));
        assert!(!is_near_line("1 @[7]", "1 @[8]"));
        assert!(!is_near_line("a b", "a"));
    }
}
