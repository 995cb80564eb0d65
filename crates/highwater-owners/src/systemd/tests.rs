//! A systemd that is not one: its private socket, its units, its words.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{self, Either};
use highwater_core::id::{CgroupPath, Pid};
use highwater_core::owner::Owner;
use highwater_core::testimony::{Fact, Job, Signal, Status, UnitWord};
use highwater_core::time::{BootTime, WallTime};
use highwater_core::units::Bytes;
use tokio::net::UnixListener;
use zbus::message::{Message, Type};
use zbus::zvariant::{ObjectPath, OwnedObjectPath, Value};
use zbus::{Connection, Guid, MessageStream};

use super::{ANSWER_WITHIN, Bus, watch, watch_all};
use crate::told::{Absent, Heard, Told};

const WEB: &str = "/org/freedesktop/systemd1/unit/web_2eservice";
const LIFE: [u8; 16] = [0xab; 16];
const NEXT_LIFE: [u8; 16] = [0xcd; 16];
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const SERVICE: &str = "org.freedesktop.systemd1.Service";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";

type Said = Vec<(&'static str, Value<'static>)>;

/// What the fake systemd has: one service, whose state the test changes.
#[derive(Clone, Debug)]
struct Web {
    unit: Said,
    service: Said,
}

fn set(said: &mut Said, changes: Said) {
    for (name, value) in changes {
        said.retain(|(of, _)| *of != name);
        said.push((name, value));
    }
}

fn running() -> Web {
    Web {
        unit: vec![
            ("Id", Value::from("web.service")),
            ("LoadState", Value::from("loaded")),
            ("ActiveState", Value::from("active")),
            ("SubState", Value::from("running")),
            ("InvocationID", Value::from(LIFE.to_vec())),
            ("StateChangeTimestampMonotonic", Value::from(1_100_000_u64)),
            ("InactiveExitTimestampMonotonic", Value::from(1_000_000_u64)),
            ("ActiveEnterTimestampMonotonic", Value::from(1_100_000_u64)),
            ("StartLimitIntervalUSec", Value::from(10_000_000_u64)),
            ("StartLimitBurst", Value::from(5_u32)),
        ],
        service: vec![
            ("Result", Value::from("success")),
            ("MainPID", Value::from(77_u32)),
            ("ExecMainPID", Value::from(77_u32)),
            ("ExecMainStartTimestamp", Value::from(1_700_000_000_000_000_u64)),
            ("ExecMainStartTimestampMonotonic", Value::from(1_050_000_u64)),
            ("ExecMainExitTimestampMonotonic", Value::from(0_u64)),
            ("ExecMainCode", Value::from(0_i32)),
            ("ExecMainStatus", Value::from(0_i32)),
            ("NRestarts", Value::from(0_u32)),
            ("Restart", Value::from("always")),
            ("RestartUSec", Value::from(100_000_u64)),
            ("MemoryMax", Value::from(64_u64 << 20)),
            ("MemoryHigh", Value::from(u64::MAX)),
            ("ControlGroup", Value::from("/system.slice/web.service")),
            ("ExecStart", Value::from(vec!["not", "read"])),
        ],
    }
}

/// It runs out of memory, and waits to be started again.
fn killed(web: &mut Web) {
    set(
        &mut web.service,
        vec![
            ("Result", Value::from("oom-kill")),
            ("MainPID", Value::from(0_u32)),
            ("ExecMainExitTimestamp", Value::from(1_700_000_003_000_000_u64)),
            ("ExecMainExitTimestampMonotonic", Value::from(4_050_000_u64)),
            ("ExecMainCode", Value::from(2_i32)),
            ("ExecMainStatus", Value::from(9_i32)),
            ("ControlGroup", Value::from("")),
        ],
    );
    set(
        &mut web.unit,
        vec![
            ("ActiveState", Value::from("activating")),
            ("SubState", Value::from("auto-restart")),
            ("StateChangeTimestampMonotonic", Value::from(4_060_000_u64)),
            ("InactiveEnterTimestampMonotonic", Value::from(4_055_000_u64)),
            ("InactiveExitTimestampMonotonic", Value::from(4_060_000_u64)),
        ],
    );
}

