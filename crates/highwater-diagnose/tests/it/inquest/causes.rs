//! Each cause, with every witness and with few of them.

use super::*;
use highwater_core::testimony::Job;

#[test]
fn a_unit_at_its_limit_by_every_witness() {
    let web = process(100, "leak", "web.service");
    let mut said = Said::default();
    said.heard_by(EVERYBODY)
        .started(-60_000, "web.service", 100)
        .oom(0, &web, highwater_oom::Cause::KernelOomMemcg, Some("/system.slice/web.service"))
        .say(0, Witness::Signals, Party::of_pid(Pid::new(100)), Fact::Oom(OomWord::Marked))
        .made(0, &web, Signal::KILL, &web, Origin::Kernel, true)
        .exit(3, &web, killed(Signal::KILL), Some(true))
        .counted(5, "/system.slice/web.service", 1, 1)
        .counted(6, "/system.slice", 0, 1)
        .unit(8, Witness::Journal, "web.service", UnitWord::OutOfMemory)
        .unit(9, Witness::Journal, "system.slice", UnitWord::OutOfMemory)
        .main_exited(10, "web.service", killed(Signal::KILL))
        .result(11, "web.service", "oom-kill");
    let verdict = said.verdict();
    assert_cause(&verdict, Cause::KernelOomMemcg, Confidence::Certain);
    assert_eq!(verdict.is_first, Some(true));
    assert_eq!(verdict.report, Some(0));
    assert_eq!(verdict.sender, None);
    assert_eq!(verdict.limit_owner, Some(highwater_diagnose::inquest::LimitOwner::Own));
    insta::assert_snapshot!(told(&verdict));
}

#[test]
fn an_ancestors_limit_and_the_machines_are_told_apart() {
    use highwater_diagnose::inquest::LimitOwner;
    let web = process(100, "leak", "web.service");
    for (limited, cause, owner) in [
        (Some("/system.slice"), highwater_oom::Cause::KernelOomMemcg, LimitOwner::Ancestor),
        (Some("/"), highwater_oom::Cause::KernelOomMemcg, LimitOwner::Ancestor),
        (None, highwater_oom::Cause::KernelOomGlobal, LimitOwner::Machine),
    ] {
        let mut said = Said::default();
        said.oom(0, &web, cause, limited);
        assert_eq!(said.verdict().limit_owner, Some(owner));
    }
    let mut said = Said::default();
    said.oom(0, &web, highwater_oom::Cause::KernelOomMemcg, Some("/system.sli"));
    assert_eq!(said.verdict().limit_owner, None, "a path that only begins alike is none above");
}

#[test]
fn an_oom_kill_degrades_with_its_witnesses() {
    let web = process(100, "leak", "web.service");
    let mut said = Said::default();
    said.oom(0, &web, highwater_oom::Cause::KernelOomMemcg, None);
    assert_cause(&said.verdict(), Cause::KernelOomMemcg, Confidence::Certain);

    let mut said = Said::default();
    said.say(0, Witness::Signals, web.clone(), Fact::Oom(OomWord::Marked));
    assert_cause(&said.verdict(), Cause::KernelOom, Confidence::Certain);

    let mut said = Said::default();
    said.unit(0, Witness::Journal, "web.service", UnitWord::OutOfMemory)
        .main_exited(2, "web.service", killed(Signal::KILL))
        .result(3, "web.service", "oom-kill");
    let verdict = said.verdict();
    assert_cause(&verdict, Cause::KernelOom, Confidence::Likely);
    assert!(verdict.missing.iter().any(|(witness, _)| *witness == Witness::Kmsg));

    let mut said = Said::default();
    said.counted(1, "/system.slice/web.service", 1, 1).main_exited(
        2,
        "web.service",
        killed(Signal::KILL),
    );
    assert_cause(&said.verdict(), Cause::KernelOomMemcg, Confidence::Likely);

    let mut said = Said::default();
    said.counted(1, "/system.slice/web.service", 1, 1).counted(1, "/system.slice", 0, 1);
    let verdict = said.verdict();
    assert_cause(&verdict, Cause::KernelOomMemcg, Confidence::Likely);
    assert_eq!(verdict.is_first, Some(false), "somebody in there, not all of it");
    assert!(
        verdict.summary.starts_with("A process of web.service was killed"),
        "{}",
        verdict.summary
    );
}

