//! The text formats of metrics: Prometheus 0.0.4 and `OpenMetrics` 1.0.
//!
//! Samples are written family by family, since both formats want a family's samples together:
//!
//! ```text
//! # HELP node_memory_MemFree_bytes Memory that nobody uses.      <- once, before the first sample
//! # TYPE node_memory_MemFree_bytes gauge
//! node_memory_MemFree_bytes 1048576                              <- name{labels} value
//! ```
//!
//! No timestamps: a scraper's own clock dates a sample, and a series that stops goes stale at once.
//!
//! Sources: <https://prometheus.io/docs/instrumenting/exposition_formats/> and
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>.

use highwater_core::metric::MetricKind;

/// One of the two text formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text format 0.0.4: what everything reads.
    Prometheus,
    /// `OpenMetrics` 1.0.
    OpenMetrics,
}

impl Format {
    /// The format that an `Accept` header asks for. `OpenMetrics` only by name, in version 1.0.0
    /// or none, and only if it is wanted at least as much as plain text; else Prometheus text, also
    /// where neither is acceptable: a scraper can then still say what it got.
    pub fn accepted(accept: &str) -> Self {
        let (mut open, mut plain) = (0, 0);
        for range in accept.split(',') {
            let Some((media, quality)) = media_range(range) else { continue };
            match media {
                Media::OpenMetrics => open = open.max(quality),
                Media::Plain => plain = plain.max(quality),
            }
        }
        if open > 0 && open >= plain { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// The `Content-Type` of a body in this format.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

enum Media {
    OpenMetrics,
    Plain,
}

/// One part of an `Accept` header, with its quality in thousandths; `None` if it is not for us.
fn media_range(range: &str) -> Option<(Media, u32)> {
    let mut parts = range.split(';').map(str::trim);
    let media = match parts.next()?.to_ascii_lowercase().as_str() {
        "application/openmetrics-text" => Media::OpenMetrics,
        "text/plain" => Media::Plain,
        _ => return None,
    };
    let mut quality = 1000;
    for (name, value) in parts.filter_map(|part| part.split_once('=')) {
        match (name.trim().to_ascii_lowercase().as_str(), value.trim().trim_matches('"'), &media) {
            ("version", "1.0.0", Media::OpenMetrics) => {}
            ("version", _, Media::OpenMetrics) => return None,
            ("q", number, _) => quality = thousandths(number),
            _ => {}
        }
    }
    Some((media, quality))
}

/// A quality such as `0.75` in thousandths; what is not one counts as not wanted.
fn thousandths(number: &str) -> u32 {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let digits = format!("{part:0<3}");
    match (whole, digits.get(..3).and_then(|three| three.parse::<u32>().ok())) {
        ("1", Some(_)) => 1000,
        ("0", Some(part)) => part,
        _ => 0,
    }
}

/// What a family is, for its `TYPE` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Up and down.
    Gauge,
    /// Only up; the name ends in `_total`.
    Counter,
    /// Not said: `untyped` in Prometheus text, `unknown` in `OpenMetrics`.
    Unknown,
    /// Always 1, told by its labels; the name ends in `_info`. A gauge in Prometheus text.
    Info,
}

impl Kind {
    /// The kind of the metric `name`.
    ///
    /// A counter of the ecosystem whose name lacks `_total` (`node_vmstat_oom_kill`,
    /// `container_memory_failcnt`) has no type here: `OpenMetrics` has no counter of that name, and
    /// `node_exporter` gives it none either. `rate()` works on it all the same.
    pub fn of(name: &str, kind: MetricKind) -> Self {
        match kind {
            MetricKind::Gauge => Self::Gauge,
            MetricKind::Counter if name.ends_with(TOTAL) => Self::Counter,
            MetricKind::Counter => Self::Unknown,
        }
    }
}

/// How a counter's name ends; the name of its family in `OpenMetrics` is without it.
const TOTAL: &str = "_total";
/// The same for an info.
const INFO: &str = "_info";
/// The units that `OpenMetrics` is told of: they end the family's name.
const UNITS: [&str; 3] = ["bytes", "seconds", "ratio"];

/// Labels as they stand between the braces, escaped once and used for many samples.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelText(String);

impl LabelText {
    /// These labels. An empty value is the same as no label and is left out.
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut text = String::new();
        for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
            if !text.is_empty() {
                text.push(',');
            }
            text.push_str(name);
            text.push_str("=\"");
            push_escaped(&mut text, value, true);
            text.push('"');
        }
        Self(text)
    }
}

