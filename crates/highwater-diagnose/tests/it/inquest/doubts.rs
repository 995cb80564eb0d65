//! What a verdict says of itself beside the cause: what it was not, who would have known, by what
//! advice goes.

use super::*;
use highwater_core::testimony::Limits;
use highwater_diagnose::counsel;
use highwater_diagnose::inquest::{Core, inquire_since};

fn texts(claims: &[highwater_core::evidence::Claim]) -> String {
    claims.iter().map(|claim| claim.text.as_str()).collect::<Vec<_>>().join("\n")
}

fn advice(verdict: &Verdict) -> String {
    let all: Vec<String> = counsel::advice(verdict).iter().map(ToString::to_string).collect();
    all.join("\n")
}

fn why(verdict: &Verdict, of: Witness) -> Option<&str> {
    verdict.missing.iter().find(|(witness, _)| *witness == of).map(|(_, why)| why.as_str())
}

fn started(first: u32) -> ContainerWord {
    let first = Some(Pid::new(first));
    ContainerWord::Started { first, restarts: None, limits: Box::<Limits>::default() }
}

#[test]
fn that_no_counter_rose_is_said_of_the_second_only_where_one_rose_before() {
    let (init, child) = (contained(200, "sh"), contained(201, "crasher"));
    let mut said = Said::default();
    said.heard_by(EVERYBODY)
        .docker(-9_000, started(200))
        .oom(-3_000, &child, highwater_oom::Cause::KernelOomMemcg, Some("/docker"))
        .exit(-2_999, &child, killed(Signal::KILL), Some(false))
        .exit(0, &init, killed(Signal::KILL), Some(true))
        .died(20, 137, Some(true));
    let deaths = said.judged().deaths;
    let verdict = deaths.iter().find(|death| death.who.pid == init.pid).unwrap();
    assert_eq!(verdict.cause, Cause::Unknown, "{}", told(verdict));
    let ruled_out = texts(&verdict.ruled_out);
    assert!(ruled_out.contains("rose in the second of this death"), "{ruled_out}");
    assert!(
        ruled_out.contains("crasher (pid 201) of it was killed for memory 3 s before"),
        "{ruled_out}"
    );
    // A counter that is read a little after this death tells of nothing before it.
    let mut late = Said::default();
    late.docker(-9_000, started(200))
        .exit(0, &init, killed(Signal::KILL), Some(true))
        .oom(300, &child, highwater_oom::Cause::KernelOomMemcg, Some("/docker"))
        .died(400, 137, Some(true));
    let deaths = late.heard_by(EVERYBODY).judged().deaths;
    let other = deaths.iter().find(|death| death.who.pid == init.pid).unwrap();
    let all = format!("{}\n{}", texts(&other.ruled_out), texts(&other.contradictions));
    assert!(all.contains("was killed for memory at the same moment"), "{all}");
    assert!(!all.contains("before"), "{all}");
    // Docker's flag is that child's.
    let but = texts(&verdict.contradictions);
    assert!(but.contains("OOMKilled=true; that is about crasher (pid 201)"), "{but}");
    assert!(!but.contains("may have been"), "{but}");
    assert!(advice(verdict).contains("highwater why 201"), "{}", advice(verdict));
}

#[test]
fn what_it_was_not_stands_in_one_line_and_only_in_doubt() {
    let web = process(100, "app", "web.service");
    let mut said = Said::default();
    said.heard_by(EVERYBODY).exit(0, &web, killed(Signal::KILL), Some(true));
    let verdict = said.verdict();
    let kills = verdict.ruled_out.iter().filter(|claim| claim.text.contains("No OOM kill"));
    assert_eq!(kills.count(), 1, "{}", told(&verdict));
    said.signal(-1, &web, Signal::KILL, &person(700, "bash"));
    let verdict = said.verdict();
    assert_cause(&verdict, Cause::Signal, Confidence::Certain);
    assert_eq!(verdict.ruled_out, []);
}

#[test]
fn a_signal_that_nobody_was_seen_to_send_is_one_all_the_same() {
    for signal in [Signal::ALRM, Signal::PIPE, Signal(10)] {
        let mut said = Said::default();
        said.heard_by(EVERYBODY).exit(0, &person(100, "sleep"), killed(signal), None);
        let verdict = said.verdict();
        assert_cause(&verdict, Cause::Signal, Confidence::Likely);
        let end = format!("was killed by {signal}; who sent it is unknown.");
        assert!(verdict.summary.ends_with(&end), "{}", verdict.summary);
        let why = why(&verdict, Witness::Signals).unwrap();
        assert!(why.contains("only for those sent by kill(2) or sigqueue(3)"), "{why}");
        assert!(!advice(&verdict).contains("as root"), "it is recorded: {}", advice(&verdict));
    }
    let mut deaf = Said::default();
    deaf.heard_by(&[Witness::Processes]).exit(0, &person(100, "x"), killed(Signal::ALRM), None);
    let verdict = deaf.verdict();
    assert_eq!(why(&verdict, Witness::Signals), Some("signals needs something"));
    assert!(advice(&verdict).contains("as root"), "{}", advice(&verdict));
}

