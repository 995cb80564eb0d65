//! `why`, `restarts` and `checkup` on recordings of ends and starts, made here.

use std::path::Path;
use std::process::Output;

use highwater_core::event::{Event, Happening, Presence, Sight};
use highwater_core::evidence::Evidence;
use highwater_core::frame::{
    CgroupMemory, CgroupSample, CgroupVersion, Frame, MachineSample, MemInfo,
};
use highwater_core::id::{CgroupPath, Pid, StartTicks};
use highwater_core::limit::Limit;
use highwater_core::owner::Owner;
use highwater_core::testimony::{
    Ancestor, ContainerWord, Exit, Fact, Job, Limits, Origin, Party, Reception, Sent, Signal,
    Status, Testimony, UnitWord, Witness,
};
use highwater_core::time::{BootId, BootTime, Stamp, WallTime};
use highwater_core::units::Bytes;
use highwater_store::Store;
use serde_json::Value;

use crate::exits::highwater;

/// Between two lives, in ms.
const DOWN_MS: u64 = 15_000;

/// A life and the time down after it, in ms.
const EACH_MS: u64 = 450_000;

/// How often the unit ends.
const ENDS: u64 = 8;

fn boot() -> BootId {
    "3b1f7a520c2e4d689a1e1f2e3d4c5b6a".parse().unwrap()
}

/// Events at moments after the beginning, which was about an hour ago.
struct Recording {
    store: Store,
    begun: WallTime,
    count: u64,
}

impl Recording {
    fn new(dir: &Path) -> Self {
        let now = highwater_agent::clock::now().wall;
        let begun = now.before(std::time::Duration::from_mins(62));
        Self { store: Store::open(dir).unwrap(), begun, count: 0 }
    }

    fn stamp(&self, ms: u64) -> Stamp {
        Stamp {
            wall: self.begun.after(std::time::Duration::from_millis(ms)),
            boot: BootTime::from_micros(60_000_000 + ms * 1_000),
        }
    }

    fn put(&mut self, ms: u64, what: Happening) {
        self.count += 1;
        let Stamp { wall, boot: at } = self.stamp(ms);
        let key = format!("test:{}", self.count);
        let event = Event { wall, boot: Some(at), boot_id: boot(), key, what };
        self.store.record(&[event], None).unwrap();
    }

    fn say(&mut self, ms: u64, witness: Witness, about: Party, fact: Fact) {
        let text: String = format!("{fact:?}").chars().take(100).collect();
        self.quote(ms, witness, about, fact, &text);
    }

    fn quote(&mut self, ms: u64, witness: Witness, about: Party, fact: Fact, text: &str) {
        let source = format!("{witness} of the test");
        let evidence = Evidence { source, line: None, text: text.to_owned() };
        let testimony = Testimony { witness, about, fact, evidence };
        self.put(ms, Happening::Testimony(Box::new(testimony)));
    }

    fn unit(&mut self, ms: u64, word: UnitWord) {
        self.say(ms, Witness::Systemd, web(), Fact::Unit(word));
    }

    fn hears_all_but(&mut self, absent: &[(Witness, &str)]) {
        let presence = |witness: Witness| Presence {
            witness,
            absent: absent
                .iter()
                .find(|(who, _)| *who == witness)
                .map(|(_, why)| (*why).to_owned()),
        };
        let sight = Sight { witnesses: Witness::ALL.map(presence).to_vec() };
        self.put(0, Happening::Sight(sight));
    }

    /// Memory of the unit's cgroup, rising in each life.
    fn frames(&mut self) {
        for ms in (0..ENDS * EACH_MS).step_by(5_000) {
            let phase = ms % EACH_MS;
            let held = if phase > EACH_MS - DOWN_MS { 0 } else { 60 + phase * 440 / EACH_MS };
            let mem = MemInfo { mem_total: Some(Bytes::from_mib(4096)), ..MemInfo::default() };
            let cgroup = CgroupSample {
                path: CgroupPath::new(PATH),
                version: CgroupVersion::V2,
                memory: CgroupMemory {
                    usage: Some(Bytes::from_mib(held)),
                    limit: Some(Limit::At(Bytes::from_mib(512))),
                    ..CgroupMemory::default()
                },
            };
            let frame = Frame {
                stamp: self.stamp(ms),
                machine: Some(MachineSample { mem, ..MachineSample::default() }),
                cgroups: vec![cgroup],
                ..Frame::default()
            };
            self.store.append(&frame, boot()).unwrap();
        }
    }

