//! Regular expressions over the values of labels.

use std::fmt;

use regex::{Regex, RegexBuilder};

/// How much memory a compiled expression may take: ordinary ones take a hundredth of it, and a
/// hostile one (`(a{1000}){1000}`) is refused before it has taken more.
const MOST_COMPILED_BYTES: usize = 1 << 20;
/// How deep groups may nest: the compiler recurses.
const MOST_NESTING: u32 = 100;

/// A regular expression that must match the whole of a value; `.` matches every character. It runs
/// in time linear in the value, whatever it says.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    compiled: Regex,
}

/// A text is no regular expression, or one that is too large.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct BadPattern {
    /// What is wrong with it, in one line.
    pub why: String,
}

impl Pattern {
    /// Compiles `text`.
    ///
    /// # Errors
    /// If it is no regular expression, or too large.
    pub fn new(text: &str) -> Result<Self, BadPattern> {
        let compiled =
            compile(text).or_else(|first| compile(&braces_escaped(text)).map_err(|_| first));
        let compiled = compiled.map_err(|error| BadPattern { why: one_line(&error) })?;
        Ok(Self { text: text.to_owned(), compiled })
    }

    /// Whether the whole of `value` matches.
    pub fn matches(&self, value: &str) -> bool {
        self.compiled.is_match(value)
    }

    /// The expression as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The compiled expression, anchored at both ends, for whoever wants its groups.
    pub const fn regex(&self) -> &Regex {
        &self.compiled
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

fn compile(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(&format!("^(?s:{text})$"))
        .size_limit(MOST_COMPILED_BYTES)
        .dfa_size_limit(MOST_COMPILED_BYTES)
        .nest_limit(MOST_NESTING)
        .build()
}

fn one_line(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "expression is too large".to_owned(),
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default();
            last.trim_start_matches("error: ").to_owned()
        }
    }
}

/// RE2 takes a brace that begins no repetition as itself; here it must be escaped.
fn braces_escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len().saturating_add(8));
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => {
                out.push(c);
                out.extend(rest.next());
            }
            '{' if !repeats(rest.as_str()) => out.push_str("\\{"),
            _ => out.push(c),
        }
    }
    out
}

/// Whether what follows a brace is a repetition: `3}`, `3,}`, `3,5}`.
fn repeats(after: &str) -> bool {
    let Some((inside, _)) = after.split_once('}') else {
        return false;
    };
    let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    !least.is_empty() && digits(least) && digits(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_value_must_match() {
        let pattern = Pattern::new("a|b.").unwrap();
        assert!(pattern.matches("a") && pattern.matches("b\n"));
        assert!(!pattern.matches("ab") && !pattern.matches("xa"));
        assert!(Pattern::new("(?i:PRO).*").unwrap().matches("production"));
    }

    #[test]
    fn a_brace_alone_is_itself() {
        assert!(Pattern::new("aaa{bbb}ccc").unwrap().matches("aaa{bbb}ccc"));
        assert!(Pattern::new("a{2,3}").unwrap().matches("aaa"));
        assert!(!Pattern::new("a{2,3}").unwrap().matches("a{2,3}"));
    }

    #[test]
    fn a_bomb_is_refused() {
        assert_eq!(
            Pattern::new("((a{1000}){1000}){1000}").unwrap_err().why,
            "expression is too large"
        );
        assert!(Pattern::new(&"(".repeat(100_000)).is_err());
        assert!(Pattern::new("a**(").is_err());
    }
}
