//! Which words are of one death.

use super::*;
use highwater_core::testimony::Job;

#[test]
fn thirty_kills_in_a_burst_are_thirty() {
    let mut said = Said::default();
    for pid in 100..130 {
        let one = process(pid, "leak", "web.service");
        said.oom(i64::from(pid), &one, highwater_oom::Cause::KernelOomGlobal, None);
        said.exit(i64::from(pid) + 2, &one, killed(Signal::KILL), Some(false));
    }
    said.counted(140, "/system.slice/web.service", 0, 30);
    let deaths = said.judged().deaths;
    assert_eq!(deaths.len(), 30);
    assert!(deaths.iter().all(|death| death.cause == Cause::KernelOomGlobal));
    let mut reports: Vec<_> = deaths.iter().map(|death| death.report.unwrap()).collect();
    reports.sort_unstable();
    assert!(reports.into_iter().eq(0..30));
}

#[test]
fn a_stop_takes_the_children_with_it_and_not_what_broke_by_itself() {
    let main = process(100, "main", "web.service");
    let mut said = Said::default();
    said.started(-9_000, "web.service", 100).unit(
        0,
        Witness::Systemd,
        "web.service",
        UnitWord::Asked { job: Job::Stop },
    );
    for pid in 100..150 {
        let one = process(pid, "worker", "web.service");
        said.signal(1, &one, Signal::TERM, &systemd());
        said.exit(10, &one, killed(Signal::TERM), Some(pid == 100));
    }
    let broken = process(160, "broken", "web.service");
    said.exit(9, &broken, killed(Signal::SEGV), Some(false));
    said.unit(20, Witness::Journal, "web.service", UnitWord::Stopped);
    let deaths = said.judged().deaths;
    assert_eq!(deaths.len(), 2, "{deaths:#?}");
    assert_eq!((deaths[0].who.pid, deaths[0].cause), (broken.pid, Cause::Segfault));
    assert_eq!((deaths[1].who.pid, deaths[1].cause), (main.pid, Cause::SystemdStop));
    assert!(deaths[1].claims.iter().any(|claim| claim.text.starts_with("49 other processes")));
}

#[test]
fn a_pid_that_comes_round_is_another_process() {
    let old = person(100, "old");
    let new = Party { start: Some(StartTicks::new(999)), ..person(100, "new") };
    let mut said = Said::default();
    said.signal(0, &old, Signal::KILL, &person(7, "kill"))
        .exit(1, &old, killed(Signal::KILL), None)
        .exit(900, &new, killed(Signal::SEGV), None);
    let deaths = said.judged().deaths;
    assert_eq!(deaths.len(), 2);
    assert_eq!((deaths[0].cause, deaths[1].cause), (Cause::Signal, Cause::Segfault));
    assert_eq!(deaths[1].who.comm.as_deref(), Some("new"));

    let bare = Party::of_pid(Pid::new(100));
    let mut late = Said::default();
    late.exit(0, &bare, killed(Signal::SEGV), None).exit(60_000, &bare, killed(Signal::SEGV), None);
    assert_eq!(late.judged().deaths.len(), 2, "without start times, time tells them apart");
}

#[test]
fn another_boot_is_another_machine() {
    let one = person(100, "app");
    let mut said = Said::default();
    said.exit(0, &one, killed(Signal::SEGV), None);
    said.exit(1, &one, killed(Signal::SEGV), None);
    said.heard[1].boot_id = Some("00000000000000000000000000000001".parse().unwrap());
    assert_eq!(said.judged().deaths.len(), 2);
}

#[test]
fn what_is_said_twice_counts_once() {
    let web = process(100, "app", "web.service");
    let mut said = Said::default();
    said.signal(0, &web, Signal::KILL, &person(7, "kill"))
        .exit(2, &web, killed(Signal::KILL), Some(true))
        .main_exited(4, "web.service", killed(Signal::KILL));
    let once = said.judged();
    let again = said.heard.clone();
    said.heard.extend(again);
    assert_eq!(said.judged(), once);
}

