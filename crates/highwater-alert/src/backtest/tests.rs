use highwater_core::series::{Labels, Point, Selection, SourceError, is_stale};
use highwater_promql::notation::{Line, Memory};

use super::*;
use crate::{GroupState, Overlay, State, Terms, evaluate};

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

    pub(crate) fn history(&self) -> &dyn SeriesSource {
        &self.memory
    }

    pub(crate) fn replayed(&self, minutes: i64) -> Vec<Course<'_>> {
        let mut replay = Replay::new(&self.files, Self::period(minutes));
        let history = Shelved::new(&self.memory, &Shelf::default());
        for strand in replay.strands() {
            while strand.next().is_some() {
                strand.go_on(&history);
            }
        }
        replay.courses()
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

/// The same rules, a moment at a time, by the engine that the agent has, which sees what it recorded.
fn is_as_the_engine_does(told: &Told, minutes: i64) {
    let courses = told.replayed(minutes);
    let group = &told.files[0].groups[0];
    let mut state = GroupState::new(group);
    let mut source = Overlay::new(&told.memory);
    for moment in (0..=minutes * 2).map(|step| WallTime::from_millis(step * STEP_MS)) {
        let recorded = evaluate(group, &mut state, &source, moment, &Terms::default());
        source.add(&recorded);
        let alerting = group.rules.iter().zip(&state.rules);
        let alerting = alerting.filter(|(rule, _)| matches!(rule.kind, Kind::Alert { .. }));
        for (course, (rule, state)) in courses.iter().zip(alerting) {
            assert_eq!((course.name(), &state.error), (rule.name(), &None));
            let is_on = |life: &&Life| life.ended.is_none_or(|ended| moment < ended);
            let there = course.lives.iter().filter(|life| life.pending <= moment).filter(is_on);
            let mut replayed: Vec<(String, bool)> = there
                .map(|life| (life.labels.to_string(), life.fired.is_some_and(|at| at <= moment)))
                .collect();
            let active = state.alerts.iter().filter(|alert| alert.state != State::Inactive);
            let mut engine: Vec<(String, bool)> = active
                .map(|alert| (alert.labels.to_string(), alert.state == State::Firing))
                .collect();
            replayed.sort();
            engine.sort();
            assert_eq!(replayed, engine, "{} at {moment}", course.name());
        }
    }
    for course in &courses {
        assert_ne!(course.fired().count(), 0, "{} never fired: nothing is compared", course.name());
    }
}

const TWO: [&str; 2] = [
    r#"x{a="b"} 0 1 1 0 1 1 1 1 0 0 1 1 1 0 1 0 1 1 1 1 1 1"#,
    r#"x{a="c"} 1 1 1 1 1 0 0 0 0 1 1 0 1 1 1 1 1 1 0 0 0 1"#,
];

#[test]
fn a_replay_fires_when_the_engine_does() {
    let rules = "  - alert: A\n    expr: x == 1\n    for: 1m\n    keep_firing_for: 45s\n  \
                 - alert: B\n    expr: sum(x) > 1\n    for: 30s\n";
    is_as_the_engine_does(&Told::new(&TWO, rules), 10);
}

#[test]
fn a_rule_sees_the_alerts_of_others() {
    let rules = r#"  - alert: A
    expr: x == 1
    for: 1m
    keep_firing_for: 45s
  - record: firing
    expr: count(ALERTS{alertname="A",alertstate="firing"})
  - alert: Both
    expr: firing > 1
  - alert: Long
    expr: time() - ALERTS_FOR_STATE{alertname="A"} > 100
  - alert: Waits
    expr: '{__name__=~"ALERT.*",alertname="A",alertstate!="firing"} == 1'
"#;
    is_as_the_engine_does(&Told::new(&TWO, rules), 10);
}

