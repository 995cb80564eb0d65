//! Where a text stops being PromQL: the grammar's crate only says that it did. Walked once more when
//! that has happened, and only as far as the first token that cannot stand where it stands.

use crate::lex::{Token, What};

/// A token that cannot stand there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Astray {
    /// Where it begins, in bytes.
    pub(super) at: usize,
    /// What it is, and what could stand there.
    pub(super) what: String,
}

/// Words that are aggregations where a list or a bracket follows.
const AGGREGATIONS: &[&str] = &[
    "avg",
    "bottomk",
    "count",
    "count_values",
    "group",
    "max",
    "min",
    "quantile",
    "stddev",
    "stdvar",
    "sum",
    "topk",
];

/// Words between two values.
const OPERATORS: &[&str] = &["and", "or", "unless", "atan2"];

/// Marks between two values.
const MARKS: &[&str] = &["==", "!=", ">=", "<=", ">", "<", "+", "-", "*", "/", "%", "^"];

/// The first token that goes astray.
pub(super) fn astray(source: &str, tokens: &[Token]) -> Option<Astray> {
    let mut walk = Walk { source, tokens, next: 0 };
    match walk.expression() {
        Err(astray) => Some(astray),
        Ok(()) if walk.next < tokens.len() => Some(walk.stray("an operator")),
        Ok(()) => None,
    }
}

struct Walk<'a> {
    source: &'a str,
    tokens: &'a [Token],
    next: usize,
}

impl<'a> Walk<'a> {
    /// Values with operators between them. The lexer bounds how deep this goes.
    fn expression(&mut self) -> Result<(), Astray> {
        self.value()?;
        while self.one_of(MARKS) || self.keyword(OPERATORS) {
            self.keyword(&["bool"]);
            if self.keyword(&["on", "ignoring"]) {
                self.names()?;
            }
            if self.keyword(&["group_left", "group_right"]) && self.is_mark("(") {
                self.names()?;
            }
            self.value()?;
        }
        Ok(())
    }

    fn value(&mut self) -> Result<(), Astray> {
        while self.one_of(&["+", "-"]) {}
        match self.tokens.get(self.next).map(|token| &token.what) {
            Some(What::Number(_) | What::Span(_) | What::Text(_)) => self.step(),
            Some(What::Mark("(")) => {
                self.step();
                self.expression()?;
                self.expect(")")?;
            }
            Some(What::Mark("{")) => self.matchers()?,
            Some(What::Word) => self.named()?,
            _ => return Err(self.stray("a value")),
        }
        self.suffixes()
    }

    /// A metric, a function or an aggregation.
    fn named(&mut self) -> Result<(), Astray> {
        let aggregates = self.keyword(AGGREGATIONS);
        if !aggregates {
            self.step();
        }
        let grouped = aggregates && self.grouping()?;
        if self.is_mark("(") || grouped {
            self.arguments()?;
            if aggregates && !grouped {
                self.grouping()?;
            }
            return Ok(());
        }
        if self.is_mark("{") { self.matchers() } else { Ok(()) }
    }

    /// `by (a, b)`, if it comes next.
    fn grouping(&mut self) -> Result<bool, Astray> {
        let comes = self.keyword(&["by", "without"]);
        if comes {
            self.names()?;
        }
        Ok(comes)
    }

    fn arguments(&mut self) -> Result<(), Astray> {
        self.expect("(")?;
        if self.one_of(&[")"]) {
            return Ok(());
        }
        loop {
            self.expression()?;
            if self.one_of(&[")"]) {
                return Ok(());
            }
            if !self.one_of(&[","]) {
                return Err(self.stray("an operator, \",\" or \")\""));
            }
        }
    }

    /// Labels in brackets.
    fn names(&mut self) -> Result<(), Astray> {
        self.expect("(")?;
        while !self.one_of(&[")"]) {
            if !self.is_word() && !self.is_text() {
                return Err(self.stray("a label"));
            }
            self.step();
            if !self.one_of(&[","]) && !self.is_mark(")") {
                return Err(self.stray("\",\" or \")\""));
            }
        }
        Ok(())
    }

    /// Conditions in braces.
    fn matchers(&mut self) -> Result<(), Astray> {
        self.expect("{")?;
        while !self.one_of(&["}"]) {
            let named = self.is_text();
            if !named && !self.is_word() {
                return Err(self.stray("a label"));
            }
            self.step();
            if self.one_of(&["=", "!=", "=~", "!~"]) {
                if !self.is_text() {
                    return Err(self.stray("a text in quotes"));
                }
                self.step();
            } else if !named {
                return Err(self.stray("one of = != =~ !~"));
            }
            if !self.one_of(&[","]) && !self.is_mark("}") {
                return Err(self.stray("\",\" or \"}\""));
            }
        }
        Ok(())
    }

