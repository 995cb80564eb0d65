//! The judge of deaths: what witnesses say in, one verdict for each death out.

mod causes;
mod containers;
mod doubts;
mod joining;
mod lives;
mod order;
mod signals;
mod ways;

use std::fmt::Write as _;

use highwater_core::event::{Presence, Sight};
use highwater_core::evidence::Evidence;
use highwater_core::id::{CgroupPath, Pid, StartTicks};
use highwater_core::limit::Limit;
use highwater_core::owner::Owner;
use highwater_core::testimony::{
    Ancestor, ContainerWord, Exit, Fact, Limits, OomWord, Origin, Party, PodWord, Reception, Sent,
    Signal, Status, Testimony, UnitWord, Witness,
};
use highwater_core::time::{BootId, BootTime, WallTime};
use highwater_core::units::Bytes;
use highwater_diagnose::death::Confidence;
use highwater_diagnose::inquest::{Cause, Heard, Hearing, Inquest, OomKill, Verdict, inquire};

/// The first day of a year, in milliseconds since 1970.
const DAY_MS: i64 = 1_767_225_600_000;

const ID: &str = "34186d9bd07706222bd427bb647ceed81e8e108eb653ff73c7137099fca1cab6";

const EVERYBODY: &[Witness] = &Witness::ALL;

/// What is said in one test.
#[derive(Clone, Debug, Default)]
struct Said {
    heard: Vec<Heard>,
    kills: Vec<OomKill>,
    sights: Vec<(WallTime, Sight)>,
}

fn wall(ms: i64) -> WallTime {
    WallTime::from_millis(DAY_MS + ms)
}

fn boot(ms: i64) -> BootTime {
    BootTime::from_micros(u64::try_from(5_000_000 + ms).unwrap() * 1_000)
}

fn boot_id() -> BootId {
    "3b1f7a520c2e4d689a1e1f2e3d4c5b6a".parse().unwrap()
}

fn killed(signal: Signal) -> Status {
    Status::Signal { signal, core: false }
}

fn unit(name: &str) -> Owner {
    Owner::Unit(name.to_owned())
}

/// A process of a unit.
fn process(pid: u32, comm: &str, unit: &str) -> Party {
    let cgroup = CgroupPath::new(format!("/system.slice/{unit}").as_bytes());
    Party { cgroup: Some(cgroup), ..person(pid, comm) }
}

/// A process somewhere.
fn person(pid: u32, comm: &str) -> Party {
    let start = Some(StartTicks::new(u64::from(pid) * 10));
    Party { start, comm: Some(comm.to_owned()), ..Party::of_pid(Pid::new(pid)) }
}

/// A command that somebody ran in a login session.
fn command(pid: u32, comm: &str, line: &str) -> Party {
    Party {
        command: Some(line.to_owned()),
        parents: vec![Ancestor { pid: Pid::new(700), comm: "bash".to_owned() }],
        login_uid: Some(1000),
        owner: Some(Owner::Session("session-4.scope".to_owned())),
        ..person(pid, comm)
    }
}

fn systemd() -> Party {
    person(1, "systemd")
}

fn runc() -> Party {
    person(9000, "runc")
}

/// A process of the container `web`, as its cgroup shows it.
fn contained(pid: u32, comm: &str) -> Party {
    let cgroup = CgroupPath::new(format!("/docker/{ID}").as_bytes());
    Party { cgroup: Some(cgroup), ..person(pid, comm) }
}

impl Said {
    fn say(&mut self, ms: i64, witness: Witness, about: Party, fact: Fact) -> &mut Self {
        let source = witness.name().to_owned();
        let text: String = format!("{fact:?}").chars().take(300).collect();
        let evidence = Evidence { source, line: None, text };
        self.heard.push(Heard {
            wall: Some(wall(ms)),
            boot: Some(boot(ms)),
            boot_id: Some(boot_id()),
            testimony: Testimony { witness, about, fact, evidence },
        });
        self
    }

    fn exit(&mut self, ms: i64, who: &Party, status: Status, is_first: Option<bool>) -> &mut Self {
        let exit = Exit { status, lived_ms: Some(5_000), is_first };
        self.say(ms, Witness::Processes, who.clone(), Fact::Exited(exit))
    }

    fn signal(&mut self, ms: i64, to: &Party, signal: Signal, by: &Party) -> &mut Self {
        self.made(ms, to, signal, by, Origin::User, true)
    }

    fn made(
        &mut self,
        ms: i64,
        to: &Party,
        signal: Signal,
        by: &Party,
        origin: Origin,
        to_process: bool,
    ) -> &mut Self {
        let by = Box::new(by.clone());
        let sent = Sent { signal, origin, to_process, reception: Reception::Delivered, by };
        self.say(ms, Witness::Signals, to.clone(), Fact::Signalled(sent))
    }

    fn ran(&mut self, ms: i64, who: &Party) -> &mut Self {
        self.say(ms, Witness::Processes, who.clone(), Fact::Ran)
    }

    fn unit(&mut self, ms: i64, witness: Witness, name: &str, word: UnitWord) -> &mut Self {
        self.say(ms, witness, Party::of_owner(unit(name)), Fact::Unit(word))
    }

