//! The functions of Prometheus's templates.

use std::sync::Arc;

use gotmpl::{FuncMap, Result, TemplateError, Value};
use regex::RegexBuilder;

use super::desk::Desk;
use super::{figure, link, printed};
use crate::span;

/// The functions that Prometheus adds.
pub(super) const NAMES: &[&str] = &[
    "args",
    "externalURL",
    "first",
    "graphLink",
    "humanize",
    "humanize1024",
    "humanizeDuration",
    "humanizePercentage",
    "humanizeTimestamp",
    "label",
    "match",
    "now",
    "parseDuration",
    "pathPrefix",
    "query",
    "reReplaceAll",
    "safeHtml",
    "sortByLabel",
    "stripDomain",
    "stripPort",
    "strvalue",
    "tableLink",
    "title",
    "toDuration",
    "toLower",
    "toTime",
    "toUpper",
    "urlQueryEscape",
    "value",
];
/// Those that every Go template has.
pub(super) const BUILT_IN: &[&str] = &[
    "and", "call", "eq", "ge", "gt", "html", "index", "js", "le", "len", "lt", "ne", "not", "or",
    "print", "printf", "println", "slice", "urlquery", "break", "continue",
];

/// Fields of a value; nobody can write this name.
pub(super) const FIELD: &str = "field of";
/// A value as it is put out.
pub(super) const SAY: &str = "say";

/// A pattern is compiled into no more than this.
const PATTERN_BYTES: usize = 1 << 20;
/// The label under which a sample's text is looked for.
const TEXT_VALUE: &str = "__value__";

/// All functions, on one desk.
pub(super) fn all(desk: &Desk) -> FuncMap {
    let mut all = Functions { map: FuncMap::new(), desk: desk.clone() };
    all.values();
    all.texts();
    all.figures();
    all.vectors();
    all.prints();
    all.guards();
    all.map
}

struct Functions {
    map: FuncMap,
    desk: Desk,
}

impl Functions {
    fn add(
        &mut self,
        name: &str,
        call: impl Fn(&[Value]) -> Result<Value> + Send + Sync + 'static,
    ) {
        self.map.insert(name.to_owned(), Arc::new(call));
    }

    /// A function of one text.
    fn text(&mut self, name: &'static str, make: fn(&str) -> String) {
        let desk = self.desk.clone();
        self.add(name, move |given| {
            let [text] = given else { return Err(arity(name, 1, given)) };
            let text = text_of(name, text)?;
            desk.burn(text.len())?;
            Ok(Value::String(make(&text).into()))
        });
    }

    /// A function of one number.
    fn figure(&mut self, name: &'static str, make: fn(f64) -> std::result::Result<String, String>) {
        self.add(name, move |given| {
            let [value] = given else { return Err(arity(name, 1, given)) };
            make(number(value)?).map(|text| Value::String(text.into())).map_err(TemplateError::Exec)
        });
    }

    fn values(&mut self) {
        let desk = self.desk.clone();
        self.add("now", move |_| Ok(Value::Float(desk.seconds())));
        let desk = self.desk.clone();
        self.add("externalURL", move |_| Ok(Value::String(desk.external_url().into())));
        let desk = self.desk.clone();
        self.add("pathPrefix", move |_| Ok(Value::String(link::path(&desk.external_url()).into())));
        self.add("args", |given| {
            let named = given.iter().enumerate();
            let named = named.map(|(at, value)| (format!("arg{at}").into(), value.clone()));
            Ok(Value::Map(Arc::new(named.collect())))
        });
        self.add("parseDuration", |given| {
            let [text] = given else { return Err(arity("parseDuration", 1, given)) };
            let span = span::read(&text_of("parseDuration", text)?);
            let span = span.map_err(|error| TemplateError::Exec(error.to_string()))?;
            Ok(Value::Float(span.as_secs_f64()))
        });
    }

