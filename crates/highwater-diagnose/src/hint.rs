//! Lines that tell of restarts and kills without being an OOM report: not an answer, but where
//! to look for one.

use std::collections::VecDeque;

use highwater_core::evidence::{Claim, Evidence};
use highwater_core::line::LogLine;
use highwater_core::text::escape;

/// What a line may tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tells {
    /// systemd saw the kernel's counter of OOM kills of the unit rise.
    KilledByOom,
    /// systemd found the mark that systemd-oomd leaves on a unit.
    KilledByOomd,
    /// systemd's word for a unit that failed for memory, whoever killed.
    FailedByOom,
    NewPid,
    Restart,
    Sigkill,
    Probe,
}

/// Words, in lower case, and what they tell; the first that is found counts.
const WORDS: &[(&str, Tells)] = &[
    ("has been killed by the oom killer", Tells::KilledByOom),
    ("process(es) in this unit", Tells::KilledByOomd),
    ("with result 'oom-kill'", Tells::FailedByOom),
    ("new pid", Tells::NewPid),
    ("status=9/kill", Tells::Sigkill),
    ("status=137", Tells::Sigkill),
    ("exit code 137", Tells::Sigkill),
    ("exited with code 137", Tells::Sigkill),
    ("oomkilled", Tells::Sigkill),
    ("restart completed", Tells::Restart),
    ("attempting restart", Tells::Restart),
    ("scheduled restart job", Tells::Restart),
    ("restarting", Tells::Restart),
    ("restarted", Tells::Restart),
    ("probe failed", Tells::Probe),
    ("health check failed", Tells::Probe),
    ("watchdog timeout", Tells::Probe),
];

/// The most hints that are kept: the newest, as a log's end is what a reader asks about.
const KEPT: usize = 8;

/// Hints are sought in this much of a line.
const SEARCHED: usize = 512;

/// Collects hints line by line in bounded room.
#[derive(Debug, Default)]
pub struct Hints {
    found: VecDeque<(Tells, Option<String>, String, u64)>,
    considered: Option<Considered>,
    /// The first lines in which systemd itself says that it was for memory.
    verdicts: Vec<Verdict>,
}

/// systemd's own verdict on a unit.
#[derive(Debug)]
struct Verdict {
    tells: Tells,
    unit: Option<String>,
    text: String,
    line: u64,
}

/// The last list of candidates that systemd-oomd printed, and its first entry.
#[derive(Debug, Default)]
struct Considered {
    text: String,
    line: u64,
    path: Option<String>,
    pressure: Option<String>,
    usage: Option<String>,
}

impl Considered {
    /// A line below the head; only the first of each kind belongs to the top candidate.
    fn look(&mut self, text: &str) {
        let fields = [
            ("Path: ", &mut self.path),
            ("Pressure: ", &mut self.pressure),
            ("Current Memory Usage: ", &mut self.usage),
        ];
        for (name, place) in fields {
            if let (None, Some(value)) = (&place, text.trim().strip_prefix(name)) {
                *place = Some(value.to_owned());
            }
        }
    }

    fn claim(&self, source: &str) -> Claim {
        let top = match &self.path {
            Some(path) => format!("; the first was {}", crate::words::place(path)),
            None => String::new(),
        };
        let usage = self.usage.as_ref().map(|usage| format!("{usage} of memory"));
        let pressure = self.pressure.as_ref().map(|pressure| format!("pressure {pressure}"));
        let numbers: Vec<String> = [usage, pressure].into_iter().flatten().collect();
        let numbers = match numbers.as_slice() {
            [] => String::new(),
            all => format!(" ({})", all.join(", ")),
        };
        Claim {
            text: format!(
                "systemd-oomd looked for a cgroup to kill{top}{numbers}. Whether it killed is unknown, because no such line is here: journalctl -u systemd-oomd"
            ),
            evidence: vec![Evidence {
                source: source.to_owned(),
                line: Some(self.line),
                text: self.text.clone(),
            }],
        }
    }
}

impl Hints {
    /// Looks at one line.
    pub fn look(&mut self, line: &LogLine<'_>) {
        self.look_for_candidates(line);
        let head = line.text.get(..SEARCHED).unwrap_or(line.text).to_ascii_lowercase();
        let Some(tells) = tells(&head) else { return };
        if matches!(tells, Tells::KilledByOom | Tells::KilledByOomd | Tells::FailedByOom) {
            self.judge(tells, line);
            return;
        }
        if self.found.len() == KEPT {
            self.found.pop_front();
        }
        let ident = line.ident.map(|ident| escape(ident).into_owned());
        self.found.push_back((tells, ident, escape(line.text).into_owned(), line.number));
    }

    fn look_for_candidates(&mut self, line: &LogLine<'_>) {
        const HEAD: &[u8] = b" cgroups for killing, top candidates";
        let text = line.text.get(..SEARCHED).unwrap_or(line.text);
        if text.windows(HEAD.len()).any(|at| at == HEAD) {
            let text = escape(text).into_owned();
            self.considered = Some(Considered { text, line: line.number, ..Considered::default() });
        } else if is_oomd_kill(text) {
            // What came of the list is known, and the kill has a report of its own.
            self.considered = None;
        } else if let Some(considered) = &mut self.considered {
            considered.look(&escape(text));
        }
    }

