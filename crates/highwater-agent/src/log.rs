//! The agent's own words: one line each to standard error, where systemd's journal or a terminal
//! picks them up.

/// Says one line. Everything that others chose must be escaped by then.
#[expect(clippy::print_stderr, reason = "this is the agent's log")]
pub(crate) fn say(line: &str) {
    eprintln!("highwater: {line}");
}
