//! A journal that speaks without end: what stands in for `journalctl --follow`.
//!
//! The lines are those of a recorded journal, each with a cursor and a moment of its own. Now and
//! then one tells of a unit that failed, under a number, so that it can be told whether one is lost.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Map, Value};

use crate::clock;
use crate::repo;

/// How often a batch is written.
const BEAT: Duration = Duration::from_millis(20);

/// One line in so many is fatal: ten a second.
const FATAL_EVERY: u64 = 1000;

/// The message by which systemd says that a unit's process ended.
const PROCESS_EXIT: &str = "98e322203f7a4ed290d09fe03c09fe15";

/// Where the recorded journals are.
const RECORDED: &str = "fixtures/deaths/vm";

/// The journal with the line that is made fatal.
const FATAL: &str = "exit-1.json";

/// What belongs to one line rather than to what it says.
const OWN: [&str; 4] =
    ["__CURSOR", "__REALTIME_TIMESTAMP", "__MONOTONIC_TIMESTAMP", "_SOURCE_REALTIME_TIMESTAMP"];

/// How the fatal units are called, with their number.
pub(super) const UNIT: &str = "storm-";

/// How it speaks.
#[derive(Debug, clap::Args)]
pub(crate) struct Feed {
    /// Lines a second.
    #[arg(long)]
    lines: u64,
    /// Where it notes how many lines it wrote, and how many of them were fatal.
    #[arg(long)]
    note: PathBuf,
}

impl Feed {
    /// Speaks until nobody listens.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let (noise, fatal) = recorded()?;
        let beat_ms = u64::try_from(BEAT.as_millis()).unwrap_or(u64::MAX);
        let each = self.lines * beat_ms / 1000;
        let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
        let mut voice = Voice { noise: noise.iter().cycle(), fatal: &fatal, lines: 0, fatals: 0 };
        let (began, mut next) = (clock::now(), Duration::ZERO);
        loop {
            thread::sleep(next.saturating_sub(began.elapsed()));
            for _ in 0..each {
                if voice.say(&mut out).is_err() {
                    return Ok(());
                }
            }
            if out.flush().is_err() {
                return Ok(());
            }
            self.jot(&voice)?;
            next += BEAT;
        }
    }

    /// In one step: whoever reads the note finds the old one or the new one.
    fn jot(&self, voice: &Voice<'_>) -> io::Result<()> {
        let draft = self.note.with_extension("draft");
        fs::write(&draft, format!("{} {}", voice.lines, voice.fatals))?;
        fs::rename(&draft, &self.note)
    }
}

struct Voice<'a> {
    noise: std::iter::Cycle<std::slice::Iter<'a, String>>,
    fatal: &'a str,
    lines: u64,
    fatals: u64,
}

impl Voice<'_> {
    fn say(&mut self, out: &mut impl Write) -> io::Result<()> {
        self.lines += 1;
        let at_us = u64::try_from(clock::wall().millis()).unwrap_or_default() * 1000;
        write!(
            out,
            r#"{{"__CURSOR":"s=0f;i={:x};b=0f;m=0;t=0;x=0","__REALTIME_TIMESTAMP":"{at_us}","#,
            self.lines
        )?;
        if self.lines.is_multiple_of(FATAL_EVERY) {
            self.fatals += 1;
            let unit = format!("{UNIT}{}.service", self.fatals);
            return writeln!(out, "{}", self.fatal.replace("exit-1.service", &unit));
        }
        writeln!(out, "{}", self.noise.next().map_or("}", String::as_str))
    }
}

/// What the lines say, without what belongs to each alone: the noise, and the fatal one.
fn recorded() -> anyhow::Result<(Vec<String>, String)> {
    let folder = repo::root().join(RECORDED);
    let mut noise = Vec::new();
    let mut fatal = None;
    let listed = fs::read_dir(&folder).with_context(|| format!("no {}", folder.display()))?;
    for file in listed {
        let path = file?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let is_fatal = path.file_name().is_some_and(|name| name == FATAL);
        for line in fs::read_to_string(&path)?.lines() {
            let Ok(Value::Object(record)) = serde_json::from_str(line) else { continue };
            let id = record.get("MESSAGE_ID").and_then(Value::as_str);
            if is_fatal && id == Some(PROCESS_EXIT) {
                fatal = Some(rest(record)?);
            } else if id.is_none() && is_noise(&record) {
                noise.push(rest(record)?);
            }
        }
    }
    ensure!(!noise.is_empty(), "{} has no journal", folder.display());
    Ok((noise, fatal.context("no recorded process exit")?))
}

/// What tells of no death: daemons that chat. The kernel's lines come by its own log, and those of
/// systemd that have no number are read for their words.
fn is_noise(record: &Map<String, Value>) -> bool {
    let text = |key: &str| record.get(key).and_then(Value::as_str).unwrap_or_default();
    let is_daemon = text("_TRANSPORT") != "kernel" && text("_PID") != "1";
    is_daemon && !["Killed", "sending SIG"].iter().any(|word| text("MESSAGE").contains(word))
}

fn rest(mut record: Map<String, Value>) -> anyhow::Result<String> {
    for key in OWN {
        record.remove(key);
    }
    let whole = serde_json::to_string(&Value::Object(record))?;
    // The brace in front is written with what is the line's own.
    Ok(whole.strip_prefix('{').unwrap_or(&whole).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_record_and_the_fatal_ones_are_numbered() {
        let (noise, fatal) = recorded().unwrap();
        let mut voice = Voice { noise: noise.iter().cycle(), fatal: &fatal, lines: 0, fatals: 0 };
        let mut said = Vec::new();
        for _ in 0..2 * FATAL_EVERY {
            voice.say(&mut said).unwrap();
        }
        let said = String::from_utf8(said).unwrap();
        let records: Vec<Value> =
            said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let units = records.iter().filter_map(|record| record.get("UNIT")?.as_str());
        let units: Vec<_> = units.filter(|unit| unit.starts_with(UNIT)).collect();
        assert_eq!((records.len(), voice.fatals), (2000, 2));
        assert_eq!(units, ["storm-1.service", "storm-2.service"]);
    }
}
