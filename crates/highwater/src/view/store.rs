//! What the commands about the recording show, and the documents they print as JSON.

pub(crate) mod check;
pub(crate) mod compact;
pub(crate) mod export;
mod figure;
pub(crate) mod info;
pub(crate) mod overview;

use highwater_core::time::WallTime;
use serde::{Serialize, Serializer};

pub(crate) use figure::{ago, grouped};

use super::paint::Page;
use super::wrap;

/// The version of the documents: a key is added without, dropped or changed only with a new one.
pub(crate) const DOCUMENT: u32 = 1;

/// A stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Stretch {
    /// Its first moment.
    pub(crate) from: Moment,
    /// Its last moment.
    pub(crate) to: Moment,
}

impl Stretch {
    /// From the one to the other.
    pub(crate) const fn new(from: WallTime, to: WallTime) -> Self {
        Self { from: Moment(from), to: Moment(to) }
    }

    /// How long it is.
    pub(crate) fn length(self) -> std::time::Duration {
        self.to.0.since(self.from.0)
    }
}

/// A moment; in JSON as RFC 3339, on a page to the minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(pub(crate) WallTime);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl Moment {
    /// `2026-11-20 08:00`, in UTC.
    pub(crate) fn minute(self) -> String {
        self.cut(16)
    }

    /// `2026-11-20 08:00:31`, in UTC.
    pub(crate) fn second(self) -> String {
        self.cut(19)
    }

    fn cut(self, length: usize) -> String {
        self.0.to_string().replace('T', " ").chars().take(length).collect()
    }
}

/// A line of a section: a name, and what there is to say of it, in as many lines as that takes.
fn fact(page: Page, name: &str, text: &str) -> String {
    page.item(&format!("  {} ", wrap::left(name, NAME)), text, anstyle::Style::new())
}

/// The column of names.
const NAME: usize = 10;