#[test]
fn a_success_that_may_have_been_a_signal_is_not_called_its_own() {
    let mut said = Said::default();
    said.heard_by(&[Witness::Journal]).result(0, "web.service", "success");
    let verdict = said.verdict();
    assert_cause(&verdict, Cause::CleanExit, Confidence::Possible);
    assert_eq!(
        verdict.summary,
        "web.service ended in a way that systemd calls success; whether by itself or by a signal \
         such as SIGTERM is unknown."
    );
    assert!(why(&verdict, Witness::Signals).is_some());
}

#[test]
fn a_shell_passes_on_how_its_child_ended() {
    let (init, stranger) = (contained(200, "sh"), contained(201, "crasher"));
    let by = |pid| vec![Ancestor { pid: Pid::new(pid), comm: "sh".to_owned() }];
    let child = Party { parents: by(200), ..stranger.clone() };
    // Whose child it was may be unknown, or another's.
    for other in [stranger.clone(), Party { parents: by(230), ..stranger }] {
        let mut said = Said::default();
        said.docker(-5_000, started(200)).exit(-2, &other, killed(Signal::SEGV), Some(false)).exit(
            0,
            &init,
            Status::Code(139),
            Some(true),
        );
        let deaths = said.judged().deaths;
        let verdict = deaths.iter().find(|death| death.who.pid == init.pid).unwrap();
        assert_cause(verdict, Cause::ExitCode, Confidence::Likely);
        assert_eq!(
            verdict.summary,
            "Container web ended with code 139 just after crasher (pid 201) of it did: SIGSEGV."
        );
    }
    let mut said = Said::default();
    said.docker(-5_000, started(200))
        .exit(-2, &child, killed(Signal::SEGV), Some(false))
        .exit(0, &init, Status::Code(139), Some(true))
        .died(20, 139, Some(false));
    let deaths = said.judged().deaths;
    let verdict = deaths.iter().find(|death| death.who.pid == init.pid).unwrap();
    assert_cause(verdict, Cause::ExitCode, Confidence::Certain);
    assert_eq!(
        verdict.summary,
        "Container web passed on the end of its child crasher (pid 201): SIGSEGV."
    );
    assert!(advice(verdict).contains("highwater why 201"), "{}", advice(verdict));
    // Of a child that ended otherwise it passes on nothing.
    let mut other = Said::default();
    other.docker(-5_000, started(200)).exit(-2, &child, killed(Signal::ABRT), Some(false)).exit(
        0,
        &init,
        Status::Code(139),
        Some(true),
    );
    let deaths = other.judged().deaths;
    let verdict = deaths.iter().find(|death| death.who.pid == init.pid).unwrap();
    assert_eq!(verdict.summary, "Container web ended with code 139 by itself.");
}

#[test]
fn who_asked_docker_is_missed_where_nobody_saw_him() {
    let web = contained(200, "app");
    let mut said = Said::default();
    said.heard_by(EVERYBODY)
        .docker(-5_000, started(200))
        .docker_kill(-3, Signal::KILL)
        .signal(-2, &web, Signal::KILL, &runc())
        .exit(0, &web, killed(Signal::KILL), Some(true))
        .died(20, 137, Some(false));
    let verdict = said.verdict();
    assert_cause(&verdict, Cause::DockerKill, Confidence::Certain);
    let missed = why(&verdict, Witness::Processes).unwrap();
    assert!(missed.starts_with("who asked Docker is unknown: no command"), "{missed}");
    let said_so = advice(&verdict);
    assert!(said_so.contains("docker events --since 2025-12-31T23:59:29.998Z"), "{said_so}");
    assert!(said_so.contains("--until 2026-01-01T00:00:09.998Z"), "{said_so}");
    said.ran(-400, &command(800, "docker", "docker kill web"));
    let verdict = said.verdict();
    assert_eq!(why(&verdict, Witness::Processes), None);
    assert_eq!(verdict.clues.asker.as_ref().and_then(|asker| asker.pid), Some(Pid::new(800)));
    assert!(!advice(&verdict).contains("docker events"), "{}", advice(&verdict));
}

#[test]
fn advice_on_a_core_goes_by_whether_there_is_one() {
    let dumped = |core| Status::Signal { signal: Signal::SEGV, core };
    let web = process(100, "app", "web.service");
    for (core, wanted, is_none) in [(false, Core::None, true), (true, Core::Written, false)] {
        let mut said = Said::default();
        said.exit(0, &web, dumped(core), Some(true));
        let verdict = said.verdict();
        assert_eq!(verdict.clues.core, wanted);
        let said_so = advice(&verdict);
        assert_eq!(said_so.contains("No core was written"), is_none, "{said_so}");
        assert!(!said_so.contains("coredumpctl"), "{said_so}");
    }
    let mut kept = Said::default();
    kept.exit(0, &web, dumped(true), Some(true));
    let word = UnitWord::CoreDumped { pid: web.pid, signal: Some(Signal::SEGV) };
    kept.unit(3, Witness::Journal, "web.service", word);
    let said_so = advice(&kept.verdict());
    assert!(said_so.contains("coredumpctl info 100"), "{said_so}");
}

