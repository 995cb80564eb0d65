//! Whether every row is as it was written, and what is lost where one is not.

use anstyle::Style;
use highwater_core::units::Bytes;
use serde::Serialize;

use crate::view::paint::{BOLD, DIM, GREEN, Page, RED, YELLOW, put};

use super::Stretch;
use super::figure::counted;

/// The most damaged rows on the page; the JSON has all that were kept apart.
const ROWS: usize = 20;

const LEFT_OUT: &str = "What is lost is left out of every answer; all else is answered as before.";

/// What was found.
#[derive(Debug, Serialize)]
pub(crate) struct Checked {
    /// [`super::DOCUMENT`].
    pub(crate) schema: u32,
    /// The file.
    pub(crate) path: String,
    /// Nothing that was read is damaged.
    pub(crate) whole: bool,
    /// All of it could be read, the log included.
    pub(crate) complete: bool,
    /// Rows that were read.
    pub(crate) rows: u64,
    /// What the database and its log take; `None` where that cannot be told.
    pub(crate) bytes: Option<Bytes>,
    /// Samples that were decoded.
    pub(crate) samples: u64,
    /// How many places are damaged.
    pub(crate) damaged: u64,
    /// Those places, as far as they are listed.
    pub(crate) damages: Vec<Damage>,
    /// What stands in the way of a complete answer.
    pub(crate) notes: Vec<String>,
}

/// One damaged place.
#[derive(Debug, Serialize)]
pub(crate) struct Damage {
    /// Where: `sheet 812`, `tick 17`, `the file`.
    pub(crate) place: String,
    /// What was found there.
    pub(crate) what: String,
    /// What is lost with it, where that is known.
    pub(crate) lost: Option<String>,
    /// The time that it was about.
    pub(crate) stretch: Option<Stretch>,
}

/// The page.
pub(crate) fn page(page: Page, checked: &Checked) -> String {
    let Checked { path, rows, bytes, samples, .. } = checked;
    let mut read = vec![counted(*rows, "row"), counted(*samples, "sample")];
    read.extend(bytes.map(|bytes| bytes.to_string()));
    let read = read.join(", ");
    let mut out = if checked.whole && !checked.complete {
        let text = format!("{path} is whole as far as it could be read: {read}.");
        page.item("", &text, YELLOW)
    } else if checked.whole {
        page.item("", &format!("{path} is whole: {read}, all as they were written."), GREEN)
    } else {
        let places = counted(checked.damaged, "place");
        page.item("", &format!("{path} is damaged in {places}."), RED)
            + &page.item("", &format!("Read: {read}. {LEFT_OUT}"), BOLD)
    };
    if !checked.damages.is_empty() {
        out += &page.head("Damage", "times are UTC, by the clock as it was");
    }
    for damage in checked.damages.iter().take(ROWS) {
        out += &lost(page, damage);
    }
    let listed = u64::try_from(checked.damages.len().min(ROWS)).unwrap_or(u64::MAX);
    if checked.damaged > listed {
        let more = counted(checked.damaged - listed, "more place");
        put(&mut out, &format!("  and {more} (--json has more)\n"));
    }
    if !checked.whole {
        out += &advice(page);
    }
    for note in &checked.notes {
        out += &page.item("! ", note, YELLOW);
    }
    out
}

fn lost(page: Page, damage: &Damage) -> String {
    let mut out = page.item("  • ", &format!("{}: {}", damage.place, damage.what), Style::new());
    let when = damage.stretch.map(|Stretch { from, to }| {
        let (from, to) = (from.second(), to.second());
        if from == to { format!(", of {from}") } else { format!(", from {from} to {to}") }
    });
    if let Some(lost) = &damage.lost {
        let text = format!("lost: {lost}{}", when.unwrap_or_default());
        out += &page.item("    ", &text, DIM);
    }
    out
}

/// What to do about it: the recording goes on by itself, the disk is to be doubted.
fn advice(page: Page) -> String {
    let mut out = page.head("What next", "");
    for text in [
        "The agent goes on: it leaves out what is damaged and records beside it. Nothing has to be done for that.",
        "A byte that changes by itself is the disk's or the memory's fault: look for I/O errors in the kernel's log (journalctl -k), and test both.",
        "Where the file as a whole cannot be read, the agent sets it aside at its next start and begins a new one.",
    ] {
        out += &page.item("  • ", text, Style::new());
    }
    out
}

#[cfg(test)]
mod tests {
    use highwater_core::time::WallTime;

    use super::*;

    fn checked(damages: Vec<Damage>, count: u64) -> Checked {
        Checked {
            schema: 1,
            path: "/var/lib/highwater/highwater.db".to_owned(),
            whole: count == 0,
            complete: true,
            rows: 128_410,
            bytes: Some(Bytes::new(320_880_696)),
            samples: 525_925_552,
            damaged: count,
            damages,
            notes: vec![],
        }
    }

    fn damage(place: &str, what: &str, lost: &str, hours: i64) -> Damage {
        let from = 1_772_150_400_000;
        let to = WallTime::from_millis(from + hours * 3_600_000);
        Damage {
            place: place.to_owned(),
            what: what.to_owned(),
            lost: Some(lost.to_owned()),
            stretch: Some(Stretch::new(WallTime::from_millis(from), to)),
        }
    }

    fn plain(checked: &Checked) -> String {
        anstream::adapter::strip_str(&page(Page { width: 80 }, checked)).to_string()
    }

    #[test]
    fn the_manual_shows_these_pages() {
        let manual = include_str!("../../../../../docs/manual/store.md");
        let block = "block 3: the checksum is wrong";
        let damages = vec![
            damage("sheet 81204", block, "one series of container_memory_usage_bytes", 24),
            damage(
                "tick 402917",
                "process: the checksum is wrong",
                "the group process of a reading",
                0,
            ),
        ];
        let texts = [checked(vec![], 0), checked(damages, 2)].map(|checked| plain(&checked));
        let missing: Vec<_> = texts.iter().filter(|text| !manual.contains(*text)).collect();
        assert!(missing.is_empty(), "docs/manual/store.md should show:\n{}", texts.join("=====\n"));
    }

    #[test]
    fn of_very_many_places_some_are_shown_and_all_are_counted() {
        let many = (0..30).map(|_| damage("sheet 1", "x", "y", 1)).collect();
        let text = plain(&checked(many, 1_030));
        assert_eq!(text.matches("sheet 1: x").count(), ROWS);
        assert!(text.contains("damaged in 1,030 places"), "{text}");
        assert!(text.contains("and 1,010 more places"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }
}