fn restarted(web: &mut Web) {
    set(
        &mut web.service,
        vec![
            ("Result", Value::from("success")),
            ("MainPID", Value::from(78_u32)),
            ("ExecMainPID", Value::from(78_u32)),
            ("ExecMainStartTimestampMonotonic", Value::from(4_160_000_u64)),
            ("ExecMainExitTimestamp", Value::from(0_u64)),
            ("ExecMainExitTimestampMonotonic", Value::from(0_u64)),
            ("ExecMainCode", Value::from(0_i32)),
            ("ExecMainStatus", Value::from(0_i32)),
            ("NRestarts", Value::from(1_u32)),
            ("MemoryMax", Value::from(128_u64 << 20)),
            ("ControlGroup", Value::from("/system.slice/web.service")),
        ],
    );
    set(
        &mut web.unit,
        vec![
            ("ActiveState", Value::from("active")),
            ("SubState", Value::from("running")),
            ("InvocationID", Value::from(NEXT_LIFE.to_vec())),
            ("StateChangeTimestampMonotonic", Value::from(4_160_000_u64)),
        ],
    );
}

/// Serves one caller: answers questions about `web`, and plays the next act whenever the caller has
/// nothing to ask for a moment.
async fn serve(listener: &UnixListener, mut web: Web, acts: Vec<Act>) -> Connection {
    let (stream, _) = listener.accept().await.unwrap();
    let server = zbus::connection::Builder::unix_stream(stream).p2p();
    let server = server.server(Guid::generate()).unwrap();
    let connection = server.build().await.unwrap();
    let mut calls = MessageStream::from(&connection);
    let mut acts = acts.into_iter();
    loop {
        let quiet = Box::pin(tokio::time::sleep(Duration::from_millis(60)));
        match future::select(calls.next(), quiet).await {
            Either::Left((Some(Ok(call)), _)) => answer(&connection, &call, &web).await,
            Either::Left(_) => return connection,
            Either::Right(_) => match acts.next() {
                Some(act) => act.play(&connection, &mut web).await,
                None => return connection,
            },
        }
    }
}

async fn answer(connection: &Connection, call: &Message, web: &Web) {
    if call.message_type() != Type::MethodCall {
        return;
    }
    let header = call.header();
    let all = |said: &Said| said.iter().cloned().collect::<std::collections::HashMap<_, _>>();
    match header.member().unwrap().as_str() {
        "ListUnitsByPatterns" => {
            let path = OwnedObjectPath::try_from(WEB).unwrap();
            let none = OwnedObjectPath::try_from("/").unwrap();
            let states = ("web.service", "the web", "loaded", "active", "running", "");
            let (name, words, load, active, sub, follows) = states;
            let row = (name, words, load, active, sub, follows, path, 0_u32, "", none);
            connection.reply(&header, &vec![row]).await.unwrap();
        }
        "GetAll" => {
            let interface: String = call.body().deserialize().unwrap();
            let said = if interface == UNIT { &web.unit } else { &web.service };
            connection.reply(&header, &all(said)).await.unwrap();
        }
        "Get" => {
            let (_, name): (String, String) = call.body().deserialize().unwrap();
            let word = match name.as_str() {
                "JobType" => Value::from("stop"),
                "UserspaceTimestampMonotonic" => Value::from(12_000_u64),
                _ => Value::from("252"),
            };
            connection.reply(&header, &word).await.unwrap();
        }
        "GetUnit" => {
            let path = ObjectPath::try_from(WEB).unwrap();
            connection.reply(&header, &path).await.unwrap();
        }
        _ => connection.reply(&header, &()).await.unwrap(),
    }
}

/// What happens on the fake machine.
enum Act {
    /// The unit changes, and systemd says so.
    Changes(fn(&mut Web)),
    /// A job is queued.
    Job(u32),
    /// A job is done.
    JobDone(u32),
}

