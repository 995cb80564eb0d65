//! Every cause of which no manager knows: signals, faults, limits, exits.

use super::*;
use highwater_core::testimony::{AuditWord, Fault, FaultKind};

#[test]
fn a_signal_from_a_person() {
    let web = process(100, "nginx", "web.service");
    let kill = command(812, "kill", "kill -9 100");
    let mut said = Said::default();
    said.heard_by(EVERYBODY)
        .signal(0, &web, Signal::KILL, &kill)
        .exit(2, &web, killed(Signal::KILL), Some(true))
        .main_exited(4, "web.service", killed(Signal::KILL))
        .result(5, "web.service", "signal");
    let verdict = said.verdict();
    assert_cause(&verdict, Cause::Signal, Confidence::Certain);
    assert_eq!(
        verdict.summary,
        "web.service was killed by kill (pid 812), run by bash in session-4.scope (login user 1000): SIGKILL."
    );
    assert_eq!(verdict.sender, Some(kill));
    insta::assert_snapshot!(told(&verdict));

    let mut gone = Said::default();
    gone.signal(0, &web, Signal::KILL, &Party::of_pid(Pid::new(4711)));
    let verdict = gone.verdict();
    assert_cause(&verdict, Cause::Signal, Confidence::Certain);
    assert!(verdict.summary.contains("killed by pid 4711, gone: SIGKILL"), "{}", verdict.summary);

    let mut audit = Said::default();
    let word = AuditWord::Kill { signal: Signal::KILL, by: Box::new(person(812, "kill")) };
    audit.say(0, Witness::Audit, web.clone(), Fact::Audit(word));
    audit.main_exited(1, "web.service", killed(Signal::KILL));
    let verdict = audit.verdict();
    assert_cause(&verdict, Cause::Signal, Confidence::Certain);

    let mut journal = Said::default();
    journal
        .heard_by(&[Witness::Journal, Witness::Kmsg, Witness::Cgroups])
        .main_exited(4, "web.service", killed(Signal::KILL))
        .result(5, "web.service", "signal");
    let verdict = journal.verdict();
    assert_cause(&verdict, Cause::Unknown, Confidence::Unknown);
    insta::assert_snapshot!(told(&verdict));
}

#[test]
fn what_the_kernel_sends_on_somebodys_behalf() {
    let web = process(100, "app", "web.service");
    let shell = command(700, "bash", "bash");
    let mut said = Said::default();
    for pid in 100..140 {
        let one = Party { cgroup: Some(CgroupPath::new(b"/work")), ..person(pid, "app") };
        said.made(0, &one, Signal::KILL, &shell, Origin::User, false);
        said.exit(1, &one, killed(Signal::KILL), None);
    }
    let verdict = said.verdict();
    assert_cause(&verdict, Cause::CgroupKill, Confidence::Certain);
    assert!(verdict.summary.contains("39 other processes"), "{}", verdict.summary);

    let parents = vec![Ancestor { pid: Pid::new(50), comm: "runner".to_owned() }];
    let child = Party { parents, ..web.clone() };
    let parent = person(50, "runner");
    let mut orphan = Said::default();
    orphan
        .exit(0, &parent, Status::Code(0), Some(false))
        .signal(0, &child, Signal::KILL, &parent)
        .exit(2, &child, killed(Signal::KILL), None);
    assert_cause(&orphan.verdict(), Cause::ParentDeath, Confidence::Certain);
    let mut plain = Said::default();
    plain.signal(0, &child, Signal::KILL, &parent).exit(2, &child, killed(Signal::KILL), None);
    assert_cause(&plain.verdict(), Cause::Signal, Confidence::Certain);

    let (init, inner) = (person(60, "init"), process(61, "inner", "web.service"));
    let mut namespace = Said::default();
    namespace
        .exit(0, &init, Status::Code(0), None)
        .made(0, &inner, Signal::KILL, &init, Origin::Kernel, true)
        .exit(1, &inner, killed(Signal::KILL), Some(false));
    assert_cause(&namespace.verdict(), Cause::NamespaceEnd, Confidence::Certain);
}

