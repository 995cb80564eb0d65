//! What the recorder adds to an alert: whose it is, the largest processes, what is known of the cause.

use std::time::Duration;

use highwater_alert::dispatch::{Context, TopProcess};
use highwater_core::event::Finding;
use highwater_core::frame::{Frame, ProcSample};
use highwater_core::id::CgroupPath;
use highwater_core::owner::Owner;
use highwater_core::series::Labels;
use highwater_core::time::WallTime;
use highwater_diagnose::finding::sentence;

use super::Plan;
use crate::board::Board;

/// So many processes are told with an alert.
const TOP: usize = 5;

/// The page shows so much before and after an alert began.
const AROUND: Duration = Duration::from_mins(30);

/// So many processes are looked through for those of an alert: of all the largest.
const MOST: usize = 1_024;

/// The machine as it is when alerts are told.
#[derive(Debug, Default)]
pub(super) struct Scene {
    external_url: String,
    external_labels: Labels,
    /// The largest first.
    processes: Vec<(TopProcess, Option<CgroupPath>)>,
    growing: Vec<Finding>,
}

impl Scene {
    /// As the board shows it.
    pub(super) fn of(board: &Board, plan: &Plan) -> Self {
        let mut scene = Self {
            external_url: plan.rules.external_url.clone(),
            external_labels: plan.rules.external_labels(),
            growing: board.growth().found(),
            ..Self::default()
        };
        board.look(&mut |frame| scene.processes = largest(frame));
        scene
    }

    /// Labels of all alerts that are told.
    pub(super) fn external_labels(&self) -> impl Iterator<Item = (&str, &str)> {
        self.external_labels.iter()
    }

    /// Where an expression can be looked at.
    pub(super) fn expression(&self, expr: &str) -> String {
        format!("{}/api/v1/query?query={}", self.external_url, escaped(expr))
    }

    /// What of the page tells more: what grows, or the hour around the beginning.
    fn page(&self, grows: bool, since: WallTime) -> String {
        let url = &self.external_url;
        if grows {
            return format!("{url}/#/growth");
        }
        let (from, to) = (since.before(AROUND), since.after(AROUND));
        let (from, to, at) = (from.millis(), to.millis(), since.millis());
        format!("{url}/#/time?from={from}&to={to}&at={at}")
    }

    /// What there is to say of an alert with these labels.
    pub(super) fn context(&self, labels: &Labels, since: WallTime) -> Context {
        let owner = owner_of(labels);
        let is_inside = |path: &CgroupPath| {
            is_below(path.as_str(), labels.get("id"))
                || owner.as_ref().is_some_and(|owner| Owner::of_path(path.as_str()) == *owner)
        };
        let inside = self.processes.iter().filter(|(_, path)| path.as_ref().is_some_and(is_inside));
        let mut processes: Vec<TopProcess> =
            inside.take(TOP).map(|(process, _)| process.clone()).collect();
        if processes.is_empty() {
            processes.extend(self.processes.iter().take(TOP).map(|(process, _)| process.clone()));
        }
        let id = owner.as_ref().map_or(labels.get("id"), Owner::id);
        let of_owner = self.growing.iter().find(|found| found.owner.id == id && !id.is_empty());
        let verdict = match (of_owner, id.is_empty()) {
            (Some(found), _) => Some(sentence(found)),
            // Of the machine's own: what grows most urgently may be why.
            (None, true) => self.growing.first().map(sentence),
            (None, false) => None,
        };
        let page = Some(self.page(of_owner.is_some(), since));
        Context { owner: owner.as_ref().map(named), verdict, page, processes }
    }
}

/// The owner that an alert's labels name.
fn owner_of(labels: &Labels) -> Option<Owner> {
    let id = labels.get("id");
    if id.is_empty() {
        return None;
    }
    Some(match labels.get("kind") {
        "unit" => Owner::Unit(id.to_owned()),
        "user-unit" => {
            let uid = labels.get("uid").parse().unwrap_or_default();
            Owner::UserUnit { unit: id.to_owned(), uid }
        }
        "session" => Owner::Session(id.to_owned()),
        "container" => Owner::Container(id.to_owned()),
        _ => Owner::of_path(id),
    })
}

/// `unit gateway.service`.
fn named(owner: &Owner) -> String {
    format!("{} {}", owner.kind(), owner.id())
}

/// Whether a cgroup is this one or inside it.
fn is_below(path: &str, of: &str) -> bool {
    of.starts_with('/')
        && of != "/"
        && path.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The largest processes of a frame.
fn largest(frame: &Frame) -> Vec<(TopProcess, Option<CgroupPath>)> {
    let mut by_size: Vec<&ProcSample> = frame.processes.iter().collect();
    by_size.sort_by_key(|process| std::cmp::Reverse(process.resident));
    let told = by_size.into_iter().take(MOST).map(|process| {
        let (name, pid) = (process.comm.to_string(), process.key.pid.get());
        (TopProcess { name, pid, bytes: process.resident.get() }, process.cgroup.clone())
    });
    told.collect()
}

/// A text as a parameter of a URL.
fn escaped(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(name: &str, pid: u32, bytes: u64, path: &str) -> (TopProcess, Option<CgroupPath>) {
        let path = CgroupPath::new(path.as_bytes());
        (TopProcess { name: name.to_owned(), pid, bytes }, Some(path))
    }

    fn scene() -> Scene {
        Scene {
            external_url: "http://h:1".to_owned(),
            processes: vec![
                process("db", 1, 900, "/system.slice/db.service"),
                process("node", 2, 500, "/system.slice/web.service/inner"),
                process("sh", 3, 5, "/system.slice/web.service"),
            ],
            ..Scene::default()
        }
    }

    #[test]
    fn an_alert_of_a_service_names_it_and_its_own_processes() {
        let scene = scene();
        for labels in [
            Labels::new([("id", "/system.slice/web.service"), ("unit", "web.service")]),
            Labels::new([("kind", "unit"), ("id", "web.service")]),
        ] {
            let context = scene.context(&labels, WallTime::default());
            assert_eq!(context.owner.as_deref(), Some("unit web.service"));
            let pids: Vec<u32> = context.processes.iter().map(|process| process.pid).collect();
            assert_eq!(pids, [2, 3]);
        }
    }

    #[test]
    fn an_alert_of_the_machine_names_the_largest_processes() {
        let context = scene()
            .context(&Labels::new([("severity", "critical")]), WallTime::from_millis(7_200_000));
        assert_eq!(context.owner, None);
        assert_eq!(context.processes.first().map(|process| process.pid), Some(1));
        let page = "http://h:1/#/time?from=5400000&to=9000000&at=7200000";
        assert_eq!(context.page.as_deref(), Some(page));
    }

    #[test]
    fn an_expression_has_an_address() {
        let url = scene().expression(r#"up{job="ä b"} > 1"#);
        assert_eq!(url, "http://h:1/api/v1/query?query=up%7Bjob%3D%22%C3%A4%20b%22%7D%20%3E%201");
    }
}
