//! Surveys of histories made in memory: the incidents that the project is for, true by
//! construction, and what must not be accused beside them.

use std::time::Duration;

use highwater_core::growth::{Resource, Verdict};
use highwater_core::series::{Labels, NAME, Point, Selection, Series, SeriesSource, SourceError};
use highwater_core::time::WallTime;

use super::{Cause, Growth, Item, Options, survey};

const MB: f64 = 1_000_000.0;
const MIB: f64 = 1_048_576.0;
const GIB: f64 = 1024.0 * MIB;
const BEGIN: WallTime = WallTime::from_millis(1_714_176_000_000);
const STEP: u64 = 300;

/// A history in memory. It knows nothing of steps, as a source may.
#[derive(Default)]
struct Made {
    series: Vec<Series>,
}

impl SeriesSource for Made {
    fn select(&self, asked: &Selection) -> Result<Vec<Series>, SourceError> {
        let inside = |point: &&Point| point.at >= asked.from && point.at <= asked.to;
        let mut found = Vec::new();
        for series in &self.series {
            if asked.matchers.iter().all(|matcher| matcher.accepts(&series.labels)) {
                let points: Vec<Point> = series.points.iter().filter(inside).copied().collect();
                if !points.is_empty() {
                    found.push(Series { labels: series.labels.clone(), points });
                }
            }
        }
        Ok(found)
    }

    fn name(&self) -> &'static str {
        "made series"
    }
}

/// Noise in −1..1 that is the same every time.
fn noise(seed: u64, at: u64) -> f64 {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ at.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^= x >> 29;
    x = x.wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^= x >> 32;
    f64::from(u32::try_from(x & 0xffff_ffff).unwrap()) / f64::from(u32::MAX) * 2.0 - 1.0
}

impl Made {
    /// Five-minute samples of `value(hours)` for `hours`, with a gap here and there.
    fn add(&mut self, name: &str, labels: &[(&str, &str)], hours: u64, value: impl Fn(f64) -> f64) {
        let seed = u64::try_from(self.series.len()).unwrap();
        let count = hours * 3600 / STEP;
        let points = (0..=count).filter(|at| noise(seed + 77, *at) < 0.98).map(|at| {
            let seconds = at * STEP;
            let hours = f64::from(u32::try_from(seconds).unwrap()) / 3600.0;
            Point { at: BEGIN.after(Duration::from_secs(seconds)), value: value(hours) }
        });
        let mut all = Labels::new(labels.iter().copied());
        all.set(NAME, name);
        self.series.push(Series { labels: all, points: points.collect() });
    }

    fn gateway(&mut self, hours: u64) {
        let labels = [("name", "gateway"), ("id", "/docker/aa")];
        let day = |hours: f64| (hours / 24.0 * std::f64::consts::TAU).sin();
        self.add("container_memory_rss", &labels, hours, |h| {
            900.0 * MB + 25.0 * MB * day(h) + 12.0 * MB * noise(1, bits(h))
        });
        self.add("container_memory_cache", &labels, hours, |h| 80.0 * MB + MB * noise(2, bits(h)));
    }

    fn host(&mut self, hours: u64, used: impl Fn(f64) -> f64) {
        let total = 4.0 * GIB;
        self.add("node_memory_MemTotal_bytes", &[], hours, |_| total);
        self.add("node_memory_MemAvailable_bytes", &[], hours, |h| total - used(h));
    }

    fn at(&self, hours: u64) -> Growth {
        survey(self, BEGIN.after(Duration::from_hours(hours)), Options::default()).unwrap()
    }
}

/// A number that differs from sample to sample.
fn bits(hours: f64) -> u64 {
    hours.to_bits()
}

fn find<'g>(growth: &'g Growth, name: &str, resource: Resource) -> &'g Item {
    let is_it = |item: &&Item| item.whose.name == name && item.resource == resource;
    growth.items.iter().find(is_it).unwrap_or_else(|| panic!("no {resource} of {name}"))
}

fn leaks(growth: &Growth) -> Vec<(String, Resource)> {
    let accused = growth.items.iter().filter(|item| item.verdict == Verdict::Leak);
    accused.map(|item| (item.whose.name.clone(), item.resource)).collect()
}

/// What is told of an item, to be printed where it is wrong.
fn told(item: &Item) -> String {
    let grounds: Vec<&str> = item.grounds.iter().map(|g| g.claim.text.as_str()).collect();
    format!("{:?} {:?} {:?} {:?} {grounds:#?}", item.verdict, item.rate, item.left, item.bound)
}

fn says(item: &Item, what: &str) -> bool {
    item.grounds.iter().any(|ground| ground.claim.text.contains(what))
}

