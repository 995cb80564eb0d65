//! Lists of labels and of matchers, `offset` and `@`, and durations.

use highwater_core::series::{Matcher, NAME, Pattern, Want};

use super::Cursor;
use crate::error::Error;
use crate::lex::{Text, What};
use crate::number::millis;
use crate::plan::{At, Selector, When};

/// Each pattern may take a megabyte once it is compiled.
const MOST_PATTERNS: usize = 100;

impl Cursor<'_> {
    /// `(a, "b.c")`.
    pub(super) fn labels(&mut self) -> Result<Vec<String>, Error> {
        self.expect("(")?;
        let mut names = Vec::new();
        while !self.mark(")") {
            match self.peek() {
                Some(What::Text(text)) => {
                    names.push(self.whole(text)?);
                    self.step();
                }
                _ => names.push(self.take_word()?.to_owned()),
            }
            self.mark(",");
        }
        Ok(names)
    }

    /// A text that a label can hold.
    fn whole(&self, text: &Text) -> Result<String, Error> {
        match &text.broken {
            Some(broken) => Err(self.fault(&format!("{broken} is not valid UTF-8"))),
            None => Ok(text.value.clone()),
        }
    }

    /// `name{…}`, each part if it is there.
    pub(super) fn selector(&mut self, named: bool) -> Result<Selector, Error> {
        let at = self.at();
        let mut name = if named { Some(self.take_word()?.to_owned()) } else { None };
        let mut matchers = Vec::new();
        if self.mark("{") {
            while !self.mark("}") {
                let matcher = self.matcher()?;
                let bare = matcher.1;
                if name.is_none() && bare {
                    if let Want::Is(value) = matcher.0.want {
                        name = Some(value);
                    }
                } else {
                    matchers.push(matcher.0);
                }
                self.mark(",");
            }
        }
        let some = |m: &Matcher| !m.accepts(&highwater_core::series::Labels::default());
        let twice = name.is_some() && matchers.iter().any(|m| m.name == NAME);
        if twice {
            let fault = "metric name must not be set twice";
            return Err(crate::lex::parse_error(self.source, at, fault));
        }
        if name.is_none() && !matchers.iter().any(some) {
            let fault = "vector selector must contain at least one non-empty matcher";
            return Err(crate::lex::parse_error(self.source, at, fault));
        }
        Ok(Selector { name, matchers, when: When::default() })
    }

    /// One matcher, and whether it was a name alone.
    fn matcher(&mut self) -> Result<(Matcher, bool), Error> {
        let (name, quoted) = match self.peek() {
            Some(What::Text(text)) => {
                let name = self.whole(text)?;
                self.step();
                (name, true)
            }
            _ => (self.take_word()?.to_owned(), false),
        };
        let Some(What::Mark(op @ ("=" | "!=" | "=~" | "!~"))) = self.peek() else {
            let bare = (Matcher { name: NAME.to_owned(), want: Want::Is(name) }, true);
            let fault = "unexpected character in label matching, expected label matching operator";
            return if quoted { Ok(bare) } else { Err(self.fault(fault)) };
        };
        self.step();
        let Some(What::Text(text)) = self.peek() else {
            return Err(self.fault("unexpected token in label matching, expected string"));
        };
        let value = self.whole(text)?;
        let want = match *op {
            "=" => Want::Is(value),
            "!=" => Want::IsNot(value),
            "=~" => Want::Matches(self.pattern(&value)?),
            _ => Want::MatchesNot(self.pattern(&value)?),
        };
        self.step();
        Ok((Matcher { name, want }, false))
    }

    fn pattern(&self, text: &str) -> Result<Pattern, Error> {
        let before = self.tokens.get(..self.next).unwrap_or_default();
        let count = before.iter().filter(|t| matches!(t.what, What::Mark("=~" | "!~"))).count();
        if count > MOST_PATTERNS {
            let text = format!("query has more than {MOST_PATTERNS} regular expressions");
            return Err(Error::bad(text));
        }
        Pattern::new(text)
            .map_err(|error| self.fault(&format!("error parsing regexp: {error}: `{text}`")))
    }

    /// Any number of `offset …` and `@ …`.
    pub(super) fn when(&mut self) -> Result<When, Error> {
        let mut when = When::default();
        loop {
            if self.keyword("offset") {
                let sign = self.sign();
                let ms = self.span()?;
                when.offset = if sign < 0.0 { ms.saturating_neg() } else { ms };
            } else if self.mark("@") {
                when.at = Some(self.moment()?);
            } else {
                return Ok(when);
            }
        }
    }

    fn moment(&mut self) -> Result<At, Error> {
        for (word, at) in [("start", At::Start), ("end", At::End)] {
            if self.keyword(word) {
                self.expect("(")?;
                self.expect(")")?;
                return Ok(at);
            }
        }
        let sign = self.sign();
        let Some(value) = self.number() else {
            return Err(self.lost());
        };
        let Some(ms) = millis(sign * value) else {
            return Err(self.fault(&format!("timestamp out of bounds for @ modifier: {value}")));
        };
        self.step();
        Ok(At::Moment(ms))
    }

    /// The product of the signs that come next.
    pub(super) fn sign(&mut self) -> f64 {
        let mut sign = 1.0;
        loop {
            if self.mark("-") {
                sign = -sign;
            } else if !self.mark("+") {
                return sign;
            }
        }
    }

    /// The number that comes next; a duration is its seconds.
    pub(super) fn number(&self) -> Option<f64> {
        match self.peek() {
            Some(What::Number(value)) => Some(*value),
            Some(What::Span(ms)) => Some(crate::number::seconds(*ms)),
            _ => None,
        }
    }

    /// A duration, or a number of seconds.
    pub(super) fn span(&mut self) -> Result<i64, Error> {
        let ms = match self.peek() {
            Some(What::Span(ms)) => Some(*ms),
            Some(What::Number(value)) => millis(*value),
            _ => None,
        };
        // As many milliseconds as Prometheus's nanoseconds reach.
        let ms = ms.filter(|ms| ms.abs() <= i64::MAX / 1_000_000);
        let ms = ms.ok_or_else(|| self.fault("duration out of range"))?;
        self.step();
        Ok(ms)
    }

    /// A duration greater than zero.
    pub(super) fn range(&mut self) -> Result<i64, Error> {
        let at = self.at();
        let ms = self.span()?;
        if ms > 0 {
            return Ok(ms);
        }
        Err(crate::lex::parse_error(self.source, at, "duration must be greater than 0"))
    }
}
