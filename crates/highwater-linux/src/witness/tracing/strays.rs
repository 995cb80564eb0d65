//! Tracing instances that agents left behind which will not come back: another data directory,
//! another name, and the kernel's memory is theirs until the next boot.
//!
//! An instance that somebody reads is empty a moment after each record, and the kernel does not let
//! it be removed. One that nobody has read for a day is of an agent that is gone: what is in its
//! buffer by then has been overwritten, or is of nobody's interest any more.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use highwater_core::time::BootTime;

use super::home;
use crate::parse::number;
use crate::parse::text::keyed;
use crate::root::Root;

/// What the instances of agents begin with …
const OURS: &str = "highwater-";

/// … and go on with to their end: a number in as many hexadecimal digits. What an operator calls
/// `highwater-debug` is not ours.
const DIGITS: usize = 16;

/// An agent's instance has this clock; one that has another was set up by somebody else.
const CLOCK: &[u8] = b"[boot]";

/// An agent that will come back does so sooner.
const GONE: Duration = Duration::from_hours(24);

/// So many instances are looked at: a machine has one for each data directory.
const MOST: usize = 64;

/// So many processors' buffers are looked at of each.
const PROCESSORS: usize = 1_024;

/// Watches the instances of other agents.
#[derive(Debug)]
pub struct Strays {
    prefix: String,
    unread: BTreeMap<String, Unread>,
}

/// What an instance looked like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Unread {
    /// How many records were read of it, ever.
    read: u64,
    /// Since when at least none was, though there were some.
    since: BootTime,
}

impl Default for Strays {
    fn default() -> Self {
        Self::called(OURS)
    }
}

impl Strays {
    /// Of those whose names are `prefix` and sixteen hexadecimal digits.
    pub fn called(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), unread: BTreeMap::new() }
    }

    /// Removes the instances that nobody has read for a day, but for that called `own`; returns
    /// their names. To be called every now and then: `now` is the boot clock.
    pub fn sweep(&mut self, root: &Root, own: &str, now: BootTime) -> Vec<String> {
        let before = std::mem::take(&mut self.unread);
        let Ok(home) = home(root) else { return Vec::new() };
        let mut removed = Vec::new();
        for name in self.names(&home).filter(|name| name != own) {
            let dir = home.join(&name);
            let Some(unread) = look(&dir, now) else { continue };
            let known = before.get(&name).filter(|known| known.read == unread.read);
            let since = known.map_or(unread.since, |known| known.since.min(unread.since));
            if now.since(since) >= GONE && rustix::fs::rmdir(&dir).is_ok() {
                removed.push(name);
            } else {
                self.unread.insert(name, Unread { since, ..unread });
            }
        }
        removed
    }

    fn names(&self, home: &Path) -> impl Iterator<Item = String> + use<> {
        let entries = std::fs::read_dir(home).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let prefix = self.prefix.clone();
        names.filter(move |name| name.strip_prefix(&*prefix).is_some_and(is_number)).take(MOST)
    }
}

/// As an agent writes the number of its data directory.
fn is_number(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// `None`: nothing is in it that somebody might have read, or its stamps are of another clock.
fn look(dir: &Path, now: BootTime) -> Option<Unread> {
    let clock = std::fs::read(dir.join("trace_clock")).ok()?;
    clock.split(u8::is_ascii_whitespace).find(|word| *word == CLOCK)?;
    let mut unread = Unread { read: 0, since: now };
    let mut is_empty = true;
    for processor in std::fs::read_dir(dir.join("per_cpu")).ok()?.flatten().take(PROCESSORS) {
        let Ok(stats) = std::fs::read(processor.path().join("stats")) else { continue };
        let stats = Stats::parse(&stats);
        unread.read = unread.read.saturating_add(stats.read);
        if stats.entries > 0 {
            is_empty = false;
            unread.since = unread.since.min(stats.oldest.unwrap_or(now));
        }
    }
    (!is_empty).then_some(unread)
}

/// `per_cpu/cpu0/stats` (`tracing_stats_read` in `kernel/trace/trace.c`): what waits to be read, the
/// stamp of the oldest of it, how much was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Stats {
    entries: u64,
    oldest: Option<BootTime>,
    read: u64,
}

