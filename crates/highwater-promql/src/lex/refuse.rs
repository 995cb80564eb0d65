//! What is PromQL and is not built here: experimental constructs, and those of native histograms.
//! It is told by name, whether the grammar's crate would take it or not.

use super::{Token, What};
use crate::error::{Error, ErrorKind, Refusal};

/// Functions behind Prometheus's experimental flag.
const FUNCTIONS: &[&str] = &[
    "end",
    "histogram_quantiles",
    "info",
    "mad_over_time",
    "max_of",
    "min_of",
    "range",
    "sort_by_label",
    "sort_by_label_desc",
    "start",
    "start_timestamp",
    "step",
    "ts_of_first_over_time",
    "ts_of_last_over_time",
    "ts_of_max_over_time",
    "ts_of_min_over_time",
];

/// Aggregations behind that flag.
const AGGREGATIONS: &[&str] = &["limitk", "limit_ratio"];

/// Fails with the name of the first construct that is not built.
pub(super) fn refuse(source: &str, tokens: &[Token]) -> Result<(), Error> {
    let seen = Seen { source, tokens };
    let mut in_brackets = false;
    for (at, token) in tokens.iter().enumerate().filter(|(_, token)| !token.in_braces) {
        let refusal = match token.what {
            What::Mark("[") => {
                in_brackets = true;
                None
            }
            What::Mark("]") => {
                in_brackets = false;
                None
            }
            What::Mark(mark) => seen.mark(at, mark, in_brackets),
            What::Word if in_brackets => Some(duration_expression()),
            What::Word => seen.word(at),
            _ => None,
        };
        if let Some(refusal) = refusal {
            return Err(refused(refusal));
        }
    }
    Ok(())
}

fn refused(refusal: Refusal) -> Error {
    let text = match &refusal {
        Refusal::Experimental(what) => {
            format!("{what} is experimental in Prometheus and not enabled")
        }
        Refusal::NativeHistogram(what) => {
            format!("{what} needs native histograms, which are not recorded here")
        }
    };
    Error { kind: ErrorKind::BadData, text, refusal: Some(refusal) }
}

fn duration_expression() -> Refusal {
    Refusal::Experimental("a duration expression".to_owned())
}

struct Seen<'a> {
    source: &'a str,
    tokens: &'a [Token],
}

impl Seen<'_> {
    fn mark(&self, at: usize, mark: &str, in_brackets: bool) -> Option<Refusal> {
        if in_brackets && mark != ":" {
            return Some(duration_expression());
        }
        let touching = |next: &Token| self.tokens.get(at).is_some_and(|this| this.end == next.at);
        let slash = at.checked_add(1).and_then(|next| self.tokens.get(next));
        let slash = slash.is_some_and(|next| next.what == What::Mark("/") && touching(next));
        let trim = ["<", ">"].contains(&mark) && slash;
        trim.then(|| Refusal::NativeHistogram(format!("the trim operator {mark}/")))
    }

    fn word(&self, at: usize) -> Option<Refusal> {
        let name = self.word_at(at)?;
        let follows = self.tokens.get(at.saturating_add(1));
        let called = follows.is_some_and(|next| next.what == What::Mark("("));
        let named = |names: &[&str]| names.contains(&name.as_str());
        let before = at.checked_sub(1).and_then(|before| self.tokens.get(before));
        if called && named(FUNCTIONS) && before.is_none_or(|t| t.what != What::Mark("@")) {
            return Some(Refusal::Experimental(format!("function {name:?}")));
        }
        let grouped =
            || self.word_at(at.saturating_add(1)).is_some_and(|w| w == "by" || w == "without");
        if named(AGGREGATIONS) && (called || grouped()) {
            return Some(Refusal::Experimental(format!("aggregation {name:?}")));
        }
        if called && named(&["fill", "fill_left", "fill_right"]) {
            return Some(Refusal::Experimental(format!("modifier {name:?}")));
        }
        let after_selector = before.is_some_and(|t| match t.what {
            What::Mark(mark) => ["]", "}"].contains(&mark),
            What::Word => !t.in_braces && self.is_name(at.saturating_sub(1)),
            _ => false,
        });
        if named(&["anchored", "smoothed"]) && after_selector {
            return Some(Refusal::Experimental(format!("modifier {name:?}")));
        }
        let mut after = at.saturating_add(1);
        if self.tokens.get(after).is_some_and(|t| matches!(t.what, What::Mark("+" | "-"))) {
            after = after.saturating_add(1);
        }
        let odd =
            self.tokens.get(after).is_some_and(|t| matches!(t.what, What::Mark("(") | What::Word));
        (name == "offset" && before.is_some() && odd).then(duration_expression)
    }

    /// The word at a place in small letters.
    fn word_at(&self, at: usize) -> Option<String> {
        let token = self.tokens.get(at).filter(|token| token.what == What::Word)?;
        self.source.get(token.at..token.end).map(str::to_ascii_lowercase)
    }

    /// Whether a word can be the name of a metric.
    fn is_name(&self, at: usize) -> bool {
        const NOT: &[&str] = &["and", "or", "unless", "atan2", "bool", "by", "without"];
        self.word_at(at).is_some_and(|word| !NOT.contains(&word.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(source: &str) -> Option<Refusal> {
        super::super::tokens(source).err().and_then(|error| error.refusal)
    }

    #[test]
    fn what_is_experimental_is_refused_by_name() {
        for (source, name) in [
            ("info(a)", "function \"info\""),
            ("limitk by (x) (1, a)", "aggregation \"limitk\""),
            ("a + fill(0) b", "modifier \"fill\""),
            ("rate(a[5m] anchored)", "modifier \"anchored\""),
            ("a smoothed", "modifier \"smoothed\""),
            ("a[5m+4m]", "a duration expression"),
            ("a[step()]", "a duration expression"),
            ("a offset (5m)", "a duration expression"),
            ("1 + start()", "function \"start\""),
        ] {
            assert_eq!(refusal(source), Some(Refusal::Experimental(name.to_owned())), "{source}");
        }
        assert!(matches!(refusal("a </ 5"), Some(Refusal::NativeHistogram(_))));
    }

    #[test]
    fn names_that_look_like_it_are_not() {
        for fine in ["info", "a @ start()", "range + step", "fill", "anchored", "a < 5", "a[5m:]"] {
            assert_eq!(refusal(fine), None, "{fine}");
            assert!(super::super::tokens(fine).is_ok(), "{fine}");
        }
    }
}