#[test]
fn programs_that_kill_for_memory() {
    let web = process(100, "leak", "web.service");
    for (program, cause, report) in [
        ("systemd-oomd", Cause::SystemdOomd, highwater_oom::Cause::SystemdOomd),
        ("earlyoom", Cause::Earlyoom, highwater_oom::Cause::Earlyoom),
        ("nohang", Cause::Nohang, highwater_oom::Cause::Nohang),
        ("oomd", Cause::Oomd, highwater_oom::Cause::Oomd),
    ] {
        let killer = person(300, program);
        let mut said = Said::default();
        said.heard_by(EVERYBODY)
            .oom(0, &web, report, None)
            .signal(1, &web, Signal::KILL, &killer)
            .exit(4, &web, killed(Signal::KILL), Some(true))
            .main_exited(5, "web.service", killed(Signal::KILL))
            .result(6, "web.service", "signal");
        let verdict = said.verdict();
        assert_cause(&verdict, cause, Confidence::Certain);
        assert_eq!(verdict.sender, Some(killer.clone()));
        assert_eq!(verdict.contradictions.len(), 1, "{}", told(&verdict));

        let mut hand = Said::default();
        hand.signal(1, &web, Signal::TERM, &killer).exit(4, &web, killed(Signal::TERM), None);
        assert_cause(&hand.verdict(), cause, Confidence::Likely);

        let mut word = Said::default();
        let fact = Fact::KilledBy { program: program.to_owned() };
        word.say(0, Witness::Journal, Party::of_pid(Pid::new(100)), fact);
        assert_cause(&word.verdict(), cause, Confidence::Certain);
    }
}

#[test]
fn systemd_oomd_kills_a_whole_unit_once() {
    let oomd = person(400, "systemd-oomd");
    let mut said = Said::default();
    for pid in 100..150 {
        let web = process(pid, "leak", "web.service");
        said.made(1, &web, Signal::KILL, &oomd, Origin::User, false);
        said.exit(2, &web, killed(Signal::KILL), Some(pid == 100));
    }
    said.unit(1, Witness::Journal, "web.service", UnitWord::OomdKill { processes: Some(50) })
        .main_exited(5, "web.service", killed(Signal::KILL))
        .result(5, "web.service", "oom-kill");
    let verdict = said.verdict();
    assert_cause(&verdict, Cause::SystemdOomd, Confidence::Certain);
    assert_eq!(verdict.who.pid, Some(Pid::new(100)));
    assert!(verdict.summary.ends_with("and 49 other processes with it."), "{}", verdict.summary);

    let mut journal = Said::default();
    journal
        .unit(1, Witness::Journal, "web.service", UnitWord::OomdKill { processes: Some(50) })
        .result(5, "web.service", "oom-kill");
    assert_cause(&journal.verdict(), Cause::SystemdOomd, Confidence::Certain);
}

#[test]
fn a_watchdog_that_was_not_fed() {
    let web = process(100, "app", "web.service");
    let mut said = Said::default();
    said.unit(0, Witness::Journal, "web.service", UnitWord::Watchdog { limit_ms: Some(2_000) })
        .signal(1, &web, Signal::ABRT, &systemd())
        .exit(2, &web, killed(Signal::ABRT), Some(true))
        .result(4, "web.service", "watchdog");
    let verdict = said.verdict();
    assert_cause(&verdict, Cause::Watchdog, Confidence::Certain);
    assert!(verdict.summary.contains("within 2 s"), "{}", verdict.summary);

    let mut said = Said::default();
    said.main_exited(0, "web.service", killed(Signal::ABRT)).result(1, "web.service", "watchdog");
    let verdict = said.verdict();
    assert_cause(&verdict, Cause::Watchdog, Confidence::Likely);
}

