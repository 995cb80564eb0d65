//! What a text says of its metrics before their samples: type and help.

use std::borrow::Cow;
use std::collections::HashMap;

use highwater_core::metric::{self, MetricKind};
use highwater_core::series::Labels;
use highwater_core::{text, thing};

use super::labels;
use crate::desk::Odd;

/// Families whose type and help are kept; what one machine exposes has some thousands.
const MAX_FAMILIES: usize = 100_000;

/// As much of a help text as is kept, in bytes.
const MAX_HELP: usize = 1024;

/// The endings that samples have beyond their family's name.
const ENDINGS: [&str; 8] =
    ["_total", "_created", "_bucket", "_count", "_sum", "_info", "_gcount", "_gsum"];

/// What `# TYPE` says; `untyped` and `unknown` say nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Type {
    #[default]
    Unknown,
    Gauge,
    Counter,
    /// Histogram or summary: counters, but for the quantiles.
    Distribution,
}

#[derive(Debug, Default)]
struct Family {
    kind: Type,
    help: String,
}

/// The families so far.
#[derive(Debug, Default)]
pub(crate) struct Families {
    by_name: HashMap<String, Family>,
    /// The kinds of the catalogue: `OpenMetrics` has no counter that does not end in `_total`, so
    /// `node_vmstat_pgfault` travels without its kind.
    known: HashMap<&'static str, MetricKind>,
    is_open_metrics: bool,
}

impl Families {
    pub(crate) fn new() -> Self {
        Self { known: known(), ..Self::default() }
    }

    /// Takes a comment; what is not of use in it is nothing odd.
    pub(crate) fn comment(&mut self, line: &[u8]) -> Result<(), Odd> {
        let rest = line.strip_prefix(b"#").unwrap_or(line).trim_ascii_start();
        let (word, rest) = split(rest);
        let (name, rest) = name(rest);
        match word {
            b"TYPE" => {
                let kind = self.kind(rest.trim_ascii_end());
                self.of(&name)?.kind = kind;
            }
            b"HELP" => {
                let rest = rest.get(..MAX_HELP).unwrap_or(rest);
                self.of(&name)?.help = text::escape(&labels::unescape(rest)).into_owned();
            }
            b"UNIT" => self.is_open_metrics = true,
            _ => {}
        }
        Ok(())
    }

    /// Whether something was said that only `OpenMetrics` says.
    pub(crate) const fn is_open_metrics(&self) -> bool {
        self.is_open_metrics
    }

    fn kind(&mut self, word: &[u8]) -> Type {
        let (kind, is_open_metrics) = match word {
            b"gauge" => (Type::Gauge, false),
            b"counter" => (Type::Counter, false),
            b"histogram" | b"summary" => (Type::Distribution, false),
            b"gaugehistogram" | b"stateset" | b"info" => (Type::Gauge, true),
            b"unknown" => (Type::Unknown, true),
            _ => (Type::Unknown, false),
        };
        self.is_open_metrics |= is_open_metrics;
        kind
    }

    fn of(&mut self, name: &[u8]) -> Result<&mut Family, Odd> {
        let name = text::escape(name.trim_ascii());
        if self.by_name.len() >= MAX_FAMILIES && !self.by_name.contains_key(&*name) {
            return Err(Odd::ManyFamilies);
        }
        Ok(self.by_name.entry(name.into_owned()).or_default())
    }

    /// Kind and help of a sample called `name`.
    pub(crate) fn kind_of(&self, name: &str, labels: &Labels) -> (MetricKind, &str) {
        let (family, ending) = self.family(name);
        let help = family.map_or("", |family| family.help.as_str());
        let kind = match family.map_or(Type::Unknown, |family| family.kind) {
            _ if ending == "_created" => MetricKind::Gauge,
            Type::Counter => MetricKind::Counter,
            Type::Distribution if labels.get("quantile").is_empty() => MetricKind::Counter,
            Type::Gauge | Type::Distribution => MetricKind::Gauge,
            Type::Unknown => self.known.get(name).copied().unwrap_or_else(|| guess(name)),
        };
        (kind, help)
    }

