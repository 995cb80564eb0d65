use highwater_core::frame::{
    CgroupMemory, CgroupSample, CgroupVersion, Frame, MachineSample, MemInfo, Pressure, ProcSample,
    SlowReadings, Stall, VmStat, ZoneSample,
};
use highwater_core::id::{CgroupPath, Comm, Pid, ProcKey, StartTicks};
use highwater_core::limit::Limit;
use highwater_core::time::{BootTime, Stamp, WallTime};
use highwater_core::units::Bytes;
use highwater_diagnose::checkup::{
    MOST_URGENT, PastDeath, PastDeaths, Recorder, Severity, Subject, Values, judge, judge_recorded,
};
use highwater_diagnose::document::CheckupDocument;

const DAY_S: u64 = 86_400;

fn machine(available_mib: u64) -> MachineSample {
    MachineSample {
        mem: MemInfo {
            mem_total: Some(Bytes::from_mib(4000)),
            mem_free: Some(Bytes::from_mib(available_mib / 2)),
            mem_available: Some(Bytes::from_mib(available_mib)),
            swap_total: Some(Bytes::ZERO),
            swap_free: Some(Bytes::ZERO),
            ..MemInfo::default()
        },
        vm: VmStat { oom_kill: Some(0), ..VmStat::default() },
        ..MachineSample::default()
    }
}

fn frame(machine: MachineSample) -> Frame {
    Frame {
        stamp: Stamp {
            wall: WallTime::from_millis(1_700_000_000_000),
            boot: BootTime::from_micros(30 * DAY_S * 1_000_000),
        },
        machine: Some(machine),
        zones: vec![ZoneSample {
            min: Bytes::from_mib(60),
            low: Bytes::from_mib(80),
            ..ZoneSample::default()
        }],
        ..Frame::default()
    }
}

fn cgroup(path: &str, anon_mib: u64, limit: Limit) -> CgroupSample {
    let anon = Some(Bytes::from_mib(anon_mib));
    let memory = CgroupMemory {
        usage: anon,
        anon,
        inactive_file: Some(Bytes::ZERO),
        limit: Some(limit),
        ..CgroupMemory::default()
    };
    CgroupSample { path: CgroupPath::new(path.as_bytes()), version: CgroupVersion::V2, memory }
}

fn process(pid: u32, anon_mib: u64) -> ProcSample {
    ProcSample {
        key: ProcKey { pid: Pid::new(pid), start: StartTicks::new(1) },
        comm: Comm::new("内存".as_bytes()),
        cgroup: Some(CgroupPath::new(b"/system.slice/db.service")),
        parent: Pid::new(1),
        state: b'S',
        threads: 1,
        cpu_us: 0,
        major_faults: 0,
        virtual_size: Bytes::from_mib(99_000),
        resident: Bytes::from_mib(anon_mib + 10),
        resident_shared: Bytes::from_mib(10),
        children: None,
        zombie_children: None,
        slow: SlowReadings::default(),
    }
}

fn severity(frame: &Frame) -> Severity {
    judge(frame, &PastDeaths::default()).severity
}

#[test]
fn a_machine_with_room_is_fine() {
    let checkup = judge(&frame(machine(3000)), &PastDeaths::default());
    assert_eq!(checkup.severity, Severity::Ok);
    assert!(checkup.urgent.is_empty());
}

#[test]
fn little_available_memory_is_judged_by_share_and_watermark() {
    assert_eq!(severity(&frame(machine(399))), Severity::Warning);
    assert_eq!(severity(&frame(machine(199))), Severity::Critical);
    let mut tight = frame(machine(399));
    tight.zones[0].low = Bytes::from_mib(500);
    assert_eq!(severity(&tight), Severity::Critical);
}

#[test]
fn what_cannot_be_read_is_unknown_and_worse_is_worse() {
    let mut blind = frame(MachineSample::default());
    assert_eq!(severity(&blind), Severity::Unknown);
    blind.cgroups = vec![cgroup("/system.slice/a.service", 100, Limit::At(Bytes::from_mib(100)))];
    assert_eq!(severity(&blind), Severity::Critical);
}

#[test]
fn a_cgroup_near_its_own_limit_is_named_and_one_below_it_is_not() {
    let mut frame = frame(machine(3000));
    frame.cgroups = vec![
        cgroup("/system.slice/a.service", 92, Limit::At(Bytes::from_mib(100))),
        cgroup("/system.slice/a.service/inner", 92, Limit::Unlimited),
    ];
    let checkup = judge(&frame, &PastDeaths::default());
    assert_eq!(checkup.severity, Severity::Warning);
    assert_eq!(checkup.urgent.len(), 1);
    assert_eq!(checkup.owners.len(), 1, "an owner is counted once");
    let text = &checkup.urgent[0].claim.text;
    assert_eq!(text, "a.service uses 92 MiB of its 100 MiB limit (92 %)");
    assert_eq!(checkup.urgent[0].subject, Subject::LimitNear);
    let values = Values {
        owner: Some("a.service".to_owned()),
        bytes: Some(Bytes::from_mib(92)),
        of_bytes: Some(Bytes::from_mib(100)),
        ..Values::default()
    };
    assert_eq!(checkup.urgent[0].values, values);
}

