//! From the grammar's tree to our plan. The tree has no places and no values: it was made from tokens
//! whose values were left out. It is walked side by side with the tokens, which have both.

mod astray;
mod matchers;
mod node;

use promql_parser::parser::Expr;

use crate::error::Error;
use crate::lex::{Token, What, parse_error, tokens};
use crate::plan::Node;

/// Reads a query.
pub(crate) fn read(source: &str) -> Result<Node, Error> {
    let tokens = tokens(source)?;
    let tree = promql_parser::parser::parse(&skeleton(source, &tokens));
    let tree = tree.map_err(|why| match astray::astray(source, &tokens) {
        Some(found) => parse_error(source, found.at, &found.what),
        None => Error::bad(format!("parse error: {}", named(source, &tokens, &why))),
    })?;
    let mut cursor = Cursor { source, tokens: &tokens, next: 0 };
    let node = cursor.node(&tree)?;
    if cursor.next == tokens.len() { Ok(node) } else { Err(cursor.lost()) }
}

/// The text for the grammar: names, keywords and marks as they are; a placeholder for each value,
/// so that no number is out of its range and no regular expression is compiled twice.
fn skeleton(source: &str, tokens: &[Token]) -> String {
    let mut text = String::with_capacity(source.len());
    for (place, token) in tokens.iter().enumerate() {
        match &token.what {
            What::Number(_) => text.push('1'),
            What::Span(_) => text.push_str("1s"),
            What::Text(_) => text.extend([format!("\"#{place}\"")]),
            What::Word if token.in_braces => text.extend([format!("\"#{place}\"")]),
            What::Mark("=~") => text.push('='),
            What::Mark("!~") => text.push_str("!="),
            What::Mark(mark) => text.push_str(mark),
            What::Word => {
                let word = source.get(token.at..token.end).unwrap_or_default();
                // The name that the function had before Prometheus 3.
                let renamed = word == "holt_winters";
                text.push_str(if renamed { "double_exponential_smoothing" } else { word });
            }
        }
        text.push(' ');
    }
    text
}

/// A fault of the grammar with the texts that its placeholders stand for.
fn named(source: &str, tokens: &[Token], why: &str) -> String {
    let mut out = String::new();
    let mut rest = why;
    while let Some((before, after)) = rest.split_once('#') {
        let len = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        let (digits, tail) = after.split_at_checked(len).unwrap_or((after, ""));
        let token = digits.parse().ok().and_then(|place: usize| tokens.get(place));
        out.push_str(before);
        match token.and_then(|token| source.get(token.at..token.end)) {
            Some(text) => out.push_str(text.trim_matches('"')),
            None => out.push('#'),
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// A place among the tokens.
struct Cursor<'a> {
    source: &'a str,
    tokens: &'a [Token],
    next: usize,
}

impl<'a> Cursor<'a> {
    /// The tree and the tokens do not go together: a construct that only one of them knows.
    fn lost(&self) -> Error {
        self.fault("unexpected expression")
    }

    fn fault(&self, what: &str) -> Error {
        parse_error(self.source, self.at(), what)
    }

    /// Where the next token begins.
    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(self.source.len(), |token| token.at)
    }

    fn peek(&self) -> Option<&'a What> {
        self.tokens.get(self.next).map(|token| &token.what)
    }

    fn step(&mut self) {
        self.next = self.next.saturating_add(1);
    }

    /// The word that comes next.
    fn word(&self) -> Option<&'a str> {
        let token = self.tokens.get(self.next).filter(|token| token.what == What::Word)?;
        self.source.get(token.at..token.end)
    }

    /// Takes the word that comes next, whatever it is.
    fn take_word(&mut self) -> Result<&'a str, Error> {
        let word = self.word().ok_or_else(|| self.lost())?;
        self.step();
        Ok(word)
    }

    /// Takes the keyword if it comes next.
    fn keyword(&mut self, keyword: &str) -> bool {
        let comes = self.word().is_some_and(|word| word.eq_ignore_ascii_case(keyword));
        if comes {
            self.step();
        }
        comes
    }

    /// Takes the mark if it comes next.
    fn mark(&mut self, mark: &str) -> bool {
        let comes = matches!(self.peek(), Some(What::Mark(next)) if *next == mark);
        if comes {
            self.step();
        }
        comes
    }

    fn expect(&mut self, mark: &str) -> Result<(), Error> {
        if self.mark(mark) { Ok(()) } else { Err(self.lost()) }
    }
}

/// The type that the grammar's crate names.
type Tree = Expr;
