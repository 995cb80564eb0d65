//! What the rules gave: samples of series that nobody knew before, and texts that a restarted agent
//! goes on from, in one transaction.
//!
//! Samples are kept as those of a survey: each round has a part of all series. Unlike a survey's, the
//! end of a series is a sample of its own, [`highwater_core::series::STALE`].

use highwater_core::metric::MetricKind;
use highwater_core::series::Labels;
use highwater_core::time::Stamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::crc::RowCrc;
use crate::encode::metric_id;
use crate::entity::Group;

/// What marks a metric as one that rules record.
const HELP: &str = "Recorded by a rule.";

/// A round of rules.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Round {
    /// When it was.
    pub stamp: Stamp,
    /// Its samples: labels with the metric's name among them.
    pub samples: Vec<(Labels, f64)>,
    /// Texts by name, as they are from now on.
    pub standing: Vec<(String, String)>,
    /// Names of texts that go.
    pub gone: Vec<String>,
    /// Whether it has to be on the disk when the call returns.
    pub durable: bool,
}

/// The row of a metric that rules record; `None` if what is recorded otherwise has that name.
pub(crate) fn recorded_metric(db: &Connection, name: &str) -> rusqlite::Result<Option<u32>> {
    let known: Option<(u32, String, String)> = db
        .prepare_cached("SELECT id, grp, help FROM metric WHERE name = ?1")?
        .query_row([name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    match known {
        Some((id, group, help)) => Ok((group == Group::Thing.name() && help == HELP).then_some(id)),
        None => metric_id(db, Group::Thing, name, MetricKind::Gauge, HELP).map(Some),
    }
}

/// Puts texts in the place of those of the same names, and takes away those that go.
pub(crate) fn put_standing(db: &Connection, round: &Round) -> rusqlite::Result<()> {
    let mut put = db.prepare_cached(
        "INSERT INTO standing (name, body, crc) VALUES (?1, ?2, ?3)
         ON CONFLICT (name) DO UPDATE SET body = excluded.body, crc = excluded.crc",
    )?;
    for (name, body) in &round.standing {
        put.execute(params![name, body, standing_crc(name, body)])?;
    }
    let mut delete = db.prepare_cached("DELETE FROM standing WHERE name = ?1")?;
    round.gone.iter().try_for_each(|name| delete.execute([name]).map(|_| ()))
}

/// All texts by name. One that is not as it was written is none.
pub(crate) fn standing(db: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let mut select = db.prepare_cached("SELECT name, body, crc FROM standing ORDER BY name")?;
    let mut rows = select.query([])?;
    let mut all = vec![];
    while let Some(row) = rows.next()? {
        let (name, body): (String, String) = (row.get(0)?, row.get(1)?);
        if standing_crc(&name, &body) == row.get::<_, i64>(2)? {
            all.push((name, body));
        }
    }
    Ok(all)
}

/// The checksum of a text's row.
pub(crate) fn standing_crc(name: &str, body: &str) -> i64 {
    RowCrc::of("standing").text(name).text(body).done()
}

#[cfg(test)]
mod tests {
    use highwater_core::series::{Matcher, NAME, STALE, Selection, Series, SeriesSource, is_stale};
    use highwater_core::thing::{Metric, Survey, Thing};
    use highwater_core::time::WallTime;

    use super::*;
    use crate::reader::Reader;
    use crate::select::tests::{MINUTE, boot, stamp};
    use crate::store::Store;

    static ROOM: Metric = Metric::gauge("highwater_test_room_bytes", "A gauge of a thing.");

    fn sample(metric: &str, id: &str, value: f64) -> (Labels, f64) {
        (Labels::new([(NAME, metric), ("id", id)]), value)
    }

    fn round(ms: i64, samples: Vec<(Labels, f64)>) -> Round {
        Round { stamp: stamp(ms), samples, ..Round::default() }
    }

    fn all(reader: &Reader, metric: &str, ends: bool) -> Vec<Series> {
        let (from, to) = (WallTime::from_millis(i64::MIN / 4), WallTime::from_millis(i64::MAX / 4));
        let matchers = vec![Matcher::is(NAME, metric)];
        reader.select(&Selection { matchers, from, to, step: None, ends }).unwrap()
    }

    #[test]
    fn a_recorded_series_ends_when_it_is_said_to_end() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let mut record = |at: i64, samples| {
            store.record_round(&round(at * MINUTE, samples), boot()).unwrap();
        };
        record(1, vec![sample("ALERTS", "/a", 1.0), sample("ALERTS", "/b", 1.0)]);
        // A round of other rules ends nothing.
        record(2, vec![sample("other", "/a", 7.0)]);
        record(3, vec![sample("ALERTS", "/a", STALE), sample("ALERTS", "/b", 1.0)]);
        let reader = Reader::open(dir.path()).unwrap();
        let ended: Vec<bool> = all(&reader, "ALERTS", true)
            .iter()
            .map(|series| is_stale(series.points.last().unwrap().value))
            .collect();
        assert_eq!(ended, [true, false]);
        let counts: Vec<usize> =
            all(&reader, "ALERTS", false).iter().map(|series| series.points.len()).collect();
        assert_eq!(counts, [1, 2]);
        let on: Vec<String> = reader
            .latest(&[Matcher::is(NAME, "ALERTS")], None)
            .unwrap()
            .iter()
            .map(|(labels, _)| labels.to_string())
            .collect();
        assert_eq!(on, [r#"ALERTS{id="/b"}"#]);
    }

    #[test]
    fn a_rule_cannot_take_the_name_of_what_is_recorded() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let things = vec![Thing { metric: &ROOM, labels: Labels::default(), value: 5.0 }];
        store.append_survey(&Survey { stamp: stamp(MINUTE), things }, boot()).unwrap();
        let taken = [ROOM.name, "node_memory_MemTotal_bytes"];
        let samples = taken.map(|name| sample(name, "/x", 1.0)).to_vec();
        let kept = store.record_round(&round(2 * MINUTE, samples), boot()).unwrap();
        assert_eq!(kept.left_out, 2);
        let reader = Reader::open(dir.path()).unwrap();
        assert_eq!(all(&reader, ROOM.name, false).len(), 1);
    }

    #[test]
    fn texts_are_kept_with_the_samples_and_replaced_and_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let text = |name: &str, body: &str| (name.to_owned(), body.to_owned());
        let standing = vec![text("a", "1"), text("b", "2")];
        let first = Round { standing, durable: true, ..round(MINUTE, vec![]) };
        store.record_round(&first, boot()).unwrap();
        let gone = vec!["b".to_owned(), "c".to_owned()];
        let second = Round { standing: vec![text("a", "3")], gone, ..round(2 * MINUTE, vec![]) };
        store.record_round(&second, boot()).unwrap();
        drop(store);
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(store.standing().unwrap(), [text("a", "3")]);
        store.db.execute("UPDATE standing SET body = '4'", []).unwrap();
        assert_eq!(store.standing().unwrap(), [], "a text that nobody wrote");
        let found = Reader::open(dir.path()).unwrap();
        assert_eq!(found.check(&mut |_| ()).unwrap().damaged.len(), 1);
    }
}
