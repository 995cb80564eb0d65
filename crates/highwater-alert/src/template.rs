//! Texts with `{{ … }}` as Prometheus expands them, by `gotmpl`, which nothing outside of this module
//! knows. A template may come from anybody: what it may print, loop, call and ask is bounded, and
//! none can run for long.

mod desk;
mod figure;
mod functions;
mod link;
mod printed;
mod weave;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use gotmpl::parse::{DefineNode, ListNode, Parser};
use gotmpl::{MissingKey, Template, TemplateError, Value};
use highwater_core::series::{Labels, SeriesSource};
use highwater_core::time::WallTime;
use highwater_promql::{Options, Value as Found};

use crate::fault::Place;
use desk::Desk;

/// What every template begins with.
const PREAMBLE: &str = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}\
                        {{$externalURL := .ExternalURL}}{{$value := .Value}}";
/// Receivers cut texts at a tenth of this.
const MOST_BYTES: usize = 64 << 10;
/// Steps of all loops together.
const MOST_STEPS: u64 = 10_000;
/// Questions to the history by one text.
const MOST_QUERIES: usize = 16;
/// Where a template begins to run.
const MAIN: &str = "text";

/// What a text is expanded for.
pub(crate) struct Scene<'a> {
    /// The labels of the series.
    pub(crate) labels: &'a Labels,
    /// Its value.
    pub(crate) value: f64,
    /// Labels of this recorder as a whole.
    pub(crate) external_labels: &'a Labels,
    /// Where this recorder is reached.
    pub(crate) external_url: &'a str,
    /// The moment of the evaluation.
    pub(crate) at: WallTime,
    /// What `query` asks.
    pub(crate) source: &'a dyn SeriesSource,
    /// How much it may cost.
    pub(crate) options: &'a Options,
}

/// Why a text is no template, and where.
#[derive(Debug)]
pub(crate) struct Unfit {
    pub(crate) place: Option<Place>,
    pub(crate) what: String,
}

/// Whether a text is a template that can be run.
pub(crate) fn check(text: &str) -> Result<(), Unfit> {
    if !is_one(text) {
        return Ok(());
    }
    closed(text, &parse(text)?.body)
}

/// Whether there is anything to expand in a text.
pub(crate) fn is_one(text: &str) -> bool {
    text.contains("{{")
}

/// Texts that are templates, each read once for as often as it is expanded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Texts(BTreeMap<String, Arc<Read>>);

/// A template that is safe to run.
#[derive(Debug)]
struct Read {
    body: ListNode,
    defines: Vec<DefineNode>,
}

impl Texts {
    /// Reads those of some texts that are templates.
    pub(crate) fn of<'t>(texts: impl Iterator<Item = &'t str>) -> Self {
        let read = |text: &str| Some((text.to_owned(), Arc::new(parse(text).ok()?)));
        Self(texts.filter(|text| is_one(text)).filter_map(read).collect())
    }

    /// Expands one of the texts.
    pub(crate) fn expand(&self, text: &str, scene: &Scene<'_>) -> Result<String, String> {
        if !is_one(text) {
            return Ok(text.to_owned());
        }
        match self.0.get(text) {
            Some(read) => expanded(read, scene),
            None => expand(text, scene),
        }
    }

    /// The same, or that it could not be done, in the words of Prometheus.
    pub(crate) fn expand_or_say(&self, text: &str, scene: &Scene<'_>) -> String {
        let expanded = self.expand(text, scene);
        expanded.unwrap_or_else(|error| format!("<error expanding template: {error}>"))
    }
}

/// Expands a text.
pub(crate) fn expand(text: &str, scene: &Scene<'_>) -> Result<String, String> {
    if !is_one(text) {
        return Ok(text.to_owned());
    }
    expanded(&parse(text).map_err(|unfit| unfit.what)?, scene)
}

