//! What the machine's own logs say of each case, cut out of what they say of all.

use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;

use anyhow::Context;
use serde_json::{Value, json};

use super::cases::Case;
use super::stage::Played;
use crate::repo;

/// What the script tells the kernel when a case begins: this, the pass, the case.
const MARK: &str = "highwater-deaths ";

/// What was noted while a case was played: `WORD VALUE` lines.
pub(super) struct Did(String);

impl Did {
    /// Of the case in this folder.
    pub(super) fn read(folder: &Path) -> anyhow::Result<Self> {
        let file = folder.join("did");
        Ok(Self(fs::read_to_string(&file).with_context(|| format!("no {}", file.display()))?))
    }

    /// The newest value of a word.
    pub(super) fn get(&self, word: &str) -> Option<&str> {
        let mut values = self.0.lines().filter_map(|line| match line.split_once(' ') {
            Some((first, value)) => (first == word).then_some(value),
            None => (line == word).then_some(""),
        });
        values.next_back()
    }

    /// The same as a number of microseconds, from one of seconds.
    pub(super) fn micros(&self, word: &str) -> Option<u64> {
        micros(self.get(word)?)
    }
}

/// `12.34` seconds as microseconds.
pub(super) fn micros(seconds: &str) -> Option<u64> {
    let (whole, part) = seconds.split_once('.').unwrap_or((seconds, ""));
    let part = format!("{part:0<6}");
    Some(whole.parse::<u64>().ok()? * 1_000_000 + part.get(..6)?.parse::<u64>().ok()?)
}

/// Writes CASE.{export,json,dmesg} of the first pass, and in CASE.expected.json what was done.
pub(super) fn write(played: &Played, cases: &[&Case]) -> anyhow::Result<()> {
    let to = repo::target().join("e2e/deaths").join(played.place.name());
    fs::create_dir_all(&to)?;
    let Some(pass) = played.passes().next() else { return Ok(()) };
    let read = |name: &str| fs::read(played.results.join(name)).unwrap_or_default();
    let (export, json, dmesg) = (read("journal.export"), read("journal.json"), read("dmesg.txt"));
    for case in cases {
        let Ok(did) = Did::read(&played.case(pass, case)) else { continue };
        let (Some(from), Some(until)) = (did.micros("begin"), did.micros("end")) else { continue };
        let span = from..=until;
        keep(&to, case, "export", &within(entries(&export), exported_at, &span))?;
        keep(&to, case, "json", &within(lines(&json), record_at, &span))?;
        keep(&to, case, "expected.json", expected(case, &did).as_bytes())?;
        keep(&to, case, "dmesg", &marked(&dmesg, &format!("{MARK}{pass} {}", case.name)))?;
    }
    Ok(())
}

/// What a reader of the logs should find: of the scene, not of any reader.
fn expected(case: &Case, did: &Did) -> String {
    let (kind, id) = did.get("owner").and_then(|owner| owner.split_once(' ')).unzip();
    let pid: Option<u64> = did.get("pid").and_then(|pid| pid.parse().ok());
    let owner = kind.map(|kind| json!({ "kind": kind, "id": id }));
    format!("{:#}\n", json!({ "pid": pid, "owner": owner, "cause": case.cause }))
}

fn keep(folder: &Path, case: &Case, extension: &str, content: &[u8]) -> anyhow::Result<()> {
    let file = folder.join(format!("{}.{extension}", case.name));
    if content.is_empty() {
        // What an earlier run left is not of this one.
        if file.exists() {
            fs::remove_file(file)?;
        }
        return Ok(());
    }
    Ok(fs::write(file, content)?)
}

/// The parts whose moment is within the span, but for the marks.
fn within<'a>(
    parts: impl Iterator<Item = &'a [u8]>,
    at: fn(&[u8]) -> Option<u64>,
    span: &RangeInclusive<u64>,
) -> Vec<u8> {
    let is_mark = |part: &[u8]| holds(part, MARK.as_bytes());
    let kept = parts.filter(|part| at(part).is_some_and(|at| span.contains(&at)));
    kept.filter(|part| !is_mark(part)).flatten().copied().collect()
}

fn holds(part: &[u8], word: &[u8]) -> bool {
    part.windows(word.len()).any(|window| window == word)
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|byte| *byte == b'\n')
}

/// The entries of the export format: each ends with an empty line, which no value that is written as
/// bytes has, for such a value is preceded by its length.
fn entries(mut text: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (entry, rest) = text.split_at_checked(entry_length(text))?;
        text = rest;
        (!entry.is_empty()).then_some(entry)
    })
}

fn entry_length(text: &[u8]) -> usize {
    let mut length = 0;
    while let Some(line) = lines(text.get(length..).unwrap_or_default()).next() {
        length += line.len();
        if line == b"\n" {
            break;
        }
        if !line.contains(&b'=') {
            let bytes = text.get(length..length + 8).and_then(|bytes| bytes.try_into().ok());
            let value = bytes.map_or(0, u64::from_le_bytes);
            // The length, the value, a newline.
            length += 8 + usize::try_from(value).unwrap_or(usize::MAX / 2) + 1;
        }
    }
    length.min(text.len())
}

fn exported_at(entry: &[u8]) -> Option<u64> {
    let line = lines(entry).find_map(|line| line.strip_prefix(b"__REALTIME_TIMESTAMP="))?;
    std::str::from_utf8(line).ok()?.trim().parse().ok()
}

fn record_at(line: &[u8]) -> Option<u64> {
    let record: Value = serde_json::from_slice(line).ok()?;
    record.get("__REALTIME_TIMESTAMP")?.as_str()?.parse().ok()
}

/// The kernel's lines after one mark and before the next.
fn marked(log: &[u8], mark: &str) -> Vec<u8> {
    let ends_with_mark = |line: &[u8]| line.trim_ascii_end().ends_with(mark.as_bytes());
    let after = lines(log).skip_while(|line| !ends_with_mark(line)).skip(1);
    after.take_while(|line| !holds(line, MARK.as_bytes())).flatten().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_micros() {
        assert_eq!(micros("12.34"), Some(12_340_000));
        assert_eq!(micros("1763716830.123456"), Some(1_763_716_830_123_456));
        assert_eq!(micros("7"), Some(7_000_000));
        assert_eq!(micros("x"), None);
    }

    #[test]
    fn an_entry_with_an_empty_line_in_a_value_is_one() {
        let mut text = b"__REALTIME_TIMESTAMP=5\nMESSAGE\n".to_vec();
        text.extend(4_u64.to_le_bytes());
        text.extend(b"a\n\nb\nP=1\n\n__REALTIME_TIMESTAMP=9\nMESSAGE=c\n\n");
        let at: Vec<_> = entries(&text).map(exported_at).collect();
        assert_eq!(at, [Some(5), Some(9)]);
        assert_eq!(
            within(entries(&text), exported_at, &(6..=9)),
            b"__REALTIME_TIMESTAMP=9\nMESSAGE=c\n\n"
        );
    }

    #[test]
    fn the_kernels_lines_of_a_case_are_between_its_mark_and_the_next() {
        let log =
            b"[1] a\n[2] highwater-deaths standing x\n[3] b\n[4] highwater-deaths standing y\n";
        assert_eq!(marked(log, "highwater-deaths standing x"), b"[3] b\n");
        assert_eq!(marked(log, "highwater-deaths standing z"), b"");
    }

    #[test]
    fn the_newest_word_counts() {
        let did = Did("pid 1\npid 2\nuntold\n".to_owned());
        assert_eq!((did.get("pid"), did.get("untold"), did.get("x")), (Some("2"), Some(""), None));
    }
}
