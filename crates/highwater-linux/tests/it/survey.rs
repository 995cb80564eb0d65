//! The survey of the machine that runs the test: things of known size have to be told so.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use highwater_core::id::{CgroupPath, Comm, ProcKey};
use highwater_core::thing::{Metric, Survey, names};
use highwater_core::time::{BootTime, Stamp, WallTime};
use highwater_core::units::Bytes;
use highwater_linux::parse::stat;
use highwater_linux::root::Root;
use highwater_linux::survey::{Candidate, Part, SurveyConfig, Surveyor};

use crate::tree::captured;

/// One round over this machine, nothing counted as used.
fn survey(config: SurveyConfig, candidates: &[Candidate]) -> (Survey, Surveyor) {
    let mut surveyor = Surveyor::new(&Root::live(), config);
    let stamp =
        Stamp { wall: WallTime::from_millis(0), boot: BootTime::from_micros(1_000_000_000) };
    let mut out = Survey::default();
    surveyor.round(stamp, candidates, &mut || Duration::ZERO, &mut out);
    (out, surveyor)
}

fn no_docker() -> SurveyConfig {
    SurveyConfig { docker_socket: None, ..SurveyConfig::default() }
}

/// The number of `metric` whose label `name` is `value`.
fn told(survey: &Survey, metric: &Metric, name: &str, value: &str) -> Option<f64> {
    let mut things = survey.things.iter();
    let is = |thing: &&highwater_core::thing::Thing| {
        thing.metric == metric && thing.labels.get(name) == value
    };
    things.find(is).map(|thing| thing.value)
}

/// A file system that goes with the test.
struct Mounted(tempfile::TempDir);

