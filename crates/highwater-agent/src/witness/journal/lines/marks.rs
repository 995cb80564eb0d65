//! Which of many lines may tell something: three nets, each drawn through all of them at once.
//!
//! ```text
//! lines  ········x·······················x··········
//! ends      ▲                                 the next catch of systemd's and other words
//! kills     │                       ▲         … of who is killed for memory
//! bytes     └─ the nearest: its line is given ▲ … of messages that are not plain text
//! ```
//!
//! What a net has caught far ahead stays known, so that each byte is looked at once by each net.

use highwater_owners::journal;
use memchr::memmem;

/// How a message is written that is not plain text.
const BYTES: [&[u8]; 2] = [b":[", b" : ["];

/// Ahead of it.
const MESSAGE: &[u8] = b"\"MESSAGE\"";

/// Finds the first place of interest in whole lines; what the nets say of a line that the front cuts
/// off does not matter, because a line is looked at more closely anyway.
type Net = fn(&[u8]) -> Option<usize>;

/// Those that catch most come first.
const NETS: [Net; 3] = [journal::mark, kill, bytes];

/// The lines, one after the other, that a net has caught something in.
#[derive(Debug)]
pub(super) struct Marks<'a> {
    lines: &'a [u8],
    /// Up to here all is given.
    from: usize,
    /// What each net caught next, at `from` or behind it; nothing, if it is through.
    caught: [Option<usize>; NETS.len()],
}

impl<'a> Marks<'a> {
    /// Of whole lines, each with its end.
    pub(super) fn of(lines: &'a [u8]) -> Self {
        Self { lines, from: 0, caught: NETS.map(|net| net(lines)) }
    }

    /// Lets the nets go on from the end of the line that was given.
    fn go_on(&mut self) {
        // With the end of the line before, so that the next one is seen as whole.
        let begin = self.from.saturating_sub(1);
        let rest = self.lines.get(begin..).unwrap_or_default();
        for (net, caught) in NETS.iter().zip(&mut self.caught) {
            if caught.is_some_and(|at| at < self.from) {
                *caught = net(rest).map(|at| at + begin);
            }
        }
    }
}

impl<'a> Iterator for Marks<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.go_on();
        let at = self.caught.iter().flatten().min()?;
        let before = self.lines.get(..*at)?;
        let begin = memchr::memrchr(b'\n', before).map_or(0, |end| end + 1).max(self.from);
        let end = *at + memchr::memchr(b'\n', self.lines.get(*at..)?)?;
        self.from = end + 1;
        self.lines.get(begin..end)
    }
}

/// Whether the line has a message that is not plain text.
pub(super) fn is_bytes(line: &[u8]) -> bool {
    bytes(line).is_some()
}

fn bytes(lines: &[u8]) -> Option<usize> {
    memmem::find_iter(lines, MESSAGE).find(|at| {
        let rest = lines.get(at.saturating_add(MESSAGE.len())..).unwrap_or_default();
        BYTES.iter().any(|bytes| rest.starts_with(bytes))
    })
}

/// Line by line, each with the end of the one before so that it is seen as whole: this net looks at all
/// that it is given before it says what stands first.
fn kill(lines: &[u8]) -> Option<usize> {
    let mut begin = 0;
    memchr::memchr_iter(b'\n', lines).find_map(|end| {
        let from = std::mem::replace(&mut begin, end);
        let mark = (highwater_oom::NET.sweep)(lines.get(from..=end)?).mark?;
        Some(from + mark)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(lines: &str) -> Vec<&str> {
        Marks::of(lines.as_bytes()).map(|line| std::str::from_utf8(line).unwrap()).collect()
    }

    #[test]
    fn each_net_holds_its_lines_and_each_line_is_given_once() {
        let lines = [
            r#"{"MESSAGE":"nothing"}"#,
            r#"{"MESSAGE":"web.service: Failed with result 'signal'. Killing"}"#,
            r#"{"MESSAGE":[7,9]}"#,
            "",
            r#"{"MESSAGE":"sending SIGTERM to process 7"}"#,
            r#"{"MESSAGE":"web.service: Main process exited, code=killed"}"#,
            r#"{"MESSAGE":"nothing"}"#,
        ];
        let text = lines.join("\n") + "\n";
        let held = given(&text);
        assert_eq!(held.iter().filter(|line| !line.contains("nothing")).count(), 4, "{held:?}");
        assert!(held.is_sorted_by_key(|held| lines.iter().position(|line| line == held)));
        assert!(!held.contains(&lines[6]), "{held:?}");
    }

    #[test]
    fn whatever_stands_there_it_ends() {
        for text in ["", "\n", "\n\n\n", "no end", "Killed\nKilled", "\u{1b}\n\u{1b}\n"] {
            assert!(given(text).len() <= text.lines().count(), "{text:?}");
        }
        let long = format!("{{\"MESSAGE\":[{}]}}\n", "7,".repeat(9_000));
        assert_eq!(given(&long.repeat(3)).len(), 3);
    }
}