/// A child whose parent sent it SIGKILL, and ended so many microseconds after that.
fn parted(micros: i64) -> Verdict {
    let parents = vec![Ancestor { pid: Pid::new(50), comm: "runner".to_owned() }];
    let child = Party { parents, ..process(100, "app", "web.service") };
    let parent = person(50, "runner");
    let mut said = Said::default();
    said.signal(0, &child, Signal::KILL, &parent)
        .exit(0, &parent, Status::Code(0), Some(false))
        .exit(2, &child, killed(Signal::KILL), None);
    let sent = i64::try_from(boot(0).micros()).unwrap();
    said.heard[1].boot = Some(BootTime::from_micros(u64::try_from(sent + micros).unwrap()));
    let deaths = said.judged().deaths;
    deaths.into_iter().find(|death| death.who.pid == child.pid).unwrap()
}

#[test]
fn who_kills_its_child_and_ends_is_no_parent_that_died() {
    for micros in [-2_000, -3, 0, 9, 60] {
        assert_cause(&parted(micros), Cause::ParentDeath, Confidence::Certain);
    }
    for micros in [130, 400, 900, -300_000] {
        assert_cause(&parted(micros), Cause::Signal, Confidence::Certain);
    }
}

#[test]
fn what_the_kernel_does_while_another_process_runs() {
    let (other, victim) = (person(60, "other"), process(61, "inner", "web.service"));
    let told = |to_process: bool, ends: bool, witnesses: &[Witness]| {
        let mut said = Said::default();
        said.heard_by(witnesses);
        said.made(0, &victim, Signal::KILL, &other, Origin::Kernel, to_process);
        said.exit(1, &victim, killed(Signal::KILL), Some(false));
        if ends {
            said.exit(3, &other, Status::Code(0), Some(false));
        }
        said.verdict()
    };
    assert_cause(&told(true, true, EVERYBODY), Cause::NamespaceEnd, Confidence::Certain);
    let alive = told(true, false, EVERYBODY);
    assert_cause(&alive, Cause::KernelOom, Confidence::Possible);
    assert_eq!(alive.sender, None, "whoever asks for memory kills nobody");
    let unknown = told(true, false, &[Witness::Signals]);
    assert_cause(&unknown, Cause::NamespaceEnd, Confidence::Possible);
    let traced = told(false, true, EVERYBODY);
    assert_cause(&traced, Cause::Signal, Confidence::Certain);
    assert!(traced.claims[0].text.contains("when a tracer ends"), "{}", traced.claims[0].text);
    assert_cause(&told(false, false, EVERYBODY), Cause::Signal, Confidence::Likely);
}

#[test]
fn who_ends_with_its_pid_namespace_can_be_asked_for() {
    let (init, kill) = (contained(200, "init"), command(812, "kill", "kill -9 200"));
    let child = contained(201, "worker");
    let mut said = Said::default();
    said.signal(0, &init, Signal::KILL, &kill)
        .made(1, &child, Signal::KILL, &init, Origin::Kernel, true)
        .exit(2, &child, killed(Signal::KILL), Some(false))
        .exit(3, &init, killed(Signal::KILL), Some(true))
        .died(9, 137, Some(false))
        .counted(5, &format!("/docker/{ID}"), 0, 0);
    let deaths = said.judged().deaths;
    let told: Vec<_> = deaths.iter().map(|death| (death.who.pid, death.cause)).collect();
    assert_eq!(told, [(init.pid, Cause::Signal), (child.pid, Cause::NamespaceEnd)]);
    assert_eq!(deaths[1].confidence, Confidence::Certain);
    assert_eq!(deaths[1].is_first, Some(false));
    assert!(deaths[0].claims.iter().any(|claim| claim.text.starts_with("1 other process")));
    let of_note: Vec<_> = deaths.iter().map(highwater_diagnose::counsel::is_of_note).collect();
    assert_eq!(of_note, [true, false], "one line for one end");
}

#[test]
fn one_thread_killed_by_anybody_is_not_systemds_doing() {
    let web = process(100, "app", "web.service");
    let mut said = Said::default();
    said.started(-9_000, "web.service", 100)
        .unit(-5, Witness::Systemd, "web.service", UnitWord::Stopping)
        .made(0, &web, Signal::KILL, &command(812, "tgkill", "tgkill"), Origin::Thread, false)
        .exit(1, &web, killed(Signal::KILL), Some(true));
    let verdict = said.verdict();
    assert_cause(&verdict, Cause::Signal, Confidence::Certain);
    assert_eq!(verdict.sender.unwrap().pid, Some(Pid::new(812)));
}

