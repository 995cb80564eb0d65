//! One envelope after the other off a line, from the outermost in.
//!
//! ```text
//! {"log":"Apr 27 08:47:12 host kernel: [12.5] text\n","stream":"stdout","time":"…Z"}
//! └ Docker    └ syslog                 └ the kernel's stamp
//! ```
//!
//! A layer that says that a program speaks is the last one: what a program writes is its own text,
//! however much it looks like the kernel's.

use std::borrow::Cow;
use std::ops::Range;

use highwater_core::line::{JournalFields, Origin};

use crate::container::{self, Glue, Pipe};
use crate::entry::{Entry, Fed, Whole};
use crate::envelope::{Facts, Opened, is_kernel, place};
use crate::fields::Fields;
use crate::wrapper::{self, Inside};
use crate::{dmesg, json, kmsg, layers, paste, prefix, rfc5424, scan};

/// So many layers are taken off a line; real logs have at most four.
const LAYERS: u8 = 12;

/// So many messages are read of one line: more than a page of a cloud's log service has.
const PARTS: usize = 10_000;

/// Docker cuts a line at this length: a shorter text without a line end may be all there is.
const DOCKER_PART_BYTES: usize = 16 << 10;

/// Who wrote a message.
#[derive(Debug)]
pub(crate) enum Name {
    Known(&'static [u8]),
    /// It stands in the text out of which the message was taken.
    Here(Range<usize>),
    Kept(Vec<u8>),
}

/// A message and what its envelopes said.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    /// The text that holds message and writer: the line, or what was made of it.
    pub(crate) base: Cow<'a, [u8]>,
    pub(crate) text: Range<usize>,
    pub(crate) ident: Option<Name>,
    pub(crate) facts: Facts,
    /// The outermost envelope is one that says by itself whether the kernel speaks.
    pub(crate) is_vouched: bool,
    /// What the journal keeps beside it.
    pub(crate) journal: Option<JournalFields>,
}

impl<'a> Message<'a> {
    fn of(base: Cow<'a, [u8]>, parted: Parted, facts: Facts) -> Self {
        let Parted { text, ident } = parted;
        Self { base, text, ident, facts, is_vouched: false, journal: None }
    }

    /// The message itself.
    pub(crate) fn text(&self) -> &[u8] {
        self.base.get(self.text.clone()).unwrap_or_default()
    }

    /// Who wrote it.
    pub(crate) fn ident(&self) -> Option<&[u8]> {
        match self.ident.as_ref()? {
            Name::Known(name) => Some(name),
            Name::Here(range) => self.base.get(range.clone()),
            Name::Kept(name) => Some(name),
        }
    }
}

/// What came of a line.
#[derive(Debug)]
pub(crate) enum Peeled<'a> {
    Nothing,
    Message(Message<'a>),
    /// An entry of several lines is complete.
    Entry(Whole),
    /// An entry was complete before this line, which has to be taken again.
    EntryBefore(Whole),
}

/// Where message and writer stand in a text.
struct Parted {
    text: Range<usize>,
    ident: Option<Name>,
}

/// Takes envelopes off; remembers of the lines above what those below depend on.
#[derive(Debug, Default)]
pub(crate) struct Peeler {
    pub(crate) entry: Entry,
    pub(crate) glue: Glue,
    /// The host whose lines `short-monotonic` shows.
    host: Vec<u8>,
    above: Above,
    /// Docker ended a line: one without an end is a part.
    has_ended: bool,
}

/// The program that wrote the line above.
#[derive(Debug, Default)]
struct Above {
    ident: Option<Vec<u8>>,
    /// The blanks before that line.
    indent: usize,
}

/// What one layer hides.
enum Step {
    /// Nothing: this is the message.
    Message(Parted, Facts, bool),
    /// This part of the text.
    Within(Range<usize>, Facts),
    /// This text, which is not in the line as it stands.
    Owned(Vec<u8>, Facts),
    /// A message that was written down in another form, which is final.
    Final(Vec<u8>, Option<Vec<u8>>, Facts, Option<JournalFields>),
    /// Several messages.
    Several(Vec<Fields>),
    /// Nothing yet, or nothing at all: a line that is not complete, an entry without a message.
    Part,
}

impl Peeler {
    /// Forgets what came before.
    pub(crate) fn forget(&mut self) {
        self.above = Above::default();
    }

    /// Lines were left out.
    pub(crate) fn skipped(&mut self) {
        self.forget();
        self.entry.skipped();
        self.glue = Glue::default();
    }

