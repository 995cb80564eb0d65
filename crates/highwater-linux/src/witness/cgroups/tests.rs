use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use highwater_core::units::Bytes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::*;

/// Reads until `enough` says so, or nothing comes for `seconds`.
fn listen(
    events: &mut CgroupEvents,
    seconds: i64,
    enough: impl Fn(&[Spoke]) -> bool,
) -> Vec<Spoke> {
    let mut heard = Vec::new();
    let wait = Timespec { tv_sec: seconds, tv_nsec: 0 };
    while !enough(&heard) {
        let mut fds = [PollFd::new(events, PollFlags::IN)];
        if poll(&mut fds, Some(&wait)).unwrap() == 0 {
            break;
        }
        events.read(&mut |spoke| heard.push(spoke)).unwrap();
    }
    heard
}

/// Reads for as long as there is something to come.
fn all(events: &mut CgroupEvents) -> Vec<Spoke> {
    let mut heard = Vec::new();
    // A cgroup of somebody else may hang for long.
    for _ in 0..50 {
        events.read(&mut |spoke| heard.push(spoke)).unwrap();
        if events.wound.is_none() {
            break;
        }
        let wait = Timespec { tv_sec: 5, tv_nsec: 0 };
        poll(&mut [PollFd::new(&*events, PollFlags::IN)], Some(&wait)).unwrap();
    }
    heard
}

fn short(heard: &[Spoke]) -> Vec<String> {
    let word = |spoke: &Spoke| match &spoke.word {
        OomWord::Counted { oom, kills, group_kills, .. } => format!("{oom}/{kills}/{group_kills}"),
        other => format!("{other:?}"),
    };
    heard.iter().map(|spoke| format!("{} {}", spoke.cgroup, word(spoke))).collect()
}

/// A hierarchy of cgroup v2 made of plain files, which notify as the kernel's do.
struct Made(tempfile::TempDir);

const MOUNTED: &str = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";

impl Made {
    fn new(mounts: &str, controllers: &str) -> Self {
        let made = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(made.0.path().join("proc/self")).unwrap();
        fs::write(made.0.path().join("proc/self/mountinfo"), mounts).unwrap();
        fs::create_dir_all(made.place("")).unwrap();
        fs::write(made.place("cgroup.controllers"), controllers).unwrap();
        made
    }

    fn place(&self, path: &str) -> PathBuf {
        self.0.path().join("sys/fs/cgroup").join(path)
    }

    /// Makes the cgroup as the kernel does: with its files.
    fn make(&self, path: &str) {
        let next = self.place("next");
        fs::create_dir_all(&next).unwrap();
        self.count("next", [0, 0, 0]);
        fs::write(next.join("memory.max"), "16777216\n").unwrap();
        // Into place under its name only when the files are there.
        let made = self.place(path);
        fs::create_dir_all(made.parent().unwrap()).unwrap();
        if made.exists() {
            return;
        }
        fs::create_dir(&made).unwrap();
        for file in ["memory.max", "memory.events.local", "memory.events"] {
            fs::rename(next.join(file), made.join(file)).unwrap();
        }
        fs::remove_dir(&next).unwrap();
    }

    /// Own limit, kills here and below, groups.
    fn count(&self, path: &str, [oom, kills, groups]: [u64; 3]) {
        let local = format!("low 0\nhigh 0\nmax 9\noom {oom}\noom_kill 0\noom_group_kill 0\n");
        fs::write(self.place(path).join("memory.events.local"), local).unwrap();
        let all =
            format!("low 0\nhigh 0\nmax 9\noom 9\noom_kill {kills}\noom_group_kill {groups}\n");
        fs::write(self.place(path).join("memory.events"), all).unwrap();
    }

    fn watch(&self) -> CgroupEvents {
        CgroupEvents::open(&Root::at(self.0.path())).unwrap()
    }
}

#[test]
fn what_a_cgroup_below_has_told_is_not_told_again_above() {
    let made = Made::new(MOUNTED, "cpu memory pids\n");
    for path in ["a.slice", "a.slice/b.service", "a.slice/b.service/inner"] {
        made.make(path);
    }
    made.count("a.slice", [0, 7, 0]);
    let mut events = made.watch();
    assert_eq!(events.len(), 4, "with the top");
    assert_eq!(short(&all(&mut events)), [""; 0], "what was before is not told");
    made.count("a.slice", [0, 8, 0]);
    made.count("a.slice/b.service", [1, 1, 0]);
    made.count("a.slice/b.service/inner", [0, 1, 0]);
    let heard = all(&mut events);
    assert_eq!(short(&heard), ["/a.slice/b.service/inner 0/1/0", "/a.slice/b.service 1/1/0"]);
    let limit = Some(Bytes::from_mib(16));
    assert_eq!(heard[1].word, OomWord::Counted { oom: 1, kills: 1, group_kills: 0, limit });
    assert_eq!(heard[1].evidence.source, "memory.events of /a.slice/b.service");
    assert_eq!(heard[1].evidence.text, "oom 0 → 1 (local), oom_kill 0 → 1, oom_group_kill 0 → 0");
}

