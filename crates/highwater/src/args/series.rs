//! What can be typed to take series in and to give them out.

use std::path::PathBuf;

use highwater_core::series::{Matcher, NAME, Want};
use highwater_exchange::{Format, VmstatUnit};
use jiff::tz::TimeZone;

use super::{Since, since};

/// Import series that another program recorded, to ask them as if highwater had.
///
/// Reads OpenMetrics and Prometheus text with timestamps, `sadf -j` and `vmstat -t`, also compressed; -
/// is standard input. The data directory is one for imported series only: nothing of it is ever
/// forgotten, and no agent records into it. Files may come in any order, be of any age, overlap or come
/// again: of several samples of one series at one moment the first stays.
///
/// Exit status: 0 imported; 1 a file cannot be read, or not to its end (the rest is imported all the
/// same); 64 usage.
#[derive(Debug, clap::Args)]
pub(crate) struct ImportArgs {
    /// Files to import; - is standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Where to import into; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// What the files are, where that cannot be told from their beginning
    #[arg(long, value_name = "FORMAT", value_parser = format)]
    pub(crate) format: Option<Format>,
    /// When samples without a timestamp were taken: 2026-11-20T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub(crate) at: Option<Since>,
    /// The time zone of local times in vmstat and sadf: Europe/Berlin, UTC
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    pub(crate) zone: Option<TimeZone>,
    /// What `vmstat -S` was given: k, K, m or M
    #[arg(long, value_name = "UNIT", value_parser = unit)]
    pub(crate) unit: Option<VmstatUnit>,
    /// The machine that vmstat ran on: the label `instance` of its series
    #[arg(long, value_name = "NAME")]
    pub(crate) instance: Option<String>,
    /// Answer in JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Export series as OpenMetrics text with timestamps.
///
/// Of any data directory, recorded or imported, also while the agent records. Each series comes as a
/// whole, by metric and then by labels; of what is too old to be there as sampled, the last sample of
/// each bucket. The text is what `highwater import` reads.
///
/// Exit status: 0 written; 1 there is no recording, it cannot be read, or nothing matches; 64 usage.
#[derive(Debug, clap::Args)]
pub(crate) struct ExportSeriesArgs {
    /// Only these series: NAME, NAME{label="value",other!="value"}; may be given several times
    #[arg(long = "match", value_name = "SERIES", value_parser = selector)]
    pub(crate) choices: Vec<Choice>,
    /// Only samples since then: 2h, 7d, 2026-11-20, 2026-11-20T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub(crate) start: Option<Since>,
    /// Only samples until then
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub(crate) end: Option<Since>,
    /// Write this file in place of standard output; none is overwritten
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Where the data is
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// Conditions on a series, all of which must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice(pub(crate) Vec<Matcher>);

fn format(text: &str) -> Result<Format, &'static str> {
    match text {
        "openmetrics" | "prometheus" => Ok(Format::OpenMetrics),
        "sadf" => Ok(Format::Sadf),
        "vmstat" => Ok(Format::Vmstat),
        _ => Err("the formats are openmetrics (also for Prometheus text), sadf and vmstat"),
    }
}

fn zone(text: &str) -> Result<TimeZone, String> {
    TimeZone::get(text).map_err(|_| {
        "no such time zone: name one as in /usr/share/zoneinfo, such as Europe/Berlin, or UTC"
            .to_owned()
    })
}

fn unit(text: &str) -> Result<VmstatUnit, &'static str> {
    match text {
        "k" => Ok(VmstatUnit::Kilo),
        "K" => Ok(VmstatUnit::Kibi),
        "m" => Ok(VmstatUnit::Mega),
        "M" => Ok(VmstatUnit::Mebi),
        _ => Err("one of k (1,000 bytes), K (1,024), m (1,000,000) and M (1,048,576)"),
    }
}

/// `name`, `name{label="value"}`, `{__name__="name",label!="value"}`.
fn selector(text: &str) -> Result<Choice, String> {
    let (name, rest) = text.split_once('{').unwrap_or((text, "}"));
    let mut matchers = vec![];
    if !name.trim().is_empty() {
        matchers.push(Matcher::is(NAME, name.trim()));
    }
    let mut rest = rest.trim_start();
    while let Some(more) = rest.strip_prefix('}').is_none().then_some(rest) {
        let (matcher, behind) = condition(more)?;
        matchers.push(matcher);
        rest = behind.trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
    match (rest, matchers.is_empty()) {
        ("}", false) => Ok(Choice(matchers)),
        ("}", true) => Err("nothing is named: give a metric's name or a label".to_owned()),
        _ => Err(format!("{rest:?} stands behind the closing brace")),
    }
}

/// One condition, and what is behind it.
fn condition(text: &str) -> Result<(Matcher, &str), String> {
    let ends = |c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':');
    let end = text.find(ends).ok_or("a brace is not closed")?;
    let (label, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    let rest = rest.trim_start();
    if rest.starts_with("=~") || rest.starts_with("!~") {
        return Err("patterns (=~, !~) are not known here: name the series one by one".to_owned());
    }
    let is = |rest| (true, rest);
    let equals = rest.strip_prefix('=').map(is);
    let (equal, rest) = equals
        .or_else(|| rest.strip_prefix("!=").map(|rest| (false, rest)))
        .filter(|_| !label.is_empty())
        .ok_or(r#"a condition is label="value" or label!="value""#)?;
    let (value, rest) = quoted(rest.trim_start()).ok_or("a value stands between quotes")?;
    let want = if equal { Want::Is(value) } else { Want::IsNot(value) };
    Ok((Matcher { name: label.to_owned(), want }, rest))
}

/// A string between quotes, with `\"`, `\\` and `\n`, and what is behind it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let inner = text.strip_prefix('"')?;
    let mut letters = inner.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, inner.get(at.saturating_add(1)..)?)),
            '\\' => value.push(match letters.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_named_as_in_promql() {
        let name = Matcher::is(NAME, "up");
        let label = Matcher::is("id", "/a \"b\"");
        let not = Matcher { name: "x".to_owned(), want: Want::IsNot(String::new()) };
        for (text, wanted) in [
            ("up", vec![name.clone()]),
            ("up{}", vec![name.clone()]),
            (r#"up{id="/a \"b\"",x!=""}"#, vec![name.clone(), label.clone(), not]),
            (r#"{ __name__ = "up" , id="/a \"b\"", }"#, vec![name, label]),
        ] {
            assert_eq!(selector(text), Ok(Choice(wanted)), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_selector_is_told() {
        for text in
            ["", "{}", "up{", "up{id}", "up{id=x}", r#"up{id=~"x"}"#, "up{} x", r#"up{="x"}"#]
        {
            assert!(selector(text).is_err(), "{text}");
        }
        assert!(selector(r#"up{id=~".*"}"#).unwrap_err().contains("patterns"));
    }
}
