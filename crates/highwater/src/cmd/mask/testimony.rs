//! What witnesses said, without names.
//!
//! Every text of a testimony stands in a field of a known kind, so each is masked by its kind; what
//! was quoted is masked like a line of a log. The verdicts are made anew from what is left.

use highwater_core::event::Sight;
use highwater_core::evidence::Evidence;
use highwater_core::id::CgroupPath;
use highwater_core::owner::{Owner, is_container_id};
use highwater_core::testimony::{
    AuditWord, ContainerWord, Fact, Limits, Party, PodWord, Testimony, UnitWord,
};
use highwater_diagnose::inquest::{Heard, OomKill};

use super::{Kind, Masks, command, lines, places};

/// Gives the names in the places of their own their masks, before any text is masked.
pub(super) fn meet(masks: &mut Masks, said: &Testimony) {
    let by = match &said.fact {
        Fact::Signalled(sent) => Some(&sent.by),
        Fact::Audit(AuditWord::Kill { by, .. }) => Some(by),
        _ => None,
    };
    let parties = [Some(&said.about), by.map(AsRef::as_ref)];
    // Whose it is tells more than what runs there, and that more than where: so it is met first.
    for one in parties.into_iter().flatten() {
        let whose = one.owner.iter().filter(|owner| !matches!(owner, Owner::Cgroup(_)));
        whose.for_each(|one| drop(owner(masks, one)));
        one.container_id.iter().for_each(|id| drop(masks.of(Kind::Container, id)));
    }
    for one in parties.into_iter().flatten() {
        let parents = one.parents.iter().map(|parent| &parent.comm);
        one.comm.iter().chain(parents).for_each(|comm| drop(masks.process(comm)));
    }
}

/// The same, said of nobody.
pub(super) fn heard(masks: &mut Masks, heard: &Heard) -> Heard {
    let Testimony { witness, about, fact, evidence } = &heard.testimony;
    let mut evidence = quoted(masks, evidence);
    if *fact == Fact::Ran {
        evidence.text = command::masked(masks, &heard.testimony.evidence.text);
    }
    let about = party(masks, about);
    let testimony = Testimony { witness: *witness, about, fact: word(masks, fact), evidence };
    Heard { testimony, ..heard.clone() }
}

/// The kill of a report, of nobody.
pub(super) fn kill(masks: &mut Masks, kill: &OomKill) -> OomKill {
    OomKill {
        comm: kill.comm.as_ref().map(|comm| masks.process(comm)),
        cgroup: kill.cgroup.as_ref().map(|path| cgroup(masks, path)),
        limited_by: kill.limited_by.as_ref().map(|path| cgroup(masks, path)),
        evidence: quoted(masks, &kill.evidence),
        ..kill.clone()
    }
}

/// Who listens. Why somebody does not is said in our own words, but for the files that they name.
pub(super) fn sight(masks: &mut Masks, sight: &Sight) -> Sight {
    let mut sight = sight.clone();
    for presence in &mut sight.witnesses {
        presence.absent = presence.absent.as_ref().map(|why| without_files(masks, why));
    }
    sight
}

fn without_files(masks: &mut Masks, text: &str) -> String {
    /// Files and directories that are everywhere.
    const KNOWN: [&str; 7] = [
        "/proc",
        "/sys/",
        "/dev/",
        "/run/docker.sock",
        "/run/podman/",
        "/run/systemd/",
        "/var/log/",
    ];
    let words = text.split(' ').map(|word| {
        let name = word.trim_matches([':', ',', ';', '(', ')', '.']);
        let is_known = !name.starts_with('/') || KNOWN.iter().any(|known| name.starts_with(known));
        if is_known {
            return word.to_owned();
        }
        word.replace(name, &places::masked(masks, name, Kind::File))
    });
    words.collect::<Vec<_>>().join(" ")
}

fn quoted(masks: &mut Masks, evidence: &Evidence) -> Evidence {
    Evidence {
        source: source(masks, &evidence.source),
        line: evidence.line,
        text: lines::masked(masks, &evidence.text, None),
    }
}

/// `systemd D-Bus web.service`, `memory.events of /x`, the name of a log.
fn source(masks: &mut Masks, name: &str) -> String {
    /// What a witness calls itself, and behind it whom it speaks of; the first that fits counts.
    const HEADS: [&str; 13] = [
        "systemd D-Bus",
        "memory.events of",
        "memory.oom_control of",
        "tracefs signal:signal_generate",
        "tracefs oom:mark_victim",
        "proc connector",
        "docker.sock /containers/",
        "docker.sock /events",
        "podman.sock /containers/",
        "podman.sock /events",
        "kubelet /pods",
        "API server /api/v1/",
        "journal",
    ];
    let Some(head) = HEADS.iter().find(|head| name.starts_with(**head)) else {
        return masks.source(name);
    };
    let rest = name.get(head.len()..).unwrap_or_default();
    let shown: Vec<String> = rest.split(' ').map(|part| object(masks, part)).collect();
    format!("{head}{}", shown.join(" "))
}

/// Whom a witness speaks of: a unit, a cgroup, a container and what was asked of it.
fn object(masks: &mut Masks, part: &str) -> String {
    match part.strip_suffix("/json") {
        Some(id) => lines::name(masks, id) + "/json",
        None if matches!(part, "" | "pods" | "events" | "user") => part.to_owned(),
        None => places::masked(masks, part, Kind::Cgroup),
    }
}

fn party(masks: &mut Masks, party: &Party) -> Party {
    let mut parents = party.parents.clone();
    for parent in &mut parents {
        parent.comm = masks.process(&parent.comm);
    }
    Party {
        comm: party.comm.as_ref().map(|comm| masks.process(comm)),
        command: party.command.as_ref().map(|text| command::masked(masks, text)),
        parents,
        cgroup: party.cgroup.as_ref().map(|path| cgroup(masks, path)),
        owner: party.owner.as_ref().map(|one| owner(masks, one)),
        container_id: party.container_id.as_ref().map(|id| masks.of(Kind::Container, id)),
        ..party.clone()
    }
}

pub(super) fn cgroup(masks: &mut Masks, path: &CgroupPath) -> CgroupPath {
    CgroupPath::new(places::masked(masks, path.as_str(), Kind::Cgroup).as_bytes())
}

pub(super) fn owner(masks: &mut Masks, owner: &Owner) -> Owner {
    let mut unit = |name: &String| places::masked(masks, name, Kind::Unit);
    match owner {
        Owner::Machine => Owner::Machine,
        Owner::Unit(name) => Owner::Unit(unit(name)),
        Owner::Session(name) => Owner::Session(unit(name)),
        Owner::UserUnit { unit: name, uid } => Owner::UserUnit { unit: unit(name), uid: *uid },
        Owner::Container(id) if is_container_id(id) => {
            Owner::Container(masks.of(Kind::Container, id))
        }
        Owner::Container(name) => Owner::Container(masks.of(Kind::Named, name)),
        Owner::Pod { namespace, pod, container } => Owner::Pod {
            namespace: masks.of(Kind::Namespace, namespace),
            pod: masks.of(Kind::PodName, pod),
            container: masks.of(Kind::Named, container),
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
        UnitWord::Kills { comm, .. } => *comm = comm.as_ref().map(|comm| masks.process(comm)),
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
