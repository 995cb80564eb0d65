//! What grew inside an owner: which of its processes, and which kind of memory or descriptors in
//! each, by two readings.

use std::collections::BTreeMap;
use std::time::Duration;

use highwater_core::evidence::Evidence;
use highwater_core::series::{
    Labels, Matcher, NAME, Point, Selection, SeriesSource, SourceError, Want, is_stale,
};
use highwater_core::time::WallTime;

use super::Unit;
use super::draft::cited;
use super::whose::{Whose, tidy};

/// What is read of processes: where each kind of memory is, and what is open.
const METRICS: [(&str, &str, Unit); 9] = [
    ("highwater_process_resident_anon_bytes", "anon", Unit::Bytes),
    ("highwater_process_pss_shmem_bytes", "shmem", Unit::Bytes),
    ("highwater_process_pss_file_bytes", "pages of files", Unit::Bytes),
    ("highwater_process_swap_bytes", "swap", Unit::Bytes),
    ("highwater_process_page_tables_bytes", "page tables", Unit::Bytes),
    ("process_open_fds", "fds", Unit::Count),
    ("highwater_process_fds", "fds", Unit::Count),
    ("process_threads", "threads", Unit::Count),
    ("highwater_process_zombie_children", "zombies", Unit::Count),
];

/// So many readings show a course well enough to compare its ends; more of a long one are not needed.
const READINGS: u32 = 12;
const STEP: Duration = Duration::from_mins(10);
const LEAST_STEP: Duration = Duration::from_secs(1);

/// So many are told.
const TOLD: usize = 8;

/// A rise below this share of what there was is not worth a line.
const LEAST_RISE: f64 = 0.02;

/// Something inside an owner that grew.
#[derive(Clone, Debug, PartialEq)]
pub struct Inside {
    /// The process; escaped.
    pub comm: String,
    /// Its number.
    pub pid: String,
    /// What of it: `anon`, `fds (socket)`.
    pub what: String,
    /// In what it is counted.
    pub unit: Unit,
    /// The first reading, and the last.
    pub ends: (Point, Point),
    /// Which series.
    pub evidence: Evidence,
}

impl Inside {
    /// How much more it is than it was.
    pub fn rise(&self) -> f64 {
        self.ends.1.value - self.ends.0.value
    }
}

/// What grew most inside `whose` between `from` and `at`: bytes first.
pub fn inside(
    source: &dyn SeriesSource,
    whose: &Whose,
    (from, at): (WallTime, WallTime),
) -> Result<Vec<Inside>, SourceError> {
    let Some(place) = place(whose) else { return Ok(Vec::new()) };
    let step = (at.since(from) / READINGS).clamp(LEAST_STEP, STEP);
    let mut found = Vec::new();
    for (metric, what, unit) in METRICS {
        let is_process = Matcher { name: "pid".to_owned(), want: Want::IsNot(String::new()) };
        let selection = Selection {
            matchers: vec![Matcher::is(NAME, metric), place.clone(), is_process],
            from,
            to: at,
            step: Some(step),
            ends: false,
        };
        for mut series in source.select(&selection)? {
            series.points.retain(|point| point.value.is_finite() && !is_stale(point.value));
            let told = one(source.name(), &series.labels, &series.points, (what, unit));
            found.extend(told);
        }
    }
    found.sort_by(|a, b| {
        let is_count = |one: &Inside| one.unit == Unit::Count;
        is_count(a).cmp(&is_count(b)).then(b.rise().total_cmp(&a.rise()))
    });
    Ok(few(found))
}

/// The largest rises of each unit.
fn few(found: Vec<Inside>) -> Vec<Inside> {
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    let fits = |one: &Inside| {
        let count = counts.entry(one.unit.name()).or_default();
        *count += 1;
        *count <= TOLD / 2
    };
    let mut fits = fits;
    found.into_iter().filter(|one| fits(one)).collect()
}

fn one(
    source: &str,
    labels: &Labels,
    points: &[Point],
    (what, unit): (&str, Unit),
) -> Option<Inside> {
    let (first, last) = (*points.first()?, *points.last()?);
    let rise = last.value - first.value;
    if points.len() < 2 || rise <= 0.0 || rise < first.value * LEAST_RISE {
        return None;
    }
    let kind = labels.get("kind");
    let what = if kind.is_empty() { what.to_owned() } else { format!("{what} ({})", tidy(kind)) };
    Some(Inside {
        comm: tidy(labels.get("comm")),
        pid: tidy(labels.get("pid")),
        what,
        unit,
        ends: (first, last),
        evidence: cited(source, labels, points, unit),
    })
}

/// By what label the processes of an owner are found.
fn place(whose: &Whose) -> Option<Matcher> {
    match whose.kind {
        "unit" | "session" => Some(Matcher::is("unit", &whose.id)),
        "user-unit" => Some(Matcher::is("unit", whose.id.split(' ').next().unwrap_or_default())),
        "container" if whose.id.starts_with('/') => Some(Matcher::is("id", &whose.id)),
        "container" => Some(Matcher::is("container", &whose.id)),
        "cgroup" => Some(Matcher::is("id", &whose.id)),
        _ => None,
    }
}
