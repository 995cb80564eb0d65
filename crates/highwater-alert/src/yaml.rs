//! YAML as a tree whose every node knows its place. Events come from `saphyr-parser`; what a file
//! may cost is bounded here: its size, its depth, and how far its aliases unfold.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span};

use crate::fault::Place;

/// Large rule files have some hundred kilobytes.
const MOST_BYTES: usize = 4 << 20;
/// Rule files are six levels deep.
const MOST_DEPTH: usize = 32;
/// Nodes with all aliases unfolded: ten times what the largest rule files have.
const MOST_NODES: usize = 500_000;
/// So much text is as much as a node.
const BYTES_OF_A_NODE: usize = 64;

/// A node and where it begins.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) content: Content,
    /// How many nodes it is with those beneath it; long texts are several.
    size: usize,
    /// How many levels it has beneath it.
    depth: usize,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Scalar(Scalar),
    List(Vec<Node>),
    /// The keys are as they stand, repeats included.
    Map(Vec<(Node, Node)>),
}

/// A text in a file.
#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    style: ScalarStyle,
    /// What stands in the file for it.
    source: String,
}

/// Why a text is no tree.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) place: Place,
    pub(crate) what: String,
}

impl Node {
    /// Whether it stands for nothing: an empty place, `~` or `null`.
    pub(crate) fn is_null(&self) -> bool {
        let Content::Scalar(scalar) = &self.content else { return false };
        let words = ["", "~", "null", "Null", "NULL"];
        scalar.style == ScalarStyle::Plain && words.contains(&scalar.text.as_str())
    }

    /// Its text, if it is a scalar; nothing is the empty text.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(_) if self.is_null() => Some(""),
            Content::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }

    /// What it is, in a word.
    pub(crate) const fn kind(&self) -> &'static str {
        match self.content {
            Content::Scalar(_) => "a text",
            Content::List(_) => "a list",
            Content::Map(_) => "a mapping",
        }
    }

    /// Where in the file a line and column of its text stand.
    ///
    /// Blanks, line breaks, quotes and indentation differ between the two, so what is counted are
    /// the other characters.
    pub(crate) fn place_of(&self, within: Place) -> Place {
        let Content::Scalar(scalar) = &self.content else { return self.place };
        let before = visible_before(&scalar.text, within);
        let mut place = self.place;
        let mut chars = scalar.source.chars().peekable();
        if matches!(scalar.style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted) {
            step(&mut place, chars.next());
        }
        let mut seen = 0_usize;
        let mut last = place;
        while let Some(first) = chars.next() {
            let escaped = match (scalar.style, first) {
                (ScalarStyle::DoubleQuoted, '\\') => chars.next(),
                (ScalarStyle::SingleQuoted, '\'') => chars.next_if_eq(&'\''),
                _ => None,
            };
            let blank = first.is_whitespace() || escaped.is_some_and(|c| "nrt 0\n".contains(c));
            if !blank {
                if seen == before {
                    return place;
                }
                seen = seen.saturating_add(1);
            }
            step(&mut place, Some(first));
            if escaped.is_some() {
                step(&mut place, escaped);
            }
            if !blank {
                last = place;
            }
        }
        last
    }
}

/// How many characters that are no blanks stand before a place in a text.
fn visible_before(text: &str, within: Place) -> usize {
    let mut here = Place { line: 1, column: 1 };
    let mut count = 0_usize;
    for c in text.chars() {
        if here >= within {
            break;
        }
        count = count.saturating_add(usize::from(!c.is_whitespace()));
        step(&mut here, Some(c));
    }
    count
}

fn step(place: &mut Place, c: Option<char>) {
    match c {
        Some('\n') => {
            place.line = place.line.saturating_add(1);
            place.column = 1;
        }
        Some(_) => place.column = place.column.saturating_add(1),
        None => {}
    }
}

/// The first document of a text; `None` if there is nothing in it.
pub(crate) fn read(text: &str) -> Result<Option<Node>, Broken> {
    if text.len() > MOST_BYTES {
        let what = format!(
            "the file has {} bytes, at most {MOST_BYTES} are read: split it into several files",
            text.len()
        );
        return Err(Broken { place: Place { line: 1, column: 1 }, what });
    }
    Tree::default().grow(text)
}

/// A tree as it grows: what is open, and what has a name.
#[derive(Default)]
struct Tree {
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    root: Option<Node>,
    nodes: usize,
    /// Where the text ends: the parser may stand a line behind it.
    end: Place,
}

/// A list or mapping that has not ended.
struct Open {
    node: Node,
    anchor: usize,
    /// The key whose value comes next.
    key: Option<Node>,
}

