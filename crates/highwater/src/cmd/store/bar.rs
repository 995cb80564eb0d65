//! How far it is: one line on a terminal, and nothing anywhere else.

use highwater_agent::clock;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cmd::progress;

/// What ends sooner needs no line, in µs.
const SILENT_US: u64 = 500_000;

/// What the line shows.
const TEMPLATE: &str = "{msg}  {bar:30}  {percent} %";
const ENDLESS: &str = "{msg}";

/// The line.
#[derive(Debug)]
pub(in crate::cmd) struct Bar {
    bar: ProgressBar,
    /// When to begin to show it, in µs after boot; `None`: it is shown, or never will be.
    due: Option<u64>,
}

impl Bar {
    /// A line that is shown once this has taken a while.
    pub(in crate::cmd) fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let due = clock::now().boot.micros().saturating_add(SILENT_US);
        Self { bar, due: progress::is_seen().then_some(due) }
    }

    /// `done` of `total` of what `what` says; a total of 0 is not known.
    pub(in crate::cmd) fn at(&mut self, what: &str, done: u64, total: u64) {
        let template = if total > 0 { TEMPLATE } else { ENDLESS };
        if self.bar.length().unwrap_or(0) != total || self.bar.position() == 0 {
            if let Ok(style) = ProgressStyle::with_template(template) {
                self.bar.set_style(style.progress_chars("█▉▊▋▌▍▎▏░"));
            }
            self.bar.set_length(total);
        }
        self.bar.set_message(what.to_owned());
        self.bar.set_position(done.min(total));
        if self.due.is_some_and(|due| clock::now().boot.micros() >= due) {
            self.due = None;
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }

    /// Takes the line away.
    pub(in crate::cmd) fn end(self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_counts_and_changes_its_end() {
        let mut bar = Bar::new();
        bar.at("reading", 3, 10);
        assert_eq!((bar.bar.position(), bar.bar.length()), (3, Some(10)));
        bar.at("sealing", 30, 20);
        assert_eq!((bar.bar.position(), bar.bar.length()), (20, Some(20)));
        assert_eq!(bar.bar.message(), "sealing");
        bar.at("tidying", 0, 0);
        bar.end();
    }
}
