//! Whole owners: everything that one has at once, as cAdvisor and the agent tell of it, and what
//! `highwater leaks` makes of that. Here kinds are decided, and whose they are.
//!
//! ```text
//! scene: a machine with five services, one of which leaks one kind ─► series ─► survey ─► who, what
//! ```
//! What comes with a leak by its nature is no mistake: threads have stacks in the kernel.

use std::collections::BTreeMap;
use std::time::Duration;

use highwater_core::growth::{Resource, Verdict};
use highwater_core::series::{Labels, NAME, Point, Selection, Series, SeriesSource, SourceError};
use highwater_core::time::WallTime;
use highwater_diagnose::growth::{Growth, Options, survey};

use super::draw::{Draw, real, whole};
use super::noise::Noise;
use super::shapes::Week;

/// How far samples are apart.
const EVERY_SECONDS: f64 = 300.0;
/// Some day.
const BEGIN: WallTime = WallTime::from_millis(1_767_571_200_000);
const MIB: f64 = 1_048_576.0;
/// What the machine has.
const TOTAL: f64 = 16_384.0 * MIB;
/// What an owner may have open, and how many threads.
const MOST_FDS: f64 = 16_384.0;
const MOST_THREADS: f64 = 8192.0;
/// A thread's stack in the kernel.
const STACK: f64 = 16_384.0;

/// Who there is beside the culprit; of one service there are several.
const NAMES: [&str; 5] = ["gateway", "catalog", "search", "shop-1", "shop-2"];

/// What leaks in a scene, by turns; of `None` nothing does.
const KINDS: [Option<Resource>; 13] = [
    Some(Resource::Anon),
    Some(Resource::Cache),
    Some(Resource::Shmem),
    Some(Resource::SlabReclaimable),
    Some(Resource::SlabUnreclaimable),
    Some(Resource::PageTables),
    Some(Resource::KernelStacks),
    Some(Resource::Sockets),
    Some(Resource::Fds),
    Some(Resource::Threads),
    Some(Resource::Children),
    Some(Resource::Swap),
    None,
];

/// How often what was said of whole owners was right.
#[derive(Debug, Default)]
pub(super) struct Account {
    kinds: BTreeMap<&'static str, (usize, usize)>,
    wrong: Vec<String>,
}

impl Account {
    /// The account of so many scenes.
    pub(super) fn of(seed: u64, scenes: usize, noise: &Noise) -> Result<Self, SourceError> {
        let mut account = Self::default();
        for number in 0..scenes {
            let kind = KINDS.get(number % KINDS.len()).copied().flatten();
            // Courses have the low numbers.
            let mut draw = Draw::of(seed ^ 0x5ce4_e000, number);
            let scene = Scene::new(&mut draw, noise, kind);
            let said = survey(&scene.record, scene.at, Options::default())?;
            account.add(number, &scene, &said);
        }
        Ok(account)
    }

    fn add(&mut self, number: usize, scene: &Scene, said: &Growth) {
        if let Some(kind) = scene.kind {
            let all = self.kinds.entry(kind.name()).or_default();
            let wanted = if kind.is_reclaimable() { Verdict::Cache } else { Verdict::Leak };
            all.1 += 1;
            let named = |name: &&String| {
                let mut items = said.items.iter();
                items.any(|i| i.whose.name == **name && i.resource == kind && i.verdict == wanted)
            };
            if scene.culprits.iter().all(|name| named(&name)) {
                all.0 += 1;
            } else {
                self.wrong.push(format!("{number} missed {kind} of {}", scene.culprits.join(", ")));
            }
        }
        for item in said.items.iter().filter(|item| item.verdict == Verdict::Leak) {
            let theirs = scene.culprits.contains(&item.whose.name);
            if !(theirs && scene.kind.is_some_and(|kind| comes_with(kind, item.resource))) {
                self.wrong
                    .push(format!("{number} accused {} of {}", item.resource, item.whose.name));
            }
        }
    }

