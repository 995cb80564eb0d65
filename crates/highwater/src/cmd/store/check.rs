//! `highwater store check`: whether every row is as it was written.

use std::path::Path;

use highwater_core::text::escape;
use highwater_core::units::Bytes;
use highwater_store::DamagedRow;

use super::bar::Bar;
use crate::view::store::check::{Checked, Damage};
use crate::view::store::{DOCUMENT, Stretch};

/// Checks the recording in `dir`.
pub(super) fn run(dir: &Path) -> anyhow::Result<Checked> {
    let reader = super::opened(dir)?;
    let info = reader.info().ok();
    // What is said of a history that was only just opened is that its log was out of reach.
    let log = info.as_ref().is_some_and(|info| info.wal_bytes > 0);
    let complete = !log || reader.caveats().is_empty();
    let mut bar = Bar::new();
    let report = reader.check(&mut |at| bar.at(&format!("checking {}", at.doing), at.done, at.all));
    bar.end();
    let report = report?;
    let size = info.map(|info| info.database_bytes.saturating_add(info.wal_bytes));
    let pages = report.structure.iter().map(|finding| Damage {
        place: "pages".to_owned(),
        what: plain(finding),
        lost: None,
        stretch: None,
    });
    let damages: Vec<Damage> = pages.chain(report.damaged.iter().map(damage)).collect();
    let listed = u64::try_from(damages.len()).unwrap_or(u64::MAX);
    Ok(Checked {
        schema: DOCUMENT,
        path: plain(reader.path()),
        whole: report.is_whole(),
        complete,
        rows: report.rows,
        bytes: size.map(Bytes::new),
        samples: report.samples,
        damaged: listed.saturating_add(report.more_damaged),
        damages,
        notes: reader.caveats().iter().map(plain).collect(),
    })
}

fn damage(row: &DamagedRow) -> Damage {
    Damage {
        place: format!("{} {}", row.table, row.id),
        what: plain(&row.what),
        lost: Some(plain(&row.lost)),
        stretch: row.when.map(|(from, to)| Stretch::new(from, to)),
    }
}

/// A text without what could mislead a terminal.
fn plain(text: impl AsRef<std::ffi::OsStr>) -> String {
    escape(text.as_ref().as_encoded_bytes()).into_owned()
}
