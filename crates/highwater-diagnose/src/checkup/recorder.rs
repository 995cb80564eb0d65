//! How the recorder itself fares: a machine whose recorder is blind has nothing to tell tomorrow.

use std::time::Duration;

use highwater_core::evidence::{Claim, Evidence};
use highwater_core::time::{Span, WallTime};
use highwater_core::units::Bytes;

use super::{Finding, Severity, Subject, Values};

/// A recorder that runs and has written nothing for so long is not well: many times the usual
/// cadence, and longer than a disk takes to answer.
const SILENT: Duration = Duration::from_mins(5);

/// What is known of the recorder: from its files, and from the word it left beside them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorder {
    /// Where its files are; escaped.
    pub place: String,
    /// It runs now; `None` where that cannot be told.
    pub is_running: Option<bool>,
    /// What its files take.
    pub used: Bytes,
    /// What they may take.
    pub budget: Option<Bytes>,
    /// The newest reading on disk.
    pub newest: Option<WallTime>,
    /// The oldest one as it was taken.
    pub raw_from: Option<WallTime>,
    /// The oldest minute.
    pub minutes_from: Option<WallTime>,
    /// The oldest ten minutes.
    pub ten_minutes_from: Option<WallTime>,
    /// Why it cannot write; escaped.
    pub trouble: Option<String>,
    /// When it left word of itself.
    pub told: Option<WallTime>,
    /// Readings that wait in its memory.
    pub backlog: u64,
    /// How old the oldest of them is.
    pub backlog_age: Duration,
    /// Parts that it slowed down, because it used too much of a processor.
    pub slowed: Vec<String>,
    /// It keeps less, because it has too much memory.
    pub is_tight: bool,
}

impl Recorder {
    /// What is to be said about it at `now`.
    pub(super) fn findings(&self, now: WallTime) -> Vec<Finding> {
        let finding = |severity, subject, values, text: String| {
            let evidence =
                Evidence { source: self.place.clone(), line: None, text: self.state(now) };
            let claim = Claim { text, evidence: vec![evidence] };
            Finding { severity, subject, values, claim }
        };
        let lasted = |age: Duration| Values { seconds: Some(age.as_secs()), ..Values::default() };
        let silent = self.newest.map(|newest| now.since(newest)).filter(|age| *age >= SILENT);
        let runs = self.is_running == Some(true);
        let mut found = Vec::new();
        match (&self.trouble, silent) {
            (Some(why), _) if runs => {
                let waiting = match self.backlog {
                    1 => "1 reading waits in memory".to_owned(),
                    count => format!("{count} readings wait in memory"),
                };
                let age = self.told.map(|told| format!(", as of {}", ago(now.since(told))));
                let age = age.unwrap_or_default();
                let text = format!("the recorder runs, but cannot store ({waiting}{age}): {why}");
                let values = Values { count: Some(self.backlog), ..Values::default() };
                found.push(finding(Severity::Warning, Subject::CannotStore, values, text));
            }
            (_, Some(age)) if runs => {
                let text = format!("the recorder runs, but has written nothing for {}", Span(age));
                let subject = Subject::RecorderSilent;
                found.push(finding(Severity::Warning, subject, lasted(age), text));
            }
            (_, Some(age)) if self.is_running == Some(false) => {
                let text = format!("nothing has been recorded for {}: highwater agent", Span(age));
                found.push(finding(Severity::Ok, Subject::NotRecording, lasted(age), text));
            }
            _ => {}
        }
        if runs && !self.slowed.is_empty() {
            let parts = self.slowed.join(", ");
            let text = format!("the recorder used more than its budget and slows down: {parts}");
            let values = Values { names: self.slowed.clone(), ..Values::default() };
            found.push(finding(Severity::Ok, Subject::RecorderSlowed, values, text));
        }
        if runs && self.is_tight {
            let text = "the recorder has more memory than its budget and keeps less".to_owned();
            found.push(finding(Severity::Ok, Subject::RecorderTight, Values::default(), text));
        }
        found
    }

