//! Values as Go prints them.

use std::sync::Arc;

use gotmpl::parse::{ActionNode, CommandNode, Expr, ListNode, Node, PipeNode, Pos};
use gotmpl::{Result, Template, TemplateError, Value};

use super::desk::Desk;

/// `printf` pads to no more than this.
const WIDEST: usize = 65_535;

/// A value as `%v` writes it.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Float(value) => number(*value),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(text).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Map(entries) => {
            // A sample is no map in Go.
            if let (Some(labels @ Value::Map(_)), Some(number)) =
                (value.field("Labels"), value.field("Value"))
            {
                return format!("{{{} {}}}", text(labels), text(number));
            }
            let entries: Vec<String> =
                entries.iter().map(|(name, value)| format!("{name}:{}", text(value))).collect();
            format!("map[{}]", entries.join(" "))
        }
        other => other.to_string(),
    }
}

/// `print`: with a blank between two values neither of which is a text.
pub(super) fn joined(values: &[Value]) -> String {
    let mut out = String::new();
    let mut after_text = true;
    for value in values {
        let is_text = matches!(value, Value::String(_));
        if !after_text && !is_text {
            out.push(' ');
        }
        out.push_str(&text(value));
        after_text = is_text;
    }
    out
}

/// `println`: with a blank between any two, and a line's end.
pub(super) fn line(values: &[Value]) -> String {
    let values: Vec<String> = values.iter().map(text).collect();
    values.join(" ") + "\n"
}

/// `printf`: the engine's own, which writes large numbers in full where `%v` does not.
pub(super) fn formatted(desk: &Desk, given: &[Value]) -> Result<Value> {
    let Some((Value::String(format), values)) = given.split_first() else {
        return Err(TemplateError::Exec("printf takes a format first, and it is a text".into()));
    };
    let mut values = values.to_vec();
    let format = plain(format, &mut values);
    let texts = values.iter().map(|value| match value {
        Value::String(text) => text.len(),
        _ => 0,
    });
    desk.burn(texts.fold(widths(&format), usize::saturating_add))?;
    let pos = Pos::new(0, 1);
    let names: Vec<String> = (0..values.len()).map(|at| format!("v{at}")).collect();
    let head = [Expr::Identifier(pos, "printf".into()), Expr::String(pos, format.into())];
    let args = names.iter().map(|name| Expr::Field(pos, vec![name.as_str().into()]));
    let command = CommandNode { pos, args: head.into_iter().chain(args).collect() };
    let pipe = PipeNode { pos, decl: Vec::new(), commands: vec![command], is_assign: false };
    let call = ListNode { pos, nodes: vec![Node::Action(ActionNode { pos, pipe })] };
    let data = names.into_iter().map(Arc::from).zip(values).collect();
    let template = Template::new("printf").add_parse_tree("printf", call);
    let text = template.execute_template_to_string("printf", &Value::Map(Arc::new(data)))?;
    desk.burn(text.len())?;
    Ok(Value::String(text.into()))
}

/// A format whose `%v` are what they mean for their values: numbers `%g`, lists and maps texts.
fn plain(format: &str, values: &mut [Value]) -> String {
    let mut out = String::with_capacity(format.len());
    let mut next = 0_usize;
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        out.push(c);
        if c != '%' {
            continue;
        }
        let mut index = String::new();
        for c in chars.by_ref() {
            match c {
                '[' => index.clear(),
                ']' => next = index.parse::<usize>().unwrap_or(1).saturating_sub(1),
                '*' => next = next.saturating_add(1),
                '0'..='9' => index.push(c),
                '-' | '+' | '#' | ' ' | '.' => {}
                'v' => {
                    out.push(values.get_mut(next).map_or('v', verb));
                    next = next.saturating_add(1);
                    break;
                }
                _ => {
                    next = next.saturating_add(usize::from(c != '%'));
                    out.push(c);
                    break;
                }
            }
            out.push(c);
        }
    }
    out
}

/// What `%v` is for a value.
fn verb(value: &mut Value) -> char {
    match value {
        Value::Float(_) => 'g',
        Value::List(_) | Value::Map(_) => {
            *value = Value::String(text(value).into());
            's'
        }
        _ => 'v',
    }
}

/// What the widths in a format may pad.
fn widths(format: &str) -> usize {
    let stars = format.matches('*').count().saturating_mul(WIDEST);
    let numbers = format.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty());
    let numbers = numbers.map(|digits| digits.parse().unwrap_or(WIDEST).min(WIDEST));
    numbers.fold(stars, usize::saturating_add)
}

/// A number as Go's `%v` writes it: with an exponent from a million on.
fn number(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let written = format!("{value:e}");
    let (digits, exponent) = written.split_once('e').unwrap_or((&written, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return value.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}
