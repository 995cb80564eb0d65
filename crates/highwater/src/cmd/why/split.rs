//! Each report to a file of its own, which `highwater why` reads again.
//!
//! The lines are those of the report alone, as it keeps them: escaped, with their stamps in one
//! form, and without what other programs wrote between them.
//!
//! ```text
//! [  812.114308] oom-kill:constraint=…                                 stamps only
//! 2026-03-02T04:11:09.100Z host kernel: [  812.114308] oom-kill:…      with a date
//! ```

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use highwater_core::text::escape;
use highwater_core::time::BootTime;
use highwater_log::Stream;
use highwater_oom::OomReport;
use highwater_oom::report::{ReportLine, Trust, Writer};

use super::episode::{Clocks, Episode, Subject};

/// The longest part of a file's name that somebody else chose.
const NAME_CHARS: usize = 32;

/// How dmesg begins the second line of one message: as wide as a stamp.
const CONTINUED: &str = "               ";

/// Writes the reports of `subjects` into `dir`, which is made if it is not there. The names of
/// the files, in the order of the reports.
pub(crate) fn write(dir: &Path, subjects: &[Subject<'_>]) -> anyhow::Result<Vec<String>> {
    let mut episodes: Vec<&Episode> = Vec::new();
    for subject in subjects {
        if episodes.last().is_none_or(|last| !std::ptr::eq(*last, subject.episode)) {
            episodes.push(subject.episode);
        }
    }
    let plan = episodes.iter().enumerate();
    let plan: Vec<(String, &Episode)> =
        plan.map(|(at, episode)| (name(at + 1, episode), *episode)).collect();
    // Looked for beforehand, so that nothing is written by halves.
    if let Some((taken, _)) =
        plan.iter().find(|(name, _)| dir.join(name).symlink_metadata().is_ok())
    {
        bail!(exists(&dir.join(taken)));
    }
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", shown(dir)))?;
    let mut written = Vec::new();
    for (name, episode) in plan {
        let path = dir.join(&name);
        // `create_new` follows no link and overwrites nothing, whatever happened in between.
        let mut file = match OpenOptions::new().write(true).create_new(true).open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => bail!(exists(&path)),
            other => other.with_context(|| format!("cannot write {}", shown(&path)))?,
        };
        let done = file.write_all(text(episode).as_bytes());
        done.with_context(|| format!("cannot write {}", shown(&path)))?;
        written.push(name);
    }
    Ok(written)
}

fn exists(path: &Path) -> String {
    format!("{} exists, and is left as it is; name another directory with --split", shown(path))
}

/// A path as it is printed.
pub(super) fn shown(path: &Path) -> String {
    escape(path.as_os_str().as_encoded_bytes()).into_owned()
}

/// `0001-2026-03-02T041109Z-java-910.log`. It begins with a number and has no `/`, whatever the
/// process called itself.
fn name(number: usize, episode: &Episode) -> String {
    let when = match (episode.wall(), episode.boot()) {
        (Some(wall), _) => {
            let text = wall.to_string().replace(':', "");
            text.split_once('.').map_or(text.clone(), |(seconds, _)| format!("{seconds}Z"))
        }
        (None, Some(boot)) => format!("boot{:.6}", boot.seconds()),
        (None, None) => "unknown-time".to_owned(),
    };
    let kill = episode.report.kills.first();
    let who = match kill.map(|kill| (kill.comm.as_deref(), kill.pid)) {
        None => "no-kill".to_owned(),
        Some((comm, pid)) => {
            let comm = plain(comm.unwrap_or("unnamed"));
            pid.map_or(comm.clone(), |pid| format!("{comm}-{pid}"))
        }
    };
    format!("{number:04}-{}-{who}.log", plain(&when))
}

/// Only what no shell and no file system takes for something else.
fn plain(text: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    text.chars().take(NAME_CHARS).map(safe).collect()
}

/// The lines as people know them, unless they would read differently then: names that look like
/// log lines need a form that says where a message begins and ends. Only what the kernel's own
/// transport brought may stand in one, since such a form vouches for its words.
fn text(episode: &Episode) -> String {
    let usual = usual(episode);
    if episode.report.trust != Trust::Kernel || reads_the_same(episode, &usual) {
        return usual;
    }
    let (lines, clocks) = (|| episode.report.lines.iter(), episode.clocks());
    if lines().all(|line| line.boot.is_some() && clocks.wall_of(line).is_none()) {
        return lines().map(record).collect();
    }
    lines().map(|line| entry(clocks, line)).collect()
}

fn reads_the_same(episode: &Episode, text: &str) -> bool {
    let again = highwater_oom::read(Stream::new(text.as_bytes()));
    matches!(again.as_slice(), [one] if essence(one) == essence(&episode.report))
}

/// Who asked, who was listed, who died: what a name may disturb.
fn essence(report: &OomReport) -> impl PartialEq + use<> {
    let kills: Vec<_> = report.kills.iter().map(|kill| (kill.pid, kill.comm.clone())).collect();
    let rows: Vec<_> = report.tasks.rows.iter().map(|row| (row.pid, row.comm.clone())).collect();
    let trigger = report.trigger.as_ref().map(|told| told.value.clone());
    let owner = report.memcg.limit_owner.as_ref().map(|told| told.value.clone());
    (kills, rows, trigger, owner, report.endings.len())
}

