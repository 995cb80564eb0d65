//! Whether what `why` tells of a case is what was done in it.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};

use super::cases::{ASKED, Case};
use super::dumps::{Did, micros};
use super::stage::Played;

/// What came of one case in one pass.
pub(super) struct Outcome {
    case: Case,
    pass: &'static str,
    place: &'static str,
    /// The death as it is told.
    told: Option<Value>,
    /// From the death, by the kernel's own clock, to the moment at which it is told rightly.
    told_after_ms: Option<u64>,
    /// To the line that the agent writes of it, where it writes one.
    line_after_ms: Option<u64>,
    /// What Docker says of it.
    docker: Option<String>,
    fault: Option<String>,
}

/// Reads what a case left, and compares.
pub(super) fn judge(played: &Played, pass: &'static str, case: &Case) -> Outcome {
    let folder = played.case(pass, case);
    let mut outcome = Outcome {
        case: *case,
        pass,
        place: played.place.name(),
        told: None,
        told_after_ms: None,
        line_after_ms: None,
        docker: None,
        fault: None,
    };
    if let Err(fault) = outcome.read(&folder, &played.results) {
        outcome.fault = Some(format!("{fault:#}"));
    }
    outcome
}

impl Outcome {
    /// The case in words.
    pub(super) fn statement(&self) -> String {
        format!("{} {} ({})", self.place, self.case.name, self.pass)
    }

    /// What was told, or what is wrong with it.
    pub(super) fn verdict(&self) -> anyhow::Result<String> {
        if let Some(fault) = &self.fault {
            bail!("{fault}");
        }
        Ok(self.row().join(", "))
    }

    /// Verdict, confidence, sender, when it was told, when the agent wrote of it.
    pub(super) fn row(&self) -> [String; 5] {
        let text = |pointer| self.text(pointer).unwrap_or("-").to_owned();
        let after = |ms: Option<u64>| ms.map_or("-".to_owned(), |ms| format!("{ms} ms"));
        let verdict = if self.case.is_stuck { "stuck".to_owned() } else { text("/cause") };
        [
            verdict,
            text("/confidence"),
            self.sender(),
            after(self.told_after_ms),
            after(self.line_after_ms),
        ]
    }

    /// All of it, for machines.
    pub(super) fn document(&self) -> Value {
        json!({
            "place": self.place, "case": self.case.name, "pass": self.pass,
            "expected": self.case.cause, "cause": self.text("/cause"),
            "confidence": self.text("/confidence"), "sender": self.sender(),
            "told_after_ms": self.told_after_ms, "line_after_ms": self.line_after_ms,
            "docker": self.docker, "fault": self.fault,
            "summary": self.text("/summary"),
        })
    }

    /// The case, and where and how it was played.
    pub(super) fn place(&self) -> [&str; 3] {
        [self.place, self.case.name, self.pass]
    }

    /// What is wrong, if anything.
    pub(super) fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    fn text(&self, pointer: &str) -> Option<&str> {
        self.told.as_ref()?.pointer(pointer)?.as_str()
    }

    fn sender(&self) -> String {
        let Some(sender) = self.told.as_ref().and_then(|told| told.get("sender")) else {
            return "-".to_owned();
        };
        let comm = sender.get("comm").and_then(Value::as_str);
        let pid = sender.get("pid").and_then(Value::as_u64);
        match (comm, pid) {
            (Some(comm), Some(pid)) => format!("{comm} ({pid})"),
            (Some(comm), None) => comm.to_owned(),
            (None, Some(pid)) => format!("pid {pid}, gone"),
            (None, None) => "-".to_owned(),
        }
    }

