//! What rules are to go through, as the parameters of an address tell it.

use std::time::Duration;

use highwater_core::time::WallTime;

use crate::api::failure::Failure;
use crate::api::form::Form;
use crate::api::moment::{moment, span};

/// A parameter of the address: its name, the type of its values, and what they are.
pub(super) type Parameter = (&'static str, &'static str, &'static str);

/// What can be said of a trial.
pub(super) const PARAMETERS: &[Parameter] = &[
    ("start", "string", "from then on: seconds since 1970, or RFC 3339"),
    ("end", "string", "until then; else up to the newest reading"),
    ("last", "string", "so long before the end, in place of a start: seconds, or 7d; else 30d"),
    ("scrape", "string", "as a scraper would have seen it that looks so often: seconds, or 60s"),
    ("rule", "string", "only the alert of this name; else all that are loaded"),
    ("expr", "string", "this expression as a rule, in place of those that are loaded"),
    ("for", "string", "how long the expression has to match: seconds, or 5m"),
];

/// The longest expression, and the longest name of an alert.
const MOST_EXPR: usize = 8 << 10;
const MOST_NAME: usize = 512;

/// The longest time that is gone through at once.
const MOST: Duration = Duration::from_hours(31 * 24);

/// Rules go through the history that is on record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Trial {
    /// Which ones.
    pub of: Tried,
    /// From when on: a moment, or so long before the end. `None`: as far back as a backtest looks.
    pub since: Option<Since>,
    /// Until when; `None`: the newest reading.
    pub until: Option<WallTime>,
    /// As a scraper would have seen it that looks so often.
    pub scrape: Option<Duration>,
}

/// Which rules are tried.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tried {
    /// All that are loaded.
    All,
    /// The alert of this name.
    One(String),
    /// A rule that nobody wrote down.
    Typed {
        /// Its expression.
        expr: String,
        /// How long it has to match before it fires.
        hold: Duration,
    },
}

/// When a trial begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Since {
    /// At this moment.
    At(WallTime),
    /// So long before its end.
    Before(Duration),
}

impl Trial {
    /// The trial that the query of an address asks for; inside, what is wrong with it.
    pub(super) fn read(query: &str) -> Result<Self, String> {
        Form::read(query, b"").and_then(|form| Self::of(&form)).map_err(|failure| failure.text)
    }

    fn of(form: &Form) -> Result<Self, Failure> {
        let at = |name: &str| match form.get(name) {
            "" => Ok(None),
            _ => moment(form, name, WallTime::from_millis(0)).map(Some),
        };
        let (start, until, last) = (at("start")?, at("end")?, length(form, "last")?);
        let since = match (start, last) {
            (Some(_), Some(_)) => {
                return Err(Failure::bad("either start or last: both say when it begins"));
            }
            (Some(start), None) => Some(Since::At(start)),
            (None, last) => last.map(Since::Before),
        };
        let trial = Self { of: tried(form)?, since, until, scrape: length(form, "scrape")? };
        if trial.scrape.is_some_and(|every| every > Duration::from_hours(1)) {
            return Err(Failure::of_parameter("scrape", "at most 1h"));
        }
        match trial.long() {
            Some(long) if long > MOST => Err(Failure::bad("at most 31 days at once")),
            Some(Duration::ZERO) => Err(Failure::bad("the end is not after the start")),
            _ => Ok(trial),
        }
    }

    /// How long it is, where that is known already.
    fn long(&self) -> Option<Duration> {
        match (self.since?, self.until) {
            (Since::Before(length), _) => Some(length),
            (Since::At(start), Some(until)) => Some(until.since(start)),
            (Since::At(_), None) => None,
        }
    }
}

/// A length of time that a parameter tells, of a second at least.
fn length(form: &Form, name: &str) -> Result<Option<Duration>, Failure> {
    if form.get(name).is_empty() {
        return Ok(None);
    }
    let millis = u64::try_from(span(form, name)?).unwrap_or(0);
    if millis < 1000 {
        return Err(Failure::of_parameter(name, "at least a second"));
    }
    Ok(Some(Duration::from_millis(millis)))
}

fn tried(form: &Form) -> Result<Tried, Failure> {
    let (rule, expr, hold) = (form.get("rule"), form.get("expr"), form.get("for"));
    for (name, text, most) in [("rule", rule, MOST_NAME), ("expr", expr, MOST_EXPR)] {
        if text.len() > most {
            return Err(Failure::of_parameter(name, &format!("longer than {most} bytes")));
        }
        if text.contains('\0') {
            return Err(Failure::of_parameter(name, "a byte of it is 0"));
        }
    }
    match (rule, expr) {
        ("", "") if !hold.is_empty() => Err(Failure::bad("for belongs to an expression: expr")),
        ("", "") => Ok(Tried::All),
        (rule, "") => Ok(Tried::One(rule.to_owned())),
        ("", expr) => {
            let millis = if hold.is_empty() { 0 } else { span(form, "for")? };
            let hold = u64::try_from(millis)
                .map_err(|_| Failure::of_parameter("for", "it cannot be before 0"))?;
            Ok(Tried::Typed { expr: expr.to_owned(), hold: Duration::from_millis(hold) })
        }
        _ => Err(Failure::bad("either rule or expr: one of them is tried")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_is_read() {
        let all = Trial { of: Tried::All, since: None, until: None, scrape: None };
        assert_eq!(Trial::read(""), Ok(all.clone()));
        let week = Some(Since::Before(Duration::from_hours(7 * 24)));
        let scrape = Some(Duration::from_mins(1));
        assert_eq!(
            Trial::read("last=604800&scrape=60"),
            Ok(Trial { since: week, scrape, ..all.clone() })
        );
        let one = Tried::One("Near limit".to_owned());
        let start = Some(Since::At(WallTime::from_millis(1_000)));
        let until = Some(WallTime::from_millis(61_500));
        assert_eq!(
            Trial::read("rule=Near+limit&start=1&end=61.5"),
            Ok(Trial { of: one, since: start, until, ..all.clone() })
        );
        let hold = Duration::from_mins(5);
        let typed = Tried::Typed { expr: "up == 0".to_owned(), hold };
        assert_eq!(Trial::read("expr=up+%3D%3D+0&for=5m"), Ok(Trial { of: typed, ..all }));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_name() {
        for (query, why) in [
            ("start=x", "\"start\": "),
            ("start=1&last=60", "either start or last"),
            ("start=61&end=61", "the end is not after the start"),
            ("start=61&end=1", "the end is not after the start"),
            ("start=0&end=1e10", "at most 31 days"),
            ("last=32d", "at most 31 days"),
            ("last=-5", "\"last\": at least a second"),
            ("scrape=0", "\"scrape\": at least a second"),
            ("scrape=2h", "\"scrape\": at most 1h"),
            ("rule=a&expr=b", "either rule or expr"),
            ("for=5m", "expr"),
            ("expr=a&for=-1", "\"for\": "),
            ("expr=a%00", "\"expr\": "),
            ("rule=%zz", "escape"),
        ] {
            let said = Trial::read(query).unwrap_err();
            assert!(said.contains(why), "{query}: {said}");
        }
        let long = format!("expr={}", "a".repeat(MOST_EXPR + 1));
        assert!(Trial::read(&long).unwrap_err().contains("longer than"));
    }
}