/// Within a quarter of the truth.
fn close(item: &Item, seconds: f64, tolerance: f64) {
    let said =
        item.left.unwrap_or_else(|| panic!("no time left: {}", told(item))).likely.as_secs_f64();
    assert!((said / seconds - 1.0).abs() <= tolerance, "said {said:.0} s, true {seconds:.0} s");
}

const CREEP: f64 = 123.0 * MB / 24.0;

#[test]
fn a_creep_of_another_owner_is_that_owners() {
    let mut made = Made::default();
    made.gateway(48);
    let other = |h: f64| 300.0 * MB + CREEP * h + 3.0 * MB * noise(3, bits(h));
    made.add("container_memory_rss", &[("name", "indexer"), ("id", "/docker/bb")], 48, other);
    made.host(48, |h| 1500.0 * MB + CREEP * h + 30.0 * MB * noise(4, bits(h)));
    let growth = made.at(48);
    let item = find(&growth, "indexer", Resource::Anon);
    assert_eq!(item.verdict, Verdict::Leak, "{}", told(item));
    assert_eq!(item.cause, Some(Cause::Leak));
    assert_eq!(leaks(&growth), [("indexer".to_owned(), Resource::Anon)], "nobody else");
    let room = 4.0 * GIB - 1500.0 * MB - 48.0 * CREEP;
    close(item, room / CREEP * 3600.0, 0.25);
    assert!(
        says(item, "has no limit") && says(item, "not the largest: container gateway"),
        "{item:#?}"
    );
    let machine = find(&growth, "the machine", Resource::Anon);
    assert_eq!(machine.verdict, Verdict::Growing, "its sum is not accused: {machine:#?}");
    assert!(says(machine, "anon of container indexer that grows"), "{}", told(machine));
}

#[test]
fn a_log_on_tmpfs_is_memory() {
    let mut made = Made::default();
    made.gateway(48);
    let held = |h: f64| 200.0 * MB + CREEP * h;
    let tmpfs = [("mountpoint", "/run"), ("fstype", "tmpfs"), ("device", "tmpfs")];
    made.add("node_filesystem_size_bytes", &tmpfs, 48, |_| 4.0 * GIB);
    made.add("node_filesystem_avail_bytes", &tmpfs, 48, |h| 4.0 * GIB - held(h));
    made.add("highwater_log_file_bytes", &[("path", "/run/app/debug.log")], 48, held);
    made.add("node_memory_Shmem_bytes", &[], 48, |h| held(h) + MB * noise(5, bits(h)));
    made.add("container_memory_cache", &[("name", "logger")], 48, |h| held(h) + 50.0 * MB);
    made.add("container_memory_rss", &[("name", "logger")], 48, |_| 40.0 * MB);
    made.add("container_memory_working_set_bytes", &[("name", "logger")], 48, |h| {
        held(h) + 45.0 * MB
    });
    made.host(48, |h| 1500.0 * MB + held(h) + 10.0 * MB * noise(6, bits(h)));
    let growth = made.at(48);
    let room = 4.0 * GIB - 1500.0 * MB - held(48.0);
    for (name, resource) in [("/run/app/debug.log", Resource::Log), ("logger", Resource::Shmem)] {
        let item = find(&growth, name, resource);
        assert_eq!(item.verdict, Verdict::Leak, "{}", told(item));
        close(item, room / CREEP * 3600.0, 0.25);
    }
    assert!(says(find(&growth, "the machine", Resource::Shmem), "this is the sum"));
    assert!(leaks(&growth).iter().all(|(name, _)| name != "gateway" && name != "the machine"));
}

#[test]
fn who_is_away_reaches_no_limit() {
    let mut made = Made::default();
    made.gateway(48);
    made.host(48, |h| 1500.0 * MB + CREEP * h + 30.0 * MB * noise(4, bits(h)));
    let creep = |h: f64| 300.0 * MB + CREEP * h + 3.0 * MB * noise(3, bits(h));
    let whose = [("name", "indexer"), ("id", "/docker/bb")];
    made.add("container_memory_rss", &whose, 47, creep);
    let growth = made.at(47);
    assert!(find(&growth, "indexer", Resource::Anon).left.is_some(), "it is there");
    let later = BEGIN.after(Duration::from_mins(47 * 60 + 55));
    let growth = survey(&made, later, Options::default()).unwrap();
    let item = find(&growth, "indexer", Resource::Anon);
    assert_eq!(item.left, None, "{}", told(item));
    assert!(says(item, "nothing has been read of container indexer for"), "{}", told(item));
}

