//! What became more inside a process between two readings of its mappings.

use anstyle::Style;
use highwater_core::units::Bytes;

use super::super::paint::{DIM, Page};
use crate::cmd::leaks::mapped::{Moved, Watched};

/// So many names are told.
const TOLD: usize = 8;

/// Each process that was looked into.
pub(crate) fn mappings(page: Page, all: &[Watched]) -> String {
    let mut out = String::new();
    for one in all {
        let title = format!("Mappings of {} (pid {})", one.comm, one.pid);
        out += &page.head(&title, &format!("two readings {} s apart", one.seconds));
        let (then, now) = one.held_bytes;
        let text = format!("its own memory: {} to {}", Bytes::new(then), Bytes::new(now));
        out += &page.item("  ", &text, DIM);
        if one.moved.is_empty() {
            out += &page.item("  ", "Nothing became more or less meanwhile.", DIM);
        }
        for moved in one.moved.iter().take(TOLD) {
            out += &page.item("  • ", &line(moved), Style::new());
        }
    }
    out
}

fn line(moved: &Moved) -> String {
    let rise = moved.rise();
    let size = Bytes::new(u64::try_from(rise.unsigned_abs()).unwrap_or(u64::MAX));
    let sign = if rise < 0 { "−" } else { "+" };
    let (_, resident) = moved.resident_bytes;
    let count = match moved.mappings {
        (then, now) if then == now => String::new(),
        (then, now) => format!("; {now} mappings, {then} before"),
    };
    format!("{}: {sign}{size}, {} in RAM now{count}", moved.name, Bytes::new(resident))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_by_how_much_and_how_many() {
        let moved = Moved {
            name: "[heap]".to_owned(),
            resident_bytes: (10 << 20, 12 << 20),
            held_bytes: (10 << 20, 12 << 20),
            mappings: (1, 3),
        };
        assert_eq!(line(&moved), "[heap]: +2 MiB, 12 MiB in RAM now; 3 mappings, 1 before");
    }
}