    /// The family of a sample called `name`, and what the sample has beyond its name.
    fn family(&self, name: &str) -> (Option<&Family>, &'static str) {
        if let Some(family) = self.by_name.get(name) {
            return (Some(family), "");
        }
        let found = ENDINGS.into_iter().find_map(|ending| {
            let family = self.by_name.get(name.strip_suffix(ending)?)?;
            Some((Some(family), ending))
        });
        found.unwrap_or((None, ""))
    }
}

fn known() -> HashMap<&'static str, MetricKind> {
    let machine = metric::machine();
    let frames = (machine.iter().map(|column| (column.name, column.kind)))
        .chain(metric::ZONE.iter().map(|column| (column.name, column.kind)))
        .chain(metric::CGROUP.iter().map(|column| (column.name, column.kind)))
        .chain(metric::PROCESS.iter().map(|column| (column.name, column.kind)))
        .chain(metric::OWNER.iter().map(|column| (column.name, column.kind)));
    frames.chain(thing::names::THINGS.iter().map(|thing| (thing.name, thing.kind))).collect()
}

/// What a name says of itself, where nobody says more.
fn guess(name: &str) -> MetricKind {
    let counts = name.ends_with("_total") || name.ends_with("_bucket");
    if counts { MetricKind::Counter } else { MetricKind::Gauge }
}

/// The name of a family, in quotes or not, and what follows it.
fn name(text: &[u8]) -> (Cow<'_, [u8]>, &[u8]) {
    if let Some((name, rest)) = labels::quoted(text) {
        return (name, rest.trim_ascii_start());
    }
    let (name, rest) = split(text);
    (Cow::Borrowed(name), rest)
}

/// The first word, and what follows it.
fn split(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| labels::is_blank(*byte)).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    (word, rest.trim_ascii_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Families {
        let mut families = Families::new();
        text.lines().for_each(|line| families.comment(line.as_bytes()).unwrap());
        families
    }

    #[test]
    fn a_sample_finds_its_family_by_its_ending() {
        let families = kinds(
            "# TYPE a counter\n# HELP a Of \\\\a and \\n.\n# TYPE h histogram\n# TYPE s summary\n\
             # TYPE g gauge\n# HELP g_sum of itself\n# TYPE x_total counter\n# a comment\n#\n",
        );
        let kind = |name| families.kind_of(name, &Labels::default()).0;
        assert_eq!(families.kind_of("a_total", &Labels::default()).1, r"Of \a and \n.");
        for name in ["a_total", "h_bucket", "h_count", "s_sum", "x_total", "b_total"] {
            assert_eq!(kind(name), MetricKind::Counter, "{name}");
        }
        for name in ["a_created", "g", "nobody", "h_created", "g_sum", "node_memory_Slab_bytes"] {
            assert_eq!(kind(name), MetricKind::Gauge, "{name}");
        }
        assert_eq!(kind("node_vmstat_pgfault"), MetricKind::Counter);
        let quantile = Labels::new([("quantile", "0.5")]);
        assert_eq!(families.kind_of("s", &quantile).0, MetricKind::Gauge);
        assert!(!families.is_open_metrics());
        assert!(kinds("# TYPE a unknown").is_open_metrics());
    }

    #[test]
    fn families_and_help_are_bounded() {
        let mut families = Families::new();
        for at in 0..MAX_FAMILIES {
            families.comment(format!("# TYPE f{at} gauge").as_bytes()).unwrap();
        }
        assert_eq!(families.comment(b"# TYPE one_more gauge"), Err(Odd::ManyFamilies));
        let help = format!("# HELP f1 {}", "x".repeat(9999));
        families.comment(help.as_bytes()).unwrap();
        assert_eq!(families.kind_of("f1", &Labels::default()).1.len(), MAX_HELP);
    }
}
