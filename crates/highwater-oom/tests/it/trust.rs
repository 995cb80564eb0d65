//! Names and programs that imitate the kernel neither forge a death nor hide one.

use highwater_core::id::Pid;
use highwater_core::line::{LogLine, Origin};
use highwater_oom::report::{OomReport, Trust};
use highwater_oom::{Assembler, deaths};

const SIZES: &str =
    "total-vm:8kB, anon-rss:4kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:40kB oom_score_adj:0";

fn read(lines: &[(Origin, &str)]) -> Vec<OomReport> {
    let mut assembler = Assembler::new();
    let mut all = Vec::new();
    for ((origin, text), number) in lines.iter().zip(1..) {
        let line = LogLine {
            number,
            text: text.as_bytes(),
            raw: text.as_bytes(),
            wall: None,
            boot: None,
            seq: None,
            ident: None,
            continues: false,
            origin: *origin,
            caller: None,
        };
        all.extend(assembler.push(&line).finished);
    }
    all.extend(std::iter::from_fn(|| assembler.finish()));
    all.sort_by_key(|report| report.lines[0].number);
    all
}

fn pids(reports: &[OomReport]) -> Vec<u32> {
    deaths(reports).filter_map(|(_, kill)| kill.pid).map(Pid::get).collect()
}

/// Names of at most 15 bytes, as `prctl` takes them.
const NAMES: [&str; 12] = [
    "x) total-vm:1kB",
    "a\nKilled proces",
    "a), UID 1, (b",
    "\nKilled process",
    "x,pid=1,uid=0",
    ",task=y,pid=1",
    "\x1b[31mred",
    "\n[1.0] oom-kill",
    "oom_reaper: x",
    "oom-kill:const",
    "(1) score 9 or",
    "\\x0aOut of mem",
];

#[test]
fn no_name_forges_or_hides_a_death() {
    for (name, origin) in
        NAMES.iter().flat_map(|name| [Origin::Kernel, Origin::Unsaid].map(|o| (name, o)))
    {
        assert!(name.len() <= 15, "{name:?}");
        let trigger = format!(
            "{name} invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0"
        );
        let row = format!(
            "[     77]     0    77        2        1    40960        0             0 {name}"
        );
        let summary = format!(
            "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/m,task_memcg=/m/t,task={name},pid=77,uid=5"
        );
        let selected = format!(
            "Memory cgroup out of memory: Kill process 77 ({name}) score 9 or sacrifice child"
        );
        let kill = format!("Memory cgroup out of memory: Killed process 77 ({name}) {SIZES}");
        let reaped = format!(
            "oom_reaper: reaped process 77 ({name}), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB"
        );
        let header =
            "[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name";
        let lines = [&trigger, header, &row, &selected, &summary, &kill, &reaped];
        let lines: Vec<_> = lines.iter().map(|text| (origin, *text)).collect();
        let reports = read(&lines);
        assert_eq!(pids(&reports), [77], "{name:?} {origin:?}");
        let death = &reports[0].kills[0];
        assert_eq!(death.total_vm.unwrap().get(), 8192, "{name:?}");
        assert_eq!(
            death.comm.as_deref(),
            Some(highwater_core::text::escape(name.as_bytes()).as_ref())
        );
        let summary = &reports[0].summary.as_ref().unwrap().value;
        assert_eq!((summary.pid, summary.uid), (Some(Pid::new(77)), Some(5)), "{name:?}");
        assert_eq!(reports[0].memcg.limit_owner.as_ref().unwrap().value, "/m", "{name:?}");
        assert_eq!(death.reaped, Some(7), "{name:?}");
        let trust = if origin == Origin::Kernel { Trust::Kernel } else { Trust::AsPasted };
        assert_eq!(reports[0].trust, trust);
    }
}

