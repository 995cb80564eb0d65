//! Servers on the loopback: programs of others beside which we are tested, and questions over HTTP.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use crate::borrowed::Running;
use crate::clock;

/// It starts in half a second; a machine that is busy takes longer.
const STARTS_WITHIN: Duration = Duration::from_mins(1);

/// No question takes this long.
const ANSWERS_WITHIN: Duration = Duration::from_mins(1);

/// A server that ends with this.
pub(crate) struct Server {
    _process: Running,
    address: String,
}

impl Server {
    /// Starts `program` with the arguments that `arguments` adds for its address, and waits until it
    /// answers at `path`. What it says goes to the file `log`.
    pub(crate) fn start(
        program: &str,
        log: &Path,
        path: &str,
        arguments: impl FnOnce(&mut Command, &str),
    ) -> anyhow::Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let mut command = Command::new(program);
        arguments(&mut command, &address);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(log)?);
        let mut process = Running::start(&mut command)?;
        let said = || fs::read_to_string(log).unwrap_or_default();
        let ready = clock::poll(STARTS_WITHIN, Duration::from_millis(100), || {
            if let Some(status) = process.try_wait()? {
                bail!("{program} ended ({status}):\n{}", said());
            }
            let answer = send(&address, "GET", path, "", &[]);
            Ok(answer.ok().filter(|(status, _)| *status == 200))
        })?;
        ensure!(ready.is_some(), "{program} is not ready after {STARTS_WITHIN:?}:\n{}", said());
        Ok(Self { _process: process, address })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

/// The document that a server has at a path.
pub(super) fn get(address: &str, path: &str) -> anyhow::Result<Value> {
    let (status, body) = send(address, "GET", path, "", &[])?;
    ensure!(status == 200, "{path}: {status} {}", String::from_utf8_lossy(&body));
    Ok(serde_json::from_slice(&body)?)
}

/// A request in HTTP/1.0, so that the answer ends where the connection does.
pub(super) fn send(
    address: &str,
    method: &str,
    path: &str,
    headers: &str,
    body: &[u8],
) -> anyhow::Result<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(ANSWERS_WITHIN))?;
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\n{headers}Content-Length: {length}\r\n\r\n"
    );
    // At once: who refuses a request by its head may close before the rest has come.
    stream.write_all(&[head.as_bytes(), body].concat())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").context("no head")?;
    let (head, body) = answer.split_at_checked(end + 4).context("no body")?;
    let head = String::from_utf8_lossy(head).into_owned();
    let status = head.split_whitespace().nth(1).and_then(|status| status.parse().ok());
    Ok((status.context("no status")?, body.to_owned()))
}
