//! The same series into all three, some days at a time, so that their text never lies around whole.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use highwater_core::metric::MetricKind;
use highwater_core::time::WallTime;
use highwater_store::Import;

use super::fleet::{self, CADENCE_MS, END_MS, Fleet};
use super::server::{BLOCK_HOURS, Kind, Server};
use crate::clock;
use crate::repo;

const DAY_MS: i64 = 24 * 3_600_000;
const BLOCK_MS: i64 = BLOCK_HOURS * 3_600_000;

/// No merge of a month takes this long.
const MERGES_WITHIN: Duration = Duration::from_mins(5);

/// So many looks in a row find none: one that was asked for begins a moment later.
const CALM: u32 = 10;

/// Imports into those that have nothing yet.
pub(super) fn all(folder: &Path, program: &Path, (series, days): (u32, u32)) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    for kind in Kind::ALL {
        let done = folder.join(format!("{}.made", kind.name()));
        if done.exists() {
            continue;
        }
        let data = kind.data(folder);
        if data.exists() {
            fs::remove_dir_all(&data)?;
        }
        let began = clock::now();
        match kind {
            Kind::Ours => ours(folder, (series, days))?,
            Kind::Prometheus => prometheus(folder, (series, days))?,
            Kind::Victoria => victoria(program, folder, (series, days))?,
        }
        println!("{}: imported in {:.0} s", kind.name(), began.elapsed().as_secs_f64());
        fs::write(&done, "")?;
    }
    for kind in Kind::ALL {
        let bytes = size(&kind.data(folder))?;
        println!("{:<12} {:>6} MiB on the disk", kind.name(), bytes >> 20);
    }
    Ok(())
}

/// Imports into ours alone, if it has nothing yet; where it is.
pub(in crate::bench) fn only_ours(folder: &Path, made: (u32, u32)) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let done = folder.join(format!("{}.made", Kind::Ours.name()));
    let data = Kind::Ours.data(folder);
    if !done.exists() {
        if data.exists() {
            fs::remove_dir_all(&data)?;
        }
        ours(folder, made)?;
        fs::write(&done, "")?;
    }
    Ok(data)
}

/// As `highwater import` does with a file, without its text.
fn ours(folder: &Path, (series, days): (u32, u32)) -> anyhow::Result<()> {
    let data = Kind::Ours.data(folder);
    fs::create_dir_all(&data)?;
    let mut import = Import::open(&data)?;
    let readings = i64::from(days) * DAY_MS / CADENCE_MS;
    let fleet = fleet::fleet(series, END_MS - readings * CADENCE_MS);
    for (_, is_counter, courses) in fleet {
        let kind = if is_counter { MetricKind::Counter } else { MetricKind::Gauge };
        for mut course in courses {
            let id = import.series(&course.labels, kind, "")?;
            for number in 0..readings {
                let (at, value) = course.next(number);
                import.push(id, WallTime::from_millis(at), value)?;
            }
        }
    }
    import.finish(&mut |_| {})?;
    Ok(())
}

fn prometheus(folder: &Path, made: (u32, u32)) -> anyhow::Result<()> {
    let text = folder.join("piece.om");
    pieces(made, |fleet, span| {
        whole(&text, fleet, span)?;
        let mut promtool = Command::new("promtool");
        promtool.args(["tsdb", "create-blocks-from", "openmetrics"]);
        promtool.arg(format!("--max-block-duration={BLOCK_HOURS}h")).arg("--quiet");
        repo::succeed(promtool.arg(&text).arg(Kind::Prometheus.data(folder)))?;
        Ok(())
    })?;
    Ok(fs::remove_file(&text)?)
}

fn victoria(program: &Path, folder: &Path, made: (u32, u32)) -> anyhow::Result<()> {
    let text = folder.join("piece.om");
    let server = Server::start(Kind::Victoria, program, folder)?;
    pieces(made, |fleet, span| {
        whole(&text, fleet, span)?;
        server.post("/api/v1/import/prometheus", &text)?;
        Ok(())
    })?;
    server.get("/internal/force_flush")?;
    server.get("/internal/force_merge")?;
    // One that is told to end while it merges fails, and what it has in memory is lost.
    let mut calm = 0;
    let is_merged = || {
        calm = if merges(&server)? == Some(0) { calm + 1 } else { 0 };
        Ok((calm >= CALM).then_some(()))
    };
    clock::poll(MERGES_WITHIN, Duration::from_millis(100), is_merged)?
        .context("it still merges")?;
    server.end()?;
    Ok(fs::remove_file(&text)?)
}

/// How many merges that were asked for are under way.
fn merges(server: &Server) -> anyhow::Result<Option<u32>> {
    let (_, text) = server.get("/metrics")?;
    let text = String::from_utf8_lossy(&text);
    let count = text.lines().find_map(|line| line.strip_prefix("vm_active_force_merges "));
    Ok(count.and_then(|count| count.trim().parse().ok()))
}

/// Numbers of readings from the first to before the last.
type Span = (i64, i64);

/// Calls `take` with one stretch of time after the other, cut where blocks of Prometheus end; with
/// the courses as they are there, and the readings of the stretch.
fn pieces(
    (series, days): (u32, u32),
    mut take: impl FnMut(&mut Fleet, Span) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let readings = i64::from(days) * DAY_MS / CADENCE_MS;
    let first_ms = END_MS - readings * CADENCE_MS;
    let mut fleet = fleet::fleet(series, first_ms);
    let mut from = 0;
    while from < readings {
        let at = first_ms + from * CADENCE_MS;
        let ends = (at.div_euclid(BLOCK_MS) + 1) * BLOCK_MS;
        let to = readings.min((ends - first_ms) / CADENCE_MS);
        take(&mut fleet, (from, to))?;
        from = to;
    }
    Ok(())
}

/// Writes a stretch of all series.
fn piece(out: &mut impl Write, fleet: &mut Fleet, (from, to): Span) -> anyhow::Result<()> {
    for (metric, is_counter, courses) in fleet.iter_mut() {
        let family = if *is_counter { metric.trim_end_matches("_total") } else { *metric };
        // Buckets are typed by their histogram; by itself a bucket is of no type that has a name.
        let kind = match (*is_counter, metric.ends_with("_total")) {
            (true, true) => "counter",
            (true, false) => "unknown",
            (false, _) => "gauge",
        };
        writeln!(out, "# TYPE {family} {kind}")?;
        for course in courses {
            for number in from..to {
                let (at, value) = course.next(number);
                let (seconds, millis) = (at / 1000, at % 1000);
                writeln!(out, "{} {value} {seconds}.{millis:03}", course.name)?;
            }
        }
    }
    Ok(())
}

/// A file of OpenMetrics with a stretch of all series.
fn whole(text: &Path, fleet: &mut Fleet, span: Span) -> anyhow::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(text)?);
    piece(&mut out, fleet, span)?;
    writeln!(out, "# EOF")?;
    Ok(out.flush()?)
}

/// What a folder takes.
fn size(folder: &Path) -> io::Result<u64> {
    let mut all = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        all += if entry.file_type()?.is_dir() {
            size(&entry.path())?
        } else {
            entry.metadata()?.len()
        };
    }
    Ok(all)
}