impl Stats {
    fn parse(text: &[u8]) -> Self {
        let mut stats = Self::default();
        for (key, value) in keyed(text) {
            let value = value.trim_ascii();
            match key {
                b"entries" => stats.entries = number::u64(value).unwrap_or(0),
                b"read events" => stats.read = number::u64(value).unwrap_or(0),
                // In seconds, as of most clocks: that it is the boot clock is known by then.
                b"oldest event ts" => stats.oldest = super::record::boot_time(value),
                _ => {}
            }
        }
        stats
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = "entries: 3\noverrun: 0\ncommit overrun: 0\nbytes: 240\n\
        oldest event ts:  1000.250000\nnow ts:  2000.000000\ndropped events: 0\nread events: 7\n";

    const A: &str = "highwater-0f1e2d3c4b5a6978";
    const OWN: &str = "highwater-0123456789abcdef";

    fn at(seconds: u64) -> BootTime {
        BootTime::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn statistics_are_read() {
        let stats = Stats::parse(FULL.as_bytes());
        assert_eq!((stats.entries, stats.read), (3, 7));
        assert_eq!(stats.oldest, Some(BootTime::from_micros(1_000_250_000)));
        for garbage in [&b""[..], b"entries", b"entries: -1\noldest event ts: 77\n", b"\xff: \0"] {
            assert_eq!(Stats::parse(garbage), Stats::default());
        }
    }

    /// A folder as the kernel makes it for an instance. It cannot be removed, having files; that is the
    /// kernel's to decide, and the test of the real one's.
    fn instance(root: &tempfile::TempDir, name: &str, stats: &str) {
        let instances = root.path().join("sys/kernel/tracing/instances");
        let processor = instances.join(name).join("per_cpu/cpu0");
        std::fs::create_dir_all(&processor).unwrap();
        std::fs::write(processor.join("stats"), stats).unwrap();
        clock(root, name, "local global [boot] mono\n");
    }

    fn clock(root: &tempfile::TempDir, name: &str, said: &str) {
        let instance = root.path().join("sys/kernel/tracing/instances").join(name);
        std::fs::write(instance.join("trace_clock"), said).unwrap();
    }

    #[test]
    fn how_long_nobody_reads_is_counted_from_the_oldest_record() {
        let dir = tempfile::tempdir().unwrap();
        instance(&dir, A, FULL);
        instance(&dir, OWN, FULL);
        instance(&dir, "highwater-00000000000000ee", "entries: 0\nread events: 9\n");
        instance(&dir, "somebody", FULL);
        let (root, mut strays) = (Root::at(dir.path()), Strays::default());
        assert!(strays.sweep(&root, OWN, at(2_000)).is_empty());
        let since = |strays: &Strays| {
            let known = strays.unread.iter().map(|(name, unread)| (name.clone(), unread.since));
            known.collect::<Vec<_>>()
        };
        let oldest = BootTime::from_micros(1_000_250_000);
        assert_eq!(since(&strays), [(A.to_owned(), oldest)]);
        // What was oldest has been overwritten, and still nobody has read.
        instance(&dir, A, &FULL.replace("1000.250000", "3000.000000"));
        strays.sweep(&root, OWN, at(4_000));
        assert_eq!(since(&strays), [(A.to_owned(), oldest)]);
        // Somebody has.
        let read = FULL.replace("1000.25", "4000.25").replace("read events: 7", "read events: 8");
        instance(&dir, A, &read);
        strays.sweep(&root, OWN, at(5_000));
        assert_eq!(since(&strays), [(A.to_owned(), BootTime::from_micros(4_000_250_000))]);
    }

    #[test]
    fn what_is_not_an_agent_s_by_name_and_clock_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["debug", "0f1e2d3c4b5a697", "0f1e2d3c4b5a69788", "0F1E2D3C4B5A6978", ""] {
            instance(&dir, &format!("highwater-{name}"), FULL);
        }
        let (mono, mute) = ("highwater-00000000000000aa", "highwater-00000000000000bb");
        instance(&dir, mono, FULL);
        clock(&dir, mono, "local global boot [mono]\n");
        instance(&dir, mute, FULL);
        clock(&dir, mute, "");
        let (root, mut strays) = (Root::at(dir.path()), Strays::default());
        strays.sweep(&root, OWN, at(2_000));
        assert!(strays.unread.is_empty(), "{strays:?}");
        clock(&dir, mono, "local global [boot] mono\n");
        strays.sweep(&root, OWN, at(2_001));
        assert_eq!(strays.unread.keys().collect::<Vec<_>>(), [mono]);
    }

    #[test]
    fn only_those_of_the_prefix_are_watched() {
        let dir = tempfile::tempdir().unwrap();
        let other = "hwtest-0f1e2d3c4b5a6978";
        instance(&dir, A, FULL);
        instance(&dir, other, FULL);
        let mut strays = Strays::called("hwtest-");
        strays.sweep(&Root::at(dir.path()), OWN, at(2_000));
        assert_eq!(strays.unread.keys().collect::<Vec<_>>(), [other]);
    }

    #[test]
    fn without_tracefs_there_are_none() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Strays::default().sweep(&Root::at(dir.path()), "x", at(9)).is_empty());
    }
}
