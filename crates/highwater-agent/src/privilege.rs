//! What the agent asks of the kernel for itself: to stay in memory, to be killed last, to keep
//! many files open. Each may be refused; then the agent runs on and says so.

use std::fs;
use std::io;

use highwater_linux::root::Root;
use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CapabilitySet, capabilities};

/// Descriptors for everything but kept files: the database, the page, the log.
const OTHER_FILES: u64 = 128;

/// Locks the agent's memory as it is touched, so that it can go on recording while the machine
/// swaps. Without `CAP_IPC_LOCK` this is not tried: allocations beyond `RLIMIT_MEMLOCK` would fail.
pub(crate) fn lock_memory() -> Result<(), String> {
    let may = capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::IPC_LOCK));
    let unlimited = getrlimit(Resource::Memlock).current.is_none();
    if !may && !unlimited {
        return Err("memory is not locked: needs CAP_IPC_LOCK".to_owned());
    }
    mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT)
        .map_err(|error| format!("memory is not locked: {error}"))
}

/// Asks to be killed last, by `adj` permille of memory.
pub(crate) fn be_killed_last(root: &Root, adj: i32) -> Result<(), String> {
    fs::write(root.path("proc/self/oom_score_adj"), adj.to_string()).map_err(|error| {
        let why = match error.kind() {
            io::ErrorKind::PermissionDenied => "needs CAP_SYS_RESOURCE".to_owned(),
            _ => error.to_string(),
        };
        format!("oom_score_adj stays as it was, not {adj}: {why}")
    })
}

/// Raises the limit on open files as far as it goes, and says how many files may be kept open.
pub(crate) fn raise_file_limit(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let _unraised_is_fine = setrlimit(Resource::Nofile, raised);
    let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(most.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX).min(wanted)
}
