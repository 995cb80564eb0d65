//! DingTalk's robots of groups: a message of type `markdown`.
//! Format and limits: open.dingtalk.com, "Custom robots: message types".

use serde_json::{Value, json};

use super::story::{Chapter, Story, left_out};
use crate::dispatch::Notice;

/// A message may have 20,000 bytes, which JSON's own escapes count towards.
const MOST_BYTES: usize = 17_000;

/// What has a meaning anywhere in a line.
const ESCAPED: [char; 9] = ['\\', '`', '*', '_', '[', ']', '<', '>', '~'];

/// The message. It calls nobody by name.
pub(super) fn message(notice: &Notice) -> Value {
    let story = Story::of(notice);
    let size = |text: &String| Value::from(text.as_str()).to_string().len();
    let (chapters, out) = story.fitting(MOST_BYTES, chapter, size);
    let mut parts = vec![format!("### {}", escaped(&story.title))];
    parts.extend(chapters);
    parts.extend(left_out(out));
    json!({
        "msgtype": "markdown",
        "markdown": {"title": story.title, "text": parts.join("\n\n")},
        "at": {"isAtAll": false},
    })
}

/// Each fact is an item of a list, since single line ends are no line ends here.
fn chapter(chapter: &Chapter) -> String {
    let mut parts = vec![format!("**{}**", escaped(&chapter.head))];
    parts.extend(chapter.text.iter().map(|line| plain(line)));
    let fact = |(what, text): &(&str, String)| format!("- {what}: {}", escaped(text));
    parts.push(chapter.facts.iter().map(fact).collect::<Vec<_>>().join("\n"));
    parts.extend(chapter.page.as_ref().map(|page| format!("[More]({page})")));
    parts.join("\n\n")
}

/// A line that is no heading, list or quotation, whatever it begins with.
fn plain(line: &str) -> String {
    let sign = line.starts_with(|c: char| !c.is_alphanumeric() && c.is_ascii_graphic());
    let first = if sign && !line.starts_with(ESCAPED) { "\\" } else { "" };
    format!("{first}{}", escaped(line))
}

/// The signs that make links, pictures, HTML and emphasis have no meaning behind a backslash; those
/// that mean something only where a line begins stand behind a word.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if ESCAPED.contains(&c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