#[test]
fn clean_page_cache_is_harmless() {
    let mut made = Made::default();
    made.gateway(48);
    made.add("container_memory_cache", &[("name", "reader")], 48, |h| 200.0 * MB + CREEP * h);
    made.add("container_memory_rss", &[("name", "reader")], 48, |_| 40.0 * MB);
    made.add("container_memory_working_set_bytes", &[("name", "reader")], 48, |h| {
        90.0 * MB + MB * noise(9, bits(h))
    });
    made.host(48, |h| 1500.0 * MB + 10.0 * MB * noise(6, bits(h)));
    let growth = made.at(48);
    let item = find(&growth, "reader", Resource::Cache);
    assert_eq!((item.verdict, item.cause), (Verdict::Cache, Some(Cause::Cache)), "{}", told(item));
    assert_eq!(item.left, None);
    assert!(says(item, "is harmless") && says(item, "no reason for a kill"), "{}", told(item));
    assert_eq!(leaks(&growth), []);
}

#[test]
fn a_working_set_that_grows_with_its_cache_is_nobodys_leak() {
    let mut made = Made::default();
    let held = |h: f64| 90.0 * MB + CREEP * h;
    made.add("container_memory_working_set_bytes", &[("name", "reader")], 48, held);
    made.add("container_memory_cache", &[("name", "reader")], 48, |h| 10.0 * MB + held(h));
    made.host(48, |h| 1500.0 * MB + 10.0 * MB * noise(6, bits(h)));
    let growth = made.at(48);
    assert_eq!(leaks(&growth), []);
    let item = find(&growth, "reader", Resource::Anon);
    assert!(says(item, "cache of container reader that grows"), "{}", told(item));
}

#[test]
fn replicas_that_grow_alike_make_each_other_surer() {
    let mut made = Made::default();
    for (name, seed) in [("shop-1", 21), ("shop-2", 22), ("shop-3", 23), ("web-1", 24)] {
        let held = move |h: f64| 300.0 * MB + CREEP * h + 3.0 * MB * noise(seed, bits(h));
        made.add("container_memory_rss", &[("name", name)], 48, held);
    }
    let growth = made.at(48);
    let (one, alone) =
        (find(&growth, "shop-1", Resource::Anon), find(&growth, "web-1", Resource::Anon));
    assert!(says(one, "3 of 3 replicas grow alike: container shop-2, container shop-3"));
    assert!(one.confidence > alone.confidence && one.confidence < 1.0);
}

/// Lives of 4–6 h, each ending at the limit of 1 GiB, and descriptors that go the same way.
#[test]
fn a_sawtooth_across_restarts_is_found_within_three_lives() {
    let lengths = [5.0, 4.4, 5.8, 5.2];
    let life = |h: f64| {
        let mut start = 0.0;
        for length in lengths {
            if h < start + length {
                return (start, length);
            }
            start += length;
        }
        (start, 5.0)
    };
    let level = |h: f64| {
        let (start, length) = life(h);
        80.0 * MIB
            + (1024.0 - 80.0) * MIB * (h - start) / length
            + 4.0 * MIB * noise(3, bits(h)).abs()
    };
    let labels = [("name", "nas-agent")];
    let hours = 18;
    let mut made = Made::default();
    made.add("container_memory_rss", &labels, hours, level);
    made.add("container_spec_memory_limit_bytes", &labels, hours, |_| GIB);
    made.add("process_open_fds", &labels, hours, |h| (20.0 + (h - life(h).0) * 200.0).floor());
    made.add("process_max_fds", &labels, hours, |_| 65536.0);
    let began = f64::from(u32::try_from(BEGIN.millis() / 1000).unwrap());
    made.add("container_start_time_seconds", &labels, hours, |h| began + life(h).0 * 3600.0);
    made.host(hours, |_| 2.0 * GIB);
    // Two hours into the fourth life.
    let growth = made.at(17);
    let anon = find(&growth, "nas-agent", Resource::Anon);
    assert_eq!(anon.verdict, Verdict::Leak, "{}", told(anon));
    close(anon, (15.2 + 5.2 - 17.0) * 3600.0, 0.2);
    assert_eq!(anon.limit(), Some(GIB));
    assert!(says(anon, "lives ended before, each after about 5 h"), "{}", told(anon));
    let fds = find(&growth, "nas-agent", Resource::Fds);
    assert_eq!(fds.verdict, Verdict::Leak, "{}", told(fds));
}

#[test]
fn a_container_without_a_limit_is_found_within_three_hours() {
    let rate = (3800.0 - 500.0) * MB / 12.0;
    let mut made = Made::default();
    let gc = |h: f64| 60.0 * MB * (h * 7.0).fract();
    made.add("container_memory_rss", &[("name", "java")], 3, |h| 500.0 * MB + rate * h + gc(h));
    made.add("container_spec_memory_limit_bytes", &[("name", "java")], 3, |_| 0.0);
    made.host(3, |h| 1200.0 * MB + rate * h);
    let growth = made.at(3);
    let item = find(&growth, "java", Resource::Anon);
    assert_eq!(item.verdict, Verdict::Leak, "{}", told(item));
    assert_eq!(item.limit(), None);
    assert!(says(item, "has no limit"), "{}", told(item));
    let weighed = item.causes.iter().find(|one| one.cause == Cause::Misconfiguration).unwrap();
    assert!(weighed.holds, "{weighed:#?}");
    close(item, (4.0 * GIB - 1200.0 * MB - 3.0 * rate) / rate * 3600.0, 0.25);
}

