//! `highwater web-secret`: a secret in, its hash for the configuration out.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use highwater_core::text::escape;
use highwater_web::{new_token, token_line, user_line};

use crate::args::WebSecretArgs;

/// The usual cost: 60 ms for each guess.
const COST: u32 = 10;
/// The most that is read: hundreds of times a secret.
const MAX_LINE_BYTES: u64 = 4096;

/// Prints the line for the configuration.
pub(crate) fn run(args: &WebSecretArgs) -> anyhow::Result<ExitCode> {
    let secret = if args.new { new_token()? } else { typed(args)? };
    let (key, line) = match &args.user {
        Some(name) => ("users", user_line(name, &secret, COST)?),
        None => ("tokens", token_line(&secret)?),
    };
    // A string of JSON is one of TOML.
    let line = format!("{key} = [{}]\n", serde_json::Value::from(line));
    let made = match &args.user {
        _ if !args.new => String::new(),
        Some(name) => format!("# the password of {}: {secret}\n", escape(name.as_bytes())),
        None => format!("# the token: {secret}\n"),
    };
    super::out::page(&format!("{made}{line}"))?;
    Ok(ExitCode::SUCCESS)
}

/// The first line of standard input. What is typed at a terminal is asked for.
fn typed(args: &WebSecretArgs) -> anyhow::Result<String> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        let what = if args.user.is_some() { "password" } else { "token" };
        let _unheard = write!(anstream::stderr(), "{what} (it is shown): ");
    }
    let mut line = Vec::new();
    let mut input = stdin.lock().take(MAX_LINE_BYTES);
    input.read_until(b'\n', &mut line).context("cannot read the secret from standard input")?;
    let line = line.strip_suffix(b"\n").unwrap_or(&line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    String::from_utf8(line.to_vec()).context("the secret is not UTF-8")
}
