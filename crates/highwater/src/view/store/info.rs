//! What is on record, on one page.
//!
//! ```text
//! one sentence                how far back, how large, whether it goes on
//! Size                        against its budget, and the disk's room
//! How far back                one row a tier: samples, bytes, bytes a sample
//! What is recorded            one row a group: things and their series
//! Boots, Clock, Events        what happened to the machine and its clock
//! Notes                       what stands in the way of complete answers
//! ```

use std::time::Duration;

use anstyle::Style;
use highwater_core::time::Span;
use highwater_core::units::Bytes;

use crate::view::draw;
use crate::view::paint::{BOLD, DIM, GREEN, Page, RED, YELLOW, put};
use crate::view::wrap;

use super::figure::{ago, count, counted, per_sample, span};
use super::overview::{Overview, Size, State};
use super::{Moment, fact};

/// The page.
pub(crate) fn page(page: Page, told: &Overview) -> String {
    let mut out = summary(page, told);
    out += &size(page, told);
    out += &tiers(page, told);
    out += &groups(page, told);
    out += &past(page, told);
    if !told.notes.is_empty() {
        out += &page.head("Notes", "");
        out += &told.notes.iter().map(|note| page.item("  ! ", note, YELLOW)).collect::<String>();
    }
    out
}

fn summary(page: Page, told: &Overview) -> String {
    let size = told.size.database.saturating_add(told.size.wal);
    let first = match told.history {
        Some(history) => format!("{} on record, in {size}.", Span(history.length())),
        None => format!("Nothing on record yet, in {size}."),
    };
    let pid = told.recorder.pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
    let age = told.recorder.age_seconds.map(|age| ago(Duration::from_secs(age)));
    let last = age.map(|age| format!(", the last reading {age}")).unwrap_or_default();
    let (option, trouble) = (&told.option, &told.recorder.trouble);
    let (style, second) = match told.recorder.state {
        State::Recording => (GREEN, format!("An agent{pid} is recording{last}.")),
        State::Stalled => {
            let what = if trouble.is_some() { "cannot store" } else { "does not record" };
            let text = format!("An agent{pid} runs, but {what}{last}: highwater checkup{option}");
            (RED, text)
        }
        State::Imported => (
            GREEN,
            "It was imported: no agent records into it, and nothing is forgotten.".to_owned(),
        ),
        State::Stopped => (YELLOW, format!("No agent is recording{last}: highwater agent{option}")),
    };
    let mut out = page.item("", &first, BOLD) + &page.item("", &second, style);
    if let Some(trouble) = trouble {
        let waiting = counted(told.recorder.waiting, "reading");
        let age = told.recorder.told.map(|then| ago(told.now.0.since(then.0)));
        let age = age.map(|age| format!(", as of {age}")).unwrap_or_default();
        let text = format!("It holds {waiting} in its memory{age}: {trouble}");
        out += &page.item("", &text, RED);
    }
    if !told.recorder.slowed.is_empty() {
        let parts = told.recorder.slowed.join(", ");
        let text = format!("To stay within its share of a processor it slowed down: {parts}.");
        out += &page.item("", &text, YELLOW);
    }
    out
}

/// The room beside the bar: `99.9 MiB of 99.9 GiB (100 %)`.
const SAID: usize = 28;

fn size(page: Page, told: &Overview) -> String {
    let Size { database, wal, free_inside, budget, disk_free, disk_floor } = told.size;
    let all = database.saturating_add(wal);
    let mut out = page.head("Size", &told.path);
    if let Some(budget) = budget {
        let share = all.permille_of(budget).map(|share| format!(" ({share})")).unwrap_or_default();
        let room = page.width.saturating_sub(super::NAME + 4 + SAID).min(40);
        let style = if all > budget { RED } else { GREEN };
        let bar = Page::paint(style, &draw::bar(all, budget, room).replace(' ', "░"));
        let name = wrap::left("budget", super::NAME);
        let said = wrap::cut(&format!("{all} of {budget}{share}"), SAID);
        put(&mut out, &format!("  {name} {bar} {said}\n"));
    }
    let schema = told.store_schema;
    let inside = match free_inside {
        Bytes::ZERO => String::new(),
        free => format!(", {free} of it free for what comes"),
    };
    out += &fact(page, "database", &format!("{database}{inside}; schema {schema}"));
    out += &fact(page, "log", &format!("{wal} beside it, which is written first"));
    let disk = disk_free.map_or("unknown".to_owned(), |free| format!("{free} free"));
    let floor = disk_floor.map(|floor| format!("; the oldest is given up to leave {floor}"));
    out + &fact(page, "disk", &(disk + &floor.unwrap_or_default()))
}

