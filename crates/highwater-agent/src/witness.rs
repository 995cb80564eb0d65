//! The witnesses of deaths: who is heard, on which thread, and what of it is kept.
//!
//! ```text
//!  signals   tracefs, proc connector, cgroups ─┐
//!  journal   journalctl                        │           ┌─ kept ──► recorder
//!  managers  systemd, Docker, Podman           ├─► Outlet ─┤
//!  kubelet   Kubernetes                        │  (sieve)  └─ dropped, counted
//!  audit     auditd's log                      ┘
//! ```
//!
//! Each may be missing; the board's gallery knows which are, and why.

mod audit;
mod everyday;
mod flood;
mod journal;
mod kubelet;
mod managers;
mod outlet;
mod resume;
mod sieve;
mod signals;

use std::path::Path;
use std::time::Duration;

use highwater_core::print::fnv1a;
use highwater_core::testimony::Witness;
use highwater_linux::root::Root;
use highwater_owners::kubernetes::{KubeConfig, SERVICE_ACCOUNT};

use self::audit::Reading;
use self::journal::Following;
use self::kubelet::Asking;
use self::managers::{Daemon, Managers};
use self::signals::Signals;
use crate::board::Board;
use crate::config::{Config, Witnesses};
use crate::crew::Crew;
use crate::plan;
use crate::run::{AgentError, Findings};

pub(crate) use outlet::Outlet;

/// What the cursors are called in the store.
const JOURNAL: &str = "journal";
const AUDIT: &str = "audit";

/// So long the agent's greeting waits for the slower witnesses to answer: a machine that is just
/// booting takes a while.
const GREETING_WAITS: Duration = Duration::from_secs(2);

/// Starts a thread for each group of witnesses that the configuration asks for.
pub(crate) fn listen(
    root: &Root,
    dir: &Path,
    config: &Config,
    heard_before: &dyn Fn(&str) -> Option<u64>,
    outlet: &Outlet,
    crew: &mut Crew,
) -> Result<(), AgentError> {
    let wanted = &config.witness;
    let gallery = crew.board().gallery();
    for (witness, key, is_wanted) in [
        (Witness::Signals, "signals", wanted.signals),
        (Witness::Processes, "processes", wanted.processes),
        (Witness::Cgroups, "cgroups", wanted.cgroups),
        (Witness::Journal, "journal", wanted.journal),
        (Witness::Systemd, "systemd", wanted.systemd),
    ] {
        if !is_wanted {
            gallery.set(witness, Some(format!("switched off (witness.{key} = false)")));
        }
    }
    let stop = crew.stop_signal()?;
    let signals = Signals::new(root, wanted, instance(dir), outlet.another(), stop);
    crew.add_ready("signals", move || signals.run())?;
    if wanted.journal {
        let (outlet, since) = (outlet.another(), heard_before(JOURNAL));
        crew.add("journal", move |stop| Following { outlet, since, stop }.run())?;
    }
    manage(wanted, heard_before, outlet, crew)?;
    ask_kubernetes(wanted, outlet, crew)?;
    read_audit(wanted, heard_before(AUDIT), outlet, crew)
}

/// What the tracing instance of the agent of this data directory is called: after an agent that was
/// killed, the next one finds it again.
fn instance(dir: &Path) -> String {
    format!("highwater-{:016x}", fnv1a(dir.as_os_str().as_encoded_bytes()))
}

fn manage(
    wanted: &Witnesses,
    heard_before: &dyn Fn(&str) -> Option<u64>,
    outlet: &Outlet,
    crew: &mut Crew,
) -> Result<(), AgentError> {
    let named = [("docker", &wanted.docker_socket), ("podman", &wanted.podman_socket)];
    let daemons: Vec<Daemon> = named
        .into_iter()
        .filter_map(|(name, socket)| {
            let socket = plan::path(socket)?;
            Some(Daemon { name, socket, since: heard_before(name) })
        })
        .collect();
    if daemons.is_empty() {
        let why = "switched off (witness.docker_socket = \"\")".to_owned();
        crew.board().gallery().set(Witness::Docker, Some(why));
    }
    let (outlet, systemd) = (outlet.another(), wanted.systemd);
    crew.add("managers", move |stop| Managers { outlet, systemd, daemons, stop }.run())
}

fn ask_kubernetes(wanted: &Witnesses, outlet: &Outlet, crew: &mut Crew) -> Result<(), AgentError> {
    let config = if wanted.kubelet.is_empty() {
        in_cluster()
    } else {
        Some(KubeConfig {
            url: wanted.kubelet.clone(),
            token_file: plan::path(&wanted.kubelet_token_file),
            ca_file: plan::path(&wanted.kubelet_ca_file),
            insecure: wanted.kubelet_insecure,
            ..KubeConfig::default()
        })
    };
    let Some(config) = config else {
        let why = "not asked: witness.kubelet names no address".to_owned();
        crew.board().gallery().set(Witness::Kubernetes, Some(why));
        return Ok(());
    };
    let outlet = outlet.another();
    crew.add("kubelet", move |stop| Asking { outlet, config, stop }.run())
}

/// As a pod is told of the API server and of its own node; the node by its manifest.
fn in_cluster() -> Option<KubeConfig> {
    let told = |name| std::env::var(name).ok();
    let (host, port) = (told("KUBERNETES_SERVICE_HOST")?, told("KUBERNETES_SERVICE_PORT")?);
    KubeConfig::in_cluster(Path::new(SERVICE_ACCOUNT), &host, &port, &told("NODE_NAME")?)
}

fn read_audit(
    wanted: &Witnesses,
    since: Option<u64>,
    outlet: &Outlet,
    crew: &mut Crew,
) -> Result<(), AgentError> {
    let Some(path) = plan::path(&wanted.audit_log) else {
        let why = "switched off (witness.audit_log = \"\")".to_owned();
        crew.board().gallery().set(Witness::Audit, Some(why));
        return Ok(());
    };
    let outlet = outlet.another();
    crew.add("audit", move |stop| Reading { outlet, path, since, stop }.run())
}

/// Who is heard, and who is not, for the greeting.
pub(crate) fn find(board: &Board, findings: &mut Findings) {
    board.gallery().wait(&Witness::ALL, GREETING_WAITS);
    let sight = board.gallery().sight();
    let (present, absent): (Vec<_>, Vec<_>) =
        sight.witnesses.iter().partition(|presence| presence.absent.is_none());
    let names: Vec<&str> = present.iter().map(|presence| presence.witness.words()).collect();
    if !names.is_empty() {
        findings.records.push(format!("how processes end, by {}", names.join(", ")));
    }
    findings.blind.extend(absent.iter().filter_map(|presence| {
        let why = presence.absent.as_ref()?;
        Some(format!("{}: {why}", presence.witness.words()))
    }));
}
