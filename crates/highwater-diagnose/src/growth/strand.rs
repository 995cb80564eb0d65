//! Series of one owner, joined over its lives.

use std::collections::{BTreeMap, BTreeSet};

use highwater_core::owner::Owner;
use highwater_core::series::{Labels, NAME, Point, Series};
use highwater_core::time::WallTime;

use super::owners::{Key, key};
use super::whose::{Whose, tidy};

/// What one owner has of one resource over time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Strand {
    pub(super) whose: Whose,
    /// The labels of the newest of its series.
    pub(super) labels: Labels,
    pub(super) points: Vec<Point>,
    /// When lives began, as far as series that follow each other tell.
    pub(super) begins: Vec<WallTime>,
}

/// The machines whose series are together, and who is known by another name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hosts {
    names: BTreeSet<String>,
    owners: BTreeMap<String, Owner>,
}

impl Hosts {
    /// Those that tell of their memory, by these series.
    pub(super) fn of<'l>(labels: impl Iterator<Item = &'l Labels>) -> Self {
        let names = labels.map(host).filter(|host| !host.is_empty()).collect();
        Self { names, owners: BTreeMap::new() }
    }

    /// With the owners that the ids of containers belong to.
    #[must_use]
    pub(super) fn knowing(self, owners: &BTreeMap<String, Owner>) -> Self {
        Self { owners: owners.clone(), ..self }
    }

    /// The owner that `labels` tell of, by its best name, on its machine.
    pub(super) fn owner(&self, labels: &Labels) -> Option<Whose> {
        let whose = Whose::of(labels)?;
        let known = (whose.kind == "container").then(|| self.owners.get(&whose.id)).flatten();
        let whose = known.map_or(whose, |owner| Whose::of_owner(owner, ""));
        Some(Whose { host: self.name(labels), ..whose })
    }

    /// The machine that a series is of, where that has to be said.
    pub(super) fn name(&self, labels: &Labels) -> Option<String> {
        (self.names.len() > 1).then(|| host(labels)).filter(|host| !host.is_empty())
    }
}

/// The host in `instance`, without the port: exporters of one machine differ in it.
fn host(labels: &Labels) -> String {
    let instance = labels.get("instance");
    let port = |rest: &str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
    let bare = match instance.rsplit_once(':') {
        Some((head, rest)) if port(rest) => head,
        _ => instance,
    };
    tidy(bare)
}

/// The owners that labels tell of, and where the labels of each stand.
pub(super) fn owners(all: &[Labels], hosts: &Hosts) -> BTreeMap<Key, Vec<usize>> {
    let paths: BTreeSet<&str> = all.iter().map(|labels| labels.get("id")).collect();
    let mut owners: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
    for (place, labels) in all.iter().enumerate() {
        let stands = stands_for_owner(labels, &paths);
        if let Some(whose) = stands.then(|| hosts.owner(labels)).flatten() {
            owners.entry(key(&whose)).or_default().push(place);
        }
    }
    owners
}

/// The series of one metric among those of one owner, behind each other. Their points are taken out.
pub(super) fn of_metric(found: &mut [Series], metric: &str, hosts: &Hosts) -> Option<Strand> {
    let of = found
        .iter_mut()
        .filter(|series| series.labels.get(NAME) == metric && !series.points.is_empty());
    let pieces = of.filter_map(|series| {
        let whose = hosts.owner(&series.labels)?;
        let points = std::mem::take(&mut series.points);
        Some((whose, Series { labels: series.labels.clone(), points }))
    });
    spliced(pieces.collect())
}

/// Sizes of a cgroup include what is below it, so an owner counts once, at its topmost cgroup; a
/// cgroup without a known owner counts if nothing is below it.
fn stands_for_owner(labels: &Labels, paths: &BTreeSet<&str>) -> bool {
    let path = labels.get("id");
    if !labels.get("name").is_empty() || !labels.get("kind").is_empty() || !path.starts_with('/') {
        return true;
    }
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    match Owner::of_path(path) {
        Owner::Machine => false,
        Owner::Cgroup(_) => {
            let inside = format!("{path}/");
            let below = paths.range(inside.as_str()..).next();
            path.strip_suffix(".slice").is_none()
                && !below.is_some_and(|below| below.starts_with(&inside))
        }
        owner => parent.is_empty() || !paths.contains(parent) || Owner::of_path(parent) != owner,
    }
}

