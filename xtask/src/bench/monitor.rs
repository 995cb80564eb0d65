//! A monitor under measurement: a process, perhaps one that must be asked, and what it costs.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::borrowed::Running;
use anyhow::Context;

/// How long a monitor may take to answer. With 1,000 processes the slowest takes a second or two.
const ANSWER: Duration = Duration::from_secs(10);

/// The processor time and memory of a process at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cost {
    /// User and system time, that of reaped children included, in clock ticks.
    pub(super) ticks: u64,
    /// Its share of memory: its own pages, and its part of those it shares.
    pub(super) pss_kib: u64,
    /// All pages that it has in memory, the shared ones in full.
    pub(super) rss_kib: u64,
}

/// A running monitor. Dropping it ends it.
pub(super) struct Monitor {
    pub(super) name: &'static str,
    process: Running,
    /// Where it is asked for its metrics.
    port: Option<u16>,
    /// How often it was asked, and how often in vain.
    pub(super) asked: u32,
    pub(super) unanswered: u32,
}

impl Monitor {
    /// Starts it; `None` where it is not installed.
    pub(super) fn start(
        name: &'static str,
        command: &mut Command,
        port: Option<u16>,
    ) -> anyhow::Result<Option<Self>> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        match command.spawn() {
            Ok(process) => {
                Ok(Some(Self { name, process: process.into(), port, asked: 0, unanswered: 0 }))
            }
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(cause).with_context(|| format!("cannot start {name}")),
        }
    }

    /// Scrapes it, if it is one that is scraped.
    pub(super) fn ask(&mut self) {
        let Some(port) = self.port else { return };
        self.asked += 1;
        if !scrape(port).is_ok_and(|answer| answer.starts_with(b"HTTP/1.1 200")) {
            self.unanswered += 1;
        }
    }

    /// Its metrics as they stand.
    pub(super) fn page(&self) -> anyhow::Result<String> {
        let port = self.port.with_context(|| format!("{} is not asked", self.name))?;
        Ok(String::from_utf8_lossy(&scrape(port)?).into_owned())
    }

    /// Asks it to end, and waits until it has.
    pub(super) fn stop(mut self) -> anyhow::Result<()> {
        let pid = i32::try_from(self.process.id()).ok().and_then(rustix::process::Pid::from_raw);
        let pid = pid.context("a pid is a positive number")?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        self.process.wait()?;
        Ok(())
    }

    /// What it has cost so far.
    pub(super) fn cost(&self) -> anyhow::Result<Cost> {
        let folder = format!("/proc/{}", self.process.id());
        let read = |file: &str| {
            let read = fs::read_to_string(format!("{folder}/{file}"));
            read.with_context(|| format!("{} has ended", self.name))
        };
        let ticks = ticks(&read("stat")?).context("/proc/PID/stat has another form")?;
        let rollup = read("smaps_rollup")?;
        let pss_kib = kib(&rollup, "Pss:").context("smaps_rollup names no Pss")?;
        let rss_kib = kib(&rollup, "Rss:").context("smaps_rollup names no Rss")?;
        Ok(Cost { ticks, pss_kib, rss_kib })
    }
}

fn scrape(port: u16) -> std::io::Result<Vec<u8>> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, ANSWER)?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

/// utime, stime, cutime and cstime: fields 14 to 17 of /proc/PID/stat (proc(5)), counted behind the
/// name's closing bracket.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let times = fields.split_whitespace().skip(11).take(4).map(|field| field.parse::<u64>().ok());
    times
        .collect::<Option<Vec<_>>>()
        .filter(|times| times.len() == 4)
        .map(|times| times.iter().sum())
}

fn kib(rollup: &str, key: &str) -> Option<u64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_own_and_childrens() {
        let stat = "7 (a ) b) S 1 2 3 4 5 6 7 8 9 10 100 20 3 4 20 0 1 0 99 0 0";
        assert_eq!(ticks(stat), Some(127));
        assert_eq!(ticks("7 (short) S 1"), None);
    }

    #[test]
    fn the_share_of_memory_is_one_line_of_many() {
        let rollup = "Rss:  9 kB\nPss:     1234 kB\nPss_Dirty: 5 kB\n";
        assert_eq!((kib(rollup, "Pss:"), kib(rollup, "Rss:")), (Some(1234), Some(9)));
        assert_eq!(kib("Rss: 9 kB\n", "Pss:"), None);
    }
}
