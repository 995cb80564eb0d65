//! Whom a TARGET means.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use highwater_core::id::CgroupPath;
use highwater_core::owner::{Owner, is_container_id};
use highwater_core::testimony::Party;
use highwater_core::text::escape;
use highwater_diagnose::death::Outline;

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

/// Whether `death` is about `target`.
pub(crate) fn matches(target: &str, death: &Outline<'_>) -> Option<Match> {
    let victim = death.victim;
    let pid = victim.and_then(|kill| kill.pid);
    if let Ok(number) = target.parse::<u32>() {
        return pid.filter(|pid| pid.get() == number).map(|_| Match::Whole);
    }
    let comm = victim.and_then(|kill| kill.comm.as_deref());
    let cut = target.get(..COMM_BYTES).unwrap_or(target);
    if comm == Some(target) || (target.len() > COMM_BYTES && comm == Some(cut)) {
        return Some(Match::Whole);
    }
    let places = [death.task_cgroup.as_deref(), death.limit_owner.as_deref()];
    let places = places.into_iter().flatten();
    if places.clone().any(|path| is_place(target, path)) {
        return Some(Match::Whole);
    }
    let has = |text: &str| text.contains(target);
    (comm.is_some_and(has) || places.into_iter().any(|path| has_in_path(target, path)))
        .then_some(Match::Part)
}

/// Whether `who` answers to `target`.
pub(crate) fn names(target: &str, who: &Party) -> Option<Match> {
    if let Ok(number) = target.parse::<u32>() {
        return who.pid.filter(|pid| pid.get() == number).map(|_| Match::Whole);
    }
    let comm = who.comm.as_deref();
    let cut = target.get(..COMM_BYTES).unwrap_or(target);
    let is_comm = comm == Some(target) || (target.len() > COMM_BYTES && comm == Some(cut));
    let path = who.cgroup.as_ref().map(CgroupPath::as_str);
    let is_id = who.container_id.as_deref().is_some_and(|id| is_container(target, id));
    let is_owner = who.owner.as_ref().is_some_and(|owner| is_owner(target, owner));
    if is_comm || is_id || is_owner || path.is_some_and(|path| is_place(target, path)) {
        return Some(Match::Whole);
    }
    let has = |text: &str| text.contains(target);
    let owner = who.owner.as_ref().filter(|owner| !matches!(owner, Owner::Cgroup(_)));
    let is_like = [comm, owner.map(Owner::id)].into_iter().flatten().any(has)
        || path.is_some_and(|path| has_in_path(target, path));
    is_like.then_some(Match::Part)
}

/// Whether `target` is part of a cgroup's path. That of a container has nothing but its id and the
/// name of its runtime, which are nobody's names.
fn has_in_path(target: &str, path: &str) -> bool {
    !matches!(Owner::of_path(path), Owner::Container(_)) && path.contains(target)
}

/// What people call `owner`, without the word for what it is.
pub(crate) fn bare(owner: &Owner) -> String {
    /// As Docker prints ids.
    const ID_DIGITS: usize = 12;
    match owner {
        Owner::Container(name) if is_container_id(name) => {
            name.get(..ID_DIGITS).unwrap_or(name).to_owned()
        }
        Owner::Container(name) => name.clone(),
        Owner::Pod { namespace, pod, container } => format!("{namespace}/{pod}/{container}"),
        other => other.to_string(),
    }
}

/// Whether `target` is what people call `owner`.
pub(crate) fn is_owner(target: &str, owner: &Owner) -> bool {
    let unit = owner.unit();
    let is_unit =
        unit.is_some_and(|unit| unit == target || unit.strip_suffix(".service") == Some(target));
    let is_pod = match owner {
        Owner::Pod { namespace, pod, container } => {
            let whole = format!("{namespace}/{pod}");
            [pod, container, &whole, &format!("{whole}/{container}")]
                .iter()
                .any(|one| *one == target)
        }
        Owner::Container(name) => name == target || is_container(target, name),
        Owner::Cgroup(path) => is_place(target, path),
        _ => false,
    };
    is_unit || is_pod
}

