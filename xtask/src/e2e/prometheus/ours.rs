//! `highwater serve` over what was imported, on the loopback.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context;

use crate::borrowed::Running;
use crate::repo::{self, Profile};

/// A server that ends with this.
pub(super) struct Ours {
    _process: Running,
    address: String,
}

impl Ours {
    /// Serves the history in `data` at an address that it tells in its greeting.
    pub(super) fn start(data: &Path) -> anyhow::Result<Self> {
        let program = repo::build("highwater", Profile::Dev)?;
        let mut command = Command::new(program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(data);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = Running::start(&mut command)?;
        let said = process.stdout.take().context("it says nothing")?;
        let mut ours = Self { _process: process, address: String::new() };
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
