//! Who wrote a line, as far as anybody vouches.

use highwater_core::line::{JournalFields, LogLine, Origin};

/// Who wrote a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaker {
    /// systemd: the system's, or a user's.
    Manager {
        /// Whose, if it is a user's and the line says so.
        user: Option<u32>,
    },
    /// What systemd runs when a process dumps its core.
    Coredump,
    /// dockerd, containerd or the kubelet.
    Runtime,
    /// Any other program, of which the journal knows the unit.
    Program,
    /// Nobody says: text without names.
    Unnamed,
}

/// Names of those who run containers, in the journal's `_COMM` as in text.
const RUNTIMES: [&str; 3] = ["dockerd", "containerd", "kubelet"];

/// The superuser, as `_UID` has it.
const ROOT: &str = "0";

/// Does the journal say who wrote the entry? It always knows; whoever made the dump may have left it
/// out, and then the entry is worth as much as text.
pub(super) fn is_vouched(fields: &JournalFields) -> bool {
    fields.get("_PID").is_some()
}

impl Speaker {
    /// Who wrote the line; `None` if somebody did whose lines are not for here.
    pub(super) fn of(line: &LogLine<'_>) -> Option<Self> {
        match line.journal.filter(|fields| is_vouched(fields)) {
            Some(fields) => Self::vouched(fields),
            None => Self::named(line),
        }
    }

    /// By the fields that no sender can choose.
    fn vouched(fields: &JournalFields) -> Option<Self> {
        let is = |name, value| fields.get(name) == Some(value);
        let begins =
            |name, with: &str| fields.get(name).is_some_and(|value| value.starts_with(with));
        if is("_PID", "1") {
            return Some(Self::Manager { user: None });
        }
        // Only the processes of a user's own manager are in that scope, and what one of these
        // writes is about that user's units alone.
        if is("_COMM", "systemd") && is("_SYSTEMD_USER_UNIT", "init.scope") {
            let user = fields.get("_UID")?.parse().ok()?;
            return Some(Self::Manager { user: Some(user) });
        }
        // It takes on the user of the process that died, but no user can start that unit.
        let is_root = is("_UID", ROOT);
        let is_coredump = begins("_SYSTEMD_UNIT", "systemd-coredump@")
            || is_root && begins("_COMM", "systemd-coredum");
        if is_coredump {
            return Some(Self::Coredump);
        }
        let is_runtime = fields.get("_COMM").is_some_and(|comm| RUNTIMES.contains(&comm));
        match fields.get("_SYSTEMD_UNIT") {
            _ if is_runtime && is_root => Some(Self::Runtime),
            Some(_) if !is("_TRANSPORT", "kernel") => Some(Self::Program),
            _ => None,
        }
    }

    /// By the name before the words.
    fn named(line: &LogLine<'_>) -> Option<Self> {
        let is_kernels = |fields: &JournalFields| fields.get("_TRANSPORT") == Some("kernel");
        if line.journal.is_some_and(is_kernels) {
            return None;
        }
        let Some(ident) = line.ident else {
            return (line.origin == Origin::Unsaid).then_some(Self::Unnamed);
        };
        let ident = std::str::from_utf8(ident).ok()?;
        match ident {
            "systemd" | "init.scope" => Some(Self::Manager { user: None }),
            "systemd-coredump" => Some(Self::Coredump),
            _ if RUNTIMES.contains(&ident) => Some(Self::Runtime),
            // `journalctl -o with-unit` writes the unit instead of the program.
            _ => match ident.strip_suffix("/init.scope") {
                Some(manager) => {
                    let uid = manager.strip_prefix("user@")?.strip_suffix(".service")?;
                    Some(Self::Manager { user: Some(uid.parse().ok()?) })
                }
                None => ["docker.service", "containerd.service", "kubelet.service"]
                    .contains(&ident)
                    .then_some(Self::Runtime),
            },
        }
    }
}