#[test]
fn of_two_requests_the_last_ended_it() {
    let web = process(100, "app", "web.service");
    let mut said = Said::default();
    said.signal(-300_000, &web, Signal::TERM, &systemd())
        .signal(0, &web, Signal::TERM, &command(812, "kill", "kill 100"))
        .exit(1, &web, killed(Signal::TERM), Some(true));
    assert_eq!(said.verdict().sender.unwrap().pid, Some(Pid::new(812)));
    let mut child = Said::default();
    child
        .signal(-300_000, &web, Signal::TERM, &systemd())
        .signal(0, &web, Signal::TERM, &command(812, "kill", "kill 100"))
        .exit(1, &web, killed(Signal::TERM), Some(false));
    assert_eq!(child.verdict().sender.unwrap().pid, Some(Pid::new(812)), "nor is it systemd's");
}

#[test]
fn processor_time_that_is_used_up() {
    let spin = person(100, "spin");
    let mut hard = Said::default();
    hard.made(0, &spin, Signal::XCPU, &spin, Origin::Kernel, true)
        .made(1_000, &spin, Signal::KILL, &spin, Origin::Kernel, true)
        .exit(1_001, &spin, killed(Signal::KILL), None);
    assert_cause(&hard.verdict(), Cause::RlimitCpu, Confidence::Certain);
    let mut soft = Said::default();
    soft.exit(0, &spin, killed(Signal::XCPU), None);
    assert_cause(&soft.verdict(), Cause::RlimitCpu, Confidence::Likely);
}

#[test]
fn faults_by_line_by_signal_and_by_status() {
    let app = person(100, "app");
    for (signal, kind, cause) in [
        (Signal::SEGV, FaultKind::Segfault, Cause::Segfault),
        (Signal::BUS, FaultKind::Bus, Cause::BusError),
        (Signal::ILL, FaultKind::InvalidOpcode, Cause::IllegalInstruction),
        (Signal::FPE, FaultKind::DivideError, Cause::Arithmetic),
        (Signal::TRAP, FaultKind::Trap, Cause::Trap),
        (Signal::SYS, FaultKind::Seccomp, Cause::Seccomp),
    ] {
        let fault =
            Fault { kind, address: Some(16), instruction: None, object: Some("app".into()) };
        let mut line = Said::default();
        line.say(0, Witness::Kmsg, app.clone(), Fact::Faulted(fault));
        assert_cause(&line.verdict(), cause, Confidence::Certain);

        let mut way = Said::default();
        way.made(0, &app, signal, &app, Origin::Fault(1), true).exit(1, &app, killed(signal), None);
        assert_cause(&way.verdict(), cause, Confidence::Certain);

        let mut status = Said::default();
        status.exit(1, &app, killed(signal), None);
        assert_cause(&status.verdict(), cause, Confidence::Likely);

        let mut sent = Said::default();
        sent.signal(0, &app, signal, &person(7, "kill")).exit(1, &app, killed(signal), None);
        assert_cause(&sent.verdict(), Cause::Signal, Confidence::Certain);
    }
    let mut abort = Said::default();
    abort.made(0, &app, Signal::ABRT, &app, Origin::Thread, false).exit(
        1,
        &app,
        killed(Signal::ABRT),
        None,
    );
    assert_cause(&abort.verdict(), Cause::Abort, Confidence::Certain);
    let mut itself = Said::default();
    itself.signal(0, &app, Signal::SEGV, &app).exit(1, &app, killed(Signal::SEGV), None);
    let verdict = itself.verdict();
    assert_cause(&verdict, Cause::Signal, Confidence::Certain);
    assert!(verdict.summary.contains("sent itself"), "{}", verdict.summary);
    let mut passed_on = itself.clone();
    passed_on.made(-2, &app, Signal::SEGV, &app, Origin::Fault(1), true);
    assert_cause(&passed_on.verdict(), Cause::Segfault, Confidence::Certain);
    let mut core = Said::default();
    let word = UnitWord::CoreDumped { pid: Some(Pid::new(100)), signal: Some(Signal::SEGV) };
    core.unit(0, Witness::Journal, "web.service", word);
    core.main_exited(1, "web.service", Status::Signal { signal: Signal::SEGV, core: true });
    assert_cause(&core.verdict(), Cause::Segfault, Confidence::Likely);
}

