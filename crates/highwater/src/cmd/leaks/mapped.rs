//! What became more inside a process while one waits: its mappings, read twice.

use std::collections::BTreeMap;
use std::io;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};
use highwater_core::text::escape;
use highwater_diagnose::growth::{Inside, Unit};
use highwater_linux::mappings::{Mapped, Mappings, mappings};
use highwater_linux::root::Root;
use serde::Serialize;

/// So many processes are read: those in which most became more.
const PROCESSES: usize = 3;

/// One process, and its mappings at two moments.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Watched {
    /// Its number.
    pub(crate) pid: u32,
    /// Its name; escaped.
    pub(crate) comm: String,
    /// How far the readings are apart.
    pub(crate) seconds: f64,
    /// What is another than it was, what grew most first.
    pub(crate) moved: Vec<Moved>,
    /// What all of it holds: anonymous memory and swap.
    pub(crate) held_bytes: (u64, u64),
}

/// The mappings of one name, then and now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Moved {
    /// `[heap]`, `anonymous`, a path.
    pub(crate) name: String,
    /// In RAM.
    pub(crate) resident_bytes: (u64, u64),
    /// In RAM and of no file, or in swap.
    pub(crate) held_bytes: (u64, u64),
    /// How many mappings.
    pub(crate) mappings: (u64, u64),
}

impl Moved {
    /// By how much more it holds, or is in RAM if it is of a file.
    pub(crate) fn rise(&self) -> i128 {
        let held = less(self.held_bytes);
        if held == 0 { less(self.resident_bytes) } else { held }
    }
}

fn less((then, now): (u64, u64)) -> i128 {
    i128::from(now) - i128::from(then)
}

/// Reads the processes that grew twice, so far apart.
pub(super) fn watch(inside: &[Inside], apart: Duration) -> anyhow::Result<Vec<Watched>> {
    let root = Root::live();
    let chosen = chosen(inside);
    if chosen.is_empty() {
        bail!("no process of it that grew is on record: there is nobody to look into");
    }
    let mut first: Vec<(u32, String, Mappings)> = Vec::new();
    let mut refused = None;
    for (pid, comm) in chosen {
        match look(&root, pid, &comm) {
            Ok(mappings) => first.push((pid, comm, mappings)),
            Err(why) => refused = Some((pid, comm, why)),
        }
    }
    if let (true, Some((pid, comm, why))) = (first.is_empty(), refused) {
        return Err(why).with_context(|| format!("cannot look into {comm} (pid {pid})"));
    }
    thread::sleep(apart);
    // Who ended meanwhile has nothing to show.
    let both = first.into_iter().filter_map(|(pid, comm, then)| {
        let now = look(&root, pid, &comm).ok()?;
        Some(compared((pid, comm), &then, &now, apart))
    });
    Ok(both.collect())
}

/// The processes in which most became more, each once.
fn chosen(inside: &[Inside]) -> Vec<(u32, String)> {
    let mut rises: BTreeMap<(u32, &str), f64> = BTreeMap::new();
    for one in inside {
        let Ok(pid) = one.pid.parse() else { continue };
        let rise = if one.unit == Unit::Bytes { one.rise() } else { 0.0 };
        let most = rises.entry((pid, &one.comm)).or_default();
        *most = most.max(rise);
    }
    let mut all: Vec<((u32, &str), f64)> = rises.into_iter().collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    let first = all.into_iter().take(PROCESSES);
    first.map(|((pid, comm), _)| (pid, comm.to_owned())).collect()
}

/// The mappings of a process, if it still is who it was.
fn look(root: &Root, pid: u32, comm: &str) -> io::Result<Mappings> {
    let mut name = Vec::new();
    root.read(format!("proc/{pid}/comm"), &mut name)?;
    if escape(name.trim_ascii_end()) != comm {
        return Err(io::Error::other("another process has its number now"));
    }
    mappings(root, pid)
}

fn compared(
    (pid, comm): (u32, String),
    then: &Mappings,
    now: &Mappings,
    apart: Duration,
) -> Watched {
    let gone = then.keys().filter(|name| !now.contains_key(*name));
    let mut moved: Vec<Moved> = Vec::new();
    for name in now.keys().chain(gone) {
        let (old, new) = (of(then, name), of(now, name));
        if old != new {
            moved.push(Moved {
                name: name.clone(),
                resident_bytes: (old.resident.get(), new.resident.get()),
                held_bytes: (old.held().get(), new.held().get()),
                mappings: (old.count, new.count),
            });
        }
    }
    moved.sort_by_key(|one| std::cmp::Reverse(one.rise()));
    let sum =
        |all: &Mappings| all.values().fold(0_u64, |sum, one| sum.saturating_add(one.held().get()));
    Watched { pid, comm, seconds: apart.as_secs_f64(), moved, held_bytes: (sum(then), sum(now)) }
}

fn of(all: &Mappings, name: &str) -> Mapped {
    all.get(name).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use highwater_core::units::Bytes;

    use super::*;

    fn mapped(count: u64, mib: u64) -> Mapped {
        let size = Bytes::from_mib(mib);
        Mapped { count, resident: size, anon: size, swap: Bytes::ZERO }
    }

    #[test]
    fn what_grew_most_stands_first_and_what_stayed_is_left_out() {
        let map = |all: &[(&str, Mapped)]| -> Mappings {
            all.iter().map(|(name, one)| ((*name).to_owned(), *one)).collect()
        };
        let then = map(&[("[heap]", mapped(1, 10)), ("a", mapped(2, 5)), ("gone", mapped(1, 1))]);
        let now = map(&[("[heap]", mapped(1, 30)), ("a", mapped(2, 5)), ("new", mapped(4, 2))]);
        let watched = compared((7, "x".to_owned()), &then, &now, Duration::from_secs(2));
        let names: Vec<&str> = watched.moved.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["[heap]", "new", "gone"]);
        assert_eq!(watched.moved[0].rise(), 20 << 20);
        assert_eq!(watched.moved[1].mappings, (0, 4));
        assert_eq!(watched.held_bytes, (16 << 20, 37 << 20));
    }

    #[test]
    fn somebody_else_of_that_number_is_not_read() {
        let own = std::process::id();
        assert!(look(&Root::live(), own, "surely not my name").is_err());
        assert!(watch(&[], Duration::ZERO).is_err());
    }
}
