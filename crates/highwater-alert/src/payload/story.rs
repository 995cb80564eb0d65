//! What people are told of a notice, before any format: short texts, made safe to show.

use highwater_core::text::escape;
use highwater_core::time::WallTime;
use highwater_core::units::Bytes;

use crate::dispatch::{Context, Notice, Report, TopProcess};

/// So much of what a rule says is told. Together with the others it keeps an alert below 3,600
/// characters: with four bytes each, one fits into the smallest format.
const MOST_CHARS: usize = 1_000;
/// In so many lines.
const MOST_LINES: usize = 20;
/// So much of a name or a label.
const MOST_NAME_CHARS: usize = 200;
/// So much of a severity: a word.
const MOST_WORD_CHARS: usize = 40;
/// So much of the name of a process: the kernel keeps 15 bytes, others tell more.
const MOST_PROCESS_CHARS: usize = 100;
/// So much of a verdict or an advice.
const MOST_VERDICT_CHARS: usize = 400;
/// So many of the largest processes.
const MOST_PROCESSES: usize = 5;
/// So much of all labels.
const MOST_LABELS_CHARS: usize = 800;

/// A notice in words.
pub(super) struct Story {
    /// One line on the whole.
    pub(super) title: String,
    /// One for each alert.
    pub(super) chapters: Vec<Chapter>,
    /// So many alerts are not among them.
    pub(super) left_out: usize,
    /// Whether anything fires.
    pub(super) fires: bool,
}

/// An alert in words.
pub(super) struct Chapter {
    /// How it stands, and what it is.
    pub(super) head: String,
    /// Lines that the rule says of it.
    pub(super) text: Vec<String>,
    /// What else is known: a word for it, and itself.
    pub(super) facts: Vec<(&'static str, String)>,
    /// Where there is more to read.
    pub(super) page: Option<String>,
}

impl Story {
    /// What is told of `notice`.
    pub(super) fn of(notice: &Notice) -> Self {
        Self {
            title: title(notice),
            chapters: notice.alerts.iter().map(Chapter::of).collect(),
            left_out: notice.left_out,
            fires: notice.firing() > 0,
        }
    }

    /// Each chapter as `write` puts it, as far as they stay within `most` by `size`, and how many
    /// alerts did not fit.
    pub(super) fn fitting<T>(
        &self,
        most: usize,
        write: impl Fn(&Chapter) -> T,
        size: impl Fn(&T) -> usize,
    ) -> (Vec<T>, usize) {
        let mut written = Vec::new();
        let mut total = 0_usize;
        for chapter in &self.chapters {
            let piece = write(chapter);
            total = total.saturating_add(size(&piece));
            if total > most {
                break;
            }
            written.push(piece);
        }
        let out = self.chapters.len().saturating_sub(written.len()).saturating_add(self.left_out);
        (written, out)
    }
}

/// What is said of alerts that did not fit.
pub(super) fn left_out(count: usize) -> Option<String> {
    match count {
        0 => None,
        1 => Some("1 more alert is left out here.".to_owned()),
        _ => Some(format!("{count} more alerts are left out here.")),
    }
}

fn title(notice: &Notice) -> String {
    let firing = notice.firing();
    let how = match firing {
        0 => "resolved".to_owned(),
        _ => format!("firing: {firing}"),
    };
    let test = if notice.test { "TEST " } else { "" };
    let group: Vec<&str> = notice.group.values().map(String::as_str).collect();
    let of = match (group.is_empty(), notice.alerts.as_slice()) {
        (false, _) => group.join(" "),
        (true, [only]) => only.name().to_owned(),
        (true, all) => format!("{} alerts", all.len()),
    };
    format!("{test}[{how}] {}", shown(&of, MOST_NAME_CHARS))
}

impl Chapter {
    fn of(alert: &Report) -> Self {
        let said = |name: &str| alert.annotations.get(name).filter(|text| !text.trim().is_empty());
        let how = if alert.ends_at.is_some() { "resolved" } else { "firing" };
        let severity =
            alert.labels.get("severity").map(|it| format!("{}, ", shown(it, MOST_WORD_CHARS)));
        let what = said("summary").map_or(alert.name(), String::as_str);
        let text = said("description").or_else(|| said("message"));
        Self {
            head: format!(
                "{}{how}: {}",
                severity.unwrap_or_default(),
                shown(what, MOST_NAME_CHARS)
            ),
            text: text.map_or_else(Vec::new, |text| lines(text)),
            facts: facts(alert),
            page: alert.context.page.clone().filter(|page| is_link(page)),
        }
    }
}

fn facts(alert: &Report) -> Vec<(&'static str, String)> {
    let Context { owner, verdict, processes, .. } = &alert.context;
    let advice = alert.annotations.get("action").or(alert.annotations.get("runbook_url"));
    let named =
        |what, text: &Option<String>, most| text.as_ref().map(|text| (what, shown(text, most)));
    let mut facts = Vec::new();
    facts.extend(named("Owner", owner, MOST_NAME_CHARS));
    facts.extend(named("Verdict", verdict, MOST_VERDICT_CHARS));
    facts.extend(processes.iter().take(MOST_PROCESSES).map(|process| ("Process", holds(process))));
    facts.push(("Since", moment(alert.starts_at)));
    facts.extend(alert.ends_at.map(|ended| ("Until", moment(ended))));
    facts.extend(alert.flaps.then(|| ("Note", FLAPS.to_owned())));
    facts.extend(advice.map(|text| ("To do", shown(text, MOST_VERDICT_CHARS))));
    facts.push(("Labels", labels(alert)));
    facts
}

/// What is said of an alert that comes and goes.
const FLAPS: &str = "it comes and goes; its end is told when it has been quiet for a while";

fn holds(process: &TopProcess) -> String {
    let TopProcess { name, pid, bytes } = process;
    format!("{} (pid {pid}) {}", shown(name, MOST_PROCESS_CHARS), Bytes::new(*bytes))
}

fn labels(alert: &Report) -> String {
    let one = |(name, value): (&String, &String)| format!("{name}={value}");
    shown(&alert.labels.iter().map(one).collect::<Vec<_>>().join(", "), MOST_LABELS_CHARS)
}

/// To the second: nobody waits for thousandths.
fn moment(at: WallTime) -> String {
    let text = at.to_string();
    match text.split_once('.') {
        Some((seconds, _)) => format!("{} UTC", seconds.replace('T', " ")),
        None => text,
    }
}

fn lines(text: &str) -> Vec<String> {
    let text: String = text.trim().chars().take(MOST_CHARS).collect();
    text.lines().take(MOST_LINES).map(|line| shown(line, MOST_CHARS)).collect()
}

/// One line that shows what it is, not longer than `most`.
fn shown(text: &str, most: usize) -> String {
    let escaped = escape(text.as_bytes());
    match escaped.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", escaped.get(..end).unwrap_or_default()),
        None => escaped.into_owned(),
    }
}

/// Whether `text` is an address that may be followed, with nothing in it that could end it early.
fn is_link(text: &str) -> bool {
    let known = ["http://", "https://"].iter().any(|scheme| text.starts_with(scheme));
    let odd = |c: char| !c.is_ascii_graphic() || "<>\"'`|()[]\\".contains(c);
    known && text.len() <= MOST_CHARS && !text.contains(odd)
}
