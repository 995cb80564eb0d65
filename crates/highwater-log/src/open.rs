//! One line after the other out of its envelope.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::Range;

use highwater_core::line::{JournalFields, LogLine, Origin};

use crate::entry::Whole;
use crate::envelope::{Facts, is_kernel};
use crate::peel::{Message, Name, Peeled, Peeler};
use crate::soft::{Soft, Softened};
use crate::{kmsg, paste};

/// The byte order mark that some editors put first.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// Takes lines out of their envelopes.
///
/// The envelope is found line by line, so mixed logs are read; entries of several lines and lines
/// in several parts are put together. Empty lines, `grep`'s separators and the device lines of
/// `/dev/kmsg` records give nothing.
///
/// In two steps, so that a message can be lent both from the line and from what was kept of those
/// before: [`take`](Self::take) says whether the line completes a message,
/// [`message`](Self::message) gives it.
///
/// An input vouches for the kernel if its first message stands in an envelope that can: a
/// `/dev/kmsg` record, an entry of the journal. In all others such a line is somebody's text.
#[derive(Debug, Default)]
pub struct Opener {
    peeler: Peeler,
    soft: Soft,
    below_record: bool,
    /// Does this input vouch? Its first message decides.
    vouches: Option<bool>,
    /// Lines that were taken and not yet read: one stands behind an entry that it completed.
    held: VecDeque<(u64, Vec<u8>)>,
    given: Given,
    /// What holds the message, if it is not the line as it stands.
    base: Option<Vec<u8>>,
    /// The line or entry as it stood in the input, if it is not the line taken last.
    raw: Option<Vec<u8>>,
}

/// The message that is lent.
#[derive(Debug, Default)]
struct Given {
    number: u64,
    facts: Facts,
    text: Range<usize>,
    ident: Option<Name>,
    journal: Option<JournalFields>,
}

impl Opener {
    /// Takes the line `raw`, which stands at `number` and is without its line end. `true` if it
    /// completes a message, or an earlier line that was held back does.
    pub fn take(&mut self, number: u64, raw: &[u8]) -> bool {
        if self.peeler.entry.wants_bytes() {
            return self.whole(number, raw);
        }
        if let Some((number, line)) = self.soft.ended_by(raw) {
            self.decoded(number, line);
        }
        // No mail is an input that vouches, and in an entry of several lines each is as it was
        // written.
        if self.vouches == Some(true) || self.peeler.entry.is_open() {
            return self.whole(number, raw);
        }
        match self.soft.take(number, raw) {
            Softened::Plain => self.whole(number, raw),
            Softened::Part => self.take_held(),
            Softened::Line(number, line) => {
                self.decoded(number, line);
                self.take_held()
            }
        }
    }

    /// Keeps a line that was decoded. Whoever wrote the codes chose what they become, so nothing in
    /// this input vouches for the kernel.
    fn decoded(&mut self, number: u64, line: Vec<u8>) {
        self.vouches = Some(false);
        self.held.push_back((number, line));
    }

    /// Takes a line that is whole.
    fn whole(&mut self, number: u64, raw: &[u8]) -> bool {
        if self.held.is_empty() {
            return self.read(number, raw);
        }
        self.held.push_back((number, raw.to_vec()));
        self.take_held()
    }

    /// The message that the line `raw`, taken last, completed.
    pub fn message<'a>(&'a self, raw: &'a [u8]) -> LogLine<'a> {
        let Given { number, facts, text, ident, journal } = &self.given;
        let raw = self.raw.as_ref().map_or_else(|| bare(*number, raw), |raw| bare(*number, raw));
        let base = self.base.as_deref().unwrap_or(raw);
        let ident = match ident {
            Some(Name::Known(name)) => Some(*name),
            Some(Name::Here(range)) => base.get(range.clone()),
            Some(Name::Kept(name)) => Some(name.as_slice()),
            None => None,
        };
        let text = base.get(text.clone()).unwrap_or_default().trim_ascii_end();
        let Facts { wall, boot, seq, continues, origin, caller } = *facts;
        let number = *number;
        LogLine {
            number,
            text,
            raw,
            wall,
            boot,
            seq,
            ident,
            continues,
            origin,
            caller,
            journal: journal.as_ref(),
        }
    }

    /// The input is over. `true` if a message was still in the making: `message(b"")` gives it.
    pub fn finish(&mut self) -> bool {
        if let Some((number, line)) = self.soft.rest() {
            self.decoded(number, line);
        }
        if self.take_held() {
            return true;
        }
        if let Some(whole) = self.peeler.entry.finish()
            && self.read_entry(whole)
        {
            return true;
        }
        while let Some(text) = self.peeler.glue.rest() {
            let number = self.given.number;
            let peeled = self.peeler.inner(number, text.clone(), Facts::default());
            if self.give(number, peeled, Some(text)) {
                return true;
            }
        }
        false
    }

