//! Why this one: every task table at hand with what was printed, what is reckoned, how sure it is;
//! and small reports, made up for one question each.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use highwater_core::id::Pid;
use highwater_core::units::{Bytes, PageSize, Pages};
use highwater_oom::OomReport;
use highwater_oom::badness::{
    Between, Bonus, Choice, Generation, Outcome, Question, Spared, Standing,
};
use highwater_oom::report::{Cited, Constraint, Machine, Task, TaskTable};
use proptest::prelude::*;

use crate::{corpus, fixtures};

/// The logs of a folder, by name.
fn logs(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let texts = paths.iter().filter(|path| path.extension().is_some_and(|ext| ext == "txt"));
    let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    texts.map(|path| (name(path), std::fs::read(path).unwrap())).collect()
}

/// Every choice of a folder's logs, by the log's name.
fn choices(dir: &Path) -> Vec<(String, Choice)> {
    let mut choices = Vec::new();
    for (name, log) in logs(dir) {
        let mut dying = Vec::new();
        for report in corpus::reports(&log) {
            if !report.tasks.rows.is_empty() {
                choices.push((name.clone(), Choice::after(&report, None, &dying)));
            }
            dying.extend(report.kills.iter().filter_map(|kill| kill.pid));
        }
    }
    choices
}

/// `log | rule | total | printed | computed | rank | outcome (certainty)`, then what hangs on it.
fn table(choices: &[(String, Choice)]) -> String {
    let mut out = String::new();
    for (name, choice) in choices {
        let chosen = choice.chosen;
        let or_none =
            |value: Option<i64>| value.map_or("–".to_owned(), |value| value.to_string());
        writeln!(
            out,
            "{name} | {} | {} pages ({}) | printed {} | computed {} | rank {} of {} | {} ({})",
            choice.rule.generation.as_str(),
            pages(choice.total.value),
            choice.total.certainty.as_str(),
            or_none(choice.printed.map(|printed| printed.score)),
            or_none(chosen.and_then(|chosen| chosen.permille)),
            or_none(chosen.and_then(|chosen| chosen.rank?.try_into().ok())),
            choice.standings.len(),
            choice.outcome.as_str(),
            choice.certainty.as_str(),
        )
        .unwrap();
        for reason in choice.certainty.reasons().iter().chain(choice.total.certainty.reasons()) {
            writeln!(out, "    ? {reason}").unwrap();
        }
        for other in &choice.counterfactuals {
            let (whose, instead) = (other.whose.pid, other.instead.pid);
            let kind = other.kind.as_str();
            writeln!(out, "    {kind}: {whose} at {} not {}: {instead}", other.to, other.from)
                .unwrap();
        }
    }
    out
}

fn pages(total: Option<Between>) -> String {
    match total {
        None => "–".to_owned(),
        Some(Between { least, most: None }) => format!("≥ {least}"),
        Some(Between { least, most: Some(most) }) if most == least => format!("{least}"),
        Some(Between { least, most: Some(most) }) => format!("{least} to {most}"),
    }
}

#[test]
fn every_table_of_our_own_fixtures() {
    const NAMES: [&str; 4] =
        ["v1-one-kill", "v1-limit-above-and-a-forged-name", "v1-burst-of-30", "v2-unit-memorymax"];
    let all = choices(&fixtures());
    let ours: Vec<_> =
        all.iter().filter(|(name, _)| NAMES.contains(&name.as_str())).cloned().collect();
    insta::assert_snapshot!(table(&ours));
    // Whatever else lies there was killed by a kernel of today: nobody died without a reason.
    for (name, choice) in &all {
        assert_ne!(choice.outcome, Outcome::Unexplained, "{name}");
    }
}

