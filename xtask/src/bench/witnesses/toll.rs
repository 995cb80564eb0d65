//! Who was killed meanwhile, and whether the history has all of them.

use std::collections::BTreeSet;
use std::fmt;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use highwater_core::event::Happening;
use highwater_core::id::Pid;
use highwater_core::testimony::{Fact, Signal, Status, Testimony, Witness};
use highwater_core::time::WallTime;
use highwater_store::{EventFilter, Reader};

use super::feed::UNIT;
use crate::clock;
use crate::e2e::group::Hierarchy;
use crate::victim::Leak;

/// How often one is killed by hand.
const KILL_EVERY: Duration = Duration::from_millis(250);

/// Every how many of those one runs out of memory too.
const OOM_EVERY: usize = 16;

/// How long a victim lives, so that it is one that somebody could have seen.
const LIVES: Duration = Duration::from_millis(100);

/// The limit into which the leaking ones run.
const LIMIT: u64 = 16 << 20;

/// The parts in which the history is read: each has fewer events than one reading gives.
const WINDOW: Duration = Duration::from_secs(5);

/// Who was killed.
#[derive(Default)]
pub(super) struct Victims {
    killed: Vec<u32>,
    out_of_memory: Vec<u32>,
}

impl Victims {
    /// Kills for so long; calls `meanwhile` between two.
    pub(super) fn fall(span: Duration, mut meanwhile: impl FnMut()) -> anyhow::Result<Self> {
        let mut victims = Self::default();
        let (began, mut next) = (clock::now(), Duration::ZERO);
        let hierarchy = Hierarchy::find()?;
        while next < span {
            thread::sleep(next.saturating_sub(began.elapsed()));
            victims.kill()?;
            if victims.killed.len() % OOM_EVERY == 0
                && let Some(hierarchy) = &hierarchy
            {
                victims.run_out(hierarchy)?;
            }
            meanwhile();
            next += KILL_EVERY;
        }
        Ok(victims)
    }

    fn kill(&mut self) -> anyhow::Result<()> {
        let mut victim = Command::new("sleep");
        victim.arg0("hw-victim").arg("1000").stdin(Stdio::null());
        let mut victim = victim.spawn().context("cannot start a victim")?;
        thread::sleep(LIVES);
        victim.kill()?;
        victim.wait()?;
        self.killed.push(victim.id());
        Ok(())
    }

    fn run_out(&mut self, hierarchy: &Hierarchy) -> anyhow::Result<()> {
        let name = format!("highwater-bench-{}-{}", std::process::id(), self.out_of_memory.len());
        // Where no cgroup can be made, nobody runs out.
        let Ok(group) = hierarchy.make(&name, Some(LIMIT)) else { return Ok(()) };
        let cgroup = Some(group.folder().to_owned());
        let leak = Leak { step_mib: 4, every_ms: 5, cgroup, ..Leak::default() };
        let mut command = Command::new(std::env::current_exe()?);
        leak.arguments(&mut command);
        let mut victim: Child = command.stdin(Stdio::null()).spawn()?;
        victim.wait()?;
        self.out_of_memory.push(victim.id());
        Ok(())
    }
}

/// What the history lacks.
pub(super) struct Toll {
    killed: usize,
    out_of_memory: usize,
    failed: u64,
    unsigned: Vec<u32>,
    unended: Vec<u32>,
    unreported: Vec<u32>,
    untold: u64,
}

impl Toll {
    /// Reads the history since `from`.
    pub(super) fn of(
        data: &Path,
        victims: &Victims,
        from: WallTime,
        failed: u64,
    ) -> anyhow::Result<Self> {
        let reader = Reader::open(data).context("the agent left no history")?;
        let of = |pid: u32| {
            let pid = Some(Pid::new(pid));
            reader.events(&EventFilter { pid, since: Some(from), ..EventFilter::default() })
        };
        let mut toll = Self {
            killed: victims.killed.len(),
            out_of_memory: victims.out_of_memory.len(),
            failed,
            unsigned: Vec::new(),
            unended: Vec::new(),
            unreported: Vec::new(),
            untold: untold(&units(&reader, from)?, failed),
        };
        for pid in &victims.killed {
            let events = of(*pid)?;
            let heard: Vec<_> =
                events.iter().filter_map(|stored| testimony(&stored.event.what)).collect();
            if !heard.iter().any(|said| is_kill(said, *pid)) {
                toll.unsigned.push(*pid);
            }
            if !heard.iter().any(|said| is_end(said)) {
                toll.unended.push(*pid);
            }
        }
        for pid in &victims.out_of_memory {
            let events = of(*pid)?;
            if !events.iter().any(|stored| matches!(stored.event.what, Happening::Death(_))) {
                toll.unreported.push(*pid);
            }
        }
        Ok(toll)
    }

    /// How much is missing in all.
    pub(super) fn missing(&self) -> u64 {
        let lists = [&self.unsigned, &self.unended, &self.unreported];
        let missing: usize = lists.iter().map(|list| list.len()).sum();
        self.untold + u64::try_from(missing).unwrap_or(u64::MAX)
    }
}

impl fmt::Display for Toll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { killed, out_of_memory, failed, unsigned, unended, unreported, untold } = self;
        write!(
            f,
            "killed by hand: {killed}, without a sender {unsigned:?}, without an end {unended:?}\n\
             out of memory: {out_of_memory}, without a report {unreported:?}\n\
             failed units in the journal: {failed}, not on record {untold}"
        )
    }
}

fn testimony(what: &Happening) -> Option<&Testimony> {
    match what {
        Happening::Testimony(testimony) => Some(testimony),
        _ => None,
    }
}

/// The signal, with whoever sent it: this process.
fn is_kill(testimony: &Testimony, pid: u32) -> bool {
    let Fact::Signalled(sent) = &testimony.fact else { return false };
    let about = testimony.about.pid == Some(Pid::new(pid));
    about && sent.signal == Signal::KILL && sent.by.pid == Some(Pid::new(std::process::id()))
}

fn is_end(testimony: &Testimony) -> bool {
    let Fact::Exited(exit) = &testimony.fact else { return false };
    exit.status == Status::Signal { signal: Signal::KILL, core: false }
}

/// How many of so many numbered units are not on record.
fn untold(units: &BTreeSet<String>, failed: u64) -> u64 {
    let missing = (1..=failed).filter(|number| !units.contains(&format!("{UNIT}{number}.service")));
    u64::try_from(missing.count()).unwrap_or(u64::MAX)
}

/// The journal's numbered units that are on record.
fn units(reader: &Reader, from: WallTime) -> anyhow::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    let (mut since, now) = (from, clock::wall());
    while since < now {
        let until = since.after(WINDOW);
        let kind = Some("testimony");
        let window =
            EventFilter { since: Some(since), until: Some(until), kind, ..EventFilter::default() };
        for stored in reader.events(&window)? {
            let Some(testimony) = testimony(&stored.event.what) else { continue };
            let unit = testimony.about.owner.as_ref().and_then(|owner| owner.unit());
            if testimony.witness == Witness::Journal
                && let Some(unit) = unit.filter(|unit| unit.starts_with(UNIT))
            {
                names.insert(unit.to_owned());
            }
        }
        since = until;
    }
    Ok(names)
}