/// `text` with backslash and line feed (and the quote, where it would end the value) escaped: all
/// that both formats ask for.
fn push_escaped(out: &mut String, text: &str, quote: bool) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str(r"\\"),
            '\n' => out.push_str(r"\n"),
            '"' if quote => out.push_str("\\\""),
            _ => out.push(c),
        }
    }
}

/// Writes families of samples as text.
#[derive(Debug)]
pub struct Families {
    format: Format,
    out: String,
}

impl Families {
    /// No families yet; room for `capacity` bytes.
    pub fn new(format: Format, capacity: usize) -> Self {
        Self { format, out: String::with_capacity(capacity) }
    }

    /// Begins the family of the metric `name`. One that gets no sample leaves no trace.
    pub fn family<'a>(&'a mut self, name: &'a str, help: &'a str, kind: Kind) -> Family<'a> {
        Family { families: self, name, help, kind, headed: false }
    }

    /// The text.
    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
        self.out
    }

    fn head(&mut self, name: &str, help: &str, kind: Kind) {
        let open = self.format == Format::OpenMetrics;
        let family = match kind {
            Kind::Counter if open => name.strip_suffix(TOTAL).unwrap_or(name),
            Kind::Info if open => name.strip_suffix(INFO).unwrap_or(name),
            _ => name,
        };
        let kind = match (kind, open) {
            (Kind::Counter, _) => "counter",
            (Kind::Unknown, true) => "unknown",
            (Kind::Unknown, false) => "untyped",
            (Kind::Info, true) => "info",
            (Kind::Gauge, _) | (Kind::Info, false) => "gauge",
        };
        self.line(&["# HELP ", family, " "]);
        push_escaped(&mut self.out, help, open);
        self.line(&["\n# TYPE ", family, " ", kind, "\n"]);
        let unit = UNITS
            .iter()
            .find(|unit| family.strip_suffix(**unit).is_some_and(|stem| stem.ends_with('_')));
        if let (true, Some(unit)) = (open, unit) {
            self.line(&["# UNIT ", family, " ", unit, "\n"]);
        }
    }

    fn line(&mut self, parts: &[&str]) {
        self.out.extend(parts.iter().copied());
    }

    fn value(&mut self, value: f64) {
        if value.is_infinite() {
            self.out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
        } else {
            // NaN is written as both formats write it; no number with an exponent.
            self.out.push_str(&value.to_string());
        }
    }
}

/// One family, being written.
#[derive(Debug)]
pub struct Family<'a> {
    families: &'a mut Families,
    name: &'a str,
    help: &'a str,
    kind: Kind,
    headed: bool,
}

