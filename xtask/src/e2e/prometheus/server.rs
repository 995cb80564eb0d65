//! Debian's Prometheus, with a place of its own.

use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::answer::Given;
use super::questions::{Question, When};
use crate::asked::percent;
use crate::e2e::loopback::{self, send};

/// Everything stays in its head: what it would compact meanwhile is another machine's story.
const BLOCK: &str = "24h";

/// A server that ends with this.
pub(super) struct Server(loopback::Server);

impl Server {
    pub(super) fn start(folder: &Path) -> anyhow::Result<Self> {
        let config = folder.join("prometheus.yml");
        fs::write(&config, "global: {}\n")?;
        let log = folder.join("prometheus.log");
        let server =
            loopback::Server::start("prometheus", &log, "/-/ready", |command, address| {
                command.arg(format!("--config.file={}", config.display()));
                command.arg(format!("--storage.tsdb.path={}", folder.join("tsdb").display()));
                command.arg(format!("--web.listen-address={address}"));
                command.arg("--web.enable-remote-write-receiver");
                command.arg(format!("--storage.tsdb.min-block-duration={BLOCK}"));
                command.arg(format!("--storage.tsdb.max-block-duration={BLOCK}"));
            })?;
        Ok(Self(server))
    }

    pub(super) fn version(&self) -> anyhow::Result<String> {
        let (_, body) = send(self.address(), "GET", "/api/v1/status/buildinfo", "", &[])?;
        let info: Value = serde_json::from_slice(&body)?;
        let version = info.pointer("/data/version").and_then(Value::as_str);
        Ok(format!("prometheus {}", version.context("it does not say its version")?))
    }

    /// Brings it a request of remote write.
    pub(super) fn write(&self, request: &[u8]) -> anyhow::Result<()> {
        let headers = "Content-Encoding: snappy\r\nContent-Type: application/x-protobuf\r\n\
            X-Prometheus-Remote-Write-Version: 0.1.0\r\n";
        let (status, body) = send(self.address(), "POST", "/api/v1/write", headers, request)?;
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
        let (_, body) = send(self.address(), "POST", path, headers, form.as_bytes())?;
        let said = || format!("{question}: {}", String::from_utf8_lossy(&body));
        let json: Value = serde_json::from_slice(&body).with_context(said)?;
        Given::of_json(&json).with_context(said)
    }

    /// Where it listens.
    pub(super) fn address(&self) -> &str {
        self.0.address()
    }
}