impl Act {
    async fn play(self, connection: &Connection, web: &mut Web) {
        let manager = "/org/freedesktop/systemd1";
        let job = |id: u32| ObjectPath::try_from(format!("/org/freedesktop/systemd1/job/{id}"));
        match self {
            Self::Changes(change) => {
                change(web);
                for (interface, said) in [(SERVICE, &web.service), (UNIT, &web.unit)] {
                    // Limits and cgroups are not said unasked.
                    let told = ["MemoryMax", "ControlGroup", "LoadState", "Restart"];
                    let said = said.iter().filter(|(name, _)| !told.contains(name)).cloned();
                    let said = said.collect::<std::collections::HashMap<_, _>>();
                    let body = (interface, said, Vec::<&str>::new());
                    let interface = "org.freedesktop.DBus.Properties";
                    let sent = connection.emit_signal(
                        None::<&str>,
                        WEB,
                        interface,
                        "PropertiesChanged",
                        &body,
                    );
                    sent.await.unwrap();
                }
            }
            Self::Job(id) => {
                let body = (id, job(id).unwrap(), "web.service");
                let sent = connection.emit_signal(None::<&str>, manager, MANAGER, "JobNew", &body);
                sent.await.unwrap();
            }
            Self::JobDone(id) => {
                let body = (id, job(id).unwrap(), "web.service", "done");
                let name = "JobRemoved";
                let sent = connection.emit_signal(None::<&str>, manager, MANAGER, name, &body);
                sent.await.unwrap();
            }
        }
    }
}

fn private(run: &Path) -> UnixListener {
    std::fs::create_dir_all(run.join("systemd")).unwrap();
    UnixListener::bind(run.join("systemd/private")).unwrap()
}

/// What is heard of a machine on which `acts` happen, until it goes down.
fn hear(acts: Vec<Act>) -> (Vec<Told>, Absent) {
    let run = tempfile::tempdir().unwrap();
    let heard = RefCell::new(Vec::new());
    let absent = paused().block_on(async {
        let listener = private(run.path());
        let out = |word| heard.borrow_mut().push(word);
        let watching = watch(Bus::System, run.path(), &out);
        let serving = async {
            drop(serve(&listener, running(), acts).await);
        };
        future::join(watching, serving).await.0
    });
    let mut heard = heard.into_inner().into_iter();
    match heard.next() {
        Some(Heard::Here(who)) => assert!(who.starts_with("systemd, version 252, at "), "{who}"),
        other => panic!("{other:?}"),
    }
    let told = heard.map(|word| match word {
        Heard::Told(told) => *told,
        other => panic!("{other:?}"),
    });
    (told.collect(), absent)
}