    fn texts(&mut self) {
        self.text("toUpper", str::to_uppercase);
        self.text("toLower", str::to_lowercase);
        self.text("title", title);
        self.text("safeHtml", str::to_owned);
        self.text("stripPort", |text| link::strip_port(text).to_owned());
        self.text("stripDomain", link::strip_domain);
        self.text("graphLink", |expr| link::page(expr, 0));
        self.text("tableLink", |expr| link::page(expr, 1));
        self.text("urlQueryEscape", gotmpl::url_encode);
        self.add("match", |given| {
            let [pattern, text] = given else { return Err(arity("match", 2, given)) };
            let pattern = pattern_of(&text_of("match", pattern)?)?;
            Ok(Value::Bool(pattern.is_match(&text_of("match", text)?)))
        });
        let desk = self.desk.clone();
        self.add("reReplaceAll", move |given| {
            let [pattern, with, text] = given else {
                return Err(arity("reReplaceAll", 3, given));
            };
            let name = "reReplaceAll";
            let pattern = pattern_of(&text_of(name, pattern)?)?;
            let (with, text) = (text_of(name, with)?, text_of(name, text)?);
            replaced(&desk, &pattern, (&with, &text))
        });
    }

    fn figures(&mut self) {
        self.figure("humanize", |value| Ok(figure::humanize(value)));
        self.figure("humanize1024", |value| Ok(figure::humanize_1024(value)));
        self.figure("humanizeDuration", |value| Ok(figure::humanize_duration(value)));
        self.figure("humanizePercentage", |value| Ok(figure::general(value * 100.0) + "%"));
        self.figure("humanizeTimestamp", figure::humanize_timestamp);
        self.figure("toTime", figure::humanize_timestamp);
        self.figure("toDuration", |value| Ok(figure::duration(value)));
    }

    fn vectors(&mut self) {
        let desk = self.desk.clone();
        self.add("query", move |given| {
            let [text] = given else { return Err(arity("query", 1, given)) };
            desk.ask(&text_of("query", text)?)
        });
        self.add("first", |given| match given {
            [Value::List(samples)] => samples.first().cloned().ok_or_else(|| {
                TemplateError::Exec("first() called on vector with no elements".into())
            }),
            _ => Err(arity("first", 1, given)),
        });
        self.add("value", |given| match given {
            [sample] => Ok(sample.field("Value").cloned().unwrap_or(Value::Nil)),
            _ => Err(arity("value", 1, given)),
        });
        self.add("label", |given| match given {
            [name, sample] => Ok(label(sample, &text_of("label", name)?)),
            _ => Err(arity("label", 2, given)),
        });
        self.add("strvalue", |given| match given {
            [sample] => Ok(label(sample, TEXT_VALUE)),
            _ => Err(arity("strvalue", 1, given)),
        });
        self.add("sortByLabel", |given| match given {
            [name, Value::List(samples)] => {
                let name = text_of("sortByLabel", name)?;
                let mut samples = samples.to_vec();
                samples.sort_by_cached_key(|sample| label(sample, &name).to_string());
                Ok(Value::List(samples.into()))
            }
            _ => Err(arity("sortByLabel", 2, given)),
        });
    }

    /// Those of every Go template that make texts out of values: written as Go does, and paid for.
    fn prints(&mut self) {
        let desk = self.desk.clone();
        self.add("print", move |given| said(&desk, printed::joined(given)));
        let desk = self.desk.clone();
        self.add("println", move |given| said(&desk, printed::line(given)));
        let desk = self.desk.clone();
        self.add("printf", move |given| printed::formatted(&desk, given));
        self.escape("html", gotmpl::html_escape);
        self.escape("js", gotmpl::js_escape);
        self.escape("urlquery", gotmpl::url_encode);
    }

    fn escape(&mut self, name: &'static str, escape: fn(&str) -> String) {
        let desk = self.desk.clone();
        self.add(name, move |given| said(&desk, escape(&printed::joined(given))));
    }

