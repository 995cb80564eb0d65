//! systemd's messages by their words, as they stood in systemd 208 to 257.
//!
//! ```text
//! web.service: Main process exited, code=killed, status=9/KILL          (since 227)
//! web.service: main process exited, code=killed, status=9/KILL          (before)
//! web.service stop-sigterm timed out. Killing.                          (before)
//! Started web.service - A web server.                                   (since 249)
//! ```
//!
//! Many of these have no `MESSAGE_ID`, whatever the version: watchdog, time-outs, what is killed.

use highwater_core::id::Pid;
use highwater_core::testimony::{Exit, Fact, Signal, UnitWord};

use super::{Said, status, unit};

/// What a message says.
pub(super) fn read(text: &str) -> Option<Said<'_>> {
    if let Some((name, rest)) = unit::prefix(text).or_else(|| unit::first_word(text)) {
        return of_unit(rest).map(|said| Said { unit: Some(name), ..said });
    }
    job(text).or_else(|| behind_words(text))
}

/// What is said behind a unit's name.
fn of_unit(text: &str) -> Option<Said<'_>> {
    killing(text).or_else(|| fact(text).map(|fact| Said::of(None, fact)))
}

fn fact(text: &str) -> Option<Fact> {
    process(text)
        .or_else(|| ending(text).map(Fact::Unit))
        .or_else(|| timing(text).map(Fact::Unit))
        .or_else(|| restart(text).map(Fact::Unit))
}

/// `Main process exited, code=…`, `Control process exited, …`, `Mount process exited, …`.
fn process(text: &str) -> Option<Fact> {
    let (kind, rest) = text.split_once(" process exited, ")?;
    let status = status::in_words(rest);
    match kind {
        "Main" | "main" => Some(main_exited(status, None)),
        "Control" | "control" | "Mount" | "mount" | "Swap" | "swap" => control_exited(status?),
        _ => None,
    }
}

/// The unit's first process ended.
pub(super) const fn main_exited(
    status: Option<highwater_core::testimony::Status>,
    invocation: Option<String>,
) -> Fact {
    Fact::Unit(UnitWord::MainExited { main: None, status, invocation })
}

/// Another process of the unit ended that systemd had started: before, beside or after the first.
#[expect(clippy::unnecessary_wraps, reason = "the caller's shape")]
pub(super) const fn control_exited(status: highwater_core::testimony::Status) -> Option<Fact> {
    Some(Fact::Exited(Exit { status, lived_ms: None, is_first: Some(false) }))
}

/// How it ended.
fn ending(text: &str) -> Option<UnitWord> {
    let result = |result: &str| UnitWord::Result { result: result.to_owned(), invocation: None };
    if let Some(rest) = text.strip_prefix("Failed with result '") {
        // Whatever a broken line has there, a result is a word.
        let (word, _) = rest.split_once('\'')?;
        let is_word = word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        return (is_word && !word.is_empty()).then(|| result(word));
    }
    if text.starts_with("Deactivated successfully.") || text.starts_with("Succeeded.") {
        return Some(result("success"));
    }
    if text.contains("killed by the OOM killer") || text.starts_with("The kernel OOM killer killed")
    {
        return Some(UnitWord::OutOfMemory);
    }
    oomd_kill(text)
}

/// `systemd-oomd killed 3 process(es) in this unit.`
pub(super) fn oomd_kill(text: &str) -> Option<UnitWord> {
    let (_, rest) = text.split_once("systemd-oomd killed ")?;
    let count = rest.split(' ').next().and_then(|count| count.parse().ok());
    Some(UnitWord::OomdKill { processes: count })
}

/// What took too long.
fn timing(text: &str) -> Option<UnitWord> {
    if let Some(rest) = strip_first(text, ["Watchdog timeout", "watchdog timeout"]) {
        let limit = rest.strip_prefix(" (limit ").and_then(|rest| rest.split_once(')'));
        let limit_ms = limit.and_then(|(span, _)| milliseconds(span));
        return Some(UnitWord::Watchdog { limit_ms });
    }
    let step = |step: &str| Some(UnitWord::TimedOut { step: step.to_owned() });
    if text.contains("reached runtime time limit") {
        return step("runtime");
    }
    let (what, then) = text.split_once(" timed out")?;
    if let Some(state) = what.strip_prefix("State '").and_then(|rest| rest.strip_suffix('\'')) {
        return is_step(state).then(|| step(state))?;
    }
    match what {
        // A service's own command to stop it; a scope has none, and what timed out is SIGTERM.
        "Stopping" | "stopping" if then.starts_with(". Terminating") => step("stop"),
        "Stopping" | "stopping" => step("stop-sigterm"),
        _ => {
            let state = what.strip_suffix(" operation").unwrap_or(what).to_ascii_lowercase();
            (is_step(&state) && state != "reload").then(|| step(&state))?
        }
    }
}

/// `start-pre`, `stop-sigterm`, `final-sigkill`, …: what systemd calls its states.
fn is_step(state: &str) -> bool {
    let is_known = ["start", "stop", "final", "reload"].iter().any(|word| state.starts_with(word));
    is_known && state.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
}

