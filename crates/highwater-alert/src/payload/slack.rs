//! Slack's incoming webhooks: blocks, and a text for what shows no blocks.
//! Formats and limits: docs.slack.dev, "Sending messages using incoming webhooks", "Block Kit".

use serde_json::{Value, json};

use super::story::{Chapter, Story, left_out};
use crate::dispatch::Notice;

/// A section may have 3,000 characters; the rest is room for what is put around.
const MOST_SECTION_CHARS: usize = 2_900;
/// A header may have 150.
const MOST_HEAD_CHARS: usize = 140;
/// A message may have 50 blocks and about 40,000 characters in all, JSON's own escapes perhaps
/// among them.
const MOST_BYTES: usize = 30_000;
/// Sections, so that header and last line have room.
const MOST_SECTIONS: usize = 45;

/// The message.
pub(super) fn message(notice: &Notice) -> Value {
    let story = Story::of(notice);
    let size = |text: &String| Value::from(text.as_str()).to_string().len();
    let (mut sections, mut out) = story.fitting(MOST_BYTES, section, size);
    out = out.saturating_add(sections.len().saturating_sub(MOST_SECTIONS));
    sections.truncate(MOST_SECTIONS);
    sections.extend(left_out(out));
    let head: String = story.title.chars().take(MOST_HEAD_CHARS).collect();
    let head =
        json!({"type": "header", "text": {"type": "plain_text", "text": head, "emoji": false}});
    // Verbatim: no name becomes a link or calls anybody.
    let section = |text: String| json!({"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": true}});
    let blocks: Vec<Value> =
        std::iter::once(head).chain(sections.into_iter().map(section)).collect();
    json!({"text": escaped(&story.title), "blocks": blocks})
}

fn section(chapter: &Chapter) -> String {
    let mut lines = vec![format!("*{}*", bold(&chapter.head))];
    lines.extend(chapter.text.iter().map(|line| escaped(line)));
    let fact = |(what, text): &(&str, String)| format!("{what}: {}", code(text));
    lines.extend(chapter.facts.iter().map(fact));
    let page = chapter.page.as_ref().map(|page| format!("<{}|More>", escaped(page)));
    let room = MOST_SECTION_CHARS.saturating_sub(page.as_ref().map_or(0, |it| it.chars().count()));
    let mut text = cut(&lines, room);
    text.extend(page.map(|page| format!("\n{page}")));
    text
}

/// Whole lines, as many as have room: a line that is cut in two could leave a mark open.
fn cut(lines: &[String], most: usize) -> String {
    let mut text = String::new();
    for line in lines {
        if text.chars().count().saturating_add(line.chars().count()).saturating_add(3) > most {
            text.push_str("\n…");
            break;
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(line);
    }
    text
}

/// Slack asks for three characters to be escaped; without `<` there are no links and no calls.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// In bold, where a star would end it.
fn bold(text: &str) -> String {
    escaped(text).replace('*', "∗")
}

/// As code, where only a backtick has a meaning.
fn code(text: &str) -> String {
    format!("`{}`", escaped(text).replace('`', "'"))
}
