//! The sampler over trees that are made for it, and over cgroups that come and go.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use highwater_core::frame::{CgroupSample, Frame};
use highwater_core::id::{CgroupPath, Pid};
use highwater_core::limit::Limit;
use highwater_core::time::{BootTime, Stamp};
use highwater_core::units::{Bytes, PageSize, Permille};
use highwater_linux::facts::HostFacts;
use highwater_linux::parse::mountinfo::{self, Hierarchies};
use highwater_linux::root::Root;
use highwater_linux::sampler::{Nearness, Sampler, SamplerConfig};
use tempfile::TempDir;

const V1: &str = "35 31 0:32 / /cg/memory rw - cgroup cgroup rw,memory\n";
const V2: &str = "30 23 0:26 / /cg rw - cgroup2 cgroup2 rw\n";

/// A made-up machine.
pub(crate) struct Made {
    dir: TempDir,
    pub(crate) frame: Frame,
}

impl Made {
    pub(crate) fn new(mounts: &str) -> Self {
        let made = Self { dir: tempfile::tempdir().unwrap(), frame: Frame::default() };
        made.write("proc/self/mountinfo", mounts);
        made
    }

    /// With cgroup v2 and the memory controller.
    pub(crate) fn v2() -> Self {
        let made = Self::new(V2);
        made.write("cg/cgroup.controllers", "cpuset cpu io memory pids\n");
        made
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn remove(&self, path: &str) {
        let path = self.dir.path().join(path);
        let _absent = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
    }

    pub(crate) fn process(&self, pid: u32, start: u64, flags: u32, cgroup: &str) {
        let line = format!(
            "{pid} (p) S 1 1 1 0 -1 {flags} 0 0 0 0 0 0 0 0 20 0 1 0 {start} 4096 9 0 0 0 0\n"
        );
        self.write(&format!("proc/{pid}/stat"), &line);
        self.write(&format!("proc/{pid}/statm"), "10 9 1 0 0 0 0\n");
        self.write(&format!("proc/{pid}/cgroup"), cgroup);
    }

    fn sampler_of(&self, page_size: PageSize, config: SamplerConfig) -> Sampler {
        let root = Root::at(self.dir.path());
        Sampler::new(&root, HostFacts { page_size, ..HostFacts::read(&root) }, config).unwrap()
    }

    pub(crate) fn sampler(&self) -> Sampler {
        self.sampler_of(PageSize::KIB4, SamplerConfig::default())
    }

    /// The frame after `sampler` took another one at `tick`.
    pub(crate) fn sample(&mut self, sampler: &mut Sampler, tick: u64) -> &Frame {
        sampler.sample(stamp(tick), &mut self.frame).unwrap();
        &self.frame
    }
}

pub(crate) fn stamp(tick: u64) -> Stamp {
    Stamp { boot: BootTime::from_micros(tick * 5_000_000), ..Stamp::default() }
}

fn paths(frame: &Frame) -> Vec<&str> {
    frame.cgroups.iter().map(|cgroup| cgroup.path.as_str()).collect()
}

fn memberships(frame: &Frame) -> Vec<(u32, Option<&str>)> {
    let processes = frame.processes.iter();
    processes.map(|p| (p.key.pid.get(), p.cgroup.as_ref().map(CgroupPath::as_str))).collect()
}

pub(crate) fn cgroup<'f>(frame: &'f Frame, path: &str) -> Option<&'f CgroupSample> {
    frame.cgroups.iter().find(|cgroup| cgroup.path.as_str() == path)
}

#[test]
fn a_v2_mount_without_the_memory_controller_is_said_to_be_so() {
    let made = Made::new(V2);
    made.write("cg/cgroup.procs", "");
    let why = made.sampler().blindness().cgroups.clone().unwrap();
    assert!(why.starts_with("/cg/cgroup.controllers cannot be read: "), "{why}");
    made.write("cg/cgroup.controllers", "cpu memory2 pids\n");
    let why = made.sampler().blindness().cgroups.clone().unwrap();
    assert!(why.contains("does not name the memory controller"), "{why}");
    made.write("cg/cgroup.controllers", "cpu memory\n");
    assert_eq!(made.sampler().blindness().cgroups, None);
}

#[test]
fn a_misleading_name_is_part_of_the_cgroup_above_and_costs_no_descriptors() {
    let mut made = Made::v2();
    for dir in ["a", "a/x\ty", "a/x\u{200b}/in", r"a/systemd-x\x2dy"] {
        made.write(&format!("cg/{dir}/memory.current"), "1\n");
    }
    made.process(7, 1, 0, "0::/a/x\ty/deep\n");
    let mut sampler = made.sampler_of(
        PageSize::KIB4,
        SamplerConfig { slow_every_ticks: 1, ..SamplerConfig::default() },
    );
    let frame = made.sample(&mut sampler, 0);
    assert_eq!(paths(frame), ["/a", r"/a/systemd-x\x2dy"]);
    assert_eq!(memberships(frame), [(7, Some("/a"))]);
    let kept = sampler.tally().kept_files;
    for tick in 1..5 {
        made.sample(&mut sampler, tick);
    }
    assert_eq!(sampler.tally().kept_files, kept);
}