fn words(told: &[Told]) -> Vec<&UnitWord> {
    told.iter()
        .map(|told| match &told.testimony.fact {
            Fact::Unit(word) => word,
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn what_runs_is_known_from_the_beginning() {
    let (told, absent) = hear(Vec::new());
    assert_eq!(told.len(), 1, "{told:?}");
    let about = &told[0].testimony.about;
    assert_eq!(about.owner, Some(Owner::Unit("web.service".to_owned())));
    assert_eq!(about.pid.map(Pid::get), Some(77));
    assert_eq!(about.cgroup.as_ref().map(CgroupPath::as_str), Some("/system.slice/web.service"));
    assert_eq!(told[0].key, format!("unit:{}:started", "ab".repeat(16)));
    assert_eq!(told[0].boot.map(BootTime::micros), Some(1_050_000));
    match words(&told)[0] {
        UnitWord::Started { main, restarts, limits, invocation } => {
            assert_eq!(main.map(Pid::get), Some(77));
            assert_eq!((*restarts, invocation.as_deref()), (Some(0), Some(&*"ab".repeat(16))));
            assert_eq!(limits.memory, Some(Bytes::from_mib(64)));
            assert_eq!((limits.high, limits.restart.as_deref()), (None, Some("always")));
            assert_eq!(limits.start_limit, Some((5, 10_000)));
            assert_eq!(limits.restart_after_ms, Some(100));
        }
        other => panic!("{other:?}"),
    }
    assert!(absent.why.contains("hung up"), "{absent}");
}

#[test]
fn a_death_and_the_restart_after_it() {
    let (told, _) = hear(vec![Act::Changes(killed), Act::Changes(restarted)]);
    let told = &told[1..];
    match words(told).as_slice() {
        [
            UnitWord::MainExited { main, status, invocation },
            UnitWord::Result { result, .. },
            UnitWord::RestartScheduled { count: Some(1) },
            UnitWord::Started { main: next, limits, restarts: Some(1), .. },
        ] => {
            assert_eq!(main.map(Pid::get), Some(77));
            assert_eq!(*status, Some(Status::Signal { signal: Signal::KILL, core: false }));
            assert_eq!(invocation.as_deref(), Some(&*"ab".repeat(16)));
            assert_eq!(result, "oom-kill");
            assert_eq!(next.map(Pid::get), Some(78));
            // The limit was raised in between: it is read anew for each life.
            assert_eq!(limits.memory, Some(Bytes::from_mib(128)));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(told[0].boot.map(BootTime::micros), Some(4_050_000));
    assert_eq!(told[0].wall.map(WallTime::millis), Some(1_700_000_003_000));
    assert_eq!(told[0].key, format!("unit:{}:main-exited:4050000", "ab".repeat(16)));
}

#[test]
fn a_stop_that_somebody_asked_for() {
    let stopping = |web: &mut Web| {
        let active = vec![
            ("ActiveState", Value::from("deactivating")),
            ("SubState", Value::from("stop-sigterm")),
            ("ActiveExitTimestampMonotonic", Value::from(2_000_000_u64)),
        ];
        set(&mut web.unit, active);
    };
    let stopped = |web: &mut Web| {
        let exited = vec![
            ("MainPID", Value::from(0_u32)),
            ("ExecMainExitTimestampMonotonic", Value::from(2_100_000_u64)),
            ("ExecMainCode", Value::from(2_i32)),
            ("ExecMainStatus", Value::from(15_i32)),
        ];
        set(&mut web.service, exited);
        let active = vec![
            ("ActiveState", Value::from("inactive")),
            ("SubState", Value::from("dead")),
            ("InactiveEnterTimestampMonotonic", Value::from(2_100_500_u64)),
        ];
        set(&mut web.unit, active);
    };
    let acts = vec![Act::Job(9), Act::Changes(stopping), Act::Changes(stopped), Act::JobDone(9)];
    let (told, _) = hear(acts);
    let told = &told[1..];
    match words(told).as_slice() {
        [
            UnitWord::Asked { job: Job::Stop },
            UnitWord::Stopping,
            UnitWord::MainExited { status: Some(status), .. },
            UnitWord::Result { result, .. },
            UnitWord::Stopped,
        ] => {
            assert_eq!(*status, Status::Signal { signal: Signal::TERM, core: false });
            assert_eq!(result, "success");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(told[0].key, "unit:web.service:asked-stop:12000:9");
}

#[test]
fn a_job_that_was_too_quick_to_be_asked_about() {
    let gone = |web: &mut Web| {
        killed(web);
        set(&mut web.service, vec![("Result", Value::from("success"))]);
        set(&mut web.unit, vec![("ActiveState", Value::from("inactive"))]);
        set(&mut web.unit, vec![("SubState", Value::from("dead"))]);
    };
    // All in one breath, as systemd does it.
    let mut units = super::units::Units::of(Bus::User(1000), 7_000);
    let (mut web, mut said) = (running(), super::properties::Properties::new());
    said.extend(web.service.iter().cloned());
    said.extend(web.unit.iter().cloned());
    units.answered("web.service", &said, true);
    units.job(5, "web.service");
    gone(&mut web);
    said.extend(web.service.iter().cloned());
    said.extend(web.unit.iter().cloned());
    let told = units.changed("web.service", &said, true).told;
    assert!(matches!(words(&told).last(), Some(UnitWord::Stopped)), "{told:?}");
    let asked = units.job_done(5, "done").unwrap();
    assert_eq!(asked.key, "unit:user 1000 web.service:asked-stop:7000:5");
    let owner = Owner::UserUnit { unit: "web.service".to_owned(), uid: 1000 };
    assert_eq!(asked.testimony.about.owner, Some(owner));
    assert!(matches!(asked.testimony.fact, Fact::Unit(UnitWord::Asked { job: Job::Stop })));
}

/// A socket that accepts and never says a word.
fn dumb(path: PathBuf) -> UnixListener {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    UnixListener::bind(path).unwrap()
}

/// A bus on which systemd is `:1.9`, and on which others speak, too.
async fn serve_bus(listener: &UnixListener, signers: &[&str]) {
    let (stream, _) = listener.accept().await.unwrap();
    let server = zbus::connection::Builder::unix_stream(stream).p2p();
    let connection = server.server(Guid::generate()).unwrap().build().await.unwrap();
    let mut calls = MessageStream::from(&connection);
    while let Ok(Some(Ok(call))) =
        tokio::time::timeout(Duration::from_millis(60), calls.next()).await
    {
        let header = call.header();
        let answer = Message::method_return(&header).unwrap().sender(":1.9").unwrap();
        let answer = match header.member().unwrap().as_str() {
            "Hello" => answer.build(&":1.7"),
            "Get" => answer.build(&Value::from("252")),
            "ListUnitsByPatterns" => answer.build(&Vec::<(String, String)>::new()),
            _ => answer.build(&()),
        };
        connection.send(&answer.unwrap()).await.unwrap();
    }
    let web = running();
    for signer in signers {
        let member = ("org.freedesktop.DBus.Properties", "PropertiesChanged");
        for (interface, said) in [(SERVICE, &web.service), (UNIT, &web.unit)] {
            let said = said.iter().filter(|(name, _)| *name != "ExecStart").cloned();
            let said = said.collect::<std::collections::HashMap<_, _>>();
            let signal = Message::signal(WEB, member.0, member.1).unwrap();
            let signal = signal.sender(*signer).unwrap();
            let signal = signal.build(&(interface, said, Vec::<&str>::new())).unwrap();
            connection.send(&signal).await.unwrap();
        }
        if *signer == "org.freedesktop.DBus" {
            let (path, name) = ("/org/freedesktop/DBus", "NameOwnerChanged");
            let signal = Message::signal(path, *signer, name).unwrap().sender(*signer).unwrap();
            let body = ("org.freedesktop.systemd1", ":1.9", ":1.12");
            connection.send(&signal.build(&body).unwrap()).await.unwrap();
        }
    }
    tokio::time::sleep(Duration::from_millis(60)).await;
}

#[test]
fn on_a_bus_only_systemd_is_believed() {
    let heard = |signers: &[&str]| {
        let run = tempfile::tempdir().unwrap();
        let heard = RefCell::new(Vec::new());
        paused().block_on(async {
            let bus = dumb(run.path().join("dbus/system_bus_socket"));
            let out = |word| heard.borrow_mut().push(word);
            let watching = watch(Bus::System, run.path(), &out);
            future::join(watching, serve_bus(&bus, signers)).await;
        });
        let heard = heard.into_inner();
        assert!(matches!(heard.first(), Some(Heard::Here(_))), "{heard:?}");
        heard.iter().filter(|word| matches!(word, Heard::Told(_))).count()
    };
    assert_eq!(heard(&[":1.66"]), 0, "anybody may send a signal");
    assert_eq!(heard(&[":1.9"]), 1);
    assert_eq!(heard(&[":1.12"]), 0);
    assert_eq!(heard(&["org.freedesktop.DBus", ":1.12"]), 1, "it came back under another name");
}

/// The clock stands still but for the time-outs: the test takes no time, and ends.
fn paused() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

#[test]
fn a_bus_that_never_answers_is_left() {
    let run = tempfile::tempdir().unwrap();
    paused().block_on(async {
        let _bus = dumb(run.path().join("dbus/system_bus_socket"));
        let _private = dumb(run.path().join("systemd/private"));
        let begun = tokio::time::Instant::now();
        let absent = watch(Bus::System, run.path(), &|word| panic!("{word:?}")).await;
        assert!(absent.why.contains("accepts and says nothing for 10 s"), "{absent}");
        assert_eq!(begun.elapsed().as_secs(), 2 * ANSWER_WITHIN.as_secs());
    });
}

#[test]
fn a_systemd_that_falls_silent_is_left_and_tried_again() {
    let run = tempfile::tempdir().unwrap();
    let absent = RefCell::new(Vec::new());
    paused().block_on(async {
        let listener = private(run.path());
        let tries = std::cell::Cell::new(0_u32);
        let serving = async {
            loop {
                // It lets callers in, and reads nothing more.
                let (stream, _) = listener.accept().await.unwrap();
                tries.set(tries.get() + 1);
                let server = zbus::connection::Builder::unix_stream(stream).p2p();
                let server = server.server(Guid::generate()).unwrap();
                let connection = server.build().await.unwrap();
                let mut calls = MessageStream::from(&connection);
                while calls.next().await.is_some_and(|call| call.is_ok()) {}
            }
        };
        let out = |bus, word: Result<Heard, Absent>| absent.borrow_mut().push((bus, word));
        let watching = watch_all(run.path(), &out);
        let both = Box::pin(future::join::<_, _>(serving, watching));
        let enough = Box::pin(tokio::time::sleep(Duration::from_mins(5)));
        drop(future::select(both, enough).await);
        assert!((5..=12).contains(&tries.get()), "{} tries in five minutes", tries.get());
    });
    // Tried again and again, it is told once.
    match absent.into_inner().as_slice() {
        [(Bus::System, Err(absent))] => assert!(absent.why.contains("did not answer"), "{absent}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_users_systemd_comes_and_goes() {
    let run = tempfile::tempdir().unwrap();
    let heard = RefCell::new(Vec::new());
    paused().block_on(async {
        let me = rustix::process::geteuid().as_raw();
        let user = run.path().join("user").join(me.to_string());
        std::fs::create_dir_all(run.path().join("user/not-a-user")).unwrap();
        let serving = async {
            for _ in 0..2 {
                let listener = private(&user);
                let connection = serve(&listener, running(), Vec::new()).await;
                // The user leaves, and comes back later.
                std::fs::remove_dir_all(&user).unwrap();
                drop((connection, listener));
                tokio::time::sleep(Duration::from_mins(1)).await;
            }
        };
        let out = |bus, word: Result<Heard, Absent>| {
            if bus != Bus::System {
                heard.borrow_mut().push(word);
            }
        };
        let watching = Box::pin(watch_all(run.path(), &out));
        drop(future::select(watching, Box::pin(serving)).await);
    });
    match heard.into_inner().as_slice() {
        [
            Ok(Heard::Here(who)),
            Ok(Heard::Told(told)),
            Ok(Heard::Here(_)),
            Ok(Heard::Told(again)),
        ] => {
            let uid = rustix::process::geteuid().as_raw();
            assert!(who.starts_with(&format!("systemd of user {uid}, version 252")), "{who}");
            let owner = Owner::UserUnit { unit: "web.service".to_owned(), uid };
            assert_eq!(told.testimony.about.owner, Some(owner));
            // The same life, told twice: whoever keeps it knows by the key.
            assert_eq!(told.key, again.key);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_systemd_it_says_what_it_takes() {
    let run = tempfile::tempdir().unwrap();
    paused().block_on(async {
        let absent = watch(Bus::System, run.path(), &|word| panic!("{word:?}")).await;
        assert!(absent.why.contains("mount the machine's"), "{absent}");
        assert!(absent.why.contains("is not there"), "{absent}");
    });
}
