//! What witnesses said: as the agent recorded it, or as logs tell.

use std::collections::HashSet;

use highwater_core::event::{Happening, Presence, Sight};
use highwater_core::testimony::Witness;
use highwater_core::time::WallTime;
use highwater_diagnose::inquest::{Heard, Pause, with_pauses};
use highwater_store::{EventFilter, Reader, StoredEvent};

use super::pauses;

/// Changes of who listens: one for each start of the agent, and a few besides.
const MOST_SIGHTS: usize = 1_000;

/// Testimonies, and who could have given any.
#[derive(Debug, Default)]
pub(crate) struct Testified {
    /// What was said, oldest first.
    pub(crate) heard: Vec<Heard>,
    /// Who listened from when on, oldest first.
    pub(crate) sights: Vec<(WallTime, Sight)>,
    /// When nobody did, oldest first.
    pub(crate) pauses: Vec<Pause>,
    /// There is more than was read: only what was said from then on counts.
    pub(crate) cut_before: Option<WallTime>,
    /// By which the recorded testimonies of the kernel's log are known again.
    pub(crate) keys: HashSet<String>,
}

/// The newest `most` testimonies on record.
pub(crate) fn on_record(reader: &Reader, most: usize) -> anyhow::Result<Testified> {
    let mut told = Testified::default();
    let sights =
        EventFilter { kind: Some("sight"), limit: Some(MOST_SIGHTS), ..EventFilter::default() };
    for stored in reader.events(&sights)? {
        if let Happening::Sight(sight) = stored.event.what {
            told.sights.push((stored.event.wall, sight));
        }
    }
    let events = newest(reader, most)?;
    if events.len() >= most {
        told.cut_before = events.first().map(|stored| stored.event.wall);
    }
    for stored in events {
        let event = stored.event;
        let Happening::Testimony(testimony) = event.what else { continue };
        if event.key.starts_with("kmsg:") {
            told.keys.insert(event.key);
        }
        told.heard.push(Heard {
            wall: Some(event.wall),
            boot: event.boot,
            boot_id: Some(event.boot_id),
            testimony: *testimony,
        });
    }
    told.pauses = pauses::on_record(reader, &told.heard)?;
    told.sights = with_pauses(&told.sights, &told.pauses);
    Ok(told)
}

/// The newest testimonies, page by page, oldest first.
fn newest(reader: &Reader, most: usize) -> anyhow::Result<Vec<StoredEvent>> {
    let mut pages: Vec<Vec<StoredEvent>> = Vec::new();
    let mut rows = HashSet::new();
    let mut until = None;
    while rows.len() < most {
        let limit = EventFilter::MOST.min(most - rows.len());
        let filter = EventFilter {
            kind: Some("testimony"),
            limit: Some(limit),
            until,
            ..EventFilter::default()
        };
        let mut page = reader.events(&filter)?;
        let is_last = page.len() < limit;
        // The pages meet in one moment, whose events may be in both.
        page.retain(|stored| rows.insert(stored.row));
        let is_stuck = page.is_empty();
        until = page.first().map(|stored| stored.event.wall);
        pages.push(page);
        if is_last || is_stuck {
            break;
        }
    }
    Ok(pages.into_iter().rev().flatten().collect())
}

/// What a log can hold at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holds {
    /// Lines of the kernel's.
    pub(crate) kernel: bool,
    /// Lines of systemd's and of other programs.
    pub(crate) programs: bool,
}

impl Holds {
    /// Both.
    pub(crate) const fn or(self, other: Self) -> Self {
        Self { kernel: self.kernel || other.kernel, programs: self.programs || other.programs }
    }

    /// Who was to be heard in such a log.
    pub(crate) fn sight(self) -> Sight {
        let absent = |witness: Witness| match witness {
            Witness::Kmsg if self.kernel => None,
            Witness::Kmsg => Some("no line of the kernel's is in this log: dmesg, journalctl -k"),
            Witness::Journal if self.programs => None,
            Witness::Journal => {
                Some("only the kernel's lines are in this log: journalctl -o json has systemd's")
            }
            _ => Some("a log does not hold this: highwater agent records it"),
        };
        let witnesses = Witness::ALL
            .map(|witness| Presence { witness, absent: absent(witness).map(str::to_owned) });
        Sight { witnesses: witnesses.to_vec() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dmesg_has_no_journal_and_no_log_has_a_sender() {
        let dmesg = Holds { kernel: true, programs: false }.sight();
        assert_eq!(dmesg.hears(Witness::Kmsg), Some(true));
        assert_eq!(dmesg.hears(Witness::Journal), Some(false));
        assert_eq!(dmesg.hears(Witness::Signals), Some(false));
        let both = Holds { kernel: true, programs: false }
            .or(Holds { kernel: false, programs: true })
            .sight();
        assert_eq!(both.hears(Witness::Journal), Some(true));
    }
}
