//! Stories of units that restart, made here.

use std::time::Duration;

use highwater_core::id::CgroupPath;
use highwater_core::owner::Owner;
use highwater_core::series::{Labels, NAME, Point, Selection, Series, SeriesSource, SourceError};
use highwater_core::testimony::{Limits, Party, Signal, Status, Witness};
use highwater_core::time::WallTime;

use super::*;
use crate::death::NoHistory;
use crate::inquest::Clues;

const T0: i64 = 1_714_000_000_000;
const LIMIT: Bytes = Bytes::from_mib(512);

fn at(second: i64) -> WallTime {
    WallTime::from_millis(T0 + second * 1000)
}

fn owner() -> Owner {
    Owner::Unit("web.service".to_owned())
}

fn verdict(second: i64, cause: Cause) -> Verdict {
    Verdict {
        who: Party::of_owner(owner()),
        is_first: Some(true),
        wall: Some(at(second)),
        boot: None,
        boot_id: None,
        cause,
        confidence: Confidence::Certain,
        status: Some(Status::Code(1)),
        signal: None::<Signal>,
        sender: None,
        limited_by: None,
        limit_owner: None,
        report: None,
        lived: None,
        summary: "web.service ended.".to_owned(),
        claims: Vec::new(),
        contradictions: Vec::new(),
        ruled_out: Vec::new(),
        missing: vec![(Witness::Signals, "needs root".to_owned())],
        witnesses: vec![Witness::Systemd],
        clues: Clues::default(),
    }
}

fn life(from: i64, to: Option<i64>, death: Option<usize>) -> Life {
    Life {
        owner: owner(),
        cgroup: Some(CgroupPath::new(b"/system.slice/web.service")),
        started: Some(at(from)),
        ended: to.map(at),
        first: None,
        death,
        limits: Some(Limits {
            memory: Some(LIMIT),
            restart: Some("always".to_owned()),
            restart_after_ms: Some(15_000),
            start_limit: Some((0, 10_000)),
            ..Limits::default()
        }),
        is_given_up: false,
    }
}

/// `count` lives of `length` seconds, each `down` seconds after the one before.
fn inquest(count: i64, length: i64, down: i64, cause: Cause) -> Inquest {
    let mut all = Inquest::default();
    for n in 0..count {
        let from = n * (length + down);
        all.deaths.push(verdict(from + length, cause));
        all.lives.push(life(from, Some(from + length), usize::try_from(n).ok()));
    }
    all.lives.push(life(count * (length + down), None, None));
    all
}

fn told(inquest: &Inquest, history: &dyn SeriesSource, now: i64) -> Story {
    let mut all = stories(inquest, history, at(now), SLOW_WINDOW);
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn texts(story: &Story) -> String {
    story.claims.iter().map(|claim| claim.text.as_str()).collect::<Vec<_>>().join("\n")
}

/// Memory that climbs in each life up to 98 % of the limit.
struct Sawtooth {
    length: i64,
    down: i64,
}

impl SeriesSource for Sawtooth {
    fn select(&self, wanted: &Selection) -> Result<Vec<Series>, SourceError> {
        let metric = wanted.matchers.iter().find(|matcher| matcher.name == NAME).unwrap();
        let value = |second: i64| -> Option<f64> {
            let phase = second.rem_euclid(self.length + self.down);
            let share = f64::from(u32::try_from(phase).unwrap())
                / f64::from(u32::try_from(self.length).unwrap());
            match &metric.want {
                highwater_core::series::Want::Is(name)
                    if name == "container_spec_memory_limit_bytes" =>
                {
                    Some(LIMIT.as_f64())
                }
                highwater_core::series::Want::Is(name)
                    if name == "container_memory_working_set_bytes" && phase <= self.length =>
                {
                    Some(LIMIT.as_f64() * (0.1 + 0.88 * share))
                }
                _ => None,
            }
        };
        let seconds = (wanted.from.millis() - T0) / 1000..=(wanted.to.millis() - T0) / 1000;
        let points = seconds
            .filter(|second| second % 5 == 0)
            .filter_map(|second| Some(Point { at: at(second), value: value(second)? }));
        Ok(vec![Series { labels: Labels::default(), points: points.collect() }])
    }

    fn name(&self) -> &'static str {
        "recorded series"
    }
}

