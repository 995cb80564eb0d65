//! A month of made owners, imported as a file of OpenMetrics would be.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use highwater_core::metric::MetricKind;
use highwater_core::series::{Labels, NAME};
use highwater_core::time::WallTime;
use highwater_store::{Import, SeriesId};

use super::course::{Fate, Owner, fate};

/// The first moment: 2026-01-01.
const BEGIN: WallTime = WallTime::from_millis(1_767_225_600_000);

/// A scrape every five minutes.
const EVERY: Duration = Duration::from_mins(5);
const SCRAPES_A_DAY: u32 = 288;

/// One scrape in so many fails.
const FAILS: u32 = 211;

/// What was made.
pub(super) struct Made {
    /// Owners that leak, and what of.
    pub(super) leaks: BTreeSet<(String, String)>,
}

/// Makes the history in `dir`, unless it is there.
pub(super) fn history(dir: &Path, (owners, days): (u32, u32), apart: bool) -> anyhow::Result<Made> {
    let done = dir.join("made");
    if !done.exists() {
        if dir.exists() {
            fs::remove_dir_all(dir)?;
        }
        fs::create_dir_all(dir)?;
        let mut import = Import::open(dir)?;
        machine(&mut import, days)?;
        for number in 0..owners {
            owner(&mut import, number, days, apart)?;
        }
        import.finish(&mut |_| {})?;
        fs::write(&done, "").context("cannot note that the history is made")?;
    }
    let leak = |number: u32| match fate(number) {
        Fate::Leak => Some((name(number), "anon".to_owned())),
        Fate::FdLeak => Some((name(number), "fds".to_owned())),
        _ => None,
    };
    Ok(Made { leaks: (0..owners).filter_map(leak).collect() })
}

fn name(number: u32) -> String {
    // Letters at the end: these are no replicas of each other.
    let letter = |place: u32| {
        let at = number / 26_u32.pow(place) % 26;
        u8::try_from(at).map_or('a', |at| char::from(b'a' + at))
    };
    (0..4).map(letter).chain("-service".chars()).collect()
}

fn machine(import: &mut Import, days: u32) -> anyhow::Result<()> {
    const TOTAL: f64 = 8e12;
    let gauge = |import: &mut Import, metric: &str| {
        let labels = Labels::new([(NAME, metric), ("instance", "node:9100")]);
        import.series(&labels, MetricKind::Gauge, "")
    };
    let total = gauge(import, "node_memory_MemTotal_bytes")?;
    let available = gauge(import, "node_memory_MemAvailable_bytes")?;
    for scrape in 0..days * SCRAPES_A_DAY {
        let at = BEGIN.after(EVERY * scrape);
        import.push(total, at, TOTAL)?;
        import.push(available, at, TOTAL / 2.0)?;
    }
    Ok(())
}

/// The series of one owner.
struct Series {
    anon: SeriesId,
    cache: SeriesId,
    set: SeriesId,
    limit: SeriesId,
    start: SeriesId,
    counts: Option<(SeriesId, SeriesId)>,
}

impl Series {
    fn of(import: &mut Import, number: u32) -> anyhow::Result<Self> {
        let (name, id) = (name(number), format!("/docker/{number:064x}"));
        let mut series = |metric: &str| {
            let labels = [("name", name.as_str()), ("id", &id), ("image", "registry/app:1")];
            let labels = Labels::new(labels.into_iter().chain([(NAME, metric)]));
            import.series(&labels, MetricKind::Gauge, "")
        };
        Ok(Self {
            anon: series("container_memory_rss")?,
            cache: series("container_memory_cache")?,
            set: series("container_memory_working_set_bytes")?,
            limit: series("container_spec_memory_limit_bytes")?,
            start: series("container_start_time_seconds")?,
            counts: match number % 3 {
                0 => Some((series("process_open_fds")?, series("process_threads")?)),
                _ => None,
            },
        })
    }
}

fn owner(import: &mut Import, number: u32, days: u32, apart: bool) -> anyhow::Result<()> {
    const DAY: f64 = 86_400.0;
    let series = Series::of(import, number)?;
    let mut owner = Owner::new(number);
    let limit = owner.limit(number);
    let own = Duration::from_millis(u64::from(number.wrapping_mul(7919) % 290_000));
    for scrape in 0..days * SCRAPES_A_DAY {
        let whole = EVERY * scrape;
        let sample = owner.sample(whole.as_secs_f64() / DAY);
        if (scrape.wrapping_mul(31).wrapping_add(number)).is_multiple_of(FAILS) {
            continue;
        }
        // A scraper keeps no exact time either.
        let jitter = Duration::from_millis(u64::from(scrape.wrapping_mul(7) % 23));
        let at = BEGIN.after(whole).after(if apart { own + jitter } else { Duration::ZERO });
        import.push(series.anon, at, sample.anon)?;
        import.push(series.cache, at, sample.cache)?;
        import.push(series.set, at, sample.set)?;
        import.push(series.limit, at, limit)?;
        let start = BEGIN.millis() / 1000;
        let start = f64::from(u32::try_from(start).unwrap_or(0)) + sample.begun * DAY;
        import.push(series.start, at, start.floor())?;
        if let Some((fds, threads)) = series.counts {
            import.push(fds, at, sample.fds)?;
            import.push(threads, at, sample.threads)?;
        }
    }
    Ok(())
}
