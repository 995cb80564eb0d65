//! What was gained.

use highwater_core::time::Span;
use highwater_core::units::Bytes;
use serde::Serialize;

use crate::view::paint::{BOLD, DIM, Page, YELLOW};

use super::figure::counted;
use super::{Moment, fact};

/// What was done.
#[derive(Debug, Serialize)]
pub(crate) struct Compacted {
    /// [`super::DOCUMENT`].
    pub(crate) schema: u32,
    /// The file.
    pub(crate) path: String,
    /// Before.
    pub(crate) before: Room,
    /// After.
    pub(crate) after: Room,
    /// The oldest moment on record before, and after.
    pub(crate) oldest_before: Option<Moment>,
    /// The oldest moment on record now.
    pub(crate) oldest_after: Option<Moment>,
    /// Steps that it took.
    pub(crate) steps: u64,
    /// How long it took.
    pub(crate) milliseconds: u64,
    /// What is to be said besides.
    pub(crate) notes: Vec<String>,
}

/// What the recording takes.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Room {
    /// The database.
    #[serde(rename = "database_bytes")]
    pub(crate) database: Bytes,
    /// The write-ahead log.
    #[serde(rename = "wal_bytes")]
    pub(crate) wal: Bytes,
    /// Pages of the database that hold nothing.
    #[serde(rename = "free_inside_bytes")]
    pub(crate) free_inside: Bytes,
}

impl Room {
    /// Both files.
    pub(crate) const fn all(self) -> Bytes {
        self.database.saturating_add(self.wal)
    }
}

/// The page.
pub(crate) fn page(page: Page, done: &Compacted) -> String {
    let (before, after) = (done.before.all(), done.after.all());
    let gained = match before.saturating_sub(after) {
        Bytes::ZERO => "there was no room to give back".to_owned(),
        gained => format!("{gained} given back"),
    };
    let mut out = page.item("", &format!("{}: {before} → {after}; {gained}.", done.path), BOLD);
    let room = |room: Room| {
        let Room { database, wal, free_inside } = room;
        format!("database {database} ({free_inside} of it free inside), log {wal}")
    };
    out += &fact(page, "before", &room(done.before));
    out += &fact(page, "after", &room(done.after));
    let oldest = match (done.oldest_before, done.oldest_after) {
        (_, None) => "no samples".to_owned(),
        (Some(before), Some(after)) if before < after => {
            format!(
                "{} (UTC); what was older, from {} on, is past its time",
                after.minute(),
                before.minute()
            )
        }
        (_, Some(after)) => format!("{} (UTC), as before", after.minute()),
    };
    out += &fact(page, "oldest", &oldest);
    let took = Span(std::time::Duration::from_millis(done.milliseconds));
    out += &page.item("  ", &format!("in {}, {took}", counted(done.steps, "step")), DIM);
    out + &done.notes.iter().map(|note| page.item("! ", note, YELLOW)).collect::<String>()
}

#[cfg(test)]
mod tests {
    use highwater_core::time::WallTime;

    use super::*;

    #[test]
    fn the_manual_shows_this_page() {
        let moment =
            |day: i64| Some(Moment(WallTime::from_millis(1_772_150_400_000 + day * 86_400_000)));
        let done = Compacted {
            schema: 1,
            path: "/var/lib/highwater/highwater.db".to_owned(),
            before: Room {
                database: Bytes::new(318_767_104),
                wal: Bytes::new(2_113_592),
                free_inside: Bytes::new(4_190_208),
            },
            after: Room {
                database: Bytes::new(241_172_480),
                wal: Bytes::ZERO,
                free_inside: Bytes::ZERO,
            },
            oldest_before: moment(-30),
            oldest_after: moment(-14),
            steps: 1_204,
            milliseconds: 5_300,
            notes: vec![],
        };
        let text = anstream::adapter::strip_str(&page(Page { width: 80 }, &done)).to_string();
        let manual = include_str!("../../../../../docs/manual/store.md");
        assert!(manual.contains(&text), "docs/manual/store.md should show:\n{text}");
        let nothing = Compacted { after: done.before, oldest_after: None, ..done };
        let text = page(Page { width: 120 }, &nothing);
        assert!(text.contains("there was no room to give back") && text.contains("no samples"));
    }
}