    /// Lines were left out before the next one.
    pub fn skipped(&mut self) {
        self.below_record = false;
        self.soft.skipped();
        self.peeler.skipped();
    }

    /// Reads lines that were held back until one gives a message.
    fn take_held(&mut self) -> bool {
        while let Some((number, raw)) = self.held.pop_front() {
            if self.read(number, &raw) {
                self.raw.get_or_insert(raw);
                return true;
            }
        }
        false
    }

    fn read(&mut self, number: u64, raw: &[u8]) -> bool {
        if self.peeler.entry.wants_bytes() {
            self.peeler.entry.take_bytes(number, raw);
            return false;
        }
        let line = bare(number, raw);
        if line.trim_ascii().is_empty() {
            // journalctl indents the empty lines of a message, too: behind blanks it goes on.
            if line.is_empty() {
                self.peeler.forget();
            }
            let whole = self.peeler.entry.take_blank();
            return whole.is_some_and(|whole| self.read_entry(whole));
        }
        if paste::is_separator(line) || (self.below_record && kmsg::is_dictionary(line)) {
            return false;
        }
        let mut peeled = self.peeler.line(number, line);
        if let Peeled::Message(message) = &mut peeled {
            message.is_vouched &= can_vouch(line);
        }
        if let Peeled::EntryBefore(_) = peeled {
            self.held.push_front((number, raw.to_vec()));
        }
        self.below_record = kmsg::head(line).is_some();
        self.give(number, peeled, None)
    }

    /// Keeps the message to be lent, if there is one.
    fn give(&mut self, number: u64, peeled: Peeled<'_>, raw: Option<Vec<u8>>) -> bool {
        match peeled {
            Peeled::Nothing => false,
            Peeled::Entry(whole) | Peeled::EntryBefore(whole) => self.read_entry(whole),
            Peeled::Message(message) => {
                self.lend(number, message);
                self.raw = raw;
                true
            }
        }
    }

    /// Opens what an entry of several lines says.
    fn read_entry(&mut self, whole: Whole) -> bool {
        let Whole { mut fields, raw, is_lost } = whole;
        let (number, mut facts) = (fields.number, fields.facts());
        let text = fields.take_message().unwrap_or_default();
        if facts.origin == Origin::Unsaid && fields.ident().is_none_or(is_kernel) {
            let peeled = self.peeler.inner(number, text, facts);
            return self.give(number, peeled, Some(raw));
        }
        if is_lost && facts.origin == Origin::Kernel {
            facts.origin = Origin::Unsaid;
        }
        let ident = fields.ident().map(|ident| Name::Kept(ident.to_vec()));
        let range = 0..text.len();
        let base = Cow::Owned(text);
        // What looks like an entry may be part of another one's value, which somebody chose.
        let journal = fields.take_journal().filter(|_| !is_lost);
        self.lend(number, Message { base, text: range, ident, facts, is_vouched: true, journal });
        self.raw = Some(raw);
        true
    }

    fn lend(&mut self, number: u64, message: Message<'_>) {
        let named = message.ident().is_some_and(|ident| !is_kernel(ident));
        let Message { base, text, mut ident, mut facts, is_vouched, journal } = message;
        let vouches = *self.vouches.get_or_insert(is_vouched);
        let journal = journal.filter(|_| vouches && is_vouched);
        match facts.origin {
            Origin::Kernel if !(vouches && is_vouched) => facts.origin = Origin::Unsaid,
            // A program that gives no name, or the kernel's, goes by its facility's.
            Origin::Program if !named => ident = Some(Name::Known(b"user")),
            _ => {}
        }
        self.base = match base {
            Cow::Owned(base) => Some(base),
            Cow::Borrowed(_) => None,
        };
        self.given = Given { number, facts, text, ident, journal };
    }
}

/// Only a record that begins the line, or an object of the journal, can vouch for what is in it:
/// whatever was taken off in front, somebody wrote.
fn can_vouch(line: &[u8]) -> bool {
    const OBJECTS: [&[u8]; 5] = [b"{", b"[", b",", b"\x1e", b"data: {"];
    let begins = |mark: &&[u8]| line.trim_ascii_start().starts_with(mark);
    kmsg::head(line).is_some() || OBJECTS.iter().any(begins)
}

/// Without line ends and padding, and on the first line without a byte order mark.
fn bare(number: u64, raw: &[u8]) -> &[u8] {
    let raw = paste::bare(raw);
    if number == 1 { raw.strip_prefix(BOM).unwrap_or(raw) } else { raw }
}

#[cfg(test)]
mod journal_tests;
#[cfg(test)]
mod tests;
