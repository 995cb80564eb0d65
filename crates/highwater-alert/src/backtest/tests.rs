use highwater_core::series::{Labels, Point, Selection, SourceError};
use highwater_promql::Options;
use highwater_promql::notation::{Line, Memory};

use super::*;
use crate::{GroupState, State, Terms, evaluate};

/// A history of a sample each 30 s from the epoch on, and rules.
pub(crate) struct Told {
    memory: Memory,
    files: Vec<RuleFile>,
}

const STEP_MS: i64 = 30_000;

impl Told {
    pub(crate) fn new(lines: &[&str], rules: &str) -> Self {
        let mut memory = Memory::default();
        for line in lines {
            memory.load(&Line::read(line).unwrap(), STEP_MS);
        }
        let text = format!("groups:\n- name: g\n  interval: 30s\n  rules:\n{rules}");
        Self { memory, files: vec![RuleFile::read("r.yml", &text).unwrap()] }
    }

    pub(crate) fn period(minutes: i64) -> Period {
        let to = WallTime::from_millis(minutes * 60_000);
        Period { from: WallTime::from_millis(0), to, step: None }
    }

    pub(crate) fn past(&self) -> Past<'_> {
        Past::new(&self.memory, Vec::new())
    }

    pub(crate) fn files(&self) -> &[RuleFile] {
        &self.files
    }

    fn replayed(&self, minutes: i64) -> Vec<Course<'_>> {
        replay(&self.files, &mut self.past(), Self::period(minutes), &mut |_, _| {})
    }
}

fn at(seconds: i64) -> WallTime {
    WallTime::from_millis(seconds * 1000)
}

