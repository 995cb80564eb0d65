//! What systemd says of a core dump.
//!
//! ```text
//! Process 4711 (web) of user 1000 dumped core.
//! Process 4711 (web) of user 1000 terminated abnormally with signal 6/ABRT, processing...   (≥ 252)
//! ```

use highwater_core::id::{CgroupPath, Pid};
use highwater_core::line::JournalFields;
use highwater_core::owner::Owner;
use highwater_core::testimony::{Fact, Party, Signal, UnitWord};

use super::{unit, words};

/// A core was dumped, and of which process: by its fields (`COREDUMP_…`,
/// systemd-coredump(8)), else by the words.
pub(super) fn read(text: &str, fields: Option<&JournalFields>) -> Option<(Party, Fact)> {
    let said = in_words(text);
    let about = match fields.filter(|fields| fields.get("COREDUMP_PID").is_some()) {
        Some(fields) => noted(fields),
        None => said.as_ref()?.0.clone(),
    };
    let noted = fields.and_then(|fields| fields.get("COREDUMP_SIGNAL"));
    let signal = noted.and_then(|number| number.parse().ok()).map(Signal);
    let signal = signal.or_else(|| said.and_then(|(_, signal)| signal));
    let fact = Fact::Unit(UnitWord::CoreDumped { pid: about.pid, signal });
    Some((about, fact))
}

/// The process as the fields have it.
fn noted(fields: &JournalFields) -> Party {
    let of = |name| fields.get(name);
    let number = |name| of(name).and_then(|number| number.parse::<u32>().ok());
    let uid = number("COREDUMP_UID");
    let cgroup = of("COREDUMP_CGROUP").map(|path| CgroupPath::new(path.as_bytes()));
    let by_unit = || match of("COREDUMP_USER_UNIT") {
        Some(name) => unit::owner(name, Some(uid?)),
        None => unit::owner(of("COREDUMP_UNIT")?, None),
    };
    Party {
        pid: number("COREDUMP_PID").map(Pid::new),
        comm: of("COREDUMP_COMM").map(str::to_owned),
        uid,
        owner: of("COREDUMP_CGROUP").map(Owner::of_path).or_else(by_unit),
        cgroup,
        ..Party::default()
    }
}

/// The process and the signal as the words have them.
fn in_words(text: &str) -> Option<(Party, Option<Signal>)> {
    let rest = text.strip_prefix("Process ")?;
    let (head, signal) = if let Some((head, _)) = rest.split_once(" dumped core") {
        (head, None)
    } else {
        let (head, rest) = rest.split_once(" terminated abnormally with signal ")?;
        (head, rest.split(['/', ',']).next()?.parse().ok().map(Signal))
    };
    let (who, uid) = head.rsplit_once(" of user ")?;
    let (pid, comm) = words::numbered(who)?;
    let comm = comm.map(str::to_owned);
    Some((Party { comm, uid: uid.parse().ok(), ..Party::of_pid(pid) }, signal))
}
