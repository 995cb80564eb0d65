//! Programs in user space that kill before the kernel does, and the threshold that made them.

use highwater_core::evidence::Evidence;
use highwater_oom::report::{Candidate, ReportLine};

use super::{Said, said};
use crate::death::reason::Reason;
use crate::death::scene::Scene;
use crate::death::{Cause, Confidence};
use crate::words;

/// Words, in lower case, that stand on the line on which a program says why it acts.
const TELLING: &[&str] = &[
    " due to ",
    "low memory!",
    "at or below",
    "memory pressure",
    "mem avail",
    "threshold",
    "memavail",
    "ruleset",
    "min watermark",
    "to free",
];

/// The most of such lines that are cited.
const CITED: usize = 3;

/// What the program says made it act.
pub(super) fn threshold(scene: &Scene<'_>) -> Option<Said> {
    let kill = scene.kill.map(|kill| kill.line);
    let telling: Vec<&ReportLine> =
        scene.report.lines.iter().filter(|line| tells(&line.text)).collect();
    let mut lines: Vec<_> = telling.iter().take(CITED).map(|line| line.number).collect();
    lines.extend(kill);
    lines.sort_unstable();
    let mut evidence: Vec<Evidence> = scene.cite.lines(lines);
    let why = match telling.iter().find_map(|line| due(&line.text)) {
        Some(due) => format!("; it says: {due}"),
        None if telling.is_empty() && scene.kill.is_some() => {
            "; which threshold was passed the lines of this report do not show (what stands above them in the log of the program may)".to_owned()
        }
        None => String::new(),
    };
    let first = scene.report.candidates.first();
    let among = first
        .map_or(String::new(), |first| considered(&first.value, scene.report.candidates.len()));
    evidence.extend(first.map(|first| scene.cite.line(first.line)));
    let text = format!("{}{why}{among}", who(scene.verdict.0));
    let sure = if telling.is_empty() { Confidence::Likely } else { scene.verdict.1 };
    said(Reason::KillerThreshold, scene.verdict.1.at_most(sure), text, evidence)
}

fn who(cause: Cause) -> &'static str {
    match cause {
        Cause::SystemdOomd => {
            "the kernel killed nothing: systemd-oomd kills whole cgroups by memory pressure or full swap, before the kernel has to"
        }
        Cause::Earlyoom => {
            "the kernel killed nothing: earlyoom kills when available memory and free swap are both below its thresholds"
        }
        Cause::Nohang => {
            "the kernel killed nothing: nohang kills when memory, swap or pressure pass its thresholds"
        }
        Cause::Oomd => "the kernel killed nothing: oomd kills when one of its rulesets fires",
        _ => {
            "it was killed by Android's low memory killer, which keeps a little free for each level of importance: that is its usual work, not yet a machine without memory"
        }
    }
}

fn tells(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    TELLING.iter().any(|word| text.contains(word))
}

/// What the program itself gives as its reason, in its own words.
pub(in crate::death) fn reason_given(scene: &Scene<'_>) -> Option<String> {
    scene.report.lines.iter().find_map(|line| due(&line.text))
}

/// What stands behind `due to`, or the whole of a line that compares with a limit.
fn due(text: &str) -> Option<String> {
    /// A reason in a sentence.
    const MOST: usize = 160;
    let told = match text.split_once(" due to ") {
        Some((_, due)) => due,
        None if text.contains("low memory!") || text.contains("Low memory!") => text,
        None if text.contains("<=") => text,
        None => return None,
    };
    let told = told.trim().trim_end_matches('.');
    (!told.is_empty()).then(|| told.chars().take(MOST).collect())
}

/// `; of 5 cgroups that it considered, /x was first: 43.3 GiB used, pressure 85.87 % of …`.
fn considered(first: &Candidate, count: usize) -> String {
    let share = |hundredths: u32| format!("{}.{:02} %", hundredths / 100, hundredths % 100);
    let usage = first.usage.map(|usage| format!("{usage} used"));
    let swap = first.swap.map(|swap| format!("{swap} in swap"));
    let limit = first.pressure_limit.filter(|limit| *limit > 0);
    let limit = limit.map_or(String::new(), |limit| format!(", limit {}", share(limit)));
    let pressure =
        first.pressure_avg10.map(|average| format!("pressure {} over 10 s{limit}", share(average)));
    let facts: Vec<String> = [usage, swap, pressure].into_iter().flatten().collect();
    let facts = if facts.is_empty() { String::new() } else { format!(" ({})", facts.join(", ")) };
    let place = words::place(&first.path);
    match count {
        1 => format!("; it lists {place}{facts}"),
        _ => format!("; of {count} cgroups that it lists, {place} was the first{facts}"),
    }
}