impl Family<'_> {
    /// Adds one sample.
    pub fn sample(&mut self, labels: &LabelText, value: f64) {
        if !self.headed {
            self.headed = true;
            self.families.head(self.name, self.help, self.kind);
        }
        match labels.0.as_str() {
            "" => self.families.line(&[self.name, " "]),
            labels => self.families.line(&[self.name, "{", labels, "} "]),
        }
        self.families.value(value);
        self.families.out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_headers_of_scrapers_choose_the_format() {
        let chosen = Format::accepted;
        // Prometheus 2.42, Prometheus 3, a browser, curl, nothing.
        let prometheus = "application/openmetrics-text;version=1.0.0,\
            application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(chosen(prometheus), Format::OpenMetrics);
        assert_eq!(
            chosen(
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                 text/plain;version=1.0.0;q=0.4,*/*;q=0.1"
            ),
            Format::OpenMetrics
        );
        assert_eq!(chosen("text/html,application/xhtml+xml,*/*;q=0.8"), Format::Prometheus);
        assert_eq!(chosen("*/*"), Format::Prometheus);
        assert_eq!(chosen(""), Format::Prometheus);
    }

    #[test]
    fn openmetrics_is_not_pressed_on_who_wants_it_less_or_in_another_version() {
        let chosen = Format::accepted;
        assert_eq!(
            chosen("application/openmetrics-text;q=0.2,text/plain;q=0.3"),
            Format::Prometheus
        );
        assert_eq!(chosen("application/openmetrics-text;q=0"), Format::Prometheus);
        assert_eq!(chosen("application/openmetrics-text;q=2é"), Format::Prometheus);
        assert_eq!(chosen("application/openmetrics-text;version=0.0.1"), Format::Prometheus);
        assert_eq!(chosen("Application/OpenMetrics-Text ; Q=0.875"), Format::OpenMetrics);
    }

    #[test]
    fn what_is_hostile_in_a_label_is_escaped() {
        let labels = LabelText::new([("a", "x\"},evil{b=\"\n\\"), ("empty", ""), ("c", "二")]);
        assert_eq!(labels.0, r#"a="x\"},evil{b=\"\n\\",c="二""#);
    }

    #[test]
    fn values_are_written_as_both_formats_want_them() {
        let mut families = Families::new(Format::Prometheus, 0);
        let mut family = families.family("a", "h", Kind::Gauge);
        for value in [0.0, 1.5, 2e9, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e-7] {
            family.sample(&LabelText::default(), value);
        }
        assert_eq!(
            families.finish(),
            "# HELP a h\n# TYPE a gauge\na 0\na 1.5\na 2000000000\na +Inf\na -Inf\na NaN\na 0.0000001\n"
        );
    }

    #[test]
    fn families_are_named_by_the_rules_of_each_format() {
        let text = |format| {
            let mut families = Families::new(format, 0);
            for (name, kind) in [
                ("stall_seconds_total", Kind::Counter),
                ("node_vmstat_oom_kill", Kind::Unknown),
                ("build_info", Kind::Info),
            ] {
                families.family(name, "say \"x\"\n", kind).sample(&LabelText::default(), 1.0);
            }
            families.family("absent", "", Kind::Gauge);
            families.finish()
        };
        insta::assert_snapshot!(text(Format::Prometheus), @r#"
        # HELP stall_seconds_total say "x"\n
        # TYPE stall_seconds_total counter
        stall_seconds_total 1
        # HELP node_vmstat_oom_kill say "x"\n
        # TYPE node_vmstat_oom_kill untyped
        node_vmstat_oom_kill 1
        # HELP build_info say "x"\n
        # TYPE build_info gauge
        build_info 1
        "#);
        insta::assert_snapshot!(text(Format::OpenMetrics), @r#"
        # HELP stall_seconds say \"x\"\n
        # TYPE stall_seconds counter
        # UNIT stall_seconds seconds
        stall_seconds_total 1
        # HELP node_vmstat_oom_kill say \"x\"\n
        # TYPE node_vmstat_oom_kill unknown
        node_vmstat_oom_kill 1
        # HELP build say \"x\"\n
        # TYPE build info
        build_info 1
        # EOF
        "#);
    }

    #[test]
    fn a_counter_without_total_has_no_type() {
        assert_eq!(Kind::of("node_vmstat_oom_kill", MetricKind::Counter), Kind::Unknown);
        assert_eq!(Kind::of("container_oom_events_total", MetricKind::Counter), Kind::Counter);
        assert_eq!(Kind::of("node_memory_MemFree_bytes", MetricKind::Gauge), Kind::Gauge);
    }
}
