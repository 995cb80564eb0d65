//! Where the scenes are played, and what they leave.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use super::cases::{Case, Place};
use crate::clock;
use crate::repo;
use crate::vm::{Hardware, Payload, Vm};

/// What every scene needs, and the scenes.
const ENGINE: &str = include_str!("../guest/deaths.sh");
const VM: &str = include_str!("../guest/deaths-vm.sh");
const HERE: &str = include_str!("here.sh");

/// The agent stands since the beginning.
pub(super) const STANDING: &str = "standing";
/// It was killed with SIGKILL and started again just before.
pub(super) const RESTARTED: &str = "restarted";

/// So little memory that one unit can use it up; a kernel that keeps every word and tells pressure;
/// the daemons that kill for memory, and a user's own systemd.
const MACHINE: Hardware = Hardware {
    nodes_mib: &[512],
    kernel: "quiet psi=1 log_buf_len=4M",
    packages: &["dbus-user-session", "earlyoom", "libpam-systemd", "procps", "systemd-oomd"],
};

/// What a stage left.
pub(super) struct Played {
    pub(super) place: Place,
    /// `PASS/CASE/…`, and what was kept of all of them.
    pub(super) results: PathBuf,
    passes: &'static [&'static str],
}

impl Played {
    /// How often each case was played.
    pub(super) fn passes(&self) -> impl Iterator<Item = &'static str> {
        self.passes.iter().copied()
    }

    /// What one case left.
    pub(super) fn case(&self, pass: &str, case: &Case) -> PathBuf {
        self.results.join(pass).join(case.name)
    }
}

/// Plays the cases; `None` where this machine cannot.
pub(super) fn play(
    place: Place,
    cases: &[&Case],
    highwater: Option<&Path>,
) -> anyhow::Result<Option<Played>> {
    // Without highwater there is no agent to be started again.
    let passes: &[&str] = if highwater.is_some() { &[STANDING, RESTARTED] } else { &[STANDING] };
    let head = head(cases, passes);
    let begun = clock::now();
    let results = match place {
        Place::Vm => machine(&format!("{head}\n{ENGINE}\n{VM}"), highwater)?,
        Place::Here => match here(&format!("{head}\n{ENGINE}\n{HERE}"), highwater)? {
            Some(results) => results,
            None => return Ok(None),
        },
    };
    let seconds = begun.elapsed().as_secs();
    println!("{}: {} cases in {seconds} s, in {}", place.name(), cases.len(), results.display());
    Ok(Some(Played { place, results, passes }))
}

/// What the script is told: the passes, the cases, and the cause of each, to know when it is told.
fn head(cases: &[&Case], passes: &[&str]) -> String {
    let names: Vec<_> = cases.iter().map(|case| case.name).collect();
    let wanted: Vec<_> =
        cases.iter().map(|case| format!("[{}]='{}'", case.name, case.cause)).collect();
    format!(
        "PASSES='{}'\nONLY='{}'\ndeclare -A CAUSE=({})",
        passes.join(" "),
        names.join(" "),
        wanted.join(" ")
    )
}

fn machine(script: &str, highwater: Option<&Path>) -> anyhow::Result<PathBuf> {
    let files: Vec<_> = highwater.into_iter().map(|program| (program, "highwater")).collect();
    let run = Vm::of("deaths", MACHINE)?.run(&Payload { files: &files, script })?;
    ensure!(run.code == 0, "the script ended with {}", run.code);
    Ok(run.results)
}

/// On this machine it takes root, a memory cgroup of version 1 and Docker.
fn here(script: &str, highwater: Option<&Path>) -> anyhow::Result<Option<PathBuf>> {
    let is_root = rustix::process::geteuid().is_root();
    let has = |file: &str| Path::new(file).exists();
    if !is_root || !has("/sys/fs/cgroup/memory/memory.limit_in_bytes") || !has("/usr/sbin/dockerd")
    {
        println!("skipped: this machine's scenes take root, cgroup v1 for memory, and docker.io");
        return Ok(None);
    }
    let results = repo::target().join("e2e/deaths/here-run");
    if results.exists() {
        fs::remove_dir_all(&results)?;
    }
    fs::create_dir_all(&results)?;
    let file = results.join("run.sh");
    fs::write(&file, script)?;
    let mut bash = Command::new("bash");
    bash.arg(&file).env("RESULTS", &results);
    if let Some(program) = highwater {
        bash.env("HIGHWATER", program);
    }
    let log = fs::File::create(results.join("run.log"))?;
    bash.stdin(std::process::Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let status = bash.status().context("cannot run bash")?;
    ensure!(
        status.success(),
        "the scenes ended with {status}; {}",
        results.join("run.log").display()
    );
    Ok(Some(results))
}