    /// Each unit's verdict once, the clearer one if there are two.
    fn judge(&mut self, tells: Tells, line: &LogLine<'_>) {
        let text = escape(line.text).into_owned();
        let unit = unit(&text).map(ToOwned::to_owned);
        let is_full = self.verdicts.len() >= KEPT;
        let known = self.verdicts.iter_mut().find(|verdict| verdict.unit == unit);
        let verdict = Verdict { tells, unit, text, line: line.number };
        match known {
            Some(known) if known.tells == Tells::FailedByOom => *known = verdict,
            Some(_) => {}
            None if is_full => {}
            None => self.verdicts.push(verdict),
        }
    }

    /// What the lines tell, as claims on them; `source` is what they were read from.
    pub fn claims(&self, source: &str) -> Vec<Claim> {
        let told = |tells| self.found.iter().filter(move |(kind, ..)| *kind == tells);
        let evidence = |(_, _, text, line): &(Tells, Option<String>, String, u64)| Evidence {
            source: source.to_owned(),
            line: Some(*line),
            text: text.clone(),
        };
        let mut claims: Vec<Claim> =
            self.considered.iter().map(|list| list.claim(source)).collect();
        claims.extend(self.verdicts.iter().map(|verdict| verdict.claim(source)));
        let mut restarts: Vec<_> = told(Tells::NewPid).collect();
        restarts.extend(told(Tells::Restart));
        if let Some(last) = restarts.first() {
            let who = last.1.as_deref().map_or("a script".to_owned(), ToOwned::to_owned);
            let pid = new_pid(&last.2).map_or(String::new(), |pid| format!(", new pid {pid}"));
            let text = format!(
                "No death is told of, but a restart by {who}{pid}: its cause is unknown, because no line says how the old process ended."
            );
            claims.push(Claim {
                text,
                evidence: restarts.iter().map(|hint| evidence(hint)).collect(),
            });
        }
        let probes: Vec<_> = told(Tells::Probe).map(evidence).collect();
        if !probes.is_empty() {
            let text = "A health check failed: a slow or hanging process fails it just as a dead one does.".to_owned();
            claims.push(Claim { text, evidence: probes });
        }
        // Of a unit on which systemd has a verdict, who sent the signal is no riddle.
        let judged = |text: &str| {
            let judged = self.verdicts.iter().map(|verdict| verdict.unit.as_deref());
            unit(text).is_some_and(|unit| judged.flatten().any(|judged| judged == unit))
        };
        let kills = told(Tells::Sigkill).filter(|(.., text, _)| !judged(text));
        let kills: Vec<_> = kills.map(evidence).collect();
        if !kills.is_empty() {
            let text = "Something was ended by SIGKILL; who sent it is unknown, because the kernel's log of that moment is not here: an OOM kill, a stop timeout and kill -9 all look like this.".to_owned();
            claims.push(Claim { text, evidence: kills });
        }
        claims
    }
}

impl Verdict {
    fn claim(&self, source: &str) -> Claim {
        let unit = self.unit.as_deref().unwrap_or("a unit");
        let text = match self.tells {
            Tells::KilledByOom => format!(
                "systemd says that the kernel's OOM killer killed a process of {unit}; which one, and why, is unknown, because the kernel's own lines are not here: journalctl -k"
            ),
            Tells::KilledByOomd => format!(
                "systemd says that systemd-oomd killed the processes of {unit}; why is unknown, because its own lines are not here: journalctl -u systemd-oomd"
            ),
            _ => format!(
                "systemd says that {unit} ended with the result oom-kill: a process of it was killed for memory, by the kernel's OOM killer or by systemd-oomd; which one, and why, is unknown, because their own lines are not here: journalctl -k -u systemd-oomd"
            ),
        };
        let evidence = vec![Evidence {
            source: source.to_owned(),
            line: Some(self.line),
            text: self.text.clone(),
        }];
        Claim { text, evidence }
    }
}

/// `app.service` at the head of a line of systemd on a unit.
fn unit(text: &str) -> Option<&str> {
    let (unit, _) = text.split_once(": ")?;
    let is_unit = unit.contains('.') && !unit.contains(char::is_whitespace);
    is_unit.then_some(unit)
}

/// `Killed /system.slice/x.service due to memory pressure …`.
fn is_oomd_kill(text: &[u8]) -> bool {
    const DUE: &[u8] = b" due to ";
    text.starts_with(b"Killed /") && text.windows(DUE.len()).any(|at| at == DUE)
}

fn tells(text: &[u8]) -> Option<Tells> {
    let has = |word: &str| text.windows(word.len()).any(|at| at == word.as_bytes());
    WORDS.iter().find(|(word, _)| has(word)).map(|(_, tells)| *tells)
}

