//! Courses of alerts, minute by minute, and what is told of them.

use std::collections::BTreeMap;
use std::time::Duration;

use highwater_core::time::WallTime;

use super::*;

const PACE: Duration = Duration::from_secs(1);

fn at(seconds: i64) -> WallTime {
    WallTime::from_millis(1_795_219_200_000 + seconds * 1000)
}

fn labels(name: &str, id: &str) -> BTreeMap<String, String> {
    [("alertname", name), ("id", id)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

fn fires(name: &str, id: &str, since: i64) -> Report {
    Report { labels: labels(name, id), starts_at: at(since), ..Report::default() }
}

fn ended(name: &str, id: &str, since: i64, until: i64) -> Report {
    Report { ends_at: Some(at(until)), ..fires(name, id, since) }
}

/// What was told, in short: `id` fires, `!id` has ended.
fn told(notices: &[Notice]) -> Vec<String> {
    let one = |alert: &Report| match alert.ends_at {
        None => alert.labels["id"].clone(),
        Some(_) => format!("!{}", alert.labels["id"]),
    };
    let notice = |notice: &Notice| notice.alerts.iter().map(one).collect::<Vec<_>>().join(" ");
    notices.iter().map(notice).collect()
}

/// A desk that is stored and read again before each round, as by an agent that dies all the time.
struct Frail(String, Terms);

impl Frail {
    fn new(terms: Terms) -> Self {
        Self(serde_json::to_string(&Desk::default()).unwrap(), terms)
    }

    fn round(&mut self, reports: &[Report], now: i64) -> Vec<String> {
        let mut desk: Desk = serde_json::from_str(&self.0).unwrap();
        let notices = desk.round("ops", &self.1, reports, at(now));
        self.0 = serde_json::to_string(&desk).unwrap();
        told(&notices)
    }
}

const NOTHING: [&str; 0] = [];

#[test]
fn a_group_waits_then_is_told_once_then_again_when_it_changes() {
    let mut desk = Frail::new(Terms::default());
    let (a, b) = (fires("Full", "a", 0), fires("Full", "b", 20));
    assert_eq!(desk.round(std::slice::from_ref(&a), 0), NOTHING);
    assert_eq!(desk.round(&[a.clone(), b.clone()], 20), NOTHING);
    assert_eq!(desk.round(&[a.clone(), b.clone()], 30), ["a b"]);
    for now in (45..330).step_by(15) {
        assert_eq!(desk.round(&[a.clone(), b.clone()], now), NOTHING, "{now}");
    }
    let c = fires("Full", "c", 330);
    let all = [a.clone(), b.clone(), c.clone()];
    assert_eq!(desk.round(&all, 330), ["a b c"]);
    let all = [a, ended("Full", "b", 20, 400), c];
    assert_eq!(desk.round(&all, 400), NOTHING);
    assert_eq!(desk.round(&all, 630), ["a c !b"]);
    assert_eq!(desk.round(&all, 930), NOTHING);
}

#[test]
fn what_still_fires_is_repeated_and_what_ended_is_not() {
    let mut desk = Frail::new(Terms::default());
    let a = [fires("Full", "a", 0)];
    let hours = 4 * 3600;
    let told: Vec<i64> =
        (0..3 * hours).step_by(15).filter(|now| !desk.round(&a, *now).is_empty()).collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told[0], 30);
    assert!((hours..hours + 400).contains(&told[1]), "{told:?}");
    let over = [ended("Full", "a", 0, 3 * hours)];
    let told: Vec<i64> = (3 * hours..6 * hours)
        .step_by(15)
        .filter(|now| !desk.round(&over, *now).is_empty())
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
}

#[test]
fn groups_are_told_apart_and_severities_chosen() {
    let severe = |mut report: Report, severity: &str| {
        report.labels.insert("severity".to_owned(), severity.to_owned());
        report
    };
    let all = [
        severe(fires("Full", "a", 0), "critical"),
        severe(fires("Slow", "b", 0), "critical"),
        severe(fires("Full", "c", 0), "info"),
        fires("Full", "d", 0),
    ];
    let mut by_name = Desk::default();
    let now = Terms { group_wait: Duration::ZERO, ..Terms::default() };
    assert_eq!(told(&by_name.round("ops", &now, &all, at(0))), ["a c d", "b"]);
    let one = Terms { group_by: vec![], severities: vec!["critical".to_owned()], ..now };
    assert_eq!(told(&Desk::default().round("ops", &one, &all, at(0))), ["a b"]);
}

#[test]
fn what_ended_before_it_was_told_is_not_told_and_what_vanished_has_ended() {
    let mut desk = Frail::new(Terms::default());
    assert_eq!(desk.round(&[fires("Full", "a", 0)], 0), NOTHING);
    let (over, b) = (ended("Full", "a", 0, 15), fires("Full", "b", 15));
    assert_eq!(desk.round(&[over.clone(), b.clone()], 15), NOTHING);
    assert_eq!(desk.round(&[over, b], 30), ["b"]);
    assert_eq!(desk.round(&[], 45), NOTHING);
    assert_eq!(desk.round(&[], 330), ["!b"]);
    assert_eq!(desk.round(&[], 345), NOTHING);
}

#[test]
fn ends_are_kept_from_who_does_not_want_them() {
    let mut desk = Frail::new(Terms { send_resolved: false, ..Terms::default() });
    desk.round(&[fires("Full", "a", 0)], 0);
    assert_eq!(desk.round(&[fires("Full", "a", 0)], 30), ["a"]);
    let over = [ended("Full", "a", 0, 45)];
    assert_eq!(desk.round(&over, 45), NOTHING);
    assert_eq!(desk.round(&over, 330), NOTHING);
    let again = [fires("Full", "a", 4_000)];
    assert_eq!(desk.round(&again, 4_000), NOTHING);
    assert_eq!(desk.round(&again, 4_030), ["a"]);
}

/// Two minutes on, eight off, for two hours: without damping that would be a beginning and an end
/// each time, two dozen notices.
#[test]
fn what_comes_and_goes_is_told_a_few_times_and_its_end_when_it_is_quiet() {
    let mut desk = Frail::new(Terms::default());
    let mut all = Vec::new();
    for now in (0..4 * 3600).step_by(15) {
        let began = now / 600 * 600;
        let reports = match now {
            7200.. => vec![ended("Full", "a", 6600, 6720)],
            _ if now - began < 120 => vec![fires("Full", "a", began)],
            _ => vec![ended("Full", "a", began, began + 120)],
        };
        all.extend(desk.round(&reports, now).into_iter().map(|what| (now, what)));
    }
    assert!(all.len() <= 9, "{all:?}");
    let (when, last) = all.last().unwrap();
    assert_eq!(last, "!a");
    assert!((6720 + 900..6720 + 1500).contains(when), "{all:?}");
}

#[test]
fn too_many_groups_are_one() {
    let names = (0..1_200).map(|n| fires(&format!("Rule{n}"), "a", 0));
    let all: Vec<Report> = names.collect();
    let terms = Terms { group_wait: Duration::ZERO, ..Terms::default() };
    let notices = Desk::default().round("ops", &terms, &all, at(0));
    assert_eq!(notices.len(), 1_001);
    assert_eq!(notices.iter().map(|notice| notice.alerts.len()).sum::<usize>(), 1_200);
}

fn notice(id: &str, alerts: Vec<Report>, now: i64) -> Notice {
    Notice::new("ops", labels("Full", id), alerts, at(now))
}

/// An hour in which nothing arrives: then every group is told once, as it stands, and what began and
/// ended meanwhile with both its times.
#[test]
fn after_an_outage_everything_arrives_once() {
    let mut outbox = Outbox::default();
    let mut tries = 0;
    outbox.put(notice("x", vec![fires("Full", "a", 0)], 0));
    outbox.put(notice("y", vec![fires("Full", "b", 0)], 0));
    for now in 1..3600 {
        if now == 600 {
            outbox.put(notice("x", vec![fires("Full", "c", 600), ended("Full", "a", 0, 590)], now));
        }
        if now == 1200 {
            outbox.put(notice("x", vec![ended("Full", "c", 600, 1190)], now));
        }
        outbox = serde_json::from_str(&serde_json::to_string(&outbox).unwrap()).unwrap();
        if outbox.next(at(now)).is_some() {
            tries += 1;
            outbox.settle(Delivery::Later(None), PACE, at(now));
        }
    }
    assert!((10..25).contains(&tries), "{tries} tries");
    let mut arrived = Vec::new();
    for now in 3600..4200 {
        arrived.extend(outbox.next(at(now)).cloned());
        outbox.settle(Delivery::Arrived, PACE, at(now));
    }
    let mut words = told(&arrived);
    words.sort();
    assert_eq!(words, ["!a !c", "b"]);
    let x = arrived.iter().find(|notice| notice.alerts.len() == 2).unwrap();
    assert_eq!(x.alerts[1].starts_at, at(600));
    assert!(outbox.is_empty());
}

#[test]
fn what_comes_while_a_notice_is_on_its_way_is_not_lost_in_it() {
    let mut outbox = Outbox::default();
    outbox.put(notice("x", vec![fires("Full", "a", 0)], 0));
    assert!(outbox.next(at(1)).is_some());
    assert!(outbox.next(at(1)).is_none(), "one at a time");
    outbox.put(notice("x", vec![ended("Full", "a", 0, 5)], 5));
    assert_eq!(outbox.len(), 2);
    let mut failed = outbox.clone();
    failed.settle(Delivery::Later(Some(Duration::from_mins(1))), PACE, at(6));
    assert_eq!(failed.len(), 1, "both are one again");
    assert!(failed.next(at(65)).is_none(), "the receiver said when");
    assert_eq!(told(&[failed.next(at(66)).unwrap().clone()]), ["!a"]);
    outbox.settle(Delivery::Arrived, PACE, at(6));
    assert_eq!(told(&[outbox.next(at(7)).unwrap().clone()]), ["!a"]);
}

#[test]
fn a_notice_that_is_refused_does_not_hold_up_the_others() {
    let mut outbox = Outbox::default();
    for id in ["x", "y"] {
        outbox.put(notice(id, vec![fires("Full", id, 0)], 0));
    }
    let first = outbox.next(at(0)).unwrap().group.clone();
    outbox.settle(Delivery::Refused, PACE, at(0));
    assert!(outbox.next(at(0)).is_none(), "not in one breath");
    assert_ne!(outbox.next(at(1)).unwrap().group, first);
}

#[test]
fn an_outbox_has_an_end_in_number_and_in_time() {
    let mut outbox = Outbox::default();
    let gone: Vec<GivenUp> =
        (0..1_002).filter_map(|n| outbox.put(notice(&n.to_string(), vec![], n))).collect();
    assert_eq!((gone.len(), outbox.len()), (2, 1_000));
    assert!(gone[0].group.contains("id=\"0\""), "{gone:?}");
    assert_eq!(outbox.expire(at(3 * 86_400)).len(), 0);
    assert_eq!(outbox.expire(at(3 * 86_400 + 500)).len(), 499);
    assert_eq!(outbox.len(), 501);
}

fn asked(relay: &mut Relay, now: i64) -> Vec<(String, i64)> {
    let of = |report: &Report| {
        let until = report.ends_at.unwrap().since(at(0)).as_secs();
        (report.labels["id"].clone(), i64::try_from(until).unwrap())
    };
    relay.next(at(now)).iter().map(of).collect()
}

#[test]
fn an_alertmanager_is_told_each_minute_and_of_the_end_for_a_quarter_of_an_hour() {
    let mut relay = Relay::default();
    let mut times = Vec::new();
    for now in (0..1800).step_by(15) {
        let report = if now < 300 { fires("F", "a", 0) } else { ended("F", "a", 0, 300) };
        relay.round(&[report], at(now));
        for (_, until) in asked(&mut relay, now) {
            assert_eq!(until, if now < 300 { now + 240 } else { 300 });
            times.push(now);
        }
        relay.settle(Delivery::Arrived, at(now));
    }
    let until = (0..=1200).step_by(60).collect::<Vec<_>>();
    assert_eq!(times, until);
}

/// It fires, it is told, the Alertmanager is away for two hours, the agent too dies meanwhile: the end
/// is told when it is back, and once.
#[test]
fn an_end_is_owed_until_it_is_accepted() {
    let mut relay = Relay::default();
    relay.round(&[fires("F", "a", 0)], at(0));
    assert_eq!(asked(&mut relay, 0).len(), 1);
    relay.settle(Delivery::Arrived, at(0));
    relay = serde_json::from_str(&serde_json::to_string(&relay).unwrap()).unwrap();
    for now in (15..7200).step_by(15) {
        let recent = (now < 1200).then(|| ended("F", "a", 0, 300));
        relay.round(&recent.into_iter().collect::<Vec<_>>(), at(now));
        asked(&mut relay, now);
        relay.settle(Delivery::Later(None), at(now));
    }
    relay.round(&[], at(7200));
    assert_eq!(asked(&mut relay, 7300), [("a".to_owned(), 300)]);
    relay.settle(Delivery::Arrived, at(7300));
    relay.round(&[], at(7400));
    assert_eq!(asked(&mut relay, 7400), []);
}

#[test]
fn an_alertmanager_gets_256_at_once() {
    let all: Vec<Report> = (0..600).map(|n| fires("F", &n.to_string(), 0)).collect();
    let mut relay = Relay::default();
    relay.round(&all, at(0));
    let mut sizes = Vec::new();
    for _ in 0..4 {
        sizes.push(asked(&mut relay, 0).len());
        relay.settle(Delivery::Arrived, at(0));
    }
    assert_eq!(sizes, [256, 256, 88, 0]);
}

#[test]
fn pauses_double_up_to_the_longest_and_differ_between_receivers() {
    let seconds = |failures| pause(failures, None, "ops").as_secs_f64();
    assert!((5.0..6.25).contains(&seconds(1)), "{}", seconds(1));
    assert!((20.0..25.0).contains(&seconds(3)), "{}", seconds(3));
    assert!((300.0..375.0).contains(&seconds(u32::MAX)), "{}", seconds(u32::MAX));
    assert_ne!(pause(5, None, "ops"), pause(5, None, "mail"));
}

#[test]
fn a_pause_that_was_asked_for_is_kept_within_reason() {
    let asked = |seconds| pause(9, Some(Duration::from_secs(seconds)), "ops");
    assert_eq!(asked(40), Duration::from_secs(40));
    assert_eq!(asked(0), FIRST_WAIT);
    assert_eq!(asked(1 << 40), LONGEST_ASKED);
}

/// A clock that was set back by years: what waited for a minute does not wait for years.
#[test]
fn a_clock_that_is_set_back_holds_up_nothing() {
    let mut outbox = Outbox::default();
    outbox.put(notice("x", vec![fires("Full", "a", 0)], 0));
    assert!(outbox.next(at(0)).is_some());
    outbox.settle(Delivery::Later(None), PACE, at(0));
    assert!(outbox.next(at(1)).is_none());
    assert!(outbox.next(at(-100_000_000)).is_some());
    let mut desk = Desk::default();
    let a = [fires("Full", "a", 0)];
    assert!(desk.round("ops", &Terms::default(), &a, at(0)).is_empty());
    assert_eq!(desk.round("ops", &Terms::default(), &a, at(-100_000_000)).len(), 1);
    let mut relay = Relay::default();
    relay.round(&a, at(0));
    assert_eq!(asked(&mut relay, 0).len(), 1);
    relay.settle(Delivery::Arrived, at(0));
    assert_eq!(relay.next(at(-100_000_000)).len(), 1);
}