#[test]
fn steps_that_took_too_long() {
    let web = process(100, "app", "web.service");
    let mut said = Said::default();
    said.started(-60_000, "web.service", 100)
        .unit(0, Witness::Systemd, "web.service", UnitWord::Asked { job: Job::Stop })
        .unit(1, Witness::Journal, "web.service", UnitWord::Stopping)
        .signal(2, &web, Signal::TERM, &systemd())
        .unit(
            3_000,
            Witness::Journal,
            "web.service",
            UnitWord::TimedOut { step: "stop-sigterm".into() },
        )
        .signal(3_001, &web, Signal::KILL, &systemd())
        .exit(3_002, &web, killed(Signal::KILL), Some(true))
        .result(3_010, "web.service", "timeout");
    let verdict = said.verdict();
    assert_cause(&verdict, Cause::StopTimeout, Confidence::Certain);
    assert_eq!(verdict.sender, Some(systemd()));

    let mut journal = Said::default();
    journal
        .unit(1, Witness::Journal, "web.service", UnitWord::Stopping)
        .unit(
            3_000,
            Witness::Journal,
            "web.service",
            UnitWord::TimedOut { step: "stop-sigterm".into() },
        )
        .main_exited(3_002, "web.service", killed(Signal::KILL))
        .result(3_010, "web.service", "timeout");
    assert_cause(&journal.verdict(), Cause::StopTimeout, Confidence::Certain);

    let mut result = Said::default();
    result.main_exited(0, "web.service", killed(Signal::TERM)).result(1, "web.service", "timeout");
    assert_cause(&result.verdict(), Cause::StartTimeout, Confidence::Likely);

    let mut start = Said::default();
    start
        .unit(0, Witness::Journal, "web.service", UnitWord::TimedOut { step: "start".into() })
        .signal(1, &web, Signal::TERM, &systemd())
        .exit(2, &web, killed(Signal::TERM), Some(true))
        .result(3, "web.service", "timeout");
    assert_cause(&start.verdict(), Cause::StartTimeout, Confidence::Certain);

    let mut run = Said::default();
    run.started(-60_000, "web.service", 100)
        .exit(0, &web, killed(Signal::TERM), Some(true))
        .signal(-1, &web, Signal::TERM, &systemd())
        .result(1, "web.service", "timeout");
    assert_cause(&run.verdict(), Cause::RuntimeMax, Confidence::Certain);
}

#[test]
fn systemd_stops_restarts_and_kills_as_it_is_asked() {
    let web = process(100, "app", "web.service");
    let stop = command(810, "systemctl", "systemctl stop web");
    for (job, cause) in [(Job::Stop, Cause::SystemdStop), (Job::Restart, Cause::SystemdRestart)] {
        let mut said = Said::default();
        said.unit(0, Witness::Systemd, "web.service", UnitWord::Asked { job })
            .signal(2, &web, Signal::TERM, &systemd())
            .exit(5, &web, killed(Signal::TERM), Some(true))
            .unit(9, Witness::Journal, "web.service", UnitWord::Stopped);
        assert_cause(&said.verdict(), cause, Confidence::Certain);
    }
    let mut handled = Said::default();
    handled
        .ran(-5, &stop)
        .unit(0, Witness::Journal, "web.service", UnitWord::Stopping)
        .signal(2, &web, Signal::TERM, &systemd())
        .exit(5, &web, Status::Code(0), Some(true))
        .unit(9, Witness::Journal, "web.service", UnitWord::Stopped);
    let verdict = handled.verdict();
    assert_cause(&verdict, Cause::SystemdStop, Confidence::Certain);
    assert!(
        verdict.summary.contains("as systemctl (pid 810), run by bash in session-4.scope"),
        "{}",
        verdict.summary
    );

    let mut journal = Said::default();
    journal.unit(0, Witness::Journal, "web.service", UnitWord::Stopping).unit(
        9,
        Witness::Journal,
        "web.service",
        UnitWord::Stopped,
    );
    assert_cause(&journal.verdict(), Cause::SystemdStop, Confidence::Likely);

    let kill = command(811, "systemctl", "systemctl kill -s KILL web.service");
    let mut said = Said::default();
    said.ran(-5, &kill)
        .signal(2, &web, Signal::KILL, &systemd())
        .exit(5, &web, killed(Signal::KILL), Some(true))
        .main_exited(6, "web.service", killed(Signal::KILL))
        .result(7, "web.service", "signal");
    let verdict = said.verdict();
    assert_cause(&verdict, Cause::SystemdKill, Confidence::Certain);
    assert_eq!(verdict.sender, Some(systemd()));
    insta::assert_snapshot!(told(&verdict));

    let mut said = Said::default();
    said.signal(2, &web, Signal::KILL, &systemd()).exit(5, &web, killed(Signal::KILL), Some(true));
    assert_cause(&said.verdict(), Cause::SystemdKill, Confidence::Likely);
}