    /// What the weaver puts in.
    fn guards(&mut self) {
        self.add(FIELD, |given| {
            let Some((first, names)) = given.split_first() else { return Ok(Value::Nil) };
            names.iter().try_fold(first.clone(), |value, name| field(&value, &name.to_string()))
        });
        let desk = self.desk.clone();
        self.add(SAY, move |given| match given {
            // What is nothing has a text of its own.
            [Value::Nil] => Ok(Value::Nil),
            [value] => said(&desk, printed::text(value)),
            _ => Err(arity(SAY, 1, given)),
        });
    }
}

fn said(desk: &Desk, text: String) -> Result<Value> {
    desk.burn(text.len())?;
    Ok(Value::String(text.into()))
}

/// A value that is not there is the empty text where all values are texts.
fn field(value: &Value, name: &str) -> Result<Value> {
    let unknown = |kind: &str| {
        Err(TemplateError::Exec(format!("can't evaluate field {name} in type {kind}")))
    };
    match value {
        Value::Map(entries) => match entries.get(name) {
            Some(found) => Ok(found.clone()),
            // Samples and `.` are known by what they have; labels are texts.
            None if matches!(value.field("Labels"), Some(Value::Map(_))) => unknown("struct"),
            None => Ok(Value::String("".into())),
        },
        Value::String(_) => unknown("string"),
        Value::Float(_) | Value::Int(_) | Value::Uint(_) => unknown("float64"),
        Value::List(_) => unknown("list"),
        _ => unknown("nil"),
    }
}

fn replaced(desk: &Desk, pattern: &regex::Regex, (with, text): (&str, &str)) -> Result<Value> {
    let mut out = String::new();
    let mut from = 0;
    for found in pattern.captures_iter(text) {
        let Some(all) = found.get(0) else { continue };
        let before = out.len();
        out.push_str(text.get(from..all.start()).unwrap_or_default());
        found.expand(with, &mut out);
        desk.burn(out.len().saturating_sub(before).saturating_add(1))?;
        from = all.end();
    }
    out.push_str(text.get(from..).unwrap_or_default());
    Ok(Value::String(out.into()))
}

fn pattern_of(pattern: &str) -> Result<regex::Regex> {
    let built = RegexBuilder::new(pattern).size_limit(PATTERN_BYTES).build();
    built.map_err(|error| TemplateError::Exec(format!("{pattern:?} is no pattern: {error}")))
}

/// Words that begin with a capital.
fn title(text: &str) -> String {
    let mut begins = true;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if begins {
            out.extend(c.to_uppercase());
        } else {
            out.push(c);
        }
        begins = !(c.is_alphanumeric() || c == '_' || c == '\'');
    }
    out
}

fn label(sample: &Value, name: &str) -> Value {
    let labels = sample.field("Labels");
    labels.and_then(|labels| labels.field(name)).cloned().unwrap_or(Value::String("".into()))
}

fn text_of(name: &str, value: &Value) -> Result<String> {
    match value {
        Value::String(text) => Ok(text.to_string()),
        other => Err(TemplateError::Exec(format!("{name} takes a text, not {other}"))),
    }
}

#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "as Go converts it")]
fn number(value: &Value) -> Result<f64> {
    match value {
        Value::Float(value) => Ok(*value),
        Value::Int(value) => Ok(*value as f64),
        Value::Uint(value) => Ok(*value as f64),
        Value::String(text) => parsed(text),
        other => Err(TemplateError::Exec(format!("can't convert {other} to float"))),
    }
}

fn parsed(text: &str) -> Result<f64> {
    text.parse().map_err(|_| TemplateError::Exec(format!("{text:?} is no number")))
}

fn arity(name: &str, wanted: usize, given: &[Value]) -> TemplateError {
    let got = given.len();
    TemplateError::Exec(format!("{name} takes {wanted} values of its kinds, got {got}"))
}
