//! Lines of all kinds and ages, and what they tell.

use highwater_core::line::LineSource as _;
use highwater_log::Stream;

use super::*;

/// Of each line that tells something: who, and what.
fn told(log: &[u8]) -> Vec<String> {
    let (mut stream, mut all) = (Stream::new(log), Vec::new());
    while let Some(line) = stream.next_line() {
        all.extend(testimony(&line).map(|told| in_short(&told)));
    }
    all
}

/// The same, of lines as systemd writes them: the cheap look passes none over that tells something.
fn seen(log: &[u8]) -> Vec<String> {
    let mut stream = Stream::new(log);
    while let Some(line) = stream.next_line() {
        let among_others = [b"quiet\n", line.raw, b"\nquiet\n"].concat();
        let is_seen = is_relevant(line.raw) && mark(&among_others).is_some();
        assert!(testimony(&line).is_none() || is_seen, "{}", line.raw.escape_ascii());
    }
    told(log)
}

fn in_short(told: &Testimony) -> String {
    let fact = serde_json::to_string(&told.fact).unwrap();
    let owner = told.about.owner.as_ref().map_or_else(|| "nobody".to_owned(), ToString::to_string);
    let pid = told.about.pid.map(|pid| format!(" {pid}")).unwrap_or_default();
    let comm = told.about.comm.as_ref().map(|comm| format!(" {comm}")).unwrap_or_default();
    format!("{owner}{pid}{comm} {fact}")
}

/// What one line of systemd's tells.
fn words(text: &str) -> Option<String> {
    seen(format!("Nov 21 03:42:44 host systemd[1]: {text}\n").as_bytes()).pop()
}