#[test]
fn clocks_that_differ_are_of_one_death() {
    let web = contained(200, "leak");
    let mut said = Said::default();
    said.oom(0, &web, highwater_oom::Cause::KernelOomMemcg, None).died(900, 137, Some(false));
    // The kernel's log has the boot clock alone; a word that has both clocks ties them together.
    said.kills[0].wall = None;
    said.heard[0].boot = None;
    said.exit(-60_000, &person(7, "other"), killed(Signal::SEGV), None);
    let deaths = said.judged().deaths;
    assert_eq!(deaths.len(), 2);
    assert_eq!(deaths[1].witnesses, [Witness::Kmsg, Witness::Docker]);
    assert_eq!(deaths[1].wall, Some(wall(0)));
}

#[test]
fn a_log_without_dates_is_judged_by_the_boot_clock() {
    let web = process(100, "leak", "web.service");
    let mut said = Said::default();
    said.oom(0, &web, highwater_oom::Cause::KernelOomMemcg, None);
    said.oom(60_000, &person(101, "leak"), highwater_oom::Cause::KernelOomGlobal, None);
    for kill in &mut said.kills {
        (kill.wall, kill.boot_id) = (None, None);
    }
    let deaths = said.judged().deaths;
    assert_eq!(deaths.len(), 2);
    assert_eq!((deaths[0].wall, deaths[0].boot), (None, Some(boot(0))));
}

#[test]
fn two_ends_of_one_unit_are_two_deaths_however_quickly_it_is_back() {
    let mut said = Said::default();
    for life in 0_i64..8 {
        let pid = 100 + u32::try_from(life).unwrap();
        let main = process(pid, "app", "web.service");
        said.started(life * 300, "web.service", pid)
            .exit(life * 300 + 100, &main, Status::Code(1), Some(true))
            .main_exited(life * 300 + 102, "web.service", Status::Code(1))
            .result(life * 300 + 103, "web.service", "exit-code");
    }
    let inquest = said.judged();
    assert_eq!(inquest.deaths.len(), 8);
    assert_eq!(inquest.lives.len(), 8);
    assert!(inquest.lives.iter().all(|life| life.started.is_some() && life.death.is_some()));
}

#[test]
fn journal_alone_tells_two_quick_ends_apart() {
    let mut said = Said::default();
    for life in 0..4 {
        said.main_exited(life * 200, "web.service", Status::Code(1));
        said.result(life * 200 + 1, "web.service", "exit-code");
    }
    assert_eq!(said.judged().deaths.len(), 4);
}

#[test]
fn a_request_long_before_has_nothing_to_do_with_it() {
    let web = process(100, "app", "web.service");
    let mut said = Said::default();
    said.started(-3_600_000, "web.service", 100)
        .signal(-1_800_000, &web, Signal::TERM, &systemd())
        .signal(-1_800_000, &web, Signal::HUP, &person(7, "kill"))
        .signal(0, &web, Signal::KILL, &person(8, "kill"))
        .exit(1, &web, killed(Signal::KILL), Some(true));
    let verdict = said.verdict();
    assert_cause(&verdict, Cause::Signal, Confidence::Certain);
    assert_eq!(verdict.sender.unwrap().pid, Some(Pid::new(8)));
}

#[test]
fn names_that_are_made_to_mislead_stay_names() {
    let web = Party {
        comm: Some("x) was killed by root".to_owned()),
        ..process(100, "app", "web.service")
    };
    let liar = Party {
        command: Some("systemctl stop other web.servicex".to_owned()),
        ..person(7, "kill")
    };
    let mut said = Said::default();
    said.ran(-1, &liar).signal(0, &web, Signal::KILL, &systemd()).exit(
        1,
        &web,
        killed(Signal::KILL),
        Some(true),
    );
    let verdict = said.verdict();
    assert_cause(&verdict, Cause::SystemdKill, Confidence::Likely);
    assert!(!verdict.summary.contains("asked"), "another unit's stop: {}", verdict.summary);
}