    /// A unit that fails eight times in an hour, and is started again each time.
    fn storm(&mut self) {
        for n in 0..=ENDS {
            let (from, main) = (n * EACH_MS + 100, Some(first(n)));
            let limits = Box::new(Limits {
                memory: Some(Bytes::from_mib(512)),
                restart: Some("always".to_owned()),
                restart_after_ms: Some(DOWN_MS),
                start_limit: Some((0, 10_000)),
                ..Limits::default()
            });
            let invocation = Some(format!("{n:032x}"));
            let restarts = u32::try_from(n).ok();
            let started =
                UnitWord::Started { main, invocation: invocation.clone(), restarts, limits };
            self.unit(from, started);
            if n == ENDS {
                break;
            }
            let to = (n + 1) * EACH_MS + 100 - DOWN_MS;
            let status = Status::Code(1);
            let exit = Exit { status, lived_ms: Some(to - from), is_first: Some(true) };
            self.say(to, Witness::Processes, process(n), Fact::Exited(exit));
            let status = Some(status);
            self.unit(
                to + 5,
                UnitWord::MainExited { main, status, invocation: invocation.clone() },
            );
            let result = "exit-code".to_owned();
            self.unit(to + 10, UnitWord::Result { result, invocation });
            self.unit(to + 20, UnitWord::RestartScheduled { count: Some(n + 1) });
        }
    }

    /// Somebody kills it from a shell.
    fn kill(&mut self, ms: u64, n: u64) {
        let by = Party {
            comm: Some("kill".to_owned()),
            command: Some("kill -9 1000".to_owned()),
            parents: vec![Ancestor { pid: Pid::new(812), comm: "bash".to_owned() }],
            uid: Some(0),
            login_uid: Some(1000),
            owner: Some(Owner::Session("session-4.scope".to_owned())),
            ..Party::of_pid(Pid::new(4711))
        };
        let sent = Sent {
            signal: Signal::KILL,
            origin: Origin::User,
            to_process: true,
            reception: Reception::Delivered,
            by: Box::new(by),
        };
        self.say(ms, Witness::Signals, process(n), Fact::Signalled(sent));
        let status = Status::Signal { signal: Signal::KILL, core: false };
        let exit = Exit { status, lived_ms: Some(5_000), is_first: Some(true) };
        self.say(ms + 1, Witness::Processes, process(n), Fact::Exited(exit));
        let (main, status) = (Some(first(n)), Some(status));
        self.unit(ms + 5, UnitWord::MainExited { main, status, invocation: None });
        let result = "signal".to_owned();
        self.unit(ms + 10, UnitWord::Result { result, invocation: None });
    }
}

const PATH: &[u8] = b"/system.slice/web.service";

fn web() -> Party {
    Party {
        cgroup: Some(CgroupPath::new(PATH)),
        ..Party::of_owner(Owner::Unit("web.service".to_owned()))
    }
}

fn first(n: u64) -> Pid {
    Pid::new(1000 + u32::try_from(n).unwrap())
}

fn process(n: u64) -> Party {
    Party {
        pid: Some(first(n)),
        start: Some(StartTicks::new(n * EACH_MS / 10)),
        comm: Some("shopd".to_owned()),
        command: Some("/usr/bin/shopd --port 8080".to_owned()),
        uid: Some(33),
        ..web()
    }
}

fn run(dir: &Path, args: &[&str]) -> Output {
    highwater(args).arg("--data-dir").arg(dir).output().unwrap()
}

fn text(dir: &Path, args: &[&str]) -> String {
    let done = run(dir, args);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(said.is_empty(), "{args:?}: {said}");
    let text = String::from_utf8(done.stdout).unwrap();
    // Commands are never wrapped: they are there to be copied.
    let is_command = |line: &str| line.starts_with("      journalctl ");
    assert!(text.lines().all(|line| is_command(line) || line.chars().count() <= 80), "{text}");
    assert!(!text.contains('\x1b'));
    text
}

fn json(dir: &Path, args: &[&str]) -> Value {
    let done = run(dir, &[args, &["--json"]].concat());
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    serde_json::from_slice(&done.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}

fn stormy() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut recording = Recording::new(dir.path());
    recording.hears_all_but(&[]);
    recording.frames();
    recording.storm();
    dir
}

