//! A process, or all of an owner, as far as a witness knows it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{CgroupPath, Pid, StartTicks};
use crate::owner::Owner;

/// A process, or all of an owner, as far as a witness knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Party {
    /// Its process id in the machine's own pid namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<Pid>,
    /// When that process started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<StartTicks>,
    /// Its short name, escaped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comm: Option<String>,
    /// Its command line, escaped, cut after [`Party::COMMAND_CHARS`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Who started it, the nearest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<Ancestor>,
    /// The user it runs as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// The user who logged in (`/proc/PID/loginuid`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login_uid: Option<u32>,
    /// Its memory cgroup, or the unified one where memory has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<CgroupPath>,
    /// Whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// The container's whole id, where the owner is known by another name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_id: Option<String>,
}

/// Who started a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ancestor {
    /// Its process id.
    pub pid: Pid,
    /// Its short name, escaped.
    pub comm: String,
}

impl Party {
    /// The longest command line that is kept.
    pub const COMMAND_CHARS: usize = 256;

    /// The most ancestors that are kept: a shell in a terminal in a session has six.
    pub const ANCESTORS: usize = 8;

    /// A process of which only the number is known.
    pub fn of_pid(pid: Pid) -> Self {
        Self { pid: Some(pid), ..Self::default() }
    }

    /// An owner as a whole.
    pub fn of_owner(owner: Owner) -> Self {
        Self { owner: Some(owner), ..Self::default() }
    }

    /// Takes over from `other` what is not known here.
    pub fn learn(&mut self, other: &Self) {
        fn take<T: Clone>(own: &mut Option<T>, other: Option<&T>) {
            if own.is_none() {
                *own = other.cloned();
            }
        }
        take(&mut self.pid, other.pid.as_ref());
        take(&mut self.start, other.start.as_ref());
        take(&mut self.comm, other.comm.as_ref());
        take(&mut self.command, other.command.as_ref());
        if self.parents.is_empty() {
            self.parents.clone_from(&other.parents);
        }
        take(&mut self.uid, other.uid.as_ref());
        take(&mut self.login_uid, other.login_uid.as_ref());
        take(&mut self.cgroup, other.cgroup.as_ref());
        take(&mut self.owner, other.owner.as_ref());
        take(&mut self.container_id, other.container_id.as_ref());
    }
}

/// `kill (pid 4711)`, `pid 4711, gone` where nothing but the number is known.
impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.comm, self.pid, &self.owner) {
            (Some(comm), Some(pid), _) => write!(f, "{comm} (pid {pid})"),
            (Some(comm), None, _) => f.write_str(comm),
            (None, Some(pid), _) => write!(f, "pid {pid}, gone"),
            (None, None, Some(owner)) => write!(f, "{owner}"),
            (None, None, None) => f.write_str("a process that is not named"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_stays_and_what_is_not_is_learnt() {
        let mut party = Party { comm: Some("kill".to_owned()), ..Party::of_pid(Pid::new(7)) };
        let other = Party { comm: Some("other".to_owned()), uid: Some(0), ..Party::default() };
        party.learn(&other);
        assert_eq!((party.comm.as_deref(), party.uid), (Some("kill"), Some(0)));
        assert_eq!(party.to_string(), "kill (pid 7)");
        assert_eq!(Party::of_pid(Pid::new(4711)).to_string(), "pid 4711, gone");
    }

    #[test]
    fn only_what_is_known_is_written() {
        let written = serde_json::to_string(&Party::of_pid(Pid::new(7))).unwrap();
        assert_eq!(written, r#"{"pid":7}"#);
        assert_eq!(serde_json::from_str::<Party>(&written).unwrap(), Party::of_pid(Pid::new(7)));
    }
}