#[test]
fn of_many_hot_cgroups_the_nearest_are_watched() {
    const MOST: usize = 16;
    let mut made = Made::v2();
    for (nth, name) in ('a'..='z').enumerate() {
        made.write(&format!("cg/{name}/memory.max"), "1000\n");
        made.write(&format!("cg/{name}/memory.current"), &format!("{}\n", 910 + nth));
    }
    let mut sampler = made.sampler();
    made.sample(&mut sampler, 0);
    let mut hot: Vec<_> = sampler.hot().map(|path| path.as_str().to_owned()).collect();
    hot.sort();
    let nearest: Vec<_> = ('k'..='z').map(|name| format!("/{name}")).collect();
    assert_eq!((hot.len(), hot), (MOST, nearest));
}

#[test]
fn newcomers_in_the_cgroups_below_a_hot_one_are_met_in_a_close_up() {
    let mut made = Made::v2();
    made.write("cg/pod/memory.max", "1000\n");
    made.write("cg/pod/memory.current", "950\n");
    for dir in ["pod", "pod-other", "pod/one", "pod/one/two"] {
        made.write(&format!("cg/{dir}/cgroup.procs"), "");
    }
    let mut sampler = made.sampler();
    made.sample(&mut sampler, 0);
    let came = [(70, "pod"), (71, "pod-other"), (72, "pod/one"), (73, "pod/one/two")];
    for (pid, dir) in came {
        made.process(pid, 1, 0, &format!("0::/{dir}\n"));
        made.write(&format!("cg/{dir}/cgroup.procs"), &format!("{pid}\n"));
    }
    sampler.close_up(stamp(1), false, &mut made.frame).unwrap();
    let met = [(70, Some("/pod")), (72, Some("/pod/one")), (73, Some("/pod/one/two"))];
    assert_eq!(memberships(&made.frame), met);
}

#[test]
fn swap_is_read_at_every_tick() {
    let mut made = Made::v2();
    made.write("cg/a/memory.current", "1\n");
    let mut sampler = made.sampler();
    made.sample(&mut sampler, 0);
    for swap in 1..8 {
        made.write("cg/a/memory.swap.current", &format!("{swap}\n"));
        let read = cgroup(made.sample(&mut sampler, swap), "/a").unwrap().memory.swap;
        assert_eq!(read, Some(Bytes::new(swap)));
    }
}

#[test]
fn another_process_with_the_same_pid_is_read_anew() {
    let mut made = Made::v2();
    made.write("cg/a/memory.current", "1\n");
    made.write("cg/b/memory.current", "1\n");
    made.process(7, 100, 0, "0::/a\n");
    made.write("proc/7/oom_score_adj", "500\n");
    let mut sampler = made.sampler();
    for tick in 0..8 {
        let frame = made.sample(&mut sampler, tick);
        assert_eq!(frame.processes[0].slow.oom_score_adj, Some(500));
    }
    made.process(7, 200, 0, "0::/b\n");
    made.write("proc/7/oom_score_adj", "-900\n");
    let frame = made.sample(&mut sampler, 8);
    assert_eq!(frame.processes[0].key.start.get(), 200);
    assert_eq!(frame.processes[0].slow.oom_score_adj, Some(-900));
    assert_eq!(memberships(frame), [(7, Some("/b"))]);
}

#[test]
fn a_process_with_the_pid_of_a_kernel_thread_is_seen_on_a_slow_turn() {
    const KERNEL_THREAD: u32 = 0x0020_0000;
    let slow = u64::from(SamplerConfig::default().slow_every_ticks);
    // One is another process, the other a kernel thread that ran a program.
    for start in [200, 100] {
        let mut made = Made::v2();
        made.process(7, 100, KERNEL_THREAD, "0::/\n");
        let mut sampler = made.sampler();
        let kept = sampler.tally().kept_files;
        for tick in 0..2 * slow {
            assert_eq!(made.sample(&mut sampler, tick).processes.len(), 0);
        }
        assert_eq!(sampler.tally().kept_files, kept, "nothing is kept of a kernel thread");
        made.process(7, start, 0, "0::/\n");
        made.write("proc/7/oom_score_adj", "-900\n");
        for tick in 2 * slow..3 * slow {
            made.sample(&mut sampler, tick);
        }
        let process = made.frame.processes.first().unwrap();
        assert_eq!((process.key.pid, process.key.start.get()), (Pid::new(7), start));
        assert_eq!(process.slow.oom_score_adj, Some(-900));
    }
}

