//! Ends that a signal led to though it did not end the process, and signals that nobody sent.

use super::*;
use highwater_diagnose::inquest::Way;

/// How a process ended by itself, so many milliseconds after somebody sent it a signal.
fn asked(signal: Signal, gap_ms: i64, code: u8) -> Verdict {
    let (web, bash) = (person(100, "web"), person(700, "bash"));
    let mut said = Said::default();
    said.heard_by(EVERYBODY);
    said.signal(0, &web, signal, &bash).exit(gap_ms, &web, Status::Code(code), Some(true));
    said.verdict()
}

#[test]
fn who_ends_by_itself_because_it_was_told_to_is_told_with_who_told_it() {
    let exact = asked(Signal::TERM, 1, 143);
    assert_cause(&exact, Cause::Signal, Confidence::Certain);
    assert_eq!(
        exact.summary,
        "web (pid 100) was told to end by bash (pid 700): SIGTERM, and ended with code 143."
    );
    assert_eq!((exact.sender.is_some(), exact.signal), (true, Some(Signal::TERM)));
    assert_eq!(exact.status, Some(Status::Code(143)));
    assert_eq!(exact.missing, []);
    let other = asked(Signal::TERM, 70, 1);
    assert_cause(&other, Cause::Signal, Confidence::Likely);
    assert_eq!(
        other.summary,
        "web (pid 100) ended with code 1, 70 ms after SIGTERM from bash (pid 700)."
    );
    assert_cause(&asked(Signal(10), 5, 138), Cause::Signal, Confidence::Certain);
    // A signal that asks for nothing, and one of long ago.
    assert_cause(&asked(Signal(10), 5, 1), Cause::ExitCode, Confidence::Certain);
    assert_cause(&asked(Signal::TERM, 15_000, 1), Cause::ExitCode, Confidence::Certain);
    // Nobody survives SIGKILL: that this was sent as it ended by itself is chance.
    assert_ne!(asked(Signal::KILL, 5, 1).cause, Cause::Signal);
}

#[test]
fn a_container_that_catches_a_persons_signal_was_not_stopped_by_docker() {
    let (web, bash) = (contained(200, "sh"), person(700, "bash"));
    let told = |by: &Party, code: u8| {
        let mut said = Said::default();
        said.heard_by(EVERYBODY)
            .signal(0, &web, Signal::TERM, by)
            .exit(3, &web, Status::Code(code), Some(true))
            .died(20, i32::from(code), Some(false));
        said.verdict()
    };
    assert_eq!(
        told(&bash, 143).summary,
        "Container web was told to end by bash (pid 700): SIGTERM, and ended with code 143."
    );
    assert_cause(&told(&bash, 0), Cause::Signal, Confidence::Likely);
    assert_eq!(told(&runc(), 143).cause, Cause::DockerStop);
}

/// The end by a signal that the kernel made.
fn by_kernel(signal: Signal, origin: Origin, by: &Party, to_process: bool) -> Verdict {
    let app = person(100, "app");
    let mut said = Said::default();
    said.heard_by(EVERYBODY);
    said.made(0, &app, signal, by, origin, to_process).exit(1, &app, killed(signal), Some(true));
    said.verdict()
}

