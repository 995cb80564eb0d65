//! `highwater store info`: what is on record.

use std::path::Path;

use anyhow::Context as _;
use highwater_agent::clock;
use highwater_agent::notice::Status;
use highwater_core::text::escape;
use highwater_core::units::Bytes;
use highwater_linux::facts::HostFacts;
use highwater_linux::root::Root;
use highwater_store::{Info, Keep, Level, Reader};

use super::{place, recorder};
use crate::args::InfoArgs;
use crate::cmd::{history, refusal};
use crate::view::store::overview::{Boot, Events, Group, Overview, Size, State, Step, Tier};
use crate::view::store::{DOCUMENT, Moment, Stretch};

/// Everything that is told of the recording in `dir`.
pub(super) fn gather(args: &InfoArgs, dir: &Path) -> anyhow::Result<Overview> {
    let status = Status::read(dir);
    let reader = super::opened(dir)?;
    let kept = place::kept_or_usual(dir, args.config.as_deref(), status.as_ref())?;
    let last = reader.last_tick()?;
    let info = reader.info()?;
    let clock = reader.clock_steps()?.into_iter().map(|step| Step {
        at: Moment(step.at),
        by_ms: step.by_ms,
        boot: step.boot_id.to_string(),
    });
    let events = reader.event_kinds()?.into_iter().map(|events| Events {
        kind: escape(events.kind.as_bytes()).into_owned(),
        count: events.count,
        bytes: Bytes::new(events.bytes),
        stretch: Some(Stretch::new(events.oldest, events.newest)),
    });
    let (clock, events) = (clock.collect(), events.collect());
    let (boots, groups) = (boots(&reader)?, groups(&reader, &info)?);
    let overview = Overview {
        schema: DOCUMENT,
        path: escape(info.path.as_os_str().as_encoded_bytes()).into_owned(),
        store_schema: info.schema,
        now: Moment(clock::now().wall),
        history: covered(&info),
        recorder: recorder::of(dir, status.as_ref(), last, kept.every),
        size: Size {
            database: Bytes::new(info.database_bytes),
            wal: Bytes::new(info.wal_bytes),
            free_inside: Bytes::new(info.free_bytes),
            budget: Some(kept.keep.budget),
            disk_free: disk_free(dir),
            disk_floor: Some(kept.keep.free_floor),
        },
        tiers: tiers(&info, &kept.keep),
        limits_from: kept.from,
        groups,
        boots,
        clock,
        events,
        notes: history::left_out(&reader, &[]).into_iter().chain(kept.note).collect(),
        option: refusal::option(dir),
    };
    Ok(if reader.is_imported() { imported(overview) } else { overview })
}

/// What was imported has no recorder and no limits.
fn imported(mut overview: Overview) -> Overview {
    overview.recorder.state = State::Imported;
    (overview.size.budget, overview.size.disk_floor) = (None, None);
    overview.tiers.iter_mut().for_each(|tier| tier.keep_seconds = None);
    "nobody: what was imported is kept for good".clone_into(&mut overview.limits_from);
    overview
}

/// From the oldest moment to the newest reading. A bucket's moment is its end, which may be still
/// to come, so buckets count only where there are no readings.
pub(super) fn covered(info: &Info) -> Option<Stretch> {
    let raw = info.levels.iter().filter(|level| level.tier == 0);
    let newest = raw.map(|level| level.newest).max().or(info.newest);
    info.oldest.zip(newest).map(|(from, to)| Stretch::new(from.min(to), to))
}

/// What the file system has left for the recorder.
fn disk_free(dir: &Path) -> Option<Bytes> {
    let room = rustix::fs::statvfs(dir).ok()?;
    Some(Bytes::new(room.f_bavail.saturating_mul(room.f_frsize)))
}

/// How a tier and a level are called.
const fn names(level: &Level) -> (&'static str, &'static str) {
    let tier = match level.tier {
        0 => "raw",
        60 => "1 min",
        600 => "10 min",
        _ => "other",
    };
    let form = match level.level {
        None => "fresh",
        Some(0) => "sealed",
        Some(_) => "daily",
    };
    (tier, form)
}

/// All groups of a level together; raw first, newest form first.
pub(super) fn tiers(info: &Info, kept: &Keep) -> Vec<Tier> {
    let mut tiers: Vec<Tier> = Vec::new();
    for level in &info.levels {
        let (tier, form) = names(level);
        let stretch = Stretch::new(level.oldest, level.newest);
        let known = tiers.iter_mut().find(|known| (known.name, known.form) == (tier, form));
        if let Some(known) = known {
            known.rows = known.rows.saturating_add(level.batches);
            known.samples = sum(known.samples, level.samples);
            known.bytes = known.bytes.saturating_add(Bytes::new(level.bytes));
            known.stretch = known.stretch.map(|known| Stretch {
                from: known.from.min(stretch.from),
                to: known.to.max(stretch.to),
            });
            continue;
        }
        let keep = match level.tier {
            0 => Some(kept.raw),
            60 => Some(kept.minute),
            600 => Some(kept.ten_minutes),
            _ => None,
        };
        tiers.push(Tier {
            name: tier,
            form,
            stretch: Some(stretch),
            rows: level.batches,
            samples: level.samples,
            bytes: Bytes::new(level.bytes),
            keep_seconds: keep.map(|keep| keep.as_secs()),
        });
    }
    tiers.sort_by_key(|tier| {
        ["raw fresh", "raw sealed", "raw daily", "1 min daily", "10 min daily"]
            .iter()
            .position(|name| *name == format!("{} {}", tier.name, tier.form))
            .unwrap_or(usize::MAX)
    });
    tiers
}

/// Both, where both are counted.
fn sum(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.zip(other).map(|(one, other)| one.saturating_add(other))
}

fn groups(reader: &Reader, info: &Info) -> anyhow::Result<Vec<Group>> {
    let tallies = reader.groups().context("cannot count what is recorded")?;
    let group = |tally: highwater_store::GroupTally| {
        let levels = || info.levels.iter().filter(|level| level.group == tally.group);
        Group {
            name: tally.group.name().to_owned(),
            entities: tally.entities,
            facts: Bytes::new(tally.facts_bytes),
            metrics: tally.metrics,
            series: tally.series,
            samples: levels().filter_map(|level| level.samples).reduce(u64::saturating_add),
            sealed: levels().filter(|level| level.samples.is_some()).map(bytes).sum(),
            bytes: levels().map(bytes).sum(),
        }
    };
    Ok(tallies.into_iter().map(group).collect())
}

fn bytes(level: &Level) -> Bytes {
    Bytes::new(level.bytes)
}

fn boots(reader: &Reader) -> anyhow::Result<Vec<Boot>> {
    let now = HostFacts::read(&Root::live()).boot_id;
    let boots = reader.boots()?.into_iter().map(|boot| Boot {
        id: boot.id.to_string(),
        first: Moment(boot.first),
        current: now == Some(boot.id),
    });
    Ok(boots.collect())
}