/// The number after `new pid`.
fn new_pid(text: &str) -> Option<u32> {
    const WORD: &str = "new pid";
    let at = text.to_ascii_lowercase().find(WORD)?;
    let rest = text.get(at + WORD.len()..)?.trim_start_matches([':', '=', ' ']);
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest.get(..end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use highwater_core::line::Origin;

    use super::*;

    fn line(number: u64, text: &str) -> LogLine<'_> {
        LogLine {
            number,
            text: text.as_bytes(),
            raw: text.as_bytes(),
            wall: None,
            boot: None,
            seq: None,
            ident: Some(b"watch.sh"),
            continues: false,
            origin: Origin::Program,
            caller: None,
            journal: None,
        }
    }

    #[test]
    fn a_restart_is_no_death_and_its_cause_is_unknown() {
        let mut hints = Hints::default();
        hints.look(&line(1, "all is well"));
        hints.look(&line(2, "RPC probe failed"));
        hints.look(&line(3, "Restart completed. New PID: 4242"));
        let claims = hints.claims("a.log");
        assert_eq!(
            claims[0].text,
            "No death is told of, but a restart by watch.sh, new pid 4242: its cause is unknown, because no line says how the old process ended."
        );
        assert_eq!(claims[0].evidence[0].line, Some(3));
        assert_eq!(claims.len(), 2);
    }

    #[test]
    fn what_systemd_oomd_considered_is_no_death() {
        let mut hints = Hints::default();
        for (number, text) in [
            "Considered 50 cgroups for killing, top candidates were:",
            "        Path: /system.slice/build.service",
            "                Memory Pressure Limit: 0.00%",
            "                Pressure: Avg10: 85.87 Avg60: 73.87 Avg300: 50.24 Total: 6min 30s",
            "                Current Memory Usage: 43.3G",
            "        Path: /system.slice/other.service",
        ]
        .iter()
        .enumerate()
        {
            hints.look(&line(u64::try_from(number).unwrap(), text));
        }
        assert_eq!(
            hints.claims("x")[0].text,
            "systemd-oomd looked for a cgroup to kill; the first was /system.slice/build.service (43.3G of memory, pressure Avg10: 85.87 Avg60: 73.87 Avg300: 50.24 Total: 6min 30s). Whether it killed is unknown, because no such line is here: journalctl -u systemd-oomd"
        );
    }

    #[test]
    fn systemd_says_itself_that_it_was_for_memory() {
        let mut hints = Hints::default();
        hints.look(&line(3, "app.service: Main process exited, code=killed, status=9/KILL"));
        hints.look(&line(4, "app.service: Failed with result 'oom-kill'."));
        let unsure = hints.claims("x");
        assert_eq!(unsure.len(), 1, "the signal is explained: {unsure:?}");
        assert!(unsure[0].text.contains("app.service ended with the result oom-kill"));
        hints.look(&line(
            5,
            "app.service: A process of this unit has been killed by the OOM killer.",
        ));
        hints.look(&line(6, "app.service: Failed with result 'oom-kill'."));
        hints.look(&line(7, "other.service: Main process exited, code=killed, status=9/KILL"));
        let claims = hints.claims("x");
        assert!(
            claims[0].text.contains("the kernel's OOM killer killed a process of app.service"),
            "{claims:?}"
        );
        assert_eq!(claims[0].evidence[0].line, Some(5));
        assert!(claims[1].text.contains("who sent it is unknown"), "of the other unit");
        assert_eq!(claims[1].evidence.len(), 1);
    }

    #[test]
    fn what_systemd_oomd_did_is_not_the_kernels() {
        let mut hints = Hints::default();
        hints.look(&line(1, "a.service: systemd-oomd killed 2 process(es) in this unit."));
        hints.look(&line(2, "a.service: Failed with result 'oom-kill'."));
        let claims = hints.claims("x");
        assert_eq!(claims.len(), 1);
        assert!(
            claims[0].text.contains("systemd-oomd killed the processes of a.service"),
            "{claims:?}"
        );
    }

    #[test]
    fn a_list_that_ended_in_a_kill_is_no_open_question() {
        let mut hints = Hints::default();
        hints.look(&line(1, "Considered 5 cgroups for killing, top candidates were:"));
        hints.look(&line(2, "        Path: /system.slice/a.service"));
        assert_eq!(hints.claims("x").len(), 1);
        hints
            .look(&line(3, "Killed /system.slice/a.service due to memory pressure for / being 9%"));
        assert!(hints.claims("x").is_empty());
    }

    #[test]
    fn room_is_bounded_and_garbage_tells_nothing() {
        let mut hints = Hints::default();
        for number in 0..1000 {
            hints.look(&line(number, "Main process exited, code=killed, status=9/KILL"));
        }
        assert_eq!(hints.claims("x")[0].evidence.len(), KEPT);
        let mut none = Hints::default();
        none.look(&line(1, "\u{0}\u{1b}"));
        assert!(none.claims("x").is_empty());
    }
}
