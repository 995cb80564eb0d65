//! The agent finds what grows in its own recording: events, numbers on its page, lines in `checkup`.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::Duration;

use highwater_agent::clock;
use highwater_core::event::{
    Event, Finding, Grower, Grown, GrowthLimit, Happening, HourlyRate, TimeLeft, Turn,
};
use highwater_core::frame::{
    CgroupMemory, CgroupSample, CgroupVersion, Frame, MachineSample, MemInfo,
};
use highwater_core::growth::{Resource, Verdict};
use highwater_core::id::CgroupPath;
use highwater_core::limit::Limit;
use highwater_core::series::{Matcher, NAME, Selection, SeriesSource};
use highwater_core::time::{BootId, BootTime, Stamp, WallTime};
use highwater_core::units::Bytes;
use highwater_store::{EventFilter, Reader, Store};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::exits::highwater;

const DAY: Duration = Duration::from_hours(24);

/// How often the recording has a reading: every five minutes, for three days.
const STEP: Duration = Duration::from_mins(5);
const READINGS: u32 = 3 * 24 * 12;

/// What leaks, a day.
const CREEP: f64 = 123e6;

const LEAK: &str = "leaky.service";
const MENDED: &str = "mended.service";

fn boot() -> BootId {
    "3b1f7a520c2e4d689a1e1f2e3d4c5b6a".parse().unwrap()
}

fn cgroup(name: &str, anon: f64) -> CgroupSample {
    let anon = Some(Bytes::from_f64(anon));
    let limit = Some(Limit::At(Bytes::from_mib(1024)));
    let memory = CgroupMemory { usage: anon, anon, limit, ..CgroupMemory::default() };
    let path = CgroupPath::new(format!("/system.slice/{name}").as_bytes());
    CgroupSample { path, version: CgroupVersion::V2, memory }
}

/// Noise in 0..1 that is the same in each run.
fn noise(seed: u32) -> f64 {
    let x = seed.wrapping_mul(0x9e37_79b9) ^ 0x85eb_ca6b;
    let x = (x ^ (x >> 15)).wrapping_mul(0x2c1b_3c6d);
    f64::from((x ^ (x >> 13)) % 1000) / 1000.0
}

fn reading(n: u32, wall: WallTime) -> Frame {
    let days = f64::from(n) / (24.0 * 12.0);
    let leak = 200e6 + CREEP * days + 2e6 * noise(n);
    // It leaked for a day, was started anew, and has been calm since.
    let held = if days < 1.0 { CREEP * days } else { 0.0 };
    let mended = 150e6 + held + 2e6 * noise(n + 7_000);
    let calm = 90e6 + 2e6 * noise(n + 9_000);
    let mem = MemInfo {
        mem_total: Some(Bytes::from_mib(8192)),
        mem_available: Some(Bytes::from_f64(6e9 - leak - mended - calm)),
        ..MemInfo::default()
    };
    let boot = BootTime::from_micros(60_000_000 + u64::from(n) * 300_000_000);
    Frame {
        stamp: Stamp { wall, boot },
        machine: Some(MachineSample { mem, processes: 2, ..MachineSample::default() }),
        cgroups: vec![cgroup(LEAK, leak), cgroup(MENDED, mended), cgroup("calm.service", calm)],
        ..Frame::default()
    }
}

/// What an earlier agent told of the one that is mended, two days ago.
fn told() -> Grown {
    let owner = Grower { kind: "unit".to_owned(), id: MENDED.to_owned(), name: MENDED.to_owned() };
    let finding = Finding {
        owner,
        resource: Resource::Anon,
        verdict: Verdict::Leak,
        rate: Some(HourlyRate { per_hour: CREEP / 24.0, low: 5e6, high: 5.3e6 }),
        confidence: 0.9,
        since: None,
        current: 270e6,
        limit: Some(GrowthLimit { kind: "own".to_owned(), at: 1_073_741_824.0 }),
        left: Some(TimeLeft { seconds: 600_000, soonest: 500_000, latest: None }),
        cause: Some("leak".to_owned()),
        claims: vec!["it grows".to_owned()],
    };
    Grown { turn: Turn::Begun, finding }
}