#[test]
fn nobody_sends_what_a_terminal_a_timer_a_limit_or_a_pipe_does() {
    let (worker, app) = (person(16, "kworker/u8:0-events_unbound"), person(100, "app"));
    let kernel = Origin::Kernel;
    let profile = Signal(27);
    for (signal, origin, by, to_process, way, summary) in [
        (
            Signal::INT,
            kernel,
            &worker,
            true,
            Way::Terminal,
            "was interrupted at its terminal (Ctrl-C): SIGINT.",
        ),
        (
            Signal::QUIT,
            kernel,
            &worker,
            true,
            Way::Terminal,
            "was told to quit at its terminal (Ctrl-\\): SIGQUIT.",
        ),
        (
            Signal::HUP,
            kernel,
            &worker,
            true,
            Way::Terminal,
            "was hung up on: its terminal was closed: SIGHUP.",
        ),
        (
            Signal::ALRM,
            kernel,
            &worker,
            true,
            Way::Timer,
            "was ended by its own timer (alarm, setitimer), which ran out: SIGALRM.",
        ),
        (
            profile,
            kernel,
            &app,
            true,
            Way::Timer,
            "was ended by its own timer (alarm, setitimer), which ran out: SIGPROF.",
        ),
        (
            Signal::XFSZ,
            Origin::User,
            &app,
            false,
            Way::FileSize,
            "reached its limit on file size (ulimit -f, LimitFSIZE=): SIGXFSZ.",
        ),
        (
            Signal::PIPE,
            Origin::User,
            &app,
            false,
            Way::Pipe,
            "wrote into a pipe whose reader had gone: SIGPIPE.",
        ),
    ] {
        let verdict = by_kernel(signal, origin, by, to_process);
        assert_cause(&verdict, Cause::Signal, Confidence::Certain);
        assert_eq!(verdict.summary, format!("app (pid 100) {summary}"));
        assert_eq!((verdict.clues.way, verdict.sender.as_ref()), (Some(way), None));
        assert_eq!(verdict.missing, [], "nobody is missed");
        let advice = highwater_diagnose::counsel::advice(&verdict);
        assert!(!advice.iter().any(|one| one.text.contains("whoever ran that")), "{advice:?}");
    }
}

#[test]
fn the_same_signals_of_somebody_have_a_sender() {
    let own = by_kernel(Signal::PIPE, Origin::User, &person(100, "app"), true);
    assert!(own.summary.contains("sent itself"), "{}", own.summary);
    let sent = by_kernel(Signal::INT, Origin::User, &person(700, "bash"), true);
    assert!(sent.summary.contains("killed by bash"), "{}", sent.summary);
}

#[test]
fn a_key_that_is_caught_is_told_with_the_code() {
    let (worker, app) = (person(16, "kworker"), person(100, "app"));
    let mut said = Said::default();
    said.made(0, &app, Signal::INT, &worker, Origin::Kernel, true);
    said.exit(9, &app, Status::Code(130), Some(true));
    let verdict = said.verdict();
    assert_eq!(
        verdict.summary,
        "app (pid 100) was interrupted at its terminal (Ctrl-C), and ended with code 130."
    );
    assert_eq!(verdict.sender, None);
}

#[test]
fn a_limit_on_addresses_is_no_cause_of_whatever_ends_under_it() {
    let exit = Exit { status: Status::Code(3), lived_ms: Some(9), is_first: Some(true) };
    let mut said = Said::default();
    said.heard_by(EVERYBODY);
    said.say(0, Witness::Processes, process(100, "app", "web.service"), Fact::Exited(exit));
    said.heard[0].testimony.evidence.text = "exit pid=100 code=3 RLIMIT_AS=107374182400".to_owned();
    let verdict = said.verdict();
    assert_cause(&verdict, Cause::ExitCode, Confidence::Certain);
    assert_eq!(
        verdict.summary,
        "web.service ended with code 3 by itself; it had a limit of 100 GiB on its address space \
         (whether it was reached is unknown)."
    );
    // So few addresses are meant to end whoever wants more.
    let mut tight = said.clone();
    tight.heard[0].testimony.evidence.text = "exit pid=100 code=3 RLIMIT_AS=100663296".to_owned();
    let verdict = tight.verdict();
    assert_cause(&verdict, Cause::RlimitAs, Confidence::Possible);
    assert_eq!(
        verdict.summary,
        "web.service ended with code 3; it may have reached its own limit of 96 MiB on address space."
    );
    // Its own word that it got no memory makes it the cause.
    let mut refused = said.clone();
    let word = Fact::NoMemory { bytes: None };
    refused.say(-2, Witness::Journal, process(100, "app", "web.service"), word);
    let verdict = refused.verdict();
    assert_cause(&verdict, Cause::RlimitAs, Confidence::Possible);
    assert!(told(&verdict).contains("It had a limit on its address space."), "{}", told(&verdict));
}
