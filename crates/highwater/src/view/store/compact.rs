//! What was gained.

use highwater_core::time::Span;
use highwater_core::units::Bytes;
use serde::Serialize;

use crate::view::paint::{BOLD, DIM, Page, YELLOW};

use super::figure::{counted, span};
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
    /// What changed, one for each level of each tier.
    pub(crate) tiers: Vec<Change>,
    /// What it kept to.
    pub(crate) limits: Limits,
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

/// What samples of one resolution take, in one form.
#[derive(Debug, Serialize)]
pub(crate) struct Change {
    /// `raw`, `1 min`, `10 min`.
    #[serde(rename = "tier")]
    pub(crate) name: &'static str,
    /// `fresh`, `sealed`, `daily`.
    pub(crate) form: &'static str,
    /// Before.
    #[serde(rename = "before_bytes")]
    pub(crate) before: Bytes,
    /// After.
    #[serde(rename = "after_bytes")]
    pub(crate) after: Bytes,
}

/// The limits that were kept to.
#[derive(Debug, Serialize)]
pub(crate) struct Limits {
    /// How long readings are kept as they were taken.
    #[serde(rename = "keep_seconds")]
    pub(crate) keep: u64,
    /// How long by the minute.
    #[serde(rename = "keep_minutes_seconds")]
    pub(crate) keep_minutes: u64,
    /// How long by ten minutes.
    #[serde(rename = "keep_ten_minutes_seconds")]
    pub(crate) keep_ten_minutes: u64,
    /// What all of it may take.
    #[serde(rename = "budget_bytes")]
    pub(crate) budget: Bytes,
    /// What is left free of the file system.
    #[serde(rename = "disk_floor_bytes")]
    pub(crate) disk_floor: Bytes,
    /// Where they are from.
    pub(crate) from: String,
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
    /// Pages of the database that hold nothing; `None` where that could not be read.
    #[serde(rename = "free_inside_bytes")]
    pub(crate) free_inside: Option<Bytes>,
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
        let free = free_inside.map(|free| format!(" ({free} of it free inside)"));
        format!("database {database}{}, log {wal}", free.unwrap_or_default())
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
    let changes = done.tiers.iter().map(|Change { name, form, before, after }| {
        let form = if *name == "raw" { format!(" {form}") } else { String::new() };
        format!("{name}{form} {before} → {after}")
    });
    let changes: Vec<String> = changes.collect();
    let made = if changes.is_empty() { "nothing was due".to_owned() } else { changes.join(" · ") };
    out += &fact(page, "made", &made);
    out += &fact(page, "limits", &limits(&done.limits));
    let took = Span(std::time::Duration::from_millis(done.milliseconds));
    out += &page.item("  ", &format!("in {}, {took}", counted(done.steps, "step")), DIM);
    out + &done.notes.iter().map(|note| page.item("! ", note, YELLOW)).collect::<String>()
}

fn limits(limits: &Limits) -> String {
    let Limits { keep, keep_minutes, keep_ten_minutes, budget, disk_floor, from } = limits;
    let length = |seconds: &u64| span(std::time::Duration::from_secs(*seconds));
    format!(
        "raw {} · 1 min {} · 10 min {} · {budget} in all, {disk_floor} of the disk left free; \
         these are of {from}",
        length(keep),
        length(keep_minutes),
        length(keep_ten_minutes)
    )
}

#[cfg(test)]
mod tests {
    use highwater_core::time::WallTime;

    use super::*;

    #[test]
    fn the_manual_shows_this_page() {
        let moment =
            |day: i64| Some(Moment(WallTime::from_millis(1_772_150_400_000 + day * 86_400_000)));
        let change = |name, form, before, after| Change {
            name,
            form,
            before: Bytes::new(before),
            after: Bytes::new(after),
        };
        let done = Compacted {
            schema: 1,
            path: "/var/lib/highwater/highwater.db".to_owned(),
            before: Room {
                database: Bytes::new(318_767_104),
                wal: Bytes::new(2_113_592),
                free_inside: Some(Bytes::new(4_190_208)),
            },
            after: Room {
                database: Bytes::new(241_172_480),
                wal: Bytes::ZERO,
                free_inside: Some(Bytes::ZERO),
            },
            tiers: vec![
                change("raw", "fresh", 1_402_880, 0),
                change("raw", "daily", 218_103_808, 139_392_182),
                change("1 min", "daily", 67_108_864, 73_400_320),
            ],
            limits: Limits {
                keep: 14 * 86_400,
                keep_minutes: 30 * 86_400,
                keep_ten_minutes: 400 * 86_400,
                budget: Bytes::from_mib(2048),
                disk_floor: Bytes::from_mib(512),
                from: "the agent's last run, by the defaults, and the command line".to_owned(),
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
        let nothing = Compacted { after: done.before, oldest_after: None, tiers: vec![], ..done };
        let text = page(Page { width: 120 }, &nothing);
        assert!(text.contains("there was no room to give back") && text.contains("no samples"));
        assert!(text.contains("nothing was due"), "{text}");
    }
}
