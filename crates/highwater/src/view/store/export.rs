//! What was written, and how to ask it.

use highwater_core::units::Bytes;
use serde::Serialize;

use crate::view::paint::{BOLD, DIM, Page, YELLOW, put};

use super::figure::counted;
use super::{Stretch, fact};

/// What was written.
#[derive(Debug, Serialize)]
pub(crate) struct Exported {
    /// [`super::DOCUMENT`].
    pub(crate) schema: u32,
    /// The recording.
    pub(crate) from: String,
    /// The file that was written.
    pub(crate) file: String,
    /// What it takes.
    pub(crate) bytes: Bytes,
    /// Samples stand in ordinary rows.
    pub(crate) plain: bool,
    /// Rows that were written; of a plain export.
    pub(crate) samples: Option<u64>,
    /// Series that they belong to; of a plain export.
    pub(crate) series: Option<u64>,
    /// Events; of a plain export.
    pub(crate) events: Option<u64>,
    /// The oldest and the newest moment in it.
    pub(crate) stretch: Option<Stretch>,
    /// Commands that read it, ready to be copied.
    pub(crate) next: Vec<String>,
    /// What is to be said besides.
    pub(crate) notes: Vec<String>,
}

/// The page.
pub(crate) fn page(page: Page, done: &Exported) -> String {
    let what = if done.plain { "plain rows" } else { "a whole copy" };
    let mut out = page.item("", &format!("Wrote {}: {what}, {}.", done.file, done.bytes), BOLD);
    let counts = [(done.samples, "sample"), (done.series, "series"), (done.events, "event")];
    let counts = counts.iter().filter_map(|(count, what)| match *what {
        "series" => count.map(|count| format!("{} series", super::figure::grouped(count))),
        what => count.map(|count| counted(count, what)),
    });
    let counts: Vec<String> = counts.collect();
    if !counts.is_empty() {
        out += &fact(page, "rows", &counts.join(" · "));
    }
    match done.stretch {
        Some(Stretch { from, to }) => {
            out += &fact(page, "covers", &format!("{} to {} (UTC)", from.second(), to.second()));
        }
        None => out += &fact(page, "covers", "no samples"),
    }
    out += &page.head("Ask it", "");
    // Never wrapped: they are there to be copied.
    for command in &done.next {
        put(&mut out, &format!("  {}\n", Page::paint(DIM, command)));
    }
    out + &done.notes.iter().map(|note| page.item("! ", note, YELLOW)).collect::<String>()
}

#[cfg(test)]
mod tests {
    use highwater_core::time::WallTime;

    use super::*;

    #[test]
    fn commands_stay_whole_and_what_is_not_known_is_left_out() {
        let mut done = Exported {
            schema: 1,
            from: "/var/lib/highwater/highwater.db".to_owned(),
            file: "x.db".to_owned(),
            bytes: Bytes::from_mib(3),
            plain: true,
            samples: Some(1_234_567),
            series: Some(1),
            events: Some(1),
            stretch: Some(Stretch::new(WallTime::from_millis(0), WallTime::from_millis(60_000))),
            next: vec!["x ".repeat(100)],
            notes: vec!["odd".to_owned()],
        };
        let text = anstream::adapter::strip_str(&page(Page { width: 60 }, &done)).to_string();
        assert!(text.contains(&"x ".repeat(100)), "{text}");
        assert!(text.contains("1,234,567 samples · 1 series · 1 event\n"), "{text}");
        assert!(text.contains("1970-01-01 00:00:00 to 1970-01-01 00:01:00"), "{text}");
        assert!(text.contains("! odd"), "{text}");
        (done.samples, done.series, done.events) = (None, None, None);
        let text = page(Page { width: 60 }, &done);
        assert!(!text.contains("rows  "), "{text}");
    }
}
