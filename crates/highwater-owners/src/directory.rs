//! What containers are called.
//!
//! A cgroup's path has a container's id and nothing else; its name, or the pod it is of, comes from
//! whoever made it, now and then, from several threads. Everybody who wants to know whose a cgroup
//! is asks here, so that a container has one name in everything that is kept, over all its lives.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use highwater_core::owner::{Owner, container_id_of_path, is_container_id};

use crate::told::cut;

/// How many containers are remembered. A node has some hundreds alive; the dead ones are kept
/// because their deaths are still being told.
const CONTAINERS: usize = 4096;

/// How many are forgotten at once when there are more: those not asked for the longest.
const FORGOTTEN_AT_ONCE: usize = CONTAINERS / 8;

/// How many ids are remembered for which nobody has told a name.
const NAMELESS: usize = 256;

/// How often a name is looked for: a container's files may come a moment after its cgroup.
const TRIES: u8 = 5;

/// The longest name that is kept: that of a pod (a DNS subdomain).
const NAME_CHARS: usize = 253;

/// The names of containers, by their ids. Shared between threads; asking takes no memory but the
/// answer's.
#[derive(Debug, Default)]
pub struct Directory {
    names: RwLock<Names>,
    /// Rises when a name is learnt.
    generation: AtomicU64,
    /// Rises with every question: what stands for time here.
    asked: AtomicU64,
}

#[derive(Debug, Default)]
struct Names {
    known: HashMap<String, Known>,
    /// How often a name was looked for.
    nameless: BTreeMap<String, u8>,
}

#[derive(Debug)]
struct Known {
    owner: Owner,
    /// When it was last asked for, by [`Directory::asked`].
    asked: AtomicU64,
}

impl Directory {
    /// One that knows no names.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whose the cgroup at `path` is, by the best name there is: a container nobody has named has
    /// its id.
    pub fn owner_of(&self, path: &str) -> Owner {
        let Some(id) = container_id_of_path(path) else { return Owner::of_path(path) };
        self.owner_of_container(id)
    }

    /// Whose a process is, by what its `/proc/PID/cgroup` says: see [`Owner::of_process`].
    pub fn owner_of_process(&self, membership: &[u8]) -> Option<Owner> {
        Owner::of_process(membership, |path| self.owner_of(path))
    }

