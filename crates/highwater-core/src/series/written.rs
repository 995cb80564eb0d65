//! Labels as PromQL writes them.

use std::borrow::Cow;
use std::fmt;

use super::{Labels, NAME};
use crate::text::quoted;

/// Whether `name` needs no quotes as the name of a metric.
pub fn is_plain_metric(name: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    name.chars().all(inside) && name.chars().next().is_some_and(|c| !c.is_ascii_digit())
}

/// A label's name, in quotes where it needs them.
pub fn written_label(name: &str) -> Cow<'_, str> {
    if is_plain_metric(name) && !name.contains(':') {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(quoted(name.as_bytes()))
    }
}

impl fmt::Display for Labels {
    /// As PromQL writes them: `name{a="b"}`, or `{"any name",a="b"}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.get(NAME);
        let is_plain = name.is_empty() || is_plain_metric(name);
        if is_plain {
            f.write_str(name)?;
        }
        let odd = (!is_plain).then(|| quoted(name.as_bytes()));
        let rest = self.iter().filter(|(name, _)| *name != NAME);
        let pair = |(name, value): (&str, &str)| {
            format!("{}={}", written_label(name), quoted(value.as_bytes()))
        };
        let all: Vec<String> = odd.into_iter().chain(rest.map(pair)).collect();
        if all.is_empty() { Ok(()) } else { write!(f, "{{{}}}", all.join(",")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_asked_for() {
        let plain = Labels::new([(NAME, "up"), ("job", "a\"b"), ("tab", "\t\u{1b}")]);
        assert_eq!(plain.to_string(), r#"up{job="a\"b",tab="\t\x1b"}"#);
        let odd = Labels::new([(NAME, "my.name"), ("a.b", "c")]);
        assert_eq!(odd.to_string(), r#"{"my.name","a.b"="c"}"#);
        assert_eq!(Labels::new([("a", "b")]).to_string(), r#"{a="b"}"#);
        assert_eq!(Labels::default().to_string(), "");
    }
}