    /// Ranges and moments behind a value.
    fn suffixes(&mut self) -> Result<(), Astray> {
        loop {
            if self.one_of(&["["]) {
                self.duration()?;
                if self.one_of(&[":"]) && !self.is_mark("]") {
                    self.duration()?;
                }
                self.expect("]")?;
            } else if self.keyword(&["offset"]) {
                self.one_of(&["+", "-"]);
                self.duration()?;
            } else if self.one_of(&["@"]) {
                self.moment()?;
            } else {
                return Ok(());
            }
        }
    }

    fn duration(&mut self) -> Result<(), Astray> {
        match self.tokens.get(self.next).map(|token| &token.what) {
            Some(What::Number(_) | What::Span(_)) => {
                self.step();
                Ok(())
            }
            _ => Err(self.stray("a duration, as in 5m")),
        }
    }

    fn moment(&mut self) -> Result<(), Astray> {
        if self.keyword(&["start", "end"]) {
            self.expect("(")?;
            return self.expect(")");
        }
        self.one_of(&["+", "-"]);
        match self.tokens.get(self.next).map(|token| &token.what) {
            Some(What::Number(_)) => {
                self.step();
                Ok(())
            }
            _ => Err(self.stray("a time in seconds, start() or end()")),
        }
    }

    fn is_word(&self) -> bool {
        self.tokens.get(self.next).is_some_and(|token| token.what == What::Word)
    }

    fn is_text(&self) -> bool {
        self.tokens.get(self.next).is_some_and(|token| matches!(token.what, What::Text(_)))
    }

    fn is_mark(&self, mark: &str) -> bool {
        let next = self.tokens.get(self.next);
        next.is_some_and(|token| matches!(token.what, What::Mark(next) if next == mark))
    }

    fn step(&mut self) {
        self.next = self.next.saturating_add(1);
    }

    /// Takes one of these marks if it comes next.
    fn one_of(&mut self, marks: &[&str]) -> bool {
        let comes = marks.iter().any(|mark| self.is_mark(mark));
        if comes {
            self.step();
        }
        comes
    }

    /// Takes one of these words if it comes next.
    fn keyword(&mut self, words: &[&str]) -> bool {
        let text = self.text();
        let comes = self.is_word() && words.iter().any(|word| text.eq_ignore_ascii_case(word));
        if comes {
            self.step();
        }
        comes
    }

    fn expect(&mut self, mark: &str) -> Result<(), Astray> {
        if self.one_of(&[mark]) { Ok(()) } else { Err(self.stray(&format!("{mark:?}"))) }
    }

    /// The text of the next token.
    fn text(&self) -> &'a str {
        let token = self.tokens.get(self.next);
        token.and_then(|token| self.source.get(token.at..token.end)).unwrap_or_default()
    }

    fn stray(&self, expected: &str) -> Astray {
        let text = self.text();
        let (at, found) = match self.tokens.get(self.next) {
            None => (self.source.len(), "end of input".to_owned()),
            Some(token) => {
                let found = match token.what {
                    What::Word => format!("identifier {text:?}"),
                    What::Number(_) => format!("number {text:?}"),
                    What::Span(_) => format!("duration {text:?}"),
                    What::Text(_) => format!("string {text}"),
                    What::Mark(mark) => format!("{mark:?}"),
                };
                (token.at, found)
            }
        };
        Astray { at, what: format!("unexpected {found}, expected {expected}") }
    }
}

#[cfg(test)]
mod tests {
    use crate::lower::read;

    #[test]
    fn the_first_token_that_cannot_stand_there_is_named() {
        for (text, want) in [
            ("up +", "1:5: parse error: unexpected end of input, expected a value"),
            ("foo bar", "1:5: parse error: unexpected identifier \"bar\", expected an operator"),
            ("sum by up", "1:8: parse error: unexpected identifier \"up\", expected \"(\""),
            ("sum(up) by", "1:11: parse error: unexpected end of input, expected \"(\""),
            ("up == bool", "1:11: parse error: unexpected end of input, expected a value"),
            ("up by (a)", "1:4: parse error: unexpected identifier \"by\", expected an operator"),
            (
                "rate(up[5m] up)",
                "1:13: parse error: unexpected identifier \"up\", expected an operator, \",\" or \")\"",
            ),
            (
                "{\"up\" \"b\"}",
                "1:7: parse error: unexpected string \"b\", expected \",\" or \"}\"",
            ),
            ("a\n  * / b", "2:5: parse error: unexpected \"/\", expected a value"),
            ("up[:5m]", "1:4: parse error: unexpected \":\", expected a duration, as in 5m"),
            (
                "up @ x",
                "1:6: parse error: unexpected identifier \"x\", expected a time in seconds, start() or end()",
            ),
        ] {
            let why = read(text).map(|_| ()).unwrap_err().text;
            assert_eq!(why, want, "{text}");
        }
    }
}
