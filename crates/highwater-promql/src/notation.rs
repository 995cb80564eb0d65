//! The notation of Prometheus's tests: series, `name{label="value"} 1 2+3x4 _ stale {{count:1}}`,
//! durations and numbers; and a memory that answers with what was written in it.

mod memory;

use highwater_core::series::{Labels, NAME, STALE};

use crate::lex::text;

pub use memory::{Memory, Met};

/// A series of one line is not longer than this: a slip of the pen should not fill the memory.
const MOST_SAMPLES: usize = 1_000_000;

/// A text that is not written in this notation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadNotation(String);

type Result<T> = std::result::Result<T, BadNotation>;

/// The fault that is told by `what`.
fn bad<T>(what: impl Into<String>) -> Result<T> {
    Err(BadNotation(what.into()))
}

/// What was looked for, or the fault that it is not there.
fn found<T>(value: Option<T>, what: impl FnOnce() -> String) -> Result<T> {
    value.ok_or_else(|| BadNotation(what()))
}

/// What stands at one moment of a series.
#[derive(Clone, Copy, Debug)]
pub enum Sample {
    /// Nothing (`_`).
    Gap,
    /// A number, the mark of an end among them.
    Float(f64),
    /// A native histogram (`{{…}}`), of which no more is known than that it is one.
    Histogram,
}

/// One line: a series and its samples.
#[derive(Clone, Debug)]
pub struct Line {
    /// The series.
    pub labels: Labels,
    /// Whether the name ends in `@st`: the values are moments at which counting began.
    pub starts: bool,
    /// What stands at its moments, one after another.
    pub samples: Vec<Sample>,
}

impl Line {
    /// Reads a line.
    pub fn read(line: &str) -> Result<Self> {
        let mut text = Text(line.trim());
        let (labels, starts) = text.metric()?;
        // Moments of beginning are durations: what they are is not asked, how many there are neither.
        let samples = if starts { Vec::new() } else { text.samples()? };
        Ok(Self { labels, starts, samples })
    }
}

/// A duration in milliseconds: `1h30m`, `10s53ms`, `0`, `-5m`.
pub fn duration_ms(text: &str) -> Result<i64> {
    const UNITS: [(&str, i64); 7] = [
        ("ms", 1),
        ("s", 1_000),
        ("m", 60_000),
        ("h", 3_600_000),
        ("d", 86_400_000),
        ("w", 604_800_000),
        ("y", 31_536_000_000),
    ];
    let not = || BadNotation(format!("{text:?} is no duration"));
    let (sign, mut rest) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(not());
    }
    let mut total = 0_i64;
    while !rest.is_empty() {
        let (digits, after) = split_while(rest, |c| c.is_ascii_digit());
        let (unit, after) = split_while(after, |c| c.is_ascii_alphabetic());
        let count = digits.parse::<i64>().map_err(|_| not())?;
        let (_, ms) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(not)?;
        total = count.checked_mul(*ms).and_then(|ms| total.checked_add(ms)).ok_or_else(not)?;
        rest = after;
    }
    Ok(sign * total)
}

/// A number that stands alone: a float, or an integer with the prefix of its base.
pub fn number(text: &str) -> Option<f64> {
    let (sign, plain) = text.strip_prefix('-').map_or((1.0, text), |rest| (-1.0, rest));
    for (prefix, base) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = plain.to_ascii_lowercase().strip_prefix(prefix) {
            let value = u32::from_str_radix(digits, base).ok()?;
            return Some(sign * f64::from(value));
        }
    }
    let mut rest = Text(text);
    rest.float().filter(|_| rest.0.is_empty())
}

/// The text within quotes: `"…"` and `'…'` with escapes, or `` `…` `` as it is.
pub fn quoted(text: &str) -> Result<String> {
    let mut rest = Text(text);
    let value = rest.string()?;
    if !rest.0.is_empty() {
        return bad(format!("{:?} follows the closing quote", rest.0));
    }
    Ok(value)
}

/// What is left of a line.
struct Text<'a>(&'a str);

impl<'a> Text<'a> {
    fn skip_blanks(&mut self) {
        self.0 = self.0.trim_start();
    }

