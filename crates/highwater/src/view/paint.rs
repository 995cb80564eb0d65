//! The page: how wide it is, and what things look like on it.

use anstyle::{AnsiColor, Style};

use super::wrap;

/// Without a terminal, and on one that does not say.
const DEFAULT_WIDTH: u16 = 80;

/// Narrower than this a table is no table; wider, lines are too long to read.
const WIDTHS: std::ops::RangeInclusive<u16> = 60..=120;

pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const HEAD: Style = AnsiColor::Cyan.on_default().bold();
pub(crate) const RED: Style = AnsiColor::Red.on_default().bold();
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
pub(crate) const GREEN: Style = AnsiColor::Green.on_default().bold();
pub(crate) const BLUE: Style = AnsiColor::Blue.on_default();

/// Adds `text` to `out`.
pub(crate) fn put(out: &mut String, text: &str) {
    out.push_str(text);
}

/// A page of some width.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page {
    pub(crate) width: usize,
}

impl Page {
    /// As wide as COLUMNS says, or else the terminal, within reason.
    pub(crate) fn of_terminal() -> Self {
        let terminal = || terminal_size::terminal_size().map(|(width, _)| width.0);
        let named = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
        let told: Option<u16> = named.or_else(terminal);
        let width = told.unwrap_or(DEFAULT_WIDTH).clamp(*WIDTHS.start(), *WIDTHS.end());
        Self { width: usize::from(width) }
    }

    /// `text` in `style`.
    pub(crate) fn paint(style: Style, text: &str) -> String {
        format!("{style}{text}{style:#}")
    }

    /// A section's head: its name, and what it is about.
    pub(crate) fn head(self, name: &str, about: &str) -> String {
        if about.is_empty() {
            return format!("\n{}\n", Self::paint(HEAD, name));
        }
        let about = wrap::cut(about, self.width.saturating_sub(name.len() + 2));
        format!("\n{}  {}\n", Self::paint(HEAD, name), Self::paint(DIM, &about))
    }

    /// A line between two answers.
    pub(crate) fn rule(self) -> String {
        format!("\n{}\n\n", Self::paint(DIM, &"─".repeat(self.width)))
    }

    /// What stands beside the answer.
    pub(crate) fn aside(self, text: &str) -> String {
        self.item("", text, DIM)
    }

    /// `text` wrapped, its first line behind `mark`, the others below its first word.
    pub(crate) fn item(self, mark: &str, text: &str, style: Style) -> String {
        let indent = wrap::width(mark);
        let lines = wrap::wrap(text, self.width.saturating_sub(indent));
        let mut out = String::new();
        for (at, line) in lines.iter().enumerate() {
            let before = if at == 0 { mark.to_owned() } else { " ".repeat(indent) };
            put(&mut out, &format!("{before}{}\n", Self::paint(style, line)));
        }
        out
    }
}