/// As a syslog with the kernel's stamps has them, as far as the clocks are known.
fn usual(episode: &Episode) -> String {
    let report = &episode.report;
    let writer = match report.writer {
        // It looked for a cgroup, and killed none.
        Writer::Kernel if !report.candidates.is_empty() => "systemd-oomd",
        Writer::Kernel | Writer::Lowmemorykiller => "kernel",
        Writer::Earlyoom => "earlyoom",
        Writer::SystemdOomd => "systemd-oomd",
        Writer::Nohang => "nohang",
        Writer::Oomd => "oomd",
    };
    let clocks = episode.clocks();
    let mut out = String::new();
    // What carries a message on needs a message above it, though its words are not the report's.
    if report.lines.first().is_some_and(|first| clocks.continues(first))
        && let Some(stamped) = report.lines.iter().find(|line| !clocks.continues(line))
    {
        writeln!(out, "{}…", head(clocks, stamped, writer)).unwrap_or_default();
    }
    for line in &report.lines {
        let head = head(clocks, line, writer);
        // Writing to a String cannot fail.
        writeln!(out, "{head}{}", line.text).unwrap_or_default();
    }
    out
}

fn head(clocks: Clocks, line: &ReportLine, writer: &str) -> String {
    let stamp = line.boot.map_or(String::new(), |boot| {
        let (seconds, micros) = (boot.micros() / 1_000_000, boot.micros() % 1_000_000);
        format!("[{seconds:>5}.{micros:06}] ")
    });
    match clocks.wall_of(line) {
        Some(wall) => format!("{wall} host {writer}: {stamp}"),
        None if clocks.continues(line) => CONTINUED.to_owned(),
        None => stamp,
    }
}

/// A record of `/dev/kmsg`.
fn record(line: &ReportLine) -> String {
    let micros = line.boot.map_or(0, BootTime::micros);
    format!("6,{},{micros},-;{}\n", line.number, line.text)
}

/// An entry of the journal, as `journalctl -o json` prints it.
fn entry(clocks: Clocks, line: &ReportLine) -> String {
    let mut entry = serde_json::Map::new();
    let mut put = |key: &str, value: String| drop(entry.insert(key.to_owned(), value.into()));
    put("_TRANSPORT", "kernel".to_owned());
    put("SYSLOG_IDENTIFIER", "kernel".to_owned());
    if let Some(wall) = clocks.wall_of(line) {
        put("__REALTIME_TIMESTAMP", wall.millis().saturating_mul(1_000).to_string());
    }
    if let Some(boot) = line.boot {
        put("_SOURCE_MONOTONIC_TIMESTAMP", boot.micros().to_string());
    }
    put("MESSAGE", line.text.clone());
    let entry = serde_json::Value::Object(entry);
    format!("{entry}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn episode(comm: &str) -> Episode {
        let log = format!(
            "[    5.000001] Out of memory: Killed process 7 ({comm}) total-vm:8kB, anon-rss:4kB, file-rss:0kB, shmem-rss:0kB\n"
        );
        let mut reports = highwater_oom::read(highwater_log::Stream::new(log.as_bytes()));
        Episode::of(reports.remove(0), "x".to_owned())
    }

    #[test]
    fn no_name_leads_out_of_the_directory() {
        for comm in ["../../etc/x", "/etc/passwd", "..", "a\0b", "-rf", "日本", &"x".repeat(300)]
        {
            let name = name(1, &episode(comm));
            assert!(name.starts_with("0001-boot5.000001-") && name.ends_with("-7.log"), "{name}");
            assert!(!name.contains('/') && name.is_ascii() && name.len() < 100, "{name}");
        }
    }

    #[test]
    fn a_name_like_a_stamp_reads_the_same_again() {
        let entry = |at: u32, message: &str| {
            format!(
                "{{\"_TRANSPORT\":\"kernel\",\"SYSLOG_IDENTIFIER\":\"kernel\",\"__REALTIME_TIMESTAMP\":\"177242466910000{at}\",\"_SOURCE_MONOTONIC_TIMESTAMP\":\"500000{at}\",\"MESSAGE\":\"{message}\"}}\n"
            )
        };
        let log = entry(
            1,
            "[   99.9] oom- invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
        ) + &entry(
            2,
            "Out of memory: Killed process 7 (x) total-vm:8kB, anon-rss:4kB, file-rss:0kB, shmem-rss:0kB",
        );
        let mut reports = highwater_oom::read(Stream::new(log.as_bytes()));
        let episode = Episode::of(reports.remove(0), "x".to_owned());
        assert_eq!(episode.report.trust, Trust::Kernel);
        let asker = episode.report.trigger.as_ref().and_then(|told| told.value.comm.clone());
        assert_eq!(asker.as_deref(), Some("[   99.9] oom-"));
        assert!(reads_the_same(&episode, &text(&episode)), "{}", text(&episode));
    }

    #[test]
    fn nothing_is_overwritten_and_nothing_is_written_by_halves() {
        let dir = tempfile::tempdir().unwrap();
        let episodes = [episode("a"), episode("b")];
        let subjects: Vec<_> = episodes.iter().flat_map(Episode::subjects).collect();
        let taken = dir.path().join(name(2, &episodes[1]));
        std::os::unix::fs::symlink("/nonexistent", &taken).unwrap();
        let error = write(dir.path(), &subjects).unwrap_err().to_string();
        assert!(error.contains("-b-7.log exists"), "{error}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        std::fs::remove_file(taken).unwrap();
        assert_eq!(write(&dir.path().join("new/er"), &subjects).unwrap().len(), 2);
    }
}
