//! Debian's Alertmanager on the loopback, with a place of its own.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use crate::clock;

/// It starts in half a second; a machine that is busy takes longer.
const STARTS_WITHIN: Duration = Duration::from_mins(1);

/// No question takes this long.
const ANSWERS_WITHIN: Duration = Duration::from_secs(20);

/// A folder for what is temporary, removed with this.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn make() -> anyhow::Result<Self> {
        let name = format!("highwater-e2e-alertmanager-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is in the folder for what is temporary.
        let _left = fs::remove_dir_all(&self.0);
    }
}

/// A server that is ended with this.
pub(super) struct Server {
    child: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let killed = self.child.kill().and_then(|()| self.child.wait());
        if let Err(cause) = killed {
            println!("prometheus-alertmanager does not end: {cause}");
        }
    }
}

impl Server {
    /// Starts one that tells `hook` of everything, soon and never again.
    pub(super) fn start(folder: &Folder, name: &str, hook: &str) -> anyhow::Result<Self> {
        let place = folder.path().join(name);
        fs::create_dir_all(&place)?;
        let config = place.join("alertmanager.yml");
        fs::write(
            &config,
            format!(
                "route: {{receiver: hook, group_by: ['...'], group_wait: 1s, group_interval: 2s, \
                 repeat_interval: 4h}}\n\
                 receivers:\n- name: hook\n  webhook_configs:\n  \
                 - {{url: 'http://{hook}/', send_resolved: true}}\n"
            ),
        )?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let log = place.join("log");
        let mut command = Command::new("prometheus-alertmanager");
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.path={}", place.display()));
        command.arg(format!("--web.listen-address={address}"));
        command.arg("--cluster.listen-address=");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?);
        let child = command.spawn().context("cannot run prometheus-alertmanager; is it there?")?;
        let server = Self { child, address };
        let ready = clock::poll(STARTS_WITHIN, Duration::from_millis(100), || {
            Ok(get(&server.address, "/api/v2/status").ok())
        })?;
        if ready.is_none() {
            let said = fs::read_to_string(log).unwrap_or_default();
            bail!("prometheus-alertmanager is not ready after {STARTS_WITHIN:?}:\n{said}");
        }
        Ok(server)
    }

    /// Where it listens.
    pub(super) fn address(&self) -> &str {
        &self.address
    }
}

/// What a server answers at a path. HTTP/1.0, so that the answer ends where the connection does.
pub(super) fn get(address: &str, path: &str) -> anyhow::Result<Value> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(ANSWERS_WITHIN))?;
    let head = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no head")?;
    ensure!(head.split_whitespace().nth(1) == Some("200"), "{head}");
    Ok(serde_json::from_str(body)?)
}