/// A row of a table of samples: a name, two cells about it, samples, bytes, bytes a sample.
fn row(page: Page, cells: [&str; 6]) -> String {
    let [name, first, second, samples, bytes, each] = cells;
    let text = format!(
        "  {} {} {} {} {} {}",
        wrap::left(name, 11),
        wrap::right(first, 16),
        wrap::right(second, 11),
        wrap::right(samples, 9),
        wrap::right(bytes, 9),
        wrap::right(each, 8),
    );
    wrap::cut(&text, page.width)
}

fn dash(shown: Option<String>) -> String {
    shown.unwrap_or_else(|| "–".to_owned())
}

fn tiers(page: Page, told: &Overview) -> String {
    let mut out = page.head("How far back", "times are UTC");
    let head = ["", "oldest", "reaches", "samples", "size", "B/sample"];
    put(&mut out, &format!("{}\n", Page::paint(DIM, &row(page, head))));
    for tier in told.tiers.iter().filter(|tier| tier.rows > 0) {
        let name = format!("{} {}", tier.name, if tier.name == "raw" { tier.form } else { "" });
        let from = tier.stretch.map(|stretch| stretch.from);
        let line = reach(page, told, name.trim_end(), from, tier.samples, tier.bytes);
        put(&mut out, &format!("{line}\n"));
    }
    let names = told.groups.iter().map(|group| group.facts).sum::<Bytes>();
    let events = told.events.iter().map(|events| events.bytes).sum::<Bytes>();
    for (name, bytes) in [("names", names), ("events", events)] {
        let line = row(page, [name, "", "", "", &bytes.to_string(), ""]);
        put(&mut out, &format!("{}\n", line.trim_end()));
    }
    let samples = told.tiers.iter().filter_map(|tier| tier.samples).reduce(u64::saturating_add);
    if let (Some(samples), Some(history)) = (samples, told.history) {
        let uncounted = told.tiers.iter().filter(|tier| tier.samples.is_none());
        let uncounted: Bytes = uncounted.map(|tier| tier.bytes).sum();
        let Size { database, free_inside, .. } = told.size;
        let used = database.saturating_sub(free_inside).saturating_sub(uncounted);
        let line = reach(page, told, "all sealed", Some(history.from), Some(samples), used);
        put(&mut out, &format!("{}\n", Page::paint(BOLD, &line)));
    }
    out + &kept(page, told)
}

fn reach(
    page: Page,
    told: &Overview,
    name: &str,
    from: Option<Moment>,
    samples: Option<u64>,
    bytes: Bytes,
) -> String {
    let end = told.history.map(|history| history.to.0);
    let reach = from.and_then(|from| Some(span(end?.since(from.0))));
    let cells = [
        name,
        &dash(from.map(Moment::minute)),
        &dash(reach),
        &dash(samples.map(count)),
        &bytes.to_string(),
        &per_sample(bytes, samples.unwrap_or(0)),
    ];
    row(page, cells)
}

/// How long each tier is kept.
fn kept(page: Page, told: &Overview) -> String {
    let kept = told.tiers.iter().filter_map(|tier| Some((tier.name, tier.keep_seconds?)));
    let mut kept: Vec<_> = kept.collect();
    kept.dedup();
    if kept.is_empty() {
        return String::new();
    }
    let said = |(tier, keep): &(&str, u64)| format!("{tier} {}", span(Duration::from_secs(*keep)));
    let all: Vec<String> = kept.iter().map(said).collect();
    let all = all.join(" · ");
    page.item("  ", &format!("kept for: {all}; limits of {}", told.limits_from), DIM)
}

fn groups(page: Page, told: &Overview) -> String {
    let mut out = page.head("What is recorded", "sealed; what is fresh is not counted yet");
    let head = ["", "seen", "series", "samples", "size", "B/sample"];
    put(&mut out, &format!("{}\n", Page::paint(DIM, &row(page, head))));
    for group in &told.groups {
        let cells = [
            group.name.as_str(),
            &count(group.entities),
            &dash(group.series.map(count)),
            &dash(group.samples.map(count)),
            &group.sealed.to_string(),
            &per_sample(group.sealed, group.samples.unwrap_or(0)),
        ];
        put(&mut out, &format!("{}\n", row(page, cells)));
    }
    out
}

/// The most boots, and settings of the clock, on the page; the JSON has all.
const ROWS: usize = 5;

