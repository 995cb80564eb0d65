//! Series of one owner, joined over its lives.

use std::collections::{BTreeMap, BTreeSet};

use highwater_core::owner::Owner;
use highwater_core::series::{Labels, Point, Series};
use highwater_core::time::WallTime;

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

/// The owners of `found`, each with its series behind each other.
pub(super) fn of_owners(found: Vec<Series>, hosts: &Hosts) -> Vec<Strand> {
    let paths: BTreeSet<String> =
        found.iter().map(|series| series.labels.get("id").to_owned()).collect();
    let mut pieces: BTreeMap<(String, String, String), Vec<(Whose, Series)>> = BTreeMap::new();
    for series in found {
        if !stands_for_owner(&series.labels, &paths) {
            continue;
        }
        let Some(whose) = hosts.owner(&series.labels) else { continue };
        let (kind, own, host) = whose.key();
        let key = (kind.to_owned(), own.to_owned(), host.to_owned());
        pieces.entry(key).or_default().push((whose, series));
    }
    pieces.into_values().filter_map(spliced).collect()
}

/// Sizes of a cgroup include what is below it, so an owner counts once, at its topmost cgroup; a
/// cgroup without a known owner counts if nothing is below it.
fn stands_for_owner(labels: &Labels, paths: &BTreeSet<String>) -> bool {
    let path = labels.get("id");
    if !labels.get("name").is_empty() || !labels.get("kind").is_empty() || !path.starts_with('/') {
        return true;
    }
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    match Owner::of_path(path) {
        Owner::Machine => false,
        Owner::Cgroup(_) => {
            let inside = format!("{path}/");
            let below = paths.range(inside.clone()..).next();
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
    for (whose, series) in pieces {
        let first = series.points.first()?.at;
        match kept.last_mut().filter(|(_, last)| last.points.last().is_some_and(|p| p.at >= first))
        {
            Some(last) if last.1.points.len() < series.points.len() => *last = (whose, series),
            Some(_) => {}
            None => kept.push((whose, series)),
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
        let found = vec![
            series(&[("id", "/")], 0..3),
            series(&[("id", "/system.slice")], 0..3),
            series(&[("id", "/system.slice/web.service")], 0..3),
            series(&[("id", "/system.slice/web.service/worker")], 0..3),
            series(&[("id", "/jobs")], 0..3),
            series(&[("id", "/jobs/a")], 0..3),
        ];
        let names: Vec<String> =
            of_owners(found, &Hosts::default()).into_iter().map(|s| s.whose.name).collect();
        assert_eq!(names, ["/jobs/a", "web.service"]);
    }

    #[test]
    fn lives_of_a_container_are_one_course() {
        let found = vec![
            series(&[("name", "shop"), ("id", "/docker/b")], 10..20),
            series(&[("name", "shop"), ("id", "/docker/a")], 0..9),
        ];
        let all = of_owners(found, &Hosts::default());
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].points.len(), 19);
        assert_eq!(all[0].begins, [WallTime::from_millis(10_000)]);
        assert_eq!(all[0].whose.id, "/docker/b");
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
        let found = vec![
            series(&[("name", "x"), ("job", "a")], 0..5),
            series(&[("name", "x"), ("job", "b")], 1..30),
        ];
        let all = of_owners(found, &Hosts::default());
        assert_eq!((all.len(), all[0].points.len()), (1, 29));
        assert!(all[0].begins.is_empty());
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
