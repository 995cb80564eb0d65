//! Deaths with a recording around them.

use highwater_core::event::{Death, Whereabouts};
use highwater_core::id::{CgroupPath, Pid, ProcKey, StartTicks};
use highwater_core::limit::Limit;
use highwater_core::line::RecordedLine;
use highwater_core::series::{Labels, NAME, Point, Selection, Series, SeriesSource, SourceError};
use highwater_core::time::{BootTime, WallTime};
use highwater_core::units::Bytes;
use highwater_diagnose::death::{Case, Cause, Confidence, RecordedDeath, Window, explain};

use crate::{fixture, told};

/// A recording in memory.
#[derive(Default)]
struct Tape(Vec<Series>);

impl Tape {
    fn add(&mut self, labels: &[(&str, &str)], points: impl IntoIterator<Item = (i64, f64)>) {
        let points = points
            .into_iter()
            .map(|(s, value)| Point { at: WallTime::from_millis(s * 1000), value })
            .collect();
        self.0.push(Series { labels: Labels::new(labels.iter().copied()), points });
    }
}

impl SeriesSource for Tape {
    fn select(&self, selection: &Selection) -> Result<Vec<Series>, SourceError> {
        let wanted =
            |series: &&Series| selection.matchers.iter().all(|m| m.accepts(&series.labels));
        let within = |series: &Series| {
            let inside = |point: &&Point| point.at >= selection.from && point.at <= selection.to;
            let points = series.points.iter().filter(inside).copied().collect();
            Series { labels: series.labels.clone(), points }
        };
        let found = self.0.iter().filter(wanted).map(within);
        Ok(found.filter(|series| !series.points.is_empty()).collect())
    }

    fn name(&self) -> &'static str {
        "recorded series"
    }
}

const MIB: f64 = 1024.0 * 1024.0;
const DEATH_S: i64 = 1_700_000_000;

/// A process that takes 2 MiB a second until it dies, sampled every five seconds.
fn leak() -> Tape {
    let mut tape = Tape::default();
    let climb = || {
        (0..=24).map(|at| {
            (
                DEATH_S - 120 + at * 5,
                (14.0 + 2.0 * 5.0 * f64::from(i32::try_from(at).unwrap())) * MIB / 4.0,
            )
        })
    };
    let anon = "highwater_process_resident_anon_bytes";
    let process = [("pid", "731"), ("start", "99"), ("comm", "worker"), ("id", "/batch")];
    tape.add(&[&[(NAME, anon)], &process[..]].concat(), climb());
    // Another process that had the pid before.
    let old = [("pid", "731"), ("start", "5"), ("comm", "other")];
    tape.add(&[&[(NAME, anon)], &old[..]].concat(), [(DEATH_S - 300, 1.0)]);
    let cgroup = |metric| [(NAME, metric), ("id", "/batch")];
    tape.add(&cgroup("container_memory_usage_bytes"), climb());
    tape.add(&cgroup("container_memory_rss"), [(DEATH_S - 2, 62.0 * MIB)]);
    tape.add(&cgroup("container_memory_cache"), [(DEATH_S - 2, MIB)]);
    tape.add(&cgroup("container_spec_memory_swap_limit_bytes"), [(DEATH_S - 2, f64::INFINITY)]);
    tape.add(&[(NAME, "node_memory_MemAvailable_bytes")], [(DEATH_S - 2, 9000.0 * MIB)]);
    tape
}

fn death(known: Option<Whereabouts>) -> Death {
    let line = RecordedLine {
        seq: Some(77),
        boot: Some(BootTime::from_micros(5_120_000_100)),
        wall: None,
        text: "Memory cgroup out of memory: Killed process 731 (worker)".to_owned(),
    };
    Death { pid: Pid::new(731), comm: "worker".to_owned(), lines: vec![line], kill_line: 0, known }
}

fn whereabouts() -> Whereabouts {
    Whereabouts {
        key: ProcKey { pid: Pid::new(731), start: StartTicks::new(99) },
        cgroup: Some(CgroupPath::new(b"/batch/one")),
        limited_by: Some(CgroupPath::new(b"/batch")),
        limit: Some(Limit::At(Bytes::from_mib(64))),
        usage: Some(Bytes::from_mib(63)),
        at: WallTime::from_millis((DEATH_S - 1) * 1000),
    }
}

fn explain_bare(death: &Death, tape: &Tape) -> highwater_diagnose::death::Diagnosis {
    let reports = fixture("bare.log");
    let wall = WallTime::from_millis(DEATH_S * 1000);
    let case = Case {
        report: &reports[0],
        kill: Some(0),
        source: "/dev/kmsg",
        recorded: Some(RecordedDeath { death, wall, boot: None }),
        page_size: None,
        look_back: Window::Week,
    };
    explain(&case, tape)
}

