//! Tasks that hang for want of memory, because nothing may be killed in their cgroup: whether that is
//! worth a word, and the ways out.

use std::time::Duration;

use highwater_core::id::CgroupPath;
use highwater_core::owner::Owner;

use crate::death::Advice;
use crate::inquest::Stuck;

/// A shorter one is a moment of reclaim: nobody waits for it.
pub const SHORTEST: Duration = Duration::from_secs(5);

/// Where the memory cgroups of version 1 are: only those can forbid kills.
const MOUNT: &str = "/sys/fs/cgroup/memory";

/// Whether it lasts, or lasted long enough to be noticed.
pub fn is_hang(stuck: &Stuck) -> bool {
    let lasted = stuck.since.zip(stuck.until).map(|(since, until)| until.since(since));
    lasted.is_none_or(|lasted| lasted >= SHORTEST)
}

/// What to do about it, the mildest first; nothing, where it is over.
pub fn advice(stuck: &Stuck) -> Vec<Advice> {
    if stuck.until.is_some() {
        return Vec::new();
    }
    let dir = stuck.who.cgroup.as_ref().map(CgroupPath::as_str).filter(|path| is_plain(path));
    let file = |name: &str| dir.map(|dir| format!("{MOUNT}{dir}/{name}"));
    let to = |text: &str, command: Option<String>| Advice { text: text.to_owned(), command };
    let who = file("cgroup.procs")
        .map(|file| format!("ps -o pid,stat,wchan:20,args -p $(paste -sd, {file})"));
    let raised = file("memory.limit_in_bytes").map(|file| format!("cat {file}; echo 1G > {file}"));
    let allowed = file("memory.oom_control").map(|file| format!("echo 0 > {file}"));
    let mut all = vec![
        to("See who hangs there.", who),
        to("Raise its limit, and all go on where they stand.", raised),
        to("Or let the kernel kill the largest of them, as it does elsewhere.", allowed),
    ];
    if let Some(Owner::Container(name)) = &stuck.who.owner {
        let name =
            name.get(..12).filter(|_| highwater_core::owner::is_container_id(name)).unwrap_or(name);
        let command = is_plain(name).then(|| format!("docker kill {name}"));
        all.push(to("Or end the container.", command));
    }
    all
}

/// It can stand in a command as it is.
fn is_plain(name: &str) -> bool {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || "/._-@:".contains(c);
    !name.is_empty() && !name.starts_with('-') && name.chars().all(is_safe)
}

#[cfg(test)]
mod tests {
    use highwater_core::evidence::Claim;
    use highwater_core::testimony::Party;
    use highwater_core::time::WallTime;

    use super::*;

    fn stuck(path: &str, until: Option<i64>) -> Stuck {
        let who = Party {
            cgroup: Some(CgroupPath::new(path.as_bytes())),
            ..Party::of_owner(Owner::Cgroup(path.to_owned()))
        };
        let claim = Claim { text: "stuck".to_owned(), evidence: Vec::new() };
        let at = WallTime::from_millis;
        Stuck { who, since: Some(at(0)), until: until.map(at), claim }
    }

    #[test]
    fn a_moment_of_reclaim_is_no_hang() {
        assert!(!is_hang(&stuck("/a", Some(108))));
        assert!(is_hang(&stuck("/a", Some(5_000))));
        assert!(is_hang(&stuck("/a", None)));
    }

    #[test]
    fn who_hangs_gets_commands_and_who_did_gets_none() {
        let said: Vec<String> =
            advice(&stuck("/a", None)).iter().map(ToString::to_string).collect();
        let said = said.join("\n");
        assert!(said.contains("echo 0 > /sys/fs/cgroup/memory/a/memory.oom_control"), "{said}");
        assert!(said.contains("/sys/fs/cgroup/memory/a/memory.limit_in_bytes"), "{said}");
        assert!(advice(&stuck("/a", Some(9_000))).is_empty());
    }

    #[test]
    fn a_path_that_a_shell_would_read_otherwise_stands_in_no_command() {
        assert!(advice(&stuck("/a; rm -rf $HOME", None)).iter().all(|one| one.command.is_none()));
    }
}
