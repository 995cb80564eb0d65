//! Each way to die, and what the kernel says of it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use highwater_core::id::Pid;
use highwater_core::testimony::{Origin, Signal, Status};
use highwater_core::time::BootTime;
use highwater_linux::root::Root;
use highwater_linux::witness::{Connector, Strays, Traced, Tracing};

use super::stand::{Stand, Tracefs, has, is_fault, killed, pid_of, shell};

#[test]
fn a_program_that_kills_and_is_gone_at_once_is_named() {
    let Some(stand) = Stand::open("highwater-test-kill") else { return };
    let mut victim = Command::new("sleep").arg("60").spawn().unwrap();
    let pid = pid_of(&victim);
    stand.program("sleep 60");
    let script = format!("/bin/kill -9 {pid}");
    let killer = shell(&format!("{script}; exit 0")).spawn().unwrap().wait_with_output().unwrap();
    assert!(killer.status.success());
    victim.wait().unwrap();
    let heard = stand.signal(Signal::KILL, pid);
    assert_eq!(heard.about.comm.as_deref(), Some("sleep"));
    assert_eq!((heard.sent.origin, heard.sent.to_process), (Origin::User, true));
    let sender = &heard.sent.by;
    assert_eq!(sender.comm.as_deref(), Some("kill"), "{sender:?}");
    // Read in time, the whole command line; else the program's path from the tracepoint.
    let command = sender.command.as_deref().unwrap();
    assert!(command == script || command == "/bin/kill", "{command}");
    assert_eq!(sender.uid, Some(rustix::process::geteuid().as_raw()));
    let parents = sender.parents.iter().map(|parent| parent.pid.get()).collect::<Vec<_>>();
    assert!(parents.contains(&std::process::id()), "{sender:?}");
    assert!(sender.start.is_some() && sender.cgroup.is_some() && sender.owner.is_some());
    let (about, exit) = stand.exit(pid);
    assert_eq!(exit.status, killed(Signal::KILL));
    assert_eq!(about.command.as_deref(), Some("sleep 60"));
}

#[test]
fn a_command_that_can_end_others_is_noted() {
    let Some(stand) = Stand::open("highwater-test-ran") else { return };
    let mut victim = Command::new("sleep").arg("60").spawn().unwrap();
    let pid = pid_of(&victim);
    // It waits for its own child, so it is there to be read.
    let timeout = format!("timeout 30 env /bin/kill -TERM {pid}");
    shell(&timeout).status().unwrap();
    victim.wait().unwrap();
    let heard = stand.signal(Signal::TERM, pid);
    let read_in_time = heard.sent.by.command.as_deref() != Some("/bin/kill");
    stand.until(|notes| {
        let ran = notes.ran.iter().any(|party| party.pid == heard.sent.by.pid);
        // It may have been read while it was still said to be `env`, and be gone when it is not.
        assert!(ran || !read_in_time, "{:?} {:?}", notes.ran, heard.sent.by);
        Some(())
    });
}

#[test]
fn a_process_of_50_ms_is_seen_with_its_code_and_its_signal() {
    let Some(stand) = Stand::open("highwater-test-exit") else { return };
    let mut child = shell("sleep 0.05; exit 7").spawn().unwrap();
    child.wait().unwrap();
    let (_, exit) = stand.exit(pid_of(&child));
    assert_eq!(exit.status, Status::Code(7));
    assert!(exit.lived_ms.unwrap() >= 49, "{exit:?}");
    let mut child = shell("kill -TERM $$").spawn().unwrap();
    child.wait().unwrap();
    let (_, exit) = stand.exit(pid_of(&child));
    assert_eq!(exit.status, killed(Signal::TERM));
}