fn past(page: Page, told: &Overview) -> String {
    let boots = u64::try_from(told.boots.len()).unwrap_or(u64::MAX);
    let mut out = page.head("What happened", &format!("{} on record", counted(boots, "boot")));
    for boot in told.boots.iter().rev().take(ROWS) {
        let now = if boot.current { ", this one" } else { "" };
        let id: String = boot.id.chars().take(8).collect();
        out += &fact(page, "boot", &format!("first seen {}, {id}…{now}", boot.first.second()));
    }
    out += &earlier(page, told.boots.len());
    for step in told.clock.iter().rev().take(ROWS) {
        let way = if step.by_ms < 0 { "back" } else { "forward" };
        let by = Span(Duration::from_millis(step.by_ms.unsigned_abs()));
        let said = format!("{}  set {way} by {by}", step.at.second());
        out += &page.item(&format!("  {} ", wrap::left("clock", super::NAME)), &said, YELLOW);
    }
    if told.clock.is_empty() {
        out += &fact(page, "clock", "never set by more than half a second");
    }
    out += &earlier(page, told.clock.len());
    for events in &told.events {
        let times = match events.stretch {
            Some(one) if one.from == one.to => format!(", {}", one.from.second()),
            Some(two) => format!(", from {} to {}", two.from.second(), two.to.second()),
            None => String::new(),
        };
        out += &fact(page, &events.kind, &format!("{}{times}", counted(events.count, "event")));
    }
    if told.events.is_empty() {
        out += &fact(page, "events", "none");
    }
    out
}

fn earlier(page: Page, all: usize) -> String {
    if all <= ROWS {
        return String::new();
    }
    let text = format!("and {} earlier ones (--json has all)", all - ROWS);
    page.item(&" ".repeat(super::NAME + 3), &text, Style::new().dimmed())
}

#[cfg(test)]
mod tests {
    use highwater_core::time::WallTime;

    use super::*;
    use crate::view::store::Stretch;
    use crate::view::store::overview::{Boot, Events, Group, Recorder, Step, Tier};

    const DAY: i64 = 86_400_000;

    fn at(ms: i64) -> Moment {
        Moment(WallTime::from_millis(1_772_424_669_100 + ms))
    }

    fn tier(tier: &'static str, form: &'static str, days: i64, samples: u64, bytes: u64) -> Tier {
        Tier {
            name: tier,
            form,
            stretch: Some(Stretch { from: at((-days * DAY).min(-570_000)), to: at(-3_100) }),
            rows: 1,
            samples: (samples > 0).then_some(samples),
            bytes: Bytes::new(bytes),
            keep_seconds: Some(match tier {
                "raw" => 7 * 86_400,
                "1 min" => 30 * 86_400,
                _ => 400 * 86_400,
            }),
        }
    }

    fn group(group: &str, entities: u64, metrics: u64, samples: u64, bytes: u64) -> Group {
        let series = Some(entities * metrics);
        let (name, samples) = (group.to_owned(), Some(samples));
        let (sealed, bytes) = (Bytes::new(bytes), Bytes::new(bytes));
        let facts = Bytes::new(entities * 71);
        Group { name, entities, facts, metrics, series, samples, sealed, bytes }
    }

    fn boot(id: &str, day: i64) -> Boot {
        Boot { id: id.to_owned(), first: at(day * DAY), current: false }
    }

    /// A recording as one meets it: a month old, with a clock that was set once.
    fn usual() -> Overview {
        Overview {
            schema: 1,
            path: "/var/lib/highwater/highwater.db".to_owned(),
            store_schema: 4,
            now: at(0),
            history: Some(Stretch { from: at(-31 * DAY), to: at(-3_100) }),
            recorder: Recorder {
                state: State::Recording,
                pid: Some(812),
                last_reading: Some(at(-3_100)),
                age_seconds: Some(3),
                trouble: None,
                told: Some(at(-1_000)),
                waiting: 0,
                slowed: vec![],
            },
            size: Size {
                database: Bytes::new(318_767_104),
                wal: Bytes::new(2_113_592),
                free_inside: Bytes::new(4_190_208),
                budget: Some(Bytes::from_mib(2048)),
                disk_free: Some(Bytes::from_mib(22_630)),
                disk_floor: Some(Bytes::from_mib(512)),
            },
            tiers: vec![
                tier("raw", "fresh", 0, 0, 1_402_880),
                tier("raw", "sealed", 1, 14_900_210, 7_301_103),
                tier("raw", "daily", 7, 263_004_118, 139_392_182),
                tier("1 min", "daily", 30, 226_801_034, 131_544_600),
                tier("10 min", "daily", 31, 21_220_190, 14_429_729),
            ],
            groups: vec![
                group("machine", 1, 214, 41_318_012, 19_831_640),
                group("zone", 5, 9, 8_688_645, 3_648_000),
                group("cgroup", 94, 31, 281_094_881, 154_602_184),
                group("process", 2_310, 14, 142_390_022, 86_802_104),
                group("owner", 61, 9, 48_002_331, 26_401_203),
                group("thing", 310, 1, 4_431_661, 2_785_363),
            ],
            boots: vec![
                boot("3b1f7a520c2e4d689a1e1f2e3d4c5b6a", -31),
                Boot { current: true, ..boot("c0ffee520c2e4d689a1e1f2e3d4c5b6a", -12) },
            ],
            clock: vec![Step {
                at: at(-3 * DAY),
                by_ms: -3_600_000,
                boot: "c0ffee520c2e4d689a1e1f2e3d4c5b6a".to_owned(),
            }],
            events: vec![
                Events {
                    kind: "death".to_owned(),
                    count: 4,
                    bytes: Bytes::new(19_922),
                    stretch: Some(Stretch { from: at(-20 * DAY), to: at(-11_400_000) }),
                },
                Events {
                    kind: "recorder".to_owned(),
                    count: 3,
                    bytes: Bytes::new(198),
                    stretch: Some(Stretch { from: at(-31 * DAY), to: at(-12 * DAY) }),
                },
            ],
            limits_from: "the agent's last run, by /etc/highwater/config.toml".to_owned(),
            notes: vec![],
            option: String::new(),
        }
    }

