//! What one process has mapped, mapping by mapping: `/proc/PID/smaps` (`fs/proc/task_mmu.c`). For
//! somebody who asks about one process, twice: reading it walks all page tables of the process, about
//! 10 µs for each resident MiB, so it is nothing that a recorder does.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};

use highwater_core::text::escape;
use highwater_core::units::Bytes;

use crate::parse::{number, text};
use crate::root::Root;

/// The longest line that is read: paths have 4096 bytes, escapes included four times that.
const LINE_MAX: u64 = 32 << 10;

/// So many names are told apart; what comes later counts as `others`. A process has at most 65,530
/// mappings unless its administrator allows more.
const NAMES_MAX: usize = 4096;

/// Mappings of one name, taken together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mapped {
    /// How many there are.
    pub count: u64,
    /// `Rss`: what of them is in RAM.
    pub resident: Bytes,
    /// `Anonymous`: what of that belongs to no file.
    pub anon: Bytes,
    /// `Swap`.
    pub swap: Bytes,
}

impl Mapped {
    /// What would be gone with the process: anonymous memory in RAM and in swap.
    pub fn held(&self) -> Bytes {
        Bytes::new(self.anon.get().saturating_add(self.swap.get()))
    }
}

/// By name, escaped: a path, `[heap]`, `[anon:…]`, and `anonymous` of what has none.
pub type Mappings = BTreeMap<String, Mapped>;

/// Reads what a process has mapped now.
///
/// # Errors
/// If the process is gone, or may not be looked into.
pub fn mappings(root: &Root, pid: u32) -> io::Result<Mappings> {
    let file = File::from(root.open(format!("proc/{pid}/smaps"))?);
    read(BufReader::new(file))
}

fn read(mut from: impl BufRead) -> io::Result<Mappings> {
    let (mut all, mut name) = (Mappings::new(), String::new());
    let mut line = Vec::new();
    loop {
        line.clear();
        if from.by_ref().take(LINE_MAX).read_until(b'\n', &mut line)? == 0 {
            return Ok(all);
        }
        if let Some(next) = named(&line) {
            name = if all.len() < NAMES_MAX || all.contains_key(&next) {
                next
            } else {
                "others".to_owned()
            };
            all.entry(name.clone()).or_default().count += 1;
        } else if let Some(mapped) = all.get_mut(&name) {
            count(&line, mapped);
        }
    }
}

/// The name of the mapping that this line begins, if it begins one:
/// `7f00-7f01 rw-p 00000000 08:01 12   /path`.
fn named(line: &[u8]) -> Option<String> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let mut fields = line.splitn(6, |byte| *byte == b' ');
    let range = fields.next()?;
    let dash = memchr::memchr(b'-', range)?;
    let (from, to) = range.split_at_checked(dash)?;
    let is_address = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_hexdigit);
    if !is_address(from) || !is_address(to.strip_prefix(b"-")?) {
        return None;
    }
    let name = fields.nth(4).unwrap_or_default().trim_ascii();
    let name = name.strip_suffix(b" (deleted)").unwrap_or(name);
    match name {
        b"" => Some("anonymous".to_owned()),
        name => Some(escape(&text::unescape_octal(name)).into_owned()),
    }
}

fn count(line: &[u8], into: &mut Mapped) {
    let mut pairs = text::keyed(line);
    let Some((key, value)) = pairs.next() else { return };
    let Some(bytes) = number::kib(value) else { return };
    let add = |sum: &mut Bytes| *sum = Bytes::new(sum.get().saturating_add(bytes.get()));
    match key {
        b"Rss" => add(&mut into.resident),
        b"Anonymous" => add(&mut into.anon),
        b"Swap" => add(&mut into.swap),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"559e1a000000-559e1a100000 rw-p 00000000 00:00 0                          [heap]\n\
        Size:               1024 kB\nRss:                 512 kB\nAnonymous:           512 kB\n\
        Swap:                  4 kB\nVmFlags: rd wr mr mw me ac sd\n\
        7f0000000000-7f0000001000 rw-p 00000000 00:00 0 \nRss: 4 kB\nAnonymous: 4 kB\n\
        7f0000002000-7f0000003000 rw-p 00000000 00:00 0 \nRss: 8 kB\nAnonymous: 0 kB\n\
        7f0000004000-7f0000005000 r--p 00000000 08:01 77                         /tmp/a\\012b\x1b (deleted)\nRss: 16 kB\n";

    #[test]
    fn mappings_of_one_name_are_taken_together() {
        let all = read(TEXT).unwrap();
        let kib = |count: u64| Bytes::new(count << 10);
        let heap = Mapped { count: 1, resident: kib(512), anon: kib(512), swap: kib(4) };
        assert_eq!(all.get("[heap]"), Some(&heap));
        assert_eq!(heap.held(), kib(516));
        let rest = Mapped { count: 2, resident: kib(12), anon: kib(4), swap: Bytes::ZERO };
        assert_eq!(all.get("anonymous"), Some(&rest));
        assert_eq!(all.get(r"/tmp/a\nb\x1b").map(|mapped| mapped.resident), Some(kib(16)));
        assert_eq!(all.len(), 3);
    }

    #[test]
    fn garbage_gives_nothing_and_names_are_bounded() {
        assert!(read(&b"Rss: 4 kB\n\xff\xfe-\n-\nzz-11 rw\n"[..]).unwrap().is_empty());
        let endless = "0-1 rw-p 0 0:0 0 /".to_owned() + &"x".repeat(100_000) + "\nRss: 4 kB\n";
        assert!(read(endless.as_bytes()).unwrap().keys().all(|name| name.len() < 40_000));
        let many: Vec<String> =
            (0..5000).map(|n| format!("{n:x}-{n:x} rw-p 0 0:0 0 /{n}\n")).collect();
        let many = many.concat();
        let all = read(many.as_bytes()).unwrap();
        assert_eq!(all.len(), NAMES_MAX + 1);
        assert_eq!(all.values().map(|mapped| mapped.count).sum::<u64>(), 5000);
    }

    #[test]
    fn one_sees_itself() {
        let own = mappings(&Root::live(), std::process::id()).unwrap();
        assert!(own.values().any(|mapped| mapped.anon > Bytes::ZERO));
        assert!(mappings(&Root::live(), u32::MAX).is_err());
    }
}