    /// Takes the envelopes of a line off.
    pub(crate) fn line<'a>(&mut self, number: u64, line: &'a [u8]) -> Peeled<'a> {
        self.peel(number, Cow::Borrowed(line), Facts::default(), LAYERS, true)
    }

    /// Takes the envelopes off a text that came out of one.
    pub(crate) fn inner(&mut self, number: u64, text: Vec<u8>, facts: Facts) -> Peeled<'static> {
        self.peel(number, Cow::Owned(text), facts, LAYERS, false)
    }

    fn peel<'a>(
        &mut self,
        number: u64,
        base: Cow<'a, [u8]>,
        facts: Facts,
        layers: u8,
        is_line: bool,
    ) -> Peeled<'a> {
        let (mut base, mut facts, mut is_outermost) = (cleaned(base), facts, is_line);
        let mut range = 0..base.len();
        for left in (0..layers).rev() {
            let line = base.get(range.clone()).unwrap_or_default();
            if let Some((parts, split)) = parts(line) {
                // No entry of several lines has such a line: the one at hand is over.
                if is_line && let Some(whole) = self.entry.finish() {
                    return Peeled::EntryBefore(whole);
                }
                return self.joined(number, &parts, split, facts, left);
            }
            let quoted = paste::ended(paste::unquote(line));
            is_outermost &= quoted.len() == line.len();
            if is_line {
                match self.entry.take(number, quoted) {
                    Fed::Foreign => {}
                    Fed::Taken => return Peeled::Nothing,
                    Fed::Complete(whole) => return Peeled::Entry(whole),
                    Fed::CompleteBefore(whole) => return Peeled::EntryBefore(whole),
                }
            }
            match self.step(&base, quoted) {
                Step::Message(parted, inner, is_vouched) => {
                    let facts = inner.within(facts);
                    let message = Message::of(base, parted, facts);
                    let is_vouched = is_vouched && is_outermost;
                    return Peeled::Message(Message { is_vouched, ..message });
                }
                Step::Within(inner, said) => (range, facts) = (inner, said.within(facts)),
                Step::Owned(text, said) => {
                    (base, facts) = (cleaned(Cow::Owned(text)), said.within(facts));
                    range = 0..base.len();
                }
                Step::Final(text, ident, said, journal) => {
                    let facts = said.within(facts);
                    let message = written(text, ident, facts, is_outermost);
                    return Peeled::Message(Message { journal, ..message });
                }
                Step::Several(entries) => {
                    return self.listed(number, entries, facts, left, is_outermost);
                }
                Step::Part => return Peeled::Nothing,
            }
            is_outermost = false;
        }
        let text = Parted { text: range, ident: None };
        Peeled::Message(Message::of(base, text, facts))
    }

    /// The next layer of `line`, which lies in `base`.
    fn step(&mut self, base: &[u8], line: &[u8]) -> Step {
        if matches!(line.first(), Some(b'{' | b'[' | b',' | b'd' | 0x1e)) {
            let mut entries = json::entries(line);
            match (entries.pop(), entries.is_empty()) {
                (None, _) => {}
                (Some(fields), true) => return self.object(fields),
                (Some(last), false) => {
                    entries.push(last);
                    return Step::Several(entries);
                }
            }
        }
        if let Some(piece) = container::cri(line) {
            let facts = Facts { wall: piece.wall, ..Facts::default() };
            return match self.piece(piece.pipe, piece.is_partial, piece.text) {
                Some(Some(glued)) => Step::Owned(glued, facts),
                Some(None) => Step::Within(place(base, piece.text).unwrap_or_default(), facts),
                None => Step::Part,
            };
        }
        match wrapper::open(line) {
            Some(Inside::Text(text)) => Step::Owned(text, Facts::default()),
            Some(Inside::Part(opened)) => self.wrapped(base, line, &opened),
            None => self.text(base, line),
        }
    }

    /// What a wrapper holds. If it names a program, that is all there is to it.
    fn wrapped(&mut self, base: &[u8], line: &[u8], opened: &Opened<'_>) -> Step {
        if opened.facts.origin == Origin::Program {
            self.remember(line, opened);
            return Step::Message(parted(base, opened), opened.facts, false);
        }
        Step::Within(place(base, opened.text).unwrap_or_default(), opened.facts)
    }

    /// A part of a line, or the end of one: nothing if more is to come, the glued line if parts
    /// came before.
    #[expect(clippy::option_option, reason = "not complete, complete, and complete with parts")]
    fn piece(&mut self, pipe: Pipe, is_partial: bool, text: &[u8]) -> Option<Option<Vec<u8>>> {
        if is_partial {
            self.glue.keep(pipe, text);
            return None;
        }
        Some(self.glue.complete(pipe, text))
    }

    /// One object in JSON.
    fn object(&mut self, mut fields: Fields) -> Step {
        let (facts, pipe) = (fields.facts(), fields.piece());
        let Some(text) = fields.take_message() else { return Step::Part };
        if let Some(pipe) = pipe {
            let is_ended = text.ends_with(b"\n");
            let is_partial = !is_ended && (self.has_ended || text.len() >= DOCKER_PART_BYTES);
            self.has_ended |= is_ended;
            return match self.piece(pipe, is_partial, &text) {
                Some(glued) => Step::Owned(glued.unwrap_or(text), facts),
                None => Step::Part,
            };
        }
        match fields.origin() {
            Origin::Unsaid if fields.ident().is_none_or(is_kernel) => Step::Owned(text, facts),
            _ => {
                let ident = fields.ident().map(<[u8]>::to_vec);
                Step::Final(text, ident, facts, fields.take_journal())
            }
        }
    }

    /// The layers of text.
    fn text(&mut self, base: &[u8], line: &[u8]) -> Step {
        let opened = layers::open(line, &self.host);
        let within =
            |rest: &[u8], facts| Step::Within(place(base, rest).unwrap_or_default(), facts);
        if opened.is_enveloped {
            if opened.ident.is_none() && opened.facts.boot.is_none() {
                let inner = prefix::guest(opened.text)
                    .or_else(|| layers::is_enveloped(opened.text).then_some(opened.text));
                if let Some(inner) = inner {
                    return within(inner, opened.facts);
                }
            }
            self.remember(line, &opened);
            let is_vouched = kmsg::head(line).is_some();
            return Step::Message(parted(base, &opened), opened.facts, is_vouched);
        }
        let indented = scan::trim_start(line);
        let indent = line.len() - indented.len();
        if indent > self.above.indent && self.above.ident.is_some() {
            return self.carried_on(line);
        }
        let peeled = prefix::strip(line).unwrap_or_else(|| paste::untagged(line));
        if peeled.len() < line.len() {
            return within(peeled, Facts::default());
        }
        if indent > 0 && (layers::is_enveloped(indented) || prefix::strip(indented).is_some()) {
            self.above = Above { ident: None, indent };
            return within(indented, Facts::default());
        }
        self.above.ident = None;
        let facts = Facts { continues: indent > 0, ..Facts::default() };
        Step::Message(parted(base, &opened), facts, false)
    }

    /// A line below one of a program, indented further: journald prints the lines of one message
    /// so. These are the program's words, too.
    fn carried_on(&self, line: &[u8]) -> Step {
        let facts = Facts { continues: true, origin: Origin::Program, ..Facts::default() };
        Step::Final(line.to_vec(), self.above.ident.clone(), facts, None)
    }

    fn remember(&mut self, line: &[u8], opened: &Opened<'_>) {
        let is_program = opened.facts.origin == Origin::Program;
        self.above.ident = is_program.then(|| opened.ident.unwrap_or_default().to_vec());
        if opened.facts.boot.is_some()
            && self.host.is_empty()
            && let Some(host) = layers::host(line)
        {
            self.host = host.to_vec();
        }
    }

    /// Several messages on one line.
    fn joined(
        &mut self,
        number: u64,
        parts: &[&[u8]],
        split: Split,
        facts: Facts,
        left: u8,
    ) -> Peeled<'static> {
        let mut messages = parts.iter().take(PARTS).filter_map(|part| {
            let base = Cow::Owned(paste::bare(part).to_vec());
            match self.peel(number, base, facts, left, false) {
                Peeled::Message(message) => Some(message),
                _ => None,
            }
        });
        let first = messages.next();
        let is_programs = |message: &Message<'_>| message.facts.origin == Origin::Program;
        if split != Split::Frames && first.as_ref().is_some_and(is_programs) {
            // A program may write line ends, and behind them what it likes.
            return first.map_or(Peeled::Nothing, Peeled::Message);
        }
        if split == Split::Stamps {
            // Where a program's words end nobody knows: what is behind them is left out.
            let kept = first.into_iter().chain(messages).scan(false, |is_over, message| {
                let was_over = std::mem::replace(is_over, *is_over || is_programs(&message));
                (!was_over).then_some(message)
            });
            return join(kept.collect());
        }
        join(first.into_iter().chain(messages).collect())
    }

    /// Several entries in a list.
    fn listed(
        &mut self,
        number: u64,
        entries: Vec<Fields>,
        facts: Facts,
        left: u8,
        is_outermost: bool,
    ) -> Peeled<'static> {
        let messages =
            entries.into_iter().take(PARTS).filter_map(|fields| match self.object(fields) {
                Step::Owned(text, said) => {
                    match self.peel(number, Cow::Owned(text), said.within(facts), left, false) {
                        Peeled::Message(message) => Some(message),
                        _ => None,
                    }
                }
                Step::Final(text, ident, said, _) => {
                    Some(written(text, ident, said.within(facts), is_outermost))
                }
                _ => None,
            });
        join(messages.collect())
    }
}

