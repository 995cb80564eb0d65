//! The peers: Prometheus and `VictoriaMetrics`, fed the same numbers in the same run.
//!
//! Prometheus gets a block as its own tool makes it from a file, with a span as long as the
//! recording; `VictoriaMetrics` is a server that is told to merge all it has. Neither keeps a
//! write-ahead log then, so what is weighed is what either would keep for months.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::borrowed::Running;
use crate::clock;
use crate::repo;

/// Free on most machines, and nobody's default.
const PORT: u16 = 39_428;

/// A big import is acknowledged when it is taken in, and a scan of everything takes its time.
const ANSWER: Duration = Duration::from_mins(10);

/// A merge of some gigabytes on a busy disk.
const MERGE: Duration = Duration::from_mins(15);
const START: Duration = Duration::from_secs(30);
const EVERY: Duration = Duration::from_millis(100);

/// Whether a program is installed.
pub(super) fn is_installed(program: &str) -> bool {
    let asked = Command::new(program).arg("--version").output();
    asked.is_ok_and(|answer| answer.status.success())
}

/// Makes a block of the `OpenMetrics` file `from` in the new folder `into`; the folder's bytes.
pub(super) fn prometheus(from: &Path, into: &Path) -> anyhow::Result<u64> {
    fs::create_dir_all(into)?;
    let mut tool = Command::new("promtool");
    tool.args(["tsdb", "create-blocks-from", "--max-block-duration=24h", "openmetrics", "-q"]);
    repo::succeed(tool.arg(from).arg(into))?;
    folder_bytes(into)
}

/// A running `VictoriaMetrics`. Dropping it ends it.
pub(super) struct Victoria {
    process: Running,
    port: u16,
}

impl Victoria {
    /// Starts one with its data in `folder`, and waits until it answers.
    pub(super) fn start(folder: &Path) -> anyhow::Result<Self> {
        let log = fs::File::create(folder.with_extension("log"))?;
        let process = Command::new("victoria-metrics")
            .arg(format!("-storageDataPath={}", folder.display()))
            .arg(format!("-httpListenAddr=127.0.0.1:{PORT}"))
            .args(["-retentionPeriod=100y", "-search.disableCache", "-search.latencyOffset=0s"])
            // A scan over everything is a fair question here.
            .args(["-search.maxSamplesPerQuery=2000000000", "-search.maxQueryDuration=10m"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("cannot start victoria-metrics")?;
        let started = Self { process: process.into(), port: PORT };
        let ready = || Ok(started.ask("/health").ok());
        clock::poll(START, EVERY, ready)?.context("victoria-metrics does not answer")?;
        Ok(started)
    }

    /// Gives it lines of the text format with milliseconds.
    pub(super) fn import(&self, lines: &str) -> anyhow::Result<()> {
        request(self.port, "POST", "/api/v1/import/prometheus", lines.as_bytes())?;
        Ok(())
    }

    /// Makes it write and merge all it has.
    pub(super) fn merge(&self) -> anyhow::Result<()> {
        self.ask("/internal/force_flush")?;
        self.ask("/internal/force_merge")?;
        let merged = || {
            let metrics = String::from_utf8(self.ask("/metrics")?)?;
            let active = gauge(&metrics, "vm_active_force_merges ").unwrap_or(0.0);
            Ok((active <= 0.0).then_some(()))
        };
        clock::poll(MERGE, EVERY, merged)?.context("victoria-metrics is still merging")
    }

    /// Its answer to a question.
    pub(super) fn ask(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        request(self.port, "GET", path, b"")
    }

    /// Lets it write what it has, and end.
    pub(super) fn end(mut self) -> anyhow::Result<()> {
        let pid = i32::try_from(self.process.id())?;
        kill_process(Pid::from_raw(pid).context("a process without a number")?, Signal::TERM)?;
        self.process.wait()?;
        Ok(())
    }
}

/// The first number of that name in an exposition.
fn gauge(metrics: &str, name: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
}

/// One request; HTTP 1.0, so that the answer comes in one piece.
fn request(port: u16, method: &str, path: &str, body: &[u8]) -> anyhow::Result<Vec<u8>> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(ANSWER))?;
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {length}");
    stream.write_all(format!("{head}\r\n\r\n").as_bytes())?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").context("no answer")?;
    let body = answer.split_off(end + 4);
    let head = String::from_utf8_lossy(&answer);
    let status = head.split(' ').nth(1).unwrap_or_default();
    if !status.starts_with('2') {
        bail!("{path}: {status}: {}", String::from_utf8_lossy(&body));
    }
    Ok(body)
}

/// The sizes of all files below a folder.
pub(super) fn folder_bytes(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let data = entry.metadata()?;
        bytes += if data.is_dir() { folder_bytes(&entry.path())? } else { data.len() };
    }
    Ok(bytes)
}

/// The sizes of all files in folders called `name` below a folder.
pub(super) fn named_bytes(folder: &Path, name: &str) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.metadata()?.is_dir() {
            let is = entry.file_name() == name;
            let below = entry.path();
            bytes += if is { folder_bytes(&below)? } else { named_bytes(&below, name)? };
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_is_found_by_its_whole_name() {
        let metrics = "# TYPE a gauge\na_b 7\na 3\n";
        assert_eq!(gauge(metrics, "a "), Some(3.0));
        assert_eq!(gauge(metrics, "absent "), None);
    }
}