    fn read(&mut self, folder: &Path, results: &Path) -> anyhow::Result<()> {
        let did = Did::read(folder)?;
        self.docker = did.get("docker").map(str::to_owned);
        let pid: u64 = did.get("pid").and_then(|pid| pid.parse().ok()).context("no victim")?;
        if self.case.is_stuck {
            return self.read_stuck(folder, &did);
        }
        ensure!(did.get("lives").is_none(), "pid {pid} did not die");
        let truth = fs::read_to_string(folder.join("truth.txt")).unwrap_or_default();
        let ended =
            exit_of(&truth, pid).or_else(|| did.micros("gone")).context("no time of death")?;
        let Ok(why) = fs::read_to_string(folder.join("why.json")) else {
            // Nobody was asked: it is enough that it happened.
            return truthful(self.case.signal, &truth, pid);
        };
        let why: Value = serde_json::from_str(&why).context("why --json is not JSON")?;
        if let Some(told) = did.micros("told").filter(|_| did.get("untold").is_none()) {
            self.told_after_ms = Some(told.saturating_sub(ended) / 1000);
        }
        let log = fs::read_to_string(results.join("agent.log")).unwrap_or_default();
        self.line_after_ms = line_of(&log, pid, ended).map(|at| at.saturating_sub(ended) / 1000);
        let told = death_of(&why, pid)?;
        // What was told at last counts: some witnesses take their time.
        let all = fs::read(results.join(self.pass).join("why-all.json")).unwrap_or_default();
        let all: Value = serde_json::from_slice(&all).unwrap_or_default();
        self.told = Some(death_of(&all, pid).unwrap_or(told).clone());
        self.compare(&did)
    }

    fn read_stuck(&mut self, folder: &Path, did: &Did) -> anyhow::Result<()> {
        let since = did.micros("hangs").context("it did not hang")?;
        let Ok(why) = fs::read_to_string(folder.join("why-stuck.json")) else { return Ok(()) };
        let why: Value = serde_json::from_str(&why).context("why --json is not JSON")?;
        let stuck = why.pointer("/stuck/0").context("nothing is told to be stuck")?;
        if let Some(told) = did.micros("stuck-told") {
            self.told_after_ms = Some(told.saturating_sub(since) / 1000);
        }
        self.told = Some(stuck.clone());
        self.owner(did)?;
        // Asked once more after the limit was raised.
        let after = fs::read_to_string(folder.join("why.json"))?;
        let after: Value = serde_json::from_str(&after)?;
        let until = after.pointer("/stuck/0/until").filter(|until| !until.is_null());
        ensure!(
            until.is_some(),
            "it is not told that it recovered: {}",
            after.get("stuck").unwrap_or(&Value::Null)
        );
        Ok(())
    }

    fn compare(&self, did: &Did) -> anyhow::Result<()> {
        let told = self.told.as_ref().context("nothing is told")?;
        let wanted = &self.case;
        let cause = self.text("/cause").unwrap_or("nothing");
        let summary = self.text("/summary").unwrap_or_default();
        ensure!(cause == wanted.cause, "told is {cause} instead of {}: {summary}", wanted.cause);
        let confidence = self.text("/confidence").unwrap_or("nothing");
        ensure!(
            ["certain", "likely"].contains(&confidence)
                || (wanted.is_guess && confidence == "possible"),
            "the confidence is {confidence}"
        );
        self.owner(did)?;
        let comm = self.text("/sender/comm");
        let is_named = comm.is_some_and(|comm| wanted.senders.contains(&comm));
        ensure!(
            wanted.senders.is_empty() || is_named,
            "the sender is {comm:?}, not {:?}",
            wanted.senders
        );
        let signal = told.get("signal").and_then(number_of_signal).unwrap_or(0);
        ensure!(
            wanted.signal == ASKED || signal == wanted.signal,
            "the signal is {signal} instead of {}",
            wanted.signal
        );
        let limit_of = self.text("/limit_of");
        ensure!(
            wanted.limit_of.is_none() || limit_of == wanted.limit_of,
            "the limit is {limit_of:?}, not {:?}",
            wanted.limit_of
        );
        Ok(())
    }

    /// The name people know, as the scene gave it.
    fn owner(&self, did: &Did) -> anyhow::Result<()> {
        let Some(wanted) = did.get("owner") else { return Ok(()) };
        let kind = self.text("/owner/kind").unwrap_or_default();
        let id = self.text("/owner/id").unwrap_or_default();
        ensure!(format!("{kind} {id}") == wanted, "the owner is {kind} {id} instead of {wanted}");
        Ok(())
    }
}