/// The text without what terminals and browsers put in.
fn cleaned(base: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    let owned = match paste::clean(&base) {
        Cow::Borrowed(_) => None,
        Cow::Owned(clean) => Some(clean),
    };
    owned.map_or(base, Cow::Owned)
}

/// A message that no layer can be taken off.
fn written(
    text: Vec<u8>,
    ident: Option<Vec<u8>>,
    facts: Facts,
    is_vouched: bool,
) -> Message<'static> {
    let range = 0..text.len();
    let ident = ident.map(Name::Kept);
    Message { base: Cow::Owned(text), text: range, ident, facts, is_vouched, journal: None }
}

/// Where message and writer stand in `base`.
fn parted(base: &[u8], opened: &Opened<'_>) -> Parted {
    let ident = opened.ident.map(|ident| match (place(base, ident), ident) {
        (Some(range), _) => Name::Here(range),
        (None, b"kernel") => Name::Known(b"kernel"),
        (None, ident) => Name::Kept(ident.to_vec()),
    });
    Parted { text: place(base, opened.text).unwrap_or_default(), ident }
}

/// What tells the messages on one line apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Split {
    /// Line ends, which may also be part of a message.
    LineEnds,
    /// Counted frames.
    Frames,
    /// The kernel's stamps, where line ends were lost.
    Stamps,
}