    /// The container with this id, by the best name there is.
    pub fn owner_of_container(&self, id: &str) -> Owner {
        let names = self.read();
        if let Some(known) = names.known.get(id) {
            known.asked.store(self.asked.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
            return known.owner.clone();
        }
        let is_new = !names.nameless.contains_key(id) && names.nameless.len() < NAMELESS;
        drop(names);
        if is_new && is_container_id(id) {
            self.write().nameless.entry(id.to_owned()).or_default();
        }
        Owner::Container(id.to_owned())
    }

    /// Rises when a name is learnt: what was answered before may have a better answer now.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The container `id` is called `name`.
    ///
    /// A slash in front, as Docker's API has it, is left out; a name that the kubelet gave,
    /// `k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT`, names a pod. What is known to be of a pod stays
    /// so.
    pub fn learn_container(&self, id: &str, name: &str) {
        let name = name.strip_prefix('/').unwrap_or(name);
        let owner = pod_of(name).unwrap_or_else(|| Owner::Container(shown(name)));
        let is_pod = matches!(owner, Owner::Pod { .. });
        let is_of_a_pod =
            matches!(self.read().known.get(id), Some(Known { owner: Owner::Pod { .. }, .. }));
        if !name.is_empty() && (is_pod || !is_of_a_pod) {
            self.learn(id, owner);
        }
    }

    /// The container `id` is `container` of the pod `pod` in `namespace`.
    pub fn learn_pod(&self, id: &str, namespace: &str, pod: &str, container: &str) {
        if [namespace, pod, container].iter().all(|name| !name.is_empty()) {
            let [namespace, pod, container] = [namespace, pod, container].map(shown);
            self.learn(id, Owner::Pod { namespace, pod, container });
        }
    }

    /// The ids that were asked for and have no name. Who asks for them looks for the names: an id
    /// is given out a few times, then no more.
    pub fn nameless(&self) -> Vec<String> {
        let mut names = self.write();
        let wanted = names.nameless.iter_mut().filter(|(_, tries)| **tries < TRIES);
        wanted
            .map(|(id, tries)| {
                *tries = tries.saturating_add(1);
                id.clone()
            })
            .collect()
    }

    fn learn(&self, id: &str, owner: Owner) {
        if !is_container_id(id) {
            return;
        }
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        let mut names = self.write();
        names.nameless.remove(id);
        if let Some(known) = names.known.get(id)
            && known.owner == owner
        {
            known.asked.store(asked, Ordering::Relaxed);
            return;
        }
        if names.known.len() >= CONTAINERS && !names.known.contains_key(id) {
            names.forget();
        }
        names.known.insert(id.to_owned(), Known { owner, asked: AtomicU64::new(asked) });
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// A thread that panicked here left whole entries behind.
    fn read(&self) -> RwLockReadGuard<'_, Names> {
        self.names.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Names> {
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        // Ids that stay nameless would keep new ones out.
        if names.nameless.len() >= NAMELESS {
            names.nameless.retain(|_, tries| *tries < TRIES);
        }
        names
    }
}

impl Names {
    /// Makes room: those that were not asked for the longest go.
    fn forget(&mut self) {
        let mut ages: Vec<u64> =
            self.known.values().map(|known| known.asked.load(Ordering::Relaxed)).collect();
        ages.sort_unstable();
        let Some(&last) = ages.get(FORGOTTEN_AT_ONCE) else { return };
        self.known.retain(|_, known| known.asked.load(Ordering::Relaxed) >= last);
    }
}

/// The pod in a name that the kubelet gives through Docker.
fn pod_of(name: &str) -> Option<Owner> {
    let mut parts = name.strip_prefix("k8s_")?.split('_');
    let (container, pod, namespace) = (parts.next()?, parts.next()?, parts.next()?);
    let (_uid, _attempt) = (parts.next()?, parts.next()?);
    let [namespace, pod, container] = [namespace, pod, container].map(shown);
    Some(Owner::Pod { namespace, pod, container })
}

fn shown(name: &str) -> String {
    cut(name.as_bytes(), NAME_CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> String {
        format!("{number:064x}")
    }

    #[test]
    fn a_container_is_called_by_its_name_once_that_is_known() {
        let directory = Directory::new();
        let path = format!("/system.slice/docker-{}.scope/init", id(1));
        assert_eq!(directory.owner_of(&path), Owner::Container(id(1)));
        assert_eq!(directory.nameless(), [id(1)]);
        let before = directory.generation();
        directory.learn_container(&id(1), "/web");
        assert_eq!(directory.owner_of(&path), Owner::Container("web".to_owned()));
        assert!(directory.generation() > before);
        let learnt = directory.generation();
        directory.learn_container(&id(1), "web");
        assert_eq!(directory.generation(), learnt, "nothing new");
        assert!(directory.nameless().is_empty());
        let unit = Owner::Unit("a.service".to_owned());
        assert_eq!(directory.owner_of("/system.slice/a.service"), unit);
    }

    #[test]
    fn a_pod_is_known_by_whoever_tells() {
        let directory = Directory::new();
        let pod = |container: &str| Owner::Pod {
            namespace: "default".to_owned(),
            pod: "web-0".to_owned(),
            container: container.to_owned(),
        };
        directory.learn_container(&id(1), "k8s_nginx_web-0_default_c4e3c1e2-5f0a_3");
        directory.learn_pod(&id(2), "default", "web-0", "side");
        directory.learn_container(&id(2), "anything");
        directory.learn_pod(&id(3), "default", "", "x");
        assert_eq!(directory.owner_of_container(&id(1)), pod("nginx"));
        assert_eq!(directory.owner_of_container(&id(2)), pod("side"), "the better name stays");
        assert_eq!(directory.owner_of_container(&id(3)), Owner::Container(id(3)));
        let membership = format!("4:memory:/kubepods/podX/{}\n0::/\n", id(2));
        assert_eq!(directory.owner_of_process(membership.as_bytes()), Some(pod("side")));
    }

    #[test]
    fn those_not_asked_for_the_longest_are_forgotten() {
        let directory = Directory::new();
        for number in 0..CONTAINERS {
            directory.learn_container(&id(number), "old");
        }
        directory.owner_of_container(&id(0));
        directory.learn_container(&id(CONTAINERS), "new");
        let name = |number| directory.owner_of_container(&id(number));
        assert_eq!(name(0), Owner::Container("old".to_owned()), "it was asked for");
        assert_eq!(name(1), Owner::Container(id(1)));
        assert_eq!(name(CONTAINERS), Owner::Container("new".to_owned()));
        assert!(directory.read().known.len() <= CONTAINERS);
    }

    #[test]
    fn nameless_ones_are_bounded_and_given_up() {
        let directory = Directory::new();
        for number in 0..2 * NAMELESS {
            directory.owner_of_container(&id(number));
        }
        assert_eq!(directory.nameless().len(), NAMELESS);
        for _ in 1..TRIES {
            directory.nameless();
        }
        assert!(directory.nameless().is_empty());
        directory.owner_of_container(&id(9_999));
        directory.owner_of_container(&id(9_999));
        assert_eq!(directory.nameless(), [id(9_999)], "there is room again");
    }

    #[test]
    fn hostile_names_are_harmless_and_ids_must_be_ids() {
        let directory = Directory::new();
        directory.learn_container(&id(1), "a\x1b[2J\nb");
        assert_eq!(directory.owner_of_container(&id(1)).id(), r"a\x1b[2J\nb");
        directory.learn_container("../../etc/passwd", "x");
        assert_eq!(directory.owner_of_container("../../etc/passwd").id(), "../../etc/passwd");
        assert!(directory.nameless().is_empty());
        directory.learn_container(&id(2), &"x".repeat(10_000));
        assert_eq!(directory.owner_of_container(&id(2)).id().chars().count(), NAME_CHARS + 1);
    }

    #[test]
    fn threads_share_it() {
        let directory = Directory::new();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let directory = &directory;
                scope.spawn(move || {
                    for number in 0..200 {
                        directory.learn_container(&id(number), &format!("c{thread}"));
                        directory.owner_of_container(&id(number + 100));
                    }
                });
            }
        });
        assert!(directory.owner_of_container(&id(7)).id().starts_with('c'));
    }
}
