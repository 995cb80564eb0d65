//! What processes hold in memory, exactly: `/proc/PID/smaps_rollup` (`fs/proc/task_mmu.c`).
//!
//! Reading it walks all page tables of the process, about 10 µs per resident MiB, under the lock
//! that its mappings change under. So it is done for a few, within an allowance of processor time
//! that is saved up for the large ones, the longest unread first.

use std::collections::BTreeMap;
use std::time::Duration;

use highwater_core::id::ProcKey;
use highwater_core::series::Labels;
use highwater_core::thing::{Metric, names};
use highwater_core::time::BootTime;
use highwater_core::units::Bytes;

use super::allowance::{Afford, Allowance};
use super::part::Candidate;
use super::process::{Held, Missed, refusal};
use super::reading::{Sight, label, of_process};
use crate::parse::{number, text};

/// What a MiB costs before anything was measured.
const FIRST_US_PER_MIB: f64 = 10.0;

/// Between huge pages and page tables of 4 KiB pages on a slow machine: nothing measured outside
/// is believed.
const US_PER_MIB: std::ops::RangeInclusive<f64> = 0.5..=100.0;

/// What opening and checking costs beside.
const OPENING: Duration = Duration::from_micros(60);

/// Below this size the opening is most of the cost, so that it says nothing of a MiB's.
const TELLING_MIB: f64 = 16.0;

/// For how long a reading stands when the next cannot be afforded. The bucket saves for an hour,
/// and half of it goes to the large ones.
const KEPT_FOR: Duration = Duration::from_hours(3);

/// One that was never read waits as if it had been read this long ago, so that short-lived
/// processes do not keep the others from their turn.
const NEWCOMER: Duration = Duration::from_mins(2);

/// A number and the lines whose sum it is.
const SUMS: [(&Metric, &[&[u8]]); 10] = [
    (&names::PROCESS_PSS, &[b"Pss"]),
    (&names::PROCESS_PSS_ANON, &[b"Pss_Anon"]),
    (&names::PROCESS_PSS_FILE, &[b"Pss_File"]),
    (&names::PROCESS_PSS_SHMEM, &[b"Pss_Shmem"]),
    (&names::PROCESS_USS, &[b"Private_Clean", b"Private_Dirty"]),
    (&names::PROCESS_SWAP_PSS, &[b"SwapPss"]),
    (&names::PROCESS_LOCKED, &[b"Locked"]),
    (&names::PROCESS_ANON_HUGE, &[b"AnonHugePages"]),
    (&names::PROCESS_LAZY_FREE, &[b"LazyFree"]),
    (&names::PROCESS_HUGETLB, &[b"Shared_Hugetlb", b"Private_Hugetlb"]),
];

/// The most lines that are taken; the file has two dozen.
const LINES_MAX: usize = 100;

/// The last readings, and what the next ones may cost.
#[derive(Debug)]
pub(super) struct Mappings {
    allowance: Allowance,
    us_per_mib: f64,
    known: BTreeMap<ProcKey, Known>,
    skipped: Skipped,
}

#[derive(Debug)]
struct Known {
    at: BootTime,
    numbers: Vec<(&'static Metric, Bytes)>,
}

/// How many were not read in one round, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Skipped {
    budget: u32,
    too_large: u32,
    gone: u32,
    stuck: u32,
    refused: u32,
}

impl Skipped {
    fn of(&mut self, missed: Missed) -> &mut u32 {
        match missed {
            Missed::Gone => &mut self.gone,
            Missed::Stuck => &mut self.stuck,
            Missed::Refused => &mut self.refused,
        }
    }
}

impl Mappings {
    /// Nothing read yet.
    pub(super) fn new(ppm: u32) -> Self {
        Self {
            allowance: Allowance::new(ppm),
            us_per_mib: FIRST_US_PER_MIB,
            known: BTreeMap::new(),
            skipped: Skipped::default(),
        }
    }

    /// How many were not afforded in the last round.
    pub(super) fn unaffordable(&self) -> usize {
        usize::try_from(self.skipped.budget.saturating_add(self.skipped.too_large)).unwrap_or(0)
    }

    /// Reads those that can be afforded, and tells them and what is still known of the others.
    pub(super) fn read(
        &mut self,
        sight: &mut Sight<'_>,
        candidates: &[Candidate],
        (now, slower): (BootTime, u32),
        cpu: &mut dyn FnMut() -> Duration,
    ) {
        self.allowance.fill(now, slower);
        self.skipped = Skipped::default();
        self.known.retain(|key, known| {
            now.since(known.at) < KEPT_FOR && candidates.iter().any(|one| one.key == *key)
        });
        let mut order: Vec<&Candidate> = candidates.iter().collect();
        // Stable: of those that are even, the caller's first.
        order.sort_by_key(|one| {
            let age = self.known.get(&one.key).map_or(NEWCOMER, |known| now.since(known.at));
            std::cmp::Reverse(age)
        });
        for candidate in order {
            self.turn(sight, candidate, now, cpu);
        }
        for candidate in candidates {
            self.tell(sight, candidate, now);
        }
        self.tell_skipped(sight, candidates.len());
    }

