//! What the witnesses of a death add to its document, and deaths that no report tells of.

use std::time::Duration;

use highwater_core::evidence::Claim;
use highwater_core::id::Pid;
use highwater_core::owner::Owner;
use highwater_core::testimony::{Party, Status, Witness};
use highwater_core::time::BootTime;
use highwater_oom::facts::{ChoiceFacts, MemcgFacts, TaskFacts, TriggerFacts, VictimFacts};
use serde::Serialize;

use super::death::RecordedDocument;
use super::time;
use crate::death::{Confidence, Recorded};
use crate::inquest::{LimitOwner, Stuck, Verdict};
use crate::{counsel, hang};

/// What the witnesses say of a death.
#[derive(Clone, Debug, Serialize)]
pub(super) struct InquestDocument {
    owner: Option<OwnerDocument>,
    command: Option<String>,
    cgroup: Option<String>,
    container_id: Option<String>,
    first: Option<bool>,
    status: Option<StatusDocument>,
    signal: Option<String>,
    sender: Option<SenderDocument>,
    asker: Option<SenderDocument>,
    child: Option<u32>,
    limit_of: Option<LimitOwner>,
    lived_seconds: Option<f64>,
    contradictions: Vec<Claim>,
    ruled_out: Vec<Claim>,
    missing: Vec<MissingDocument>,
    witnesses: Vec<Witness>,
}

/// Whose it is.
#[derive(Clone, Debug, Serialize)]
pub(super) struct OwnerDocument {
    kind: &'static str,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<String>,
}

/// What it ended with: a code or a signal.
#[derive(Clone, Debug, Serialize)]
pub(super) struct StatusDocument {
    code: Option<u8>,
    signal: Option<String>,
    core: Option<bool>,
}

#[derive(Clone, Debug, Serialize)]
struct SenderDocument {
    pid: Option<u32>,
    comm: Option<String>,
    command: Option<String>,
    parents: Vec<ParentDocument>,
    uid: Option<u32>,
    login_uid: Option<u32>,
    owner: Option<OwnerDocument>,
}

#[derive(Clone, Debug, Serialize)]
struct ParentDocument {
    pid: u32,
    comm: String,
}

#[derive(Clone, Debug, Serialize)]
struct MissingDocument {
    witness: Witness,
    why: String,
}

impl InquestDocument {
    pub(super) fn of(verdict: &Verdict) -> Self {
        let who = &verdict.who;
        let missing = verdict.missing.iter();
        Self {
            owner: who.owner.as_ref().map(OwnerDocument::of),
            command: who.command.clone(),
            cgroup: who.cgroup.as_ref().map(ToString::to_string),
            container_id: who.container_id.clone(),
            first: verdict.is_first,
            status: verdict.status.map(StatusDocument::of),
            signal: verdict.signal.map(|signal| signal.to_string()),
            sender: verdict.sender.as_ref().map(SenderDocument::of),
            asker: verdict.clues.asker.as_ref().map(SenderDocument::of),
            child: verdict.clues.child.as_ref().and_then(|child| child.pid).map(Pid::get),
            limit_of: verdict.limit_owner,
            lived_seconds: verdict.lived.as_ref().map(Duration::as_secs_f64),
            contradictions: verdict.contradictions.clone(),
            ruled_out: verdict.ruled_out.clone(),
            missing: missing
                .map(|(witness, why)| MissingDocument { witness: *witness, why: why.clone() })
                .collect(),
            witnesses: verdict.witnesses.clone(),
        }
    }
}

impl OwnerDocument {
    pub(super) fn of(owner: &Owner) -> Self {
        let (namespace, container) = match owner {
            Owner::Pod { namespace, container, .. } => {
                (Some(namespace.clone()), Some(container.clone()))
            }
            _ => (None, None),
        };
        Self {
            kind: owner.kind(),
            id: owner.id().to_owned(),
            uid: owner.uid(),
            namespace,
            container,
        }
    }
}

