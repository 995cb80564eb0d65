//! The page fits, whatever is on it.

use highwater_core::event::{Grower, GrowthLimit, HourlyRate, TimeLeft};
use highwater_core::frame::{
    CgroupMemory, CgroupSample, CgroupVersion, Frame, MachineSample, MemInfo, Pressure, ProcSample,
    SlowReadings, Stall, VmStat, ZoneSample,
};
use highwater_core::growth::{Resource, Verdict};
use highwater_core::id::{CgroupPath, Comm, Pid, ProcKey, StartTicks};
use highwater_core::time::{BootTime, Stamp, WallTime};
use highwater_diagnose::checkup::{
    Growing, PastDeath, PastDeaths, Recorder, judge, judge_recorded,
};

use super::*;

/// Everything is wrong at once, and every name is long and wide.
fn worst() -> Checkup {
    let odd = Bytes::new(1023 * 1024 * 1024 * 1024);
    let stall = Some(Stall { avg10: 99.99, avg60: 99.99, avg300: 99.99, total_us: 1 });
    let machine = MachineSample {
        mem: MemInfo {
            mem_total: Some(odd),
            mem_free: Some(Bytes::new(1023 * 1024)),
            mem_available: Some(Bytes::new(1023 * 1024)),
            swap_total: Some(odd),
            swap_free: Some(Bytes::ZERO),
            shmem: Some(odd),
            cached: Some(odd),
            slab: Some(odd),
            anon_pages: Some(odd),
            ..MemInfo::default()
        },
        vm: VmStat { oom_kill: Some(u64::MAX), ..VmStat::default() },
        memory_pressure: Some(Pressure { some: stall, full: stall }),
        ..MachineSample::default()
    };
    let cgroup = |at: u32| CgroupSample {
        path: CgroupPath::new(
            format!("/system.slice/{}{at}.service", "内存".repeat(30)).as_bytes(),
        ),
        version: CgroupVersion::V2,
        memory: CgroupMemory {
            usage: Some(odd),
            anon: Some(odd),
            limit: Some(if at < 4 { Limit::Unlimited } else { Limit::At(odd) }),
            ..CgroupMemory::default()
        },
    };
    let process = |at: u32| ProcSample {
        key: ProcKey { pid: Pid::new(4_194_304 - at), start: StartTicks::new(1) },
        comm: Comm::new("内存内存内存内存".as_bytes()),
        cgroup: None,
        parent: Pid::new(1),
        state: b'S',
        threads: 1,
        cpu_us: 0,
        major_faults: 0,
        virtual_size: odd,
        resident: odd,
        resident_shared: Bytes::ZERO,
        children: None,
        zombie_children: None,
        slow: SlowReadings::default(),
    };
    let frame = Frame {
        stamp: Stamp {
            wall: WallTime::from_millis(1_700_000_000_000),
            boot: BootTime::from_micros(u64::MAX / 2),
        },
        machine: Some(machine),
        zones: vec![ZoneSample { low: odd, min: odd, ..ZoneSample::default() }],
        cgroups: (0..30).map(cgroup).collect(),
        processes: (0..30).map(process).collect(),
        ..Frame::default()
    };
    let death = PastDeath {
        wall: Some(frame.stamp.wall),
        victim: "内存".repeat(30),
        limit_owner: Some(format!("/{}", "长".repeat(60))),
    };
    let past = PastDeaths { deaths: vec![death], ..PastDeaths::default() };
    let mut checkup = judge_recorded(&frame, &past, Some(worst_recorder()));
    checkup.notes = vec!["内存".repeat(60), "x".repeat(300)];
    let found = vec![grown(&"内存".repeat(30), u64::MAX); 7];
    checkup.with(Growing::new(frame.stamp.wall, true, found))
}

fn grown(name: &str, seconds: u64) -> Grown {
    let name = name.to_owned();
    Grown {
        owner: Grower { kind: "unit".to_owned(), id: name.clone(), name },
        resource: Resource::SlabUnreclaimable,
        verdict: Verdict::Leak,
        rate: Some(HourlyRate { per_hour: 5_125_000.0, low: 5e6, high: 6e6 }),
        confidence: 0.9,
        since: None,
        current: 5e8,
        limit: Some(GrowthLimit { kind: "machine".to_owned(), at: 4e9 }),
        left: Some(TimeLeft { seconds, soonest: seconds / 2, latest: None }),
        cause: None,
        claims: Vec::new(),
    }
}