    fn turn(
        &mut self,
        sight: &mut Sight<'_>,
        candidate: &Candidate,
        now: BootTime,
        cpu: &mut dyn FnMut() -> Duration,
    ) {
        match self.allowance.afford(self.estimate(candidate.resident)) {
            Afford::Now => {}
            Afford::Later => return self.skipped.budget += 1,
            Afford::Never => return self.skipped.too_large += 1,
        }
        let before = cpu();
        let numbers = look(sight, candidate.key);
        let cost = cpu().saturating_sub(before);
        self.allowance.spend(cost);
        match numbers {
            Ok(numbers) => {
                self.learn(candidate.resident, cost);
                self.known.insert(candidate.key, Known { at: now, numbers });
            }
            Err(missed) => {
                *self.skipped.of(missed) += 1;
                if missed == Missed::Gone {
                    self.known.remove(&candidate.key);
                }
            }
        }
    }

    fn estimate(&self, resident: Bytes) -> Duration {
        let us = (mib(resident) * self.us_per_mib).min(1e12);
        OPENING + Duration::from_secs_f64(us / 1e6)
    }

    /// Learns from one reading what a MiB costs on this machine.
    fn learn(&mut self, resident: Bytes, cost: Duration) {
        let size = mib(resident);
        if size >= TELLING_MIB {
            let measured = cost.saturating_sub(OPENING).as_secs_f64() * 1e6 / size;
            let next = 0.7 * self.us_per_mib + 0.3 * measured;
            self.us_per_mib = next.clamp(*US_PER_MIB.start(), *US_PER_MIB.end());
        }
    }

    fn tell(&self, sight: &mut Sight<'_>, candidate: &Candidate, now: BootTime) {
        let Some(known) = self.known.get(&candidate.key) else { return };
        let labels = of_process(candidate);
        for (metric, amount) in &known.numbers {
            sight.reading.amount(metric, &labels, *amount);
        }
        let age = now.since(known.at).as_secs_f64();
        sight.reading.note(&names::PROCESS_MAPPINGS_AGE, &labels, age);
    }

    fn tell_skipped(&self, sight: &mut Sight<'_>, candidates: usize) {
        let Skipped { budget, too_large, gone, stuck, refused } = self.skipped;
        let all = [
            ("budget", budget),
            ("gone", gone),
            ("refused", refused),
            ("stuck", stuck),
            ("too_large", too_large),
        ];
        for (reason, count) in all {
            let labels: Labels = label("reason", reason.as_bytes());
            sight.reading.count(&names::SURVEY_SKIPPED, &labels, count.into());
        }
        if refused > 0 {
            sight.reading.blind(refusal("mappings", refused.into(), candidates));
        }
    }
}

fn mib(amount: Bytes) -> f64 {
    amount.as_f64() / 1_048_576.0
}

/// Reads one process, and makes sure that it was the same all the while.
fn look(sight: &mut Sight<'_>, key: ProcKey) -> Result<Vec<(&'static Metric, Bytes)>, Missed> {
    let held = Held::open(sight.root, key, sight.buffer)?;
    held.read("smaps_rollup", sight.buffer)?;
    let numbers = parse(sight.buffer);
    match held.check(sight.buffer) {
        // Stuck by now, but it was read.
        Ok(()) | Err(Missed::Stuck) if !numbers.is_empty() => Ok(numbers),
        _ => Err(Missed::Gone),
    }
}