/// The series of one owner as one course. Those that follow each other are its lives; of two at the
/// same time the longer one counts.
fn spliced(mut pieces: Vec<(Whose, Series)>) -> Option<Strand> {
    pieces.sort_by_key(|(_, series)| series.points.first().map(|point| point.at));
    let mut kept: Vec<(Whose, Series)> = Vec::with_capacity(pieces.len());
    for (whose, mut series) in pieces {
        let first = series.points.first()?.at;
        let reaches = |points: &[Point]| points.last().is_some_and(|point| point.at >= first);
        let Some(before) = kept.last_mut().filter(|(_, before)| reaches(&before.points)) else {
            kept.push((whose, series));
            continue;
        };
        if before.1.points.len() < series.points.len() {
            *before = (whose, series);
            continue;
        }
        // A life may begin in the step in which the one before it ended.
        let end = before.1.points.last()?.at;
        let shared = series.points.partition_point(|point| point.at <= end);
        if shared < series.points.len() / 2 {
            series.points.drain(..shared);
            kept.push((whose, series));
        }
    }
    let (whose, labels) =
        kept.last().map(|(whose, series)| (whose.clone(), series.labels.clone()))?;
    let begins = kept.iter().skip(1).filter_map(|(_, series)| Some(series.points.first()?.at));
    let begins = begins.collect();
    let points = kept.into_iter().flat_map(|(_, series)| series.points).collect();
    Some(Strand { whose, labels, points, begins })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(pairs: &[(&str, &str)], points: std::ops::Range<i64>) -> Series {
        let point = |s: i64| Point { at: WallTime::from_millis(s * 1000), value: 1.0 };
        Series { labels: Labels::new(pairs.iter().copied()), points: points.map(point).collect() }
    }

    #[test]
    fn an_owner_counts_once_at_its_topmost_cgroup() {
        let paths = [
            "/",
            "/system.slice",
            "/system.slice/web.service",
            "/system.slice/web.service/worker",
            "/jobs",
            "/jobs/a",
        ];
        let all = paths.map(|path| Labels::new([("id", path)]));
        let found: Vec<(String, Vec<usize>)> =
            owners(&all, &Hosts::default()).into_iter().map(|(key, at)| (key.1, at)).collect();
        let expected = [("/jobs/a", 5), ("web.service", 2)];
        assert_eq!(found, expected.map(|(name, at)| (name.to_owned(), vec![at])));
    }

    #[test]
    fn lives_of_a_container_are_one_course() {
        let mut found = vec![
            series(&[("name", "shop"), ("id", "/docker/b"), (NAME, "rss")], 10..20),
            series(&[("name", "shop"), ("id", "/docker/a"), (NAME, "rss")], 0..9),
            series(&[("name", "shop"), ("id", "/docker/a"), (NAME, "cache")], 0..30),
        ];
        let labels: Vec<Labels> = found.iter().map(|series| series.labels.clone()).collect();
        assert_eq!(owners(&labels, &Hosts::default()).len(), 1);
        let whole = of_metric(&mut found, "rss", &Hosts::default()).unwrap();
        assert_eq!(whole.points.len(), 19);
        assert_eq!(whole.begins, [WallTime::from_millis(10_000)]);
        assert_eq!(whole.whose.id, "/docker/b");
        assert_eq!(of_metric(&mut found, "rss", &Hosts::default()), None, "they are taken out");
    }

    #[test]
    fn a_container_is_joined_with_what_goes_by_its_name() {
        let id = "34186d9bd07706222bd427bb647ceed81e8e108eb653ff73c7137099fca1cab6";
        let owners = BTreeMap::from([(id.to_owned(), Owner::Container("shop".to_owned()))]);
        let hosts = Hosts::default().knowing(&owners);
        let cgroup = hosts.owner(&Labels::new([("id", format!("/docker/{id}"))])).unwrap();
        let sum = hosts.owner(&Labels::new([("kind", "container"), ("id", "shop")])).unwrap();
        assert_eq!((cgroup.key(), &*cgroup.name), (sum.key(), "shop"));
    }

    #[test]
    fn of_two_at_once_the_longer_one_counts() {
        let mut found = vec![
            series(&[("name", "x"), ("job", "a"), (NAME, "rss")], 0..5),
            series(&[("name", "x"), ("job", "b"), (NAME, "rss")], 1..30),
        ];
        let whole = of_metric(&mut found, "rss", &Hosts::default()).unwrap();
        assert_eq!((whole.points.len(), whole.begins.len()), (29, 0));
    }

    #[test]
    fn a_life_that_begins_in_the_step_in_which_the_last_one_ended_goes_on() {
        let mut found = vec![
            series(&[("name", "x"), ("id", "/docker/a"), (NAME, "rss")], 0..30),
            series(&[("name", "x"), ("id", "/docker/b"), (NAME, "rss")], 29..40),
        ];
        let whole = of_metric(&mut found, "rss", &Hosts::default()).unwrap();
        assert_eq!((whole.points.len(), whole.begins.len()), (40, 1));
        assert_eq!(whole.labels.get("id"), "/docker/b");
    }

    #[test]
    fn machines_are_told_apart_only_where_there_are_several() {
        let on = |instance: &str| Labels::new([("instance", instance)]);
        let one = Hosts::of([&on("a:9100"), &on("a:8080")].into_iter());
        assert_eq!(one.name(&on("a:9100")), None);
        let two = Hosts::of([&on("a:9100"), &on("b")].into_iter());
        assert_eq!(two.name(&on("a:8080")).as_deref(), Some("a"));
        assert_eq!(two.name(&on("[::1]:80")).as_deref(), Some("[::1]"));
    }
}