fn expanded(Read { body, defines }: &Read, scene: &Scene<'_>) -> Result<String, String> {
    let desk = Desk::new(scene);
    let mut template = Template::new(MAIN)
        .missing_key(MissingKey::ZeroValue)
        .max_range_iters(MOST_STEPS)
        .funcs(functions::all(&desk))
        .add_parse_tree(MAIN, body.clone());
    for define in defines {
        template = template.add_parse_tree(&define.name, define.body.clone());
    }
    let data = data(scene);
    // A function cannot hold the source: what it asks and has no answer for ends the run, is
    // answered here, and the text is expanded anew.
    for _ in 0..=MOST_QUERIES {
        let mut text = Bounded(String::new());
        let done = template.execute_template_fmt(&mut text, MAIN, &data);
        if let Some(question) = desk.open_question() {
            let answer = ask(&question, scene);
            desk.answer(question, answer);
            continue;
        }
        return match done {
            Ok(()) => Ok(text.0),
            Err(TemplateError::Write) => Err(format!("more than {MOST_BYTES} bytes of text")),
            Err(error) => Err(error.to_string()),
        };
    }
    Err(format!("more than {MOST_QUERIES} different queries in one text"))
}

/// A text as a tree that is safe to run.
fn parse(text: &str) -> Result<Read, Unfit> {
    if text.len() > MOST_BYTES {
        let what = format!("{} bytes long, at most {MOST_BYTES} are read", text.len());
        return Err(Unfit { place: None, what });
    }
    let source = format!("{PREAMBLE}{text}");
    let parsed = Parser::new(&source, "{{", "}}").and_then(Parser::parse);
    let (mut body, mut defines) = parsed.map_err(unfit)?;
    weave::weave(&source, &mut body, &mut defines).map_err(|(offset, what)| {
        let before = source.get(PREAMBLE.len()..offset).unwrap_or_default();
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
        let line = before.matches('\n').count().saturating_add(1);
        Unfit { place: Some(Place { line, column: column.saturating_add(1) }), what }
    })?;
    Ok(Read { body, defines })
}

/// Whether all blocks end: the engine takes the end of the text for theirs, Go does not. What is
/// put behind the text is part of none if all have ended.
fn closed(text: &str, body: &ListNode) -> Result<(), Unfit> {
    let longer = format!("{PREAMBLE}{text}{{{{\"\"}}}}");
    let parsed = Parser::new(&longer, "{{", "}}").and_then(Parser::parse);
    if parsed.is_ok_and(|(longer, _)| longer.nodes.len() > body.nodes.len()) {
        return Ok(());
    }
    Err(Unfit { place: None, what: "unexpected EOF: a block has no {{ end }}".to_owned() })
}

fn unfit(error: TemplateError) -> Unfit {
    match error {
        TemplateError::Parse { line, col, message, .. }
        | TemplateError::Lex { line, col, message, .. } => {
            let before = if line == 1 { PREAMBLE.chars().count() } else { 0 };
            let column = col.saturating_sub(before).max(1);
            Unfit { place: Some(Place { line, column }), what: message }
        }
        error => Unfit { place: None, what: error.to_string() },
    }
}

/// What `.` is.
fn data(scene: &Scene<'_>) -> Value {
    map([
        ("Labels", labels_value(scene.labels)),
        ("ExternalLabels", labels_value(scene.external_labels)),
        ("ExternalURL", Value::String(scene.external_url.into())),
        ("Value", Value::Float(scene.value)),
    ])
}

fn map(entries: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let entries = entries.into_iter().map(|(name, value)| (Arc::from(name), value));
    Value::Map(Arc::new(entries.collect::<BTreeMap<_, _>>()))
}

fn labels_value(labels: &Labels) -> Value {
    let entry = |(name, value): (&str, &str)| (Arc::from(name), Value::String(value.into()));
    Value::Map(Arc::new(labels.iter().map(entry).collect()))
}

/// What `query` gives: samples with their labels.
fn ask(question: &str, scene: &Scene<'_>) -> Result<Value, String> {
    let answer = highwater_promql::parse(question)
        .and_then(|query| highwater_promql::instant(&query, scene.source, scene.at, scene.options));
    let vector = match answer.map_err(|error| error.to_string())?.value {
        Found::Vector(vector) => vector,
        Found::Scalar(point) => vec![(Labels::default(), point)],
        _ => return Err("a query in a template gives a vector or a scalar".into()),
    };
    let sample = |(labels, point): (Labels, highwater_core::series::Point)| {
        map([("Labels", labels_value(&labels)), ("Value", Value::Float(point.value))])
    };
    Ok(Value::List(vector.into_iter().map(sample).collect()))
}

/// A text that does not grow for ever.
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        if self.0.len().saturating_add(more.len()) > MOST_BYTES {
            return Err(fmt::Error);
        }
        self.0.push_str(more);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
