//! `leaks` on imports of known truth: what other recorders would have seen of the incidents that
//! this program is for, written as OpenMetrics, taken in by `import` and judged as of a moment.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::exits::highwater;

const MB: f64 = 1_000_000.0;
const GIB: f64 = 1_073_741_824.0;
const HOUR: u64 = 3600;

/// 2024-04-27T00:00:00Z
const BEGIN: u64 = 1_714_176_000;

/// How often other recorders look.
const STEP: u64 = 300;

/// Incident A: 123 MB a day, on a machine of 4 GB.
const CREEP: f64 = 123.0 * MB / 24.0;
const HOST: f64 = 4_000_000_000.0;

/// Families of samples, to be written as one text.
#[derive(Default)]
pub(crate) struct Text {
    families: BTreeMap<&'static str, String>,
}

/// Noise in −1..1 that is the same in each run.
fn noise(seed: u64, at: u64) -> f64 {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ at.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^= x >> 29;
    x = x.wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^= x >> 32;
    f64::from(u32::try_from(x >> 32).unwrap()) / f64::from(u32::MAX) * 2.0 - 1.0
}

fn hours(seconds: u64) -> f64 {
    f64::from(u32::try_from(seconds).unwrap()) / 3600.0
}

impl Text {
    /// `value(hours)` every five minutes until `end` hours, with gaps of a sample and one of an hour.
    fn add(&mut self, name: &'static str, labels: &str, end: u64, value: impl Fn(f64) -> f64) {
        let family = self.families.entry(name).or_default();
        let seed = u64::try_from(family.len()).unwrap();
        for seconds in (0..=end * HOUR).step_by(usize::try_from(STEP).unwrap()) {
            let is_missing = noise(seed + 5, seconds) > 0.97 || seconds / HOUR == 9;
            // Scrapes are never quite on time.
            let late = if noise(seed + 6, seconds) > 0.0 { 0.25 } else { 1.5 };
            let at = f64::from(u32::try_from(BEGIN + seconds).unwrap()) + late;
            if !is_missing {
                writeln!(family, "{name}{{{labels}}} {} {at}", value(hours(seconds)).round())
                    .unwrap();
            }
        }
    }

    fn write(&self, path: &Path) {
        let mut text = String::new();
        for (name, samples) in &self.families {
            writeln!(text, "# TYPE {name} gauge").unwrap();
            text += samples;
        }
        text += "# EOF\n";
        std::fs::write(path, text).unwrap();
    }

    /// A gateway that is large and busy, and grows no more: sawtooth, a daily rhythm, and health
    /// checks that restart it now and then.
    fn gateway(&mut self, end: u64) {
        let labels = r#"name="gateway",id="/docker/9a01",image="gateway:3""#;
        let held = |h: f64| {
            let day = (h / 24.0 * std::f64::consts::TAU).sin();
            880.0 * MB
                + 30.0 * MB * day
                + 40.0 * MB * (h * 1.7).fract()
                + MB * noise(1, h.to_bits())
        };
        self.add("container_memory_rss", labels, end, held);
        self.add("container_memory_cache", labels, end, |_| 60.0 * MB);
        self.add("container_memory_working_set_bytes", labels, end, |h| held(h) + 20.0 * MB);
        self.add("container_spec_memory_limit_bytes", labels, end, |_| 1.5 * GIB);
        let began =
            |h: f64| f64::from(u32::try_from(BEGIN).unwrap()) + (h / 7.0).floor() * 25_200.0;
        self.add("container_start_time_seconds", labels, end, began);
        self.add("process_open_fds", labels, end, |h| {
            210.0 + (15.0 * noise(2, h.to_bits())).round()
        });
        self.add("process_threads", labels, end, |_| 34.0);
    }

    fn host(&mut self, end: u64, used: impl Fn(f64) -> f64, shmem: impl Fn(f64) -> f64) {
        self.add("node_memory_MemTotal_bytes", "", end, |_| HOST);
        self.add("node_memory_MemAvailable_bytes", "", end, |h| {
            HOST - used(h) - 12.0 * MB * noise(3, h.to_bits())
        });
        self.add("node_memory_Shmem_bytes", "", end, shmem);
    }
}

/// An import of `text`, to be judged.
pub(crate) struct Imported {
    dir: tempfile::TempDir,
}

/// What a shell makes of what is typed: words, and what stands between single quotes.
pub(crate) fn words(typed: &str) -> Vec<&str> {
    let parts = typed.split('\'').enumerate();
    parts
        .flat_map(|(at, part)| match at % 2 {
            0 => part.split_whitespace().collect(),
            _ => vec![part],
        })
        .collect()
}

