//! A text as tokens with their places: what is too long, too deep or not built is told here, before
//! anything recurses. The grammar's crate keeps no places and panics on some numbers, so it
//! gets the tokens without their values, and the values come from here.

mod number;
mod refuse;
pub(crate) mod text;

use crate::error::Error;

pub(crate) use number::span_text;
pub(crate) use text::Text;

/// A dashboard's longest queries have some kilobytes.
const MOST_BYTES: usize = 256 << 10;
/// Every bracket and sign may cost a level of recursion, here and in the grammar's crate.
const MOST_DEPTH: usize = 100;
/// A chain of operators is a tree as deep as it is long.
const MOST_OPERATORS: usize = 1_000;

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    /// A name or a keyword; its text is that of its place.
    Word,
    /// A number.
    Number(f64),
    /// A duration, in milliseconds.
    Span(i64),
    /// A text in quotes.
    Text(Text),
    /// An operator or a bracket.
    Mark(&'static str),
}

/// One token.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    /// What it is.
    pub(crate) what: What,
    /// Where it begins, in bytes.
    pub(crate) at: usize,
    /// Where it ends.
    pub(crate) end: usize,
    /// Whether it stands between braces.
    pub(crate) in_braces: bool,
}

/// The marks, longer ones before their beginnings.
const MARKS: &[&str] = &[
    "==", "=~", "!=", "!~", ">=", "<=", "=", ">", "<", "+", "-", "*", "/", "%", "^", "@", ",", "(",
    ")", "{", "}", "[", "]", ":",
];

/// The tokens of `source`.
pub(crate) fn tokens(source: &str) -> Result<Vec<Token>, Error> {
    if source.len() > MOST_BYTES {
        let text = format!("query is {} bytes long, at most {MOST_BYTES} are read", source.len());
        return Err(Error::bad(text));
    }
    let mut lexer = Lexer { source, at: 0, open: Vec::new(), right: 0, tokens: Vec::new() };
    lexer.run()?;
    if let Some((bracket, _)) = lexer.open.last() {
        let what = match *bracket {
            "(" => "unclosed left parenthesis",
            "{" => "unexpected end of input inside braces",
            _ => "unexpected end of input in subquery or range selector",
        };
        return Err(parse_error(source, source.len(), what));
    }
    let tokens = lexer.tokens;
    if tokens.is_empty() {
        return Err(Error::bad("unknown position: parse error: no expression found in input"));
    }
    let operators = tokens.iter().filter(|token| is_operator(source, token)).count();
    if operators > MOST_OPERATORS {
        let text = format!("query has {operators} operators, at most {MOST_OPERATORS} are read");
        return Err(Error::bad(text));
    }
    refuse::refuse(source, &tokens)?;
    Ok(tokens)
}

/// A parse error in Prometheus's form, with line and column.
pub(crate) fn parse_error(source: &str, at: usize, what: &str) -> Error {
    Error::bad(format!("{}: parse error: {what}", place(source, at)))
}

/// Line and column of a byte, both from one.
pub(crate) fn place(source: &str, at: usize) -> String {
    let before = source.get(..at).unwrap_or(source);
    let line = before.matches('\n').count().saturating_add(1);
    let column = before.rsplit('\n').next().map_or(0, str::len).saturating_add(1);
    format!("{line}:{column}")
}

