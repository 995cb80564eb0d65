//! A container whose first process is gone before Docker has said that it runs.

use super::*;

/// Docker looked at it too late to see its first process.
fn too_late() -> ContainerWord {
    ContainerWord::Started { first: None, restarts: None, limits: Box::default() }
}

fn lived(said: &mut Said, ms: i64, who: &Party, code: u8, lived_ms: u64) {
    let exit = Exit { status: Status::Code(code), lived_ms: Some(lived_ms), is_first: Some(true) };
    said.say(ms, Witness::Processes, who.clone(), Fact::Exited(exit));
}

#[test]
fn a_quick_end_is_one_death_in_one_life() {
    for code in [1, 137, 143] {
        let mut said = Said::default();
        lived(&mut said, 0, &contained(200, "sh"), code, 153);
        said.docker(3, too_late()).died(32, i32::from(code), Some(false));
        let verdict = said.verdict();
        assert_cause(&verdict, Cause::ExitCode, Confidence::Certain);
        assert_eq!(verdict.who.pid, Some(Pid::new(200)));
        assert_eq!(verdict.witnesses, [Witness::Processes, Witness::Docker]);
        let lives = said.judged().lives;
        assert_eq!(lives.len(), 1, "{lives:#?}");
        assert_eq!((lives[0].started, lives[0].ended), (Some(wall(-153)), Some(wall(0))));
    }
}

#[test]
fn quick_restarts_are_as_many_lives_as_docker_says() {
    let mut said = Said::default();
    for turn in 0..4_u32 {
        let begin = i64::from(turn) * 250;
        // Of the third nobody saw the process.
        if turn != 2 {
            lived(&mut said, begin + 100, &contained(200 + turn, "sh"), 1, 90);
        }
        said.docker(begin + 103, too_late()).died(begin + 132, 1, Some(false));
    }
    let inquest = said.judged();
    let pids: Vec<_> = inquest.deaths.iter().map(|death| death.who.pid).collect();
    let pid = |pid: u32| Some(Pid::new(pid));
    assert_eq!(pids, [pid(200), pid(201), None, pid(203)]);
    assert_eq!(inquest.lives.len(), 4);
}

#[test]
fn what_makes_a_container_ready_is_not_its_first_process() {
    let stages = ["runc:[0:PARENT]", "runc:[1:CHILD]", "exe"];
    for (stage, code) in stages.iter().zip([0, 0, 0]) {
        let mut said = Said::default();
        lived(&mut said, -120, &contained(198, stage), code, 2);
        said.docker(0, too_late()).died(26, 1, Some(false));
        let verdict = said.verdict();
        assert_cause(&verdict, Cause::ExitCode, Confidence::Certain);
        assert_eq!(verdict.status, Some(Status::Code(1)), "{stage}");
        assert_eq!(said.judged().lives.len(), 1, "{stage}");
    }
    // The last stage becomes the program: its name may be what was seen last.
    let mut seen_early = Said::default();
    lived(&mut seen_early, -3, &contained(200, "runc:[2:INIT]"), 1, 20);
    seen_early.docker(0, too_late()).died(26, 1, Some(false));
    assert_eq!(seen_early.verdict().who.pid, Some(Pid::new(200)));
    // A program that cannot be started ends the stage, and no container.
    let mut failed = Said::default();
    lived(&mut failed, -3, &contained(200, "runc:[2:INIT]"), 1, 20);
    assert_eq!(failed.judged().deaths.len(), 0);
}

#[test]
fn a_name_that_is_given_again_is_another_container() {
    const OTHER: &str = "9c0dbe2f7706222bd427bb647ceed81e8e108eb653ff73c7137099fca1cab601";
    let mut said = Said::default();
    lived(&mut said, 0, &contained(200, "sh"), 4, 128);
    said.docker(13, too_late()).died(28, 4, Some(false)).docker(40, ContainerWord::Destroyed);
    let other = Party {
        container_id: Some(OTHER.to_owned()),
        ..Party::of_owner(Owner::Container("web".to_owned()))
    };
    let died = ContainerWord::Died { code: Some(6), oom: Some(false) };
    said.say(870, Witness::Docker, other.clone(), Fact::Container(too_late()));
    said.say(898, Witness::Docker, other, Fact::Container(died));
    let inquest = said.judged();
    let codes: Vec<_> = inquest.deaths.iter().map(|death| death.status).collect();
    assert_eq!(codes, [Some(Status::Code(4)), Some(Status::Code(6))]);
    assert_eq!(inquest.lives.len(), 2);
}

#[test]
fn a_child_ends_with_a_first_process_of_which_only_docker_tells() {
    let (init, child) = (contained(200, "sh"), contained(201, "sleep"));
    let first = Some(Pid::new(200));
    let started = ContainerWord::Started { first, restarts: None, limits: Box::default() };
    let mut said = Said::default();
    said.heard_by(&[Witness::Signals, Witness::Processes, Witness::Docker])
        .docker(-1_000, started)
        .made(0, &child, Signal::KILL, &init, Origin::Kernel, true)
        .exit(1, &child, killed(Signal::KILL), Some(false))
        .died(21, 0, Some(false));
    let deaths = said.judged().deaths;
    let child = deaths.iter().find(|death| death.who.pid == child.pid);
    assert_cause(child.expect("its own death"), Cause::NamespaceEnd, Confidence::Certain);
}

