//! `highwater store compact`: everything that is due, and room given back, now.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use highwater_agent::clock;
use highwater_agent::notice::Status;
use highwater_agent::place::{Place, PlaceError, holder};
use highwater_core::text::escape;
use highwater_core::units::Bytes;
use highwater_store::{FILE_NAME, Info, Keep, Maintained, Reader, Store, StoreError, Work};

use super::bar::Bar;
use super::info::tiers;
use super::place;
use super::place::Kept;
use crate::args::CompactArgs;
use crate::cmd::refusal;
use crate::view::store::compact::{Change, Compacted, Limits, Room};
use crate::view::store::overview::Tier;
use crate::view::store::{DOCUMENT, Moment, grouped};

/// Compacts the recording in `dir`.
pub(super) fn run(args: &CompactArgs, dir: &Path) -> anyhow::Result<Compacted> {
    let kept = place::narrowed(args, dir, Status::read(dir).as_ref())?;
    let before = look(dir)?;
    let place = claim(dir)?;
    let began = clock::now();
    let mut store = Store::open(dir)?;
    let mut told = Told::default();
    let mut bar = Bar::new();
    let settled = store.settle(began, &kept.keep, &mut |step| {
        told.add(step);
        bar.at(&said(step.work, told.steps), 0, 0);
    });
    bar.end();
    settled.context("what was done so far stays; run it again to go on")?;
    let path = escape(store.path().as_os_str().as_encoded_bytes()).into_owned();
    drop(store);
    let after = look(dir)?;
    let tiers = changes(&before, &after, &kept.keep);
    let mut notes = told.notes(&kept.keep);
    notes.extend(growth(&before.room, &after.room, &tiers));
    let oldest = |found: &Found| found.info.as_ref()?.oldest.map(Moment);
    let done = Compacted {
        schema: DOCUMENT,
        path,
        before: before.room,
        after: after.room,
        tiers,
        limits: limits(&kept),
        oldest_before: oldest(&before),
        oldest_after: oldest(&after),
        steps: told.steps,
        milliseconds: u64::try_from(clock::now().boot.since(began.boot).as_millis())
            .unwrap_or(u64::MAX),
        notes,
    };
    drop(place);
    Ok(done)
}

/// What there is at one moment.
struct Found {
    room: Room,
    /// `None` where it cannot be read before the file is brought up to date.
    info: Option<Info>,
}

/// Looks without changing anything: a directory without a recording is not made into one, and
/// opening it for writing would empty its log.
fn look(dir: &Path) -> anyhow::Result<Found> {
    let path = dir.join(FILE_NAME);
    let size = |path: &Path| Bytes::new(fs::metadata(path).map_or(0, |data| data.len()));
    let (database, wal) = (size(&path), size(&path.with_extension("db-wal")));
    let info = match Reader::open(dir).and_then(|reader| reader.info()) {
        Ok(info) => Some(info),
        Err(
            error @ (StoreError::Missing { .. } | StoreError::Empty { .. } | StoreError::Io { .. }),
        ) => return Err(refusal::of(dir, error)),
        // An earlier version is brought up to date; what else it is, the writer says.
        Err(_) => None,
    };
    let free_inside = info.as_ref().map(|info| Bytes::new(info.free_bytes));
    Ok(Found { room: Room { database, wal, free_inside }, info })
}

/// What each level of each tier takes, before and after, where that changed.
fn changes(before: &Found, after: &Found, keep: &Keep) -> Vec<Change> {
    let (Some(before), Some(after)) = (&before.info, &after.info) else { return vec![] };
    let (before, after) = (tiers(before, keep), tiers(after, keep));
    let bytes = |all: &[Tier], of: &Tier| {
        let same = all.iter().find(|tier| (tier.name, tier.form) == (of.name, of.form));
        same.map_or(Bytes::ZERO, |tier| tier.bytes)
    };
    let gone = before.iter().filter(|tier| bytes(&after, tier) == Bytes::ZERO);
    let all = gone.chain(&after).map(|tier| Change {
        name: tier.name,
        form: tier.form,
        before: bytes(&before, tier),
        after: bytes(&after, tier),
    });
    all.filter(|change| change.before != change.after).collect()
}