    /// The share of scenes in which every culprit was named with the right kind, and nobody and
    /// nothing else was accused.
    pub(super) fn right(&self) -> f64 {
        let (named, all) =
            self.kinds.values().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        super::score::part(named, all + self.accused())
    }

    fn accused(&self) -> usize {
        self.wrong.iter().filter(|line| line.contains("accused")).count()
    }

    /// In words.
    pub(super) fn words(&self) -> String {
        let each = self.kinds.iter().map(|(kind, (named, all))| format!("{kind} {named}/{all}"));
        let each: Vec<String> = each.collect();
        let wrong: Vec<String> = self.wrong.iter().map(|line| format!("  {line}\n")).collect();
        let wrong = wrong.concat();
        format!(
            "whole owners: kind and owner right {:.3}, wrongly accused {}; {}\n{wrong}",
            self.right(),
            self.accused(),
            each.join(", ")
        )
    }
}

/// Whether a leak of `kind` brings growth of `other` by its nature.
fn comes_with(kind: Resource, other: Resource) -> bool {
    let with: &[Resource] = match kind {
        Resource::Threads => &[Resource::KernelStacks, Resource::Anon],
        Resource::Children => &[Resource::Threads, Resource::KernelStacks, Resource::Anon],
        Resource::KernelStacks => &[Resource::Threads],
        Resource::Anon => &[Resource::PageTables],
        Resource::Fds => &[Resource::SlabUnreclaimable],
        Resource::Sockets => &[Resource::Fds],
        _ => &[],
    };
    other == kind || with.contains(&other)
}

/// A machine, and the truth about it.
struct Scene {
    record: Record,
    at: WallTime,
    kind: Option<Resource>,
    culprits: Vec<String>,
}

impl Scene {
    fn new(draw: &mut Draw, noise: &Noise, kind: Option<Resource>) -> Self {
        let count = whole(draw.between(3.0, 9.0) * 86_400.0 / EVERY_SECONDS);
        let culprits: Vec<String> = match kind {
            None => Vec::new(),
            // What is in the code of a service is in all of its processes.
            Some(Resource::Anon) if draw.chance(0.5) => {
                vec!["shop-1".to_owned(), "shop-2".to_owned()]
            }
            Some(_) => vec![draw.one_of(&NAMES).to_owned()],
        };
        let mut record = Record::default();
        let mut taken = vec![1500.0 * MIB; count];
        for name in NAMES {
            let mut owner = Owner::new(draw, noise, count);
            if let Some(kind) = kind.filter(|_| culprits.iter().any(|culprit| culprit == name)) {
                owner.leak(draw, kind);
            }
            for (sum, held) in taken.iter_mut().zip(owner.held()) {
                *sum += held;
            }
            owner.tell(&mut record, name);
        }
        let free: Vec<f64> = taken.iter().map(|taken| TOTAL - taken).collect();
        record.add("node_memory_MemTotal_bytes", &[], &vec![TOTAL; count]);
        record.add("node_memory_MemAvailable_bytes", &[], &free);
        let lasted = Duration::try_from_secs_f64(real(count) * EVERY_SECONDS).unwrap_or_default();
        Self { record, at: BEGIN.after(lasted), kind, culprits }
    }
}

/// What an owner has of everything, sample by sample.
struct Owner {
    columns: BTreeMap<Resource, Vec<f64>>,
    hours: Vec<f64>,
}

