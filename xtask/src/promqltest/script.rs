//! A test file: `load`, `clear` and `eval`, each with what stands below it up to an empty line.
//!
//! Lines are trimmed, and a comment is an empty line: one in the middle of a block ends it.

use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use highwater_core::time::WallTime;
use highwater_promql::notation::{self, Line, Memory};
use regex::{Captures, Regex};

use super::case::{Asked, Case, Expected, Notes, Steps, Wanted};

/// One command.
#[derive(Debug)]
pub(crate) enum Command {
    /// Forget everything.
    Clear,
    /// Samples come in.
    Load(Load),
    /// A query and what it must give.
    Eval(Box<Case>),
}

/// Samples that come in.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) step_ms: i64,
    /// Whether classic histograms come in as native ones too.
    pub(crate) nhcb: bool,
    pub(crate) lines: Vec<Line>,
}

/// Reads a file. An error names its line.
pub(crate) fn read(text: &str) -> anyhow::Result<Vec<Command>> {
    let mut lines = Lines { rest: text.lines().enumerate() };
    let mut commands = Vec::new();
    while let Some((number, line)) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let command = command(number, line, &mut lines);
        commands.push(command.with_context(|| format!("{number}: {line}"))?);
    }
    Ok(commands)
}

/// The lines, counted from one and trimmed; a comment is empty.
struct Lines<'a> {
    rest: std::iter::Enumerate<std::str::Lines<'a>>,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<(usize, &'a str)> {
        let (at, line) = self.rest.next()?;
        let line = line.trim();
        Some((at + 1, if line.starts_with('#') { "" } else { line }))
    }

    /// The next line of a block.
    fn in_block(&mut self) -> Option<&'a str> {
        self.next().map(|(_, line)| line).filter(|line| !line.is_empty())
    }
}

static LOAD: LazyLock<Regex> = LazyLock::new(|| pattern(r"^load(?:_(with_nhcb))?\s+(.+)$"));
static INSTANT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^eval(?:_(fail|warn|ordered|info))?\s+instant\s+at\s+(\S+)\s+(.+)$")
});
static RANGE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^eval(?:_(fail|warn|info))?\s+range\s+from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+)\s+(.+)$",
    )
});
static NOTE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^expect\s+(ordered|fail|warn|no_warn|info|no_info)(?:\s+(regex|msg):(.+))?$")
});
static STEPS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^expect\s+range\s+vector\s+from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+)$")
});
static TEXT: LazyLock<Regex> = LazyLock::new(|| pattern(r"^expect\s+string\s+(.+)$"));

#[expect(clippy::expect_used, reason = "a pattern of this file; the tests compile each")]
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a good pattern")
}

fn part<'a>(found: &Captures<'a>, at: usize) -> &'a str {
    found.get(at).map_or("", |part| part.as_str())
}

fn command(number: usize, line: &str, lines: &mut Lines<'_>) -> anyhow::Result<Command> {
    if line.eq_ignore_ascii_case("clear") {
        return Ok(Command::Clear);
    }
    if let Some(found) = LOAD.captures(line) {
        return load(&found, lines).map(Command::Load);
    }
    let (asked, suffix, expr) = if let Some(found) = INSTANT.captures(line) {
        let at_ms = notation::duration_ms(part(&found, 2))?;
        (Asked::Instant { at_ms }, part(&found, 1).to_owned(), part(&found, 3))
    } else if let Some(found) = RANGE.captures(line) {
        (Asked::Range(steps(&found, 2)?), part(&found, 1).to_owned(), part(&found, 5))
    } else {
        bail!("neither load nor clear nor eval");
    };
    let expected = expected(&suffix, lines)?;
    let case = Case { line: number, expr: expr.to_owned(), asked, expected };
    Ok(Command::Eval(Box::new(case)))
}

impl Load {
    /// Puts its lines into a memory.
    pub(crate) fn put_into(&self, memory: &mut Memory) {
        for line in &self.lines {
            memory.load(line, self.step_ms);
            if self.nhcb {
                memory.load_buckets(line, self.step_ms);
            }
        }
    }
}

fn load(found: &Captures<'_>, lines: &mut Lines<'_>) -> anyhow::Result<Load> {
    let step_ms = notation::duration_ms(part(found, 2))?;
    let mut read = Vec::<Line>::new();
    while let Some(line) = lines.in_block() {
        let line = Line::read(line).with_context(|| line.to_owned())?;
        // Of two lines with one series the later one counts.
        read.retain(|other| other.labels != line.labels || other.starts != line.starts);
        read.push(line);
    }
    Ok(Load { step_ms, nhcb: !part(found, 1).is_empty(), lines: read })
}

fn steps(found: &Captures<'_>, first: usize) -> anyhow::Result<Steps> {
    let ms = |at| notation::duration_ms(part(found, first + at));
    let (from_ms, to_ms, step_ms) = (ms(0)?, ms(1)?, ms(2)?);
    ensure!(step_ms > 0, "a step of nothing");
    ensure!(from_ms <= to_ms, "an end before its beginning");
    Ok(Steps {
        from: WallTime::from_millis(from_ms),
        to: WallTime::from_millis(to_ms),
        step: Duration::from_millis(step_ms.unsigned_abs()),
    })
}

fn expected(suffix: &str, lines: &mut Lines<'_>) -> anyhow::Result<Expected> {
    let mut expected = Expected::default();
    expected.note(suffix, Wanted::Anything);
    while let Some(line) = lines.in_block() {
        let wanted = match line.split_once(char::is_whitespace) {
            Some(("expected_fail_message", text)) => Some(Wanted::Text(text.trim().to_owned())),
            Some(("expected_fail_regexp", text)) => Some(Wanted::Pattern(Regex::new(text.trim())?)),
            _ => None,
        };
        if let Some(wanted) = wanted {
            ensure!(suffix == "fail", "this failure is not expected");
            expected.fail = Some(wanted);
            break;
        }
        if line.starts_with("expect ") || line.starts_with("expect\t") {
            expect(line, &mut expected).with_context(|| line.to_owned())?;
        } else if let Some(number) = notation::number(line) {
            expected.number = Some(number);
            break;
        } else {
            expected.lines.push(Line::read(line).with_context(|| line.to_owned())?);
        }
    }
    Ok(expected)
}

fn expect(line: &str, expected: &mut Expected) -> anyhow::Result<()> {
    if let Some(found) = STEPS.captures(line) {
        expected.steps = Some(steps(&found, 1)?);
    } else if let Some(found) = TEXT.captures(line) {
        expected.text = Some(notation::quoted(part(&found, 1).trim())?);
    } else {
        let found = NOTE.captures(line).context("nothing that can be expected")?;
        let text = part(&found, 3).trim();
        let wanted = match part(&found, 2) {
            "msg" => Wanted::Text(text.to_owned()),
            "regex" => Wanted::Pattern(Regex::new(text)?),
            _ => Wanted::Anything,
        };
        let is_second = part(&found, 1) == "fail" && expected.fail.is_some();
        ensure!(!is_second, "a second expected failure");
        expected.note(part(&found, 1), wanted);
    }
    Ok(())
}

impl Expected {
    /// Takes in a word of the language: `fail`, `ordered`, `warn`, `no_info`, …
    fn note(&mut self, word: &str, wanted: Wanted) {
        match word {
            "ordered" => self.is_ordered = true,
            "fail" => self.fail = Some(wanted),
            "warn" => self.warnings.add(wanted),
            "info" => self.infos.add(wanted),
            "no_warn" => self.warnings = Notes::None,
            "no_info" => self.infos = Notes::None,
            _ => {}
        }
    }
}
