//! The cheap look: is a line worth reading at all?

use std::sync::LazyLock;

use memchr::memmem::Finder;

/// Words of which every line that can begin an episode has at least one, and other lines rarely.
const WORDS: [&str; 12] = [
    "oom",
    "Kill",
    "ut of memory",
    "ut of Memory",
    "as a result of limit",
    "Mem-Info",
    "Mem-info",
    ": usage ",
    "sending SIG",
    "Manual OOM",
    "page allocation",
    // The free lists, where the head of a report is cut off; every page size has it.
    "*64kB",
];

static FINDERS: LazyLock<[Finder<'static>; WORDS.len()]> = LazyLock::new(|| WORDS.map(Finder::new));

/// May this line begin an episode? Few lines that may not are let through; none that may is not.
pub fn is_relevant(text: &[u8]) -> bool {
    FINDERS.iter().any(|finder| finder.find(text).is_some())
}

/// Where in `log` the next line that may begin an episode has its mark; in one sweep for each word,
/// remembered from call to call.
#[derive(Clone, Debug)]
pub struct Sweep {
    next: [Option<usize>; WORDS.len()],
    base: usize,
    len: Option<usize>,
}

impl Default for Sweep {
    fn default() -> Self {
        Self { next: [Some(0); WORDS.len()], base: 0, len: None }
    }
}

impl Sweep {
    /// The offset in `rest` of the next mark. `rest` must be what is left of the same log each
    /// time, or less than before.
    pub fn find(&mut self, rest: &[u8]) -> Option<usize> {
        let len = *self.len.get_or_insert(rest.len());
        self.base = len.saturating_sub(rest.len());
        for (next, finder) in self.next.iter_mut().zip(FINDERS.iter()) {
            let stale = next.is_some_and(|at| at <= self.base);
            if stale {
                *next = finder.find(rest).map(|at| self.base.saturating_add(at));
            }
        }
        let first = self.next.iter().flatten().min()?;
        Some(first.saturating_sub(self.base))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_finds_each_mark_once() {
        let log = b"aaaa\nKilled\nbb\noom-kill:\ncc";
        let mut sweep = Sweep::default();
        assert_eq!(sweep.find(log), Some(5));
        assert_eq!(sweep.find(&log[12..]), Some(3));
        assert_eq!(sweep.find(&log[25..]), None);
    }

    #[test]
    fn ordinary_lines_are_passed_over() {
        assert!(!is_relevant(b"usb 1-1: new high-speed USB device number 2 using xhci_hcd"));
        assert!(is_relevant(b"Out of memory: Killed process 1 (x)"));
    }
}