impl Imported {
    pub(crate) fn new(text: &Text) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("series.om");
        text.write(&file);
        let data = dir.path().join("data");
        let done = highwater(&["import", file.to_str().unwrap()])
            .args(["--data-dir", data.to_str().unwrap()])
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        Self { dir }
    }

    /// The directory.
    pub(crate) fn data(&self) -> std::path::PathBuf {
        self.dir.path().join("data")
    }

    fn say(&self, args: &[&str]) -> String {
        self.answer("leaks", args)
    }

    /// What a command prints, which must not fail.
    pub(crate) fn answer(&self, command: &str, args: &[&str]) -> String {
        let done = self.run(command, args);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    pub(crate) fn run(&self, command: &str, args: &[&str]) -> Output {
        let data = self.dir.path().join("data");
        let mut command = highwater(&[command, "--data-dir", data.to_str().unwrap()]);
        command.args(args).output().unwrap()
    }

    /// What the manual shows is what the command prints. `TRYCMD=overwrite` writes it there.
    pub(crate) fn manual(&self, command: &str, examples: usize) {
        let path = format!("{}/../../docs/manual/{command}.md", env!("CARGO_MANIFEST_DIR"));
        let page = std::fs::read_to_string(&path).unwrap();
        let mut real = String::new();
        let mut is_output = false;
        let mut shown = 0;
        for line in page.lines() {
            is_output &= line != "```";
            if !is_output {
                writeln!(real, "{line}").unwrap();
            }
            if let Some(typed) = line.strip_prefix(&format!("$ highwater {command} ")) {
                real += &self.answer(command, &words(typed));
                is_output = true;
                shown += 1;
            }
        }
        assert_eq!(shown, examples, "examples");
        if std::env::var("TRYCMD").is_ok_and(|what| what == "overwrite") {
            std::fs::write(&path, real).unwrap();
        } else {
            assert_eq!(page, real, "the manual shows something else than the command");
        }
    }

    /// Everything as of so many hours after the beginning.
    fn at(&self, hours: u64) -> Vec<Value> {
        let at = (BEGIN + hours * HOUR).to_string();
        let told: Value = serde_json::from_str(&self.say(&["--at", &at, "--json"])).unwrap();
        assert_eq!(told["schema"], 1);
        told["items"].as_array().unwrap().clone()
    }
}

fn find<'i>(items: &'i [Value], name: &str, resource: &str) -> &'i Value {
    let is_it = |item: &&Value| item["owner"]["name"] == name && item["resource"] == resource;
    items.iter().find(is_it).unwrap_or_else(|| panic!("no {resource} of {name} in {items:#?}"))
}

/// Who is accused of what.
fn accused(items: &[Value]) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let leaks = items.iter().filter(|item| item["verdict"] == "leak");
    leaks.map(|item| (text(&item["owner"]["name"]), text(&item["resource"]))).collect()
}

fn says(item: &Value, what: &str) -> bool {
    item["claims"].as_array().unwrap().iter().any(|claim| {
        assert!(!claim["evidence"].as_array().unwrap().is_empty(), "{claim:#?}");
        claim["text"].as_str().unwrap().contains(what)
    })
}

/// The time that is left is told to within `tolerance` of the truth, and the truth is in its range.
fn is_close(item: &Value, seconds: f64, tolerance: f64) {
    let told = item["seconds_to_limit"].as_f64().unwrap_or_else(|| panic!("{item:#?}"));
    assert!((told / seconds - 1.0).abs() <= tolerance, "told {told}, true {seconds}: {item:#?}");
}

fn pair(name: &str, resource: &str) -> (String, String) {
    (name.to_owned(), resource.to_owned())
}

