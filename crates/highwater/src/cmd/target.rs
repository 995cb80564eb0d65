//! Whom a TARGET means.

use highwater_core::owner::Owner;
use highwater_diagnose::death::Diagnosis;

/// The kernel keeps so many bytes of a name; a longer one is meant by its head.
const COMM_BYTES: usize = 15;

/// So many digits of a container's id are unmistakable enough.
const LEAST_ID_DIGITS: usize = 6;

/// How well a death answers to a name. The better reading of a name wins as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Match {
    /// The name is part of one of its names.
    Part,
    /// The name is one of its names.
    Whole,
}

/// Whether `diagnosis` is about `target`.
pub(crate) fn matches(target: &str, diagnosis: &Diagnosis) -> Option<Match> {
    let victim = diagnosis.victim.as_ref();
    let pid = victim.and_then(|kill| kill.pid);
    if let Ok(number) = target.parse::<u32>() {
        return pid.filter(|pid| pid.get() == number).map(|_| Match::Whole);
    }
    let comm = victim.and_then(|kill| kill.comm.as_deref());
    let cut = target.get(..COMM_BYTES).unwrap_or(target);
    if comm == Some(target) || (target.len() > COMM_BYTES && comm == Some(cut)) {
        return Some(Match::Whole);
    }
    let places = [diagnosis.task_cgroup.as_deref(), diagnosis.limit_owner.as_deref()];
    let places = places.into_iter().flatten();
    if places.clone().any(|path| is_place(target, path)) {
        return Some(Match::Whole);
    }
    let has = |text: &str| text.contains(target);
    (comm.is_some_and(has) || places.into_iter().any(has)).then_some(Match::Part)
}

/// Whether `target` names the cgroup at `path`, or whose it is.
fn is_place(target: &str, path: &str) -> bool {
    if target.starts_with('/') {
        let target = target.trim_end_matches('/');
        let rest = path.strip_prefix(target);
        return rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    }
    let owner = Owner::of_path(path);
    let unit = owner
        .unit()
        .is_some_and(|unit| unit == target || unit.strip_suffix(".service") == Some(target));
    let container = owner.container().is_some_and(|id| {
        target.len() >= LEAST_ID_DIGITS && id.starts_with(&target.to_ascii_lowercase())
    });
    unit || container
}

/// The id of the container that Docker calls `name`, read from Docker's own files: works with
/// Docker down, and only for those who may read them.
pub(crate) fn container_called(name: &str) -> Option<String> {
    /// A machine has hundreds at most; beyond it something else lives there.
    const MOST: usize = 10_000;
    let entries = std::fs::read_dir("/var/lib/docker/containers").ok()?;
    entries.take(MOST).flatten().find_map(|entry| {
        let bytes = std::fs::read(entry.path().join("config.v2.json")).ok()?;
        let config: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
        let called = config.get("Name")?.as_str()?.trim_start_matches('/');
        (called == name).then(|| entry.file_name().to_string_lossy().into_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_answer_to_paths_units_and_ids() {
        let id = "34186d9bd07706222bd427bb647ceed81e8e108eb653ff73c7137099fca1cab6";
        let docker = format!("/docker/{id}");
        assert!(is_place("34186d9b", &docker));
        assert!(!is_place("3418", &docker), "too short to mean one container");
        assert!(is_place("/docker", &docker));
        assert!(!is_place("/dock", &docker));
        assert!(is_place("nginx", "/system.slice/nginx.service"));
        assert!(is_place("nginx.service", "/system.slice/nginx.service/worker"));
        assert!(!is_place("ngin", "/system.slice/nginx.service"));
    }
}