#[test]
fn a_crash_while_the_next_start_waits_is_no_stop() {
    let mut said = Said::default();
    said.main_exited(0, "web.service", Status::Code(1))
        .result(1, "web.service", "exit-code")
        .unit(
            15_000,
            Witness::Journal,
            "web.service",
            UnitWord::RestartScheduled { count: Some(1) },
        )
        .unit(15_001, Witness::Journal, "web.service", UnitWord::Stopped);
    assert_cause(&said.verdict(), Cause::ExitCode, Confidence::Certain);
}

#[test]
fn docker_by_every_witness() {
    let web = contained(200, "app");
    let shim = Party { comm: Some("containerd-shim".to_owned()), ..runc() };
    let end = |said: &mut Said, ms: i64, code: i32| {
        said.exit(ms, &web, killed(Signal::KILL), Some(true)).died(ms + 20, code, Some(false));
    };
    let mut stop = Said::default();
    stop.ran(-9, &command(820, "docker", "docker stop web"))
        .docker_kill(0, Signal::TERM)
        .signal(1, &web, Signal::TERM, &shim)
        .docker_kill(10_000, Signal::KILL)
        .signal(10_001, &web, Signal::KILL, &runc());
    end(&mut stop, 10_004, 137);
    stop.docker(10_100, ContainerWord::Stopped);
    let verdict = stop.verdict();
    assert_cause(&verdict, Cause::DockerStopTimeout, Confidence::Certain);
    assert!(verdict.summary.contains("did not for 10 s"), "{}", verdict.summary);
    assert_eq!(verdict.who.owner, Some(Owner::Container("web".to_owned())), "by its name");

    let mut kill = Said::default();
    kill.docker_kill(0, Signal::KILL).signal(1, &web, Signal::KILL, &runc());
    end(&mut kill, 4, 137);
    assert_cause(&kill.verdict(), Cause::DockerKill, Confidence::Certain);

    let mut remove = Said::default();
    remove.docker_kill(0, Signal::KILL).signal(1, &web, Signal::KILL, &runc());
    end(&mut remove, 4, 137);
    remove.docker(60, ContainerWord::Destroyed);
    assert_cause(&remove.verdict(), Cause::DockerRemove, Confidence::Certain);

    let mut auto = remove.clone();
    auto.ran(-20, &command(821, "docker", "docker kill 34186d9b"));
    let verdict = auto.verdict();
    assert_cause(&verdict, Cause::DockerKill, Confidence::Certain);

    let mut restart = Said::default();
    restart.docker_kill(0, Signal::TERM).signal(1, &web, Signal::TERM, &shim);
    restart
        .exit(30, &web, killed(Signal::TERM), Some(true))
        .died(50, 143, Some(false))
        .docker(60, ContainerWord::Stopped)
        .docker(
            300,
            ContainerWord::Started {
                first: Some(Pid::new(260)),
                restarts: Some(0),
                limits: Box::default(),
            },
        )
        .docker(310, ContainerWord::Restarted);
    assert_cause(&restart.verdict(), Cause::DockerRestart, Confidence::Certain);
}