#[test]
fn eight_restarts_in_an_hour_are_all_told_and_are_a_storm() {
    let dir = stormy();
    let told = json(dir.path(), &["restarts", "web"]);
    let story = &told["owners"][0];
    assert_eq!((&told["schema"], &story["owner"]["id"]), (&1.into(), &"web.service".into()));
    assert_eq!((&story["unwanted_ends"], &story["restarts"]), (&8.into(), &8.into()), "{story:#}");
    assert_eq!(story["storms"][0]["ends"], 8);
    assert_eq!(story["brake"], "none");
    let lives = story["lives"].as_array().unwrap();
    assert_eq!(lives.len(), 9);
    assert!(lives[..8].iter().all(|life| life["cause"] == "exit-code"), "{story:#}");
    assert!(lives[1..].iter().all(|life| life["down_seconds"] == 15.0), "{story:#}");
    assert!(lives[8]["ended"].is_null());
    let memory = &lives[2]["memory"];
    let amount = |key: &str| memory[key].as_u64().unwrap();
    assert!(amount("start_bytes") < amount("death_bytes"), "{memory}");
    assert_eq!(amount("limit_bytes"), 512 << 20);
    let chances = story["miss_chances"].as_array().unwrap();
    let of_minute = chances.iter().find(|one| one["scrape_seconds"] == 60.0).unwrap();
    assert!((of_minute["chance"].as_f64().unwrap() - 0.1001).abs() < 0.001, "{of_minute}");
    let page = text(dir.path(), &["restarts", "web.service"]);
    for words in [
        "web.service ended 8 times unwanted; it has been up for",
        "A storm: 8 ends in",
        "Restart=always without a StartLimit",
        "every 1 min",
        "10 %",
        "exit-code (1)",
        "How it grew in each life",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
}

#[test]
fn all_owners_are_listed_the_stormiest_first() {
    let dir = stormy();
    let page = text(dir.path(), &["restarts"]);
    assert!(page.contains("1 owner on record, 8 unwanted ends, 1 owner in a storm"), "{page}");
    let since = json(dir.path(), &["restarts", "--since", "5min"]);
    assert_eq!(since["owners"][0]["unwanted_ends"], 1, "{since:#}");
    let narrow = json(dir.path(), &["restarts", "--window", "20min", "--scrape", "5s"]);
    assert_eq!(narrow["owners"][0]["storms"], serde_json::json!([]));
    assert_eq!(narrow["owners"][0]["miss_chances"][0]["scrape_seconds"], 5.0);
    let nobody = run(dir.path(), &["restarts", "nobody"]);
    assert_eq!(nobody.status.code(), Some(1));
    let said = String::from_utf8(nobody.stderr).unwrap();
    assert!(said.contains("no start or end of nobody is on record"), "{said}");
    for wrong in [&["restarts", "--window", "0s"][..], &["restarts", "--scrape", "x"]] {
        assert_eq!(run(dir.path(), wrong).status.code(), Some(64), "{wrong:?}");
    }
}

#[test]
fn a_killed_service_has_a_killer() {
    let dir = tempfile::tempdir().unwrap();
    let mut recording = Recording::new(dir.path());
    recording.hears_all_but(&[]);
    recording.kill(3_000_000, 0);
    drop(recording);
    let told = json(dir.path(), &["why", "web"]);
    let [death] = told["deaths"].as_array().unwrap().as_slice() else { panic!("{told:#}") };
    assert_eq!((&death["cause"], &death["confidence"]), (&"signal".into(), &"certain".into()));
    assert_eq!((&death["owner"]["kind"], &death["first"]), (&"unit".into(), &true.into()));
    assert_eq!(
        (&death["sender"]["comm"], &death["sender"]["login_uid"]),
        (&"kill".into(), &1000.into())
    );
    assert_eq!(death["sender"]["parents"][0]["comm"], "bash");
    assert_eq!(
        (&death["signal"], &death["status"]["signal"]),
        (&"SIGKILL".into(), &"SIGKILL".into())
    );
    assert_eq!(told["stuck"], serde_json::json!([]));
    let page = text(dir.path(), &["why"]);
    for words in ["kill (pid 4711)", "logged in as 1000", "bash (812)", "signal · certain"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    for name in ["1000", "shopd", "web.service"] {
        assert_eq!(
            json(dir.path(), &["why", name])["deaths"].as_array().unwrap().len(),
            1,
            "{name}"
        );
    }
    let shared = json(dir.path(), &["why", "web", "--anonymize"]);
    assert_eq!(shared["deaths"][0]["cause"], "signal", "{shared:#}");
    let shared = shared.to_string() + &text(dir.path(), &["why", "web", "--anonymize"]);
    for secret in ["shopd", "web.service", "8080"] {
        assert!(!shared.contains(secret), "{secret}: {shared}");
    }
}

/// What Docker and the kernel tell of `docker rm -f shop`, where `shop` ran a program of that name.
fn removed(recording: &mut Recording) {
    let whose = Owner::Container("shop".to_owned());
    let id = "34186d9bd07706222bd427bb647ceed81e8e108eb653ff73c7137099fca1cab6".to_owned();
    let of = |pid: u32, comm: &str| Party {
        comm: Some(comm.to_owned()),
        uid: Some(0),
        cgroup: Some(CgroupPath::new(b"/acme/run")),
        parents: vec![Ancestor { pid: Pid::new(80), comm: "payroll.sh".to_owned() }],
        ..Party::of_pid(Pid::new(pid))
    };
    let about = Party { container_id: Some(id.clone()), ..Party::of_owner(whose.clone()) };
    let first = Party {
        cgroup: Some(CgroupPath::new(format!("/docker/{id}").as_bytes())),
        owner: Some(whose),
        ..of(900, "shop")
    };
    let docker = |word: ContainerWord| Fact::Container(word);
    let started =
        ContainerWord::Started { first: first.pid, restarts: None, limits: Box::default() };
    recording.say(1_000, Witness::Docker, about.clone(), docker(started));
    let asker = Party { command: Some("docker rm -f shop".to_owned()), ..of(90, "docker") };
    recording.quote(5_000, Witness::Processes, asker, Fact::Ran, "docker rm -f shop");
    let kill = docker(ContainerWord::Kill { signal: Some(Signal::KILL) });
    let said = "kill shop signal=9 image=secretd";
    recording.quote(5_100, Witness::Docker, about.clone(), kill, said);
    let sent = Sent {
        signal: Signal::KILL,
        origin: Origin::User,
        to_process: true,
        reception: Reception::Delivered,
        by: Box::new(of(95, "runc")),
    };
    let said = "runc-95 [001] d..1. 66.1: signal_generate: sig=9 errno=0 code=0 comm=shop pid=900 \
                grp=1 res=0";
    recording.quote(5_110, Witness::Signals, first.clone(), Fact::Signalled(sent), said);
    let status = Status::Signal { signal: Signal::KILL, core: false };
    let exit = Exit { status, is_first: Some(true), lived_ms: None };
    let said = "exit pid=900 signal=SIGKILL core=false";
    recording.quote(5_120, Witness::Processes, first, Fact::Exited(exit), said);
    let died = docker(ContainerWord::Died { code: Some(137), oom: Some(false) });
    recording.quote(5_150, Witness::Docker, about.clone(), died, "die shop exitCode=137");
    recording.quote(
        5_160,
        Witness::Docker,
        about,
        docker(ContainerWord::Destroyed),
        "destroy shop",
    );
}

#[test]
fn who_asked_for_an_end_is_told_without_names_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut recording = Recording::new(dir.path());
    recording.hears_all_but(&[(Witness::Audit, "/home/acme/audit.log: no such file")]);
    removed(&mut recording);
    drop(recording);
    let whole = json(dir.path(), &["why", "shop"]);
    let shared = json(dir.path(), &["why", "shop", "--anonymize"]);
    for told in [&whole, &shared] {
        let death = &told["deaths"][0];
        assert_eq!(
            (&death["cause"], &death["confidence"]),
            (&"docker-remove".into(), &"certain".into()),
            "{told:#}"
        );
        let summary = death["summary"].as_str().unwrap();
        assert!(summary.contains("as docker (pid 90), run by "), "{summary}");
    }
    let page = text(dir.path(), &["why", "shop", "--anonymize"]);
    let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "Container container-1 was removed by force by Docker, as docker (pid 90)",
        "ran “docker rm -f container-1”, run by proc-1 in cgroup /cgroup-1/cgroup-2",
        "kill container-1 signal=9 image=word-",
        "container-1 (pid 900)",
        "how memory grew is left out",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let all = page + &shared.to_string();
    for words in ["comm=container-1 pid=900", "runc-95 [001] d..1."] {
        assert!(all.contains(words), "{words}: {all}");
    }
    for secret in ["shop", "acme", "payroll", "secretd", "34186d9bd077"] {
        assert!(!all.contains(secret), "{secret}: {all}");
    }
}

#[test]
fn what_is_left_out_beside_deaths_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut recording = Recording::new(dir.path());
    recording.hears_all_but(&[]);
    removed(&mut recording);
    recording.kill(3_000_000, 0);
    drop(recording);
    let said = "Ends that are left out: 1 that was wanted (--all)";
    let page = text(dir.path(), &["why"]);
    assert!(page.contains(said), "{page}");
    let told = json(dir.path(), &["why"]);
    assert!(told["notes"].to_string().contains(said), "{told:#}");
    assert!(!text(dir.path(), &["why", "--all"]).contains("left out"));
}

