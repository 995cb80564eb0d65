//! Names of containers out of the files that their runtimes leave on the disk, for where no socket
//! can be asked.
//!
//! ```text
//! /run/containerd/io.containerd.runtime.v2.task/NS/ID/config.json     containerd: kubelet, nerdctl
//! /var/lib/containers/storage/overlay-containers/ID/userdata/config.json, also below /run    CRI-O
//! /var/lib/containers/storage/overlay-containers/containers.json      Podman
//! /var/lib/docker/containers/ID/config.v2.json                        Docker
//! ```
//!
//! Annotations: containerd `pkg/cri/annotations`, CRI-O `pkg/annotations`, the kubelet's labels
//! (`io.kubernetes.container.name`). Only files that root alone writes are read: what a user keeps
//! in their home could name somebody else's container.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use highwater_core::owner::is_container_id;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::directory::Directory;

/// The most that is read of one file: a configuration with all its mounts and variables has some
/// tens of KiB, the list of a crowded Podman some hundreds.
const FILE_BYTES: u64 = 2 << 20;

/// How many namespaces of containerd are looked through: there are `k8s.io`, `moby`, `default`.
const NAMESPACES: usize = 32;

/// What the first container of a pod, which only holds its namespaces, is called.
const SANDBOX: &str = "POD";

/// What a container is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// By its own name.
    Container(String),
    /// By its pod's.
    Pod {
        /// The pod's namespace.
        namespace: String,
        /// The pod.
        pod: String,
        /// The container in it.
        container: String,
    },
}

/// Whether Docker's own files are read, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DockerFiles {
    /// They are: its socket does not answer.
    Read,
    /// They are not: its socket tells.
    Leave,
}

/// Looks for the names of those containers that `directory` has none for; gives how many were
/// found. `root` is where the machine's files are: `/`.
pub fn learn(root: &Path, docker: DockerFiles, directory: &Directory) -> usize {
    let mut found = 0;
    for id in directory.nameless() {
        match name_of(root, docker, &id) {
            Some(Name::Container(name)) => directory.learn_container(&id, &name),
            Some(Name::Pod { namespace, pod, container }) => {
                directory.learn_pod(&id, &namespace, &pod, &container);
            }
            None => continue,
        }
        found += 1;
    }
    found
}

/// What the container with this id is called.
pub fn name_of(root: &Path, docker: DockerFiles, id: &str) -> Option<Name> {
    if !is_container_id(id) {
        return None;
    }
    let storages =
        ["var/lib/containers/storage", "run/containers/storage"].map(|dir| root.join(dir));
    let stored = storages.iter().map(|dir| dir.join(format!("overlay-containers/{id}/userdata")));
    let bundles = containerd(root, id).into_iter().chain(stored);
    let from_bundle = bundles.map(|dir| dir.join("config.json")).find_map(|path| {
        let bundle: Bundle = read(&path)?;
        bundle.name()
    });
    from_bundle
        .or_else(|| storages.iter().find_map(|dir| podman(dir, id)))
        .or_else(|| (docker == DockerFiles::Read).then(|| self::docker(root, id)).flatten())
}

fn containerd(root: &Path, id: &str) -> Vec<PathBuf> {
    let tasks = root.join("run/containerd/io.containerd.runtime.v2.task");
    let namespaces = std::fs::read_dir(tasks).into_iter().flatten().flatten();
    namespaces.take(NAMESPACES).map(|entry| entry.path().join(id)).collect()
}

/// The part of an OCI configuration that names its container.
#[derive(Deserialize)]
struct Bundle {
    #[serde(default)]
    annotations: BTreeMap<String, Value>,
}

impl Bundle {
    fn name(&self) -> Option<Name> {
        let containerd = || {
            self.pod([
                "io.kubernetes.cri.sandbox-namespace",
                "io.kubernetes.cri.sandbox-name",
                "io.kubernetes.cri.container-name",
                "io.kubernetes.cri.container-type",
            ])
        };
        let crio = || {
            self.pod([
                "io.kubernetes.pod.namespace",
                "io.kubernetes.pod.name",
                "io.kubernetes.container.name",
                "io.kubernetes.cri-o.ContainerType",
            ])
        };
        let nerdctl = || Some(Name::Container(self.get("nerdctl/name")?.to_owned()));
        containerd().or_else(crio).or_else(nerdctl)
    }

    /// By the annotations of these names; the last tells a sandbox, which has no name of its own.
    fn pod(&self, [namespace, pod, container, kind]: [&str; 4]) -> Option<Name> {
        let container = match self.get(kind) {
            Some("sandbox") => SANDBOX,
            _ => self.get(container)?,
        };
        Some(Name::Pod {
            namespace: self.get(namespace)?.to_owned(),
            pod: self.get(pod)?.to_owned(),
            container: container.to_owned(),
        })
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.annotations.get(name)?.as_str().filter(|value| !value.is_empty())
    }
}

/// One container in the lists of Podman's storage.
#[derive(Deserialize)]
struct Stored {
    id: String,
    #[serde(default)]
    names: Vec<String>,
}

fn podman(storage: &Path, id: &str) -> Option<Name> {
    // The second is of those that are removed when they end.
    ["containers.json", "volatile-containers.json"].iter().find_map(|list| {
        let stored: Vec<Stored> = read(&storage.join("overlay-containers").join(list))?;
        let found = stored.into_iter().find(|one| one.id == id)?;
        found.names.into_iter().next().map(Name::Container)
    })
}

