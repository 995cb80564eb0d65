//! What the lines of a log tell of ends and starts: systemd's own, those of its core dumps, of
//! dockerd, containerd and the kubelet.
//!
//! ```text
//! LogLine ─ who speaks? ─┬─ systemd:  by id and fields, else by its words of all versions
//!                        ├─ systemd-coredump
//!                        └─ dockerd, containerd, kubelet: by their words
//! ```
//!
//! Pure: a line in, a testimony out. Any program may write any words, and any fields but those with
//! an underscore in front (systemd.journal-fields(7)): an entry of the journal counts as systemd's
//! if the journal says that the first process, or a user's manager, wrote it. Text has no such
//! voucher: there the name before the words has to do, and the evidence says that it is a
//! [log](TEXT_SOURCE).
//!
//! What `earlyoom`, `nohang` and the `oomd`s say of whom they killed is read by `highwater-oom`.

mod core;
mod matches;
mod net;
mod program;
mod runtime;
mod speaker;
mod status;
mod systemd;
#[cfg(test)]
mod tests;
mod unit;
mod words;

use highwater_core::evidence::Evidence;
use highwater_core::id::Pid;
use highwater_core::line::LogLine;
use highwater_core::owner::Owner;
use highwater_core::print::fnv1a;
use highwater_core::testimony::{Fact, Party, Testimony, Witness};
use highwater_core::text::escape;

pub use matches::matches;
pub use net::{is_relevant, mark};

use self::speaker::Speaker;
use crate::told::cited;

/// What is cited where the journal vouches for who wrote a line.
pub const SOURCE: &str = "journal";

/// What is cited where nobody does: whoever read the log puts its name here.
pub const TEXT_SOURCE: &str = "log";

/// So much of a message is read: systemd's have a few hundred bytes, those of a core dump hold the
/// stacks of all threads, behind what matters.
const MESSAGE_BYTES: usize = 4 << 10;

/// What a line says of a unit, before it is known whose unit that is.
struct Said<'a> {
    /// The unit, where the words name it.
    unit: Option<&'a str>,
    /// The process.
    pid: Option<Pid>,
    /// Its name.
    comm: Option<&'a str>,
    fact: Fact,
}

impl<'a> Said<'a> {
    /// Of a unit as a whole.
    const fn of(unit: Option<&'a str>, fact: Fact) -> Self {
        Self { unit, pid: None, comm: None, fact }
    }
}

/// What the line tells of an end or a start, if it does.
///
/// The evidence has the line's number.
pub fn testimony(line: &LogLine<'_>) -> Option<Testimony> {
    let speaker = Speaker::of(line)?;
    let text = line.text.get(..MESSAGE_BYTES).unwrap_or(line.text);
    let text = escape(text);
    let (about, fact) = match speaker {
        Speaker::Manager { user } => systemd::read(&text, line.journal, user)?,
        Speaker::Coredump => core::read(&text, line.journal)?,
        Speaker::Runtime => runtime::read(&text)?,
        Speaker::Program => program::read(&text, line.journal?)?,
        Speaker::Unnamed => {
            let unnamed = || systemd::read_unnamed(&text);
            unnamed().or_else(|| core::read(&text, None)).or_else(|| runtime::read(&text))?
        }
    };
    Some(Testimony { witness: Witness::Journal, about, fact, evidence: evidence(line) })
}

fn evidence(line: &LogLine<'_>) -> Evidence {
    let is_vouched = line.journal.is_some_and(speaker::is_vouched);
    let source = if is_vouched { SOURCE } else { TEXT_SOURCE };
    Evidence { source: source.to_owned(), line: Some(line.number), text: cited(line.text) }
}

/// What an entry of the journal is told apart by.
pub fn key(line: &LogLine<'_>) -> Option<String> {
    let cursor = line.journal?.get("__CURSOR")?;
    Some(format!("journal:{:016x}", fnv1a(cursor.as_bytes())))
}

/// Whom it is said of.
fn party(owner: Option<Owner>, said: &Said<'_>) -> Party {
    let comm = said.comm.map(str::to_owned);
    Party { pid: said.pid, comm, owner, ..Party::default() }
}
