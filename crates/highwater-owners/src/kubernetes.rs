//! Kubernetes: the kubelet of this node, or the API server.
//!
//! ```text
//! /pods of the kubelet ──────────────────────┐
//! /api/v1/pods of the API server, this node ─┴─ names of containers, how each ended last
//! /api/v1/events ───────────────────────────── what the kubelet killed, and why
//! ```
//!
//! The forms are those of the Kubernetes API, `PodList` and `EventList` of version v1. The kubelet
//! keeps of each container how it ended last, and no more: who polls seldom misses ends in between,
//! which `restartCount` shows.
//!
//! This was tried against servers that answer after the API's documentation, never on a cluster.

mod client;
mod config;
mod list;
mod pods;
mod telling;

use std::collections::HashSet;
use std::sync::Arc;

use crate::Directory;
use crate::told::{Absent, Told};
use client::Client;
use list::List;
use pods::{Incident, Pod};

pub use config::{KubeConfig, SERVICE_ACCOUNT, is_node};

/// Where the kubelet has its pods.
const PODS: &str = "/pods";

/// The events that tell of deaths. The API server takes one reason at a time.
const REASONS: [&str; 2] = ["Killing", "Evicted"];

/// The most events of one reason that are asked for: the server keeps those of one hour.
const MOST_EVENTS: u32 = 500;

/// Asks for the pods of this node, again and again.
#[derive(Debug)]
pub struct Kubelet {
    client: Client,
    node: Option<String>,
    directory: Arc<Directory>,
    /// The keys of what the last answer held: what is in the next one too was told.
    told: HashSet<String>,
    lacks: Option<String>,
}

impl Kubelet {
    /// One that asks as `config` says, and tells `directory` the names of containers.
    pub fn new(config: &KubeConfig, directory: Arc<Directory>) -> Result<Self, Absent> {
        Ok(Self {
            client: Client::new(config)?,
            node: config.node.clone(),
            directory,
            told: HashSet::new(),
            lacks: None,
        })
    }

    /// Asks once. What was told before is not told again. Takes 15 s at most; every 10 s is often
    /// enough, as the kubelet looks at its containers that often.
    pub fn poll(&mut self) -> Result<Vec<Told>, Absent> {
        let (path, source) = match &self.node {
            Some(node) => (
                format!("/api/v1/pods?fieldSelector=spec.nodeName%3D{}", client::encoded(node)),
                "API server /api/v1/pods",
            ),
            None => (PODS.to_owned(), "kubelet /pods"),
        };
        let body = self.client.get(&path)?;
        let pods: List<Pod> = List::parse(&body);
        if pods.items.is_empty() && !pods.is_whole {
            let url = self.client.url();
            return Err(Absent::because(format!(
                "{url}{PODS} answers, but not with a list of pods"
            )));
        }
        pods.items.iter().for_each(|pod| self.learn(pod));
        let mut all: Vec<Told> =
            pods.items.iter().flat_map(|pod| telling::of_pod(pod, source)).collect();
        let events = self.events(&pods.items);
        let is_whole = pods.is_whole && events.is_whole;
        all.extend(events.items.iter().filter_map(telling::of_incident));
        Ok(self.news(all, is_whole))
    }

    /// What would be told if more were allowed, and how: `None` if nothing is missing.
    pub fn lacks(&self) -> Option<&str> {
        self.lacks.as_deref()
    }

    fn learn(&self, pod: &Pod) {
        let Some((namespace, name)) = pod.name() else { return };
        for status in pod.statuses() {
            for id in status.container_ids() {
                self.directory.learn_pod(id, namespace, name, status.name());
            }
        }
    }

    /// What the kubelet wrote down of this node's pods; only the API server has it.
    fn events(&mut self, pods: &[Pod]) -> List<Incident> {
        let mut all = List { items: Vec::new(), is_whole: true };
        self.lacks = None;
        if self.node.is_none() {
            self.lacks = Some("events (why a pod was killed) need the API server".to_owned());
            return all;
        }
        let uids: HashSet<&str> = pods.iter().filter_map(Pod::uid).collect();
        for reason in REASONS {
            let path = format!(
                "/api/v1/events?fieldSelector=involvedObject.kind%3DPod%2Creason%3D{reason}\
                 &limit={MOST_EVENTS}"
            );
            match self.client.get(&path) {
                Ok(body) => {
                    let list: List<Incident> = List::parse(&body);
                    all.is_whole &= list.is_whole;
                    let here = |incident: &Incident| {
                        incident.node() == self.node.as_deref()
                            || incident.pod_uid().is_some_and(|uid| uids.contains(uid))
                    };
                    all.items.extend(list.items.into_iter().filter(here));
                }
                Err(absent) => {
                    all.is_whole = false;
                    self.lacks = Some(format!("events: {}", absent.why));
                    break;
                }
            }
        }
        all
    }

    /// What is new of all that is known. Of an answer that is not whole nothing is forgotten.
    fn news(&mut self, all: Vec<Told>, is_whole: bool) -> Vec<Told> {
        let keys: HashSet<String> = all.iter().map(|told| told.key.clone()).collect();
        let mut fresh = HashSet::new();
        let new = |told: &Told| !self.told.contains(&told.key) && fresh.insert(told.key.clone());
        let news = all.into_iter().filter(new).collect();
        if is_whole {
            self.told = keys;
        } else if self.told.len() < list::MOST {
            self.told.extend(keys);
        }
        news
    }
}
