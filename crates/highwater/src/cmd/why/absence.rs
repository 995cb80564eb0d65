//! What to say where no death was found: that nothing died is said only where everything could be
//! looked at.

use highwater_core::testimony::Fact;
use highwater_core::time::WallTime;
use highwater_diagnose::inquest::Heard;
use highwater_linux::kmsg::KmsgError;
use highwater_linux::parse::vmstat;
use highwater_linux::root::Root;

use crate::cmd::target::{self, Match};

/// What was looked at, and what could not be.
#[derive(Debug, Default)]
pub(crate) struct Sight {
    /// Why the kernel's log was not read, though it was to be.
    pub(crate) blind: Option<String>,
    /// How often the kernel killed for memory since boot, by its own count.
    pub(crate) kills_since_boot: Option<u64>,
    /// There is a recording.
    pub(crate) recorded: bool,
    /// There may be a recording, but it cannot be read.
    pub(crate) unreadable: bool,
    /// The bound in time that was asked for, and the newest death before it.
    pub(crate) since: Option<(WallTime, Option<String>)>,
}

/// Why the kernel's log was not read, in words that say who may.
pub(crate) fn reason(error: &KmsgError) -> String {
    match error {
        KmsgError::Forbidden { .. } => "the kernel's log needs root or CAP_SYSLOG".to_owned(),
        KmsgError::Missing { .. } => "there is no /dev/kmsg here (a container, perhaps)".to_owned(),
        _ => format!("the kernel's log cannot be read: {:#}", anyhow::anyhow!(error.to_string())),
    }
}

/// That a signal was sent to whoever is called so, of whom no end is on record; the last one.
pub(super) fn unended(heard: &[Heard], name: &str, since: Option<WallTime>) -> Option<String> {
    let is_meant = |one: &&Heard| since.is_none_or(|since| one.wall >= Some(since));
    heard.iter().rev().filter(is_meant).find_map(|one| {
        let Fact::Signalled(sent) = &one.testimony.fact else { return None };
        let who = &one.testimony.about;
        target::names(name, who).filter(|how| *how == Match::Whole)?;
        let at = one.wall.map_or_else(String::new, |wall| format!(" at {wall}"));
        Some(format!(
            "{} was sent to {who} by {}{at}; whether that ended it nobody saw.",
            sent.signal, sent.by
        ))
    })
}

/// The kernel's own count of kills.
pub(crate) fn kills_since_boot(root: &Root) -> Option<u64> {
    let mut text = Vec::new();
    root.read("proc/vmstat", &mut text).ok()?;
    let mut counters = highwater_core::frame::VmStat::default();
    vmstat::parse(&text, &mut counters);
    counters.oom_kill
}

impl Sight {
    /// That no death was found, and what that is worth; the first is the answer.
    pub(crate) fn of_nothing(&self) -> Vec<String> {
        let mut said = Vec::new();
        let count = self.kills_since_boot.filter(|count| *count > 0);
        let counted = count.map(|count| {
            let kills = if count == 1 { "kill" } else { "kills" };
            format!("the kernel counts {count} {kills} for memory since boot")
        });
        match (&self.blind, &self.since, &counted) {
            (Some(why), _, _) if self.recorded => said.push(format!(
                "No death is on record here; whether anything else was killed is unknown, because {why}."
            )),
            (Some(why), _, _) => {
                said.push(format!("Whether anything was killed is unknown, because {why}."));
            }
            (None, Some((since, Some(last))), _) => {
                said.push(format!("Nothing was killed since {since}; {last}."));
            }
            (None, Some((since, None)), None) => {
                said.push(format!("Nothing was killed since {since}, and no death before is on record."));
            }
            (None, _, Some(_)) => said.push(
                "Who was killed is unknown, because the kernel's log no longer has it.".to_owned(),
            ),
            (None, None, None) if self.unreadable => said.push(
                "The kernel's log tells of no death; whether the recording does is unknown, because it cannot be read.".to_owned(),
            ),
            (None, None, None) => said.push(
                "Nothing was killed for memory, as far as the logs here go back.".to_owned(),
            ),
        }
        let old = matches!(self.since, Some((_, Some(_)))) && self.blind.is_none();
        if let Some(counted) = counted.filter(|_| !old) {
            said.push(format!("{}.", sentence(&counted)));
        }
        if !self.recorded && !self.unreadable {
            said.push("No recording was found: highwater agent starts one. Another machine's log is read with highwater why FILE.".to_owned());
        }
        said
    }
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use highwater_core::evidence::Evidence;
    use highwater_core::id::Pid;
    use highwater_core::testimony::{Origin, Party, Reception, Sent, Signal, Testimony, Witness};

    use super::*;

    #[test]
    fn a_signal_without_an_end_is_told() {
        let party =
            |pid, comm: &str| Party { comm: Some(comm.to_owned()), ..Party::of_pid(Pid::new(pid)) };
        let sent = Sent {
            signal: Signal::TERM,
            origin: Origin::User,
            to_process: true,
            reception: Reception::Delivered,
            by: Box::new(party(7, "bash")),
        };
        let evidence = Evidence { source: "x".to_owned(), line: None, text: String::new() };
        let (about, fact) = (party(9, "gap"), Fact::Signalled(sent));
        let testimony = Testimony { witness: Witness::Signals, about, fact, evidence };
        let wall = Some(WallTime::from_millis(5_000));
        let heard = [Heard { wall, boot: None, boot_id: None, testimony }];
        let words = "SIGTERM was sent to gap (pid 9) by bash (pid 7) at 1970-01-01T00:00:05.000Z; whether that ended it nobody saw.";
        for name in ["gap", "9"] {
            assert_eq!(unended(&heard, name, None).as_deref(), Some(words));
        }
        assert_eq!(unended(&heard, "ga", None), None, "only who is wholly called so");
        assert_eq!(unended(&heard, "gap", Some(WallTime::from_millis(6_000))), None);
    }

    #[test]
    fn who_cannot_look_does_not_say_that_nothing_died() {
        let blind = Some("the kernel's log needs root or CAP_SYSLOG".to_owned());
        let sight = Sight { blind, kills_since_boot: Some(3), ..Sight::default() };
        let said = sight.of_nothing().join(" ");
        assert!(said.contains("unknown, because the kernel's log needs root"), "{said}");
        assert!(said.contains("The kernel counts 3 kills for memory since boot"), "{said}");
        assert!(!said.contains("Nothing was killed"), "{said}");
    }

    #[test]
    fn a_count_without_a_name_is_no_nothing_either() {
        let sight = Sight { kills_since_boot: Some(1), recorded: true, ..Sight::default() };
        assert_eq!(
            sight.of_nothing(),
            [
                "Who was killed is unknown, because the kernel's log no longer has it.",
                "The kernel counts 1 kill for memory since boot."
            ]
        );
    }

    #[test]
    fn a_recording_that_cannot_be_read_is_not_none() {
        let sight = Sight { unreadable: true, ..Sight::default() };
        assert_eq!(
            sight.of_nothing(),
            [
                "The kernel's log tells of no death; whether the recording does is unknown, because it cannot be read."
            ]
        );
    }

    #[test]
    fn what_since_cut_off_is_said() {
        let last = Some("the newest death on record was x (pid 7) at noon".to_owned());
        let since = Some((WallTime::from_millis(0), last));
        let sight = Sight { since, recorded: true, ..Sight::default() };
        assert_eq!(
            sight.of_nothing(),
            [
                "Nothing was killed since 1970-01-01T00:00:00.000Z; the newest death on record was x (pid 7) at noon."
            ]
        );
    }
}