/// A gateway, and a collector that takes 123 MB a day.
pub(crate) fn creep() -> Text {
    let mut text = Text::default();
    let held = |h: f64| 250.0 * MB + CREEP * h + 2.0 * MB * noise(4, h.to_bits());
    text.gateway(48);
    text.add("container_memory_rss", r#"name="collector",id="/docker/7bc2""#, 48, held);
    text.add("container_memory_cache", r#"name="collector",id="/docker/7bc2""#, 48, |_| 9.0 * MB);
    text.host(48, |h| 1900.0 * MB + CREEP * h, |_| 20.0 * MB);
    text
}

#[test]
fn a_creep_is_found_by_the_end_of_the_second_day() {
    let imported = Imported::new(&creep());
    for hours in (6..48).step_by(6) {
        let items = imported.at(hours);
        assert!(accused(&items).iter().all(|(name, _)| name == "collector"), "{hours}: {items:#?}");
    }
    let items = imported.at(48);
    assert_eq!(accused(&items), [pair("collector", "anon")]);
    let leak = find(&items, "collector", "anon");
    is_close(leak, (HOST - 1900.0 * MB - 48.0 * CREEP) / CREEP * 3600.0, 0.25);
    let rate = leak["rate_bytes_per_hour"].as_f64().unwrap();
    assert!((rate / CREEP - 1.0).abs() < 0.1, "{rate}");
    assert_eq!((&leak["kind"], &leak["unit"]), (&"anon".into(), &"bytes".into()));
    assert_eq!((&leak["root_cause"], &leak["limit_bytes"]), (&"leak".into(), &Value::Null));
    assert!(says(leak, "has no limit"));
    assert!(says(leak, "not the largest: container gateway holds the most"), "{leak:#?}");
}

#[test]
fn a_log_on_tmpfs_is_a_leak_of_shared_memory() {
    let mut text = Text::default();
    let file = |h: f64| 150.0 * MB + CREEP * h;
    text.gateway(48);
    let logger = r#"name="shipper",id="/docker/51aa""#;
    text.add("container_memory_rss", logger, 48, |_| 45.0 * MB);
    text.add("container_memory_cache", logger, 48, |h| file(h) + 6.0 * MB);
    text.add("container_memory_working_set_bytes", logger, 48, |h| file(h) + 49.0 * MB);
    text.add("highwater_log_file_bytes", r#"path="/run/ship/debug.log""#, 48, file);
    let tmpfs = r#"device="tmpfs",fstype="tmpfs",mountpoint="/run""#;
    text.add("node_filesystem_size_bytes", tmpfs, 48, |_| HOST);
    text.add("node_filesystem_avail_bytes", tmpfs, 48, |h| HOST - file(h));
    text.host(48, |h| 1700.0 * MB + file(h), |h| 20.0 * MB + file(h));
    let items = Imported::new(&text).at(48);
    let seconds = (HOST - 1700.0 * MB - file(48.0)) / CREEP * 3600.0;
    for (name, resource) in [("shipper", "shmem"), ("/run/ship/debug.log", "log")] {
        let leak = find(&items, name, resource);
        assert_eq!(leak["verdict"], "leak", "{leak:#?}");
        is_close(leak, seconds, 0.25);
    }
    assert!(accused(&items).iter().all(|(name, _)| name != "gateway"), "{items:#?}");
    assert!(says(find(&items, "the machine", "shmem"), "the sum it is counted in"));
}

#[test]
fn clean_page_cache_is_harmless_to_everybody() {
    let mut text = Text::default();
    text.gateway(48);
    let reader = r#"name="backup",id="/docker/60cd""#;
    text.add("container_memory_rss", reader, 48, |_| 35.0 * MB);
    text.add("container_memory_cache", reader, 48, |h| 150.0 * MB + CREEP * h);
    text.add("container_memory_working_set_bytes", reader, 48, |_| 60.0 * MB);
    text.host(48, |_| 1700.0 * MB, |_| 20.0 * MB);
    let items = Imported::new(&text).at(48);
    assert_eq!(accused(&items), []);
    let cache = find(&items, "backup", "cache");
    assert_eq!((&cache["verdict"], &cache["root_cause"]), (&"cache".into(), &"cache".into()));
    assert!(cache["seconds_to_limit"].is_null());
    assert!(says(cache, "it is harmless") && says(cache, "no reason for a kill"), "{cache:#?}");
}

/// Incident B: each life of 4 to 6 hours ends at 1 GiB, and descriptors go the same way.
#[test]
fn a_sawtooth_of_lives_is_found_within_three_of_them() {
    const LIVES: [f64; 4] = [4.6, 5.5, 5.0, 5.2];
    let life = |h: f64| {
        let ends = LIVES.iter().scan(0.0, |end, length| {
            *end += length;
            Some(*end)
        });
        let begins = ends.filter(|end| *end <= h).last().unwrap_or(0.0);
        let number = LIVES.iter().scan(0.0, |end, length| {
            *end += length;
            Some(*end)
        });
        let number = number.filter(|end| *end <= h).count().min(LIVES.len() - 1);
        (begins, LIVES[number])
    };
    let held = |h: f64| {
        let (begin, length) = life(h);
        60.0 * MB + (GIB - 60.0 * MB) * ((h - begin) / length).min(1.0)
            - 6.0 * MB * noise(7, h.to_bits()).abs()
    };
    let mut text = Text::default();
    let labels = r#"name="nas-agent",id="/system.slice/nas-agent.service""#;
    text.add("container_memory_rss", labels, 20, held);
    text.add("container_spec_memory_limit_bytes", labels, 20, |_| GIB);
    text.add("process_open_fds", labels, 20, |h| 25.0 + (h - life(h).0) * 160.0);
    text.add("process_max_fds", labels, 20, |_| 524_288.0);
    let began = f64::from(u32::try_from(BEGIN).unwrap());
    text.add("container_start_time_seconds", labels, 20, |h| began + life(h).0 * 3600.0);
    text.host(20, |h| 900.0 * MB + held(h), |_| 20.0 * MB);
    let imported = Imported::new(&text);
    // The third life ends 15.1 hours after the beginning, the fourth 5.2 later.
    for (hours, end) in [(14, 15.1), (17, 20.3)] {
        let items = imported.at(hours);
        let leak = find(&items, "nas-agent", "anon");
        assert_eq!(leak["verdict"], "leak", "{leak:#?}");
        let rest = end - f64::from(u32::try_from(hours).unwrap());
        is_close(leak, rest * 3600.0, 0.2);
        assert_eq!(leak["limit_bytes"], 1_073_741_824);
        assert!(says(leak, "ended before, each after about 5 h"), "{leak:#?}");
        let fds = find(&items, "nas-agent", "fds");
        assert_eq!((&fds["verdict"], &fds["unit"]), (&"leak".into(), &"count".into()), "{fds:#?}");
    }
}

/// Incident D: 500 MB to 3.8 GB in 12 hours, and no limit.
#[test]
fn a_container_without_a_limit_is_found_within_three_hours() {
    let rate = (3800.0 - 500.0) * MB / 12.0;
    let held = |h: f64| 500.0 * MB + rate * h + 70.0 * MB * (h * 5.3).fract();
    let mut text = Text::default();
    text.gateway(12);
    text.add("container_memory_rss", r#"name="orders",id="/docker/d00d""#, 12, held);
    text.host(12, |h| 1200.0 * MB + rate * h, |_| 20.0 * MB);
    let items = Imported::new(&text).at(3);
    assert_eq!(accused(&items), [pair("orders", "anon")]);
    let leak = find(&items, "orders", "anon");
    is_close(leak, (HOST - 1200.0 * MB - 3.0 * rate) / rate * 3600.0, 0.25);
    assert!(
        says(leak, "has no limit") && says(leak, "the machine's memory is used up"),
        "{leak:#?}"
    );
    assert_eq!((&leak["limit_bytes"], &leak["limit"]["kind"]), (&Value::Null, &"machine".into()));
    let causes = leak["root_causes"].as_array().unwrap();
    let holds = |name: &str| causes.iter().any(|one| one["cause"] == name && one["holds"] == true);
    assert!(holds("leak") && holds("misconfiguration") && !holds("burst"), "{causes:#?}");
}

#[test]
fn names_are_hostile_and_nobody_is_an_error() {
    let mut text = Text::default();
    let name = "a\u{1b}[31m\u{202e}b";
    let labels = format!(r#"name="{name}""#);
    text.add("container_memory_rss", &labels, 12, |h| 100.0 * MB + 40.0 * MB * h);
    let imported = Imported::new(&text);
    for args in [&["--all"][..], &["--all", "--json"], &["31m"]] {
        let said = imported.say(args);
        assert!(!said.contains('\u{1b}') && !said.contains('\u{202e}'), "{said}");
        assert!(said.contains(r"\x1b[31m") || said.contains(r"\\x1b[31m"), "{said}");
    }
    let data = imported.dir.path().join("data");
    let done =
        highwater(&["leaks", "nobody", "--data-dir", data.to_str().unwrap()]).output().unwrap();
    assert_eq!(done.status.code(), Some(1));
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(said.contains("nothing of nobody is on record"), "{said}");
    for args in [&["leaks", "--at", "soon"][..], &["leaks", "a", "b"], &["leaks", ""]] {
        assert_eq!(highwater(args).output().unwrap().status.code(), Some(64), "{args:?}");
    }
}

#[test]
fn before_anything_was_recorded_there_is_nothing() {
    let mut text = Text::default();
    text.gateway(6);
    let imported = Imported::new(&text);
    let at = (BEGIN - HOUR).to_string();
    let said = imported.say(&["--at", &at]);
    assert!(said.contains("nothing that could grow was on record"), "{said}");
    assert!(said.contains("no leak in 0 courses"), "{said}");
}

#[test]
fn the_manual_shows_real_output() {
    Imported::new(&creep()).manual("leaks", 2);
}
