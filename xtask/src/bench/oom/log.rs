//! A large syslog with OOM reports, the same each time it is made.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::Context;

use crate::repo;

/// So many reports are in each log.
pub(super) const REPORTS: u64 = 200;

/// The reports, one kill each.
const FIXTURES: [&str; 4] =
    ["v1-one-kill", "v2-global", "v2-unit-memorymax", "v2-swap-of-the-unit"];

/// Who writes the ordinary lines.
const PROGRAMS: [&str; 12] = [
    "sshd",
    "CRON",
    "systemd",
    "nginx",
    "postgres",
    "dockerd",
    "kubelet",
    "NetworkManager",
    "rsyslogd",
    "chatroomd",
    "dbus-daemon",
    "cloud-init",
];

/// What they write; `#` stands for a number, `@` for letters and digits. Some have parts of the
/// words that a reader of OOM reports looks for.
const MESSAGES: [&str; 16] = [
    "Accepted publickey for user# from 10.0.#.# port # ssh2: RSA SHA256:@",
    "(root) CMD (/usr/lib/sysstat/debian-sa1 1 1)",
    "Started Session # of user user#.",
    "10.0.#.# - - \"GET /api/v1/items/# HTTP/1.1\" 200 # \"-\" \"Mozilla/5.0 (X11; Linux x86_64)\"",
    "EXT4-fs (sda1): re-mounted. Opts: errors=remount-ro",
    "time=\"2026-05-01T10:00:00Z\" level=info msg=\"ignoring event\" container=@ module=libcontainerd",
    "I0501 reconciler.go:#] operationExecutor.VerifyControllerAttachedVolume started for volume \"@\"",
    "DHCPREQUEST for 10.1.#.# on eth0 to 10.1.0.1 port 67",
    "pam_unix(sshd:session): session opened for user user# by (uid=0)",
    "audit: type=1400 audit(#.#:#): apparmor=\"STATUS\" operation=\"profile_load\" name=\"@\" pid=#",
    "[#.#] loop#: detected capacity change from 0 to #",
    "[#.#] usb 1-#: new high-speed USB device number # using xhci_hcd",
    "cache: # kilobytes in # objects, # evicted",
    "user# joined room #",
    "memory usage # of #, still # free",
    "@: link becomes ready",
];

/// What is rare among them: one line in 64. Each has a mark of the coarse net, so that its line has
/// to be looked at more closely.
const RARE: [&str; 4] = [
    "checkpoint complete: wrote # buffers (1.2%); 0 WAL file(s) added; distance=# kB",
    "worker # skilled at killing time, # KB read",
    "received SIGHUP, reloading",
    "memory usage # kB of #, still # free",
];

/// The ordinary lines are this many different ones, again and again.
const LINES: usize = 40_000;

/// Makes the log of about `bytes` at `path`, unless it is there.
pub(super) fn make(path: &Path, bytes: u64) -> anyhow::Result<()> {
    if fs::metadata(path).is_ok_and(|file| file.len() >= bytes) {
        return Ok(());
    }
    println!("making {} …", path.display());
    let ordinary = ordinary();
    let fixtures = FIXTURES
        .iter()
        .map(|name| {
            let path = repo::root().join("fixtures/oom").join(name).with_extension("txt");
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let unfinished = path.with_extension("part");
    let mut out = BufWriter::new(File::create(&unfinished)?);
    let (mut written, mut lines) = (0, ordinary.iter().cycle());
    for (number, fixture) in (1..=REPORTS).zip(fixtures.iter().cycle()) {
        while written < bytes / REPORTS * number {
            let Some(line) = lines.next() else { break };
            out.write_all(line.as_bytes())?;
            written += u64::try_from(line.len())?;
        }
        let report = report(fixture, number);
        out.write_all(report.as_bytes())?;
        written += u64::try_from(report.len())?;
    }
    out.flush()?;
    fs::rename(unfinished, path)?;
    Ok(())
}

/// A fixture with another victim, another time, and in syslog's envelope.
fn report(fixture: &str, number: u64) -> String {
    let old = fixture.split("Killed process ").nth(1).and_then(|rest| rest.split(' ').next());
    let new = (100_000 + number).to_string();
    let lines = fixture.lines().enumerate().map(|(at, line)| {
        let text = line.split_once("] ").map_or(line, |(_, text)| text);
        let text = old.map_or(text.to_owned(), |old| text.replace(old, &new));
        let minute = number % 60;
        format!("May  9 10:{minute:02}:00 host kernel: [{:5}.{at:06}] {text}\n", number * 300)
    });
    lines.collect()
}

fn ordinary() -> Vec<String> {
    let mut random = 88_172_645_463_325_252_u64;
    let mut below = |most: u64| {
        // Marsaglia's xorshift64.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % most
    };
    (0..LINES)
        .filter_map(|at| {
            let program = PROGRAMS.get(usize::try_from(below(12)).ok()?)?;
            let message = match below(64) {
                0 => RARE.get(usize::try_from(below(4)).ok()?)?,
                _ => MESSAGES.get(usize::try_from(below(16)).ok()?)?,
            };
            let mut line = format!(
                "May  9 10:{:02}:{:02} host {program}[{}]: ",
                at / 60 % 60,
                at % 60,
                below(99_999)
            );
            for letter in message.chars() {
                match letter {
                    '#' => line.push_str(&below(65_536).to_string()),
                    '@' => {
                        let (high, low) = (below(u64::MAX), below(u64::MAX));
                        // Writing to a string does not fail.
                        let _written = write!(line, "{high:016x}{low:016x}");
                    }
                    other => line.push(other),
                }
            }
            line.push('\n');
            Some(line)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_report_has_its_own_victim() {
        let fixture =
            "[    1.5] oom-kill:constraint=X,pid=77,uid=0\n[    1.5] Killed process 77 (x)\n";
        assert_eq!(
            report(fixture, 2),
            "May  9 10:02:00 host kernel: [  600.000000] oom-kill:constraint=X,pid=100002,uid=0\n\
             May  9 10:02:00 host kernel: [  600.000001] Killed process 100002 (x)\n"
        );
    }

    #[test]
    fn ordinary_lines_are_the_same_each_time() {
        let lines = ordinary();
        assert_eq!((lines.len(), &lines), (LINES, &ordinary()));
        assert!(lines.iter().all(|line| !line.contains(['#', '@'])));
    }
}