/// Three days that end now.
fn record(dir: &Path) {
    let now = clock::now().wall;
    let mut store = Store::open(dir).unwrap();
    for n in 0..READINGS {
        let wall = now.before(STEP * (READINGS - n));
        store.append(&reading(n, wall), boot()).unwrap();
    }
    let what = Happening::Growth(Box::new(told()));
    let wall = now.before(2 * DAY);
    let event = Event { wall, boot: None, boot_id: boot(), key: "growth:1".to_owned(), what };
    store.record(&[event], None).unwrap();
}

/// An agent of its own.
struct Running {
    child: Child,
    page: SocketAddr,
}

impl Running {
    fn start(dir: &Path) -> Self {
        // Somebody else may take it meanwhile; then the agent says so and the test fails.
        let page = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = dir.join("config.toml");
        let text = format!(
            "growth = {{ every = \"1s\", cpu_budget = \"100%\" }}\nweb.listen = \"{page}\"\n\
             survey = {{ every = \"10s\", docker = false, mappings_an_hour = \"0s\" }}\n\
             kmsg.enabled = false\nsample.every = \"1s\"\nagent.cpu_budget = \"100%\"\n\
             witness = {{ signals = false, processes = false, cgroups = false, journal = false, \
             systemd = false, docker_socket = \"\", podman_socket = \"\", audit_log = \"\" }}\n"
        );
        fs::write(&config, text).unwrap();
        let child = highwater(&["agent", "--config"])
            .arg(&config)
            .arg("--data-dir")
            .arg(dir)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, page }
    }

    /// The numbers on its page; nothing while there is none.
    fn metrics(&self) -> String {
        let Ok(mut page) = TcpStream::connect(self.page) else { return String::new() };
        let asked = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let mut text = String::new();
        if page.write_all(asked).is_err() || page.read_to_string(&mut text).is_err() {
            return String::new();
        }
        text
    }

    /// The value of the first series on the page that begins so.
    fn number(&self, series: &str) -> Option<f64> {
        let text = self.metrics();
        let line = text.lines().find(|line| line.starts_with(series))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    /// Waits until `is_so`; an agent that ended never comes to that.
    fn until(&mut self, is_so: impl Fn(&Self) -> bool) {
        while !is_so(self) {
            assert_eq!(self.child.try_wait().unwrap(), None, "the agent ended");
            sleep(Duration::from_millis(200));
        }
    }

    fn stop(mut self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

/// What was told of growths: of whom, and what became of it.
fn growths(dir: &Path) -> Vec<Grown> {
    let filter = EventFilter { kind: Some("growth"), ..EventFilter::default() };
    let events = Reader::open(dir).unwrap().events(&filter).unwrap();
    let grown = events.into_iter().filter_map(|stored| match stored.event.what {
        Happening::Growth(grown) => Some(*grown),
        _ => None,
    });
    grown.collect()
}

fn turns(dir: &Path, name: &str) -> Vec<Turn> {
    let all = growths(dir);
    all.iter().filter(|one| one.finding.owner.name == name).map(|one| one.turn).collect()
}

fn checkup(dir: &Path, args: &[&str]) -> String {
    let mut command = highwater(&["checkup"]);
    let done = command.args(args).arg("--data-dir").arg(dir).output().unwrap();
    assert!(matches!(done.status.code(), Some(0..=2)), "{:?}", done.status);
    String::from_utf8(done.stdout).unwrap()
}

/// What `checkup` says of the one that leaks, and who judged it.
fn told_by_checkup(dir: &Path) -> Option<(String, Value)> {
    let told: Value = serde_json::from_str(&checkup(dir, &["--json"])).unwrap();
    let growth = &told["growth"];
    let items = growth["items"].as_array()?;
    let of_leak = items.iter().find(|item| item["owner"]["name"] == LEAK)?;
    Some((growth["by"].as_str()?.to_owned(), of_leak.clone()))
}

fn assert_told(item: &Value) {
    assert_eq!((&item["resource"], &item["unit"]), (&"anon".into(), &"bytes".into()));
    assert_eq!(item["verdict"], "leak", "{item:#}");
    let rate = item["rate_bytes_per_hour"].as_f64().unwrap() * 24.0;
    assert!((rate - CREEP).abs() < CREEP / 10.0, "{rate}");
    assert_eq!(item["limit_bytes"], 1_073_741_824);
    let left = item["seconds_to_limit"].as_f64().unwrap();
    let truth = (1_073_741_824.0 - 200e6 - 3.0 * CREEP) / CREEP * 86_400.0;
    assert!((left - truth).abs() < truth / 10.0, "{left} of {truth}");
    assert!(!item["claims"].as_array().unwrap().is_empty());
}

#[test]
fn what_grows_is_told_once_shown_and_over_when_it_is_mended() {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path());
    let (by, item) = told_by_checkup(dir.path()).expect("no agent runs: it judges by itself");
    assert_eq!(by, "checkup");
    assert_told(&item);

    let mut agent = Running::start(dir.path());
    agent.until(|_| turns(dir.path(), MENDED).last().is_some_and(|turn| turn.is_end()));
    agent.until(|_| !turns(dir.path(), LEAK).is_empty());
    assert_eq!(turns(dir.path(), LEAK), [Turn::Begun]);
    assert_eq!(turns(dir.path(), MENDED), [Turn::Begun, Turn::Mended]);
    assert_eq!(turns(dir.path(), "calm.service"), []);
    let begun = growths(dir.path());
    let begun = &begun.iter().find(|one| one.finding.owner.name == LEAK).unwrap().finding;
    assert_eq!((begun.resource, begun.verdict), (Resource::Anon, Verdict::Leak));
    assert!(begun.claims.iter().any(|claim| claim.contains(LEAK)), "{:?}", begun.claims);

    let labels = format!("{{id=\"{LEAK}\",kind=\"unit\",resource=\"anon\",verdict=\"leak\"}}");
    let rate = agent.number(&format!("highwater_growth_bytes_per_hour{labels}")).unwrap();
    assert!((rate * 24.0 - CREEP).abs() < CREEP / 10.0, "{rate}");
    assert!(agent.number(&format!("highwater_seconds_to_limit{labels}")).unwrap() > 86_400.0);
    assert!(agent.number("highwater_growth_detection_seconds_total ").unwrap() > 0.0);

    let by_agent = |dir: &Path| told_by_checkup(dir).filter(|(by, _)| by == "agent");
    agent.until(|_| by_agent(dir.path()).is_some());
    assert_told(&by_agent(dir.path()).unwrap().1);
    let page = checkup(dir.path(), &[]);
    let line = page.lines().find(|line| line.starts_with("  grows ")).unwrap();
    assert!(line.contains(&format!("{LEAK} anon")) && line.ends_with("highwater leaks"), "{page}");
    let masked = checkup(dir.path(), &["--anonymize", "--json"]);
    assert!(!masked.contains(LEAK) && masked.contains("grower-1"), "{masked}");
    agent.until(|_| recorded(dir.path(), "highwater_growth_bytes_per_hour"));
    agent.until(|_| recorded(dir.path(), "highwater_seconds_to_limit"));
    agent.stop();

    let mut again = Running::start(dir.path());
    let looked = |agent: &Running| agent.number("highwater_growth_looks_total ") > Some(3.0);
    again.until(looked);
    assert!(again.number("highwater_growth_findings ") >= Some(1.0));
    again.stop();
    assert_eq!(turns(dir.path(), LEAK), [Turn::Begun], "it was told before the restart");
    assert_eq!(turns(dir.path(), MENDED), [Turn::Begun, Turn::Mended]);
}

/// Whether the series is in the recording, for rules to use.
fn recorded(dir: &Path, name: &str) -> bool {
    let now = clock::now().wall;
    let selection = Selection {
        matchers: vec![Matcher::is(NAME, name), Matcher::is("id", LEAK)],
        from: now.before(DAY),
        to: now,
        step: None,
        ends: false,
    };
    !Reader::open(dir).unwrap().select(&selection).unwrap().is_empty()
}
