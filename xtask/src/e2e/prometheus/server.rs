//! Debian's Prometheus on the loopback, with a place of its own.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use super::answer::Given;
use super::questions::{Question, When};
use crate::asked::percent;
use crate::clock;

/// It starts in half a second; a machine that is busy takes longer.
const STARTS_WITHIN: Duration = Duration::from_mins(1);

/// No query takes this long.
const ANSWERS_WITHIN: Duration = Duration::from_mins(1);

/// Everything stays in its head: what it would compact meanwhile is another machine's story.
const BLOCK: &str = "24h";

/// A server that is ended with this.
pub(super) struct Server {
    child: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let killed = self.child.kill().and_then(|()| self.child.wait());
        if let Err(cause) = killed {
            println!("prometheus does not end: {cause}");
        }
    }
}

impl Server {
    pub(super) fn start(folder: &Path) -> anyhow::Result<Self> {
        let config = folder.join("prometheus.yml");
        fs::write(&config, "global: {}\n")?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.join("tsdb").display()));
        command.arg(format!("--web.listen-address={address}"));
        command.arg("--web.enable-remote-write-receiver");
        command.arg(format!("--storage.tsdb.min-block-duration={BLOCK}"));
        command.arg(format!("--storage.tsdb.max-block-duration={BLOCK}"));
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(File::create(folder.join("prometheus.log"))?);
        let child = command.spawn().context("cannot run prometheus; is it installed?")?;
        let server = Self { child, address };
        let ready = clock::poll(STARTS_WITHIN, Duration::from_millis(100), || {
            let answer = server.send("GET", "/-/ready", "", &[]);
            Ok(answer.ok().filter(|(status, _)| *status == 200))
        })?;
        if ready.is_none() {
            let said = fs::read_to_string(folder.join("prometheus.log")).unwrap_or_default();
            bail!("prometheus is not ready after {STARTS_WITHIN:?}:\n{said}");
        }
        Ok(server)
    }

    pub(super) fn version(&self) -> anyhow::Result<String> {
        let (_, body) = self.send("GET", "/api/v1/status/buildinfo", "", &[])?;
        let info: Value = serde_json::from_slice(&body)?;
        let version = info.pointer("/data/version").and_then(Value::as_str);
        Ok(format!("prometheus {}", version.context("it does not say its version")?))
    }

    /// Brings it a request of remote write.
    pub(super) fn write(&self, request: &[u8]) -> anyhow::Result<()> {
        let headers = "Content-Encoding: snappy\r\nContent-Type: application/x-protobuf\r\n\
            X-Prometheus-Remote-Write-Version: 0.1.0\r\n";
        let (status, body) = self.send("POST", "/api/v1/write", headers, request)?;
        ensure!(status == 204, "remote write: {status} {}", String::from_utf8_lossy(&body));
        Ok(())
    }

    pub(super) fn ask(&self, question: &Question) -> anyhow::Result<Given> {
        let seconds = |ms: i64| format!("{}.{:03}", ms / 1000, ms % 1000);
        let expr = percent(&question.expr);
        let (path, form) = match question.when {
            When::At(at) => {
                ("/api/v1/query", format!("query={expr}&time={}", seconds(at.millis())))
            }
            When::From { from, to, step } => {
                let (from, to) = (seconds(from.millis()), seconds(to.millis()));
                let step = step.as_secs_f64();
                ("/api/v1/query_range", format!("query={expr}&start={from}&end={to}&step={step}"))
            }
        };
        let headers = "Content-Type: application/x-www-form-urlencoded\r\n";
        let (_, body) = self.send("POST", path, headers, form.as_bytes())?;
        let said = || format!("{question}: {}", String::from_utf8_lossy(&body));
        let json: Value = serde_json::from_slice(&body).with_context(said)?;
        Given::of_json(&json).with_context(said)
    }

    /// Where it listens.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    fn send(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &[u8],
    ) -> anyhow::Result<(u16, Vec<u8>)> {
        send(&self.address, method, path, headers, body)
    }
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