impl Tree {
    fn grow(mut self, text: &str) -> Result<Option<Node>, Broken> {
        let mut source = Source { rest: text.chars(), at: 0 };
        self.end = end(text);
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|error| Broken {
                place: place(*error.marker()).min(self.end),
                what: format!("this is no YAML: {}", error.info()),
            })?;
            match event {
                Event::DocumentEnd | Event::StreamEnd => break,
                event => self.take(event, span, &mut source)?,
            }
        }
        Ok(self.root.filter(|root| !root.is_null()))
    }

    fn take(
        &mut self,
        event: Event<'_>,
        span: Span,
        source: &mut Source<'_>,
    ) -> Result<(), Broken> {
        let at = place(span.start).min(self.end);
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let source = source.part(span);
                let scalar = Scalar { text: text.into_owned(), style, source };
                self.put(leaf(at, Content::Scalar(scalar)), anchor)
            }
            Event::SequenceStart(anchor, _) => self.begin(leaf(at, Content::List(vec![])), anchor),
            Event::MappingStart(anchor, _) => self.begin(leaf(at, Content::Map(vec![])), anchor),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open { node, anchor, .. }) => self.put(node, anchor),
                None => Ok(()),
            },
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some(node) => self.put(node, 0),
                None => Err(Broken { place: at, what: "an alias within its own anchor".into() }),
            },
            _ => Ok(()),
        }
    }

    fn begin(&mut self, node: Node, anchor: usize) -> Result<(), Broken> {
        if self.open.len() >= MOST_DEPTH {
            return Err(too_deep(node.place));
        }
        self.open.push(Open { node, anchor, key: None });
        Ok(())
    }

    /// Puts a node that is whole into what is open.
    fn put(&mut self, node: Node, anchor: usize) -> Result<(), Broken> {
        if node.depth.saturating_add(self.open.len()) > MOST_DEPTH {
            return Err(too_deep(node.place));
        }
        self.nodes = self.nodes.saturating_add(node.size);
        if self.nodes > MOST_NODES {
            let what = format!(
                "more than {MOST_NODES} nodes and pieces of text, aliases unfolded: write less"
            );
            return Err(Broken { place: node.place, what });
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            Some(open) => open.put(node),
            None => self.root = Some(node),
        }
        Ok(())
    }
}

impl Open {
    fn put(&mut self, child: Node) {
        self.node.size = self.node.size.saturating_add(child.size);
        self.node.depth = self.node.depth.max(child.depth.saturating_add(1));
        match &mut self.node.content {
            Content::List(items) => items.push(child),
            Content::Map(entries) => match self.key.take() {
                Some(key) => entries.push((key, child)),
                None => self.key = Some(child),
            },
            Content::Scalar(_) => {}
        }
    }
}

fn too_deep(place: Place) -> Broken {
    Broken { place, what: format!("more than {MOST_DEPTH} levels: a rule file has six") }
}

fn leaf(place: Place, content: Content) -> Node {
    let bytes = match &content {
        Content::Scalar(scalar) => scalar.text.len().saturating_add(scalar.source.len()),
        _ => 0,
    };
    let size = (bytes / BYTES_OF_A_NODE).saturating_add(1);
    Node { place, content, size, depth: 0 }
}

/// Behind the last character of a text.
fn end(text: &str) -> Place {
    let lines = text.split('\n');
    let column = lines.clone().next_back().map_or(0, |last| last.chars().count());
    Place { line: lines.count(), column: column.saturating_add(1) }
}

fn place(marker: Marker) -> Place {
    Place { line: marker.line(), column: marker.col().saturating_add(1) }
}

/// The text, of which parts are taken in their order.
struct Source<'a> {
    rest: std::str::Chars<'a>,
    at: usize,
}

impl Source<'_> {
    fn part(&mut self, span: Span) -> String {
        let skipped = span.start.index().saturating_sub(self.at);
        let length = span.end.index().saturating_sub(span.start.index().max(self.at));
        let part = self.rest.by_ref().skip(skipped).take(length).collect();
        self.at = self.at.max(span.start.index()).saturating_add(length);
        part
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn map(text: &str) -> Vec<(Node, Node)> {
        match read(text).unwrap().unwrap().content {
            Content::Map(entries) => entries,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn places_are_found_in_texts_of_every_style() {
        let text = "a: up == bad\nb: 'it''s == bad'\nc: \"q\\\"s ==\\n bad\"\nd: |\n  up ==\n    bad\ne: >-\n  up\n  == bad\n";
        let lines: Vec<&str> = text.lines().collect();
        let mut found = 0;
        for (key, value) in map(text) {
            let decoded = value.text().unwrap().to_owned();
            let before = decoded.split("bad").next().unwrap();
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
            let place = value.place_of(Place { line, column });
            let there = lines[place.line - 1].get(place.column - 1..).unwrap();
            assert!(there.starts_with("bad"), "{:?}: {place} {there:?}", key.text());
            found += 1;
        }
        assert_eq!(found, 5);
    }

    #[test]
    fn what_is_missing_at_the_end_is_missing_within_the_text() {
        for (text, line, column) in [("[0", 1, 3), ("[0\n", 2, 1), ("a: {b: c", 1, 9)] {
            assert_eq!(read(text).unwrap_err().place, Place { line, column }, "{text:?}");
        }
    }

    #[test]
    fn bombs_are_told() {
        let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..9 {
            let before = level - 1;
            let all = vec![format!("*a{before}"); 10].join(",");
            writeln!(bomb, "a{level}: &a{level} [{all}]").unwrap();
        }
        assert!(read(&bomb).unwrap_err().what.contains("aliases unfolded"));
        let long = format!("- &a {}\n{}", "x".repeat(1 << 20), "- *a\n".repeat(10_000));
        assert!(read(&long).unwrap_err().what.contains("aliases unfolded"));
        for deep in ["[".repeat(100_000), "- ".repeat(100_000)] {
            assert!(read(&deep).is_err(), "{}", deep.len());
        }
        assert!(read(&"x".repeat(5 << 20)).unwrap_err().what.contains("split it"));
    }

    #[test]
    fn nothing_is_nothing() {
        for text in ["", "# a remark\n", "---\n", "~\n"] {
            assert!(read(text).unwrap().is_none(), "{text:?}");
        }
        assert!(read("a: &x [*x]").unwrap_err().what.contains("alias"));
    }
}
