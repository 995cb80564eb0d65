//! Which growths were told, and what is new about them.
//!
//! A verdict sways at its border, and a look is made every ten minutes: so a growth is told when two
//! looks in a row found it, and is over when six in a row did not.

use std::collections::BTreeMap;
use std::time::Duration;

use highwater_core::event::{Finding, Grown, Turn};
use highwater_core::growth::Verdict;
use highwater_core::time::WallTime;
use highwater_diagnose::finding::grows;

use super::look::{Key, Look, MOST, key};

/// So many looks in a row must have found it.
const SURE: u32 = 2;

/// The same where it was told and over within a day: it comes and goes.
const SURE_AGAIN: u32 = 6;

/// So many looks in a row must not have found it any more.
const CALM: u32 = 6;

/// What was over so long ago may begin anew like anything else.
const AGAIN: Duration = Duration::from_hours(24);

/// What goes on is told so often.
const DAILY: Duration = Duration::from_hours(24);

/// A rate that changed is told no more often.
const SELDOM: Duration = Duration::from_hours(1);

/// How far back what was told is read where nothing is known yet: as far as growth is judged.
const FAR: Duration = Duration::from_hours(30 * 24);

/// A rate that is so many times another, or that part of it, is another rate.
const OTHER_RATE: f64 = 1.5;

/// Who has less time left than this, in seconds, should act today, …
const TODAY: u64 = 24 * 3600;

/// … or now.
const NOW: u64 = 2 * 3600;

/// What was told.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    told: BTreeMap<Key, Told>,
    waiting: BTreeMap<Key, u32>,
    over: BTreeMap<Key, WallTime>,
    /// What the store has is known.
    was_read: bool,
}

#[derive(Debug)]
struct Told {
    finding: Finding,
    at: WallTime,
    /// So many looks in a row did not find it.
    calm: u32,
}

impl Ledger {
    /// From when on the store has to be asked for what was told.
    pub(super) fn since(&self, now: WallTime) -> WallTime {
        let oldest = self.told.values().map(|told| told.at).min();
        if self.was_read { oldest.unwrap_or(now) } else { now.before(FAR) }
    }

    /// How many are on.
    pub(super) fn on(&self) -> usize {
        self.told.len()
    }

    /// Takes what a look found at `now`; what is new.
    pub(super) fn take(&mut self, look: Look, now: WallTime) -> Vec<Grown> {
        if !self.was_read {
            self.was_read = true;
            for (at, finding) in look.told {
                self.told.insert(key(&finding), Told { finding, at, calm: 0 });
            }
        }
        self.over.retain(|_, ended| now.since(*ended) < AGAIN);
        let mut found: BTreeMap<Key, Finding> = BTreeMap::new();
        let mut news = Vec::new();
        let mut waiting = BTreeMap::new();
        for finding in look.found {
            let key = key(&finding);
            if !self.told.contains_key(&key) && is_worth_telling(&finding) {
                news.extend(self.begin(&key, &finding, &mut waiting, now));
            }
            found.insert(key, finding);
        }
        self.waiting = waiting;
        self.go_on(&mut found, now, &mut news);
        news
    }

    /// A growth that was not told: whether it is now.
    fn begin(
        &mut self,
        key: &Key,
        finding: &Finding,
        waiting: &mut BTreeMap<Key, u32>,
        now: WallTime,
    ) -> Option<Grown> {
        let seen = self.waiting.get(key).copied().unwrap_or_default().saturating_add(1);
        let needed = if self.over.contains_key(key) { SURE_AGAIN } else { SURE };
        if seen < needed || self.told.len() >= MOST {
            waiting.insert(key.clone(), seen);
            return None;
        }
        let told = Told { finding: finding.clone(), at: now, calm: 0 };
        self.told.insert(key.clone(), told);
        Some(Grown { turn: Turn::Begun, finding: finding.clone() })
    }

    /// What became of those that were told.
    fn go_on(&mut self, found: &mut BTreeMap<Key, Finding>, now: WallTime, news: &mut Vec<Grown>) {
        let over = &mut self.over;
        self.told.retain(|key, told| {
            let finding = found.remove(key);
            let turn = told.turn(finding.as_ref(), now);
            let is_end = turn.is_some_and(Turn::is_end);
            if let Some(turn) = turn {
                if let Some(finding) = finding {
                    told.finding = finding;
                }
                told.at = now;
                news.push(Grown { turn, finding: told.finding.clone() });
            }
            if is_end && over.len() < MOST {
                over.insert(key.clone(), now);
            }
            !is_end
        });
    }
}