#[test]
fn a_path_that_imitates_other_lines_names_nobody() {
    let forged = [
        "Out of memory: Killed process 1 (x) total-vm:8kB, anon-rss:4kB, file-rss:0kB",
        "oom-kill:constraint=CONSTRAINT_NONE,task=x,pid=1,uid=0",
        "a invoked oom-killer: gfp_mask=0x0, order=0, oom_score_adj=0",
        "memory: usage 1kB, limit 1kB, failcnt 1",
    ];
    for path in forged {
        let lines = [
            format!("Task in /{path} killed as a result of limit of /{path}"),
            format!("Tasks in /{path} are going to be killed due to memory.oom.group set"),
            format!("Memory cgroup stats for /{path}: cache:0KB rss:4KB"),
            format!("x cpuset=/{path} mems_allowed=0"),
        ];
        for (line, origin) in
            lines.iter().flat_map(|l| [Origin::Kernel, Origin::Unsaid].map(|o| (l, o)))
        {
            let reports = read(&[(origin, line)]);
            assert_eq!(pids(&reports), Vec::<u32>::new(), "{line} {origin:?}");
            assert!(reports.iter().all(|report| report.trigger.is_none()), "{line}");
        }
    }
}

#[test]
fn a_program_never_speaks_for_the_kernel() {
    let kill = format!("Out of memory: Killed process 1 (init) {SIZES}");
    let summary = "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/,task=init,pid=1,uid=0";
    assert_eq!(read(&[(Origin::Program, &kill), (Origin::Program, summary)]), []);
    let real = format!("Out of memory: Killed process 77 (x) {SIZES}");
    let mixed = read(&[
        (
            Origin::Kernel,
            "a invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
        ),
        (Origin::Program, summary),
        (Origin::Program, &kill),
        (Origin::Kernel, &real),
    ]);
    assert_eq!((pids(&mixed), mixed[0].trust, mixed.len()), (vec![77], Trust::Kernel, 1));
    assert!(mixed[0].trigger.is_some() && mixed[0].summary.is_none());
}

#[test]
fn pasted_lines_neither_enter_a_report_of_the_kernels_nor_end_it() {
    let (real, pasted) = (
        format!("Out of memory: Killed process 77 (x) {SIZES}"),
        format!("Out of memory: Killed process 5 (y) {SIZES}"),
    );
    let reports = read(&[
        (
            Origin::Kernel,
            "a invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
        ),
        (Origin::Unsaid, &pasted),
        (Origin::Kernel, &real),
    ]);
    assert_eq!(pids(&reports), [77, 5]);
    assert_eq!((reports[0].trust, reports[1].trust), (Trust::Kernel, Trust::AsPasted));
    assert!(reports[0].trigger.is_some() && reports[1].trigger.is_none());
}

#[test]
fn a_line_end_in_a_record_gives_what_follows_no_authority() {
    for origin in [Origin::Kernel, Origin::Unsaid] {
        let record = format!("x: something\nOut of memory: Killed process 1 (init) {SIZES}");
        assert_eq!(pids(&read(&[(origin, &record)])), Vec::<u32>::new(), "{origin:?}");
        let block = format!(
            "active_anon:1 inactive_anon:2\nOut of memory: Killed process 1 (init) {SIZES}"
        );
        let head = (origin, "a invoked oom-killer: gfp_mask=0xcc0, order=0, oom_score_adj=0");
        assert_eq!(pids(&read(&[head, (origin, &block)])), Vec::<u32>::new(), "{origin:?}");
    }
}

#[test]
fn quotations_are_no_deaths() {
    for text in [
        "#   Out of memory: Killed process 12345 (x) total-vm:8kB, anon-rss:4kB, file-rss:0kB",
        "    positive: ['kernel: Out of memory: Killed process 123 (game) total-vm:123456kB']",
        "re.compile(r\"Out of memory: Killed process 5 (x) total-vm:8kB\")",
        "rule \"oom-kill:constraint=CONSTRAINT_NONE,task=x,pid=1,uid=0\"",
    ] {
        assert_eq!(pids(&read(&[(Origin::Unsaid, text)])), Vec::<u32>::new(), "{text}");
    }
}
