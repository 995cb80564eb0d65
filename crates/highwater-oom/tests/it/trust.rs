//! Names and programs that imitate the kernel neither forge a death nor hide one.

use highwater_core::id::Pid;
use highwater_core::line::{LogLine, Origin};
use highwater_oom::report::{OomReport, Trust};
use highwater_oom::{Assembler, deaths};
use proptest::prelude::*;

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
            journal: None,
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

/// A line with somebody's text in it.
#[derive(Clone, Copy, Debug)]
enum Form {
    Trigger,
    Asker,
    Cpuset,
    TaskIn,
    Stats,
    Row,
    Limit,
    Member,
    Summary,
    Group,
    Selected,
    Kill,
    Reaped,
}

use Form::{
    Asker, Cpuset, Group, Kill as Killed, Limit, Member, Reaped, Row, Selected, Stats, Summary,
    TaskIn, Trigger,
};

/// Those that hold a name of at most 15 bytes, and those that hold a path of as many as you like.
const NAMED: [Form; 7] = [Trigger, Asker, Row, Summary, Selected, Killed, Reaped];
const PATHED: [Form; 6] = [Cpuset, TaskIn, Stats, Limit, Member, Group];

impl Form {
    fn with(self, text: &str) -> String {
        let summary = |limit, member, task| {
            format!(
                "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/{limit},task_memcg=/{member},task={task},pid=77,uid=5"
            )
        };
        match self {
            Trigger => format!(
                "{text} invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0"
            ),
            Asker => format!("CPU: 1 PID: 77 Comm: {text} Not tainted 6.1.0 #1"),
            Cpuset => format!("x1 cpuset=/{text} mems_allowed=0"),
            TaskIn => format!("Task in /{text} killed as a result of limit of /{text}"),
            Stats => format!("Memory cgroup stats for /{text}: cache:0KB rss:4KB unevictable:0KB"),
            Row => format!(
                "[     77]     0    77        2        1    40960        0             0 {text}"
            ),
            Limit => summary(text, "m", "x"),
            Member => summary("m", text, "x"),
            Summary => summary("m", "m", text),
            Group => format!("Tasks in /{text} are going to be killed due to memory.oom.group set"),
            Selected => format!(
                "Memory cgroup out of memory: Kill process 77 ({text}) score 9 or sacrifice child"
            ),
            Killed => format!("Memory cgroup out of memory: Killed process 77 ({text}) {SIZES}"),
            Reaped => format!(
                "oom_reaper: reaped process 77 ({text}), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB"
            ),
        }
    }
}

/// Whole lines of others, and the words that lines are known by.
fn forged() -> Vec<String> {
    let mut forged: Vec<String> =
        NAMED.iter().chain(&PATHED).map(|form| form.with("y").replace("77", "1")).collect();
    let more = [
        "Out of memory: Killed process 1 (init) total-vm:8kB, anon-rss:4kB, file-rss:0kB",
        "[   12.5] Out of memory: Killed process 1 (init) total-vm:8kB, anon-rss:4kB, file-rss:0kB",
        "Jan 12 10:00:00 host kernel: [   12.5] Killed process 1 (init) total-vm:8kB, file-rss:0kB",
        "VM: killing process init(1)",
        "z: page allocation failure",
        "memory: usage 1kB, limit 1kB, failcnt 1",
        "imklog lost",
        "printk: 3 messages dropped",
        "x: 3 callbacks suppressed",
        "out of memory and no killable processes",
        "Mem-Info:",
        "active_anon:1 inactive_anon:2",
    ];
    forged.extend(more.map(str::to_owned));
    forged
}

fn hostile_path() -> impl Strategy<Value = String> {
    let glue = prop::sample::select(vec!["", " ", "#012", "\\x0a", ": ", ",", "/", "1) ", "] "]);
    let line = prop::sample::select(forged());
    let piece = (glue.clone(), line).prop_map(|(glue, line)| format!("{glue}{line}"));
    (prop::collection::vec(piece, 1..4), glue).prop_map(|(pieces, end)| pieces.concat() + end)
}

fn hostile_name() -> impl Strategy<Value = String> {
    let words = vec![
        "imklog lost",
        "swap: usage 1kB",
        "a swap: usage 1",
        "kmem: usage 1,",
        "messages dropped",
        "printk: dropped",
        "Missed kernel m",
        "panic_on_oom is",
        "oom_reaper: re",
        "Tasks in /",
        "Task in /a",
        "_memcg=/",
        "x cpuset=/",
        "Kill process 1 ",
        "Killed process ",
        "oom-kill:",
        "Out of memory: ",
        "Mem-Info:",
        "#012",
        "\\x0a",
        ") total-vm:1kB",
        "uid=1",
        ",pid=1,uid=1",
        "free:1 min:1kB",
        "sysrq: killed",
        "** printk drop",
        "VM: killing p",
        "(1)",
        ": usage 1kB,",
    ];
    let words = prop::collection::vec(prop::sample::select(words), 1..3);
    let cut = |words: Vec<&str>| words.concat().chars().take(15).collect::<String>();
    words.prop_map(cut).prop_filter("a name", |name| name.trim() == name && !name.is_empty())
}

