//! `/healthz`: is the recorder recording?

use std::borrow::Cow;
use std::time::Duration;

use highwater_core::text;
use highwater_core::time::Span;

use crate::readings::{Condition, Health};

/// How many cadences a sample may be late: one is jitter, two a machine under pressure, at three
/// the recorder is blind.
const LATE_CADENCES: u32 = 3;

/// Whether the recorder is healthy, and why: a first line, then one line per fact.
///
/// Only a missing sample is unhealthy. A store that cannot write or a kernel log that may not be
/// read is told, but a restart would not help.
pub fn health(health: &Health) -> (bool, String) {
    let reason = unhealthy(health);
    let verdict = reason.as_deref().unwrap_or("ok");
    let age = health.sample_age.map_or("none yet".to_owned(), seconds_ago);
    let (store, kmsg) = (told(&health.store), told(&health.kmsg));
    let backlog = health.backlog.map_or_else(String::new, |(count, age)| {
        let age = Span(age);
        format!("backlog: {count} readings wait in memory, the oldest for {age}\n")
    });
    let slowed = match health.slowed.join(", ") {
        parts if parts.is_empty() => parts,
        parts => format!("slowed down: {}\n", one_line(&parts)),
    };
    let text =
        format!("{verdict}\nlast sample: {age}\nstore: {store}\n{backlog}kmsg: {kmsg}\n{slowed}");
    (reason.is_none(), text)
}

fn unhealthy(health: &Health) -> Option<String> {
    let Some(age) = health.sample_age else {
        return Some("unhealthy: no sample yet".to_owned());
    };
    let most = health.cadence.saturating_mul(LATE_CADENCES);
    (age > most).then(|| {
        let (age, most) = (age.as_secs_f64(), most.as_secs_f64());
        format!("unhealthy: the last sample is {age:.1} s old, {most:.1} s at most are expected")
    })
}

fn seconds_ago(age: Duration) -> String {
    format!("{:.1} s ago", age.as_secs_f64())
}

fn told(condition: &Condition) -> String {
    match condition {
        Condition::Ok => "ok".to_owned(),
        Condition::Off(why) => format!("off: {}", one_line(why)),
        Condition::Failing(why) => format!("failing: {}", one_line(why)),
    }
}

/// A reason may quote somebody's text; here it stays on its line.
fn one_line(why: &str) -> Cow<'_, str> {
    text::escape(why.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_age(age_ms: Option<u64>) -> Health {
        Health {
            sample_age: age_ms.map(Duration::from_millis),
            cadence: Duration::from_secs(5),
            store: Condition::Ok,
            backlog: None,
            slowed: vec![],
            kmsg: Condition::Off("no permission\nok".to_owned()),
        }
    }

    #[test]
    fn a_sample_may_be_three_cadences_old_and_no_more() {
        assert_eq!(
            health(&at_age(Some(15_000))),
            (
                true,
                "ok\nlast sample: 15.0 s ago\nstore: ok\nkmsg: off: no permission\\nok\n".into()
            )
        );
        let (healthy, text) = health(&at_age(Some(15_001)));
        assert!(!healthy);
        assert!(text.starts_with(
            "unhealthy: the last sample is 15.0 s old, 15.0 s at most are expected\n"
        ));
    }

    #[test]
    fn no_sample_is_unhealthy_and_a_failing_store_is_only_told() {
        let (healthy, text) = health(&at_age(None));
        assert!(!healthy);
        assert!(text.starts_with("unhealthy: no sample yet\nlast sample: none yet\n"));
        let full = Condition::Failing("disk full".into());
        let backlog = Some((12, Duration::from_secs(61)));
        let slowed = vec!["survey".to_owned(), "close-ups".to_owned()];
        let (healthy, text) = health(&Health { store: full, backlog, slowed, ..at_age(Some(0)) });
        assert!(healthy);
        assert_eq!(
            text,
            "ok\nlast sample: 0.0 s ago\nstore: failing: disk full\n\
             backlog: 12 readings wait in memory, the oldest for 1 min 1 s\n\
             kmsg: off: no permission\\nok\nslowed down: survey, close-ups\n"
        );
    }
}