/// The numbers whose lines are all there; older kernels lack some.
fn parse(text: &[u8]) -> Vec<(&'static Metric, Bytes)> {
    let lines: Vec<_> = text::keyed(text)
        .filter_map(|(key, value)| Some((key, number::kib(value)?)))
        .take(LINES_MAX)
        .collect();
    let of =
        |wanted: &[u8]| lines.iter().find(|(key, _)| *key == wanted).map(|(_, amount)| *amount);
    let sum = |keys: &[&[u8]]| keys.iter().map(|key| of(key)).sum::<Option<Bytes>>();
    SUMS.iter().filter_map(|(metric, keys)| Some((*metric, sum(keys)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Root;
    use crate::survey::process::tests::key_of;
    use crate::survey::reading::Reading;
    use highwater_core::id::{Comm, Pid, StartTicks};

    const ROLLUP: &[u8] = b"55e32895c000-7ffee1e4f000 ---p 00000000 00:00 0    [rollup]\n\
        Rss:                1752 kB\nPss:                 354 kB\nPss_Dirty:           112 kB\n\
        Pss_Anon:            112 kB\nPss_File:            242 kB\nPss_Shmem:             0 kB\n\
        Shared_Clean:       1600 kB\nShared_Dirty:          0 kB\nPrivate_Clean:        40 kB\n\
        Private_Dirty:       112 kB\nReferenced:         1752 kB\nAnonymous:           112 kB\n\
        LazyFree:              1 kB\nAnonHugePages:         2 kB\nShared_Hugetlb:        4 kB\n\
        Private_Hugetlb:       8 kB\nSwap:                  0 kB\nSwapPss:              16 kB\n\
        Locked:               32 kB\n";

    fn candidate(key: ProcKey, resident: Bytes) -> Candidate {
        Candidate { key, comm: Comm::new(b"x"), cgroup: None, resident }
    }

    fn round(mappings: &mut Mappings, candidates: &[Candidate], seconds: u64) -> Reading {
        let (root, mut buffer, mut reading) = (Root::live(), Vec::new(), Reading::default());
        let mut sight = Sight { root: &root, buffer: &mut buffer, reading: &mut reading };
        let now = BootTime::from_micros(seconds * 1_000_000);
        mappings.read(&mut sight, candidates, (now, 1), &mut || Duration::ZERO);
        reading
    }

    fn skipped(reading: &Reading, reason: &str) -> Option<f64> {
        let mut things = reading.things.iter();
        let is = |thing: &&highwater_core::thing::Thing| thing.labels.get("reason") == reason;
        things.find(is).map(|thing| thing.value)
    }

    #[test]
    fn sums_are_of_the_lines_they_are_made_of() {
        let numbers: Vec<_> = parse(ROLLUP).iter().map(|(m, b)| (m.name, b.get() / 1024)).collect();
        assert_eq!(
            numbers,
            [
                ("highwater_process_pss_bytes", 354),
                ("highwater_process_pss_anon_bytes", 112),
                ("highwater_process_pss_file_bytes", 242),
                ("highwater_process_pss_shmem_bytes", 0),
                ("highwater_process_uss_bytes", 152),
                ("highwater_process_swap_pss_bytes", 16),
                ("highwater_process_locked_bytes", 32),
                ("highwater_process_anon_huge_pages_bytes", 2),
                ("highwater_process_lazy_free_bytes", 1),
                ("highwater_process_hugetlb_bytes", 12),
            ]
        );
    }

    #[test]
    fn what_an_older_kernel_lacks_or_a_cut_took_away_is_not_told() {
        let short = b"Pss: 354 kB\nPrivate_Clean: 40 kB\nPrivate_Dir";
        let names: Vec<_> = parse(short).iter().map(|(metric, _)| metric.name).collect();
        assert_eq!(names, ["highwater_process_pss_bytes"]);
        for garbage in
            [&b""[..], b"Pss: 1\n", b"Pss: -1 kB\n", b"Pss 1 kB\n", b"\xff: 3 kB\n", b"\n\n"]
        {
            assert_eq!(parse(garbage), [], "{garbage:?}");
        }
    }

    #[test]
    fn a_reused_pid_is_never_told() {
        let mut key = key_of(std::process::id());
        key.start = StartTicks::new(key.start.get() + 1);
        let reading = round(&mut Mappings::new(1000), &[candidate(key, Bytes::ZERO)], 1);
        assert_eq!(skipped(&reading, "gone"), Some(1.0));
        assert!(reading.things.iter().all(|thing| thing.labels.get("pid").is_empty()));
    }

    #[test]
    fn what_cannot_be_afforded_is_skipped_and_told() {
        let key = key_of(std::process::id());
        let other = ProcKey { pid: Pid::new(u32::MAX), ..key };
        let mut mappings = Mappings::new(100);
        let dear = candidate(key, Bytes::from_mib(2000));
        let huge = candidate(other, Bytes::new(u64::MAX));
        let reading = round(&mut mappings, &[dear.clone(), huge.clone()], 0);
        assert_eq!(
            (skipped(&reading, "budget"), skipped(&reading, "too_large")),
            (Some(1.0), Some(1.0))
        );
        assert_eq!(mappings.unaffordable(), 2);
        // 20 ms at 100 ppm are 200 s, and while it is saved for that, half as fast.
        let reading = round(&mut mappings, &[dear.clone(), huge], 200);
        assert_eq!(skipped(&reading, "budget"), Some(0.0));
        let told = |reading: &Reading| {
            reading.things.iter().any(|thing| thing.metric == &names::PROCESS_PSS)
        };
        assert!(told(&reading));
        let kept = round(&mut Mappings { allowance: Allowance::new(0), ..mappings }, &[dear], 260);
        let age = kept.things.iter().find(|t| t.metric == &names::PROCESS_MAPPINGS_AGE).unwrap();
        assert!(
            told(&kept) && Some(age.value) == Some(60.0),
            "the last reading stands, with its age"
        );
    }

    #[test]
    fn what_a_mib_costs_is_learned_within_reason() {
        let mut mappings = Mappings::new(100);
        for _ in 0..50 {
            mappings.learn(Bytes::from_mib(1000), Duration::from_millis(3));
        }
        assert!((2.9..3.1).contains(&mappings.us_per_mib));
        mappings.learn(Bytes::from_mib(1), Duration::from_secs(1));
        assert!((2.9..3.1).contains(&mappings.us_per_mib), "too small to tell");
        for _ in 0..50 {
            mappings.learn(Bytes::from_mib(1000), Duration::ZERO);
        }
        assert!(mappings.us_per_mib >= *US_PER_MIB.start());
    }
}
