//! What numbers are about: the machine, a zone, a cgroup, a process; and their labels.

use std::collections::BTreeMap;

use highwater_core::frame::{self, ProcSample, ZoneSample};
use highwater_core::id::CgroupPath;
use highwater_core::owner::Owner;
use highwater_core::series::Labels;
use serde::{Deserialize, Serialize};

/// Entities whose numbers stand in one blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// The machine as a whole.
    Machine,
    /// Memory zones.
    Zone,
    /// Memory cgroups.
    Cgroup,
    /// Processes.
    Process,
    /// Owners: the sums of their processes.
    Owner,
    /// Whatever else is surveyed.
    Thing,
}

impl Group {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Machine, Self::Zone, Self::Cgroup, Self::Process, Self::Owner, Self::Thing];

    /// Its name in the tables, which is also its column of `tick`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Machine => "machine",
            Self::Zone => "zone",
            Self::Cgroup => "cgroup",
            Self::Process => "process",
            Self::Owner => "owner",
            Self::Thing => "thing",
        }
    }

    /// The group of that name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|group| group.name() == name)
    }

    /// The kind of readings that tell of this group regularly.
    pub const fn scope(self) -> Scope {
        match self {
            Self::Thing => Scope::Survey,
            _ => Scope::Whole,
        }
    }
}

/// Which kind of reading samples stem from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Of everything.
    Whole,
    /// Of what was near a limit.
    CloseUp,
    /// Of what is read rarely.
    Survey,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Whole, Self::CloseUp, Self::Survey];

    /// As the tables hold it.
    pub const fn number(self) -> i64 {
        match self {
            Self::Whole => 0,
            Self::CloseUp => 1,
            Self::Survey => 2,
        }
    }

    /// The scope of that number.
    pub fn of_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.number() == number)
    }
}

impl From<frame::Scope> for Scope {
    fn from(scope: frame::Scope) -> Self {
        match scope {
            frame::Scope::Whole => Self::Whole,
            frame::Scope::CloseUp => Self::CloseUp,
        }
    }
}

/// What never changes about an entity. A process that renames itself or moves to another cgroup
/// becomes another entity, so that the labels of a series never change.
///
/// Only facts are stored. Labels that are read out of them (`unit`, `container`) are made when
/// somebody asks, by the newest reader there is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// A process's pid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// When it started, in clock ticks after boot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<u64>,
    /// Its name, escaped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comm: Option<String>,
    /// The path of the cgroup, or of a process's cgroup: cAdvisor's label `id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<CgroupPath>,
    /// A zone's NUMA node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<u16>,
    /// A zone's name, escaped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// The labels of whatever has no fields of its own here, escaped.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

impl Facts {
    /// Of a zone.
    pub fn of_zone(zone: &ZoneSample) -> Self {
        Self { node: Some(zone.node), zone: Some(zone.zone.to_string()), ..Self::default() }
    }

    /// Of a cgroup.
    pub fn of_cgroup(path: &CgroupPath) -> Self {
        Self { id: Some(path.clone()), ..Self::default() }
    }

    /// Of a process.
    pub fn of_process(process: &ProcSample) -> Self {
        Self {
            pid: Some(process.key.pid.get()),
            start: Some(process.key.start.get()),
            comm: Some(process.comm.to_string()),
            id: process.cgroup.clone(),
            ..Self::default()
        }
    }

    /// Of an owner; `None`: of processes whose cgroup is not known.
    pub fn of_owner(owner: Option<&Owner>) -> Self {
        let mut labels = BTreeMap::new();
        let mut set = |name: &str, value: String| labels.insert(name.to_owned(), value);
        set("kind", owner.map_or("unknown", Owner::kind).to_owned());
        if let Some(owner) = owner {
            set("id", owner.id().to_owned());
            if let Some(uid) = owner.uid() {
                set("uid", uid.to_string());
            }
            if let Owner::Pod { namespace, container, .. } = owner {
                set("namespace", namespace.clone());
                set("container", container.clone());
            }
        }
        Self { labels, ..Self::default() }
    }

    /// Of a thing. What is a cgroup's path is kept as one, for the names that are read out of it.
    pub fn of_thing(labels: &Labels) -> Self {
        let mut facts = Self::default();
        for (name, value) in labels.iter() {
            if name == "id" && value.starts_with('/') {
                facts.id = Some(CgroupPath::new(value.as_bytes()));
            } else {
                facts.labels.insert(name.to_owned(), value.to_owned());
            }
        }
        facts
    }

    /// The labels, without the metric's name: those facts that are known, and the `unit` or
    /// `container` that the cgroup's path names.
    pub fn labels(&self) -> Labels {
        let mut labels = Labels::default();
        let mut set = |name: &str, value: Option<String>| {
            labels.set(name, value.unwrap_or_default());
        };
        set("pid", self.pid.map(|pid| pid.to_string()));
        set("start", self.start.map(|start| start.to_string()));
        set("comm", self.comm.clone());
        set("node", self.node.map(|node| node.to_string()));
        set("zone", self.zone.clone());
        set("id", self.id.as_ref().map(ToString::to_string));
        for (name, value) in &self.labels {
            set(name, Some(value.clone()));
        }
        if let Some(path) = &self.id {
            let owner = Owner::of_path(path.as_str());
            set("unit", owner.unit().map(ToOwned::to_owned));
            set("container", owner.container().map(ToOwned::to_owned));
        }
        labels
    }

    /// As the table holds them. Equal facts give equal text.
    pub(crate) fn text(&self) -> String {
        // A struct of strings and numbers cannot fail to become JSON.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Back from the table; facts of a later version are left out, nonsense knows nothing.
    pub(crate) fn from_text(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use highwater_core::id::{Comm, Pid, ProcKey, StartTicks};

    #[test]
    fn a_cgroup_is_labelled_by_path_and_owner() {
        let facts = Facts::of_cgroup(&CgroupPath::new(b"/system.slice/nginx.service"));
        assert_eq!(
            facts.labels().to_string(),
            r#"{id="/system.slice/nginx.service",unit="nginx.service"}"#
        );
        assert_eq!(Facts::from_text(&facts.text()), facts);
    }

    #[test]
    fn a_process_is_labelled_with_what_identifies_it() {
        let process = ProcSample {
            key: ProcKey { pid: Pid::new(7), start: StartTicks::new(99) },
            comm: Comm::new(b"a\nb"),
            cgroup: None,
            parent: Pid::new(1),
            state: b'S',
            threads: 1,
            cpu_us: 0,
            major_faults: 0,
            virtual_size: highwater_core::units::Bytes::ZERO,
            resident: highwater_core::units::Bytes::ZERO,
            resident_shared: highwater_core::units::Bytes::ZERO,
            children: None,
            zombie_children: None,
            slow: highwater_core::frame::SlowReadings::default(),
        };
        let facts = Facts::of_process(&process);
        assert_eq!(facts.text(), r#"{"pid":7,"start":99,"comm":"a\\nb"}"#);
        assert_eq!(facts.labels().to_string(), r#"{comm="a\\nb",pid="7",start="99"}"#);
    }

    #[test]
    fn facts_of_a_later_version_do_not_hide_the_others() {
        let later = Facts::from_text(r#"{"pid":7,"namespace":"x"}"#);
        assert_eq!(later.pid, Some(7));
        assert_eq!(Facts::from_text("nonsense"), Facts::default());
    }
}