    /// Whether `token` comes next; it is taken.
    fn takes(&mut self, token: &str) -> bool {
        self.0.strip_prefix(token).map(|rest| self.0 = rest).is_some()
    }

    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let (taken, rest) = split_while(self.0, belongs);
        self.0 = rest;
        taken
    }

    /// `name{label="value", …}`, each part optional, and whether the name ends in `@st`.
    fn metric(&mut self) -> Result<(Labels, bool)> {
        let mut labels = Labels::default();
        let name = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
        labels.set(NAME, name);
        let starts = self.takes("@st");
        if !self.takes("{") {
            if name.is_empty() {
                return bad(format!("{:?} begins no series", self.0));
            }
            return Ok((labels, starts));
        }
        loop {
            self.skip_blanks();
            if self.takes("}") {
                return Ok((labels, starts));
            }
            self.label(&mut labels)?;
            self.skip_blanks();
            if !self.takes(",") && !self.0.starts_with('}') {
                return bad(format!("expected , or }} at {:?}", self.0));
            }
        }
    }

    /// `name="value"`; a quoted text alone is the metric's name.
    fn label(&mut self, labels: &mut Labels) -> Result<()> {
        let is_quoted = self.0.starts_with(['"', '\'', '`']);
        let name = if is_quoted {
            self.string()?
        } else {
            self.take_while(|c| c.is_ascii_alphanumeric() || c == '_').to_owned()
        };
        self.skip_blanks();
        if !self.takes("=") {
            if !is_quoted {
                return bad(format!("expected a label at {:?}", self.0));
            }
            labels.set(NAME, name);
            return Ok(());
        }
        self.skip_blanks();
        labels.set(name, self.string()?);
        Ok(())
    }

    fn string(&mut self) -> Result<String> {
        if !self.0.starts_with(['"', '\'', '`']) {
            return bad(format!("expected a quote at {:?}", self.0));
        }
        let (text, length) = text::read(self.0).map_err(|what| BadNotation(what.to_owned()))?;
        let (_, rest) = self.0.split_at_checked(length).unwrap_or(("", ""));
        self.0 = rest;
        Ok(text.value)
    }

    fn samples(&mut self) -> Result<Vec<Sample>> {
        let mut samples = Vec::new();
        loop {
            self.skip_blanks();
            if self.0.is_empty() || self.0.starts_with('#') {
                return Ok(samples);
            }
            self.item(&mut samples)?;
            if samples.len() > MOST_SAMPLES {
                return bad(format!("more than {MOST_SAMPLES} samples"));
            }
            if !self.0.chars().next().is_none_or(char::is_whitespace) {
                return bad(format!("expected a blank at {:?}", self.0));
            }
        }
    }

    /// One item: a sample, or many of one kind.
    fn item(&mut self, samples: &mut Vec<Sample>) -> Result<()> {
        if self.takes("_") {
            let count = self.times()?.unwrap_or(1);
            samples.extend(std::iter::repeat_n(Sample::Gap, count));
        } else if self.0.starts_with("{{") {
            self.histogram()?;
            if self.0.starts_with(['+', '-']) {
                self.take_while(|c| matches!(c, '+' | '-'));
                self.histogram()?;
            }
            let count = self.times()?.map_or(1, |more| more.saturating_add(1));
            samples.extend(std::iter::repeat_n(Sample::Histogram, count));
        } else if self.takes("stale") {
            let count = self.times()?.map_or(1, |more| more.saturating_add(1));
            samples.extend(std::iter::repeat_n(Sample::Float(STALE), count));
        } else {
            self.floats(samples)?;
        }
        Ok(())
    }

    fn histogram(&mut self) -> Result<()> {
        if !self.takes("{{") {
            return bad(format!("expected {{{{ at {:?}", self.0));
        }
        let (_, rest) = found(self.0.split_once("}}"), || "no closing }}".to_owned())?;
        self.0 = rest;
        Ok(())
    }

    /// `a`, `axN` and `a+bxN`.
    fn floats(&mut self, samples: &mut Vec<Sample>) -> Result<()> {
        let at = self.0;
        let mut value = found(self.float(), || format!("expected a value: {at:?}"))?;
        let step = if self.0.starts_with(['+', '-']) {
            let at = self.0;
            Some(found(self.float(), || format!("expected a step at {at:?}"))?)
        } else {
            None
        };
        let more = self.times()?;
        if more.is_none() && step.is_some() {
            return bad("a step without xN");
        }
        for _ in 0..=more.unwrap_or(0) {
            samples.push(Sample::Float(value));
            // Added up as the original does: its rounding is part of what tests expect.
            value += step.unwrap_or(0.0);
        }
        Ok(())
    }

    /// `xN`, if it comes next.
    fn times(&mut self) -> Result<Option<usize>> {
        if !self.takes("x") {
            return Ok(None);
        }
        let count = self.take_while(|c| c.is_ascii_digit());
        let count = found(count.parse().ok(), || format!("expected a count at {:?}", self.0))?;
        if count > MOST_SAMPLES {
            return bad(format!("more than {MOST_SAMPLES} samples"));
        }
        Ok(Some(count))
    }

    /// A number with its sign, or `Inf`, or `NaN`. Hexadecimal ones are not: `0x5` is six zeros.
    fn float(&mut self) -> Option<f64> {
        let sign = if self.takes("-") { -1.0 } else { 1.0 };
        if sign > 0.0 {
            self.takes("+");
        }
        if let Some((word, rest)) = self.0.split_at_checked(3) {
            for (name, value) in [("inf", f64::INFINITY), ("nan", f64::NAN)] {
                if word.eq_ignore_ascii_case(name) {
                    self.0 = rest;
                    return Some(sign * value);
                }
            }
        }
        let (mantissa, rest) = split_while(self.0, |c| c.is_ascii_digit() || c == '.');
        let (exponent, rest) = exponent(rest);
        let value = format!("{mantissa}{exponent}").parse::<f64>().ok()?;
        self.0 = rest;
        Some(sign * value)
    }
}

/// `e10`, `E-3`, or nothing, and the rest.
fn exponent(text: &str) -> (String, &str) {
    let none = || (String::new(), text);
    let Some(rest) = text.strip_prefix(['e', 'E']) else { return none() };
    let minus = if rest.starts_with('-') { "-" } else { "" };
    let (digits, rest) = split_while(rest.trim_start_matches(['+', '-']), |c| c.is_ascii_digit());
    if digits.is_empty() { none() } else { (format!("e{minus}{digits}"), rest) }
}

fn split_while(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !belongs(c)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}