#[test]
fn memory_that_was_refused() {
    let app = person(100, "app");
    let refused = Fact::NoMemory { bytes: Some(Bytes::from_mib(512)) };
    for status in [Status::Code(1), killed(Signal::ABRT)] {
        let mut said = Said::default();
        said.say(0, Witness::Kmsg, app.clone(), refused.clone()).exit(5, &app, status, Some(false));
        let verdict = said.verdict();
        assert_cause(&verdict, Cause::NoMemory, Confidence::Likely);
    }
    let mut thread = Said::default();
    thread.say(0, Witness::Kmsg, person(104, "app"), refused.clone()).exit(
        5,
        &app,
        Status::Code(1),
        None,
    );
    assert_cause(&thread.verdict(), Cause::NoMemory, Confidence::Possible);
    let mut own_word = Said::default();
    own_word.say(0, Witness::Journal, app.clone(), refused.clone()).exit(
        5,
        &app,
        Status::Code(1),
        None,
    );
    assert_cause(&own_word.verdict(), Cause::Unknown, Confidence::Unknown);
    own_word.heard_by(&[Witness::Kmsg]);
    assert_cause(&own_word.verdict(), Cause::RlimitAs, Confidence::Possible);
    let mut lives = Said::default();
    lives.say(0, Witness::Kmsg, app.clone(), refused);
    assert_eq!(lives.judged().deaths.len(), 0, "a refusal kills nobody");
}

#[test]
fn exits_of_their_own() {
    let (main, child) = (process(100, "app", "web.service"), process(101, "grep", "web.service"));
    let mut said = Said::default();
    said.exit(0, &child, Status::Code(1), Some(false)).exit(1, &child, Status::Code(0), None).exit(
        5,
        &main,
        Status::Code(3),
        Some(true),
    );
    let verdict = said.verdict();
    assert_cause(&verdict, Cause::ExitCode, Confidence::Certain);
    assert_eq!(verdict.status, Some(Status::Code(3)));
    assert_eq!(verdict.summary, "web.service ended with code 3 by itself.");
    let mut clean = Said::default();
    clean.exit(5, &main, Status::Code(0), Some(true));
    assert_cause(&clean.verdict(), Cause::CleanExit, Confidence::Certain);
    let mut result = Said::default();
    result.result(0, "web.service", "exit-code");
    assert_cause(&result.verdict(), Cause::ExitCode, Confidence::Likely);
}

#[test]
fn polite_ends_of_children_are_told_to_who_asks_for_them() {
    let parents = vec![Ancestor { pid: Pid::new(100), comm: "nginx".to_owned() }];
    let worker = Party { parents, ..process(101, "nginx", "web.service") };
    let mut said = Said::default();
    said.signal(0, &worker, Signal::TERM, &process(100, "nginx", "web.service")).exit(
        1,
        &worker,
        killed(Signal::TERM),
        Some(false),
    );
    let verdict = said.verdict();
    assert_cause(&verdict, Cause::Signal, Confidence::Certain);
    assert!(!highwater_diagnose::counsel::is_of_note(&verdict), "its master lets it go");
    let mut stranger = Said::default();
    stranger.signal(0, &worker, Signal::TERM, &command(812, "kill", "kill 101")).exit(
        1,
        &worker,
        killed(Signal::TERM),
        Some(false),
    );
    let verdict = stranger.verdict();
    assert_cause(&verdict, Cause::Signal, Confidence::Certain);
    assert!(highwater_diagnose::counsel::is_of_note(&verdict));
}

#[test]
fn what_anybody_can_write_is_at_best_likely() {
    let mut said = Said::default();
    said.unit(0, Witness::Journal, "web.service", UnitWord::Watchdog { limit_ms: Some(30_000) })
        .main_exited(1, "web.service", killed(Signal::ABRT))
        .result(2, "web.service", "watchdog");
    assert_cause(&said.verdict(), Cause::Watchdog, Confidence::Certain);

    let mut live = said.clone();
    live.heard.iter_mut().for_each(|heard| heard.testimony.evidence.source = "log".to_owned());
    let mut file = said.clone();
    for heard in &mut file.heard {
        heard.testimony.evidence.source = "/var/log/syslog".to_owned();
        heard.boot_id = None;
    }
    for doubtful in [&live, &file] {
        let verdict = doubtful.verdict();
        assert_cause(&verdict, Cause::Watchdog, Confidence::Likely);
        let last = verdict.claims.last().unwrap();
        assert!(last.text.starts_with("Nobody vouches"), "{}", last.text);
        assert_eq!(last.evidence.len(), 1);
    }
    let web = process(100, "app", "web.service");
    file.signal(0, &web, Signal::ABRT, &systemd()).exit(1, &web, killed(Signal::ABRT), Some(true));
    assert_cause(&file.verdict(), Cause::Watchdog, Confidence::Certain);
}
