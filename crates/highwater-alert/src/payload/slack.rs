//! Slack's incoming webhooks: blocks, and a text for what shows no blocks.
//! Formats and limits: docs.slack.dev, "Sending messages using incoming webhooks", "Block Kit".

use serde_json::{Value, json};

use super::story::{Chapter, Story, left_out};
use crate::dispatch::Notice;

/// A section may have 3,000 characters, perhaps counted as UTF-16 does; the rest is room for what is
/// put around.
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
    let head = beginning(&story.title, MOST_HEAD_CHARS);
    let head =
        json!({"type": "header", "text": {"type": "plain_text", "text": head, "emoji": false}});
    // Verbatim: no name becomes a link or calls anybody.
    let section = |text: String| json!({"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": true}});
    let blocks: Vec<Value> =
        std::iter::once(head).chain(sections.into_iter().map(section)).collect();
    json!({"text": escaped(&story.title), "blocks": blocks})
}

/// What the rule says has half of the room at most, so that what is known is told whatever it says.
fn section(chapter: &Chapter) -> String {
    let page = chapter.page.as_ref().map(|page| format!("\n<{}|More>", escaped(page)));
    let room = MOST_SECTION_CHARS.saturating_sub(page.as_deref().map_or(0, long));
    let mut text = format!("*{}*", bold(&chapter.head));
    add(&mut text, chapter.text.iter().map(|line| escaped(line)), room / 2);
    let fact = |(what, text): &(&str, String)| format!("{what}: {}", code(text));
    add(&mut text, chapter.facts.iter().map(fact), room);
    text.extend(page);
    text
}

/// Adds whole lines, those that have room: one that is cut in two could leave a mark open.
fn add(text: &mut String, lines: impl Iterator<Item = String>, most: usize) {
    for line in lines {
        // Room for the sign that one is missing stays.
        let fits = long(text).saturating_add(long(&line)).saturating_add(3) <= most;
        if fits {
            text.extend(["\n", &line]);
        } else if !text.ends_with("\n…") && long(text) < most {
            text.push_str("\n…");
        }
    }
}

/// The beginning of a text that is too long.
fn beginning(text: &str, most: usize) -> String {
    let mut room = most;
    let fits = |c: &char| {
        let left = room.checked_sub(c.len_utf16());
        room = left.unwrap_or(0);
        left.is_some()
    };
    text.chars().take_while(fits).collect()
}

/// How long a text is, as the strictest counts: a sign beyond the first 65,536 is two.
fn long(text: &str) -> usize {
    text.encode_utf16().count()
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