#[test]
fn a_bare_kill_line_is_joined_with_the_recording() {
    let diagnosis = explain_bare(&death(Some(whereabouts())), &leak());
    assert_eq!(diagnosis.limit_owner.as_deref(), Some("/batch"));
    assert_eq!(diagnosis.limit, Some(Limit::At(Bytes::from_mib(64))));
    let recorded = diagnosis.recorded.unwrap();
    assert_eq!(recorded.points, 25, "the process's and the cgroup's moments, each once");
    let rate = recorded.bytes_per_second.unwrap();
    assert!((rate - MIB / 2.0).abs() < 1.0, "{rate}");
    insta::assert_snapshot!(told(&diagnosis));
}

/// The kill counters of `paths` rise by one at the death; that of `/quiet` does not.
fn kill_counters(paths: &[&str]) -> Tape {
    let mut tape = Tape::default();
    let counter = |path| [(NAME, "container_oom_events_total"), ("id", path)];
    for path in paths {
        tape.add(&counter(path), [(DEATH_S - 4, 2.0), (DEATH_S + 1, 3.0)]);
    }
    tape.add(&counter("/quiet"), [(DEATH_S - 4, 7.0), (DEATH_S + 1, 7.0)]);
    tape
}

#[test]
fn a_process_that_was_never_sampled_leaves_suspects() {
    let one = explain_bare(&death(None), &kill_counters(&["/", "/batch"]));
    assert_eq!(one.limit_owner.as_deref(), Some("/batch"), "the innermost that rose");
    let two = explain_bare(&death(None), &kill_counters(&["/batch", "/other"]));
    assert_eq!(two.limit_owner, None);
    let said = two.claims.iter().any(|claim| claim.text.contains("/batch, /other"));
    assert!(said, "{:?}", two.claims);
}

#[test]
fn a_short_life_is_said_to_be_short_and_a_silence_a_silence() {
    let claims = |seconds: i64| {
        let mut tape = Tape::default();
        let metric = [(NAME, "node_memory_MemAvailable_bytes")];
        tape.add(&metric, [(DEATH_S - seconds, 9000.0 * MIB)]);
        let claims = explain_bare(&death(None), &tape).claims;
        claims.into_iter().map(|claim| claim.text).collect::<String>()
    };
    assert!(
        claims(3).contains("worker lived too briefly to be sampled (under 4 s)"),
        "{}",
        claims(3)
    );
    assert!(claims(300).contains("Nothing was sampled in the last 5 min"), "{}", claims(300));
}

#[test]
fn a_curve_is_labelled_with_what_it_covers() {
    let growth = explain_bare(&death(Some(whereabouts())), &leak()).growth;
    assert_eq!(growth[0].span(), "last 2 min", "of ten minutes that it might have had");
}

/// The recorder was down when it happened; what it had recorded before still tells.
#[test]
fn a_death_that_nobody_watched_is_joined_with_the_series() {
    let mut tape = Tape::default();
    let resident = [(NAME, "process_resident_memory_bytes"), ("pid", "731")];
    let life = [("start", "99"), ("comm", "worker"), ("id", "/batch/one")];
    tape.add(&[&resident[..], &life[..]].concat(), [(DEATH_S - 3, 60.0 * MIB)]);
    let cgroup = |metric, path| [(NAME, metric), ("id", path)];
    let limit = "container_spec_memory_limit_bytes";
    tape.add(&cgroup(limit, "/batch/one"), [(DEATH_S - 3, f64::INFINITY)]);
    tape.add(&cgroup(limit, "/batch"), [(DEATH_S - 3, 64.0 * MIB)]);
    tape.add(&cgroup("container_memory_usage_bytes", "/batch"), [(DEATH_S - 3, 61.0 * MIB)]);
    let diagnosis = explain_bare(&death(None), &tape);
    assert_eq!(diagnosis.task_cgroup.as_deref(), Some("/batch/one"));
    assert_eq!(diagnosis.limit_owner.as_deref(), Some("/batch"));
    assert_eq!(diagnosis.limit, Some(Limit::At(Bytes::from_mib(64))));
    assert_eq!(diagnosis.usage, Some(Bytes::from_mib(61)));
}

#[test]
fn a_kill_line_without_a_cause_takes_it_from_a_full_cgroup() {
    let log =
        b"[    5.000000] Killed process 731 (worker) total-vm:8kB, anon-rss:4kB, file-rss:0kB";
    let reports = highwater_oom::read(highwater_log::Stream::new(&log[..]));
    let wall = WallTime::from_millis(DEATH_S * 1000);
    let explain_with = |known| {
        let death = death(known);
        let case = Case {
            report: &reports[0],
            kill: Some(0),
            source: "/dev/kmsg",
            recorded: Some(RecordedDeath { death: &death, wall, boot: None }),
            page_size: None,
            look_back: Window::Minutes,
        };
        let diagnosis = explain(&case, &Tape::default());
        (diagnosis.cause, diagnosis.confidence)
    };
    assert_eq!(explain_with(Some(whereabouts())), (Cause::KernelOomMemcg, Confidence::Likely));
    assert_eq!(explain_with(None), (Cause::Unknown, Confidence::Unknown));
}
