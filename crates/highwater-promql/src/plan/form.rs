//! A plan as a text, in Prometheus's canonical form.

use std::fmt::{self, Display, Formatter};

use highwater_core::series::{Matcher, Want, is_plain_metric, written_label};
use highwater_core::text::quoted;

use super::{Aggregate, At, Binary, Group, Grouping, Kind, Matching, Node, Selector, When};
use crate::lex::span_text;
use crate::number::shortest;

impl Display for Node {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Number(value) => f.write_str(&shortest(*value)),
            Kind::Text(text) => match &text.broken {
                Some(broken) => f.write_str(broken),
                None => f.write_str(&quoted(text.value.as_bytes())),
            },
            Kind::Select(selector) => write!(f, "{selector}{}", selector.when),
            Kind::Window(selector, range) => {
                write!(f, "{selector}[{}]{}", span_text(*range), selector.when)
            }
            Kind::Subquery(subquery) => {
                let step = subquery.step.map(span_text).unwrap_or_default();
                let range = span_text(subquery.range);
                write!(f, "{}[{range}:{step}]{}", subquery.inner, subquery.when)
            }
            Kind::Call(call) => {
                write!(f, "{}(", call.name)?;
                list(f, &call.args)?;
                f.write_str(")")
            }
            Kind::Aggregate(aggregate) => write!(f, "{aggregate}"),
            Kind::Binary(binary) => write!(f, "{binary}"),
            Kind::Negate(inner) => write!(f, "-{inner}"),
            Kind::Paren(inner) => write!(f, "({inner})"),
        }
    }
}

fn list<T: Display>(f: &mut Formatter<'_>, items: &[T]) -> fmt::Result {
    for (at, item) in items.iter().enumerate() {
        let comma = if at > 0 { ", " } else { "" };
        write!(f, "{comma}{item}")?;
    }
    Ok(())
}

impl Display for Selector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let plain = self.name.as_deref().filter(|name| is_plain_metric(name));
        f.write_str(plain.unwrap_or_default())?;
        let odd = self.name.as_deref().filter(|name| !is_plain_metric(name));
        let odd = odd.map(|name| quoted(name.as_bytes()));
        let all: Vec<String> = odd.into_iter().chain(self.matchers.iter().map(matcher)).collect();
        if all.is_empty() { Ok(()) } else { write!(f, "{{{}}}", all.join(",")) }
    }
}

fn matcher(matcher: &Matcher) -> String {
    let (op, value) = match &matcher.want {
        Want::Is(value) => ("=", value.as_str()),
        Want::IsNot(value) => ("!=", value.as_str()),
        Want::Matches(pattern) => ("=~", pattern.text()),
        Want::MatchesNot(pattern) => ("!~", pattern.text()),
    };
    format!("{}{op}{}", written_label(&matcher.name), quoted(value.as_bytes()))
}

fn labels(names: &[String]) -> String {
    names.iter().map(|name| written_label(name)).collect::<Vec<_>>().join(", ")
}

impl Display for When {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.at {
            Some(At::Start) => f.write_str(" @ start()")?,
            Some(At::End) => f.write_str(" @ end()")?,
            Some(At::Moment(ms)) => {
                let sign = if ms < 0 { "-" } else { "" };
                let ms = ms.unsigned_abs();
                write!(f, " @ {sign}{}.{:03}", ms / 1000, ms % 1000)?;
            }
            None => {}
        }
        if self.offset == 0 { Ok(()) } else { write!(f, " offset {}", span_text(self.offset)) }
    }
}

impl Display for Aggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.by.name())?;
        match &self.grouping {
            Some(Grouping::By(names)) => write!(f, " by ({}) ", labels(names))?,
            Some(Grouping::Without(names)) => write!(f, " without ({}) ", labels(names))?,
            None => {}
        }
        f.write_str("(")?;
        if let Some(param) = &self.param {
            write!(f, "{param}, ")?;
        }
        write!(f, "{})", self.inner)
    }
}

impl Display for Binary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let result = if self.bool_result { " bool" } else { "" };
        write!(f, "{} {}{result}{} {}", self.lhs, self.op.name(), self.matching, self.rhs)
    }
}

impl Display for Matching {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.on || !self.labels.is_empty() {
            let word = if self.on { "on" } else { "ignoring" };
            write!(f, " {word} ({})", labels(&self.labels))?;
        }
        match self.group {
            Group::OneToOne => Ok(()),
            Group::Left => write!(f, " group_left ({})", labels(&self.include)),
            Group::Right => write!(f, " group_right ({})", labels(&self.include)),
        }
    }
}
