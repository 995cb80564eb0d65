//! A letter of e-mail: a subject, and the same in plain text and in HTML.

use super::Body;
use super::story::{Chapter, Story, left_out};
use crate::dispatch::Notice;

/// A screenful of screens; servers take more.
const MOST_BYTES: usize = 60_000;

/// The letter.
pub(super) fn letter(notice: &Notice) -> Body {
    let story = Story::of(notice);
    Body::Letter { subject: story.title.clone(), text: text(&story), html: html(&story) }
}

fn text(story: &Story) -> String {
    let (mut parts, out) = story.fitting(MOST_BYTES, plain, String::len);
    parts.extend(left_out(out));
    format!("{}\n\n{}\n", story.title, parts.join("\n\n"))
}

fn plain(chapter: &Chapter) -> String {
    let mut lines = vec![chapter.head.clone()];
    lines.extend(chapter.text.iter().cloned());
    lines.extend(chapter.facts.iter().map(|(what, text)| format!("  {what}: {text}")));
    lines.extend(chapter.page.iter().map(|page| format!("  More: {page}")));
    lines.join("\n")
}

fn html(story: &Story) -> String {
    let (parts, out) = story.fitting(MOST_BYTES, section, String::len);
    let colour = if story.fires { "#b3261e" } else { "#1b6e3c" };
    let title = escaped(&story.title);
    let more = left_out(out).map(|words| format!("<p>{words}</p>\n")).unwrap_or_default();
    format!(
        "<!doctype html>\n<html><head><meta charset=\"utf-8\"><title>{title}</title></head>\n\
         <body style=\"font-family:sans-serif\">\n<h2 style=\"color:{colour}\">{title}</h2>\n\
         {}{more}</body></html>\n",
        parts.concat()
    )
}

fn section(chapter: &Chapter) -> String {
    let mut out = format!("<h3>{}</h3>\n", escaped(&chapter.head));
    for line in &chapter.text {
        out.extend(["<p>", &escaped(line), "</p>\n"]);
    }
    out.push_str("<table>\n");
    for (what, text) in &chapter.facts {
        out.extend(["<tr><th align=\"left\">", what, "</th><td>", &escaped(text), "</td></tr>\n"]);
    }
    out.push_str("</table>\n");
    if let Some(page) = &chapter.page {
        out.extend(["<p><a href=\"", &escaped(page), "\">More</a></p>\n"]);
    }
    out
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}
