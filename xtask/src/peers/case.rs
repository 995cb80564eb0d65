//! A log, what it must yield, and its messages as a kernel would have handed them out.

use std::path::Path;

use anyhow::Context;
use highwater_core::line::{LineSource as _, Origin};
use highwater_log::Stream;
use serde_json::Value;

/// What a log comes with.
const LOG: &str = ".txt";
const EXPECTED: &str = ".expected.json";

/// Killers whose words no peer claims to read.
const OTHER_KILLERS: &[&str] =
    &["earlyoom", "systemd-oomd", "nohang", "oomd", "lowmemorykiller", "lmkd"];

/// A log and the readings of it that are accepted.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) log: Vec<u8>,
    /// Each a list of deaths; the first is the best.
    pub(super) readings: Vec<Vec<Value>>,
}

/// All cases of a folder, by name.
pub(super) fn cases(folder: &Path) -> anyhow::Result<Vec<Case>> {
    let mut names = Vec::new();
    for entry in folder.read_dir().with_context(|| folder.display().to_string())? {
        let file = entry?.file_name().to_string_lossy().into_owned();
        names.extend(file.strip_suffix(EXPECTED).map(str::to_owned));
    }
    names.sort();
    names.into_iter().map(|name| open(folder, name)).collect()
}

fn open(folder: &Path, name: String) -> anyhow::Result<Case> {
    let read = |end: &str| {
        let path = folder.join(format!("{name}{end}"));
        std::fs::read(&path).with_context(|| path.display().to_string())
    };
    let log = read(LOG)?;
    let expected: Value = serde_json::from_slice(&read(EXPECTED)?).with_context(|| name.clone())?;
    Ok(Case { name, log, readings: readings(&expected) })
}

/// `deaths`, and each list of `alt_deaths`.
fn readings(expected: &Value) -> Vec<Vec<Value>> {
    let others = expected.get("alt_deaths").and_then(Value::as_array);
    let all = expected.get("deaths").into_iter().chain(others.into_iter().flatten());
    all.filter_map(Value::as_array).cloned().collect()
}

impl Case {
    /// Whether the kernel's killer wrote it: what others wrote, no peer sets out to read.
    pub(super) fn is_of_the_kernel(&self) -> bool {
        let deaths = self.readings.iter().flatten();
        let mut causes = deaths.filter_map(|death| death.get("cause")?.as_str());
        !causes.any(|cause| OTHER_KILLERS.contains(&cause))
    }

    /// The log as text.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.log).into_owned()
    }

    /// The messages without what a syslog, a journal or a mail put around them: what `/dev/kmsg`
    /// gives to the two Go programs. A program's own lines are not in it.
    pub(super) fn messages(&self) -> Vec<String> {
        let mut stream = Stream::new(self.log.as_slice());
        let mut messages = Vec::new();
        while let Some(line) = stream.next_line() {
            if line.origin != Origin::Program {
                messages.push(String::from_utf8_lossy(line.text).into_owned());
            }
        }
        messages
    }
}