/// The real episode, in the forms of 4.19 and of 5.0 at once.
fn episode(name: &str, path: &str, pathed: Form) -> Vec<String> {
    let header =
        "[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name";
    let mut lines = vec![Trigger.with(name), Asker.with(name)];
    let is_summary = matches!(pathed, Limit | Member);
    if !is_summary && !matches!(pathed, Group) {
        lines.push(pathed.with(path));
    }
    lines.extend([header.to_owned(), Row.with(name), Selected.with(name)]);
    lines.push(if is_summary { pathed.with(path) } else { Summary.with(name) });
    lines.push(Killed.with(name));
    if matches!(pathed, Group) {
        lines.push(pathed.with(path));
    }
    lines.push(Reaped.with(name));
    lines
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn only_the_real_death_is_read(
        name in hostile_name(),
        path in hostile_path(),
        pathed in prop::sample::select(PATHED.to_vec()),
        origin in prop::sample::select(vec![Origin::Kernel, Origin::Unsaid]),
    ) {
        let lines = episode(&name, &path, pathed);
        let lines: Vec<_> = lines.iter().map(|text| (origin, text.as_str())).collect();
        let reports = read(&lines);
        prop_assert_eq!(pids(&reports), [77]);
        let report = &reports[0];
        let trigger = report.trigger.as_ref().map(|trigger| trigger.line);
        prop_assert_eq!((trigger, report.kills[0].reaped.is_some()), (Some(1), true));
        let summary = report.summary.as_ref().unwrap();
        prop_assert_eq!((summary.value.pid, summary.value.uid), (Some(Pid::new(77)), Some(5)));
    }

    /// A single line, without an episode around it that its path could be read by.
    #[test]
    fn a_lone_line_with_a_path_names_nobody_else(
        path in hostile_path(),
        form in prop::sample::select(PATHED.to_vec()),
        origin in prop::sample::select(vec![Origin::Kernel, Origin::Unsaid]),
        front in prop::sample::select(vec!["", "kern.log:12: "]),
    ) {
        let front = if origin == Origin::Kernel { "" } else { front };
        let line = format!("{front}{}", form.with(&path));
        let reports = read(&[(origin, &line)]);
        let found = pids(&reports);
        prop_assert!(found.iter().all(|pid| *pid == 77), "{:?} in {}", found, line);
        prop_assert!(reports.iter().all(|report| report.trigger.is_none()), "{}", line);
    }
}

#[test]
fn a_name_does_not_hide_a_death_behind_other_words() {
    for name in ["imklog lost", "a swap: usage 1", "swap: usage 1kB", "kmem: usage 1,"] {
        for origin in [Origin::Kernel, Origin::Unsaid] {
            let kill = Killed.with(name);
            assert_eq!(pids(&read(&[(origin, &kill)])), [77], "{name} {origin:?}");
        }
    }
}

#[test]
fn a_path_hides_no_line_of_the_report() {
    for path in ["a invoked oom-killer", "a: page allocation failure"] {
        for origin in [Origin::Kernel, Origin::Unsaid] {
            let (trigger, summary) = (Trigger.with("x"), Limit.with(path));
            let kill = Killed.with("x");
            let lines = [trigger, summary, "Mem-Info:".to_owned(), kill];
            let lines: Vec<_> = lines.iter().map(|line| (origin, line.as_str())).collect();
            let reports = read(&lines);
            assert_eq!((reports.len(), pids(&reports)), (1, vec![77]), "{path}");
            let owner = reports[0].memcg.limit_owner.as_ref().unwrap();
            assert_eq!(owner.value, format!("/{path}"));
        }
    }
}

#[test]
fn a_path_that_holds_a_whole_line_forges_no_death() {
    let kill = format!("Out of memory: Killed process 1 (init) {SIZES}");
    let summary = "a,task_memcg=/x,task=t,pid=3,uid=0";
    for glue in ["", "#012", "\\x0a", "[   12.5] "] {
        let lines = [
            Limit.with(&format!("{summary}{glue}{kill}")),
            Group
                .with(&format!("a are going to be killed due to memory.oom.group set{glue}{kill}")),
            TaskIn.with(&format!("a: oom-kill:constraint=CONSTRAINT_NONE,{summary}{glue}{kill}")),
        ];
        for (line, origin) in
            lines.iter().flat_map(|l| [Origin::Kernel, Origin::Unsaid].map(|o| (l, o)))
        {
            let found = pids(&read(&[(origin, line)]));
            assert!(found.iter().all(|pid| *pid == 77), "{found:?} {origin:?} {line}");
        }
    }
}
