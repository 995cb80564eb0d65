//! What a program writes to a terminal, and whether that is text and no more.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use highwater_core::text::escape;

/// Commands of a program over a recording.
pub(super) struct Look<'a> {
    pub(super) program: &'a Path,
    pub(super) data: &'a Path,
}

impl Look<'_> {
    /// Types each command, and judges what comes.
    pub(super) fn at(&self, commands: &[Vec<&OsStr>]) -> anyhow::Result<String> {
        let mut bytes = 0;
        for words in commands {
            let typed: Vec<_> = words.iter().map(|word| escape(word.as_encoded_bytes())).collect();
            let told = self.typed(words).and_then(|told| {
                ensure!(!told.is_empty(), "nothing is written");
                is_text(&without_colours(&told)).map(|()| told.len())
            });
            bytes += told.with_context(|| typed.join(" "))?;
        }
        Ok(format!("{} commands, {bytes} bytes", commands.len()))
    }

    /// What a command writes where it believes that somebody reads it. `script` (bsdutils, which every
    /// Debian has) is the terminal.
    fn typed(&self, words: &[&OsStr]) -> anyhow::Result<Vec<u8>> {
        let mut script = Command::new("script");
        let variables: Vec<String> = (0..words.len()).map(|n| format!("\"$WORD{n}\"")).collect();
        let line = format!("\"$PROGRAM\" {} --data-dir \"$DATA\"", variables.join(" "));
        script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        script.env("PROGRAM", self.program).env("DATA", self.data).env("TERM", "xterm-256color");
        script.env_remove("NO_COLOR").env_remove("CI").env("SHELL", "/bin/sh");
        for (n, word) in words.iter().enumerate() {
            script.env(format!("WORD{n}"), word);
        }
        let told = script.stdin(Stdio::null()).output().context("cannot run script")?;
        Ok(told.stdout)
    }
}

/// The same without what sets colours, as far as we set them: of those that names bring none is ours.
fn without_colours(told: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut rest = told;
    while let Some(at) = rest.windows(2).position(|two| two == b"\x1b[") {
        let (before, after) = rest.split_at(at);
        text.extend_from_slice(before);
        let length = after.iter().skip(2).take_while(|byte| matches!(byte, b'0'..=b'9' | b';'));
        let length = length.count() + 2;
        let is_ours = after.get(length) == Some(&b'm') && !after.starts_with(b"\x1b[7m");
        let (code, left) = after.split_at(if is_ours { length + 1 } else { 2 });
        text.extend_from_slice(if is_ours { b"" } else { code });
        rest = left;
    }
    text.extend_from_slice(rest);
    text
}

/// Whether it is UTF-8, without a control character but the end of a line, and without marks that hide
/// text or turn it.
pub(super) fn is_text(told: &[u8]) -> anyhow::Result<()> {
    let text = std::str::from_utf8(told).context("it is not UTF-8")?;
    // A terminal is told to go back to the beginning of the line, too.
    for line in text.lines() {
        let shown = escape(line.trim_end_matches('\r').as_bytes());
        if shown != line.trim_end_matches('\r') {
            bail!("a line has more than text: {shown}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_colours_are_no_part_of_the_text_and_those_of_names_are() {
        assert_eq!(without_colours(b"\x1b[1;31mred\x1b[0m\n"), b"red\n");
        assert_eq!(without_colours(b"a\x1b[2Jb"), b"a\x1b[2Jb");
        assert_eq!(without_colours(b"a\x1b[7mb"), b"a\x1b[7mb");
        assert_eq!(without_colours(b"a\x1b["), b"a\x1b[");
    }

    #[test]
    fn text_is_lines_and_nothing_that_hides_or_turns() {
        assert!(is_text("fünf\r\n二\n".as_bytes()).is_ok());
        for wrong in [b"a\x1b[7m".as_slice(), b"\xff", "\u{202e}".as_bytes(), b"a\tb", b"a\rb"] {
            assert!(is_text(wrong).is_err(), "{wrong:?}");
        }
    }
}
