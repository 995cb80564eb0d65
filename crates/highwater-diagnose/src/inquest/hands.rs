//! Whose hand it was: systemd's, a container runtime's, that of a program that kills for memory.
//!
//! A name alone proves nothing, for a program may call itself as it likes. So the name has to go with
//! what nobody can choose: the pid, the user, the cgroup.

use highwater_core::id::Pid;
use highwater_core::owner::{Owner, user_of_path};
use highwater_core::testimony::Party;

use super::Cause;

/// The superuser.
const ROOT: u32 = 0;

/// systemd, the system's or a user's.
pub(super) fn is_systemd(party: &Party) -> bool {
    if party.pid == Some(Pid::new(1)) {
        return party.comm.as_deref().is_none_or(|comm| matches!(comm, "systemd" | "init"));
    }
    party.comm.as_deref() == Some("systemd") && is_of_user_manager(party)
}

/// It runs where only a user's own manager does, as that user.
fn is_of_user_manager(party: &Party) -> bool {
    let user = match (&party.cgroup, &party.owner) {
        (_, Some(Owner::UserUnit { unit, uid })) if unit == "init.scope" => Some(*uid),
        (_, Some(Owner::Unit(unit))) => user_of_path(unit),
        (Some(path), _) => {
            let path = path.as_str();
            let place = path.strip_suffix("/init.scope").unwrap_or(path);
            let manager = place.rsplit('/').next().unwrap_or_default();
            user_of_path(manager).filter(|_| manager.starts_with("user@"))
        }
        (None, _) => None,
    };
    user.is_some_and(|user| party.uid.is_none_or(|uid| uid == user))
}

/// What runs containers on somebody's behalf: as the superuser or for the victim's own user, and
/// not from within the container.
pub(super) fn is_runtime(by: &Party, victim: &Party) -> bool {
    const RUNTIMES: [&str; 8] =
        ["runc", "crun", "containerd", "dockerd", "conmon", "crio", "podman", "runsc"];
    let is_one = |comm: &str| RUNTIMES.contains(&comm) || comm.starts_with("containerd-shim");
    by.comm.as_deref().is_some_and(is_one) && is_allowed(by, victim) && !is_inside(by, victim)
}

fn is_allowed(by: &Party, victim: &Party) -> bool {
    let Some(uid) = by.uid.filter(|uid| *uid != ROOT) else { return true };
    // Within a user's container others run than that user, and still below that user's slice.
    let users = [
        victim.uid,
        victim.login_uid,
        victim.cgroup.as_ref().and_then(|path| user_of_path(path.as_str())),
    ];
    users == [None; 3] || users.contains(&Some(uid))
}

fn is_inside(by: &Party, victim: &Party) -> bool {
    let (Some(by), Some(victim)) = (&by.cgroup, &victim.cgroup) else { return false };
    let rest = by.as_str().strip_prefix(victim.as_str()).filter(|_| victim.as_str() != "/");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// systemd or a container runtime.
pub(super) fn is_manager(by: &Party, victim: &Party) -> bool {
    is_systemd(by) || is_runtime(by, victim)
}

/// The cause that is a program's which kills for memory, by its name.
pub(super) fn killer(program: &str) -> Option<Cause> {
    Some(match program {
        "systemd-oomd" => Cause::SystemdOomd,
        "earlyoom" => Cause::Earlyoom,
        "nohang" => Cause::Nohang,
        "oomd" => Cause::Oomd,
        "lmkd" | "lowmemorykiller" => Cause::Lowmemorykiller,
        _ => return None,
    })
}

/// The same of who sent a signal: it may do so to others' processes, which nobody else may.
pub(super) fn killer_of(by: &Party, victim: &Party) -> Option<Cause> {
    let is_privileged = by.uid.is_none_or(|uid| uid == ROOT || victim.uid != Some(uid));
    killer(by.comm.as_deref()?).filter(|_| is_privileged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use highwater_core::id::CgroupPath;

    fn party(pid: u32, comm: &str, uid: u32, cgroup: &str) -> Party {
        Party {
            comm: Some(comm.to_owned()),
            uid: Some(uid),
            cgroup: Some(CgroupPath::new(cgroup.as_bytes())),
            ..Party::of_pid(Pid::new(pid))
        }
    }

    #[test]
    fn systemd_is_known_by_more_than_its_name() {
        const MANAGER: &str = "/user.slice/user-1000.slice/user@1000.service";
        assert!(is_systemd(&party(1, "systemd", 0, "/init.scope")));
        assert!(is_systemd(&Party::of_pid(Pid::new(1))));
        assert!(is_systemd(&party(900, "systemd", 1000, &format!("{MANAGER}/init.scope"))));
        assert!(is_systemd(&party(900, "systemd", 1000, MANAGER)), "version 1");
        assert!(!is_systemd(&party(900, "systemd", 1001, &format!("{MANAGER}/init.scope"))));
        assert!(!is_systemd(&party(
            900,
            "systemd",
            1000,
            &format!("{MANAGER}/app.slice/x.service")
        )));
        assert!(!is_systemd(&party(900, "systemd", 0, "/system.slice/web.service")));
        assert!(!is_systemd(&party(900, "bash", 1000, &format!("{MANAGER}/init.scope"))));
    }

    #[test]
    fn runtimes_are_known_by_their_whole_names_and_users() {
        let victim = party(100, "app", 0, "/docker/abc");
        let runtime = |comm| party(50, comm, 0, "/system.slice/docker.service");
        assert!(is_runtime(&runtime("runc"), &victim));
        assert!(is_runtime(&runtime("containerd-shim"), &victim));
        assert!(!is_runtime(&runtime("podman-exporter"), &victim));
        assert!(!is_runtime(&runtime("crun-worker"), &victim));
        assert!(!is_runtime(&party(50, "runc", 0, "/docker/abc/child"), &victim), "from inside");
        assert!(!is_runtime(&party(50, "runc", 1000, "/x"), &victim), "of another user");
        let path = "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-1.scope";
        let rootless = party(100, "app", 100_999, path);
        assert!(is_runtime(&party(50, "conmon", 1000, "/user.slice"), &rootless));
        assert!(is_runtime(&party(50, "runc", 1000, "/x"), &Party::default()), "nothing is known");
    }

    #[test]
    fn a_user_who_calls_a_program_earlyoom_kills_but_his_own() {
        let victim = party(100, "app", 1000, "/x");
        assert_eq!(killer_of(&party(50, "earlyoom", 64_000, "/y"), &victim), Some(Cause::Earlyoom));
        assert_eq!(killer_of(&party(50, "earlyoom", 0, "/y"), &victim), Some(Cause::Earlyoom));
        assert_eq!(killer_of(&party(50, "earlyoom", 1000, "/y"), &victim), None);
        assert_eq!(killer_of(&party(50, "kill", 0, "/y"), &victim), None);
    }
}
