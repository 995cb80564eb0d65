//! The page in a real browser: a script of `ui/drive` drives it, and states what holds.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use super::Scoreboard;
use crate::borrowed::Running;
use crate::repo;

/// A line of a script that begins so asks for what only the test can do.
const PLEASE: &str = "please\t";

/// Has the browser driven, and takes its statements over; what the script asks for is done by `please`.
pub(super) fn drive(
    script: &[&OsStr],
    board: &mut Scoreboard,
    mut please: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut node = Command::new("node");
    node.current_dir(repo::root().join("ui")).args(script);
    let mut node = Running::start(node.stdin(Stdio::null()).stdout(Stdio::piped()))?;
    let said = node.stdout.take().context("node has no output")?;
    let mut statements: usize = 0;
    for line in BufReader::new(said).lines() {
        let line = line?;
        if line.starts_with(PLEASE) {
            please()?;
        }
        let Some((outcome, statement, seen)) = statement(&line) else { continue };
        statements += 1;
        board.check(statement, outcome.then(|| seen.to_owned()).with_context(|| seen.to_owned()));
    }
    let ended = node.wait()?;
    ensure!(ended.success(), "the browser was not driven to the end: {ended}");
    ensure!(statements > 0, "the browser's driver stated nothing");
    Ok(())
}

/// `ok` or `FAIL`, a tab, the statement, a tab, what was seen.
fn statement(line: &str) -> Option<(bool, &str, &str)> {
    let (outcome, rest) = line.split_once('\t')?;
    let (statement, seen) = rest.split_once('\t')?;
    matches!(outcome, "ok" | "FAIL").then_some((outcome == "ok", statement, seen))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_driver_is_a_statement() {
        assert_eq!(statement("ok\tit is so\tseen\tso"), Some((true, "it is so", "seen\tso")));
        assert_eq!(statement("FAIL\tit is so\tnot"), Some((false, "it is so", "not")));
        for other in ["ok, and no tabs", "please\tkill", "please\tkill\tme"] {
            assert_eq!(statement(other), None);
        }
    }
}
