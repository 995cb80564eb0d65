//! Lines that mean something only inside an episode: rows of the table, entries of the statistics,
//! caches, allocations, candidates.

use std::collections::hash_map::Entry;

use highwater_core::line::LogLine;

use super::{Block, Episode, TASKS, cite, push};
use crate::memcg::{self, Entry as Stat};
use crate::report::{Candidate, LineNumber, Task};
use crate::userspace::CandidatePart;
use crate::{holders, table};

/// So many rows of a table without a header are kept until its end.
const HEADLESS: usize = TASKS;

/// The longest row of a table without a header: the columns take 110 bytes, a name 15.
const HEADLESS_BYTES: usize = 256;

impl Episode {
    /// A row or an entry.
    pub(crate) fn take_inner(&mut self, line: &LogLine<'_>, text: &[u8]) -> bool {
        let row = text.trim_ascii();
        let taken = match &self.columns {
            Some(columns) if table::is_row(row) => {
                let read = table::row(columns, row, line.number);
                self.take_row(read, line.number);
                true
            }
            None if self.is_headless(row) => {
                self.headless.push((line.number, row.to_vec()));
                true
            }
            _ => self.take_entry(row, line.number),
        };
        if taken {
            self.keep(line, text);
        }
        taken
    }

    fn is_headless(&self, row: &[u8]) -> bool {
        self.report.kills.is_empty()
            && row.len() <= HEADLESS_BYTES
            && self.headless.len() < HEADLESS
            && table::is_headless_row(row)
    }

    /// The rows of a table without a header, once it is over.
    pub(super) fn take_headless(&mut self) {
        let rows = std::mem::take(&mut self.headless);
        let Some((first, _)) = rows.first() else { return };
        let first = *first;
        let columns = table::columns_of(rows.iter().map(|(_, row)| row.as_slice()));
        let what = match &columns {
            Some(_) => "the header of the task table is lost: its columns are read by their shape",
            None => "the header of the task table is lost, and its columns have no known shape",
        };
        self.odd(first, what.to_owned());
        if let Some(columns) = columns {
            self.report.tasks.line.get_or_insert(first);
            for (number, row) in rows {
                self.take_row(table::row(&columns, &row, number), number);
            }
        }
    }

    fn take_row(&mut self, row: Option<Task>, number: LineNumber) {
        let Some(row) = row else {
            return self.odd(number, "a row of the task table is cut or damaged".to_owned());
        };
        let rows = &mut self.report.tasks.rows;
        if rows.len() >= TASKS {
            let all_told = self.report.oddities.last().is_some_and(|odd| odd.what.contains("rows"));
            if !all_told {
                self.odd(number, format!("the task table has more than {TASKS} rows"));
            }
        } else if let Entry::Vacant(place) = self.rows.entry(row.pid) {
            place.insert(rows.len());
            rows.push(row);
        }
    }

    fn take_entry(&mut self, text: &[u8], number: LineNumber) -> bool {
        match self.block {
            Block::Stats => self.take_stat(text),
            Block::Slabs => {
                let slab = holders::slab(text);
                let taken = slab.is_some() || holders::is_slab_heading(text);
                if let Some(slab) = slab {
                    push(&mut self.report.machine.slabs, cite(slab, number));
                }
                taken
            }
            Block::Allocations => {
                let Some(allocation) = holders::allocation(text) else { return false };
                push(&mut self.report.machine.allocations, cite(allocation, number));
                true
            }
            Block::None => false,
        }
    }

    fn take_stat(&mut self, text: &[u8]) -> bool {
        let Some((name, entry)) = memcg::v2_entry(text) else { return false };
        if let Some(stats) = self.report.memcg.stats.last_mut() {
            match entry {
                Stat::Amount(amount) => push(&mut stats.entries, (name, amount)),
                Stat::Events(count) => push(&mut stats.events, (name, count)),
                Stat::Nothing => {}
            }
        }
        true
    }

    /// What `systemd-oomd` says of a candidate.
    pub(super) fn take_candidate(&mut self, part: CandidatePart, number: LineNumber) {
        let candidates = &mut self.report.candidates;
        match (part, candidates.last_mut()) {
            (CandidatePart::Path(path), _) => {
                push(candidates, cite(Candidate { path, ..Candidate::default() }, number));
            }
            (CandidatePart::More(more), Some(last)) => last.value.add(&more),
            (CandidatePart::More(_), None) => {}
        }
    }
}

impl Candidate {
    /// Adds what is not known yet.
    pub(super) fn add(&mut self, more: &Self) {
        self.usage = self.usage.or(more.usage);
        self.swap = self.swap.or(more.swap);
        self.pressure_avg10 = self.pressure_avg10.or(more.pressure_avg10);
        self.pressure_limit = self.pressure_limit.or(more.pressure_limit);
        self.pgscan = self.pgscan.or(more.pgscan);
    }
}
