//! The configuration: what can be set, what it may be, and what it is if nobody says.
//!
//! [`KEYS`] is the single source: reading, the commented default file, the manual and the guess at
//! what a misspelt key was meant to be all walk that table. Everything has a default, so an empty
//! file (or none) is a valid configuration.

mod amount;
mod fault;
mod key;
mod receiver;
mod table;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use highwater_core::series::Labels;
use highwater_core::units::{Bytes, Permille};

pub use fault::{ConfigError, Fault, Wrong};
pub use key::Key;
pub use receiver::{Notify, RECEIVER_KEYS, Receiver, ReceiverKey, ReceiverKind};
pub use table::KEYS;

/// The most that is read of a file: hundreds of times the whole default file.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Everything that can be set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// How often what is read.
    pub sample: Sample,
    /// What is kept.
    pub store: Store,
    /// What changes slowly.
    pub survey: Survey,
    /// Metrics, health and history over HTTP.
    pub web: Web,
    /// The agent's own process.
    pub agent: Own,
    /// The kernel's messages.
    pub kmsg: Kmsg,
    /// What grows.
    pub growth: Growth,
    /// Rules that are evaluated.
    pub rules: Rules,
    /// Who is told of alerts.
    pub notify: Notify,
    /// Who else tells of deaths.
    pub witness: Witnesses,
    /// The file that it was read from; `None`: from none.
    pub file: Option<PathBuf>,
    /// The program that judges what grows, which is the one that records; `None`: nobody judges.
    pub program: Option<PathBuf>,
}

/// `[sample]`: how often what is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Between two readings of the whole machine.
    pub every: Duration,
    /// Between two readings of what is near a limit.
    pub close_up_every: Duration,
    /// How near to its limit a cgroup is watched closely.
    pub close_up_within: Permille,
    /// How soon a cgroup must be about to reach its limit to be watched closely.
    pub close_up_horizon: Duration,
    /// Between two readings of what costs more to read.
    pub slow_every: Duration,
}

impl Default for Sample {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(5),
            close_up_every: Duration::from_millis(250),
            close_up_within: Permille::new(100),
            close_up_horizon: minutes(1),
            slow_every: Duration::from_secs(30),
        }
    }
}

/// `[store]`: what is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// Every reading, for how long.
    pub keep: Duration,
    /// Every minute, for how long.
    pub keep_minutes: Duration,
    /// Every ten minutes, for how long.
    pub keep_ten_minutes: Duration,
    /// The most that it takes on disk.
    pub budget: Bytes,
    /// What is left free on its file system.
    pub free_floor: Bytes,
    /// A process this large has series of its own.
    pub process_min_rss: Bytes,
    /// And one that grew by this much.
    pub process_min_growth: Bytes,
    /// And one this old.
    pub process_min_age: Duration,
    /// As far as there are no more of those than this.
    pub old_processes: u32,
    /// How many new ones there may be in a minute.
    pub new_processes: u32,
    /// How many there may be in all.
    pub processes: u32,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            keep: hours(7 * 24),
            keep_minutes: hours(30 * 24),
            keep_ten_minutes: hours(400 * 24),
            budget: Bytes::from_mib(2048),
            free_floor: Bytes::from_mib(512),
            process_min_rss: Bytes::from_mib(16),
            process_min_growth: Bytes::from_mib(4),
            process_min_age: hours(1),
            old_processes: 100,
            new_processes: 20,
            processes: 2_000,
        }
    }
}

/// `[survey]`: what changes slowly, or costs more to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// Whether it is read.
    pub enabled: bool,
    /// How often.
    pub every: Duration,
    /// Where large log files are looked for.
    pub log_folders: Vec<PathBuf>,
    /// What is large.
    pub log_file_least: Bytes,
    /// How much processor time in an hour goes into mappings.
    pub mappings_an_hour: Duration,
    /// Whether Docker is asked.
    pub docker: bool,
}

impl Default for Survey {
    fn default() -> Self {
        Self {
            enabled: true,
            every: minutes(1),
            log_folders: vec![PathBuf::from("/var/log")],
            log_file_least: Bytes::new(100_000_000),
            mappings_an_hour: Duration::from_millis(270),
            docker: true,
        }
    }
}

/// `[web]`: metrics, health and history over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own in the file")]
pub struct Web {
    /// Whether they are served.
    pub enabled: bool,
    /// Where.
    pub listen: SocketAddr,
    /// Whether every process is shown, not only sums by owner.
    pub per_process: bool,
    /// The certificate for TLS; empty: no TLS.
    pub tls_certificate_file: String,
    /// Its key.
    pub tls_key_file: String,
    /// Hashes of the tokens that let in.
    pub tokens: Vec<String>,
    /// Users that are let in, with hashes of their passwords.
    pub users: Vec<String>,
    /// Names by which it is asked, other than the loopback's.
    pub hosts: Vec<String>,
    /// Whether it may be asked from elsewhere without TLS.
    pub allow_plain_http: bool,
    /// Whether it may be asked from elsewhere by anyone.
    pub allow_anyone: bool,
}

