//! `OpenMetrics` text, written series by series.
//!
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>: families are not interleaved, samples
//! of one series stand together in order of time, the last line is `# EOF`.

use std::collections::HashSet;
use std::io::{self, Write};

use highwater_core::metric::MetricKind;
use highwater_core::series::{Labels, NAME};
use highwater_core::time::WallTime;

/// Writes series in `OpenMetrics` text, with timestamps.
///
/// All series of one metric must come one after the other, best in order of their names; the
/// samples of each follow it, in order of time. What [`Reader`](crate::Reader) reads of it is what
/// was written, to the bit of every value. Names of other letters than metrics have are written in
/// quotes, as Prometheus 3 reads them. A counter that does not end in `_total` is of type
/// `unknown`: `OpenMetrics` has no other word for it.
#[derive(Debug)]
pub struct OpenMetricsWriter<W> {
    out: W,
    /// Families begun: none may come back.
    begun: HashSet<String>,
    /// The metric that is being written.
    name: String,
    /// The series that is being written, as it stands before each value.
    head: String,
    /// One line, built before it is written.
    line: String,
}

/// Why a series could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The place could not be written to.
    #[error("cannot write samples")]
    Io(#[from] io::Error),
    /// The series has no name.
    #[error("the series {0} has no name: give it the label __name__")]
    Nameless(Labels),
    /// The series of one metric came apart.
    #[error("series of {0} come apart: write all series in order of their names")]
    Apart(String),
}

impl<W: Write> OpenMetricsWriter<W> {
    /// Writes to `out`, which should be buffered.
    pub fn new(out: W) -> Self {
        let (name, head, line) = (String::new(), String::new(), String::new());
        Self { out, begun: HashSet::new(), name, head, line }
    }

    /// Begins a series.
    pub fn series(
        &mut self,
        labels: &Labels,
        kind: MetricKind,
        help: &str,
    ) -> Result<(), WriteError> {
        let name = labels.get(NAME);
        if name.is_empty() {
            return Err(WriteError::Nameless(labels.clone()));
        }
        if name != self.name {
            self.family(name, kind, help)?;
            name.clone_into(&mut self.name);
        }
        self.head.clear();
        push_series(&mut self.head, name, labels);
        Ok(())
    }

    /// Writes what is said of a metric before its series.
    fn family(&mut self, name: &str, kind: MetricKind, help: &str) -> Result<(), WriteError> {
        let short = name.strip_suffix("_total").filter(|short| !short.is_empty());
        let short = short.filter(|short| !self.begun.contains(*short));
        let (family, word) = match (kind, short) {
            (MetricKind::Gauge, _) => (name, "gauge"),
            (MetricKind::Counter, Some(short)) => (short, "counter"),
            (MetricKind::Counter, None) => (name, "unknown"),
        };
        if !self.begun.insert(family.to_owned()) {
            return Err(WriteError::Apart(name.to_owned()));
        }
        let line = &mut self.line;
        line.clear();
        line.push_str("# TYPE ");
        push_name(line, family, is_metric_name(family));
        line.extend([" ", word, "\n"]);
        if !help.is_empty() {
            line.push_str("# HELP ");
            push_name(line, family, is_metric_name(family));
            line.push(' ');
            push_escaped(line, help);
            line.push('\n');
        }
        Ok(self.out.write_all(line.as_bytes())?)
    }

    /// Writes a sample of the series begun last.
    pub fn sample(&mut self, at: WallTime, value: f64) -> Result<(), WriteError> {
        let line = &mut self.line;
        line.clear();
        line.push_str(&self.head);
        line.push(' ');
        push_value(line, value);
        line.push(' ');
        push_seconds(line, at);
        line.push('\n');
        Ok(self.out.write_all(line.as_bytes())?)
    }

    /// Writes the end and gives the place back, flushed.
    pub fn finish(mut self) -> Result<W, WriteError> {
        self.out.write_all(b"# EOF\n")?;
        self.out.flush()?;
        Ok(self.out)
    }
}

/// `name{a="b"}`, or `{"a name",a="b"}`.
fn push_series(out: &mut String, name: &str, labels: &Labels) {
    let is_plain = is_metric_name(name);
    if is_plain {
        out.push_str(name);
    }
    let mut mark = '{';
    if !is_plain {
        out.push(mark);
        push_name(out, name, false);
        mark = ',';
    }
    for (label, value) in labels.iter().filter(|(label, _)| *label != NAME) {
        out.push(mark);
        push_name(out, label, is_name(label));
        out.push_str("=\"");
        push_escaped(out, value);
        out.push('"');
        mark = ',';
    }
    if mark == ',' {
        out.push('}');
    }
}

fn push_name(out: &mut String, name: &str, is_plain: bool) {
    let quote = if is_plain { "" } else { "\"" };
    out.push_str(quote);
    push_escaped(out, name);
    out.push_str(quote);
}

fn push_escaped(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\\' | '"' => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
}

fn is_metric_name(name: &str) -> bool {
    is_name(&name.replace(':', "_"))
}

fn is_name(name: &str) -> bool {
    let begins = name.bytes().next().is_some_and(|first| !first.is_ascii_digit());
    begins && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The shortest decimal that is this number and no other.
fn push_value(out: &mut String, value: f64) {
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else {
        let text = format!("{value:?}");
        out.push_str(text.strip_suffix(".0").unwrap_or(&text));
    }
}

/// Seconds since 1970, with as many decimals as there are.
fn push_seconds(out: &mut String, at: WallTime) {
    let (all, sign) = (at.millis().unsigned_abs(), if at.millis() < 0 { "-" } else { "" });
    let text = format!("{sign}{}.{:03}", all / 1000, all % 1000);
    out.push_str(text.trim_end_matches('0').trim_end_matches('.'));
}