#[test]
fn an_alert_that_asks_for_itself_goes_step_by_step() {
    let rules = r#"  - alert: High
    expr: x > 8 or (x > 5 and on () ALERTS{alertname="High",alertstate="firing"})
    for: 30s
  - record: total
    expr: (total or vector(0)) + 1
  - alert: Counted
    expr: total > 7 < 12
"#;
    let lines = ["x 0 6 9 9 6 6 6 4 6 6 9 6 9 9 9 6 0 6 6 9 9"];
    is_as_the_engine_does(&Told::new(&lines, rules), 10);
}

#[test]
fn labels_that_are_templates_are_expanded_at_each_moment() {
    let rules = r#"  - alert: A
    expr: x >= 1
    for: 30s
    labels:
      level: '{{ if gt $value 1.0 }}high{{ else }}low{{ end }} of {{ $labels.a }}'
      firing: '{{ with query "count(x)" }}{{ . | first | value }}{{ end }}'
"#;
    let lines = [r#"x{a="b"} 0 1 1 2 2 2 1 1 0 2 2"#, r#"x{a="c"} 2 2 0 0 1 1 2 2 2"#];
    is_as_the_engine_does(&Told::new(&lines, rules), 5);
}

/// A history that is what it is.
struct Close(Vec<Series>, String);

impl SeriesSource for Close {
    fn select(&self, _: &Selection) -> Result<Vec<Series>, SourceError> {
        Ok(self.0.clone())
    }

    fn name(&self) -> &str {
        &self.1
    }
}

#[test]
fn a_slower_scraper_sees_what_is_there_when_it_looks() {
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
fn a_slower_scraper_misses_nothing_where_readings_become_denser() {
    // An hour by the minute, then four hours each 15 s.
    let seconds = (20..3600).step_by(60).chain((3600..18_000).step_by(15));
    let points = seconds.map(|second: i64| Point { at: at(second), value: 1.0 });
    let series = Series { labels: Labels::default(), points: points.collect() };
    let close = Close(vec![series], "close".to_owned());
    let selection =
        Selection { matchers: Vec::new(), from: at(0), to: at(17_940), step: None, ends: true };
    let seen = Thinned::new(&close, Duration::from_mins(1)).select(&selection).unwrap();
    let moments: Vec<i64> = seen[0].points.iter().map(|point| point.at.millis() / 60_000).collect();
    assert_eq!(moments, (1..=299).collect::<Vec<i64>>());
    assert!(seen[0].points.iter().all(|point| !is_stale(point.value)));
}

#[test]
fn an_owner_that_is_named_by_kind_and_id_is_the_one_that_its_own_label_names() {
    let unit = |name: &str| Labels::new([("unit", name)]);
    let judged = Labels::new([("kind", "unit"), ("id", "a.service")]);
    assert!(is_about(&judged, &unit("a.service")) && !is_about(&judged, &unit("b.service")));
    let cgroup = Labels::new([("id", "/system.slice/a.service"), ("unit", "a.service")]);
    assert!(is_about(&judged, &cgroup) && is_about(&cgroup, &judged));
    let plain = Labels::new([("kind", "cgroup"), ("id", "/a")]);
    assert!(is_about(&plain, &Labels::new([("id", "/a")])));
    assert!(!is_about(&plain, &Labels::new([("id", "/b")])));
    // Who is named otherwise is somebody else, unless one name is in the other.
    let container = Labels::new([("container", "793e")]);
    assert!(!is_about(&unit("a.service"), &container) && !is_about(&judged, &container));
    let inside = Labels::new([("id", "/system.slice/docker-793e.scope")]);
    assert!(is_about(&inside, &container));
    // An alert of the whole machine may be about anybody on it.
    assert!(is_about(&Labels::new([("job", "node")]), &container));
    // A kind that is none of an owner is a label like others.
    let other = Labels::new([("kind", "disk"), ("id", "/b")]);
    assert!(!is_about(&other, &Labels::new([("id", "/a")])));
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
