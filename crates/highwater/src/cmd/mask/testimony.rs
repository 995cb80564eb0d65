//! What witnesses said, without names.
//!
//! Every text of a testimony stands in a field of a known kind, so each is masked by its kind; what
//! was quoted is masked like a line of a log. The verdicts are made anew from what is left.

use highwater_core::id::CgroupPath;
use highwater_core::owner::{Owner, is_container_id};
use highwater_core::testimony::{
    AuditWord, ContainerWord, Fact, Limits, Party, PodWord, Testimony, UnitWord,
};
use highwater_diagnose::inquest::{Heard, OomKill};

use super::{Kind, Masks, lines, places};

/// Programs that end others at somebody's command: by their names a sender is judged, and nobody
/// chose those.
const TOOLS: [&str; 10] = [
    "kill",
    "systemctl",
    "docker",
    "dockerd",
    "containerd",
    "containerd-shim",
    "runc",
    "podman",
    "kubelet",
    "nohang",
];

/// A process's name.
fn process(masks: &mut Masks, comm: &str) -> String {
    if TOOLS.contains(&comm) { comm.to_owned() } else { masks.process(comm) }
}

/// The same, said of nobody.
pub(super) fn heard(masks: &mut Masks, heard: &Heard) -> Heard {
    let Testimony { witness, about, fact, evidence } = &heard.testimony;
    let testimony = Testimony {
        witness: *witness,
        about: party(masks, about),
        fact: word(masks, fact),
        evidence: quoted(masks, evidence),
    };
    Heard { testimony, ..heard.clone() }
}

/// The kill of a report, of nobody.
pub(super) fn kill(masks: &mut Masks, kill: &OomKill) -> OomKill {
    OomKill {
        comm: kill.comm.as_ref().map(|comm| process(masks, comm)),
        cgroup: kill.cgroup.as_ref().map(|path| cgroup(masks, path)),
        limited_by: kill.limited_by.as_ref().map(|path| cgroup(masks, path)),
        evidence: quoted(masks, &kill.evidence),
        ..kill.clone()
    }
}

fn quoted(
    masks: &mut Masks,
    evidence: &highwater_core::evidence::Evidence,
) -> highwater_core::evidence::Evidence {
    highwater_core::evidence::Evidence {
        source: source(masks, &evidence.source),
        line: evidence.line,
        text: lines::masked(masks, &evidence.text, None),
    }
}

/// `systemd D-Bus web.service`, `memory.events of /x`, the name of a log.
fn source(masks: &mut Masks, name: &str) -> String {
    const HEADS: [&str; 5] =
        ["systemd D-Bus", "memory.events of", "memory.oom_control of", "tracefs", "proc connector"];
    match HEADS.iter().find(|head| name.starts_with(**head)) {
        Some(head) => {
            let rest = name.get(head.len()..).unwrap_or_default().trim();
            if rest.is_empty() || head.starts_with("tracefs") {
                return name.to_owned();
            }
            format!("{head} {}", places::masked(masks, rest, Kind::Cgroup))
        }
        None => masks.source(name),
    }
}

fn party(masks: &mut Masks, party: &Party) -> Party {
    let mut parents = party.parents.clone();
    for parent in &mut parents {
        parent.comm = process(masks, &parent.comm);
    }
    Party {
        comm: party.comm.as_ref().map(|comm| process(masks, comm)),
        // A command line is masked as one name: any of its words may be known.
        command: party.command.as_ref().map(|command| masks.of(Kind::Process, command)),
        parents,
        cgroup: party.cgroup.as_ref().map(|path| cgroup(masks, path)),
        owner: party.owner.as_ref().map(|one| owner(masks, one)),
        container_id: party.container_id.as_ref().map(|id| masks.of(Kind::Container, id)),
        ..party.clone()
    }
}

fn cgroup(masks: &mut Masks, path: &CgroupPath) -> CgroupPath {
    CgroupPath::new(places::masked(masks, path.as_str(), Kind::Cgroup).as_bytes())
}

