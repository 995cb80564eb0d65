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

#[test]
fn a_log_that_names_processes_here_and_units_there() {
    use highwater_core::testimony::{Fault, FaultKind};
    let fault =
        Fault { kind: FaultKind::Segfault, address: Some(8), instruction: None, object: None };
    let line = |said: &mut Said, pid: u32| {
        said.say(
            0,
            Witness::Kmsg,
            Party { start: None, ..person(pid, "app") },
            Fact::Faulted(fault.clone()),
        );
    };
    let mut said = Said::default();
    line(&mut said, 588);
    said.main_exited(16, "web.service", killed(Signal::SEGV)).result(20, "web.service", "signal");
    let mut two = said.clone();
    let verdict = said.verdict();
    assert_cause(&verdict, Cause::Segfault, Confidence::Certain);
    assert_eq!((verdict.who.pid, verdict.is_first), (Some(Pid::new(588)), Some(true)));
    line(&mut two, 589);
    assert_eq!(two.judged().deaths.len(), 3, "of two it cannot be told which");

    let mut earlyoom = Said::default();
    let victim = Party { start: None, ..person(588, "app") };
    earlyoom.oom(0, &victim, highwater_oom::Cause::Earlyoom, None).main_exited(
        16,
        "web.service",
        killed(Signal::TERM),
    );
    let verdict = earlyoom.verdict();
    assert_cause(&verdict, Cause::Earlyoom, Confidence::Certain);
    assert_eq!(verdict.who.owner, Some(unit("web.service")));

    let mut refused = Said::default();
    let fact = Fact::NoMemory { bytes: None };
    refused.say(0, Witness::Kmsg, victim, fact.clone()).main_exited(
        90,
        "web.service",
        Status::Code(1),
    );
    assert_cause(&refused.verdict(), Cause::ExitCode, Confidence::Certain);
    let own_word = Party { start: None, ..process(588, "app", "web.service") };
    refused.say(3, Witness::Journal, own_word, fact);
    assert_cause(&refused.verdict(), Cause::NoMemory, Confidence::Possible);
}

#[test]
fn a_thread_that_faults_is_its_process() {
    use highwater_core::testimony::{Fault, FaultKind};
    let fault = Fault { kind: FaultKind::Bus, address: None, instruction: None, object: None };
    let app = person(100, "app");
    let mut said = Said::default();
    said.say(
        0,
        Witness::Kmsg,
        Party { start: None, ..person(107, "worker-7") },
        Fact::Faulted(fault),
    )
    .exit(3, &app, killed(Signal::BUS), None);
    let verdict = said.verdict();
    assert_cause(&verdict, Cause::BusError, Confidence::Certain);
    assert_eq!(verdict.who, app);
}

#[test]
fn what_only_prepares_a_start_is_not_the_first_process() {
    let mut said = Said::default();
    said.exit(-50, &process(99, "prepare", "web.service"), Status::Code(0), Some(true))
        .started(0, "web.service", 100)
        .exit(500, &process(120, "beside", "web.service"), killed(Signal::SEGV), Some(true));
    let verdict = said.verdict();
    assert_cause(&verdict, Cause::Segfault, Confidence::Likely);
    assert_eq!(verdict.is_first, Some(false));
    assert_eq!(said.judged().lives.len(), 1);
}

#[test]
fn a_child_that_does_not_heed_the_stop_is_of_the_stop() {
    let (main, child) = (process(100, "main", "web.service"), process(101, "deaf", "web.service"));
    let mut said = Said::default();
    said.started(-9_000, "web.service", 100)
        .unit(0, Witness::Systemd, "web.service", UnitWord::Asked { job: Job::Stop })
        .signal(1, &main, Signal::TERM, &systemd())
        .signal(1, &child, Signal::TERM, &systemd())
        .exit(5, &main, killed(Signal::TERM), Some(true))
        .unit(
            30_000,
            Witness::Journal,
            "web.service",
            UnitWord::TimedOut { step: "stop-sigterm".into() },
        )
        .signal(30_001, &child, Signal::KILL, &systemd())
        .exit(30_002, &child, killed(Signal::KILL), Some(false))
        .result(30_004, "web.service", "timeout");
    let verdict = said.verdict();
    assert_eq!((verdict.who.pid, verdict.wall), (main.pid, Some(wall(5))));
    assert!(verdict.summary.contains("1 other process"), "{}", verdict.summary);
}

#[test]
fn a_clock_that_is_set_tears_no_death_apart() {
    let web = process(100, "app", "web.service");
    for step in [-3_600_000, 3_600_000] {
        let mut said = Said::default();
        said.started(-9_000, "web.service", 100)
            .signal(0, &web, Signal::TERM, &systemd())
            .unit(1, Witness::Systemd, "web.service", UnitWord::Asked { job: Job::Stop })
            .exit(900, &web, killed(Signal::TERM), Some(true))
            .main_exited(902, "web.service", killed(Signal::TERM))
            .exit(5_000, &person(7, "other"), killed(Signal::SEGV), None);
        // From here on the wall clock is another one.
        for heard in &mut said.heard[3..] {
            heard.wall = heard.wall.map(|wall| WallTime::from_millis(wall.millis() + step));
        }
        // A log knows nothing of the boot clock.
        said.heard[4].boot = None;
        let deaths = said.judged().deaths;
        assert_eq!(deaths.len(), 2, "{deaths:#?}");
        assert_eq!(deaths[0].cause, Cause::SystemdStop, "{}", told(&deaths[0]));
        assert_eq!(deaths[0].wall, Some(wall(900 + step)));
        assert!(deaths[0].witnesses.contains(&Witness::Journal));
    }
}

#[test]
fn a_file_of_text_may_hold_many_boots() {
    let mut said = Said::default();
    for boot_number in 0..3_i64 {
        let base = boot_number * 86_400_000;
        let web = process(100, "leak", "web.service");
        said.oom(base, &web, highwater_oom::Cause::KernelOomMemcg, None);
        said.main_exited(base + 5, "web.service", killed(Signal::KILL));
    }
    for (kill, heard) in said.kills.iter_mut().zip(&mut said.heard) {
        // Each boot begins anew, and nothing names it.
        (kill.boot, kill.boot_id) = (Some(boot(0)), None);
        (heard.boot, heard.boot_id) = (None, None);
    }
    let deaths = said.judged().deaths;
    assert_eq!(deaths.len(), 3, "{deaths:#?}");
    assert!(deaths.iter().all(|death| death.witnesses == [Witness::Kmsg, Witness::Journal]));
}