#[test]
fn what_a_cgroup_took_with_it_the_one_above_tells() {
    let made = Made::new(MOUNTED, "memory\n");
    made.make("a.slice");
    let mut events = made.watch();
    made.count("a.slice", [0, 1, 1]);
    let heard = all(&mut events);
    assert_eq!(short(&heard), ["/a.slice 0/1/1"]);
}

#[test]
fn a_cgroup_that_is_made_anew_counts_from_nothing() {
    let made = Made::new(MOUNTED, "memory\n");
    made.make("a.service");
    made.count("a.service", [5, 5, 0]);
    let mut events = made.watch();
    made.count("a.service", [6, 6, 0]);
    assert_eq!(short(&all(&mut events)), ["/a.service 1/1/0"]);
    fs::remove_dir_all(made.place("a.service")).unwrap();
    all(&mut events);
    assert_eq!(events.len(), 1, "it is gone");
    made.make("a.service");
    made.count("a.service", [2, 1, 0]);
    assert_eq!(short(&all(&mut events)), ["/a.service 2/1/0"], "that is not fewer than six");
    events.rescan(&mut |spoke| panic!("{spoke:?}"));
}

#[test]
fn new_ones_are_found_with_all_below() {
    let made = Made::new(MOUNTED, "memory\n");
    let mut events = made.watch();
    made.make("x");
    made.make("x/y");
    all(&mut events);
    made.make("x/y/z");
    all(&mut events);
    assert_eq!(events.len(), 4);
    made.count("x/y/z", [1, 1, 0]);
    assert_eq!(short(&all(&mut events)), ["/x/y/z 1/1/0"]);
}

#[test]
fn a_rescan_finds_what_nobody_told() {
    let made = Made::new(MOUNTED, "memory\n");
    fs::create_dir(made.place("late")).unwrap();
    let mut events = made.watch();
    // The controller is switched on later: the files come without notice.
    made.count("late", [0, 0, 0]);
    all(&mut events);
    let mut heard = Vec::new();
    events.rescan(&mut |spoke| heard.push(spoke));
    made.count("late", [1, 1, 0]);
    heard.extend(all(&mut events));
    assert_eq!(short(&heard), ["/late 1/1/0"]);
}

#[test]
fn too_many_are_left_out_and_their_past_is_not_news() {
    let made = Made::new(MOUNTED, "memory\n");
    for path in ["a", "b", "c"] {
        made.make(path);
        made.count(path, [1, 1, 0]);
    }
    let mut events = CgroupEvents::over(Tree::find(&Root::at(made.0.path())).unwrap(), 2).unwrap();
    assert_eq!((events.len(), events.left_out()), (2, 2));
    let watched: Vec<String> = events.watched.keys().map(ToString::to_string).collect();
    fs::remove_dir_all(made.place(watched[1].trim_start_matches('/'))).unwrap();
    assert_eq!(short(&all(&mut events)), [""; 0]);
    let mut heard = Vec::new();
    events.rescan(&mut |spoke| heard.push(spoke));
    heard.extend(all(&mut events));
    assert_eq!(short(&heard), [""; 0]);
    assert_eq!((events.len(), events.left_out()), (2, 1));
}

#[test]
fn a_limit_for_which_nobody_can_be_killed_is_told_less_and_less() {
    let made = Made::new(MOUNTED, "memory\n");
    made.make("a");
    let mut events = made.watch();
    let mut told = Vec::new();
    // A round of looks each, as fast as the kernel may tell of it.
    for round in 1..=8 {
        made.count("a", [round, 0, 0]);
        events.look(&CgroupPath::new(b"/a"), &mut |_| {});
        for _ in LOOKS {
            events.look_again(&mut |_| {});
            events.tell_all(&mut |spoke| told.push(spoke));
        }
    }
    assert_eq!(short(&told), ["/a 1/0/0", "/a 1/0/0", "/a 2/0/0", "/a 4/0/0"]);
    made.count("a", [9, 1, 0]);
    assert_eq!(short(&all(&mut events)), ["/a 1/1/0"], "a kill is told at once");
}