fn owner(masks: &mut Masks, owner: &Owner) -> Owner {
    let mut unit = |name: &String| places::masked(masks, name, Kind::Unit);
    match owner {
        Owner::Machine => Owner::Machine,
        Owner::Unit(name) => Owner::Unit(unit(name)),
        Owner::Session(name) => Owner::Session(unit(name)),
        Owner::UserUnit { unit: name, uid } => Owner::UserUnit { unit: unit(name), uid: *uid },
        Owner::Container(id) if is_container_id(id) => {
            Owner::Container(masks.of(Kind::Container, id))
        }
        Owner::Container(name) => Owner::Container(masks.of(Kind::Word, name)),
        Owner::Pod { namespace, pod, container } => Owner::Pod {
            namespace: masks.of(Kind::Word, namespace),
            pod: masks.of(Kind::Word, pod),
            container: masks.of(Kind::Word, container),
        },
        Owner::Cgroup(path) => Owner::Cgroup(places::masked(masks, path, Kind::Cgroup)),
    }
}

/// What is said has few names in it.
fn word(masks: &mut Masks, fact: &Fact) -> Fact {
    let mut fact = fact.clone();
    match &mut fact {
        Fact::Signalled(sent) => *sent.by = party(masks, &sent.by),
        Fact::Faulted(fault) => {
            fault.object = fault.object.as_ref().map(|file| masks.of(Kind::File, file));
        }
        Fact::Unit(said) => unit_word(masks, said),
        Fact::Container(ContainerWord::Started { limits: held, .. }) => limits(masks, held),
        Fact::Pod(PodWord::Killing { message } | PodWord::Evicted { message }) => {
            *message = lines::masked(masks, message, None);
        }
        Fact::Audit(AuditWord::Kill { by, .. }) => **by = party(masks, by),
        _ => {}
    }
    fact
}

fn unit_word(masks: &mut Masks, said: &mut UnitWord) {
    match said {
        UnitWord::Started { limits: held, .. } => limits(masks, held),
        UnitWord::Kills { comm, .. } => *comm = comm.as_ref().map(|comm| process(masks, comm)),
        _ => {}
    }
}

/// Log drivers may be plugins with names of their own.
fn limits(masks: &mut Masks, held: &mut Limits) {
    held.log_driver = held.log_driver.as_ref().map(|name| masks.of(Kind::Word, name));
}

#[cfg(test)]
mod tests {
    use highwater_core::evidence::Evidence;
    use highwater_core::id::Pid;
    use highwater_core::testimony::{Ancestor, Origin, Reception, Sent, Signal, Witness};

    use super::*;

    #[test]
    fn no_name_is_left_in_a_testimony() {
        let by = Party {
            comm: Some("secretd".to_owned()),
            command: Some("secretd --for acme".to_owned()),
            parents: vec![Ancestor { pid: Pid::new(3), comm: "acmesh".to_owned() }],
            ..Party::of_pid(Pid::new(4))
        };
        let sent = Sent {
            signal: Signal::KILL,
            origin: Origin::User,
            to_process: true,
            reception: Reception::Delivered,
            by: Box::new(by),
        };
        let about = Party {
            comm: Some("shopdb".to_owned()),
            cgroup: Some(CgroupPath::new(b"/system.slice/shopdb.service")),
            ..Party::of_owner(Owner::Unit("shopdb.service".to_owned()))
        };
        let evidence = Evidence {
            source: "systemd D-Bus shopdb.service".to_owned(),
            line: None,
            text: "shopdb.service: secretd of acme sent SIGKILL".to_owned(),
        };
        let testimony =
            Testimony { witness: Witness::Signals, about, fact: Fact::Signalled(sent), evidence };
        let whole = Heard { wall: None, boot: None, boot_id: None, testimony };
        let mut masks = Masks::default();
        let said = format!("{:?}", heard(&mut masks, &whole));
        for secret in ["secret", "acme", "shopdb"] {
            assert!(!said.contains(secret), "{secret}: {said}");
        }
        assert!(
            said.contains("SIGKILL") && said.contains("/system.slice/unit-1.service"),
            "{said}"
        );
        assert!(said.contains("Unit(\"unit-1.service\")"), "{said}");
    }
}