impl Told {
    /// What is new, as it is found now; `None`: nothing.
    fn turn(&mut self, found: Option<&Finding>, now: WallTime) -> Option<Turn> {
        let Some(found) = found.filter(|found| grows(found)) else {
            self.calm = self.calm.saturating_add(1);
            let end = if found.is_some() { Turn::Mended } else { Turn::Gone };
            return (self.calm >= CALM).then_some(end);
        };
        self.calm = 0;
        let age = now.since(self.at);
        if nearness(found) > nearness(&self.finding) {
            return Some(Turn::Changed);
        }
        if age >= SELDOM && self.is_other(found) {
            return Some(Turn::Changed);
        }
        (age >= DAILY).then_some(Turn::GoesOn)
    }

    fn is_other(&self, found: &Finding) -> bool {
        let told = &self.finding;
        let rates = told.rate.zip(found.rate);
        let is_other_rate = rates.is_some_and(|(before, now)| {
            let times = now.per_hour / before.per_hour;
            !(OTHER_RATE.recip()..=OTHER_RATE).contains(&times)
        });
        told.verdict != found.verdict || is_other_rate || nearness(found) < nearness(told)
    }
}

/// An accusation, or what leaves little time.
fn is_worth_telling(finding: &Finding) -> bool {
    grows(finding) && (finding.verdict == Verdict::Leak || nearness(finding) > 0)
}

