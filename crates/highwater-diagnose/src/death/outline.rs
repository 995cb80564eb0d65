//! What a table of deaths and a search among them need: cheap enough for hundreds of thousands.

use highwater_core::limit::Limit;
use highwater_core::time::{BootTime, WallTime};
use highwater_oom::Cause;
use highwater_oom::report::Kill;

use super::scene::Scene;
use super::{Case, NoHistory};

/// Who died when, where, and for want of what, without any series looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Outline<'a> {
    /// When, where the log or the record says so.
    pub time: Option<WallTime>,
    /// When, after boot.
    pub boot: Option<BootTime>,
    /// Who killed, and for want of what.
    pub cause: Cause,
    /// The victim; `None` where nothing was killed.
    pub victim: Option<&'a Kill>,
    /// The memory cgroup whose limit was reached, from the report or from the record.
    pub limit_owner: Option<String>,
    /// That limit, from the report or from the record.
    pub limit: Option<Limit>,
    /// The memory cgroup of the victim, from the report or from the record.
    pub task_cgroup: Option<String>,
}

impl<'a> Outline<'a> {
    /// The outline of `case`.
    pub fn of(case: &Case<'a>) -> Self {
        let scene = Scene::outline(case, &NoHistory);
        Self {
            time: scene.time,
            boot: scene.boot,
            cause: scene.verdict.0,
            victim: scene.kill,
            limit_owner: scene.limit_owner.map(|told| told.value),
            limit: scene.limit.map(|told| told.value),
            task_cgroup: scene.task_cgroup.map(|told| told.value),
        }
    }
}