/// Logs that are not part of the repository, where they are at hand.
#[test]
fn every_table_of_the_shared_logs() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/oomlogs");
    let all = choices(&dir);
    println!("{}", table(&all));
    let of = |name: &str| all.iter().find(|(log, _)| log.starts_with(name)).map(|(_, it)| it);
    // All inputs are printed: the computed score is the printed one.
    for (name, score) in [
        ("oomanalyser_rhel7", 651),
        ("cadvisor_1_badsysprogram", 919),
        ("cadvisor_2_gunpowder", 1046),
        ("cadvisor_3_gunpowder", 1003),
    ] {
        let Some(choice) = of(name) else { continue };
        let chosen = choice.chosen.unwrap();
        assert_eq!((chosen.permille, chosen.rank), (Some(score), Some(1)), "{name}");
        let printed = choice.printed.unwrap();
        assert_eq!((printed.score, printed.agrees), (score, Some(true)), "{name}");
    }
    // Only whether there was swap is not printed: with none, the score is the printed one, and
    // that leaves room for next to none.
    if let Some(choice) = of("fw_3.10_docker_stress") {
        let (chosen, total) = (choice.chosen.unwrap(), choice.total.value.unwrap());
        assert_eq!((total.least, chosen.points.unwrap() * 1000 / 262_144), (262_144, 1001));
        assert_eq!((choice.printed.unwrap().score, total.most), (1001, Some(262_294)));
        assert_eq!(chosen.rank, Some(1));
    }
    // The swap of the machine is not printed, but no total that the limits allow is ruled out.
    for (name, swap_at_least) in [("fw_4.1_ltp_oom03", 65_535), ("cadvisor_0_memory", 8_324_326)] {
        let Some(choice) = of(name) else { continue };
        assert_ne!(choice.printed.unwrap().agrees, Some(false), "{name}");
        assert!(choice.total.value.unwrap().least >= swap_at_least, "{name}");
        assert_eq!(choice.chosen.unwrap().rank, Some(1), "{name}");
    }
    let modern = all.iter().filter(|(_, it)| it.rule.generation == Generation::Plain);
    for (name, choice) in modern.filter(|(_, choice)| choice.chosen.is_some()) {
        assert_eq!(choice.chosen.unwrap().rank, Some(1), "{name}");
    }
}

/// The one report of a text.
fn report(log: &str) -> OomReport {
    let mut reports = corpus::reports(log.as_bytes());
    assert_eq!(reports.len(), 1, "{log}");
    reports.remove(0)
}

fn choice(log: &str) -> Choice {
    Choice::of(&report(log), Some(PageSize::KIB4))
}

const TABLES: &str =
    "[ pid ]   uid  tgid total_vm      rss nr_ptes nr_pmds swapents oom_score_adj name";
const OLD_TABLES: &str =
    "[ pid ]   uid  tgid total_vm      rss nr_ptes swapents oom_score_adj name";
const BYTES: &str =
    "[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name";

#[test]
fn the_lines_tell_the_rule() {
    let of = |log: &str| {
        let rule = choice(log).rule;
        (rule.generation, rule.bonus, rule.sacrifices)
    };
    let log = format!(
        "a invoked oom-killer: gfp_mask=0xd0, order=0, oom_score_adj=0\n{TABLES}\n[  7]  0  7  900  500  8  2  0  0 a\nOut of memory: Kill process 7 (a) score 5 or sacrifice child\nKilled process 7 (a) total-vm:3600kB, anon-rss:2000kB, file-rss:0kB\n"
    );
    assert_eq!(of(&log), (Generation::Bonus, Bonus::OfPoints, Some(true)));
    let older = log.replace(TABLES, OLD_TABLES).replace("  8  2  0  0 a", "  8  0  0 a");
    assert_eq!(of(&older), (Generation::Bonus, Bonus::Either, Some(true)));
    let bytes = log.replace(TABLES, &BYTES.replace("  pid  ", " pid "));
    let bytes = bytes.replace("  8  2  0  0 a", "  8192  0  0 a");
    assert_eq!(of(&bytes), (Generation::BonusPossible, Bonus::OfPoints, Some(true)));
    let wide = bytes.replace("[ pid ]", "[  pid  ]");
    assert_eq!(of(&wide), (Generation::Plain, Bonus::None, Some(true)));
    let merged = "a invoked oom-killer: gfp_mask=0xd0, order=0, oom_score_adj=0\nOut of memory: Killed process 7 (a) total-vm:3600kB, anon-rss:2000kB, file-rss:0kB, shmem-rss:0kB\n";
    assert_eq!(of(merged), (Generation::Plain, Bonus::None, Some(false)));
    let first = "a invoked oom-killer: gfp_mask=0x201da, order=0, oomkilladj=0\nOut of memory: kill process 7 (a) score 182289 or a child\nKilled process 7 (a)\n";
    assert_eq!(of(first).0, Generation::Exponential);
    let said = choice(first);
    assert_eq!((said.outcome, said.certainty.as_str()), (Outcome::NotListed, "unknown"));
}

/// A report of a machine of 1 GiB: 262144 pages, 2144 of them reserved, and so much swap in kB.
fn machine(header: &str, rows: &[&str], swap: u64, end: &str) -> String {
    format!(
        "a invoked oom-killer: gfp_mask=0xd0, order=0, oom_score_adj=0\nMem-Info:\nNode 0 Normal free:1kB min:1kB low:1kB high:1kB present:1048576kB managed:1040000kB\nFree swap  = 0kB\nTotal swap = {swap}kB\n262144 pages RAM\n0 pages HighMem/MovableOnly\n2144 pages reserved\n{header}\n{}\n{end}\n",
        rows.join("\n")
    )
}