impl Mounted {
    /// `None` where this process may not mount.
    fn new(kind: &str, options: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", kind, "-o", options, "highwater-test"]).arg(dir.path());
        let done = mount.stderr(Stdio::null()).status().unwrap();
        done.success().then_some(Self(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let done = Command::new("umount").arg(self.path()).status().unwrap();
        assert!(done.success() || std::thread::panicking());
    }
}

#[test]
fn a_tmpfs_is_told_with_its_size_and_what_it_holds() {
    let Some(tmpfs) = Mounted::new("tmpfs", "size=8m,nr_inodes=100") else {
        assert!(!rustix::process::geteuid().is_root());
        return;
    };
    std::fs::write(tmpfs.path().join("file"), vec![b'x'; 3 << 20]).unwrap();
    let (survey, _) = survey(no_docker(), &[]);
    let point = tmpfs.path().to_str().unwrap();
    let told = |metric| told(&survey, metric, "mountpoint", point);
    let mib = |count: u32| Some(f64::from(count) * 1_048_576.0);
    assert_eq!(told(&names::FS_SIZE), mib(8));
    assert_eq!(told(&names::FS_FREE), mib(5));
    assert_eq!(told(&names::FS_AVAIL), mib(5));
    assert_eq!((told(&names::FS_FILES), told(&names::FS_FILES_FREE)), (Some(100.0), Some(98.0)));
    assert_eq!(told(&names::FS_READONLY), Some(0.0));
}

/// One place, two file systems: the one that shows is told, once, and the hidden one is not.
#[test]
fn of_two_mounts_at_one_place_the_upper_is_told() {
    let Some(lower) = Mounted::new("tmpfs", "size=4m") else {
        assert!(!rustix::process::geteuid().is_root());
        return;
    };
    let point = lower.path().to_str().unwrap();
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=8m", "highwater-test", point]);
    assert!(mount.status().unwrap().success());
    let (survey, _) = survey(no_docker(), &[]);
    assert!(Command::new("umount").arg(point).status().unwrap().success());
    let sizes = survey
        .things
        .iter()
        .filter(|thing| thing.metric == &names::FS_SIZE && thing.labels.get("mountpoint") == point);
    let sizes: Vec<_> = sizes.map(|thing| Bytes::from_f64(thing.value)).collect();
    assert_eq!(sizes, [Bytes::from_mib(8)]);
}

#[test]
fn a_file_system_in_memory_that_tells_no_size_is_named() {
    let Some(ramfs) = Mounted::new("ramfs", "mode=700") else {
        assert!(!rustix::process::geteuid().is_root());
        return;
    };
    let (survey, surveyor) = survey(no_docker(), &[]);
    let point = ramfs.path().to_str().unwrap();
    assert_eq!(told(&survey, &names::FS_SIZE, "mountpoint", point), None);
    let disks = surveyor.blindness().iter().find(|blind| blind.part == Part::Disks).unwrap();
    assert!(disks.why.contains("in memory do not tell their size"), "{}", disks.why);
}

#[test]
fn reserved_huge_pages_are_those_of_the_kernel() {
    let (survey, _) = survey(no_docker(), &[]);
    let Ok(pools) = std::fs::read_dir("/sys/kernel/mm/hugepages") else { return };
    for pool in pools.map(Result::unwrap) {
        let name = pool.file_name().into_string().unwrap();
        let size = name.strip_prefix("hugepages-").unwrap();
        let kib: f64 = size.strip_suffix("kB").unwrap().parse().unwrap();
        let pages = std::fs::read_to_string(pool.path().join("nr_hugepages")).unwrap();
        let pages: f64 = pages.trim().parse().unwrap();
        let bytes = told(&survey, &names::HUGETLB_POOL, "page_size", size);
        assert_eq!(bytes, Some(pages * kib * 1024.0), "{name}");
        assert!(told(&survey, &names::HUGETLB_RESERVED, "page_size", size).is_some());
    }
}

/// A captured machine tells what stands in its files.
#[test]
fn a_captured_machine_tells_its_own_numbers() {
    let mut seen = 0;
    for tree in captured() {
        let mut surveyor = Surveyor::new(&tree.root, no_docker());
        let (mut out, stamp) = (Survey::default(), Stamp::default());
        surveyor.round(stamp, &[], &mut || Duration::ZERO, &mut out);
        let Ok(buddyinfo) = std::fs::read_to_string(tree.root.path("proc/buddyinfo")) else {
            continue;
        };
        seen += 1;
        let told = out.things.iter().filter(|thing| thing.metric == &names::BUDDY_BLOCKS);
        let told: f64 = told.map(|thing| thing.value).sum();
        let words = buddyinfo.lines().flat_map(|line| line.split_whitespace().skip(4));
        let stands: f64 = words.map(|word| word.parse::<f64>().unwrap()).sum();
        assert_eq!(Some(told), Some(stands));
        let cgroups = std::fs::read_to_string(tree.root.path("proc/cgroups")).unwrap();
        let line = cgroups.lines().find(|line| line.starts_with("memory")).unwrap();
        let count = line.split_whitespace().nth(2).unwrap().parse().ok();
        let value = out.things.iter().find(|thing| thing.metric == &names::CGROUPS);
        assert_eq!(value.map(|thing| thing.value), count);
    }
    assert!(seen >= 2, "two captured machines have these files");
}

/// A process that holds, for itself alone, what a pipe gave it.
struct Holder(std::process::Child);

impl Holder {
    /// `tail -c` keeps the last bytes of its input until the input ends.
    fn of(bytes: usize) -> Self {
        let mut tail = Command::new("tail");
        tail.args(["-c", &bytes.to_string()]).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = tail.spawn().unwrap();
        let input = child.stdin.as_mut().unwrap();
        for _ in 0..bytes / 8192 {
            input.write_all(&[7; 8192]).unwrap();
        }
        Self(child)
    }

    /// It has read all: nothing is left in the pipe, and it waits for more.
    fn settle(&self) {
        let unread = || rustix::io::ioctl_fionread(self.0.stdin.as_ref().unwrap()).unwrap();
        while unread() > 0 || self.stat().state != b'S' {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn stat(&self) -> stat::Stat {
        stat::parse(&std::fs::read(format!("/proc/{}/stat", self.0.id())).unwrap()).unwrap()
    }

    fn candidate(&self) -> Candidate {
        let stat = self.stat();
        Candidate {
            key: ProcKey { pid: stat.pid, start: stat.start },
            comm: Comm::new(b"tail"),
            cgroup: Some(CgroupPath::new(b"/system.slice/holder.service")),
            resident: Bytes::from_mib(64),
        }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// What the process has for itself is told to the page: a second one of the same program has the
/// same but for what it holds.
#[test]
fn private_memory_of_a_known_size_is_told() {
    let (small, large) = (Holder::of(1 << 20), Holder::of(33 << 20));
    small.settle();
    large.settle();
    let (survey, _) = survey(no_docker(), &[small.candidate(), large.candidate()]);
    let told = |metric, holder: &Holder| {
        let pid = holder.0.id().to_string();
        told(&survey, metric, "pid", &pid).unwrap()
    };
    for metric in [&names::PROCESS_USS, &names::PROCESS_PSS, &names::PROCESS_PSS_ANON] {
        let held = told(metric, &large) - told(metric, &small);
        let off = (held - f64::from(32 << 20)).abs();
        // It keeps its input in blocks with a head of 24 bytes each.
        assert!(off < f64::from(512 << 10), "{}: {held}", metric.name);
    }
    let text = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", large.0.id())).unwrap();
    let pss = text.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap();
    let pss: f64 = pss.trim().trim_end_matches(" kB").parse().unwrap();
    assert!((told(&names::PROCESS_PSS, &large) - pss * 1024.0).abs() <= 2.0 * 4096.0);
    let unit = survey.things.iter().filter(|t| t.labels.get("unit") == "holder.service");
    assert!(unit.count() > 10, "a process carries its owner");
}

/// A shell's descriptors, counted by itself.
#[test]
fn descriptors_by_kind_are_those_that_the_process_has() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let script = "for i in {1..30}; do exec {fd}<\"$0\"; done; ls -l /proc/$$/fd | wc -l; read";
    let mut shell = Command::new("bash")
        .args(["-c", script])
        .arg(file.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = [0; 2];
    shell.stdout.as_mut().unwrap().read_exact(&mut line).unwrap();
    let holder = Holder(shell);
    let (survey, _) = survey(no_docker(), &[holder.candidate()]);
    let of = |kind: &str| told(&survey, &names::PROCESS_FDS, "kind", kind).unwrap_or(0.0);
    assert_eq!(Some(of("file")), Some(30.0));
    // Besides, what every process here inherits: at least its three streams.
    assert!(of("pipe") >= 2.0 && of("device") >= 1.0, "{survey:?}");
    let path = format!("/proc/{}/fd", holder.0.id());
    let all = std::fs::read_dir(path).unwrap().count();
    let sum: f64 =
        survey.things.iter().filter(|t| t.metric == &names::PROCESS_FDS).map(|t| t.value).sum();
    assert_eq!(Bytes::from_f64(sum), Bytes::new(all.try_into().unwrap()));
}