#[test]
fn a_list_that_is_handed_in_is_watched_too() {
    let made = Made::new(MOUNTED, "memory\n");
    let mut events = made.watch();
    made.make("a");
    let paths = ["/a", "/gone", "/../../etc"].map(|path| CgroupPath::new(path.as_bytes()));
    events.watch(&paths);
    assert_eq!(events.watched.keys().filter(|path| path.as_str() == "/a").count(), 1);
    made.count("a", [1, 1, 0]);
    assert_eq!(short(&all(&mut events)), ["/a 1/1/0"], "once, though it was found twice");
}

#[test]
fn garbage_and_missing_files_say_nothing() {
    let made = Made::new(MOUNTED, "memory\n");
    made.make("a");
    made.make("b");
    let mut events = made.watch();
    fs::write(made.place("a/memory.events"), b"\xff\xfe oom_kill\n\n9 9 9").unwrap();
    fs::remove_file(made.place("b/memory.events")).unwrap();
    assert_eq!(short(&all(&mut events)), [""; 0]);
}

#[test]
fn without_a_hierarchy_it_says_so() {
    let why = |made: &Made| CgroupEvents::open(&Root::at(made.0.path())).unwrap_err().why;
    let bare = Made::new(MOUNTED, "hugetlb\n");
    assert!(why(&bare).contains("does not name the memory controller"), "{}", why(&bare));
    let none = Made::new("", "memory\n");
    assert!(why(&none).contains("no cgroup hierarchy"), "{}", why(&none));
    let v1 = Made::new("35 31 0:32 / /sys/fs/cgroup rw - cgroup cgroup rw,memory\n", "");
    assert!(why(&v1).contains("oom_control") || why(&v1).contains("event_control"), "{}", why(&v1));
    let nowhere = CgroupEvents::open(&Root::at("/nonexistent")).unwrap_err();
    assert!(nowhere.why.contains("mountinfo"), "{nowhere}");
}

#[test]
fn the_cgroups_above() {
    let all = |path: &str| -> Vec<String> {
        above(&CgroupPath::new(path.as_bytes())).map(ToOwned::to_owned).collect()
    };
    assert_eq!(all("/a/b/c"), ["/a/b", "/a", "/"]);
    assert_eq!(all("/a"), ["/"]);
    assert_eq!(all("/"), [""; 0]);
}

/// A memory cgroup on this machine; `None` where there is none to be had.
struct Real {
    dir: PathBuf,
    name: String,
    version: CgroupVersion,
}

impl Real {
    fn new(name: &str) -> Option<Self> {
        let name = format!("/highwater-{name}-{}", std::process::id());
        let is_v1 = fs::exists("/sys/fs/cgroup/memory/memory.oom_control").unwrap_or(false);
        let (mount, version) = if is_v1 {
            ("/sys/fs/cgroup/memory", CgroupVersion::V1)
        } else {
            ("/sys/fs/cgroup", CgroupVersion::V2)
        };
        let real = Self { dir: PathBuf::from(format!("{mount}{name}")), name, version };
        fs::create_dir(&real.dir).ok()?;
        let accounts = real.dir.join(if is_v1 { "memory.oom_control" } else { "memory.events" });
        accounts.exists().then_some(real)
    }

    fn inner(&self) -> Self {
        if self.version == CgroupVersion::V2 {
            self.write("cgroup.subtree_control", "+memory");
        }
        let dir = self.dir.join("inner");
        fs::create_dir(&dir).unwrap();
        Self { dir, name: format!("{}/inner", self.name), version: self.version }
    }