#[test]
fn an_alert_waits_for_its_hold_and_ends_with_what_matched() {
    let told = Told::new(
        &[r#"x{a="b"} 0 1 1 1 1 0 1 0"#],
        "  - alert: A\n    expr: x == 1\n    for: 1m\n    labels: {s: t}\n",
    );
    let courses = told.replayed(3);
    let [course] = courses.as_slice() else { panic!("{courses:?}") };
    let [first, second] = course.lives.as_slice() else { panic!("{course:?}") };
    assert_eq!(first.labels.to_string(), r#"{a="b",alertname="A",s="t"}"#);
    assert_eq!((first.pending, first.fired, first.ended), (at(30), Some(at(90)), Some(at(150))));
    // Nothing was read after the last sample, but it is not old yet.
    assert_eq!((second.pending, second.fired, second.ended), (at(180), None, None));
}

#[test]
fn keeping_bridges_pauses_and_delays_the_end() {
    let told = Told::new(
        &["x 1 0 0 1 0 0 0 0 0"],
        "  - alert: A\n    expr: x == 1\n    keep_firing_for: 1m\n",
    );
    let courses = told.replayed(4);
    let [life] = courses[0].lives.as_slice() else { panic!("{courses:?}") };
    assert_eq!((life.fired, life.last, life.ended), (Some(at(0)), at(90), Some(at(180))));
}

#[test]
fn what_is_recorded_is_seen_by_rules_before_and_behind_it_and_ends() {
    let told = Told::new(
        &["x 1 1 _ _ _ _ stale _ _ _"],
        "  - alert: Early\n    expr: y:twice > 1\n  - record: y:twice\n    expr: y:once * 2\n  \
         - record: y:once\n    expr: x\n",
    );
    let courses = told.replayed(5);
    let [life] = courses[0].lives.as_slice() else { panic!("{courses:?}") };
    assert_eq!((life.fired, life.ended), (Some(at(0)), Some(at(180))));
}

#[test]
fn a_rule_that_fails_says_so_and_others_go_on() {
    let told = Told::new(
        &[r#"x{a="1"} 1 1 1"#, r#"x{a="2"} 1 1 1"#, "y 1 1 1"],
        "  - alert: Bad\n    expr: y * on () x > 0\n  - alert: Good\n    expr: y > 0\n",
    );
    let courses = told.replayed(1);
    assert!(courses[0].lives.is_empty());
    let (first, why) = &courses[0].faults[0];
    assert_eq!(*first, at(0));
    assert!(why.contains("many-to-many") || why.contains("duplicate"), "{why}");
    assert_eq!(courses[1].fired().count(), 1);
}

/// The same rules, a moment at a time, by the engine that the agent has.
#[test]
fn a_replay_fires_when_the_engine_does() {
    let told = Told::new(
        &[
            r#"x{a="b"} 0 1 1 0 1 1 1 1 0 0 1 1 1 0 1 0 1 1 1 1 1 1"#,
            r#"x{a="c"} 1 1 1 1 1 0 0 0 0 1 1 0 1 1 1 1 1 1 0 0 0 1"#,
        ],
        "  - alert: A\n    expr: x == 1\n    for: 1m\n    keep_firing_for: 45s\n  \
         - alert: B\n    expr: sum(x) > 1\n    for: 30s\n",
    );
    let courses = told.replayed(10);
    let group = &told.files()[0].groups[0];
    let mut state = GroupState::new(group);
    let terms = Terms {
        external_labels: Labels::default(),
        external_url: String::new(),
        options: Options::default(),
    };
    for step in 0..=20 {
        let moment = WallTime::from_millis(step * STEP_MS);
        let _recorded = evaluate(group, &mut state, &told.memory, moment, &terms);
        for (course, rule) in courses.iter().zip(&state.rules) {
            let is_on = |life: &&Life| life.ended.is_none_or(|ended| moment < ended);
            let replayed: Vec<(String, bool)> = course
                .lives
                .iter()
                .filter(|life| life.pending <= moment)
                .filter(is_on)
                .map(|life| (life.labels.to_string(), life.fired.is_some_and(|at| at <= moment)))
                .collect();
            let mut engine: Vec<(String, bool)> = rule
                .alerts
                .iter()
                .filter(|alert| alert.state != State::Inactive)
                .map(|alert| (alert.labels.to_string(), alert.state == State::Firing))
                .collect();
            let mut replayed = replayed;
            replayed.sort();
            engine.sort();
            assert_eq!(replayed, engine, "{} at {moment}", course.name());
        }
    }
}

#[test]
fn a_slower_scraper_sees_what_is_there_when_it_looks() {
    struct Close(Vec<Series>, String);
    impl SeriesSource for Close {
        fn select(&self, _: &Selection) -> Result<Vec<Series>, SourceError> {
            Ok(self.0.clone())
        }
        fn name(&self) -> &str {
            &self.1
        }
    }
    // Every 5 s, but for 20 s around a whole minute.
    let seconds = (0..=240).step_by(5).filter(|second| !(110..=125).contains(second));
    let points = seconds.map(|second: i64| Point {
        at: WallTime::from_millis(second * 1000 + 250),
        value: f64::from(u32::try_from(second).unwrap()),
    });
    let close = Close(
        vec![Series { labels: Labels::default(), points: points.collect() }],
        "close".to_owned(),
    );
    let selection =
        Selection { matchers: Vec::new(), from: at(0), to: at(240), step: None, ends: true };
    let seen = Thinned::new(&close, Duration::from_mins(1)).select(&selection).unwrap();
    let seen: Vec<(i64, f64)> =
        seen[0].points.iter().map(|point| (point.at.millis() / 1000, point.value)).collect();
    assert_eq!(seen.len(), 4, "{seen:?}");
    assert_eq!((seen[0], seen[2], seen[3]), ((60, 55.0), (180, 175.0), (240, 235.0)));
    assert_eq!((seen[1].0, seen[1].1.is_nan()), (120, true));
}

#[test]
fn a_warning_is_about_whom_its_labels_do_not_rule_out() {
    let told = Told::new(
        &[r#"x{name="web",instance="a:1"} 1 1 1 1"#, r#"x{name="db",instance="a:1"} 1 1 1 1"#],
        "  - alert: A\n    expr: x{name=\"db\"} == 1\n  - alert: W\n    expr: x == 1\n    for: 1m\n",
    );
    let courses = told.replayed(10);
    let incident = |name: &str, host: &str, seconds: i64| Incident {
        sort: Sort::Restart,
        owner: name.to_owned(),
        labels: Labels::new([("name", name), ("instance", host)]),
        moments: vec![Moment { at: at(seconds), down: None }],
        note: String::new(),
    };
    let all = warnings(&incident("web", "a:9", 120), &courses);
    let [warning] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!((warning.course.name(), warning.lead), ("W", Some(Duration::from_mins(1))));
    assert_eq!(warnings(&incident("web", "b:1", 120), &courses).len(), 0);
    // What ended hours before warned of nothing.
    assert_eq!(warnings(&incident("web", "a:1", 12_000), &courses).len(), 0);
}
