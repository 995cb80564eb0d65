//! Feishu's (Lark's) bots of groups: a message of type `post`. It is made of pieces that are text or
//! link, and text is nothing but text there: no name can do anything.
//! Format and limits: open.feishu.cn, "Use bots in groups".

use serde_json::{Value, json};

use super::story::{Chapter, Story, left_out};
use crate::dispatch::Notice;

/// A request may have 20 kB, the signature and JSON's own escapes included.
const MOST_BYTES: usize = 18_000;

/// The message.
pub(super) fn message(notice: &Notice) -> Value {
    let story = Story::of(notice);
    let size = |lines: &Vec<Value>| lines.iter().map(|line| line.to_string().len()).sum();
    let (chapters, out) = story.fitting(MOST_BYTES, chapter, size);
    let mut lines: Vec<Value> = chapters.into_iter().flatten().collect();
    lines.extend(left_out(out).map(|words| line(&words)));
    json!({
        "msg_type": "post",
        "content": {"post": {"en_us": {"title": story.title, "content": lines}}},
    })
}

fn chapter(chapter: &Chapter) -> Vec<Value> {
    let mut lines = vec![line(&chapter.head)];
    lines.extend(chapter.text.iter().map(|text| line(text)));
    lines.extend(chapter.facts.iter().map(|(what, text)| line(&format!("{what}: {text}"))));
    lines.extend(
        chapter.page.as_ref().map(|page| json!([{"tag": "a", "text": "More", "href": page}])),
    );
    lines.push(line(" "));
    lines
}

fn line(text: &str) -> Value {
    json!([{"tag": "text", "text": text}])
}