const END: &str = "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/,task=big,pid=20,uid=0\nOut of memory: Killed process 20 (big) total-vm:9kB, anon-rss:9kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:8kB oom_score_adj:0";

#[test]
fn margins_and_counterfactuals() {
    let rows = [
        "[     10]     0    10   200000   150000    40960        0         -1000 keeper",
        "[     20]     0    20   100000    90000   819200     9800             0 big",
        "[     30]     0    30   100000    50000   409600     9900             0 next",
        "[     40]     0    40   900000     1000     4096        0          -500 shy",
    ];
    let choice = choice(&machine(BYTES, &rows, 0, END));
    assert_eq!(choice.total.value.and_then(Between::exact), Some(260_000));
    let chosen = choice.chosen.unwrap();
    assert_eq!((chosen.rank, chosen.points, chosen.permille), (Some(1), Some(100_000), Some(384)));
    let next = choice.runner_up.unwrap();
    assert_eq!((next.pid.get(), next.points, next.permille), (30, Some(60_000), Some(230)));
    assert_eq!(choice.standings[0].spared, Some(Spared::Adjustment));
    assert_eq!(choice.standings[3].points, Some(1001 - 500 * 260));
    assert_eq!((choice.outcome, choice.certainty.as_str()), (Outcome::First, "certain"));
    let told: Vec<_> = choice
        .counterfactuals
        .iter()
        .map(|it| (it.kind, it.whose.pid.get(), it.from, it.to, it.instead.pid.get()))
        .collect();
    // 100000 − 154 × 260 = 59960 < 60000, and −153 would not have been enough.
    assert_eq!(
        told,
        [(Question::LargerAtZero, 10, -1000, 0, 10), (Question::Saving, 20, 0, -154, 30)]
    );
}

#[test]
fn a_victim_that_its_adjustment_condemned() {
    let rows = [
        "[     20]     0    20   100000     1000        0        0          1000 big",
        "[     30]     0    30   100000    50000        0        0             0 next",
    ];
    let choice = choice(&machine(BYTES, &rows, 0, END));
    let told: Vec<_> =
        choice.counterfactuals.iter().map(|it| (it.kind, it.to, it.instead.pid.get())).collect();
    // 1000 + 188 × 260 = 49880.
    assert_eq!(told, [(Question::VictimAtZero, 0, 30), (Question::Saving, 188, 30)]);
}

#[test]
fn a_printed_score_proves_the_bonus() {
    let rows = [
        "[   20]     0    20   100000   100000       0       0        0             0 big",
        "[   30]     0    30   100000    99000       0       0        0             0 next",
    ];
    let end = |score: u32| {
        format!(
            "Out of memory: Kill process 20 (big) score {score} or sacrifice child\nKilled process 20 (big) total-vm:9kB, anon-rss:9kB, file-rss:0kB"
        )
    };
    // 100000 of 260000 pages are 384, less 3 % they are 373.
    let without = choice(&machine(TABLES, &rows, 0, &end(384)));
    let (chosen, printed) = (without.chosen.unwrap(), without.printed.unwrap());
    assert_eq!((chosen.permille, chosen.rank, chosen.bonus), (Some(384), Some(1), 0));
    assert_eq!((printed.agrees, without.outcome), (Some(true), Outcome::First));
    let with = choice(&machine(TABLES, &rows, 0, &end(373)));
    let (chosen, printed) = (with.chosen.unwrap(), with.printed.unwrap());
    assert_eq!((chosen.permille, chosen.rank, chosen.bonus), (Some(373), Some(2), 3000));
    // The other is of uid 0 as well: had it the bonus, the order is as it was.
    assert_eq!((printed.agrees, with.outcome), (Some(true), Outcome::WithinDoubt));
    assert_eq!(with.certainty.as_str(), "likely");
    let neither = choice(&machine(TABLES, &rows, 0, &end(500)));
    assert_eq!(neither.printed.unwrap().agrees, Some(false));
    assert_eq!(neither.certainty.as_str(), "likely");
}

/// A v1 cgroup of 100 MiB (25600 pages), with a limit of both.
fn v1(both: &str, swapents: u32, score: u32) -> String {
    format!(
        "Task in /a killed as a result of limit of /a\nmemory: usage 102400kB, limit 102400kB, failcnt 1\nmemory+swap: usage 0kB, limit {both}kB, failcnt 0\n{TABLES}\n[   20]     9    20   100000    25000       0       0   {swapents}             0 big\nMemory cgroup out of memory: Kill process 20 (big) score {score} or sacrifice child\nKilled process 20 (big) total-vm:400000kB, anon-rss:9kB, file-rss:0kB\n"
    )
}