impl Owner {
    /// One who is well: his memory is steady, or goes by the day; his cache fills.
    fn new(draw: &mut Draw, noise: &Noise, count: usize) -> Self {
        let hours: Vec<f64> = (0..count).map(|n| real(n) * EVERY_SECONDS / 3600.0).collect();
        let all = hours.last().copied().unwrap_or_default();
        let (week, pace) = (Week::new(draw, all, 0.8), draw.between(2.0, 30.0));
        let breath = if draw.chance(0.5) { draw.between(0.02, 0.15) } else { 0.0 };
        let anon = draw.between(150.0, 900.0) * MIB;
        let mut owner = Self { columns: BTreeMap::new(), hours };
        owner.column(draw, noise, Resource::Anon, anon, |hour| 1.0 + breath * week.at(hour));
        let cache = draw.between(50.0, 800.0) * MIB;
        owner.column(draw, noise, Resource::Cache, cache, |hour| 1.0 - 0.7 * (-hour / pace).exp());
        for (resource, low, high) in [
            (Resource::Shmem, MIB, 80.0 * MIB),
            (Resource::SlabReclaimable, 2.0 * MIB, 30.0 * MIB),
            (Resource::SlabUnreclaimable, MIB, 12.0 * MIB),
            (Resource::PageTables, MIB, 6.0 * MIB),
            (Resource::KernelStacks, 10.0 * STACK, 200.0 * STACK),
            (Resource::Sockets, MIB / 8.0, 4.0 * MIB),
            (Resource::Swap, MIB, 40.0 * MIB),
            (Resource::Fds, 40.0, 900.0),
            (Resource::Threads, 8.0, 200.0),
            (Resource::Children, 1.0, 12.0),
        ] {
            let level = draw.wide(low, high);
            owner.column(draw, noise, resource, level, |hour| 1.0 + breath * week.at(hour) / 2.0);
        }
        owner
    }

    fn column(
        &mut self,
        draw: &mut Draw,
        noise: &Noise,
        resource: Resource,
        level: f64,
        shape: impl Fn(f64) -> f64,
    ) {
        let size = draw.wide(0.002, 0.02);
        let extra = noise.take(draw, self.hours.len(), size);
        let values = self.hours.iter().zip(extra);
        let values = values.map(|(hour, extra)| (level * (shape(*hour) + extra)).max(0.0).round());
        self.columns.insert(resource, values.collect());
    }

    /// He leaks, and what comes with it comes.
    fn leak(&mut self, draw: &mut Draw, kind: Resource) {
        let days = self.hours.last().copied().unwrap_or_default() / 24.0;
        let most = match kind {
            Resource::Fds => MOST_FDS,
            Resource::Threads | Resource::Children => MOST_THREADS / 2.0,
            Resource::KernelStacks => MOST_THREADS / 2.0 * STACK,
            _ => TOTAL / 4.0,
        };
        // It does not end within the time that is seen.
        let all = most * draw.between(0.1, 0.7);
        self.grow(kind, all, days);
        match kind {
            Resource::Threads | Resource::Children => {
                self.grow(Resource::KernelStacks, all * STACK, days);
                if kind == Resource::Children {
                    self.grow(Resource::Threads, all, days);
                }
            }
            Resource::KernelStacks => self.grow(Resource::Threads, all / STACK, days),
            Resource::Anon => self.grow(Resource::PageTables, all / 512.0, days),
            Resource::Sockets => self.grow(Resource::Fds, 0.1 * MOST_FDS, days),
            _ => {}
        }
    }

    fn grow(&mut self, resource: Resource, all: f64, days: f64) {
        let hours = self.hours.iter();
        for (value, hour) in self.columns.entry(resource).or_default().iter_mut().zip(hours) {
            *value = (*value + all * hour / 24.0 / days).round();
        }
    }

    fn of(&self, resource: Resource) -> impl Iterator<Item = f64> {
        self.columns.get(&resource).into_iter().flatten().copied()
    }

    /// What of the machine's memory he holds and cannot be made to give back.
    fn held(&self) -> Vec<f64> {
        const HELD: [Resource; 6] = [
            Resource::Anon,
            Resource::Shmem,
            Resource::SlabUnreclaimable,
            Resource::PageTables,
            Resource::KernelStacks,
            Resource::Sockets,
        ];
        let mut sums = vec![0.0; self.hours.len()];
        for resource in HELD {
            sums.iter_mut().zip(self.of(resource)).for_each(|(sum, value)| *sum += value);
        }
        sums
    }

