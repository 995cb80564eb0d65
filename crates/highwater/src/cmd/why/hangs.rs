//! Who hangs for want of memory, and is worth a word to whoever asks.

use std::time::Duration;

use highwater_core::time::WallTime;
use highwater_diagnose::hang::is_hang;
use highwater_diagnose::inquest::Stuck;

use crate::cmd::target::{self, Match};

/// Who asks for nobody by name hears of a hang that is over for so long.
const TOLD_FOR: Duration = Duration::from_hours(24);

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    /// Whose, under all names that were meant.
    pub(super) names: &'a [&'a str],
    /// From when on.
    pub(super) since: Option<WallTime>,
    /// The moment of asking.
    pub(super) now: WallTime,
    /// How well the deaths answer that are told.
    pub(super) best: Option<Match>,
}

/// The places of those that answer it.
pub(super) fn asked_for(all: &[Stuck], question: &Question<'_>) -> Vec<usize> {
    let is_told = |(at, one): (usize, &Stuck)| answers(one, question).then_some(at);
    all.iter().enumerate().filter_map(is_told).collect()
}

fn answers(stuck: &Stuck, question: &Question<'_>) -> bool {
    let over = |from: WallTime| stuck.until.is_some_and(|until| until < from);
    if !is_hang(stuck) || question.since.is_some_and(over) {
        return false;
    }
    if question.names.is_empty() {
        return question.since.is_some() || !over(question.now.before(TOLD_FOR));
    }
    let how = question.names.iter().filter_map(|name| target::names(name, &stuck.who)).max();
    how.is_some() && how >= question.best
}

#[cfg(test)]
mod tests {
    use highwater_core::evidence::Claim;
    use highwater_core::owner::Owner;
    use highwater_core::testimony::Party;

    use super::*;

    const HOUR: i64 = 3_600_000;

    fn stuck(name: &str, since: i64, until: Option<i64>) -> Stuck {
        let at = WallTime::from_millis;
        Stuck {
            who: Party::of_owner(Owner::Container(name.to_owned())),
            since: Some(at(since)),
            until: until.map(at),
            claim: Claim { text: "stuck".to_owned(), evidence: Vec::new() },
        }
    }

    #[test]
    fn only_who_was_asked_for_is_told() {
        let all = [
            stuck("shop", 0, Some(108)),
            stuck("shop", HOUR, Some(2 * HOUR)),
            stuck("blog", 0, None),
            stuck("shop", 40 * HOUR, Some(41 * HOUR)),
        ];
        let now = WallTime::from_millis(48 * HOUR);
        let nobody = Question { names: &[], since: None, now, best: None };
        assert_eq!(asked_for(&all, &nobody), [2, 3], "short ones and old ones are left out");
        let shop = Question { names: &["shop"], ..nobody };
        assert_eq!(asked_for(&all, &shop), [1, 3]);
        let since = Some(WallTime::from_millis(30 * HOUR));
        assert_eq!(asked_for(&all, &Question { since, ..shop }), [3]);
        let whole = Question { names: &["sho"], best: Some(Match::Whole), ..nobody };
        assert!(
            asked_for(&all, &whole).is_empty(),
            "somebody is called so, and it is not this one"
        );
    }
}