#[test]
fn in_a_container_without_a_namespace_paths_are_those_of_the_mount() {
    let mut made = Made::new(&V1.replace(" / ", " /docker/3f "));
    made.write("cg/memory/memory.usage_in_bytes", "9\n");
    made.write("cg/memory/in/memory.usage_in_bytes", "5\n");
    made.process(7, 1, 0, "4:memory:/docker/3f\n");
    made.process(8, 1, 0, "4:memory:/docker/3f/in\n");
    made.process(9, 1, 0, "4:memory:/docker/other\n");
    let mut sampler = made.sampler();
    let frame = made.sample(&mut sampler, 0);
    assert_eq!(memberships(frame), [(7, Some("/")), (8, Some("/in")), (9, None)]);
    assert_eq!(paths(frame), ["/", "/in"]);
    made.process(8, 1, 0, "4:memory:/docker/other\n");
    assert_eq!(memberships(made.sample(&mut sampler, 1))[1], (8, None), "it was moved out");
}

#[test]
fn no_limit_of_v1_is_told_by_this_machines_page_size() {
    let mut made = Made::new(V1);
    let none_of_64k = ((1_u64 << 31) - 1) * 65536;
    for file in ["usage_in_bytes", "limit_in_bytes", "memsw.limit_in_bytes"] {
        made.write(&format!("cg/memory/a/memory.{file}"), &format!("{none_of_64k}\n"));
    }
    for (size, none) in [(65536, true), (4096, false)] {
        let page_size = PageSize::new(size).unwrap();
        let mut sampler = made.sampler_of(page_size, SamplerConfig::default());
        let memory = cgroup(made.sample(&mut sampler, 0), "/a").unwrap().memory;
        for limit in [memory.limit, memory.memsw_limit] {
            assert_eq!(limit == Some(Limit::Unlimited), none, "{size}: {limit:?}");
        }
    }
}

/// A cgroup of this machine; gone with the test.
struct Group(PathBuf);

impl Group {
    /// `None` where cgroups may not be made.
    fn make(name: &str) -> Option<Self> {
        let text = fs::read("/proc/self/mountinfo").ok()?;
        let (_, mount) = Hierarchies::find(&mountinfo::parse(&text)).memory?;
        let dir = mount.join(format!("highwater-{name}-{}", std::process::id()));
        fs::create_dir(&dir).ok()?;
        let group = Self(dir);
        let limited = ["memory.limit_in_bytes", "memory.max"].map(|file| group.0.join(file));
        limited.iter().any(|file| file.exists()).then_some(group)
    }

    fn path(&self) -> String {
        Path::new("/").join(self.0.file_name().unwrap()).to_str().unwrap().to_owned()
    }

    fn limit(&self, bytes: u64) {
        let files = ["memory.limit_in_bytes", "memory.max"].map(|file| self.0.join(file));
        fs::write(files.iter().find(|file| file.exists()).unwrap(), bytes.to_string()).unwrap();
    }

    /// Removes it and makes another one of its path.
    fn renew(&self) {
        fs::remove_dir(&self.0).unwrap();
        fs::create_dir(&self.0).unwrap();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _gone = fs::remove_dir(&self.0);
    }
}

#[test]
fn a_cgroup_that_is_made_again_loses_no_tick() {
    let Some(group) = Group::make("renewed") else { return };
    group.limit(64 << 20);
    let root = Root::live();
    let config = SamplerConfig {
        nearness: Nearness {
            // Everything with a limit is hot.
            within: Permille::new(1000),
            horizon: Duration::from_mins(1),
            patience: Duration::from_mins(1),
        },
        ..SamplerConfig::default()
    };
    let mut sampler = Sampler::new(&root, HostFacts::read(&root), config).unwrap();
    let mut frame = Frame::default();
    let limit = |frame: &Frame| cgroup(frame, &group.path()).unwrap().memory.limit;
    sampler.sample(stamp(0), &mut frame).unwrap();
    assert_eq!(limit(&frame), Some(Limit::At(Bytes::from_mib(64))));
    group.renew();
    group.limit(32 << 20);
    sampler.sample(stamp(1), &mut frame).unwrap();
    assert_eq!(limit(&frame), Some(Limit::At(Bytes::from_mib(32))));
    assert!(sampler.hot().any(|path| path.as_str() == group.path()));
    group.renew();
    group.limit(16 << 20);
    sampler.close_up(stamp(2), false, &mut frame).unwrap();
    assert_eq!(limit(&frame), Some(Limit::At(Bytes::from_mib(16))));
    fs::remove_dir(&group.0).unwrap();
    sampler.close_up(stamp(3), false, &mut frame).unwrap();
    assert!(cgroup(&frame, &group.path()).is_none());
    sampler.sample(stamp(4), &mut frame).unwrap();
    assert!(cgroup(&frame, &group.path()).is_none());
}