    /// All of it, by the names that recorders use.
    fn tell(&self, record: &mut Record, name: &str) {
        let id = format!("/docker/{name}");
        let labels = [("name", name), ("id", id.as_str())];
        for (metric, resource) in [
            ("container_memory_rss", Resource::Anon),
            ("container_memory_swap", Resource::Swap),
            ("highwater_cgroup_shmem_bytes", Resource::Shmem),
            ("highwater_cgroup_slab_reclaimable_bytes", Resource::SlabReclaimable),
            ("highwater_cgroup_slab_unreclaimable_bytes", Resource::SlabUnreclaimable),
            ("highwater_cgroup_page_tables_bytes", Resource::PageTables),
            ("highwater_cgroup_kernel_stack_bytes", Resource::KernelStacks),
            ("highwater_cgroup_sock_bytes", Resource::Sockets),
            ("highwater_owner_open_fds", Resource::Fds),
            ("highwater_owner_threads", Resource::Threads),
            ("highwater_owner_processes", Resource::Children),
        ] {
            record.add(metric, &labels, &self.of(resource).collect::<Vec<_>>());
        }
        // The kernel counts what tmpfs holds as cache.
        let cache = self.of(Resource::Cache).zip(self.of(Resource::Shmem));
        let cache: Vec<f64> = cache.map(|(cache, shmem)| cache + shmem).collect();
        record.add("container_memory_cache", &labels, &cache);
        let active = self.held().into_iter().zip(&cache);
        let working: Vec<f64> = active.map(|(held, cache)| held + cache / 3.0).collect();
        record.add("container_memory_working_set_bytes", &labels, &working);
        let constant = |value: f64| vec![value; self.hours.len()];
        record.add("process_max_fds", &labels, &constant(MOST_FDS));
        record.add("container_threads_max", &labels, &constant(MOST_THREADS));
    }
}

/// A record in memory.
#[derive(Default)]
struct Record(Vec<Series>);

impl Record {
    fn add(&mut self, metric: &str, labels: &[(&str, &str)], values: &[f64]) {
        let mut all = Labels::new(labels.iter().copied());
        all.set(NAME, metric);
        let at = |n: usize| {
            let since = Duration::try_from_secs_f64(real(n) * EVERY_SECONDS).unwrap_or_default();
            BEGIN.after(since)
        };
        let points = values.iter().enumerate().map(|(n, value)| Point { at: at(n), value: *value });
        self.0.push(Series { labels: all, points: points.collect() });
    }
}

impl SeriesSource for Record {
    fn select(&self, asked: &Selection) -> Result<Vec<Series>, SourceError> {
        let wanted = self
            .0
            .iter()
            .filter(|series| asked.matchers.iter().all(|matcher| matcher.accepts(&series.labels)));
        let inside = |point: &&Point| point.at >= asked.from && point.at <= asked.to;
        let cut = wanted.map(|series| Series {
            labels: series.labels.clone(),
            points: series.points.iter().filter(inside).copied().collect(),
        });
        Ok(cut.filter(|series| !series.points.is_empty()).collect())
    }

    fn name(&self) -> &'static str {
        "made owners"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_one_scene_of_each_kind_the_kind_and_the_owner_are_named() {
        let account = Account::of(3, KINDS.len(), &Noise::recorded()).expect("it is in memory");
        let named = |(named, all): &(usize, usize)| named == all;
        assert!(account.kinds.values().all(named), "{}", account.words());
        assert!(account.wrong.is_empty(), "{}", account.words());
    }

    #[test]
    fn a_leak_of_another_kind_counts_against_it() {
        let scene = Scene::new(&mut Draw::of(1, 0), &Noise::recorded(), Some(Resource::Shmem));
        let mut said = survey(&scene.record, scene.at, Options::default()).expect("in memory");
        for item in &mut said.items {
            item.verdict = Verdict::Steady;
        }
        let mut account = Account::default();
        account.add(0, &scene, &said);
        assert!(account.right() < 1e-9 && account.words().contains("missed shmem"));
    }
}