    /// Everything about it in one line at `now`.
    pub fn state(&self, now: WallTime) -> String {
        let size = match self.budget {
            Some(budget) => format!("{} of {budget}", self.used),
            None => self.used.to_string(),
        };
        let state = match (self.is_running, &self.trouble) {
            (Some(true), Some(_)) => match self.backlog {
                1 => "cannot store, 1 waits".to_owned(),
                count => format!("cannot store, {count} wait"),
            },
            (Some(false), _) => "not running".to_owned(),
            (None, _) => "no recorder has left word here".to_owned(),
            _ => String::new(),
        };
        let reach = |name: &str, from: Option<WallTime>| {
            from.map(|from| format!("{name} {}", short(now.since(from))))
        };
        let parts = [
            Some(state).filter(|state| !state.is_empty()),
            Some(size),
            reach("back", self.raw_from),
            reach("minutes", self.minutes_from),
            reach("ten minutes", self.ten_minutes_from),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
    }
}

/// `3 s ago`, `just now`.
pub(super) fn ago(age: Duration) -> String {
    match age.as_secs() {
        0 => "just now".to_owned(),
        _ => format!("{} ago", Span(age)),
    }
}

/// A span in its largest unit.
fn short(span: Duration) -> String {
    let text = Span(span).to_string();
    let mut words = text.split(' ');
    match (words.next(), words.next()) {
        (Some(count), Some(unit)) => format!("{count} {unit}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: WallTime = WallTime::from_millis(1_714_207_632_000);

    fn ago(span: Duration) -> WallTime {
        NOW.before(span)
    }

    fn well() -> Recorder {
        Recorder {
            place: "/var/lib/highwater".to_owned(),
            is_running: Some(true),
            used: Bytes::from_mib(23),
            budget: Some(Bytes::from_mib(2048)),
            newest: Some(ago(Duration::from_secs(4))),
            raw_from: Some(ago(Duration::from_hours(7 * 24 + 3))),
            minutes_from: Some(ago(Duration::from_hours(30 * 24))),
            ten_minutes_from: Some(ago(Duration::from_hours(91 * 24))),
            ..Recorder::default()
        }
    }

    fn said(recorder: &Recorder) -> Vec<(Severity, String)> {
        let findings = recorder.findings(NOW);
        findings.into_iter().map(|finding| (finding.severity, finding.claim.text)).collect()
    }

    #[test]
    fn one_that_is_well_is_only_told_of() {
        assert_eq!(said(&well()), []);
        let state = "23 MiB of 2 GiB · back 7 d · minutes 30 d · ten minutes 91 d";
        assert_eq!(well().state(NOW), state);
    }

    #[test]
    fn one_that_cannot_write_is_a_warning() {
        let trouble = Some("database or disk is full".to_owned());
        let ill = Recorder { trouble, backlog: 12, ..well() };
        let text = "the recorder runs, but cannot store (12 readings wait in memory): database or \
                    disk is full";
        assert_eq!(said(&ill), [(Severity::Warning, text.to_owned())]);
        assert!(ill.state(NOW).starts_with("cannot store, 12 wait · 23 MiB of 2 GiB"));
        let one = Recorder { backlog: 1, told: Some(ago(Duration::from_secs(3))), ..ill };
        assert!(said(&one)[0].1.contains("(1 reading waits in memory, as of 3 s ago)"));
        assert!(one.state(NOW).starts_with("cannot store, 1 waits · "));
        assert_eq!(super::ago(Duration::from_millis(400)), "just now");
    }

    #[test]
    fn a_copy_has_no_recorder() {
        let copy = Recorder { is_running: None, ..well() };
        assert!(copy.state(NOW).starts_with("no recorder has left word here · 23 MiB"));
    }

    #[test]
    fn one_that_is_silent_is_a_warning_only_while_it_runs() {
        let silent = Recorder { newest: Some(ago(Duration::from_mins(6))), ..well() };
        let text = "the recorder runs, but has written nothing for 6 min";
        assert_eq!(said(&silent), [(Severity::Warning, text.to_owned())]);
        // What ended as it failed is no trouble of now.
        let trouble = Some("disk full".to_owned());
        let ended = Recorder { is_running: Some(false), trouble, ..silent.clone() };
        let text = "nothing has been recorded for 6 min: highwater agent";
        assert_eq!(said(&ended), [(Severity::Ok, text.to_owned())]);
        assert_eq!(said(&Recorder { is_running: None, ..silent }), []);
    }

    #[test]
    fn what_it_goes_without_is_worth_knowing() {
        let slowed = vec!["survey".to_owned(), "close-ups".to_owned()];
        let thrifty = Recorder { slowed, is_tight: true, ..well() };
        let said = said(&thrifty);
        assert!(said.iter().all(|(severity, _)| *severity == Severity::Ok));
        assert!(said[0].1.ends_with("slows down: survey, close-ups"));
        assert_eq!(said.len(), 2);
    }
}