/// Whether `target` is the beginning of a container's id.
pub(crate) fn is_container(target: &str, id: &str) -> bool {
    target.len() >= LEAST_ID_DIGITS
        && is_container_id(id)
        && id.starts_with(&target.to_ascii_lowercase())
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
    unit || container || (!target.is_empty() && path.rsplit('/').next() == Some(target))
}

/// The log that `name` is: an existing file or pipe, or standard input.
pub(crate) fn as_log(name: &str) -> Option<PathBuf> {
    use std::os::unix::fs::FileTypeExt as _;
    let path = PathBuf::from(name);
    let is_log = |file: std::fs::Metadata| file.is_file() || file.file_type().is_fifo();
    (name == "-" || path.metadata().is_ok_and(is_log)).then_some(path)
}

/// Where memory cgroups are seen as directories.
const CGROUP_DIR: &str = "/sys/fs/cgroup";

/// The cgroup whose directory `name` is: `/x` for `/sys/fs/cgroup/x`, in v1 for
/// `/sys/fs/cgroup/memory/x`. It need not be there any more.
pub(crate) fn cgroup_at(name: &str) -> Option<String> {
    let rest = name.strip_prefix(CGROUP_DIR)?;
    let rest = if Path::new(CGROUP_DIR).join("cgroup.controllers").exists() {
        rest
    } else {
        let hierarchies = ["/memory", "/unified"];
        let inside = hierarchies.iter().find_map(|at| rest.strip_prefix(at));
        inside.filter(|rest| rest.is_empty() || rest.starts_with('/')).unwrap_or(rest)
    };
    let rest = rest.trim_end_matches('/');
    match rest {
        "" => Some("/".to_owned()),
        _ => rest.starts_with('/').then(|| rest.to_owned()),
    }
}

/// An error if `name` looks like a file's and no log can be read there.
pub(crate) fn no_such_log(name: &str) -> anyhow::Result<()> {
    let shown = escape(name.as_bytes());
    let path = Path::new(name);
    let like_file = name.contains('/') || has_log_ending(name);
    let is_cgroup = cgroup_at(name).is_some()
        || ["", "/memory", "/unified"].iter().any(|at| {
            name.starts_with('/') && Path::new(&format!("{CGROUP_DIR}{at}{name}")).is_dir()
        });
    match path.metadata() {
        _ if is_cgroup => Ok(()),
        Ok(file) if file.is_dir() => {
            bail!(directory(path))
        }
        Ok(_) => bail!(
            "{shown} is a device or socket, not a log; without TARGET, the kernel's log is read"
        ),
        Err(_) if !like_file => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            bail!(
                "{shown}: no such file, and no death on record has to do with a cgroup of that name"
            )
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {shown}")),
    }
}

/// `kern.log`, `syslog.1`, `messages-20261120.gz`: as logs and their older parts are called.
fn has_log_ending(name: &str) -> bool {
    /// What logs and compressed files end in.
    const ENDINGS: [&str; 9] =
        [".log", ".txt", ".gz", ".xz", ".zst", ".bz2", ".lz4", ".json", ".journal"];
    let name = name.to_ascii_lowercase();
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let is_rotated = stem.len() < name.len()
        && [".log.", ".log-", "syslog.", "messages.", "messages-", "dmesg."]
            .iter()
            .any(|part| stem.ends_with(part));
    is_rotated || ENDINGS.iter().any(|end| name.ends_with(end))
}