#[test]
fn the_share_of_swap_is_known_from_what_is_in_it() {
    let exact = |choice: &Choice| choice.total.value.and_then(Between::exact);
    // As much in swap as the limits leave: the machine must have that much.
    let full = choice(&v1("204800", 25_600, 988));
    assert_eq!((exact(&full), full.printed.unwrap().agrees), (Some(51_200), Some(true)));
    // No swap allowed at all.
    let none = choice(&v1("102400", 0, 976));
    assert_eq!((exact(&none), none.printed.unwrap().agrees), (Some(25_600), Some(true)));
    // No limit of both: the score itself tells how much there was in all.
    let open = choice(&v1("9007199254740988", 5_000, 500));
    let total = open.total.value.unwrap();
    assert_eq!((total.least, total.most), (59_881, Some(60_000)));
    assert_eq!((open.printed.unwrap().agrees, open.total.certainty.as_str()), (None, "likely"));
    // A score that no amount of swap explains.
    let wrong = choice(&v1("9007199254740988", 5_000, 1200));
    assert_eq!(wrong.printed.unwrap().agrees, Some(false));
}

#[test]
fn the_nodes_of_a_cpuset_are_added_up() {
    let zones = "Node 0 Normal free:1kB min:1kB low:1kB high:1kB present:400000kB managed:390000kB\nNode 1 Normal free:1kB min:1kB low:1kB high:1kB present:800000kB managed:790000kB\nNode 2 Normal free:1kB min:1kB low:1kB high:1kB present:800000kB managed:790000kB";
    let end = END
        .replace("CONSTRAINT_NONE", "CONSTRAINT_CPUSET")
        .replace("mems_allowed=0,", "mems_allowed=0-1,");
    let rows = ["[     20]     0    20   100000     1000        0        0             0 big"];
    let log = machine(BYTES, &rows, 4000, &end);
    let log = log.replace(
        "Node 0 Normal free:1kB min:1kB low:1kB high:1kB present:1048576kB managed:1040000kB",
        zones,
    );
    let total = choice(&log).total;
    assert_eq!(total.value.and_then(Between::exact), Some(100_000 + 200_000 + 1000));
    assert_eq!(total.certainty.as_str(), "likely");
}

#[test]
fn who_asked_and_who_was_dying() {
    let rows = [
        "[     10]     0    10   200000   150000    40960        0             0 first",
        "[     20]     0    20   100000    90000   819200     9800             0 big",
    ];
    let log = report(&machine(BYTES, &rows, 0, END));
    let page = Some(PageSize::KIB4);
    assert_eq!(Choice::of(&log, page).outcome, Outcome::Unexplained);
    let dying = [Pid::new(10)];
    assert_eq!(Choice::after(&log, page, &dying).outcome, Outcome::FirstWasDying(dying[0]));
}

#[test]
fn a_page_of_unknown_size_matters_only_where_page_tables_decide() {
    let rows = |next: u32| {
        [
            "[     20]     0    20   100000    90000        0        0             0 big"
                .to_owned(),
            format!("[     30]     0    30   100000    89000  {next}        0             0 next"),
        ]
    };
    let of = |next| {
        let rows = rows(next);
        let rows: Vec<_> = rows.iter().map(String::as_str).collect();
        let choice = Choice::of(&report(&machine(BYTES, &rows, 0, END)), None);
        (choice.outcome, choice.certainty.as_str())
    };
    assert_eq!(of(4096), (Outcome::First, "certain"));
    // 1000 pages of 4 KiB make up for what it has less in RAM; of 64 KiB they would not.
    assert_eq!(of(1100 * 4096), (Outcome::Unexplained, "likely"));
}

/// A row of a made-up table.
fn row(pid: u32, (rss, tables, swap, adj): (u64, u64, u64, i32)) -> Task {
    Task {
        line: u64::from(pid),
        pid: Pid::new(pid),
        uid: Some(1),
        rss: Some(Pages::new(rss)),
        pgtables: Some(Bytes::new(tables)),
        swapents: Some(Pages::new(swap)),
        oom_score_adj: Some(adj),
        ..Task::default()
    }
}