/// `9` or `"SIGKILL"`.
fn number_of_signal(signal: &Value) -> Option<u64> {
    let of_name = || highwater_core::testimony::Signal::of_name(signal.as_str()?);
    signal.as_u64().or_else(|| Some(u64::from(of_name()?.0)))
}

/// The one death of this process.
fn death_of(why: &Value, pid: u64) -> anyhow::Result<&Value> {
    let deaths = why.get("deaths").and_then(Value::as_array).context("why --json has no deaths")?;
    let victim = |death: &&Value| death.pointer("/victim/pid").and_then(Value::as_u64) == Some(pid);
    let mut own = deaths.iter().filter(victim);
    let death =
        own.next().with_context(|| format!("pid {pid} is in none of {} deaths", deaths.len()))?;
    ensure!(own.next().is_none(), "the one death of pid {pid} is told twice");
    Ok(death)
}

/// When a process ended, in microseconds after boot: the exit of its first thread.
fn exit_of(truth: &str, pid: u64) -> Option<u64> {
    let of = format!(" pid={pid} ");
    let line =
        truth.lines().find(|line| line.contains("sched_process_exit:") && line.contains(&of))?;
    stamp_of(line)
}

/// The time in a line of the trace: the word before the event's name.
fn stamp_of(line: &str) -> Option<u64> {
    let words = line.split_whitespace();
    let stamp = words.take_while(|word| {
        !word.starts_with("sched_process") && !word.starts_with("signal_generate")
    });
    micros(stamp.last()?.strip_suffix(':')?)
}

/// Whether the kernel saw the signal that the case is about.
fn truthful(signal: u64, truth: &str, pid: u64) -> anyhow::Result<()> {
    let of = (format!("sig={signal} "), format!(" pid={pid} "));
    let is = |line: &str| {
        line.contains("signal_generate:") && line.contains(&of.0) && line.contains(&of.1)
    };
    let is_sent = signal != 0 && signal != ASKED;
    ensure!(!is_sent || truth.lines().any(is), "no signal {signal} was made for pid {pid}");
    Ok(())
}

/// When the agent wrote of this process, in microseconds after boot: `[ 12.345678] … pid 4711 …`.
fn line_of(log: &str, pid: u64, since: u64) -> Option<u64> {
    let of = format!("pid {pid}");
    let at = |line: &str| {
        let (_, rest) = line.split_once('[')?;
        let (stamp, said) = rest.split_once(']')?;
        let (_, after) = said.split_once(&of)?;
        let is_whole = !after.starts_with(|next: char| next.is_ascii_digit());
        is_whole.then(|| micros(stamp.trim())).flatten()
    };
    log.lines().filter_map(at).find(|at| *at >= since)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUTH: &str = "\
            bash-290     [001] d..1.    30.500001: signal_generate: sig=9 errno=0 code=0 comm=hog pid=315 grp=1 res=0\n\
             hog-315     [000] .....    30.512345: sched_process_exit: comm=hog pid=315 prio=120 group_dead=true\n";

    #[test]
    fn the_trace_tells_when_and_by_what() {
        assert_eq!(exit_of(TRUTH, 315), Some(30_512_345));
        assert_eq!(exit_of(TRUTH, 31), None);
        assert!(truthful(9, TRUTH, 315).is_ok());
        assert!(truthful(15, TRUTH, 315).is_err());
    }

    #[test]
    fn the_agents_line_is_the_first_after_the_death() {
        let log = "[   30.1] highwater: hog (pid 3155) x\n[   30.9] highwater: hog (pid 315) was killed\n";
        assert_eq!(line_of(log, 315, 30_512_345), Some(30_900_000));
        assert_eq!(line_of(log, 315, 31_000_000), None);
    }

    #[test]
    fn a_signal_is_a_number_or_a_name() {
        assert_eq!(number_of_signal(&json!(9)), Some(9));
        assert_eq!(number_of_signal(&json!("SIGTERM")), Some(15));
        assert_eq!(number_of_signal(&Value::Null), None);
    }
}