#[test]
fn docker_alone() {
    let mut stop = Said::default();
    stop.docker_kill(0, Signal::TERM)
        .docker_kill(10_000, Signal::KILL)
        .died(10_050, 137, Some(false))
        .docker(10_100, ContainerWord::Stopped);
    assert_cause(&stop.verdict(), Cause::DockerStopTimeout, Confidence::Likely);

    let mut graceful = Said::default();
    graceful.docker_kill(0, Signal::TERM).died(50, 0, None).docker(60, ContainerWord::Stopped);
    assert_cause(&graceful.verdict(), Cause::DockerStop, Confidence::Likely);

    let mut hup = Said::default();
    hup.docker_kill(-5_000, Signal::HUP).died(0, 3, None);
    assert_cause(&hup.verdict(), Cause::ExitCode, Confidence::Certain);

    let mut bare = Said::default();
    bare.heard_by(&[Witness::Docker]).died(0, 137, Some(false));
    let verdict = bare.verdict();
    assert_cause(&verdict, Cause::Unknown, Confidence::Unknown);
    let missing: Vec<Witness> = verdict.missing.iter().map(|(witness, _)| *witness).collect();
    assert_eq!(missing, [Witness::Signals, Witness::Processes, Witness::Kmsg, Witness::Cgroups]);
    insta::assert_snapshot!(told(&verdict));

    let mut fault = Said::default();
    fault.died(0, 139, None);
    let verdict = fault.verdict();
    assert_cause(&verdict, Cause::Unknown, Confidence::Unknown);
    assert!(
        verdict.summary.contains("whether that was a signal is unknown"),
        "{}",
        verdict.summary
    );

    let mut hangs = Said::default();
    hangs.docker(0, ContainerWord::Oom);
    assert_eq!(hangs.judged().deaths.len(), 0, "its killer may be switched off");

    let mut flag = Said::default();
    flag.docker(0, ContainerWord::Oom).died(50, 137, Some(true));
    assert_cause(&flag.verdict(), Cause::KernelOomMemcg, Confidence::Likely);
}

#[test]
fn a_container_out_of_memory_whatever_docker_says() {
    let web = contained(200, "leak");
    let mut said = Said::default();
    said.heard_by(EVERYBODY)
        .oom(0, &web, highwater_oom::Cause::KernelOomMemcg, Some(&format!("/docker/{ID}")))
        .exit(2, &web, killed(Signal::KILL), Some(true))
        .died(40, 137, Some(false));
    let verdict = said.verdict();
    assert_cause(&verdict, Cause::KernelOomMemcg, Confidence::Certain);
    assert!(verdict.contradictions[0].text.contains("OOMKilled=false"));
    assert!(
        verdict.summary.starts_with("Container web was killed by the kernel's OOM killer"),
        "{}",
        verdict.summary
    );
}