fn made_up(tasks: &[(u64, u64, u64, i32)], ram: u64, reserved: u64, swap: u64) -> OomReport {
    let told = |value: u64| Some(Cited { value: Pages::new(value), line: 1 });
    let pids = 10_u32..;
    OomReport {
        constraint: Some(Cited { value: Constraint::None, line: 1 }),
        machine: Machine {
            ram: told(ram),
            reserved: told(reserved),
            swap_total: Some(Cited { value: Bytes::new(swap), line: 1 }),
            page_size: Some(Cited { value: PageSize::KIB4, line: 1 }),
            ..Machine::default()
        },
        tasks: TaskTable {
            rows: pids.zip(tasks).map(|(pid, task)| row(pid, *task)).collect(),
            ..TaskTable::default()
        },
        ..OomReport::default()
    }
}

fn tasks(most: u64) -> impl Strategy<Value = Vec<(u64, u64, u64, i32)>> {
    let task = (0..=most, 0..=most, 0..=most, -1000..=1000_i32);
    proptest::collection::vec(task, 1..20)
}

fn of(choice: &Choice, pid: u32) -> &Standing {
    choice.standings.iter().find(|standing| standing.pid == Pid::new(pid)).unwrap()
}

proptest! {
    #[test]
    fn ranks_are_a_permutation_of_those_that_can_die(tasks in tasks(1 << 30), ram in 1_u64..1 << 40) {
        let choice = Choice::of(&made_up(&tasks, ram, 0, 0), None);
        let mut ranks: Vec<_> = choice.standings.iter().filter_map(|s| s.rank).collect();
        ranks.sort_unstable();
        let live = tasks.iter().filter(|task| task.3 != -1000).count();
        prop_assert_eq!(ranks, (1..=live).collect::<Vec<_>>());
        let by_points = |one: &&Standing, two: &&Standing| one.rank < two.rank && one.points < two.points;
        let live: Vec<_> = choice.standings.iter().filter(|s| s.rank.is_some()).collect();
        prop_assert!(!live.iter().any(|one| live.iter().any(|two| by_points(one, two))));
    }

    #[test]
    fn who_holds_more_or_is_liked_less_never_ranks_lower(
        mut tasks in tasks(1 << 30),
        ram in 1_u64..1 << 40,
        more in 0_u64..1 << 30,
        adj in 0..500_i32,
    ) {
        tasks[0].3 = tasks[0].3.clamp(-999, 500);
        let before = Choice::of(&made_up(&tasks, ram, 0, 0), None);
        tasks[0].0 += more;
        let larger = Choice::of(&made_up(&tasks, ram, 0, 0), None);
        prop_assert!(of(&larger, 10).rank <= of(&before, 10).rank);
        tasks[0].3 += adj;
        let disliked = Choice::of(&made_up(&tasks, ram, 0, 0), None);
        prop_assert!(of(&disliked, 10).rank <= of(&larger, 10).rank);
    }

    #[test]
    fn hostile_numbers_overflow_nothing(
        tasks in proptest::collection::vec((any::<u64>(), any::<u64>(), any::<u64>(), any::<i32>()), 0..9),
        ram in any::<u64>(),
        reserved in any::<u64>(),
        swap in any::<u64>(),
        score in any::<i64>(),
    ) {
        let mut report = made_up(&tasks, ram, reserved, swap);
        report.kills = vec![highwater_oom::report::Kill {
            pid: Some(Pid::new(10)),
            oom_score: Some(score),
            ..Default::default()
        }];
        let choice = Choice::of(&report, None);
        prop_assert_eq!(choice.standings.len(), tasks.len());
        highwater_oom::facts::facts(&[report]);
    }

    #[test]
    fn the_saving_adjustment_saves_and_one_more_does_not(tasks in tasks(1 << 24), ram in 1_u64 << 20..1 << 26) {
        let mut report = made_up(&tasks, ram, 0, 0);
        let first = Choice::of(&report, None).first().map(|first| first.pid);
        report.kills = vec![highwater_oom::report::Kill { pid: first, ..Default::default() }];
        let choice = Choice::of(&report, None);
        let saving = choice.counterfactuals.iter().find(|it| it.kind == Question::Saving);
        let Some(saving) = saving else { return Ok(()) };
        let at = usize::try_from(saving.whose.pid.get() - 10).unwrap();
        let mut again = |adj: i32| {
            report.tasks.rows[at].oom_score_adj = Some(adj);
            Choice::of(&report, None)
        };
        let first = again(saving.to).first().map(|first| first.pid);
        prop_assert_eq!(first, Some(saving.instead.pid));
        // One step less, and the other has no more points than it.
        if saving.to > -1000 {
            let choice = again(saving.to + 1);
            let of = |pid: Pid| choice.standings.iter().find(|s| s.pid == pid).unwrap().points;
            prop_assert!(of(saving.whose.pid) >= of(saving.instead.pid));
        }
    }
}
