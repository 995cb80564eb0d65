//! What the layers around a message said, and the message.

use std::ops::Range;

use highwater_core::line::{Caller, Origin};
use highwater_core::time::{BootTime, WallTime};

/// What an envelope said, names aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) wall: Option<WallTime>,
    pub(crate) boot: Option<BootTime>,
    pub(crate) seq: Option<u64>,
    pub(crate) continues: bool,
    pub(crate) origin: Origin,
    pub(crate) caller: Option<Caller>,
}

impl Facts {
    /// What an outer layer said counts where the inner one is silent: of two stamps the inner one is
    /// nearer to the message.
    pub(crate) fn within(self, outer: Self) -> Self {
        Self {
            wall: self.wall.or(outer.wall),
            boot: self.boot.or(outer.boot),
            seq: self.seq.or(outer.seq),
            continues: self.continues,
            origin: self.origin,
            caller: self.caller.or(outer.caller),
        }
    }
}

/// A line out of its last envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Opened<'a> {
    pub(crate) facts: Facts,
    /// Who wrote it, where the envelope says so.
    pub(crate) ident: Option<&'a [u8]>,
    pub(crate) text: &'a [u8],
    /// There was something to take off.
    pub(crate) is_enveloped: bool,
}

impl<'a> Opened<'a> {
    /// A line without an envelope.
    pub(crate) fn bare(text: &'a [u8]) -> Self {
        Self { facts: Facts::default(), ident: None, text, is_enveloped: false }
    }

    /// Draws from facility and writer whose words these are: a facility above 0 and a writer that
    /// is not the kernel speak for a program, and nothing that a line says of itself for the
    /// kernel.
    pub(crate) fn judged(mut self, facility: Option<u32>) -> Self {
        let is_program = facility.is_some_and(|facility| facility > 0)
            || self.ident.is_some_and(|ident| !is_kernel(ident));
        if is_program {
            self.facts.origin = Origin::Program;
        }
        self
    }
}

/// The names under which syslog daemons file what the kernel says.
pub(crate) fn is_kernel(ident: &[u8]) -> bool {
    matches!(ident, b"kernel" | b"vmunix")
}

/// Where `part` lies in `whole`, if it does.
pub(crate) fn place(whole: &[u8], part: &[u8]) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let end = start.checked_add(part.len())?;
    (end <= whole.len()).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_found_and_foreign_bytes_are_not() {
        let whole = b"hello there".to_vec();
        assert_eq!(place(&whole, &whole[6..]), Some(6..11));
        assert_eq!(place(&whole, &whole[11..]), Some(11..11));
        assert_eq!(place(&whole[..5], &whole[4..8]), None);
        assert_eq!(place(&whole, b"elsewhere"), None);
    }

    #[test]
    fn only_programs_are_judged() {
        let judged =
            |ident, facility| Opened { ident, ..Opened::bare(b"x") }.judged(facility).facts.origin;
        assert_eq!(judged(Some(&b"kernel"[..]), Some(0)), Origin::Unsaid);
        assert_eq!(judged(Some(&b"kernel"[..]), Some(3)), Origin::Program);
        assert_eq!(judged(Some(&b"app"[..]), None), Origin::Program);
        assert_eq!(judged(None, None), Origin::Unsaid);
    }
}