    fn plain(told: &Overview, width: usize) -> String {
        anstream::adapter::strip_str(&page(Page { width }, told)).to_string()
    }

    #[test]
    fn the_manual_shows_this_page() {
        let text = plain(&usual(), 80);
        let manual = include_str!("../../../../../docs/manual/store.md");
        assert!(manual.contains(&text), "docs/manual/store.md should show:\n{text}");
    }

    #[test]
    fn the_worst_recording_fits_its_page() {
        let mut told = usual();
        told.path = format!("/srv/{}/highwater.db", "内存".repeat(60));
        told.size.database = Bytes::new(u64::MAX);
        told.recorder = Recorder {
            state: State::Stalled,
            pid: Some(u32::MAX),
            last_reading: Some(at(-400 * DAY)),
            age_seconds: Some(u64::MAX),
            trouble: Some("y".repeat(300)),
            told: Some(at(-400 * DAY)),
            waiting: u64::MAX,
            slowed: vec!["survey".to_owned(), "close-ups".to_owned()],
        };
        told.notes = vec!["x".repeat(300)];
        for tier in &mut told.tiers {
            (tier.samples, tier.bytes) = (Some(u64::MAX), Bytes::new(u64::MAX));
        }
        for group in &mut told.groups {
            (group.entities, group.series) = (u64::MAX, Some(u64::MAX));
            group.name = "a group of a later version".to_owned();
        }
        for width in [60, 80, 120] {
            for line in plain(&told, width).lines() {
                assert!(wrap::width(line) <= width, "{line}");
            }
        }
    }

    #[test]
    fn one_that_cannot_store_is_said_not_to_and_how_old_that_is() {
        let mut told = usual();
        told.recorder.state = State::Stalled;
        told.recorder.trouble = Some("the disk is full".to_owned());
        (told.recorder.waiting, told.recorder.age_seconds) = (1, Some(0));
        told.option = " --data-dir /x".to_owned();
        let text = plain(&told, 120);
        let first = "An agent (pid 812) runs, but cannot store, the last reading just now: \
                     highwater checkup --data-dir /x\n";
        assert!(text.contains(first), "{text}");
        let second = "It holds 1 reading in its memory, as of 1 s ago: the disk is full\n";
        assert!(text.contains(second), "{text}");
    }

    #[test]
    fn samples_and_their_size_are_of_the_same_rows() {
        let mut told = usual();
        told.tiers = vec![tier("raw", "fresh", 0, 0, 5_000), tier("raw", "sealed", 1, 100, 800)];
        told.size.database = Bytes::new(6_000);
        told.size.free_inside = Bytes::ZERO;
        let text = plain(&told, 80);
        let row = text.lines().find(|line| line.contains("all sealed")).unwrap();
        assert!(row.ends_with("1000 B    10.00"), "{row}");
    }

    #[test]
    fn an_empty_recording_has_a_page_too() {
        let mut told = usual();
        told.history = None;
        (told.tiers, told.groups, told.boots) = (vec![], vec![], vec![]);
        (told.clock, told.events) = (vec![], vec![]);
        told.recorder = Recorder {
            state: State::Stopped,
            pid: None,
            last_reading: None,
            age_seconds: None,
            trouble: None,
            told: None,
            waiting: 0,
            slowed: vec![],
        };
        let text = plain(&told, 80);
        assert!(text.contains("Nothing on record yet"), "{text}");
        assert!(text.contains("No agent is recording: highwater agent"), "{text}");
    }

    #[test]
    fn the_document_has_every_key() {
        let value = serde_json::to_value(usual()).unwrap();
        assert_eq!(value["history"]["from"], "2026-01-30T04:11:09.100Z");
        assert_eq!(value["size"]["wal_bytes"], 2_113_592);
        assert_eq!(value["recorder"]["state"], "recording");
        assert_eq!(value["tiers"][0]["samples"], serde_json::Value::Null);
    }
}