fn worst_recorder() -> Recorder {
    Recorder {
        is_running: Some(true),
        used: Bytes::new(u64::MAX / 3),
        budget: Some(Bytes::new(u64::MAX / 3)),
        trouble: Some("内存".repeat(30)),
        raw_from: Some(WallTime::from_millis(0)),
        minutes_from: Some(WallTime::from_millis(0)),
        ten_minutes_from: Some(WallTime::from_millis(0)),
        backlog: u64::MAX,
        slowed: vec!["everything".to_owned()],
        is_tight: true,
        ..Recorder::default()
    }
}

fn service(name: &str, anon_mib: u64, limit: Limit) -> CgroupSample {
    let anon = Some(Bytes::from_mib(anon_mib));
    let memory = CgroupMemory { usage: anon, anon, limit: Some(limit), ..CgroupMemory::default() };
    let path = CgroupPath::new(format!("/system.slice/{name}.service").as_bytes());
    CgroupSample { path, version: CgroupVersion::V2, memory }
}

fn running(pid: u32, comm: &str, anon_mib: u64) -> ProcSample {
    ProcSample {
        key: ProcKey { pid: Pid::new(pid), start: StartTicks::new(1) },
        comm: Comm::new(comm.as_bytes()),
        cgroup: None,
        parent: Pid::new(1),
        state: b'S',
        threads: 1,
        cpu_us: 0,
        major_faults: 0,
        virtual_size: Bytes::from_mib(9000),
        resident: Bytes::from_mib(anon_mib),
        resident_shared: Bytes::ZERO,
        children: None,
        zombie_children: None,
        slow: SlowReadings::default(),
    }
}

/// A recorder that has run for a month.
fn recorder(wall: WallTime) -> Recorder {
    let ago = |days: u64| Some(wall.before(std::time::Duration::from_hours(24 * days)));
    Recorder {
        place: "/var/lib/highwater".to_owned(),
        is_running: Some(true),
        used: Bytes::from_mib(214),
        budget: Some(Bytes::from_mib(2048)),
        newest: Some(wall),
        raw_from: ago(7),
        minutes_from: ago(30),
        ten_minutes_from: ago(38),
        ..Recorder::default()
    }
}

/// A machine as one meets it: a gateway near its limit, a database without one.
fn usual() -> Checkup {
    let mib = |count| Some(Bytes::from_mib(count));
    let mem = MemInfo {
        mem_total: mib(7936),
        mem_free: mib(412),
        mem_available: mib(1904),
        swap_total: mib(2048),
        swap_free: mib(1731),
        anon_pages: mib(5410),
        cached: mib(1502),
        shmem: mib(96),
        slab: mib(388),
        ..MemInfo::default()
    };
    let stall = |avg| Some(Stall { avg10: avg, avg60: avg, avg300: avg / 2.0, total_us: 1 });
    let machine = MachineSample {
        mem,
        vm: VmStat { oom_kill: Some(1), ..VmStat::default() },
        memory_pressure: Some(Pressure { some: stall(2.4), full: stall(0.6) }),
        ..MachineSample::default()
    };
    let wall = WallTime::from_millis(1_772_424_669_100);
    let at = |limit_mib| Limit::At(Bytes::from_mib(limit_mib));
    let frame = Frame {
        stamp: Stamp { wall, boot: BootTime::from_micros(1_209_600_000_000) },
        machine: Some(machine),
        zones: vec![ZoneSample {
            low: Bytes::from_mib(84),
            min: Bytes::from_mib(67),
            ..ZoneSample::default()
        }],
        cgroups: vec![
            service("postgresql", 2210, Limit::Unlimited),
            service("gateway", 934, at(1024)),
            service("orders", 611, at(2048)),
            service("nginx", 48, Limit::Unlimited),
        ],
        processes: vec![
            running(910, "node", 921),
            running(2044, "java", 598),
            running(1201, "postgres", 402),
            running(1202, "postgres", 377),
            running(1377, "postgres", 290),
        ],
        ..Frame::default()
    };
    let death = PastDeath {
        wall: Some(wall.before(std::time::Duration::from_mins(190))),
        victim: "node (pid 884)".to_owned(),
        limit_owner: Some("/system.slice/gateway.service".to_owned()),
    };
    let past = PastDeaths { deaths: vec![death], ..PastDeaths::default() };
    judge_recorded(&frame, &past, Some(recorder(wall)))
}