/// Docker's own configuration of a container.
#[derive(Deserialize)]
struct DockerConfig {
    #[serde(rename = "Name")]
    name: String,
}

fn docker(root: &Path, id: &str) -> Option<Name> {
    let config: DockerConfig =
        read(&root.join(format!("var/lib/docker/containers/{id}/config.v2.json")))?;
    Some(Name::Container(config.name.trim_start_matches('/').to_owned()))
}

/// What stands in a file; nothing of one that is not there, too long, or something else.
fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    // A pipe in its place would keep the reader waiting.
    if !std::fs::symlink_metadata(path).ok()?.is_file() {
        return None;
    }
    let mut text = Vec::new();
    File::open(path).ok()?.take(FILE_BYTES + 1).read_to_end(&mut text).ok()?;
    let is_whole = u64::try_from(text.len()).is_ok_and(|bytes| bytes <= FILE_BYTES);
    is_whole.then(|| serde_json::from_slice(&text).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const ID: &str = "34186d9bd07706222bd427bb647ceed81e8e108eb653ff73c7137099fca1cab6";

    fn machine(path: &str, text: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), path, text);
        dir
    }

    fn put(root: &Path, path: &str, text: &str) {
        let path = root.join(path.replace("ID", ID));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text.replace("ID", ID)).unwrap();
    }

    fn found(root: &Path) -> Option<Name> {
        name_of(root, DockerFiles::Read, ID)
    }

    fn pod(container: &str) -> Name {
        Name::Pod {
            namespace: "shop".to_owned(),
            pod: "web-0".to_owned(),
            container: container.to_owned(),
        }
    }

    #[test]
    fn the_annotations_of_a_bundle_name_a_pod() {
        let containerd = "run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json";
        let of = |more: &str| {
            let text = format!(
                r#"{{"ociVersion":"1.1.0","process":{{"args":["x"]}},"annotations":{{{more},
                "io.kubernetes.cri.sandbox-name":"web-0","io.kubernetes.cri.sandbox-namespace":"shop"}}}}"#
            );
            found(machine(containerd, &text).path())
        };
        assert_eq!(of(r#""io.kubernetes.cri.container-name":"nginx""#), Some(pod("nginx")));
        assert_eq!(of(r#""io.kubernetes.cri.container-type":"sandbox""#), Some(pod("POD")));
        assert_eq!(of(r#""io.kubernetes.cri.container-name":7"#), None);
        let crio = r#"{"annotations":{"io.kubernetes.container.name":"nginx",
            "io.kubernetes.pod.name":"web-0","io.kubernetes.pod.namespace":"shop",
            "io.kubernetes.cri-o.ContainerType":"container"}}"#;
        for place in ["var/lib", "run"] {
            let path =
                format!("{place}/containers/storage/overlay-containers/ID/userdata/config.json");
            assert_eq!(found(machine(&path, crio).path()), Some(pod("nginx")), "{path}");
        }
    }

    #[test]
    fn names_of_single_containers() {
        let name = |name: &str| Some(Name::Container(name.to_owned()));
        let nerdctl = "run/containerd/io.containerd.runtime.v2.task/default/ID/config.json";
        let text = r#"{"annotations":{"nerdctl/name":"cache","nerdctl/namespace":"default"}}"#;
        assert_eq!(found(machine(nerdctl, text).path()), name("cache"));
        let podman = r#"[{"id":"other","names":["x"]},{"id":"ID","names":["db","y"],"layer":"l"}]"#;
        for list in ["containers.json", "volatile-containers.json"] {
            let path = format!("var/lib/containers/storage/overlay-containers/{list}");
            assert_eq!(found(machine(&path, podman).path()), name("db"));
        }
        let docker = machine("var/lib/docker/containers/ID/config.v2.json", r#"{"Name":"/web"}"#);
        assert_eq!(found(docker.path()), name("web"));
        assert_eq!(name_of(docker.path(), DockerFiles::Leave, ID), None, "its socket tells");
    }

    #[test]
    fn missing_and_garbage_are_no_name() {
        let place = "run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json";
        assert_eq!(found(Path::new("/nonexistent")), None);
        for text in
            ["", "{", "[]", "null", r#"{"annotations":3}"#, r#"{"annotations":{}}"#, "\u{0}"]
        {
            assert_eq!(found(machine(place, text).path()), None, "{text}");
        }
        let deep = format!(r#"{{"x":{}1"#, "[".repeat(100_000));
        assert_eq!(found(machine(place, &deep).path()), None);
        let long =
            format!(r#"{{"annotations":{{"nerdctl/name":"a"}},"x":"{}"}}"#, "x".repeat(3 << 20));
        assert_eq!(found(machine(place, &long).path()), None);
        let root = machine("etc/config.json", r#"{"annotations":{"nerdctl/name":"a"}}"#);
        assert_eq!(name_of(root.path(), DockerFiles::Read, "../../../../etc"), None);
    }

    #[test]
    fn the_directory_learns_what_it_was_asked_for() {
        let root = machine("var/lib/docker/containers/ID/config.v2.json", r#"{"Name":"/web"}"#);
        let directory = Directory::new();
        assert_eq!(learn(root.path(), DockerFiles::Read, &directory), 0, "nobody asked");
        directory.owner_of_container(ID);
        assert_eq!(learn(root.path(), DockerFiles::Read, &directory), 1);
        assert_eq!(directory.owner_of_container(ID).id(), "web");
    }
}
