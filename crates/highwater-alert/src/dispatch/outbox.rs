//! What waits to be sent to one receiver, and what becomes of it.
//!
//! A notice stays until it has arrived or been refused. Of one group only the newest state waits, so
//! after an outage there is one notice a group and no flood. A receiver that fails is left alone for
//! longer and longer; nothing else waits for it, since every receiver has an outbox of its own.

use std::collections::VecDeque;
use std::time::Duration;

use highwater_core::time::WallTime;
use serde::{Deserialize, Serialize};

use super::notice::Notice;
use super::{Delivery, LONGEST_ASKED, is_ahead, pause};

/// As many notices wait: each is a group, and a machine has a few.
const MOST_WAITING: usize = 1_000;
/// A weekend. What is older has been overtaken by what happened since.
const LONGEST_AGE: Duration = Duration::from_hours(72);

/// The notices that wait for one receiver.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outbox {
    waiting: VecDeque<Notice>,
    /// Failures in a row.
    failures: u32,
    /// Nothing is sent before.
    not_before: WallTime,
    /// Which notice is on its way: nobody knows any more after a restart.
    #[serde(skip)]
    out: Option<String>,
}

/// A notice that will not be sent, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenUp {
    /// Its group.
    pub group: String,
    /// Why.
    pub why: &'static str,
}

impl Outbox {
    /// Puts `notice` in, joined with what waits of the same group. Says what had to go for it.
    pub fn put(&mut self, notice: Notice) -> Option<GivenUp> {
        let out = self.out.as_ref();
        let same = |older: &&mut Notice| older.group == notice.group && Some(&older.id) != out;
        if let Some(older) = self.waiting.iter_mut().find(same) {
            *older = older.clone().merged(notice);
            return None;
        }
        self.waiting.push_back(notice);
        if self.waiting.len() <= MOST_WAITING {
            return None;
        }
        let oldest = self.waiting.pop_front()?;
        Some(GivenUp { group: oldest.group_key(), why: "too many notices wait" })
    }

    /// The notice that is to be sent now. Until [`Outbox::settle`] there is no other.
    pub fn next(&mut self, now: WallTime) -> Option<&Notice> {
        if self.out.is_some() || is_ahead(self.not_before, LONGEST_ASKED, now) {
            return None;
        }
        let notice = self.waiting.front()?;
        self.out = Some(notice.id.clone());
        Some(notice)
    }

    /// How the notice that was on its way fared. After one that arrived there is a pause of `pace`:
    /// receivers refuse who calls too often.
    pub fn settle(&mut self, went: Delivery, pace: Duration, now: WallTime) {
        let Some(id) = self.out.take() else { return };
        let Some(at) = self.waiting.iter().position(|notice| notice.id == id) else { return };
        let Some(notice) = self.waiting.remove(at) else { return };
        match went {
            Delivery::Arrived | Delivery::Refused => {
                self.failures = 0;
                self.not_before = now.after(pace);
            }
            Delivery::Later(asked) => {
                self.failures = self.failures.saturating_add(1);
                self.not_before = now.after(pause(self.failures, asked, &notice.receiver));
                self.take_back(notice);
            }
        }
    }

    /// What did not arrive goes behind the others, so that one bad notice does not hold up the rest;
    /// or into what came of its group meanwhile.
    fn take_back(&mut self, notice: Notice) {
        match self.waiting.iter_mut().find(|newer| newer.group == notice.group) {
            None => self.waiting.push_back(notice),
            Some(newer) => *newer = notice.merged(newer.clone()),
        }
    }

    /// Takes out what has waited for too long.
    pub fn expire(&mut self, now: WallTime) -> Vec<GivenUp> {
        let out = self.out.as_ref();
        let mut given_up = Vec::new();
        self.waiting.retain(|notice| {
            let keep = Some(&notice.id) == out || now.since(notice.at) < LONGEST_AGE;
            if !keep {
                let group = notice.group_key();
                given_up.push(GivenUp { group, why: "it waited for three days" });
            }
            keep
        });
        given_up
    }

    /// How many notices wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