#[test]
fn the_manual_shows_this_page() {
    let text = anstream::adapter::strip_str(&page(Page { width: 80 }, &usual())).to_string();
    let manual = include_str!("../../../../../docs/manual/checkup.md");
    assert!(manual.contains(&text), "docs/manual/checkup.md should show:\n{text}");
}

fn assert_fits(text: &str) {
    let plain = anstream::adapter::strip_str(text).to_string();
    assert!(plain.lines().count() <= 23, "a prompt needs the 24th line:\n{plain}");
    for line in plain.lines() {
        assert!(wrap::width(line) <= 80, "{line}");
    }
}

#[test]
fn a_point_keeps_its_end() {
    let text = anstream::adapter::strip_str(&page(Page { width: 80 }, &worst())).to_string();
    let checkup = worst();
    let told = checkup.urgent.iter().filter(|finding| finding.claim.text.contains(": highwater"));
    assert_eq!(text.matches("highwater why").count(), told.count(), "{text}");
}

#[test]
fn what_to_do_is_the_last_that_goes() {
    let mut checkup = usual();
    let told = |finding: &&mut Finding| finding.claim.text.ends_with(": highwater why");
    let finding = checkup.urgent.iter_mut().find(told).unwrap();
    finding.claim.text = format!("{}: highwater why", "of so many short words ".repeat(9));
    let text = anstream::adapter::strip_str(&page(Page { width: 80 }, &checkup)).to_string();
    assert!(text.contains("…: highwater why\n"), "{text}");
    assert_fits(&text);
}

#[test]
fn a_command_with_a_directory_stays_whole() {
    let mut checkup = usual();
    let finding = checkup
        .urgent
        .iter_mut()
        .find(|finding| finding.claim.text.ends_with(": highwater why"))
        .unwrap();
    let dir = format!("/srv/{}", "long/".repeat(14));
    finding.claim.text.extend([" --data-dir ", &dir]);
    let text = anstream::adapter::strip_str(&page(Page { width: 80 }, &checkup)).to_string();
    assert!(text.contains(&format!("\n    highwater why --data-dir {dir}\n")), "{text}");
}

#[test]
fn the_worst_machine_fits_80_by_24() {
    assert_fits(&page(Page { width: 80 }, &worst()));
}

#[test]
fn what_grows_is_said_in_one_line_and_what_to_run_next() {
    let found = vec![
        Grown { resource: Resource::Anon, ..grown("collector", 15 * 86_400) },
        Grown { resource: Resource::Anon, ..grown("gateway", 20 * 86_400) },
        grown("third", 30 * 86_400),
    ];
    let before = usual();
    let at = before.at;
    let checkup = before.with(Growing::new(at, true, found));
    let text = anstream::adapter::strip_str(&page(Page { width: 80 }, &checkup)).to_string();
    let line = text.lines().find(|line| line.starts_with("  grows ")).unwrap();
    let said = "  grows      collector anon 4.89 MiB/h, 15 d left · 2 more: highwater leaks";
    assert_eq!(line, said);
    assert_fits(&text);
    let healthy = usual().with(Growing::new(at, true, Vec::new()));
    assert_eq!(page(Page { width: 80 }, &healthy), page(Page { width: 80 }, &usual()));
}

#[test]
fn a_leak_in_a_named_recording_is_looked_for_there() {
    let mut checkup = usual();
    let at = checkup.at;
    checkup = checkup.with(Growing::new(at, true, vec![grown("collector", 3600)]));
    let told = |one: &&mut Finding| one.claim.text.ends_with(": highwater leaks collector");
    let finding = checkup.urgent.iter_mut().find(told).unwrap();
    finding.claim.text += " --data-dir /srv/x";
    let text = anstream::adapter::strip_str(&page(Page { width: 80 }, &checkup)).to_string();
    assert!(text.contains("highwater leaks collector --data-dir /srv/x\n"), "{text}");
}

#[test]
fn what_was_left_out_is_said() {
    let mut checkup = usual();
    checkup.notes = vec!["1 damaged event was left out: number 7".to_owned()];
    let text = anstream::adapter::strip_str(&page(Page { width: 80 }, &checkup)).to_string();
    assert!(text.contains("\n  left out   1 damaged event was left out: number 7\n"), "{text}");
    assert_fits(&text);
}

#[test]
fn a_machine_that_cannot_be_read_fits_too() {
    let checkup = judge(&Frame::default(), &PastDeaths::default());
    assert_eq!(checkup.severity, Severity::Unknown);
    assert_fits(&page(Page { width: 80 }, &checkup));
}
