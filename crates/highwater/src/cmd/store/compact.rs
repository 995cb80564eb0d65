//! `highwater store compact`: everything that is due, and room given back, now.

use std::path::Path;

use anyhow::Context as _;
use highwater_agent::clock;
use highwater_agent::config;
use highwater_agent::place::{Place, PlaceError};
use highwater_core::text::escape;
use highwater_store::{Keep, Maintained, Reader, Size, Store, Work};

use super::bar::Bar;
use super::{place, recorder};
use crate::args::CompactArgs;
use crate::view::store::compact::{Compacted, Room};
use crate::view::store::{DOCUMENT, Moment, grouped};

/// Compacts the recording in `dir`.
pub(super) fn run(args: &CompactArgs, dir: &Path) -> anyhow::Result<Compacted> {
    let kept = place::narrowed(args)?;
    // A directory without a recording is not made into one.
    std::fs::metadata(dir.join(highwater_store::FILE_NAME)).with_context(|| {
        format!("no recording in {}: name its directory with --data-dir", dir.display())
    })?;
    let place = claim(dir)?;
    let began = clock::now();
    let oldest_before = oldest(dir);
    let mut store = Store::open(dir)?;
    let before = room(store.size()?);
    let mut told = Told::default();
    let mut bar = Bar::new();
    let settled = store.settle(began, &keep(&kept), &mut |step| {
        told.add(step);
        bar.at(&said(step.work, told.steps), 0, 0);
    });
    bar.end();
    settled.context("what was done so far stays; run it again to go on")?;
    let after = room(store.size()?);
    let path = escape(store.path().as_os_str().as_encoded_bytes()).into_owned();
    drop(store);
    let done = Compacted {
        schema: DOCUMENT,
        path,
        before,
        after,
        oldest_before,
        oldest_after: oldest(dir),
        steps: told.steps,
        milliseconds: u64::try_from(clock::now().boot.since(began.boot).as_millis())
            .unwrap_or(u64::MAX),
        notes: told.notes(&kept),
    };
    drop(place);
    Ok(done)
}

/// The directory, for as long as this takes.
fn claim(dir: &Path) -> anyhow::Result<Place> {
    Place::claim(dir).map_err(|error| match error {
        PlaceError::Taken { .. } => {
            let pid = recorder::holder(dir).map(|pid| format!(" (pid {pid})")).unwrap_or_default();
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

/// The oldest moment on record; `None` where there is none, or where it cannot be read before the
/// file is brought up to date.
fn oldest(dir: &Path) -> Option<Moment> {
    Reader::open(dir).and_then(|reader| reader.info()).ok()?.oldest.map(Moment)
}

fn keep(kept: &config::Store) -> Keep {
    Keep {
        raw: kept.keep,
        minute: kept.keep_minutes,
        ten_minutes: kept.keep_ten_minutes,
        budget: kept.budget,
        free_floor: kept.free_floor,
    }
}

fn room(size: Size) -> Room {
    Room { database: size.database, wal: size.wal, free_inside: size.free_inside }
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

    fn notes(&self, kept: &config::Store) -> Vec<String> {
        let damaged = (self.damaged > 0).then(|| {
            let count = grouped(self.damaged);
            format!("{count} damaged rows or blocks were met, and what they held is lost")
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