#[test]
fn nothing_after_the_moment_counts() {
    let mut made = Made::default();
    // It is flat for a day, then leaks.
    let held = |h: f64| 300.0 * MB + 40.0 * MB * (h - 24.0).max(0.0) + MB * noise(3, bits(h));
    made.add("container_memory_rss", &[("name", "late")], 48, held);
    made.host(48, |h| GIB + held(h));
    let before = made.at(24);
    assert_eq!(leaks(&before), []);
    let cut = Made {
        series: (made.series.iter().cloned())
            .map(|mut series| {
                series.points.retain(|point| point.at <= BEGIN.after(Duration::from_hours(24)));
                series
            })
            .collect(),
    };
    assert_eq!(format!("{:?}", cut.at(24).items), format!("{:?}", before.items));
}

#[test]
fn an_empty_history_has_nothing_to_tell() {
    assert!(Made::default().at(1).items.is_empty());
}

#[test]
fn shares_alone_are_judged_as_shares() {
    let mut made = Made::default();
    let share = |h: f64| (56.0 + 3.1 * h / 24.0 + 0.4 * noise(8, bits(h))).round();
    made.add("mem_used_percent", &[("instance", "vm1:9100")], 96, share);
    let growth = made.at(96);
    let item = find(&growth, "the machine", Resource::Anon);
    assert_eq!(item.unit.name(), "percent");
    assert_eq!(item.verdict, Verdict::Leak, "{}", told(item));
    let left = (100.0 - 56.0 - 3.1 * 4.0) / 3.1 * 86_400.0;
    close(item, left, 0.25);
}

#[test]
fn the_process_that_grew_is_told() {
    let mut made = Made::default();
    let of = |pid: &'static str, comm: &'static str| {
        [("pid", pid), ("comm", comm), ("unit", "web.service"), ("id", "/system.slice/web.service")]
    };
    let metric = "highwater_process_resident_anon_bytes";
    made.add(metric, &of("7", "wor\u{1b}ker"), 6, |h| 100.0 * MB + 30.0 * MB * h);
    made.add(metric, &of("8", "main"), 6, |_| 400.0 * MB);
    made.add(
        "highwater_process_fds",
        &[&of("8", "main")[..], &[("kind", "socket")]].concat(),
        6,
        |h| 10.0 + 5.0 * h,
    );
    let whose = super::Whose::of_path("/system.slice/web.service");
    let span = (BEGIN, BEGIN.after(Duration::from_hours(6)));
    let found = super::inside(&made, &whose, span).unwrap();
    let told: Vec<(&str, &str)> =
        found.iter().map(|one| (one.comm.as_str(), one.what.as_str())).collect();
    assert_eq!(told, [(r"wor\x1bker", "anon"), ("main", "fds (socket)")]);
    assert!((found[0].rise() - 180.0 * MB).abs() < 10.0 * MB);
}

#[test]
fn kernel_memory_that_is_told_as_a_whole_is_of_the_kind_that_rises_on_the_machine() {
    let mut made = Made::default();
    made.gateway(48);
    let kept = |h: f64| 100.0 * MB + CREEP * h;
    made.add("container_memory_rss", &[("name", "mailer")], 48, |_| 40.0 * MB);
    made.add("container_memory_kernel_usage", &[("name", "mailer")], 48, kept);
    made.add("container_memory_kernel_usage", &[("name", "gateway")], 48, |_| 20.0 * MB);
    let rest = |h: f64| MB * noise(11, bits(h));
    made.add("node_memory_SUnreclaim_bytes", &[], 48, |h| 90.0 * MB + kept(h) + rest(h));
    made.add("node_memory_SReclaimable_bytes", &[], 48, |h| 200.0 * MB + rest(h));
    made.host(48, |h| 1500.0 * MB + kept(h) + 10.0 * MB * noise(6, bits(h)));
    let growth = made.at(48);
    let item = find(&growth, "mailer", Resource::SlabUnreclaimable);
    assert_eq!(item.verdict, Verdict::Leak, "{}", told(item));
    assert!(says(item, "as a whole only"), "{}", told(item));
    let machine = find(&growth, "the machine", Resource::SlabUnreclaimable);
    assert_eq!(machine.verdict, Verdict::Growing, "{}", told(machine));
}