#[test]
fn faults_and_aborts_are_the_process_s_own() {
    let Some(stand) = Stand::open("highwater-test-fault") else { return };
    if !has("perl") {
        return;
    }
    let mut child =
        Command::new("perl").args(["-e", r#"unpack "p", pack "L!", 1"#]).spawn().unwrap();
    let pid = pid_of(&child);
    child.wait().unwrap();
    let heard = stand.signal(Signal::SEGV, pid);
    assert!(is_fault(heard.sent.origin) && !heard.sent.to_process, "{heard:?}");
    assert_eq!(heard.sent.by.pid, Some(pid));
    let (_, exit) = stand.exit(pid);
    assert!(matches!(exit.status, Status::Signal { signal: Signal::SEGV, .. }), "{exit:?}");

    let mut child = Command::new("perl").args(["-MPOSIX", "-e", "POSIX::abort()"]).spawn().unwrap();
    let pid = pid_of(&child);
    child.wait().unwrap();
    let heard = stand.signal(Signal::ABRT, pid);
    assert_eq!((heard.sent.origin, heard.sent.to_process), (Origin::Thread, false));
    assert_eq!(heard.sent.by.pid, Some(pid));
}

#[test]
fn a_processor_time_limit_is_told_by_the_process_s_own_limits() {
    let Some(stand) = Stand::open("highwater-test-cpu") else { return };
    if !has("prlimit") {
        return;
    }
    let limits = ["--cpu=1:2", "--as=1000000000", "sh", "-c", "trap : XCPU; while :; do :; done"];
    let mut child = Command::new("prlimit").args(limits).spawn().unwrap();
    let pid = pid_of(&child);
    child.wait().unwrap();
    for signal in [Signal::XCPU, Signal::KILL] {
        let heard = stand.signal(signal, pid);
        assert_eq!((heard.sent.origin, heard.sent.to_process), (Origin::Kernel, true));
        assert_eq!(heard.sent.by.pid, Some(pid), "the kernel, on its own processor time");
    }
    let limits = stand.until(|notes| Some(notes.people.limits(pid)));
    assert_eq!((limits.cpu_soft_s, limits.cpu_hard_s), (Some(1), Some(2)));
    assert_eq!(limits.address_space.map(highwater_core::units::Bytes::get), Some(1_000_000_000));
}

#[test]
fn the_end_of_a_pid_namespace_is_its_first_process_s_doing() {
    let Some(stand) = Stand::open("highwater-test-pidns") else { return };
    if !Command::new("unshare").args(["-pf", "true"]).status().is_ok_and(|it| it.success()) {
        return;
    }
    let script = ["-pf", "sh", "-c", "sleep 60.1 & read line"];
    let mut unshare = Command::new("unshare").args(script).stdin(Stdio::piped()).spawn().unwrap();
    let sleep = stand.program("sleep 60.1").pid.unwrap();
    drop(unshare.stdin.take());
    unshare.wait().unwrap();
    let heard = stand.signal(Signal::KILL, sleep);
    assert_eq!(heard.sent.origin, Origin::Kernel);
    assert_eq!((heard.sent.signal, heard.sent.to_process), (Signal::KILL, true));
    assert_eq!(heard.sent.by.comm.as_deref(), Some("sh"));
    assert_eq!(heard.about.parents.first().map(|parent| parent.pid), heard.sent.by.pid);
}

#[test]
fn a_parent_s_death_takes_its_child_along() {
    let Some(stand) = Stand::open("highwater-test-pdeath") else { return };
    if !has("setpriv") {
        return;
    }
    let script = "setpriv --pdeathsig KILL sleep 60.2 & exec cat";
    let mut parent = shell(script).stdin(Stdio::piped()).spawn().unwrap();
    let child = stand.program("sleep 60.2").pid.unwrap();
    stand.program("cat");
    drop(parent.stdin.take());
    parent.wait().unwrap();
    let heard = stand.signal(Signal::KILL, child);
    assert_eq!(heard.sent.by.pid, Some(pid_of(&parent)));
    assert_eq!((heard.sent.signal, heard.sent.origin), (Signal::KILL, Origin::User));
    assert!(heard.sent.to_process);
    assert_eq!(heard.sent.by.command.as_deref(), Some("cat"));
}

#[test]
fn a_thread_that_kills_is_its_process() {
    let Some(stand) = Stand::open("highwater-test-thread") else { return };
    let mut victim = Command::new("sleep").arg("60").spawn().unwrap();
    let pid = pid_of(&victim);
    let kill = move || victim.kill().and_then(|()| victim.wait()).unwrap();
    std::thread::Builder::new().name("killer".to_owned()).spawn(kill).unwrap().join().unwrap();
    let heard = stand.signal(Signal::KILL, pid);
    assert_eq!(heard.sent.by.pid.map(Pid::get), Some(std::process::id()), "{:?}", heard.sent.by);
    assert!(heard.sent.by.start.is_some() && heard.sent.by.command.is_some());
}

/// A cgroup, removed at the end.
struct Cgroup(PathBuf);

impl Cgroup {
    /// In the first of these hierarchies that there is, if what is made there has this file.
    fn make(tops: [&str; 2], name: &str, file: &str) -> Option<Self> {
        let tops = tops.map(PathBuf::from);
        let top = tops.into_iter().find(|top| top.join("cgroup.procs").exists())?;
        let dir = top.join(format!("highwater-test-{name}-{}", std::process::id()));
        std::fs::create_dir(&dir).ok()?;
        let cgroup = Self(dir);
        cgroup.0.join(file).exists().then_some(cgroup)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// Waits until nobody is in it.
    fn wait_empty(&self) {
        while !std::fs::read_to_string(self.file("cgroup.procs")).unwrap().is_empty() {
            std::thread::yield_now();
        }
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let removed = std::fs::remove_dir(&self.0);
        assert!(removed.is_ok() || std::thread::panicking(), "{removed:?}");
    }
}

#[test]
fn a_victim_of_the_oom_killer_is_marked_and_killed_by_who_wanted_memory() {
    let Some(stand) = Stand::open("highwater-test-oom") else { return };
    let tops = ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"];
    let v1 = Cgroup::make(tops, "oom", "memory.limit_in_bytes");
    let Some(cgroup) = v1.filter(|_| has("perl")) else { return };
    std::fs::write(cgroup.file("memory.limit_in_bytes"), "16M").unwrap();
    let script = "exec perl -e '<STDIN>; my @a; push @a, \"x\" x 1000000 while 1'";
    let script = format!("echo $$ > {}; {script}", cgroup.file("cgroup.procs"));
    let mut child = shell(&script).stdin(Stdio::piped()).spawn().unwrap();
    let pid = pid_of(&child);
    // Where it is, is known while it lives.
    stand.until(|notes| {
        let party = notes.people.party(pid);
        (party.comm.as_deref() == Some("perl") && party.cgroup.is_some()).then_some(())
    });
    drop(child.stdin.take());
    child.wait().unwrap();
    let heard = stand.signal(Signal::KILL, pid);
    assert_eq!((heard.sent.origin, heard.sent.to_process), (Origin::Kernel, true));
    assert_eq!(heard.sent.by.pid, Some(pid), "alone in its cgroup");
    let marked =
        stand.until(|notes| notes.marked.iter().find(|party| party.pid == Some(pid)).cloned());
    assert_eq!(marked.comm.as_deref(), Some("perl"));
    let path = marked.cgroup.unwrap();
    assert!(cgroup.0.ends_with(path.as_str().trim_start_matches('/')), "{path}");
    cgroup.wait_empty();
}

#[test]
fn cgroup_kill_goes_to_each_process_and_not_to_all_of_it() {
    let Some(stand) = Stand::open("highwater-test-cgroup") else { return };
    let tops = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"];
    let Some(cgroup) = Cgroup::make(tops, "kill", "cgroup.kill") else { return };
    let script = format!("echo $$ > {}; sleep 60 & wait", cgroup.file("cgroup.procs"));
    let mut child = shell(&script).spawn().unwrap();
    let pid = pid_of(&child);
    stand.until(|notes| {
        let procs = std::fs::read_to_string(cgroup.file("cgroup.procs")).unwrap();
        let both = procs.lines().count() == 2;
        (both && notes.people.is_first(pid) == Some(true)).then_some(())
    });
    let kill = format!("echo 1 > {}", cgroup.file("cgroup.kill"));
    assert!(shell(&kill).status().unwrap().success());
    child.wait().unwrap();
    let heard = stand.signal(Signal::KILL, pid);
    assert_eq!((heard.sent.origin, heard.sent.to_process), (Origin::User, false));
    assert_eq!(heard.sent.by.comm.as_deref(), Some("sh"), "who wrote the file");
    let writer = heard.sent.by.pid;
    stand.until(|notes| {
        let targets = notes.signals.iter().filter(|other| other.sent.by.pid == writer);
        (targets.count() == 2).then_some(())
    });
    cgroup.wait_empty();
}

/// A reader that is killed closes its files and removes nothing. Here, a file that is held open
/// keeps the instance from being removed.
#[test]
fn what_happened_while_the_reader_was_dead_is_still_told() {
    let Some(tracefs) = Tracefs::mount() else { return };
    let name = "highwater-test-again";
    let tracing = Tracing::open(&tracefs.root, name).unwrap();
    assert!(!tracing.is_resumed());
    let second = Tracing::open(&tracefs.root, name);
    assert!(second.is_ok_and(|second| second.is_resumed()) || tracefs.has(name));
    let held = tracefs.root.open(format!("sys/kernel/tracing/instances/{name}/trace_options"));
    drop(tracing);
    let mut victim = Command::new("sleep").arg("60").spawn().unwrap();
    victim.kill().unwrap();
    victim.wait().unwrap();
    drop(held);
    for expected in [1, 0] {
        let mut tracing = Tracing::open(&tracefs.root, name).unwrap();
        let mut told = Vec::new();
        let hear = &mut |traced: &Traced<'_>, _: &[u8]| match traced {
            Traced::Signal(signal) if signal.target == pid_of(&victim) => told.push(signal.at),
            _ => {}
        };
        tracing.fetch().unwrap();
        tracing.read(hear);
        assert_eq!(told.len(), expected, "each record once");
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let now_us = u64::try_from(now.tv_sec).unwrap() * 1_000_000;
        assert!(told.iter().all(|at| at.micros().abs_diff(now_us) < 60_000_000), "{told:?}");
    }
    assert!(!tracefs.has(name));
}

/// A reader that is killed closes its files and removes nothing. Here, a file that is held open
/// keeps the instance from being removed.
#[test]
fn an_instance_that_nobody_reads_for_a_day_is_removed_and_one_that_is_read_is_not() {
    let Some(tracefs) = Tracefs::mount() else { return };
    // Of its own kind: those of agents on this machine are none of a test's.
    let prefix = format!("hwtest-{}-", std::process::id());
    let instance = |number: u64| format!("{prefix}{number:016x}");
    let (gone, alive, own) = (&*instance(1), &*instance(2), &*instance(3));
    let tracing = Tracing::open(&tracefs.root, gone).unwrap();
    let held = tracefs.root.open(format!("sys/kernel/tracing/instances/{gone}/trace_options"));
    drop(tracing);
    drop(held);
    let reader = Tracing::open(&tracefs.root, alive).unwrap();
    let mut victim = Command::new("sleep").arg("60").spawn().unwrap();
    victim.kill().unwrap();
    victim.wait().unwrap();
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let now_us = u64::try_from(now.tv_sec + 1).unwrap() * 1_000_000;
    let day_us = 24 * 60 * 60 * 1_000_000;
    let after = |us: u64| BootTime::from_micros(now_us + us);
    let mut strays = Strays::called(&prefix);
    assert!(strays.sweep(&tracefs.root, own, after(0)).is_empty());
    let removed = strays.sweep(&tracefs.root, own, after(day_us));
    assert_eq!((removed, tracefs.has(gone)), (vec![gone.to_owned()], false));
    assert!(tracefs.has(alive), "the kernel keeps what is read");
    drop(reader);
}

/// What a reader is told of in one go.
fn told(tracing: &mut Tracing) -> Vec<(Pid, Signal)> {
    let mut told = Vec::new();
    tracing.fetch().unwrap();
    tracing.read(&mut |traced, _| {
        if let Traced::Signal(signal) = traced {
            told.push((signal.target, signal.signal));
        }
    });
    assert!(tracing.is_drained());
    told
}

#[test]
fn narrowed_it_tells_of_fatal_signals_only_and_forgets_nothing() {
    let Some(tracefs) = Tracefs::mount() else { return };
    let mut tracing = Tracing::open(&tracefs.root, "highwater-test-narrow").unwrap();
    let end = |number: u8| {
        let mut victim = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = pid_of(&victim);
        assert!(shell(&format!("kill -{number} {pid}")).status().unwrap().success());
        victim.wait().unwrap();
        (pid, Signal(number))
    };
    let before = end(10);
    tracing.narrow().unwrap();
    let (everyday, fatal) = (end(10), end(9));
    let heard = told(&mut tracing);
    assert!(heard.contains(&before), "what was there before stays");
    assert!(heard.contains(&fatal) && !heard.contains(&everyday), "{heard:?}");
    tracing.widen().unwrap();
    let again = end(10);
    assert!(told(&mut tracing).contains(&again));
}

#[test]
fn signals_of_everyday_life_are_told_and_what_is_ignored_or_goes_between_threads_is_not() {
    let Some(stand) = Stand::open("highwater-test-everyday") else { return };
    for (name, number) in [("USR1", 10), ("PIPE", 13), ("ALRM", 14), ("RTMIN", 34)] {
        let mut victim = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = pid_of(&victim);
        stand.until(|notes| notes.people.party(pid).command.map(|_| ()));
        assert!(shell(&format!("kill -{number} {pid}")).status().unwrap().success());
        victim.wait().unwrap();
        let heard = stand.signal(Signal(number), pid);
        let parents = heard.sent.by.parents;
        assert!(parents.iter().any(|it| it.pid.get() == std::process::id()), "{name} {parents:?}");
        assert_eq!(stand.exit(pid).1.status, killed(Signal(number)));
    }
    let mut caught = shell("trap '' USR2; kill -USR2 $$; kill -KILL $$").spawn().unwrap();
    let pid = pid_of(&caught);
    caught.wait().unwrap();
    stand.signal(Signal::KILL, pid);
    stand.until(|notes| {
        let of_it = notes.signals.iter().filter(|heard| heard.about.pid == Some(pid));
        assert_eq!(of_it.count(), 1, "SIGUSR2 was ignored");
        Some(())
    });
}

#[test]
fn an_instance_is_gone_when_its_reader_is() {
    let Some(tracefs) = Tracefs::mount() else { return };
    let name = "highwater-test-gone";
    let tracing = Tracing::open(&tracefs.root, name).unwrap();
    assert!(tracefs.has(name));
    drop(tracing);
    assert!(!tracefs.has(name));
}

#[test]
fn without_privilege_each_says_what_it_takes() {
    if rustix::process::geteuid().is_root() {
        return;
    }
    let absent = Tracing::open(&Root::live(), "highwater-test-none").unwrap_err();
    assert!(absent.why.contains("CAP_DAC_OVERRIDE") || absent.why.contains("mount"), "{absent}");
    if let Err(absent) = Connector::open() {
        assert!(absent.why.contains("CAP_NET_ADMIN") || absent.why.contains("CONFIG_"), "{absent}");
    }
}