/// How near the end is: 0 not today, 1 today, 2 now.
fn nearness(finding: &Finding) -> u8 {
    match finding.left.map(|left| left.seconds) {
        Some(left) if left <= NOW => 2,
        Some(left) if left <= TODAY => 1,
        _ => 0,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use highwater_core::event::{Grower, GrowthLimit, HourlyRate, TimeLeft};
    use highwater_core::growth::Resource;

    use super::*;

    pub(in super::super) fn leak(name: &str) -> Finding {
        Finding {
            owner: Grower { kind: "unit".to_owned(), id: name.to_owned(), name: name.to_owned() },
            resource: Resource::Anon,
            verdict: Verdict::Leak,
            rate: Some(HourlyRate { per_hour: 5e6, low: 4e6, high: 6e6 }),
            confidence: 0.9,
            since: None,
            current: 1e9,
            limit: Some(GrowthLimit { kind: "own".to_owned(), at: 2e9 }),
            left: Some(TimeLeft { seconds: 10 * 86_400, soonest: 86_400, latest: None }),
            cause: None,
            claims: Vec::new(),
        }
    }

    /// Looks every ten minutes, and what was told.
    struct Looks {
        ledger: Ledger,
        now: WallTime,
        news: Vec<(Turn, String)>,
    }

    impl Looks {
        fn new() -> Self {
            let now = WallTime::from_millis(1_714_207_632_000);
            Self { ledger: Ledger::default(), now, news: Vec::new() }
        }

        fn look(&mut self, found: &[Finding]) -> &mut Self {
            self.now = self.now.after(Duration::from_mins(10));
            let look = Look { found: found.to_vec(), ..Look::default() };
            let news = self.ledger.take(look, self.now);
            self.news.extend(news.into_iter().map(|one| (one.turn, one.finding.owner.name)));
            self
        }

        fn times(&mut self, count: u32, found: &[Finding]) -> &mut Self {
            for _ in 0..count {
                self.look(found);
            }
            self
        }

        fn turns(&mut self) -> Vec<Turn> {
            std::mem::take(&mut self.news).into_iter().map(|(turn, _)| turn).collect()
        }
    }

    #[test]
    fn a_leak_is_told_once_and_then_once_a_day() {
        let mut looks = Looks::new();
        assert_eq!(looks.look(&[leak("a")]).turns(), []);
        assert_eq!(looks.times(20, &[leak("a")]).turns(), [Turn::Begun]);
        assert_eq!(looks.times(144, &[leak("a")]).turns(), [Turn::GoesOn]);
    }

    #[test]
    fn what_sways_is_not_told_again_and_again() {
        let calm = Finding { verdict: Verdict::Steady, ..leak("a") };
        let mut looks = Looks::new();
        for _ in 0..30 {
            looks.look(&[leak("a")]).look(&[]);
        }
        assert_eq!(looks.turns(), [], "never twice in a row");
        looks.times(2, &[leak("a")]);
        for _ in 0..10 {
            looks.times(3, std::slice::from_ref(&calm)).look(&[leak("a")]);
        }
        assert_eq!(looks.turns(), [Turn::Begun]);
    }

    #[test]
    fn it_ends_as_mended_or_gone_and_begins_anew_only_if_it_stays() {
        let calm = Finding { verdict: Verdict::LevelShift, ..leak("a") };
        let mut looks = Looks::new();
        looks.times(2, &[leak("a")]).times(CALM, &[calm]);
        assert_eq!(looks.turns(), [Turn::Begun, Turn::Mended]);
        assert_eq!(looks.times(SURE_AGAIN - 1, &[leak("a")]).turns(), []);
        assert_eq!(looks.look(&[leak("a")]).turns(), [Turn::Begun]);
        assert_eq!(looks.times(CALM, &[]).turns(), [Turn::Gone]);
        assert_eq!(looks.ledger.on(), 0);
    }

    #[test]
    fn nearness_is_told_at_once_and_a_rate_at_most_hourly() {
        let with = |seconds, per_hour| Finding {
            left: Some(TimeLeft { seconds, soonest: 0, latest: None }),
            rate: Some(HourlyRate { per_hour, low: 0.0, high: 0.0 }),
            ..leak("a")
        };
        let mut looks = Looks::new();
        looks.times(2, &[with(90_000, 1e6)]);
        assert_eq!(looks.turns(), [Turn::Begun]);
        assert_eq!(looks.look(&[with(86_000, 1e6)]).turns(), [Turn::Changed]);
        assert_eq!(looks.look(&[with(87_000, 1e6)]).turns(), [], "it is not the less near at once");
        assert_eq!(looks.look(&[with(7_000, 1e6)]).turns(), [Turn::Changed]);
        assert_eq!(looks.times(5, &[with(7_000, 3e6)]).turns(), []);
        assert_eq!(looks.look(&[with(7_000, 3e6)]).turns(), [Turn::Changed]);
        assert_eq!(looks.times(7, &[with(7_000, 3.5e6)]).turns(), []);
    }

    #[test]
    fn growing_is_told_only_where_little_time_is_left() {
        let growing = Finding { verdict: Verdict::Growing, ..leak("a") };
        let mut looks = Looks::new();
        assert_eq!(looks.times(9, std::slice::from_ref(&growing)).turns(), []);
        let soon = TimeLeft { seconds: 3600, soonest: 0, latest: None };
        assert_eq!(
            looks.times(2, &[Finding { left: Some(soon), ..growing }]).turns(),
            [Turn::Begun]
        );
    }

    #[test]
    fn what_the_store_has_is_not_told_anew() {
        let now = WallTime::from_millis(1_714_207_632_000);
        let mut ledger = Ledger::default();
        assert_eq!(ledger.since(now), now.before(FAR));
        let told = vec![(now.before(Duration::from_hours(3)), leak("a")), (now, leak("b"))];
        let found = vec![leak("a")];
        assert_eq!(ledger.take(Look { told, found, ..Look::default() }, now), []);
        assert_eq!(ledger.on(), 2);
        assert_eq!(ledger.since(now), now.before(Duration::from_hours(3)));
        for _ in 0..4 {
            assert_eq!(ledger.take(Look { found: vec![leak("a")], ..Look::default() }, now), []);
        }
        let news = ledger.take(Look { found: vec![leak("a")], ..Look::default() }, now);
        assert_eq!(news.len(), 1, "nobody has seen b for an hour");
        assert_eq!((news[0].turn, &*news[0].finding.owner.name), (Turn::Gone, "b"));
    }

    #[test]
    fn there_is_room_for_so_many() {
        let all: Vec<_> = (0..2 * MOST).map(|n| leak(&format!("a{n}"))).collect();
        let mut looks = Looks::new();
        assert_eq!(looks.times(3, &all).turns().len(), MOST);
        assert_eq!(looks.news.first(), None);
    }
}