#[test]
fn no_advice_leads_into_a_journal_that_is_not_there() {
    let web = process(100, "app", "web.service");
    for (heard, is_there) in [(EVERYBODY, true), (&[Witness::Processes][..], false)] {
        for status in [killed(Signal::KILL), killed(Signal::SYS), Status::Code(1)] {
            let mut said = Said::default();
            said.heard_by(heard).exit(0, &web, status, Some(true));
            let said_so = advice(&said.verdict());
            assert_eq!(said_so.contains("journalctl"), is_there, "{status:?}: {said_so}");
        }
    }
}

#[test]
fn a_fault_under_a_limit_on_addresses_is_told_as_such() {
    let exit = Exit { status: killed(Signal::SEGV), lived_ms: Some(9), is_first: Some(true) };
    let mut said = Said::default();
    said.say(0, Witness::Processes, process(100, "app", "web.service"), Fact::Exited(exit));
    said.heard[0].testimony.evidence.text = "exit signal=11 RLIMIT_AS=20480000".to_owned();
    let verdict = said.verdict();
    assert_cause(&verdict, Cause::Segfault, Confidence::Likely);
    assert!(texts(&verdict.claims).contains("a limit on its address space"), "{}", told(&verdict));
    assert!(advice(&verdict).contains("LimitAS"), "{}", advice(&verdict));
}

#[test]
fn one_place_is_said_once() {
    let cgroup = CgroupPath::new(b"/process_api/24e83e42");
    let victim = Party { cgroup: Some(cgroup.clone()), ..person(100, "alpha") };
    let shell = Party {
        cgroup: Some(cgroup),
        parents: vec![Ancestor { pid: Pid::new(699), comm: "bash".to_owned() }],
        ..person(700, "bash")
    };
    let mut said = Said::default();
    said.signal(0, &victim, Signal::KILL, &shell);
    said.exit(1, &victim, killed(Signal::KILL), Some(false));
    let summary = said.verdict().summary;
    assert_eq!(summary.matches("24e83e42").count(), 1, "{summary}");
    assert!(summary.ends_with("was killed by bash (pid 700): SIGKILL."), "{summary}");
}

#[test]
fn what_ended_with_its_container_does_not_leave_it_alive() {
    let (init, child) = (contained(200, "sh"), contained(201, "sleep"));
    let mut said = Said::default();
    said.docker(-9_000, started(200))
        .signal(0, &init, Signal::KILL, &runc())
        .exit(1, &init, killed(Signal::KILL), Some(true))
        .made(0, &child, Signal::KILL, &init, Origin::Kernel, true)
        .exit(2, &child, killed(Signal::KILL), Some(false))
        .died(21, 137, Some(false));
    let deaths = said.judged().deaths;
    let verdict = deaths.iter().find(|death| death.who.pid == child.pid).unwrap();
    assert_cause(verdict, Cause::NamespaceEnd, Confidence::Certain);
    assert_eq!(
        verdict.summary,
        "sleep (pid 201) of container web was killed by the kernel with its container, whose \
         first process, sh (pid 200), ended."
    );
    assert!(verdict.clues.is_owner_gone);
}

#[test]
fn a_manager_knows_the_first_process_better_than_how_it_was_started() {
    let web = process(100, "app", "web.service");
    let mut said = Said::default();
    said.started(-9_000, "web.service", 100).exit(0, &web, Status::Code(3), Some(false));
    assert_eq!(said.verdict().is_first, Some(true));
}

#[test]
fn what_is_old_is_joined_and_not_told() {
    let mut said = Said::default();
    for turn in 0..4_u32 {
        let web = process(100 + turn, "app", "web.service");
        said.exit(i64::from(turn) * 60_000, &web, Status::Code(3), Some(true));
    }
    let hearing = Hearing { heard: &said.heard, kills: &said.kills, sights: &said.sights };
    let all = inquire(&hearing);
    let fresh = inquire_since(&hearing, Some(wall(90_000)));
    assert_eq!((all.deaths.len(), fresh.deaths.len()), (4, 2));
    assert_eq!(fresh.deaths, all.deaths[2..]);
    let deaths: Vec<_> = fresh.lives.iter().map(|life| life.death).collect();
    assert_eq!(deaths, [None, None, Some(0), Some(1)]);
}

#[test]
fn a_container_that_was_removed_has_no_log_to_look_into() {
    let web = contained(200, "app");
    let mut said = Said::default();
    said.docker(-5_000, started(200)).exit(0, &web, Status::Code(1), Some(true)).died(
        20,
        1,
        Some(false),
    );
    assert!(advice(&said.verdict()).contains("docker logs --tail 50 web"));
    said.docker(60, ContainerWord::Destroyed);
    let verdict = said.verdict();
    assert_cause(&verdict, Cause::ExitCode, Confidence::Certain);
    assert!(!advice(&verdict).contains("docker logs"), "{}", advice(&verdict));
}