#[test]
fn a_child_that_memory_cost_while_the_first_process_lives() {
    let (init, child) = (contained(200, "sh"), contained(201, "leak"));
    let started = ContainerWord::Started {
        first: Some(Pid::new(200)),
        restarts: None,
        limits: Box::default(),
    };
    let mut said = Said::default();
    said.docker(-9_000, started)
        .oom(0, &child, highwater_oom::Cause::KernelOomMemcg, Some(&format!("/docker/{ID}")))
        .exit(2, &child, killed(Signal::KILL), None)
        .docker(9, ContainerWord::Oom);
    let verdict = said.verdict();
    assert_cause(&verdict, Cause::KernelOomMemcg, Confidence::Certain);
    assert_eq!(verdict.is_first, Some(false));
    assert!(
        verdict.summary.starts_with("leak (pid 201) of container web, which lives on, was killed"),
        "{}",
        verdict.summary
    );

    // Its shell lives on, and ends well a minute later.
    said.exit(60_000, &init, Status::Code(0), Some(true)).died(60_010, 0, Some(true));
    let deaths = said.judged().deaths;
    assert_eq!(deaths.len(), 2);
    assert_eq!((deaths[1].cause, deaths[1].is_first), (Cause::CleanExit, Some(true)));
    assert!(deaths[1].contradictions.iter().any(|claim| claim.text.contains("OOMKilled=true")));

    // Or ends at once with what its child ended with.
    let mut passed = Said::default();
    passed
        .oom(0, &child, highwater_oom::Cause::KernelOomMemcg, None)
        .exit(2, &child, killed(Signal::KILL), Some(false))
        .exit(5, &init, Status::Code(137), Some(true))
        .died(30, 137, Some(false));
    let deaths = passed.judged().deaths;
    assert_eq!(deaths.len(), 2);
    assert_cause(&deaths[1], Cause::KernelOomMemcg, Confidence::Likely);
    assert!(
        deaths[1].contradictions.iter().any(|claim| claim.text.contains("no SIGKILL ended this"))
    );
}

#[test]
fn a_unit_that_is_stopped_because_of_a_child() {
    let (main, child) = (process(100, "main", "web.service"), process(101, "leak", "web.service"));
    let mut said = Said::default();
    said.started(-9_000, "web.service", 100)
        .oom(0, &child, highwater_oom::Cause::KernelOomMemcg, Some("/system.slice/web.service"))
        .exit(1, &child, killed(Signal::KILL), Some(false))
        .unit(3, Witness::Journal, "web.service", UnitWord::OutOfMemory)
        .signal(5, &main, Signal::TERM, &systemd())
        .exit(8, &main, killed(Signal::TERM), Some(true))
        .result(9, "web.service", "oom-kill");
    let deaths = said.judged().deaths;
    assert_eq!(deaths.len(), 2);
    assert_eq!(deaths[0].is_first, Some(false));
    assert_cause(&deaths[1], Cause::KernelOomMemcg, Confidence::Certain);
    assert!(deaths[1].contradictions.iter().any(|claim| claim.text.contains("only a child")));
    assert_eq!((deaths[0].report, deaths[1].report), (Some(0), None), "one report, one victim");
    insta::assert_snapshot!(told(&deaths[1]));
}

#[test]
fn the_kubelet_and_its_reasons() {
    let ended = |signal: Option<Signal>, reason: &str| PodWord::Terminated {
        reason: Some(reason.to_owned()),
        code: Some(137),
        signal,
        started: None,
        finished: None,
        restarts: Some(3),
    };
    let killing = |message: &str| PodWord::Killing { message: message.to_owned() };
    for (word, cause) in [
        (killing("Container cart failed liveness probe, will be restarted"), Cause::KubeletProbe),
        (
            PodWord::Evicted { message: "The node was low on resource: memory.".into() },
            Cause::KubeletEviction,
        ),
        (PodWord::Deleting { grace: Some(30) }, Cause::KubeletDelete),
        (killing("Stopping container cart"), Cause::KubeletDelete),
    ] {
        let mut said = Said::default();
        said.pod(0, word).pod(1_000, ended(None, "Error"));
        assert_cause(&said.verdict(), cause, Confidence::Likely);
    }
    let mut oom = Said::default();
    oom.pod(0, ended(None, "OOMKilled"));
    assert_cause(&oom.verdict(), Cause::KernelOom, Confidence::Likely);
    oom.heard_by(&[Witness::Kmsg, Witness::Kubernetes]);
    let verdict = oom.verdict();
    assert_cause(&verdict, Cause::KernelOom, Confidence::Possible);
    assert!(verdict.contradictions.iter().any(|claim| claim.text.contains("exit code 137")));
}
