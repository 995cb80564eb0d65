//! `highwater serve` over what was imported, on the loopback.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Context;

use crate::repo::{self, Profile};

/// A server that is ended with this.
pub(super) struct Ours {
    child: Child,
    address: String,
}

impl Drop for Ours {
    fn drop(&mut self) {
        let killed = self.child.kill().and_then(|()| self.child.wait());
        if let Err(cause) = killed {
            println!("highwater serve does not end: {cause}");
        }
    }
}

impl Ours {
    /// Serves the history in `data` at an address that it tells in its greeting.
    pub(super) fn start(data: &Path) -> anyhow::Result<Self> {
        let program = repo::build("highwater", Profile::Dev)?;
        let mut command = Command::new(program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(data);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().context("cannot run highwater")?;
        let said = child.stdout.take().context("it says nothing")?;
        let mut ours = Self { child, address: String::new() };
        for line in BufReader::new(said).lines() {
            let line = line?;
            if let Some((_, at)) = line.split_once("http://") {
                at.split('/').next().unwrap_or(at).clone_into(&mut ours.address);
                return Ok(ours);
            }
        }
        anyhow::bail!("highwater serve ended before it told its address")
    }

    /// Where it listens.
    pub(super) fn address(&self) -> &str {
        &self.address
    }
}