    fn started(&mut self, ms: i64, name: &str, main: u32) -> &mut Self {
        let limits = Box::new(Limits { stop_timeout_ms: Some(3_000), ..Limits::default() });
        let main = Some(Pid::new(main));
        let word = UnitWord::Started { main, invocation: None, restarts: None, limits };
        self.unit(ms, Witness::Systemd, name, word)
    }

    fn main_exited(&mut self, ms: i64, name: &str, status: Status) -> &mut Self {
        let word = UnitWord::MainExited { main: None, status: Some(status), invocation: None };
        self.unit(ms, Witness::Journal, name, word)
    }

    fn result(&mut self, ms: i64, name: &str, result: &str) -> &mut Self {
        let word = UnitWord::Result { result: result.to_owned(), invocation: None };
        self.unit(ms, Witness::Journal, name, word)
    }

    fn docker(&mut self, ms: i64, word: ContainerWord) -> &mut Self {
        let owner = Owner::Container("web".to_owned());
        let about = Party { container_id: Some(ID.to_owned()), ..Party::of_owner(owner) };
        self.say(ms, Witness::Docker, about, Fact::Container(word))
    }

    fn docker_kill(&mut self, ms: i64, signal: Signal) -> &mut Self {
        self.docker(ms, ContainerWord::Kill { signal: Some(signal) })
    }

    fn died(&mut self, ms: i64, code: i32, oom: Option<bool>) -> &mut Self {
        self.docker(ms, ContainerWord::Died { code: Some(code), oom })
    }

    fn pod(&mut self, ms: i64, word: PodWord) -> &mut Self {
        let owner = Owner::Pod {
            namespace: "shop".to_owned(),
            pod: "cart-0".to_owned(),
            container: "cart".to_owned(),
        };
        self.say(ms, Witness::Kubernetes, Party::of_owner(owner), Fact::Pod(word))
    }

    fn counted(&mut self, ms: i64, cgroup: &str, oom: u64, kills: u64) -> &mut Self {
        let about = Party { cgroup: Some(CgroupPath::new(cgroup.as_bytes())), ..Party::default() };
        let word = OomWord::Counted { oom, kills, group_kills: 0, limit: None };
        self.say(ms, Witness::Cgroups, about, Fact::Oom(word))
    }

    fn oom(
        &mut self,
        ms: i64,
        who: &Party,
        cause: highwater_oom::Cause,
        limited_by: Option<&str>,
    ) -> &mut Self {
        let key = self.kills.len();
        let line = format!("Killed process {} ({})", who.pid.unwrap_or_default(), who);
        self.kills.push(OomKill {
            key,
            pid: who.pid,
            comm: who.comm.clone(),
            wall: Some(wall(ms)),
            boot: Some(boot(ms)),
            boot_id: Some(boot_id()),
            cause,
            confidence: Confidence::Certain,
            cgroup: who.cgroup.clone(),
            limited_by: limited_by.map(|path| CgroupPath::new(path.as_bytes())),
            limit: limited_by.map(|_| Limit::At(Bytes::from_mib(64))),
            usage: None,
            evidence: Evidence { source: "/dev/kmsg".to_owned(), line: None, text: line },
        });
        self
    }

    /// From the beginning on these were heard, and the others not.
    fn heard_by(&mut self, heard: &[Witness]) -> &mut Self {
        let presence = |witness: &Witness| Presence {
            witness: *witness,
            absent: (!heard.contains(witness)).then(|| format!("{witness} needs something")),
        };
        let sight = Sight { witnesses: Witness::ALL.iter().map(presence).collect() };
        self.sights.push((wall(-1_000_000), sight));
        self
    }

    fn judged(&self) -> Inquest {
        inquire(&Hearing { heard: &self.heard, kills: &self.kills, sights: &self.sights })
    }

    /// The only death there is.
    fn verdict(&self) -> Verdict {
        let inquest = self.judged();
        let told: Vec<&str> = inquest.deaths.iter().map(|death| death.summary.as_str()).collect();
        assert_eq!(inquest.deaths.len(), 1, "{told:#?}");
        inquest.deaths[0].clone()
    }
}

fn assert_cause(verdict: &Verdict, cause: Cause, confidence: Confidence) {
    assert_eq!((verdict.cause, verdict.confidence), (cause, confidence), "{}", told(verdict));
}

/// A verdict as text.
fn told(verdict: &Verdict) -> String {
    let mut out = format!("{}\n", verdict.summary);
    writeln!(out, "{} {}", verdict.cause.as_str(), verdict.confidence.name()).unwrap();
    writeln!(out, "who {} first {:?}", verdict.who, verdict.is_first).unwrap();
    writeln!(out, "status {:?} signal {:?}", verdict.status, verdict.signal).unwrap();
    writeln!(out, "sender {:?}", verdict.sender.as_ref().map(ToString::to_string)).unwrap();
    writeln!(out, "limit {:?} {:?}", verdict.limit_owner, verdict.limited_by).unwrap();
    let lists = [("-", &verdict.claims), ("!", &verdict.contradictions), ("x", &verdict.ruled_out)];
    for (mark, claims) in lists {
        for claim in claims {
            let sources: Vec<&str> = claim.evidence.iter().map(|at| at.source.as_str()).collect();
            writeln!(out, "{mark} {} {sources:?}", claim.text).unwrap();
        }
    }
    for (witness, why) in &verdict.missing {
        writeln!(out, "? {witness}: {why}").unwrap();
    }
    writeln!(out, "{:?}", verdict.witnesses).unwrap();
    out
}
