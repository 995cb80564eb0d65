//! How far a long reading is: one line on a terminal, and nothing anywhere else.

use std::io::{self, IsTerminal as _, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use highwater_agent::clock;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Reading that ends sooner needs no line, in µs.
const SILENT_US: u64 = 500_000;

/// What the line shows where the end is known; elsewhere there is no percentage.
const BOUNDED: &str = "{bytes} of {total_bytes} ({percent} %), {bytes_per_sec}, {msg}";
const ENDLESS: &str = "{bytes}, {bytes_per_sec}, {msg}";

/// The line, shared by those who read and those who find, who may be in two threads.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    /// When to begin to show it, in µs after boot; [`NEVER`] once it is shown.
    due: Arc<AtomicU64>,
    deaths: Arc<AtomicU64>,
}

/// The line is shown already, or not at all.
const NEVER: u64 = u64::MAX;

impl Progress {
    /// For an input of `total` bytes, where that is known. Shown on a terminal that can rewrite a
    /// line, and nowhere in continuous integration.
    pub(crate) fn new(total: Option<u64>) -> Self {
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
        let template = if total.is_some() { BOUNDED } else { ENDLESS };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(counted(0));
        let due = clock::now().boot.micros().saturating_add(SILENT_US);
        let due = Arc::new(AtomicU64::new(if is_seen() { due } else { NEVER }));
        Self { bar, due, deaths: Arc::default() }
    }

    /// `input`, and each byte that is read of it counts.
    pub(crate) fn of<R>(&self, input: R) -> Counted<R> {
        Counted { input, progress: self.clone() }
    }

    /// One more death was found.
    pub(crate) fn death(&self) {
        let before = self.deaths.fetch_add(1, Ordering::Relaxed);
        self.bar.set_message(counted(before.saturating_add(1)));
    }

    /// Takes the line away.
    pub(crate) fn end(&self) {
        self.due.store(NEVER, Ordering::Relaxed);
        self.bar.finish_and_clear();
    }

    fn read(&self, count: usize) {
        self.bar.inc(u64::try_from(count).unwrap_or(0));
        let due = self.due.load(Ordering::Relaxed);
        if due != NEVER && clock::now().boot.micros() >= due {
            self.due.store(NEVER, Ordering::Relaxed);
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }
}

/// Whether standard error is a terminal that can rewrite a line, and not that of continuous
/// integration.
pub(super) fn is_seen() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    io::stderr().is_terminal() && !is_dumb && !set("CI")
}

fn counted(deaths: u64) -> String {
    match deaths {
        1 => "1 death so far".to_owned(),
        _ => format!("{deaths} deaths so far"),
    }
}

/// An input whose bytes count.
#[derive(Debug)]
pub(crate) struct Counted<R> {
    input: R,
    progress: Progress,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.progress.read(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_deaths_are_counted() {
        let progress = Progress::new(Some(5));
        let mut read = Vec::new();
        progress.of(&b"hello"[..]).read_to_end(&mut read).unwrap();
        progress.death();
        assert_eq!((read.as_slice(), progress.bar.position()), (&b"hello"[..], 5));
        assert_eq!(progress.bar.message(), "1 death so far");
        progress.end();
    }
}
