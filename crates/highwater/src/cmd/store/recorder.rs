//! Who records into a directory: the process that holds its lock, found without touching it.

use std::path::Path;
use std::time::Duration;

use highwater_agent::clock;
use highwater_agent::notice::Status;
use highwater_agent::place::holder;
use highwater_linux::facts::HostFacts;
use highwater_linux::root::Root;
use highwater_store::LastTick;

use crate::cmd::refusal;
use crate::view::store::Moment;
use crate::view::store::overview::{Recorder, State};

/// An agent that stored nothing for three of its readings, and a minute, does not record.
const MISSED: u32 = 3;
const GRACE: Duration = Duration::from_mins(1);

/// Who records into `dir`, and what that agent says of itself in `status`; the newest reading is
/// `last`, and one is due every `every`.
pub(super) fn of(
    dir: &Path,
    status: Option<&Status>,
    last: Option<LastTick>,
    every: Duration,
) -> Recorder {
    let age = last.map(age);
    let pid = holder(dir);
    let status = status.cloned().unwrap_or_default();
    // The kernel does not show locks of another pid namespace, but it keeps them.
    let is_held = pid.is_some() || status.is_running;
    let cannot_store = status.trouble.is_some();
    let is_late = age.is_none_or(|age| age > every.saturating_mul(MISSED).saturating_add(GRACE));
    Recorder {
        state: match (is_held, is_late || cannot_store) {
            (false, _) => State::Stopped,
            (true, true) => State::Stalled,
            (true, false) => State::Recording,
        },
        pid,
        last_reading: last.map(|last| Moment(last.wall)),
        age_seconds: age.map(|age| age.as_secs()),
        trouble: status.trouble.filter(|_| is_held).map(|told| refusal::trouble(&told)),
        told: status.at.map(Moment),
        waiting: status.backlog,
        slowed: if is_held { status.slowed } else { vec![] },
    }
}

/// How old a reading is: by the boot clock, which is never set, as long as it is of this boot.
fn age(last: LastTick) -> Duration {
    let now = clock::now();
    let boot = HostFacts::read(&Root::live()).boot_id;
    if boot == Some(last.boot_id) { now.boot.since(last.boot) } else { now.wall.since(last.wall) }
}

#[cfg(test)]
mod tests {
    use highwater_agent::place::Place;

    use super::*;

    #[test]
    fn who_cannot_store_does_not_record() {
        let dir = tempfile::tempdir().unwrap();
        let now = clock::now();
        let boot_id = HostFacts::read(&Root::live()).boot_id.unwrap();
        let last = Some(LastTick { wall: now.wall, boot: now.boot, boot_id });
        let well = Status { is_running: true, at: Some(now.wall), ..Status::default() };
        assert_eq!(of(dir.path(), Some(&well), last, GRACE).state, State::Recording);
        let trouble = Some("disk is full: Error code 13: disk is full".to_owned());
        let ill = of(dir.path(), Some(&Status { trouble, ..well }), last, GRACE);
        assert_eq!((ill.state, ill.told), (State::Stalled, Some(Moment(now.wall))));
        assert!(!ill.trouble.unwrap().contains("Error code"));
    }

    #[test]
    fn a_directory_is_somebodys_as_long_as_he_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let of = || of(dir.path(), Status::read(dir.path()).as_ref(), None, GRACE);
        assert_eq!(of().state, State::Stopped);
        let place = Place::claim(dir.path()).unwrap();
        let held = of();
        assert_eq!(held.state, State::Stalled, "nothing was stored yet");
        assert!(held.pid.is_none_or(|pid| pid == std::process::id()), "{held:?}");
        drop(place);
        assert_eq!(of().state, State::Stopped);
    }
}