#[test]
fn restarts_and_the_check_up_can_be_shared_too() {
    let dir = stormy();
    let whole = json(dir.path(), &["restarts", "web"]);
    let shared = json(dir.path(), &["restarts", "web", "--anonymize"]);
    for told in [&whole, &shared] {
        assert_eq!(told["owners"][0]["unwanted_ends"], 8, "{told:#}");
    }
    assert_eq!(shared["owners"][0]["owner"]["id"], "unit-1.service", "{shared:#}");
    let checked = run(dir.path(), &["checkup", "--anonymize"]);
    let page = String::from_utf8(checked.stdout).unwrap();
    // The page has room for what is most urgent on this machine now, which may be something else.
    let ends = &json(dir.path(), &["checkup", "--anonymize"])["ends"];
    assert_eq!(ends["storms"], serde_json::json!(["unit-1.service"]), "{ends:#}");
    let own = serde_json::json!({"cause": "exit-code", "count": 8});
    assert!(ends["by_cause"].as_array().unwrap().contains(&own), "{ends:#}");
    let nobody = run(dir.path(), &["restarts", "acme", "--anonymize"]);
    assert_eq!(nobody.status.code(), Some(1));
    let said = String::from_utf8(nobody.stderr).unwrap();
    let listed = text(dir.path(), &["restarts", "--anonymize"]);
    let place = dir.path().display().to_string();
    for shown in [shared.to_string(), page, said, listed] {
        for secret in ["web.service", "acme", &place] {
            assert!(!shown.contains(secret), "{secret}: {shown}");
        }
    }
    for wrong in [&["--anonymize", "agent", "--print-config"][..], &["--anonymize", "man"]] {
        assert_eq!(highwater(wrong).output().unwrap().status.code(), Some(64), "{wrong:?}");
    }
}