/// That a directory is no log, and which of its files are.
pub(crate) fn directory(path: &Path) -> String {
    /// How the kernel's log is called, the surest first.
    const LOGS: [&str; 5] = ["kern.log*", "messages*", "syslog*", "dmesg*", "*.log*"];
    let has = |pattern: &&&str| {
        let pattern = path.join(pattern);
        let found = pattern.to_str().and_then(|pattern| glob::glob(pattern).ok());
        found.is_some_and(|mut files| files.any(|file| file.is_ok_and(|file| file.is_file())))
    };
    let shown = escape(path.as_os_str().as_encoded_bytes());
    let way = match LOGS.iter().find(has) {
        Some(pattern) => {
            format!("name its files: highwater why '{}/{pattern}'", shown.trim_end_matches('/'))
        }
        None => "name a file in it".to_owned(),
    };
    format!("{shown} is a directory, not a log, and no death on record is its; {way}")
}

/// `python3.11 (2), python3.9 (1)`, the most frequent first.
pub(crate) fn counted_names<'n>(names: impl Iterator<Item = &'n str>) -> Option<String> {
    /// So many names are told.
    const NAMES: usize = 5;
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for name in names {
        match counts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => counts.push((name, 1)),
        }
    }
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let told: Vec<String> =
        counts.iter().take(NAMES).map(|(name, count)| format!("{name} ({count})")).collect();
    let more = counts.len().saturating_sub(NAMES);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!told.is_empty()).then(|| told.join(", ") + &more)
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
    fn a_directory_below_the_mount_is_a_cgroup() {
        assert_eq!(cgroup_at("/sys/fs/cgroup/x/y/").as_deref(), Some("/x/y"));
        assert_eq!(cgroup_at("/sys/fs/cgroup").as_deref(), Some("/"));
        assert_eq!(cgroup_at("/sys/fs/cgroups/x"), None);
        assert_eq!(cgroup_at("x"), None);
    }

    #[test]
    fn what_looks_like_a_file_must_be_one() {
        for wrong in [
            "/etc",
            "/dev/null",
            "gone.log",
            "./gone",
            "gone.TXT",
            "kern.log.1",
            "messages-20261120",
        ] {
            let error = no_such_log(wrong).unwrap_err().to_string();
            assert!(error.contains(wrong), "{error}");
        }
        assert!(no_such_log("postgres").is_ok());
    }

    #[test]
    fn names_that_are_like_it_are_counted() {
        let others = ["python3.9", "python3.11", "python3.11"];
        let said = counted_names(others.into_iter());
        assert_eq!(said.as_deref(), Some("python3.11 (2), python3.9 (1)"));
        assert_eq!(counted_names(std::iter::empty()), None);
    }

    #[test]
    fn parties_answer_to_every_name_they_have() {
        let id = "34186d9bd07706222bd427bb647ceed81e8e108eb653ff73c7137099fca1cab6";
        let unit = Party {
            comm: Some("node".to_owned()),
            ..Party::of_owner(Owner::Unit("web.service".to_owned()))
        };
        for name in ["web", "web.service", "node"] {
            assert_eq!(names(name, &unit), Some(Match::Whole), "{name}");
        }
        assert_eq!(names("we", &unit), Some(Match::Part));
        assert_eq!(names("db", &unit), None);
        let container = Party {
            container_id: Some(id.to_owned()),
            ..Party::of_owner(Owner::Container("shop".to_owned()))
        };
        assert_eq!(names("34186d9b", &container), Some(Match::Whole));
        assert_eq!(names("shop", &container), Some(Match::Whole));
        let pod = Owner::Pod {
            namespace: "prod".to_owned(),
            pod: "api-7".to_owned(),
            container: "app".to_owned(),
        };
        for name in ["api-7", "prod/api-7", "app", "prod/api-7/app"] {
            assert!(is_owner(name, &pod), "{name}");
        }
    }

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
        assert!(is_place("batch", "/jobs/batch"), "a cgroup is called as its directory");
        assert!(!is_place("docker", &docker) && !has_in_path("docker", &docker));
        assert!(has_in_path("job", "/jobs/batch"));
    }
}