/// The messages that stand on one line: behind lone carriage returns, line ends that were
/// escaped, or in frames that are counted.
fn parts(line: &[u8]) -> Option<(Vec<&[u8]>, Split)> {
    if memchr::memchr2(b'\r', b'\n', line.trim_ascii_end()).is_some() {
        let parts = line.split(|b| matches!(b, b'\r' | b'\n'));
        let parts = parts.filter(|part| !part.trim_ascii().is_empty()).collect();
        return Some((parts, Split::LineEnds));
    }
    if line.starts_with(b"[") {
        return glued(line).map(|parts| (parts, Split::Stamps));
    }
    let counted = line.first().is_some_and(u8::is_ascii_digit);
    if counted { rfc5424::frames(line).map(|frames| (frames, Split::Frames)) } else { None }
}

/// Lines that begin with the kernel's stamp and whose ends were lost, so that the next stamp stands
/// right behind a word.
fn glued(line: &[u8]) -> Option<Vec<&[u8]>> {
    let (mut parts, mut from) = (Vec::new(), 0);
    for at in memchr::memchr_iter(b'[', line).skip(1) {
        let before = line.get(at.saturating_sub(1));
        let is_word = before.is_some_and(|before| !matches!(before, b' ' | b'\t' | b']'));
        if is_word && line.get(at..).is_some_and(dmesg::is_plain) {
            parts.push(line.get(from..at)?);
            from = at;
        }
    }
    if from == 0 || !dmesg::is_plain(line) {
        return None;
    }
    parts.push(line.get(from..)?);
    Some(parts)
}

/// Messages as one of several lines. What a program wrote is not put under the kernel's name, nor
/// the other way round: if the kernel may have spoken, the program's lines are left out.
fn join(messages: Vec<Message<'static>>) -> Peeled<'static> {
    let is_program = |message: &Message<'_>| message.facts.origin == Origin::Program;
    let only_programs = messages.iter().all(is_program);
    let mut kept = messages.into_iter().filter(|message| only_programs || !is_program(message));
    let Some(first) = kept.next() else { return Peeled::Nothing };
    let ident = first.ident().map(<[u8]>::to_vec);
    let (mut facts, mut is_vouched) = (first.facts, first.is_vouched);
    let mut text = first.text().trim_ascii_end().to_vec();
    for message in kept {
        if only_programs && message.ident() != ident.as_deref() {
            continue;
        }
        is_vouched &= message.is_vouched;
        if message.facts.origin != facts.origin {
            facts.origin = Origin::Unsaid;
        }
        text.push(b'\n');
        text.extend_from_slice(message.text().trim_ascii_end());
    }
    Peeled::Message(written(text, ident, facts, is_vouched))
}
