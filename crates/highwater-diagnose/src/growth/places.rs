//! What grows on file systems: the file systems themselves, log files, images.
//!
//! What is on a tmpfs is memory: a file system of that kind grows as shared memory does, and the
//! machine's memory is its limit if that comes first.

use std::collections::BTreeMap;

use highwater_core::evidence::Evidence;
use highwater_core::growth::Resource;
use highwater_core::series::{Labels, Point, Series, SourceError};

use super::Unit;
use super::bounds::{Bound, Bounds, Ceiling};
use super::draft::{Bench, Draft, Subject, cited};
use super::history::{History, together};
use super::strand::Strand;
use super::whose::{Whose, tidy};

/// File systems that nobody writes to, or that hold nothing.
const IDLE: [&str; 6] = ["squashfs", "iso9660", "overlay", "ramfs", "devtmpfs", "erofs"];

/// File systems whose files are memory.
const IN_MEMORY: [&str; 1] = ["tmpfs"];

/// Where Docker keeps its images.
const DOCKER_ROOT: &str = "/var/lib/docker";

/// A file system as it was last.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) point: String,
    pub(super) is_memory: bool,
    host: Option<String>,
    avail: f64,
    size: f64,
}

/// What is read of file systems and of Docker's disk.
pub(super) const METRICS: [&str; 3] =
    ["node_filesystem_avail_bytes", "node_filesystem_size_bytes", "highwater_docker_disk_bytes"];

/// Judges file systems, logs and images, and tells the file systems there are.
pub(super) fn drafts(
    history: History<'_>,
    bench: &Bench<'_>,
    bounds: &Bounds,
) -> Result<(Vec<Draft>, Vec<Place>), SourceError> {
    let mut drafts = Vec::new();
    let mut places = Vec::new();
    let sizes = sizes(history)?;
    for series in history.whole("node_filesystem_avail_bytes")? {
        let Some((place, strand)) = filled(series, &sizes, bounds) else { continue };
        let subject = subject(&place, &strand, bench, bounds);
        places.push(place);
        drafts.extend(bench.judge(strand, subject, &[]));
    }
    history.each(&["highwater_log_file_bytes"], &mut |series| {
        let path = series.labels.get("path").to_owned();
        let whose = whose("log", &path, &series.labels, bounds);
        drafts.extend(on_disk(series, whose, Resource::Log, &path, (&places, bounds), bench));
    })?;
    for series in history.whole("highwater_docker_disk_bytes")? {
        let kind = series.labels.get("type").to_owned();
        let resource = match kind.as_str() {
            "images" | "build_cache" => Resource::Images,
            _ => Resource::Disk,
        };
        let name = format!("docker {}", kind.replace('_', " "));
        let whose = whose("docker", &name, &series.labels, bounds);
        drafts.extend(on_disk(series, whose, resource, DOCKER_ROOT, (&places, bounds), bench));
    }
    Ok((drafts, places))
}

fn whose(kind: &'static str, id: &str, labels: &Labels, bounds: &Bounds) -> Whose {
    Whose { host: bounds.hosts.name(labels), ..Whose::plain(kind, id, id) }
}

/// The file system that `path` is on: that with the longest mount point.
pub(super) fn place_of<'p>(
    path: &str,
    host: Option<&str>,
    places: &'p [Place],
) -> Option<&'p Place> {
    let holds = |place: &&Place| {
        let rest = path.strip_prefix(place.point.trim_end_matches('/'));
        place.host.as_deref() == host
            && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    places.iter().filter(holds).max_by_key(|place| place.point.len())
}

fn on_disk(
    series: Series,
    whose: Whose,
    resource: Resource,
    path: &str,
    (places, bounds): (&[Place], &Bounds),
    bench: &Bench<'_>,
) -> Option<Draft> {
    let current = series.points.last()?.value;
    let place = place_of(path, whose.host.as_deref(), places);
    let bound = place.map(|place| {
        let text = format!(
            "{}: {} of {} available",
            tidy(&place.point),
            Unit::Bytes.said(place.avail),
            Unit::Bytes.said(place.size)
        );
        let evidence = Evidence { source: bench.source.to_owned(), line: None, text };
        place.bound(&whose, current, evidence, bounds)
    });
    let Series { labels, points } = series;
    let strand = Strand { whose, labels, points, begins: Vec::new() };
    bench.judge(strand, Subject::of(resource).within(bound), &[])
}

/// What each file system can hold, by its labels without the name.
fn sizes(history: History<'_>) -> Result<BTreeMap<Labels, Vec<Point>>, SourceError> {
    let found = history.whole("node_filesystem_size_bytes")?;
    Ok(found.into_iter().map(|series| (bare(series.labels), series.points)).collect())
}

fn bare(mut labels: Labels) -> Labels {
    labels.set(highwater_core::series::NAME, "");
    labels
}

/// How full a file system is over time: its size without what is available.
fn filled(
    avail: Series,
    sizes: &BTreeMap<Labels, Vec<Point>>,
    bounds: &Bounds,
) -> Option<(Place, Strand)> {
    let kind = avail.labels.get("fstype").to_owned();
    if IDLE.contains(&kind.as_str()) {
        return None;
    }
    let size = sizes.get(&bare(avail.labels.clone()))?;
    let used = together(&avail.points, size, |avail, size| (size - avail).max(0.0));
    let point = avail.labels.get("mountpoint").to_owned();
    let place = Place {
        is_memory: IN_MEMORY.contains(&kind.as_str()),
        host: bounds.hosts.name(&avail.labels),
        avail: avail.points.last()?.value,
        size: size.last()?.value,
        point: point.clone(),
    };
    let whose = whose("filesystem", &point, &avail.labels, bounds);
    Some((place, Strand { whose, labels: avail.labels, points: used, begins: Vec::new() }))
}

fn subject(place: &Place, strand: &Strand, bench: &Bench<'_>, bounds: &Bounds) -> Subject {
    let last = strand.points.get(strand.points.len().saturating_sub(1)..).unwrap_or_default();
    let current = last.last().map_or(0.0, |point| point.value);
    let evidence = cited(bench.source, &strand.labels, last, Unit::Bytes);
    let bound = place.bound(&strand.whose, current, evidence, bounds);
    let resource = if place.is_memory { Resource::Shmem } else { Resource::Disk };
    Subject::of(resource).within(Some(bound))
}

impl Place {
    /// What may not be exceeded by something on it: its size; where files are memory, what the
    /// machine has of that, if it is less.
    fn bound(&self, whose: &Whose, current: f64, evidence: Evidence, bounds: &Bounds) -> Bound {
        let level = current + self.avail;
        let own = Bound { ceiling: Ceiling::Size, limit: self.size, level, evidence };
        let memory = self.is_memory.then(|| bounds.of_memory(whose, current, 0.0)).flatten();
        match memory {
            Some(memory) if memory.level < own.level => memory,
            _ => own,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_on_the_file_system_with_the_longest_mount_point() {
        let place = |point: &str| Place {
            point: point.to_owned(),
            is_memory: false,
            host: None,
            avail: 1.0,
            size: 2.0,
        };
        let places = ["/", "/var", "/var/log"].map(place);
        let of = |path: &str| place_of(path, None, &places).map(|place| place.point.as_str());
        assert_eq!(of("/var/log/a.log"), Some("/var/log"));
        assert_eq!(of("/var/logs"), Some("/var"));
        assert_eq!(of("/x"), Some("/"));
        assert_eq!(place_of("/x", Some("b"), &places).map(|p| p.size), None);
    }
}