impl Default for Web {
    fn default() -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 9477));
        Self {
            enabled: true,
            listen,
            per_process: false,
            tls_certificate_file: String::new(),
            tls_key_file: String::new(),
            tokens: Vec::new(),
            users: Vec::new(),
            hosts: Vec::new(),
            allow_plain_http: false,
            allow_anyone: false,
        }
    }
}

/// `[agent]`: the agent's own process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// Whether its memory is locked in RAM.
    pub lock_memory: bool,
    /// How willingly the kernel kills it, −999 to 1000.
    pub oom_score_adj: i32,
    /// How much of a processor it may use.
    pub cpu_budget: Permille,
    /// How much memory it may have.
    pub memory_budget: Bytes,
}

impl Default for Own {
    fn default() -> Self {
        Self {
            lock_memory: true,
            oom_score_adj: -900,
            cpu_budget: Permille::new(10),
            memory_budget: Bytes::from_mib(64),
        }
    }
}

/// `[kmsg]`: the kernel's messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kmsg {
    /// Whether they are read.
    pub enabled: bool,
}

impl Default for Kmsg {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// `[growth]`: what grows, found while the machine is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Growth {
    /// Whether it is looked for.
    pub enabled: bool,
    /// How often.
    pub every: Duration,
    /// How much of a processor it may take: where it takes more, it is rarer.
    pub cpu_budget: Permille,
}

impl Default for Growth {
    fn default() -> Self {
        Self { enabled: true, every: minutes(10), cpu_budget: Permille::new(1) }
    }
}

/// `[rules]`: rules that are evaluated while the machine is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Whether any are.
    pub enabled: bool,
    /// Whether those that come with highwater are.
    pub shipped: bool,
    /// Files of rules; `*` in the last part of a path stands for anything.
    pub files: Vec<String>,
    /// How often groups are evaluated that do not say so themselves.
    pub every: Duration,
    /// Labels of all alerts that are sent, `name=value`.
    pub labels: Vec<String>,
    /// Where this recorder's page is reached.
    pub external_url: String,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            enabled: true,
            shipped: true,
            files: Vec::new(),
            every: Duration::from_secs(15),
            labels: Vec::new(),
            external_url: "http://localhost:9477".to_owned(),
        }
    }
}

impl Rules {
    /// The labels of all alerts that are sent: those that are set, and the machine's name.
    pub fn external_labels(&self) -> Labels {
        let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let set = self.labels.iter().filter_map(|label| label.split_once('='));
        let set = set.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()));
        Labels::new(std::iter::once(("instance".to_owned(), machine)).chain(set))
    }
}

/// `[witness]`: who else tells of deaths.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own in the file")]
pub struct Witnesses {
    /// The kernel's tracepoint of signals.
    pub signals: bool,
    /// The kernel's process events.
    pub processes: bool,
    /// The events of memory cgroups.
    pub cgroups: bool,
    /// systemd's journal.
    pub journal: bool,
    /// systemd over D-Bus.
    pub systemd: bool,
    /// Docker's socket; empty: none.
    pub docker_socket: String,
    /// Podman's socket; empty: none.
    pub podman_socket: String,
    /// The kubelet or the API server; empty: none.
    pub kubelet: String,
    /// The token that is shown there.
    pub kubelet_token_file: String,
    /// By whom it is known.
    pub kubelet_ca_file: String,
    /// It is believed without that.
    pub kubelet_insecure: bool,
    /// auditd's log; empty: none.
    pub audit_log: String,
}

impl Default for Witnesses {
    fn default() -> Self {
        let account = "/var/run/secrets/kubernetes.io/serviceaccount";
        Self {
            signals: true,
            processes: true,
            cgroups: true,
            journal: true,
            systemd: true,
            docker_socket: "/var/run/docker.sock".to_owned(),
            podman_socket: "/run/podman/podman.sock".to_owned(),
            kubelet: String::new(),
            kubelet_token_file: format!("{account}/token"),
            kubelet_ca_file: format!("{account}/ca.crt"),
            kubelet_insecure: false,
            audit_log: "/var/log/audit/audit.log".to_owned(),
        }
    }
}

impl Config {
    /// Reads the file at `path`.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |cause| ConfigError::Unreadable { path: path.to_owned(), cause };
        let file = File::open(path).map_err(unreadable)?;
        let mut text = String::new();
        file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
        if u64::try_from(text.len()).is_ok_and(|length| length > MAX_FILE_BYTES) {
            return Err(ConfigError::TooLarge { path: path.to_owned(), most: MAX_FILE_BYTES });
        }
        let config = Self::parse(&text, &path.to_string_lossy())?;
        Ok(Self { file: Some(std::path::absolute(path).map_err(unreadable)?), ..config })
    }

    /// Reads `text`, which errors call `file_name`. Tells all that is wrong with it, not only the
    /// first thing.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, ConfigError> {
        key::read(text, file_name)
    }

    /// The keys in which this configuration differs from `other`.
    pub fn changes<'c>(&'c self, other: &'c Self) -> impl Iterator<Item = &'static Key> + 'c {
        key::changes(self, other)
    }

    /// A file with every key, what it means, what it may be and its default, ready to be edited.
    /// Keys are commented out, so that a later version's better default is not held back.
    pub fn commented_default() -> String {
        key::commented_default()
    }
}

const fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

const fn hours(count: u64) -> Duration {
    minutes(count * 60)
}
