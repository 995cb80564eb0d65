//! Android's `logcat`.
//!
//! ```text
//! 09-22 15:36:44.117     0     0 W         : [ 1304.482941] text    (-v threadtime, kernel)
//! 09-22 15:36:44.117  1000   412   418 I lowmemorykiller: text      (-v threadtime,uid)
//! 09-22 15:36:44.117 I/lowmemorykiller(  412): text                 (-v time)
//! I/lowmemorykiller(  412): text                                    (-v brief)
//! ```
//!
//! What the kernel said is filed under process 0. Its first word may have been taken for a tag and
//! is given back.

use crate::envelope::{Facts, Opened};
use crate::scan;

/// How grave: verbose, debug, info, warning, error, fatal, assert, silent.
const LEVELS: &[u8] = b"VDIWEFAS";

/// The most numbers before the level: user, process, thread.
const NUMBERS: usize = 3;

/// Takes the envelope off.
pub(crate) fn open(line: &[u8]) -> Option<Opened<'_>> {
    match date(line) {
        Some(rest) => thread_time(rest).or_else(|| brief(rest)),
        None => brief(line),
    }
}

/// `09-22 15:36:44.117 ` or `2026-09-22 15:36:44.117 `, and what follows the blanks.
fn date(line: &[u8]) -> Option<&[u8]> {
    let rest = match scan::digits(line, 4).and_then(|(_, rest)| rest.strip_prefix(b"-")) {
        Some(rest) => rest,
        None => line,
    };
    let (_, rest) = scan::digits(rest, 2)?;
    let (_, rest) = scan::digits(rest.strip_prefix(b"-")?, 2)?;
    let (_, rest) = scan::clock(rest.strip_prefix(b" ")?)?;
    rest.starts_with(b" ").then(|| scan::trim_start(rest))
}

/// `1000   412   418 I tag: text`.
fn thread_time(rest: &[u8]) -> Option<Opened<'_>> {
    let (mut rest, mut pid, mut numbers) = (rest, None, 0);
    loop {
        let (word, after) = scan::word(rest)?;
        rest = after;
        match scan::number(word) {
            Some((number, b"")) if numbers < NUMBERS => {
                // The user, who may have a name, stands before process and thread.
                pid = Some(number);
                numbers += 1;
            }
            _ if numbers == 0 && word.len() > 1 => {}
            _ if numbers >= 2 && matches!(word, [level] if LEVELS.contains(level)) => break,
            _ => return None,
        }
    }
    Some(tagged(rest, pid?))
}

/// `I/tag(  412): text`.
fn brief(line: &[u8]) -> Option<Opened<'_>> {
    let (level, rest) = line.split_first()?;
    let rest = rest.strip_prefix(b"/").filter(|_| LEVELS.contains(level))?;
    let (tag, behind) = rest.split_at_checked(memchr::memchr(b'(', rest)?)?;
    let (pid, behind) = scan::number(scan::trim_start(behind.strip_prefix(b"(")?))?;
    let text = behind.strip_prefix(b")")?;
    let text = text.strip_prefix(b": ").or_else(|| text.strip_prefix(b":"))?;
    let tag = tag.trim_ascii();
    if pid == 0 {
        return Some(kernel(text));
    }
    Some(Opened { ident: Some(tag), ..kernel(text) })
}

/// `tag     : text`; of the kernel's lines the tag belongs to the text.
fn tagged(rest: &[u8], pid: u64) -> Opened<'_> {
    if pid == 0 {
        let untagged = scan::trim_start(rest).strip_prefix(b":");
        return kernel(untagged.map_or(rest, |text| text.strip_prefix(b" ").unwrap_or(text)));
    }
    let mark = memchr::memchr(b':', rest);
    let (tag, text) = mark.and_then(|at| rest.split_at_checked(at)).unwrap_or((rest, &[]));
    let text = text.strip_prefix(b": ").or_else(|| text.strip_prefix(b":")).unwrap_or(text);
    Opened { ident: Some(tag.trim_ascii()), ..kernel(text) }
}

fn kernel(text: &[u8]) -> Opened<'_> {
    Opened { facts: Facts::default(), ident: Some(b"kernel"), text, is_enveloped: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: &str) -> Option<(String, String)> {
        let own = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        open(line.as_bytes()).map(|opened| (own(opened.ident.unwrap()), own(opened.text)))
    }

    #[test]
    fn programs_are_named() {
        let expected = Some(("lmkd".to_owned(), "Kill 'x' (7)".to_owned()));
        for line in [
            "09-22 15:36:44.117   412   418 I lmkd    : Kill 'x' (7)",
            "2026-09-22 15:36:44.117  root   412   418 I lmkd: Kill 'x' (7)",
            "09-22 15:36:44.117  1000   412   418 I lmkd: Kill 'x' (7)",
            "09-22 15:36:44.117 I/lmkd(  412): Kill 'x' (7)",
            "I/lmkd    (  412): Kill 'x' (7)",
        ] {
            assert_eq!(told(line), expected, "{line}");
        }
    }

    #[test]
    fn the_kernel_gets_its_first_word_back() {
        let told = |line| told(line).unwrap();
        let kernel = |text: &str| ("kernel".to_owned(), text.to_owned());
        assert_eq!(told("09-22 15:36:44.117     0     0 W         : [1.5] x"), kernel("[1.5] x"));
        assert_eq!(told("09-22 15:36:44.117     0     0 W oom: x y"), kernel("oom: x y"));
        assert_eq!(told("W/        (    0): [1.5] x"), kernel("[1.5] x"));
    }

    #[test]
    fn other_text_is_left_alone() {
        for line in ["", "I/", "I/x", "I/x(y): z", "09-22 15:36:44.117 <4>[ 1.5] x", "Info: x"] {
            assert_eq!(told(line), None, "{line}");
        }
    }
}