fn unit(fact: &str) -> String {
    format!(r#"web.service {{"fact":"unit","word":{fact}}}"#)
}

#[test]
fn words_of_every_age_tell_the_same() {
    let killed = r#""main-exited","main":null,"status":{"signal":{"signal":9,"core":false}},"invocation":null"#;
    let limit = r#""start-limit-hit""#;
    let timeout = r#""timed-out","step":"stop-sigterm""#;
    let again = r#""restart-scheduled","count":null"#;
    let watchdog = r#""watchdog","limit_ms":30000"#;
    for (text, fact) in [
        ("web.service: Main process exited, code=killed, status=9/KILL", killed),
        ("web.service: main process exited, code=killed, status=9/KILL", killed),
        ("web.service: Start request repeated too quickly.", limit),
        ("start request repeated too quickly for web.service", limit),
        ("web.service start request repeated too quickly, refusing to start.", limit),
        ("web.service: State 'stop-sigterm' timed out. Killing.", timeout),
        ("web.service stop-sigterm timed out. Killing.", timeout),
        ("web.service: Stopping timed out. Killing.", timeout),
        ("web.service: Start operation timed out. Terminating.", r#""timed-out","step":"start""#),
        ("web.service start operation timed out. Terminating.", r#""timed-out","step":"start""#),
        (
            "web.service: start-pre operation timed out. Terminating.",
            r#""timed-out","step":"start-pre""#,
        ),
        ("web.service: Stopping timed out. Terminating.", r#""timed-out","step":"stop""#),
        (
            "web.service: Service reached runtime time limit. Stopping.",
            r#""timed-out","step":"runtime""#,
        ),
        ("web.service: Watchdog timeout (limit 30s)!", watchdog),
        ("web.service watchdog timeout (limit 30s)!", watchdog),
        ("web.service: Watchdog timeout!", r#""watchdog","limit_ms":null"#),
        (
            "web.service: Scheduled restart job, restart counter is at 3.",
            r#""restart-scheduled","count":3"#,
        ),
        (
            "web.service: Scheduled restart job immediately on client request, restart counter is at 3.",
            r#""restart-scheduled","count":3"#,
        ),
        ("web.service: Service hold-off time over, scheduling restart.", again),
        ("web.service holdoff time over, scheduling restart.", again),
        ("web.service has no holdoff time, scheduling restart.", again),
    ] {
        assert_eq!(words(text), Some(unit(fact)), "{text}");
    }
}

#[test]
fn ends_and_starts_of_every_age_tell_the_same() {
    let oom = r#""out-of-memory""#;
    for (text, fact) in [
        (
            "web.service: Failed with result 'oom-kill'.",
            r#""result","result":"oom-kill","invocation":null"#,
        ),
        (
            "web.service: Deactivated successfully.",
            r#""result","result":"success","invocation":null"#,
        ),
        ("web.service: Succeeded.", r#""result","result":"success","invocation":null"#),
        (
            "Unit web.service entered failed state.",
            r#""result","result":"failed","invocation":null"#,
        ),
        ("web.service: A process of this unit has been killed by the OOM killer.", oom),
        ("web.service: The kernel OOM killer killed some processes in this unit.", oom),
        (
            "web.service: systemd-oomd killed 3 process(es) in this unit.",
            r#""oomd-kill","processes":3"#,
        ),
        (
            "web.service: systemd-oomd killed some process(es) in this unit.",
            r#""oomd-kill","processes":null"#,
        ),
        ("Stopping web.service - A web server...", r#""stopping""#),
        ("Stopped web.service - A web server.", r#""stopped""#),
        ("Stopped web.service.", r#""stopped""#),
    ] {
        assert_eq!(words(text), Some(unit(fact)), "{text}");
    }
    assert!(words("Started web.service - A - B.").unwrap().starts_with("web.service {"));
}

#[test]
fn processes_that_are_named_are_the_party() {
    let kills = r#"{"fact":"unit","word":"kills","pid":12,"comm":"x) with","signal":9}"#;
    for text in [
        "web.service: Killing process 12 (x) with) with signal SIGKILL.",
        "web.service: Sent signal SIGKILL to main process 12 (x) with) on client request.",
    ] {
        assert_eq!(words(text), Some(format!("web.service 12 x) with {kills}")), "{text}");
    }
    let unknown =
        r#"web.service 12 {"fact":"unit","word":"kills","pid":12,"comm":null,"signal":null}"#;
    let text = "web.service: Killing process 12 (n/a) with signal SIGWHAT.";
    assert_eq!(words(text).as_deref(), Some(unknown));
    let control =
        r#"web.service {"fact":"exited","status":{"code":1},"lived_ms":null,"is_first":false}"#;
    for text in [
        "web.service: Control process exited, code=exited, status=1/FAILURE",
        "web.service: control process exited, code=exited status=1",
    ] {
        assert_eq!(words(text).as_deref(), Some(control), "{text}");
    }
}

#[test]
fn what_tells_of_no_end_or_start_gives_nothing() {
    for text in [
        "web.service: Consumed 2.885s CPU time.",
        "web.service: Unit entered failed state.",
        "web.service: Service RestartSec=100ms expired, scheduling restart.",
        "web.service: Found left-over process 12 (x) in control group while starting unit. Ignoring.",
        "web.service: Unit process 12 (x) remains running after unit stopped.",
        "web.service: Reload operation timed out. Killing reload process.",
        "web.service: Failed with result ''.",
        "web.service: Failed with result 'a b'.",
        "web.service: Failed with result 'signal",
        "web.service: Killing process x (x) with signal SIGKILL.",
        "web.timer: Failed with result 'resources'.",
        "web service: Failed with result 'signal'.",
        "Started Session 3 of User root.",
        "Started web.socket - Web.",
        "Reached target swap.target - Swaps.",
        "Starting web.service - Web...",
        "",
        ": ",
        "web.service: ",
    ] {
        assert_eq!(words(text), None, "{text}");
    }
}

#[test]
fn only_systemds_own_words_count() {
    let text = "web.service: Failed with result 'signal'.";
    for before in [
        "Nov 21 03:42:44 host app[1]: ",
        "Nov 21 03:42:44 host kernel: ",
        "<14>1 2026-04-27T08:47:12Z host app 1 - - ",
    ] {
        assert!(told(format!("{before}{text}\n").as_bytes()).is_empty(), "{before}");
    }
    for before in ["", "2026-11-21T03:42:44+0000 host systemd[77]: ", "[   12.5] systemd[1]: "] {
        assert_eq!(told(format!("{before}{text}\n").as_bytes()).len(), 1, "{before}");
    }
}

/// An entry of the journal with these fields beside message and stamp.
fn entry(message: &str, fields: &str) -> Vec<String> {
    let message = serde_json::to_string(message).unwrap();
    told(
        format!(
            "{{\"MESSAGE\":{message},\"__REALTIME_TIMESTAMP\":\"5\",\"__CURSOR\":\"s=1\",{fields}}}\n"
        )
        .as_bytes(),
    )
}

const SYSTEM: &str = r#""_PID":"1","_UID":"0","_COMM":"systemd","_TRANSPORT":"journal""#;
const USER: &str = r#""_PID":"777","_UID":"1000","_COMM":"systemd","_SYSTEMD_UNIT":"user@1000.service","_SYSTEMD_USER_UNIT":"init.scope","_TRANSPORT":"journal""#;

#[test]
fn an_entry_is_read_by_its_id_and_fields() {
    let exit = r#""MESSAGE_ID":"98e322203f7a4ed290d09fe03c09fe15","EXIT_CODE":"killed","EXIT_STATUS":"9","COMMAND":"ExecStart","UNIT":"web.service","INVOCATION_ID":"ab""#;
    let killed = r#"web.service {"fact":"unit","word":"main-exited","main":null,"status":{"signal":{"signal":9,"core":false}},"invocation":"ab"}"#;
    let message = "web.service: Main process exited, code=killed, status=9/KILL";
    assert_eq!(entry(message, &format!("{SYSTEM},{exit}")), [killed]);
    assert_eq!(entry("cut", &format!("{SYSTEM},{exit}")), [killed]);
    let message = "web.service: Control process exited, code=killed, status=9/KILL";
    assert!(entry(message, &format!("{SYSTEM},{exit}"))[0].contains("exited"));
    let started = r#""MESSAGE_ID":"39f53479d3a045ac8e11786248231fbf","JOB_RESULT":"done","UNIT":"web.service""#;
    let told = entry("Started A web server.", &format!("{SYSTEM},{started}"));
    assert!(told[0].starts_with("web.service ") && told[0].contains("started"), "{told:?}");
    let restart =
        r#""MESSAGE_ID":"5eb03494b6584870a536b337290809b3","N_RESTARTS":"7","UNIT":"web.service""#;
    assert!(entry("x", &format!("{SYSTEM},{restart}"))[0].contains("\"count\":7"));
    let result = r#""MESSAGE_ID":"d9b373ed55a64feb8242e02dbe79a49c","UNIT_RESULT":"watchdog","UNIT":"web.service""#;
    assert!(entry("x", &format!("{SYSTEM},{result}"))[0].contains("watchdog"));
    let stopped = r#""MESSAGE_ID":"9d1aaa27d60140bd96365438aad20286","UNIT":"web.service""#;
    let message = "Stopped web.service - A web server.";
    let of = |kind: &str| entry(message, &format!("{SYSTEM},{stopped},\"JOB_TYPE\":\"{kind}\""));
    assert_eq!((of("stop").len(), of("restart").len()), (1, 0));
    let failed = r#""MESSAGE_ID":"be02cf6855d2428ba40df7e9d022f03d","JOB_RESULT":"failed","UNIT":"web.service""#;
    assert!(entry("Failed to start A web server.", &format!("{SYSTEM},{failed}")).is_empty());
}

#[test]
fn a_users_manager_speaks_of_that_users_units() {
    let result = r#""MESSAGE_ID":"d9b373ed55a64feb8242e02dbe79a49c","UNIT_RESULT":"signal","USER_UNIT":"web.service""#;
    let told = entry("x", &format!("{USER},{result}"));
    assert!(told[0].starts_with("web.service of user 1000 "), "{told:?}");
    let forged = r#""MESSAGE_ID":"d9b373ed55a64feb8242e02dbe79a49c","UNIT_RESULT":"signal","UNIT":"ssh.service""#;
    assert!(entry("x", &format!("{USER},{forged}")).is_empty());
    let forged = entry("ssh.service: Failed with result 'signal'.", USER);
    assert!(forged[0].starts_with("ssh.service of user 1000 "), "{forged:?}");
}

#[test]
fn an_entry_of_anybody_else_counts_for_nothing() {
    let exit = r#""MESSAGE_ID":"d9b373ed55a64feb8242e02dbe79a49c","UNIT_RESULT":"signal","UNIT":"web.service""#;
    for who in [
        r#""_PID":"9","_UID":"1000","_COMM":"systemd","_SYSTEMD_UNIT":"user@1000.service","_SYSTEMD_USER_UNIT":"evil.service""#,
        r#""_PID":"9","_UID":"1000","_COMM":"systemd","SYSLOG_IDENTIFIER":"systemd""#,
        r#""_PID":"9","_UID":"0","_COMM":"app","SYSLOG_IDENTIFIER":"systemd""#,
        r#""_TRANSPORT":"kernel","SYSLOG_IDENTIFIER":"systemd""#,
        r#""_TRANSPORT":"journal","SYSLOG_IDENTIFIER":"app""#,
    ] {
        let fields = format!("{who},{exit}");
        assert!(entry("web.service: Failed with result 'signal'.", &fields).is_empty(), "{who}");
    }
}

#[test]
fn core_dumps_are_read_from_fields_and_words() {
    let who = r#""_PID":"9","_UID":"1000","_COMM":"systemd-coredum","_SYSTEMD_UNIT":"systemd-coredump@1-9-0.service""#;
    let fields = r#""MESSAGE_ID":"fc2e22bc6ee647b6b90729ab34a250b1","COREDUMP_PID":"7","COREDUMP_UID":"1000","COREDUMP_SIGNAL":"11","COREDUMP_COMM":"web","COREDUMP_CGROUP":"/system.slice/web.service""#;
    let told =
        entry("Process 7 (web) of user 1000 dumped core.\n\nStack", &format!("{who},{fields}"));
    let expected = r#"web.service 7 web {"fact":"unit","word":"core-dumped","pid":7,"signal":11}"#;
    assert_eq!(told, [expected]);
    let elsewhere =
        r#""_PID":"9","_UID":"1000","_COMM":"systemd-coredum","_SYSTEMD_UNIT":"evil.service""#;
    assert!(
        entry("Process 7 (web) of user 1000 dumped core.", &format!("{elsewhere},{fields}"))
            .is_empty()
    );
    let text = "Nov 21 03:42:44 host systemd-coredump[9]: Process 7 (w (e) b) of user 1000 ";
    let of = |rest: &str| seen(format!("{text}{rest}\n").as_bytes()).pop().unwrap();
    assert!(of("dumped core.").ends_with(r#""pid":7,"signal":null}"#));
    assert!(
        of("terminated abnormally with signal 6/ABRT, processing...").ends_with(r#""signal":6}"#)
    );
}

const ID: &str = "34186d9bd07706222bd427bb647ceed81e8e108eb653ff73c7137099fca1cab6";

#[test]
fn those_who_run_containers_are_read() {
    let head = "time=\"2023-05-26T18:55:57.803144807+05:30\" level=info msg=";
    for (ident, text, fact) in [
        (
            "dockerd",
            format!(
                "{head}\"Container failed to exit within 10s of signal 15 - using the force\" container={ID}"
            ),
            r#""kill","signal":9"#,
        ),
        (
            "dockerd",
            format!(
                "{head}\"Container {ID} failed to exit within 10 seconds of signal 15 - using the force\""
            ),
            r#""kill","signal":9"#,
        ),
        (
            "dockerd",
            format!(
                "{head}\"ignoring event\" container={ID} module=libcontainerd namespace=moby topic=/tasks/delete type=\"*events.TaskDelete\""
            ),
            r#""died","code":null"#,
        ),
        (
            "containerd",
            format!("{head}\"shim disconnected\" id={ID} namespace=moby"),
            r#""died","code":null"#,
        ),
        (
            "containerd",
            format!(
                "{head}\"TaskExit event &TaskExit{{ContainerID:{ID},ID:{ID},Pid:21976,ExitStatus:137,ExitedAt:2019-05-16 22:04:19 +0000 UTC,}}\""
            ),
            r#""died","code":137"#,
        ),
        (
            "containerd",
            format!(
                "{head}\"received exit event container_id:\\\"{ID}\\\" id:\\\"{ID}\\\" pid:21976 exit_status:137 exited_at:{{seconds:1}}\""
            ),
            r#""died","code":137"#,
        ),
        ("containerd", format!("{head}\"TaskOOM event container_id:\\\"{ID}\\\"\""), r#""oom""#),
    ] {
        let told = seen(format!("Nov 21 03:42:44 host {ident}[9]: {text}\n").as_bytes());
        assert!(
            told[0].starts_with("container 34186d9bd077") && told[0].contains(fact),
            "{told:?}"
        );
    }
    let none = format!(
        "Nov 21 03:42:44 host dockerd[9]: {head}\"Container failed to exit within 10s of signal 15 - using the force\" container=12\n"
    );
    assert!(told(none.as_bytes()).is_empty());
}

#[test]
fn the_kubelet_is_read() {
    let head = "Nov 21 03:42:44 node kubelet[9]: I0222 21:48:12.035393    3709 x.go:535] ";
    for (text, owner, fact) in [
        (format!("\"Killing container with a grace period\" pod=\"ns/web-1\" podUID=\"1\" containerName=\"app\" containerID=\"containerd://{ID}\" gracePeriod=30"), "container app of pod ns/web-1", "killing"),
        (format!("Killing container \"docker://{ID}\" with 30 second grace period"), "container 34186d9bd077", "killing"),
        ("\"Message for Container of pod\" containerName=\"app\" pod=\"ns/web-1\" containerMessage=\"Container app failed liveness probe, will be restarted\"".to_owned(), "container app of pod ns/web-1", "failed liveness probe"),
        ("\"Eviction manager: pod is evicted successfully\" pod=\"ns/web-1\"".to_owned(), "container  of pod ns/web-1", "evicted"),
        ("eviction manager: pod web-1_ns(1b85d6ef-f948) is evicted successfully".to_owned(), "container  of pod ns/web-1", "evicted"),
    ] {
        let told = seen(format!("{head}{text}\n").as_bytes());
        let is_right = told.first().is_some_and(|told| told.starts_with(owner) && told.contains(fact));
        assert!(is_right, "{text}: {told:?}");
    }
}

#[test]
fn keys_are_of_cursors() {
    let log = b"{\"MESSAGE\":\"x\",\"_TRANSPORT\":\"journal\",\"__CURSOR\":\"s=1\"}\n{\"MESSAGE\":\"x\",\"_TRANSPORT\":\"journal\",\"__CURSOR\":\"s=2\"}\nx\n";
    let (mut stream, mut keys) = (Stream::new(&log[..]), Vec::new());
    while let Some(line) = stream.next_line() {
        keys.push(key(&line));
    }
    assert!(keys[0].as_ref().is_some_and(|key| key.starts_with("journal:") && key.len() == 24));
    assert!(keys[0] != keys[1] && keys[2].is_none());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    /// Whatever stands in a line: no panic, and nothing long or harmful comes out.
    #[test]
    fn hostile_lines_give_partial_answers_at_most(
        unit in "[ -~]{0,20}(\\.service)?",
        words in "(: |)(Main process exited, code=|Killing process |State '|Failed with result '|Watchdog timeout \\(limit |Process |Sent signal )",
        rest in "(killed|dumped|exited)?[ -~éü\u{202e}]{0,60}",
        ident in "(systemd|systemd-coredump|dockerd|kubelet)",
        cut in 0..200_usize,
    ) {
        let text = format!("Nov 21 03:42:44 host {ident}[1]: {unit}{words}{rest}");
        let bytes = text.as_bytes();
        seen(bytes.get(..cut).unwrap_or(bytes));
        seen(bytes);
    }

    /// What was written in systemd's words is read back.
    #[test]
    fn what_is_written_is_read(
        name in "[a-z0-9@:_.\\\\-]{1,40}",
        comm in "[!-~]{1,15}",
        pid in 1..u32::MAX,
        signal in 1..=64_u8,
        dumped in proptest::bool::ANY,
    ) {
        let name = format!("{name}.service");
        let killing = words(&format!("{name}: Killing process {pid} ({comm}) with signal SIGKILL."));
        let expected = format!("\"pid\":{pid},");
        proptest::prop_assert!(killing.is_some_and(|told| told.contains(&expected)));
        let code = if dumped { "dumped" } else { "killed" };
        let exit = words(&format!("{name}: Main process exited, code={code}, status={signal}/X"));
        let expected = format!("{{\"signal\":{signal},\"core\":{dumped}}}");
        proptest::prop_assert!(exit.is_some_and(|told| told.contains(&expected)));
    }
}

/// A log of `fixtures/journal`.
fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/../../fixtures/journal/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap()
}

#[test]
fn a_machines_journal_tells_the_same_in_every_form() {
    let words = ["started", "out-of-memory", "main-exited", "oom-kill"];
    for form in ["export", "json", "json-pretty", "json-sse", "json-seq", "verbose"] {
        let told = told(&fixture(&format!("oom-unit.{form}")));
        assert_eq!(told.len(), words.len(), "{form}: {told:?}");
        let life = r#""invocation":"033346cfc83e45f4b70568c6d0e7b6bd""#;
        assert!([0, 2, 3].iter().all(|at| told[*at].contains(life)), "{form}: {told:?}");
    }
    for form in ["short", "short-iso", "short-monotonic", "with-unit", "cat", "few-fields", "json"]
    {
        let log = fixture(&format!("oom-unit.{form}"));
        let told = if form == "few-fields" { told(&log) } else { seen(&log) };
        let fits = told
            .iter()
            .zip(words)
            .filter(|(told, word)| told.starts_with("hog.service {") && told.contains(word));
        assert_eq!((fits.count(), told.len()), (words.len(), words.len()), "{form}: {told:?}");
    }
}

#[test]
fn lives_of_a_service_and_oomds_kill_are_read_from_text() {
    let told = seen(&fixture("three-lives.short"));
    let of = |word: &str| told.iter().filter(|told| told.contains(word)).count();
    assert_eq!((of("main-exited"), of("\"oom-kill\""), of("\"started\"")), (3, 3, 4), "{told:?}");
    let told = seen(&fixture("oomd-pressure.short"));
    assert!(told.iter().any(|told| told.contains(r#""oomd-kill","processes":1"#)), "{told:?}");
}

#[test]
fn only_what_the_journal_vouches_for_is_cited_as_its_word() {
    let sources = |name: &str| {
        let log = fixture(name);
        let (mut stream, mut all) = (Stream::new(log.as_slice()), Vec::new());
        while let Some(line) = stream.next_line() {
            all.extend(testimony(&line).map(|told| told.evidence.source));
        }
        all
    };
    assert!(sources("oom-unit.json").iter().all(|source| source == SOURCE));
    for name in ["oom-unit.few-fields", "oom-unit.short"] {
        assert!(sources(name).iter().all(|source| source == TEXT_SOURCE));
    }
}