impl StatusDocument {
    pub(super) fn of(status: Status) -> Self {
        match status {
            Status::Code(code) => Self { code: Some(code), signal: None, core: None },
            Status::Signal { signal, core } => {
                Self { code: None, signal: Some(signal.to_string()), core: Some(core) }
            }
        }
    }
}

impl SenderDocument {
    fn of(sender: &Party) -> Self {
        let parents = sender.parents.iter();
        Self {
            pid: sender.pid.map(Pid::get),
            comm: sender.comm.clone(),
            command: sender.command.clone(),
            parents: parents
                .map(|parent| ParentDocument { pid: parent.pid.get(), comm: parent.comm.clone() })
                .collect(),
            uid: sender.uid,
            login_uid: sender.login_uid,
            owner: sender.owner.as_ref().map(OwnerDocument::of),
        }
    }
}

/// A death that no report of the kernel or of a program that kills for memory tells of: the keys of
/// any death, those that only a report fills empty.
#[derive(Clone, Debug, Serialize)]
pub struct TestifiedDocument {
    time: Option<String>,
    boot_seconds: Option<f64>,
    cause: &'static str,
    victim: VictimFacts,
    trigger: Option<TriggerFacts>,
    constraint: Option<&'static str>,
    memcg: Option<MemcgFacts>,
    also_killed: Vec<u32>,
    tasks: Vec<TaskFacts>,
    choice: Option<ChoiceFacts>,
    oddities: Vec<String>,
    confidence: Confidence,
    trust: &'static str,
    reasons: Vec<Claim>,
    zones: Vec<Claim>,
    makeup: Option<Claim>,
    recorded: RecordedDocument,
    summary: String,
    claims: Vec<Claim>,
    advice: Vec<String>,
    #[serde(flatten)]
    inquest: InquestDocument,
}

impl TestifiedDocument {
    /// The document of `verdict`, and of what was on record of its memory.
    pub fn new(verdict: &Verdict, recorded: Option<Recorded>) -> Self {
        let who = &verdict.who;
        let path = |path: &highwater_core::id::CgroupPath| path.to_string();
        let memcg = MemcgFacts {
            limit_owner: verdict.limited_by.as_ref().map(path),
            task: who.cgroup.as_ref().map(path),
            ..MemcgFacts::default()
        };
        Self {
            time: time(verdict.wall),
            boot_seconds: verdict.boot.map(BootTime::seconds),
            cause: verdict.cause.as_str(),
            victim: VictimFacts {
                pid: who.pid,
                comm: who.comm.clone(),
                uid: who.uid,
                ..VictimFacts::default()
            },
            trigger: None,
            constraint: None,
            memcg: (memcg != MemcgFacts::default()).then_some(memcg),
            also_killed: Vec::new(),
            tasks: Vec::new(),
            choice: None,
            oddities: Vec::new(),
            confidence: verdict.confidence,
            trust: "witnesses",
            reasons: Vec::new(),
            zones: Vec::new(),
            makeup: None,
            recorded: RecordedDocument::of(recorded),
            summary: verdict.summary.clone(),
            claims: verdict.claims.clone(),
            advice: counsel::advice(verdict).iter().map(ToString::to_string).collect(),
            inquest: InquestDocument::of(verdict),
        }
    }
}

/// A cgroup that is out of memory, and nothing may be killed.
#[derive(Clone, Debug, Serialize)]
pub struct StuckDocument {
    owner: Option<OwnerDocument>,
    cgroup: Option<String>,
    since: Option<String>,
    until: Option<String>,
    claim: Claim,
    advice: Vec<String>,
}

impl StuckDocument {
    /// The document of `stuck`.
    pub fn new(stuck: &Stuck) -> Self {
        Self {
            owner: stuck.who.owner.as_ref().map(OwnerDocument::of),
            cgroup: stuck.who.cgroup.as_ref().map(ToString::to_string),
            since: time(stuck.since),
            until: time(stuck.until),
            claim: stuck.claim.clone(),
            advice: hang::advice(stuck).iter().map(ToString::to_string).collect(),
        }
    }
}
