//! The agent's own words: one line each to standard error, where systemd's journal or a terminal
//! picks them up.

use std::io::Write as _;

/// Says one line. Everything that others chose must be escaped by then. A standard error that is
/// closed (a terminal that is gone) must not end the recording.
pub(crate) fn say(line: &str) {
    let _unheard = writeln!(std::io::stderr(), "highwater: {line}");
}