/// Why there is more than before, if there is.
fn growth(before: &Room, after: &Room, tiers: &[Change]) -> Option<String> {
    let more = after.all().saturating_sub(before.all());
    if more == Bytes::ZERO {
        return None;
    }
    let made = tiers.iter().any(|tier| tier.name != "raw" && tier.after > tier.before);
    let why = if made { ": buckets were made that are kept for longer" } else { "" };
    Some(format!("the file grew by {more}{why}"))
}

fn limits(kept: &Kept) -> Limits {
    Limits {
        keep: kept.keep.raw.as_secs(),
        keep_minutes: kept.keep.minute.as_secs(),
        keep_ten_minutes: kept.keep.ten_minutes.as_secs(),
        budget: kept.keep.budget,
        disk_floor: kept.keep.free_floor,
        from: kept.from.clone(),
    }
}

/// The directory, for as long as this takes.
fn claim(dir: &Path) -> anyhow::Result<Place> {
    Place::claim(dir).map_err(|error| match error {
        PlaceError::Taken { .. } => {
            let pid = holder(dir).map(|pid| format!(" (pid {pid})")).unwrap_or_default();
            if let Some(why) = refusal::unstored(dir, clock::now().wall) {
                return anyhow::anyhow!("an agent{pid} has {}: {why}", dir.display());
            }
            anyhow::anyhow!(
                "an agent{pid} is recording into {}, and compacts it by itself; to make room at \
                 once, set a smaller store.budget or store.keep in its configuration and send it \
                 SIGHUP, or stop it first",
                dir.display()
            )
        }
        PlaceError::Unusable { dir, cause } => anyhow::anyhow!(
            "cannot write into {}: {cause}; run this as the user who records, or as root",
            dir.display()
        ),
        other => anyhow::Error::new(other),
    })
}

/// What the steps told, all together.
#[derive(Debug, Default)]
struct Told {
    steps: u64,
    damaged: u64,
    early: bool,
}

impl Told {
    fn add(&mut self, step: Maintained) {
        self.steps = self.steps.saturating_add(u64::from(step.work != Work::Idle));
        let damaged = u64::try_from(step.damaged).unwrap_or(u64::MAX);
        self.damaged = self.damaged.saturating_add(damaged);
        self.early |= step.early;
    }

    fn notes(&self, kept: &Keep) -> Vec<String> {
        let damaged = (self.damaged > 0).then(|| {
            let count = grouped(self.damaged);
            let what = if self.damaged == 1 { "row or block was" } else { "rows or blocks were" };
            format!("{count} damaged {what} met, and what was in there is lost")
        });
        let early = self.early.then(|| {
            format!(
                "samples went before their time: all of it is to fit into {}, and {} of the disk \
                 are to stay free",
                kept.budget, kept.free_floor
            )
        });
        damaged.into_iter().chain(early).collect()
    }
}

fn said(work: Work, steps: u64) -> String {
    let what = match work {
        Work::Idle => "looking",
        Work::Sealed => "sealing",
        Work::Compacted => "compacting",
        Work::Forgot => "forgetting what is past its time",
        Work::GaveBack => "giving room back",
    };
    format!("{what}, step {}", grouped(steps))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_named() {
        let room =
            |mib| Room { database: Bytes::from_mib(mib), wal: Bytes::ZERO, free_inside: None };
        let change = |name, before, after| Change {
            name,
            form: "daily",
            before: Bytes::from_mib(before),
            after: Bytes::from_mib(after),
        };
        assert_eq!(growth(&room(5), &room(5), &[]), None);
        let made = growth(&room(5), &room(7), &[change("raw", 5, 4), change("1 min", 0, 3)]);
        assert_eq!(
            made.as_deref(),
            Some("the file grew by 2 MiB: buckets were made that are kept for longer")
        );
        let other = growth(&room(5), &room(7), &[change("raw", 5, 7)]);
        assert_eq!(other.as_deref(), Some("the file grew by 2 MiB"));
    }
}
