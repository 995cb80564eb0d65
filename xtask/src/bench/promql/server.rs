//! The servers, each started on the loopback over what was imported, and what they take.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::clock;

const STARTS_WITHIN: Duration = Duration::from_mins(2);

/// No query takes this long.
const ANSWERS_WITHIN: Duration = Duration::from_mins(5);

/// How often the memory is looked at whose peak the kernel does not keep.
const LOOKS: Duration = Duration::from_millis(5);

/// So long blocks of Prometheus are: what it makes of older data with thirty days to keep.
pub(super) const BLOCK_HOURS: i64 = 54;

/// Whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Ours,
    Prometheus,
    Victoria,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Ours, Self::Prometheus, Self::Victoria];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ours => "highwater",
            Self::Prometheus => "prometheus",
            Self::Victoria => "victoria",
        }
    }

    /// Where its data is.
    pub(super) fn data(self, folder: &Path) -> PathBuf {
        folder.join(self.name())
    }

    fn health(self) -> &'static str {
        match self {
            Self::Ours => "/api/v1/status/buildinfo",
            Self::Prometheus => "/-/ready",
            Self::Victoria => "/health",
        }
    }

    fn command(self, program: &Path, folder: &Path, address: &str) -> anyhow::Result<Command> {
        let data = self.data(folder);
        let mut command;
        match self {
            Self::Ours => {
                command = Command::new(program);
                command.arg("serve").arg("--data-dir").arg(&data).args(["--listen", address]);
            }
            Self::Prometheus => {
                let config = folder.join("prometheus.yml");
                fs::write(&config, "global: {}\n")?;
                command = Command::new("prometheus");
                command.arg(format!("--config.file={}", config.display()));
                command.arg(format!("--storage.tsdb.path={}", data.display()));
                command.arg(format!("--web.listen-address={address}"));
                command.arg("--storage.tsdb.retention.time=10y");
                // What was imported is compacted already.
                command.arg("--storage.tsdb.min-block-duration=2h");
                command.arg(format!("--storage.tsdb.max-block-duration={BLOCK_HOURS}h"));
            }
            Self::Victoria => {
                command = Command::new("victoria-metrics");
                command.arg(format!("-storageDataPath={}", data.display()));
                command.arg(format!("-httpListenAddr={address}"));
                command.args(["-retentionPeriod=10y", "-search.latencyOffset=0s"]);
            }
        }
        Ok(command)
    }
}

/// A server that runs until this is dropped.
pub(super) struct Server {
    child: Child,
    address: String,
    ends: Arc<AtomicBool>,
    anon_kib: Arc<AtomicU64>,
    looker: Option<JoinHandle<()>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        let killed = self.child.kill().and_then(|()| self.child.wait());
        if let Err(cause) = killed {
            println!("a server does not end: {cause}");
        }
        if let Some(looker) = self.looker.take() {
            // It does nothing that could fail.
            let _looked = looker.join();
        }
    }
}

/// The most memory that was taken.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Peak {
    /// All that was mapped and present, files too.
    pub(super) resident_kib: u64,
    /// Its own alone.
    pub(super) anon_kib: u64,
}

impl Peak {
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            resident_kib: self.resident_kib.max(other.resident_kib),
            anon_kib: self.anon_kib.max(other.anon_kib),
        }
    }
}

impl Server {
    pub(super) fn start(kind: Kind, program: &Path, folder: &Path) -> anyhow::Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let log = folder.join(format!("{}.log", kind.name()));
        let mut command = kind.command(program, folder, &address)?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?);
        let child = command.spawn().with_context(|| format!("cannot run {}", kind.name()))?;
        let (ends, anon_kib) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let looker = look(child.id(), Arc::clone(&ends), Arc::clone(&anon_kib))?;
        let mut server = Self { child, address, ends, anon_kib, looker: Some(looker) };
        let ready = clock::poll(STARTS_WITHIN, Duration::from_millis(50), || {
            if server.child.try_wait()?.is_some() {
                bail!("{} ended: {}", kind.name(), fs::read_to_string(&log).unwrap_or_default());
            }
            Ok(server.get(kind.health()).ok().filter(|(status, _)| *status == 200))
        })?;
        if ready.is_none() {
            let said = fs::read_to_string(&log).unwrap_or_default();
            bail!("{} is not ready after {STARTS_WITHIN:?}:\n{said}", kind.name());
        }
        Ok(server)
    }

    /// Asks it to end, and waits until it has put everything on the disk.
    pub(super) fn end(mut self) -> anyhow::Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.context("no such process")?, Signal::TERM)?;
        let ended =
            clock::poll(STARTS_WITHIN, Duration::from_millis(20), || Ok(self.child.try_wait()?))?;
        let status = ended.context("it does not end")?;
        if status.success() { Ok(()) } else { bail!("it ended with {status}") }
    }

    /// Forgets the peak up to here, where the kernel permits it.
    pub(super) fn forget_peak(&self) {
        // Without it the peak of starting counts as well, for everybody.
        let _forgotten = fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5");
        self.anon_kib.store(0, Ordering::Relaxed);
    }

    pub(super) fn peak(&self) -> Peak {
        let status = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(status).unwrap_or_default();
        Peak {
            resident_kib: kib(&status, "VmHWM:").unwrap_or(0),
            anon_kib: self.anon_kib.load(Ordering::Relaxed),
        }
    }

    pub(super) fn get(&self, path: &str) -> anyhow::Result<(u16, Vec<u8>)> {
        self.send("GET", path, &mut std::io::empty(), 0)
    }

    pub(super) fn post(&self, path: &str, body: &Path) -> anyhow::Result<()> {
        let length = fs::metadata(body)?.len();
        let (status, said) = self.send("POST", path, &mut File::open(body)?, length)?;
        if status / 100 != 2 {
            bail!("{path}: {status} {}", String::from_utf8_lossy(&said));
        }
        Ok(())
    }

    /// A request in HTTP/1.0, so that the answer ends where the connection does.
    fn send(
        &self,
        method: &str,
        path: &str,
        body: &mut dyn std::io::Read,
        length: u64,
    ) -> anyhow::Result<(u16, Vec<u8>)> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(ANSWERS_WITHIN))?;
        let head = format!(
            "{method} {path} HTTP/1.0\r\nHost: {}\r\nContent-Length: {length}\r\n\r\n",
            self.address
        );
        stream.write_all(head.as_bytes())?;
        std::io::copy(body, &mut stream)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").context("no head")?;
        let head = String::from_utf8_lossy(answer.get(..end).unwrap_or_default()).into_owned();
        let status = head.split_whitespace().nth(1).and_then(|status| status.parse().ok());
        answer.drain(..end + 4);
        Ok((status.context("no status")?, answer))
    }
}

/// Watches how much of a process's memory is its own.
fn look(
    pid: u32,
    ends: Arc<AtomicBool>,
    anon_kib: Arc<AtomicU64>,
) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new().name("looker".to_owned()).spawn(move || {
        while !ends.load(Ordering::Relaxed) {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            anon_kib.fetch_max(kib(&status, "RssAnon:").unwrap_or(0), Ordering::Relaxed);
            thread::sleep(LOOKS);
        }
    })
}

fn kib(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

/// Takes all of a folder out of the page cache.
pub(super) fn forget_files(folder: &Path) -> anyhow::Result<()> {
    // Root may drop everything that is clean, which is the surest.
    if fs::write("/proc/sys/vm/drop_caches", "1").is_ok() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            forget_files(&path)?;
        } else {
            let file = File::open(&path)?;
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
        }
    }
    Ok(())
}