/// What comes next.
fn restart(text: &str) -> Option<UnitWord> {
    if text.starts_with("Scheduled restart job") {
        let count = text.split_once("restart counter is at ").map(|(_, rest)| rest);
        let count = count.and_then(|rest| rest.trim_end_matches('.').parse().ok());
        return Some(UnitWord::RestartScheduled { count });
    }
    // `Service RestartSec=… expired, scheduling restart.` always comes with the line above.
    let holdoffs =
        ["oldoff time over,", "old-off time over,", "no holdoff time,", "no hold-off time,"];
    if text.ends_with("scheduling restart.") && holdoffs.iter().any(|words| text.contains(words)) {
        return Some(UnitWord::RestartScheduled { count: None });
    }
    let too_quickly = strip_first(text, ["Start", "start"]);
    let is_over = too_quickly.is_some_and(|rest| rest.starts_with(" request repeated too quickly"));
    is_over.then_some(UnitWord::StartLimitHit)
}

/// `Killing process 12 (x) with signal SIGKILL.`, `Sent signal SIGKILL to main process 12 (x) on
/// client request.` The name may hold anything.
fn killing(text: &str) -> Option<Said<'_>> {
    let (who, name) = if let Some(rest) = text.strip_prefix("Killing process ") {
        rest.rsplit_once(" with signal ")?
    } else {
        let (name, rest) = text.strip_prefix("Sent signal ")?.split_once(" to ")?;
        let (_, rest) = rest.split_once("process ")?;
        (rest.rsplit_once(" on client request").map_or(rest, |(who, _)| who), name)
    };
    let (pid, comm) = numbered(who)?;
    let signal = Signal::of_name(name.trim_end_matches('.'));
    let word = UnitWord::Kills { pid: Some(pid), comm: comm.map(str::to_owned), signal };
    Some(Said { unit: None, pid: Some(pid), comm, fact: Fact::Unit(word) })
}

/// `12 (x)`; systemd writes `n/a` for a name it could not read.
pub(super) fn numbered(text: &str) -> Option<(Pid, Option<&str>)> {
    let (pid, rest) = text.split_once(' ').unwrap_or((text, ""));
    let pid = pid.parse().ok().filter(|pid| *pid > 0)?;
    let comm = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    Some((Pid::new(pid), comm.filter(|comm| !matches!(*comm, "n/a" | ""))))
}

/// `Started web.service - A web server.`, `Stopping …`, `Stopped …`: jobs that are done or begin.
/// Without the unit's name, as before 249, it is for the fields to tell whose it is.
pub(super) fn job(text: &str) -> Option<Said<'_>> {
    let (verb, rest) = text.split_once(' ')?;
    let word = match verb {
        "Started" => started(None),
        "Stopping" => UnitWord::Stopping,
        "Stopped" => UnitWord::Stopped,
        _ => return None,
    };
    let name = unit::described(rest);
    if name.is_some_and(|name| !unit::is_started(name)) {
        return None;
    }
    Some(Said::of(name, Fact::Unit(word)))
}

/// It runs; of what holds it a log says nothing.
pub(super) fn started(invocation: Option<String>) -> UnitWord {
    UnitWord::Started { main: None, invocation, restarts: None, limits: Box::default() }
}

/// Words that stand before the name (up to 226).
fn behind_words(text: &str) -> Option<Said<'_>> {
    if let Some(name) = text.strip_prefix("start request repeated too quickly for ") {
        let name = name.trim_end_matches('.');
        let is_name = unit::is_name(name);
        return is_name.then(|| Said::of(Some(name), Fact::Unit(UnitWord::StartLimitHit)));
    }
    let name = text.strip_prefix("Unit ")?.strip_suffix(" entered failed state.")?;
    let result = UnitWord::Result { result: "failed".to_owned(), invocation: None };
    unit::is_name(name).then(|| Said::of(Some(name), Fact::Unit(result)))
}

/// A span as systemd writes it: `30s`, `1min 30s`, `500ms`, `2h 5min`.
fn milliseconds(span: &str) -> Option<u64> {
    span.split(' ').try_fold(0_u64, |sum, part| {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = part.split_at_checked(digits)?;
        let unit = match unit {
            "ms" => 1,
            "s" => 1_000,
            "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "us" | "µs" => return Some(sum),
            _ => return None,
        };
        sum.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?)
    })
}

/// The text without one of these in front.
fn strip_first<'a, const N: usize>(text: &'a str, prefixes: [&str; N]) -> Option<&'a str> {
    prefixes.iter().find_map(|prefix| text.strip_prefix(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_systemd_writes_them() {
        assert_eq!(milliseconds("30s"), Some(30_000));
        assert_eq!(milliseconds("1min 30s"), Some(90_000));
        assert_eq!(milliseconds("2h 5min 1s 500ms"), Some(7_501_500));
        for span in ["", "s", "x", "30", "99999999999999999999s", "18446744073709551615d"] {
            assert_eq!(milliseconds(span), None, "{span}");
        }
    }

    #[test]
    fn a_name_may_hold_what_closes_it() {
        let (pid, comm) = numbered("12 (a) b) with signal X)").unwrap();
        assert_eq!((pid, comm), (Pid::new(12), Some("a) b) with signal X")));
        assert_eq!(numbered("0 (a)"), None);
        assert_eq!(numbered("99999999999 (a)"), None);
        assert_eq!(numbered("7"), Some((Pid::new(7), None)));
    }
}