fn is_operator(source: &str, token: &Token) -> bool {
    match token.what {
        What::Mark(mark) => {
            !token.in_braces && !["(", ")", "{", "}", "]", ",", ":"].contains(&mark)
        }
        What::Word => {
            let word = source.get(token.at..token.end).unwrap_or_default();
            ["and", "or", "unless", "atan2"].iter().any(|name| word.eq_ignore_ascii_case(name))
        }
        _ => false,
    }
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
    /// The open brackets, each with what `right` was before it.
    open: Vec<(&'static str, usize)>,
    /// How deep signs and powers nest here: they lean to the right.
    right: usize,
    tokens: Vec<Token>,
}

impl<'a> Lexer<'a> {
    fn run(&mut self) -> Result<(), Error> {
        while let Some(c) = self.rest().chars().next() {
            match c {
                _ if c.is_ascii_whitespace() => self.at = self.at.saturating_add(1),
                '#' => {
                    let line = self.rest().find(['\n', '\r']).unwrap_or(self.rest().len());
                    self.at = self.at.saturating_add(line);
                }
                '"' | '\'' | '`' => {
                    let (text, len) = text::read(self.rest()).map_err(|why| self.fault(why))?;
                    self.put(What::Text(text), len);
                }
                _ if self.begins_number(c) => self.number()?,
                _ if c.is_ascii_alphabetic() || c == '_' => self.word(),
                // Between braces no name has a colon; between square ones it stands alone.
                ':' if !self.within("[") && !self.within("{") => self.word(),
                _ => self.mark(c)?,
            }
        }
        Ok(())
    }

    fn rest(&self) -> &'a str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn fault(&self, what: &str) -> Error {
        parse_error(self.source, self.at, what)
    }

    fn put(&mut self, what: What, len: usize) {
        let end = self.at.saturating_add(len);
        let in_braces = self.within("{");
        self.tokens.push(Token { what, at: self.at, end, in_braces });
        self.at = end;
    }

    fn begins_number(&self, c: char) -> bool {
        let dotted = c == '.' && self.rest().chars().nth(1).is_some_and(|d| d.is_ascii_digit());
        !self.within("{") && (c.is_ascii_digit() || dotted)
    }

    fn number(&mut self) -> Result<(), Error> {
        let (what, len) = number::read(self.rest()).map_err(|why| self.fault(&why))?;
        self.put(what, len);
        Ok(())
    }

    fn word(&mut self) {
        let colons = !self.within("{");
        let inside = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colons && c == ':');
        let len = self.rest().find(|c| !inside(c)).unwrap_or(self.rest().len());
        let word = self.rest().get(..len).unwrap_or_default();
        let what = if colons { number::named(word) } else { None };
        self.put(what.unwrap_or(What::Word), len);
    }

    fn mark(&mut self, c: char) -> Result<(), Error> {
        let found = MARKS.iter().find(|mark| self.rest().starts_with(**mark));
        let Some(&mark) = found else {
            return Err(self.fault(&format!("unexpected character: {c:?}")));
        };
        match mark {
            "(" | "{" | "[" => {
                self.put(What::Mark(mark), mark.len());
                self.open.push((mark, self.right));
                return self.check_depth();
            }
            ")" | "}" | "]" => {
                let (opened, right) = self.open.pop().unwrap_or_default();
                if !matches!((opened, mark), ("(", ")") | ("{", "}") | ("[", "]")) {
                    return Err(self.fault(&format!("unexpected {mark:?}")));
                }
                self.right = right;
            }
            _ => self.lean(mark)?,
        }
        self.put(What::Mark(mark), mark.len());
        Ok(())
    }

    /// A sign or a power is one level more; any other operator ends them all.
    fn lean(&mut self, mark: &str) -> Result<(), Error> {
        let after_operand = self.tokens.last().is_some_and(|token| match token.what {
            What::Mark(mark) => [")", "]", "}"].contains(&mark),
            _ => true,
        });
        if mark == "^" || !after_operand {
            self.right = self.right.saturating_add(1);
        } else {
            self.right = self.open.last().map_or(0, |(_, right)| *right);
        }
        self.check_depth()
    }

    fn check_depth(&self) -> Result<(), Error> {
        if self.open.len().saturating_add(self.right) <= MOST_DEPTH {
            return Ok(());
        }
        Err(Error::bad(format!("query nests deeper than {MOST_DEPTH} levels")))
    }

    fn within(&self, bracket: &str) -> bool {
        self.open.last().is_some_and(|(open, _)| *open == bracket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(source: &str) -> Vec<What> {
        tokens(source).unwrap().into_iter().map(|token| token.what).collect()
    }

    #[test]
    fn every_kind_of_token_is_found_with_its_place() {
        let source = "rate(a:b{le=~\"x\"}[5m:]) # end\n >= bool 0x1F";
        let found = tokens(source).unwrap();
        let texts: Vec<&str> = found.iter().map(|t| source.get(t.at..t.end).unwrap()).collect();
        assert_eq!(
            texts,
            [
                "rate", "(", "a:b", "{", "le", "=~", "\"x\"", "}", "[", "5m", ":", "]", ")", ">=",
                "bool", "0x1F"
            ]
        );
        assert_eq!(found.last().unwrap().what, What::Number(31.0));
        assert_eq!(place(source, found[13].at), "2:2");
    }

    #[test]
    fn what_is_too_large_is_refused_before_anything_recurses() {
        assert!(tokens(&"(".repeat(10_000)).unwrap_err().text.contains("nests deeper"));
        assert!(tokens(&"-".repeat(100_000)).unwrap_err().text.contains("nests deeper"));
        assert!(tokens(&"1^".repeat(1_000)).unwrap_err().text.contains("nests deeper"));
        assert!(tokens(&"-(1 + ".repeat(90)).unwrap_err().text.contains("nests deeper"));
        assert!(
            tokens(&format!("1{}", " + 1".repeat(2_000))).unwrap_err().text.contains("operators")
        );
        assert!(tokens(&format!("1{}", " + -1 ^ 2".repeat(300))).is_ok());
        assert!(tokens(&"a".repeat(10 << 20)).unwrap_err().text.contains("bytes long"));
    }

    #[test]
    fn brackets_must_match() {
        for wrong in ["{:}x{", "(", ")", "a{", "a[5m", "(]", "a{b=\"c\")"] {
            assert!(tokens(wrong).is_err(), "{wrong}");
        }
        assert!(tokens("").is_err() && tokens(" # nothing").is_err());
        assert!(tokens("é").is_err() && tokens("\"open").is_err());
        assert_eq!(read("1_000"), [What::Number(1000.0)]);
    }
}