#[test]
fn eight_restarts_in_an_hour_are_a_storm_that_a_scraper_may_miss() {
    let story = told(&inquest(8, 430, 15, Cause::ExitCode), &NoHistory, 3600);
    assert_eq!((story.restarts(), story.chapters.len()), (8, 9));
    assert_eq!(story.storms.len(), 1);
    assert_eq!(story.storms[0].ends, 8);
    assert!(story.chapters[1..].iter().all(|one| one.down == Some(Duration::from_secs(15))));
    let chance = story.miss_chance(Duration::from_mins(1)).unwrap();
    assert!((chance - 0.1).abs() < 0.001, "{chance}");
    assert_eq!(story.brake, Brake::None);
    let said = texts(&story);
    for words in [
        "A storm: 8 ends in 51 min 55 s (8 × exit-code)",
        "is 0 % every 15 s, 0.4 % every 30 s, 10 % every 1 min.",
        "Restart=always without a StartLimit",
        "It ends about every 7 min 30 s.",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(story.claims.iter().all(|claim| !claim.evidence.is_empty()), "{:?}", story.claims);
}

#[test]
fn a_leak_under_a_limit_is_a_sawtooth() {
    let (length, down) = (17_990, 10);
    let history = Sawtooth { length, down };
    let story = told(&inquest(5, length, down, Cause::KernelOomMemcg), &history, 90_000);
    let period = story.period.unwrap();
    assert_eq!((period.every, period.gaps), (Duration::from_hours(5), 4));
    assert!(period.is_sawtooth && period.height.unwrap().get().abs_diff(980) <= 2, "{period:?}");
    let memory = &story.chapters[0].memory;
    assert!(memory.at_start.unwrap() < memory.at_end.unwrap(), "{memory:?}");
    assert_eq!((memory.peak, memory.limit), (memory.at_end, Some(LIMIT)));
    assert!(memory.curve.len() > 100);
    let said = texts(&story);
    assert!(said.contains("about every 5 h, each time at 98 % of MemoryMax: a sawtooth"), "{said}");
    assert!(story.storms.is_empty());
}

#[test]
fn what_was_wanted_is_no_storm_and_no_rhythm() {
    let story = told(&inquest(8, 60, 1, Cause::SystemdRestart), &NoHistory, 3600);
    assert_eq!((story.storms.len(), story.period, story.restarts()), (0, None, 0));
    assert_eq!(story.miss_chance(Duration::from_mins(1)), None);
    assert_eq!(story.claims, []);
}

#[test]
fn irregular_ends_have_no_period() {
    let mut all = Inquest::default();
    for (n, second) in [100, 900, 5_000, 5_600, 30_000].into_iter().enumerate() {
        all.deaths.push(verdict(second, Cause::Segfault));
        all.lives.push(life(second - 50, Some(second), Some(n)));
    }
    assert_eq!(told(&all, &NoHistory, 40_000).period, None);
}

#[test]
fn a_start_limit_that_is_never_reached_is_none() {
    let with = |restart: &str, pause, start_limit| Limits {
        restart: Some(restart.to_owned()),
        restart_after_ms: Some(pause),
        start_limit,
        ..Limits::default()
    };
    let unit = |limits| brake(&owner(), Some(&limits));
    assert_eq!(unit(with("always", 100, Some((5, 10_000)))), Brake::StartLimit);
    assert_eq!(unit(with("on-failure", 15_000, Some((5, 10_000)))), Brake::NeverReached);
    assert_eq!(unit(with("always", 0, Some((0, 10_000)))), Brake::None);
    assert_eq!(unit(with("no", 0, Some((0, 10_000)))), Brake::Unknown);
    let container = Owner::Container("web".to_owned());
    assert_eq!(brake(&container, Some(&with("always", 0, None))), Brake::None);
    assert_eq!(brake(&container, Some(&with("no", 0, None))), Brake::Unknown);
    assert_eq!(brake(&owner(), None), Brake::Unknown);
}

#[test]
fn who_was_given_up_on_is_told_first() {
    let mut all = inquest(5, 2, 1, Cause::ExitCode);
    all.lives.pop();
    all.lives.last_mut().unwrap().is_given_up = true;
    let story = told(&all, &NoHistory, 3600);
    assert!(story.is_given_up);
    assert!(story.claims[0].text.starts_with("web.service is down, and systemd gave up on it"));
    // It was started again by hand: that is over.
    all.lives.push(life(500, None, None));
    assert!(!told(&all, &NoHistory, 3600).is_given_up);
}

#[test]
fn a_death_without_a_life_is_a_life_and_children_are_counted() {
    let mut all = Inquest::default();
    all.deaths.push(Verdict { lived: Some(Duration::from_secs(9)), ..verdict(10, Cause::Signal) });
    all.deaths.push(Verdict { is_first: Some(false), ..verdict(20, Cause::KernelOomMemcg) });
    let story = told(&all, &NoHistory, 60);
    assert_eq!((story.chapters.len(), story.children), (1, 1));
    assert_eq!(story.chapters[0].uptime(), Some(Duration::from_secs(9)));
    assert!(
        texts(&story)
            .contains("1 process of it died that was not its first, and web.service lived on")
    );
    assert_eq!(stories(&Inquest::default(), &NoHistory, at(0), SLOW_WINDOW), []);
}

#[test]
fn what_the_kernel_says_it_held_is_better_than_an_old_reading() {
    let mut all = inquest(2, 200, 15, Cause::KernelOomMemcg);
    for death in &mut all.deaths {
        death.limit_owner = Some(LimitOwner::Own);
        death.clues.usage = Some(LIMIT);
    }
    // Readings end below the limit.
    let story = told(&all, &Sawtooth { length: 200, down: 15 }, 430);
    let held: Vec<_> = story.chapters.iter().map(|chapter| chapter.memory.at_end).collect();
    assert_eq!(held[..2], [Some(LIMIT), Some(LIMIT)]);
    assert_eq!(story.chapters[0].memory.peak, Some(LIMIT));
    // That of a cgroup above it says nothing of its own.
    for death in &mut all.deaths {
        death.limit_owner = Some(LimitOwner::Ancestor);
    }
    let story = told(&all, &Sawtooth { length: 200, down: 15 }, 430);
    assert_ne!(story.chapters[0].memory.at_end, Some(LIMIT));
}