    fn limit(&self, limit: &str) {
        match self.version {
            CgroupVersion::V1 => self.write("memory.limit_in_bytes", limit),
            CgroupVersion::V2 => {
                self.write("memory.max", limit);
                // A machine without swap may have no such file.
                let _none = fs::write(self.dir.join("memory.swap.max"), "0");
            }
        }
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.dir.join(file), text).unwrap();
    }

    /// Runs `script` in it.
    fn run(&self, script: &str) -> Child {
        let script = format!("echo 0 > {}/cgroup.procs && {script}", self.dir.display());
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(script).stdout(Stdio::null()).stderr(Stdio::null());
        shell.spawn().unwrap()
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        // The dead leave a moment later.
        for _ in 0..100 {
            if fs::remove_dir(&self.dir).is_ok() || !self.dir.exists() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Takes 64 MiB, and holds them for a moment if it may. Who runs the test may be spared by the
/// kernel, which is inherited.
const LEAK: &str =
    "echo 0 > /proc/self/oom_score_adj && exec perl -e '$x = \"x\" x (64 << 20); sleep 1'";

/// Where the machine has no memory hierarchy, or does not let it be watched, that is said.
fn watch_real(name: &str) -> Option<(Real, CgroupEvents)> {
    let real = Real::new(name);
    match (CgroupEvents::open(&Root::live()), real) {
        (Ok(events), Some(real)) => {
            assert_eq!(events.tree.version(), real.version);
            Some((real, events))
        }
        (Ok(events), None) => {
            assert!(!events.is_empty(), "not root: at least the top is seen");
            None
        }
        (Err(absent), _) => {
            assert!(!absent.why.is_empty());
            None
        }
    }
}

#[test]
fn a_real_cgroup_at_its_limit_is_told_and_its_next_life_too() {
    let Some((real, mut events)) = watch_real("counted") else { return };
    let limit = Some(Bytes::from_mib(16));
    let Real { dir, name, version } = &real;
    for life in 1..=3 {
        real.limit("16M");
        let status = real.run(LEAK).wait().unwrap();
        assert!(!status.success());
        let heard =
            listen(&mut events, 5, |heard| heard.iter().any(|one| one.cgroup.as_str() == name));
        let own: Vec<&Spoke> = heard.iter().filter(|one| one.cgroup.as_str() == name).collect();
        // v1 does not count how often the limit was reached, so who was not listening knows nothing.
        let oom = u64::from(life < 3 || *version == CgroupVersion::V2);
        let word = OomWord::Counted { oom, kills: 1, group_kills: 0, limit };
        assert_eq!(own[0].word, word, "life {life}: {heard:?}");
        assert!(own[0].evidence.text.contains("oom_kill 0 → 1"), "{:?}", own[0].evidence);
        while fs::remove_dir(dir).is_err() {
            std::thread::sleep(Duration::from_millis(5));
        }
        fs::create_dir(dir).unwrap();
        // The last life is over before anybody has looked for it: its kill is counted all the same.
        if life == 1 {
            let mut heard = all(&mut events);
            heard.retain(|one| one.cgroup.as_str() == name);
            assert_eq!(short(&heard), [""; 0]);
        }
    }
    let testimony = Spoke {
        cgroup: CgroupPath::new(name.as_bytes()),
        word: OomWord::Unstuck,
        evidence: Evidence { source: String::new(), line: None, text: String::new() },
    };
    let testimony = testimony.testimony(Owner::of_path(name));
    assert_eq!(testimony.about.cgroup.map(|path| path.to_string()).as_ref(), Some(name));
}

#[test]
fn a_kill_below_the_limit_is_told_of_both() {
    let Some((real, mut events)) = watch_real("above") else { return };
    real.limit("16M");
    let inner = real.inner();
    inner.run(LEAK).wait().unwrap();
    let mut heard = all(&mut events);
    heard.retain(|one| one.cgroup.as_str().starts_with(&real.name));
    let mut told = short(&heard);
    told.sort();
    // v2 counts above what is killed below.
    let above = if real.version == CgroupVersion::V2 { "1/1/0" } else { "1/0/0" };
    assert_eq!(told, [format!("{} {above}", real.name), format!("{} 0/1/0", inner.name)]);
    drop(inner);
}

#[test]
fn a_real_cgroup_that_hangs_is_told_and_when_it_no_longer_does() {
    let Some((real, mut events)) = watch_real("stuck") else { return };
    if real.version == CgroupVersion::V2 {
        assert!(!real.dir.join("memory.oom_control").exists(), "v2 knows no such thing");
        return;
    }
    real.limit("16M");
    real.write("memory.oom_control", "1");
    let mut child = real.run(LEAK);
    let of = |word: OomWord| {
        let name = real.name.clone();
        move |heard: &[Spoke]| {
            heard.iter().any(|one| one.cgroup.as_str() == name && one.word == word)
        }
    };
    let is_stuck = of(OomWord::Stuck);
    let heard = listen(&mut events, 5, &is_stuck);
    assert!(is_stuck(&heard), "{heard:?}");
    let stuck = heard.iter().find(|one| one.word == OomWord::Stuck).unwrap();
    assert_eq!(stuck.evidence.text, "oom_kill_disable 1, under_oom 1");
    real.limit("256M");
    let is_free = of(OomWord::Unstuck);
    let heard = listen(&mut events, 5, &is_free);
    assert!(is_free(&heard), "{heard:?}");
    assert!(child.wait().unwrap().success(), "it lives");
}

#[test]
fn the_cgroups_of_this_machine_that_do_not_account_memory_are_not_claimed() {
    let Ok(events) = CgroupEvents::open(&Root::live()) else { return };
    let mut mounts = Vec::new();
    Root::live().read("proc/self/mountinfo", &mut mounts).unwrap();
    let found =
        crate::parse::mountinfo::Hierarchies::find(&crate::parse::mountinfo::parse(&mounts));
    assert_eq!(found.memory.map(|(version, _)| version), Some(events.tree.version()));
}