#[test]
fn pressure_swap_and_deaths_each_have_their_word() {
    let mut machine = machine(3000);
    let stall = |avg60| Some(Stall { avg10: 0.0, avg60, avg300: 0.0, total_us: 1 });
    machine.memory_pressure = Some(Pressure { some: stall(20.0), full: stall(15.0) });
    machine.mem.swap_total = Some(Bytes::from_mib(100));
    machine.mem.swap_free = Some(Bytes::from_mib(1));
    machine.vm.oom_kill = Some(2);
    let frame = frame(machine);
    let past = PastDeaths {
        deaths: vec![PastDeath {
            wall: Some(frame.stamp.wall.before(std::time::Duration::from_hours(2))),
            victim: "node (pid 7)".to_owned(),
            limit_owner: Some("/docker/x".to_owned()),
        }],
        source: "recorded events".to_owned(),
        gap: None,
    };
    let checkup = judge(&frame, &past);
    assert_eq!(checkup.severity, Severity::Critical);
    assert_eq!(checkup.urgent.len(), MOST_URGENT);
    let texts: Vec<_> = checkup.urgent.iter().map(|finding| finding.claim.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "all programs waited for memory 15 % of the last minute",
            "1 process killed for memory in the last 24 h; the last was node (pid 7), at the limit of /docker/x, 2 h ago: highwater why",
            "swap is full: 1 MiB free of 100 MiB",
        ]
    );
}

#[test]
fn kills_of_the_last_day_that_have_no_name_are_counted_too() {
    let mut machine = machine(3000);
    machine.vm.oom_kill = Some(1165);
    let mut frame = frame(machine);
    frame.stamp.boot = BootTime::from_micros(11 * 3_600_000_000);
    let death = PastDeath {
        wall: Some(frame.stamp.wall.before(std::time::Duration::from_hours(2))),
        victim: "node (pid 7)".to_owned(),
        limit_owner: None,
    };
    let checkup = judge(&frame, &PastDeaths { deaths: vec![death], ..PastDeaths::default() });
    assert_eq!(
        checkup.urgent[0].claim.text,
        "1 process killed for memory in the last 24 h (on record, of 1165 since boot 11 h ago); the last was node (pid 7), 2 h ago: highwater why"
    );
}

#[test]
fn who_hangs_is_one_point() {
    let mut frame = frame(machine(3000));
    let mut full = cgroup("/batch", 100, Limit::At(Bytes::from_mib(100)));
    full.memory.under_oom = Some(true);
    frame.cgroups = vec![full];
    let checkup = judge(&frame, &PastDeaths::default());
    let texts: Vec<_> = checkup.urgent.iter().map(|finding| finding.claim.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "cgroup /batch: its tasks hang at its 100 MiB limit, and nothing is killed there: highwater why"
        ]
    );
}

#[test]
fn old_deaths_do_not_warn_for_ever() {
    let mut machine = machine(3000);
    machine.vm.oom_kill = Some(2);
    assert_eq!(severity(&frame(machine)), Severity::Ok);
}

#[test]
fn kills_without_a_name_say_why_they_have_none() {
    let mut frame = frame(MachineSample {
        vm: VmStat { oom_kill: Some(3), ..VmStat::default() },
        ..machine(3000)
    });
    frame.stamp.boot = BootTime::from_micros(6_060_000_000);
    let text = |gap: Option<&str>| {
        let past = PastDeaths { gap: gap.map(str::to_owned), ..PastDeaths::default() };
        judge(&frame, &past).urgent[0].claim.text.clone()
    };
    assert_eq!(
        text(Some("the kernel's log needs root or CAP_SYSLOG")),
        "3 killed for memory since boot; who and when is unknown: the kernel's log needs root or CAP_SYSLOG"
    );
    assert_eq!(
        text(None),
        "3 killed for memory since boot; who and when is unknown: the kernel's log no longer has them"
    );
}

#[test]
fn a_giant_without_a_limit_is_listed_and_from_half_the_machine_warned_of() {
    let mut frame = frame(machine(3000));
    frame.cgroups = vec![
        cgroup("/system.slice", 2500, Limit::Unlimited),
        cgroup("/system.slice/db.service", 2500, Limit::Unlimited),
    ];
    frame.processes = vec![process(5, 100), process(6, 2400)];
    let recorder = Recorder {
        place: "/var/lib/highwater".to_owned(),
        is_running: Some(true),
        used: Bytes::from_mib(23),
        newest: Some(frame.stamp.wall),
        slowed: vec!["survey".to_owned()],
        ..Recorder::default()
    };
    let checkup = judge_recorded(&frame, &PastDeaths::default(), Some(recorder));
    assert_eq!(checkup.severity, Severity::Warning);
    assert_eq!(checkup.unlimited[0].owner, "db.service");
    assert_eq!(checkup.processes[0].pid.get(), 6);
    assert_eq!(checkup.processes[0].owner.as_deref(), Some("db.service"));
    let json = serde_json::to_string_pretty(&CheckupDocument::from(&checkup)).unwrap();
    insta::assert_snapshot!(json);
    // A limit above it is a limit.
    frame.cgroups[0].memory.limit = Some(Limit::At(Bytes::from_mib(3000)));
    assert!(judge(&frame, &PastDeaths::default()).unlimited.is_empty());
}
