//! Text in columns, counted as a terminal counts: a CJK character takes two.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How many columns `text` takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// `text` in lines of at most `room` columns, broken between words; a word that is longer is
/// broken where it must be.
pub(crate) fn wrap(text: &str, room: usize) -> Vec<String> {
    let room = room.max(1);
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let mut word = word;
        if !line.is_empty() && width(&line) + 1 + width(word) > room {
            lines.push(std::mem::take(&mut line));
        }
        while width(word) > room && line.is_empty() {
            let (head, rest) = split(word, room);
            lines.push(head.to_owned());
            word = rest;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

/// `text` wrapped, its longest words shortened in their middle until it fits into `most` lines.
pub(crate) fn within(text: &str, room: usize, most: usize) -> Vec<String> {
    /// A name shorter than this is a riddle.
    const LEAST: usize = 12;
    let mut words: Vec<String> = text.split_whitespace().map(ToOwned::to_owned).collect();
    loop {
        let lines = wrap(&words.join(" "), room);
        let longest = words.iter_mut().max_by_key(|word| width(word));
        match longest.filter(|word| width(word) > LEAST) {
            Some(word) if lines.len() > most => *word = middle(word, width(word) - 2),
            _ => return lines,
        }
    }
}

/// `text`, without its middle if it is wider than `room`.
pub(crate) fn shortened(text: &str, room: usize) -> String {
    if width(text) <= room { text.to_owned() } else { cut(&middle(text, room), room) }
}

/// `text` in at most `room` columns, without its middle.
fn middle(text: &str, room: usize) -> String {
    let text = text.replace('…', "");
    let half = room.saturating_sub(1) / 2;
    let head = split(&text, half.max(1)).0;
    let mut tail = text.get(head.len()..).unwrap_or_default();
    while width(tail) > half {
        let mut chars = tail.chars();
        chars.next();
        tail = chars.as_str();
    }
    format!("{head}…{tail}")
}

/// As many characters as fit in `room`, at least one, and the rest.
fn split(text: &str, room: usize) -> (&str, &str) {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += c.width().unwrap_or(0);
        if used > room && at > 0 {
            return text.split_at_checked(at).unwrap_or((text, ""));
        }
    }
    (text, "")
}

/// `text`, or as much of its head as fits before `…`.
pub(crate) fn cut(text: &str, room: usize) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    match room {
        0 => String::new(),
        1 => "…".to_owned(),
        _ => format!("{}…", split(text, room - 1).0),
    }
}

/// `text` in exactly `room` columns, at its left.
pub(crate) fn left(text: &str, room: usize) -> String {
    let text = cut(text, room);
    let pad = room.saturating_sub(width(&text));
    text + &" ".repeat(pad)
}

/// `text` in exactly `room` columns, at its right.
pub(crate) fn right(text: &str, room: usize) -> String {
    let text = cut(text, room);
    " ".repeat(room.saturating_sub(width(&text))) + &text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_wrap_and_wide_characters_count_twice() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("", 7), [""]);
        assert_eq!(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("内存不足 杀死", 6), ["内存不", "足", "杀死"]);
        assert_eq!(wrap("a 字", 1), ["a", "字"]);
    }

    #[test]
    fn long_names_lose_their_middle_before_the_end_is_lost() {
        let text = format!(
            "the last was x, at the limit of /a{}/z.scope, 1 h ago: do this",
            "b".repeat(60)
        );
        let lines = within(&text, 40, 2);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[1].ends_with("ago: do this"), "{lines:?}");
        assert!(lines.join(" ").contains("/ab"), "{lines:?}");
    }

    #[test]
    fn columns_are_exact() {
        assert_eq!(left("内存", 6), "内存  ");
        assert_eq!(right("7", 3), "  7");
        assert_eq!(cut("内存不足", 5), "内存…");
        assert_eq!(cut("abc", 0), "");
    }
}