#[test]
fn a_refusal_of_memory_is_of_who_asked() {
    let refused = Fact::NoMemory { bytes: Some(Bytes::from_mib(512)) };
    // Of a stranger, while a container ends of which no process is known.
    let mut stranger = Said::default();
    stranger.say(0, Witness::Kmsg, Party::of_pid(Pid::new(900)), refused.clone());
    stranger.docker(5, too_late()).died(30, 1, Some(false));
    assert_cause(&stranger.verdict(), Cause::ExitCode, Confidence::Certain);
    // Somebody knows it as one of this container.
    let mut own = stranger.clone();
    own.say(-500, Witness::Processes, contained(900, "app"), Fact::Ran);
    assert_cause(&own.verdict(), Cause::NoMemory, Confidence::Possible);
    // Or as one of another unit.
    let mut other = stranger;
    other.say(-500, Witness::Processes, process(900, "app", "db.service"), Fact::Ran);
    assert_cause(&other.verdict(), Cause::ExitCode, Confidence::Certain);
    // A namesake with an end of its own is no thread.
    let mut namesake = Said::default();
    namesake
        .say(0, Witness::Kmsg, person(904, "app"), refused)
        .exit(5, &process(100, "app", "web.service"), Status::Code(1), Some(true))
        .exit(90, &process(904, "app", "web.service"), Status::Code(0), Some(false));
    assert_cause(&namesake.verdict(), Cause::ExitCode, Confidence::Certain);
}

/// The first process of a container, as it is seen before it is put into the container's cgroup.
fn newborn(pid: u32, comm: Option<&str>) -> Party {
    let parents = [(90, "runc"), (80, "containerd-shim"), (70, "containerd")];
    let parents = parents.map(|(pid, comm)| Ancestor { pid: Pid::new(pid), comm: comm.to_owned() });
    Party {
        comm: comm.map(str::to_owned),
        parents: parents.to_vec(),
        cgroup: Some(CgroupPath::new(b"/runtimes")),
        ..person(pid, "")
    }
}

fn ended(said: &mut Said, ms: i64, who: &Party, code: u8) {
    let exit = Exit { status: Status::Code(code), lived_ms: Some(58), is_first: Some(false) };
    said.say(ms, Witness::Processes, who.clone(), Fact::Exited(exit));
}

#[test]
fn a_first_process_that_was_never_seen_in_its_container_is_its_end() {
    for comm in [None, Some("sh"), Some("runc:[2:INIT]")] {
        let mut said = Said::default();
        ended(&mut said, 0, &newborn(300, comm), 137);
        said.docker(2, too_late()).died(30, 137, Some(false));
        let verdict = said.verdict();
        assert_cause(&verdict, Cause::ExitCode, Confidence::Certain);
        assert_eq!(verdict.summary, "Container web ended with code 137 by itself.");
        assert_eq!((verdict.who.pid, verdict.who.cgroup), (Some(Pid::new(300)), None));
    }
    // Another code, another parent, long before: a death of its own.
    let stranger = Party { parents: Vec::new(), ..newborn(300, None) };
    for (ms, who, code) in
        [(0, newborn(300, None), 1), (0, stranger, 137), (-2_500, newborn(300, None), 137)]
    {
        let mut said = Said::default();
        ended(&mut said, ms, &who, code);
        said.docker(2, too_late()).died(30, 137, Some(false));
        let deaths = said.judged().deaths;
        let web = deaths.iter().find(|death| death.who.owner.is_some() && death.who.pid.is_none());
        assert_eq!(web.map(|web| web.cause), Some(Cause::Unknown), "{deaths:#?}");
    }
}

#[test]
fn whom_the_kernel_ends_with_a_container_was_ended_by_no_hand() {
    let (init, child, bash) = (contained(200, "sh"), contained(201, "sleep"), person(700, "bash"));
    let mut said = Said::default();
    said.signal(0, &init, Signal::KILL, &bash)
        .made(1, &child, Signal::KILL, &init, Origin::Kernel, true)
        .exit(2, &child, killed(Signal::KILL), Some(false))
        .exit(3, &init, killed(Signal::KILL), Some(true))
        .died(20, 137, Some(false));
    let deaths = said.judged().deaths;
    let web = deaths.iter().find(|death| death.who.pid == init.pid).expect("the container's");
    let text =
        "1 other process of it ended with it: the kernel ends a container with its first process.";
    assert!(web.claims.iter().any(|claim| claim.text == text), "{}", told(web));
}

#[test]
fn whoever_ends_with_its_container_does_not_leave_it_living() {
    use highwater_diagnose::death::NoHistory;
    use highwater_diagnose::inquest::restarts::stories;
    let (init, child, crash) = (contained(200, "sh"), contained(201, "a"), contained(202, "b"));
    let children = |said: &Said| {
        let hour = std::time::Duration::from_hours(1);
        let stories = stories(&said.judged(), &NoHistory, wall(60_000), hour);
        stories.iter().map(|story| story.children).collect::<Vec<_>>()
    };
    let mut namespace = Said::default();
    namespace
        .docker(-9_000, started())
        .made(0, &child, Signal::KILL, &init, Origin::Kernel, true)
        .exit(1, &child, killed(Signal::KILL), Some(false))
        .exit(2, &init, Status::Code(0), Some(true))
        .died(21, 0, Some(false));
    assert_eq!(children(&namespace), [0]);
    let mut passed_on = Said::default();
    passed_on
        .docker(-9_000, started())
        .exit(0, &crash, killed(Signal::SEGV), Some(false))
        .exit(5, &init, Status::Code(139), Some(true))
        .died(21, 139, Some(false));
    assert_eq!(children(&passed_on), [0]);
    let mut lived_on = Said::default();
    lived_on
        .docker(-9_000, started())
        .exit(-5_000, &crash, killed(Signal::SEGV), Some(false))
        .exit(5, &init, Status::Code(1), Some(true))
        .died(21, 1, Some(false));
    assert_eq!(children(&lived_on), [1]);
}

fn started() -> ContainerWord {
    let first = Some(Pid::new(200));
    ContainerWord::Started { first, restarts: None, limits: Box::default() }
}