#[test]
fn a_wanted_end_is_told_only_to_who_asks_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut recording = Recording::new(dir.path());
    recording.hears_all_but(&[]);
    recording.unit(1_000, UnitWord::Asked { job: Job::Stop });
    recording.unit(1_010, UnitWord::Stopping);
    let status = Some(Status::Signal { signal: Signal::TERM, core: false });
    recording.unit(1_200, UnitWord::MainExited { main: Some(first(0)), status, invocation: None });
    let result = "success".to_owned();
    recording.unit(1_210, UnitWord::Result { result, invocation: None });
    recording.unit(1_220, UnitWord::Stopped);
    drop(recording);
    assert_eq!(json(dir.path(), &["why"])["deaths"], serde_json::json!([]));
    let page = text(dir.path(), &["why"]);
    assert!(page.contains("Other ends are on record: 1 that was wanted: --all"), "{page}");
    for args in [&["why", "--all"][..], &["why", "web"]] {
        let told = json(dir.path(), args);
        assert_eq!(told["deaths"][0]["cause"], "systemd-stop", "{args:?}: {told:#}");
    }
    let story = &json(dir.path(), &["restarts", "web"])["owners"][0];
    assert_eq!((&story["unwanted_ends"], &story["ends"]), (&0.into(), &1.into()), "{story:#}");
}

#[test]
fn without_a_witness_the_sender_is_unknown_and_the_witness_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut recording = Recording::new(dir.path());
    recording.hears_all_but(&[(Witness::Signals, "needs root and tracefs")]);
    let status = Some(Status::Signal { signal: Signal::KILL, core: false });
    recording.unit(1_000, UnitWord::MainExited { main: Some(first(0)), status, invocation: None });
    let result = "signal".to_owned();
    recording.unit(1_010, UnitWord::Result { result, invocation: None });
    drop(recording);
    let told = json(dir.path(), &["why"]);
    let death = &told["deaths"][0];
    assert!(death["sender"].is_null(), "{death:#}");
    let missing = death["missing"].as_array().unwrap();
    assert!(
        missing
            .iter()
            .any(|one| one["witness"] == "signals" && one["why"] == "needs root and tracefs"),
        "{death:#}"
    );
    let page = text(dir.path(), &["why"]);
    assert!(page.contains("signal tracepoint: needs root and tracefs"), "{page}");
}

#[test]
fn a_check_up_tells_of_storms_and_of_who_is_not_heard() {
    let dir = stormy();
    let told = json(dir.path(), &["checkup"]);
    let ends = &told["ends"];
    // What this machine's own kernel says of programs that crashed is told, too.
    let mut counts = ends["by_cause"].as_array().unwrap().iter();
    assert_eq!(counts.find(|one| one["cause"] == "exit-code").unwrap()["count"], 8, "{ends:#}");
    assert_eq!(ends["storms"], serde_json::json!(["web.service"]));
    assert_ne!(told["severity"], "ok");
    assert_eq!(ends["unheard"], serde_json::json!([]));
}
