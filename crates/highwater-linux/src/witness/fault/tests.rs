use super::*;

fn line(text: &[u8], origin: LineOrigin) -> LogLine<'_> {
    LogLine {
        number: 1,
        text,
        raw: text,
        wall: None,
        boot: None,
        seq: None,
        ident: None,
        continues: false,
        origin,
        caller: Some(Caller::Task(4711)),
        journal: None,
    }
}

fn of(text: &[u8]) -> Option<(Party, Fact)> {
    of_line(&line(text, LineOrigin::Kernel))
}

/// Who, and what in short.
fn told(text: &str) -> String {
    let Some((party, fact)) = of(text.as_bytes()) else { return "nothing".to_owned() };
    let fact = match fact {
        Fact::Faulted(fault) => {
            let hex =
                |value: Option<u64>| value.map_or("-".to_owned(), |value| format!("{value:x}"));
            let (address, instruction) = (hex(fault.address), hex(fault.instruction));
            let object = fault.object.unwrap_or_default();
            format!("{:?} at {address} ip {instruction} in {object}", fault.kind)
        }
        Fact::NoMemory { bytes } => format!("{:?}", bytes.map(Bytes::get)),
        Fact::Exited(exit) => format!("{:?}", exit.status),
        Fact::Signalled(sent) => format!("{} {:?} by {}", sent.signal, sent.origin, sent.by),
        other => format!("{other:?}"),
    };
    format!("{party}: {fact}")
}

#[test]
fn faults_of_x86() {
    for (text, expected) in [
        (
            "a.out[71]: segfault at 10 ip 000055d0c0de1139 sp 00007ffd7c0de0a0 error 4 in a.out[1139,55d0c0de1000+1000] likely on CPU 1 (core 1, socket 0)",
            "a.out (pid 71): Segfault at 10 ip 55d0c0de1139 in a.out",
        ),
        (
            "my prog[71]: segfault at 0 ip 00007f5a3c sp 00007ffd error 6 in libc-2.31.so[7f5a3c000000+14b000]",
            "my prog (pid 71): Segfault at 0 ip 7f5a3c in libc-2.31.so",
        ),
        (
            "a[71]: segfault at 0 ip 0000000000000000 sp 00007ffd error 14",
            "a (pid 71): Segfault at 0 ip 0 in ",
        ),
        (
            "a[71]: segfault at 0 ip 0000000000000000 sp 00007ffd error 14 likely on CPU 0 (core 0, socket 0)",
            "a (pid 71): Segfault at 0 ip 0 in ",
        ),
        (
            "traps: a.out[72] general protection fault ip:401126 sp:7ffe error:0 in a.out[401000+1000]",
            "a.out (pid 72): GeneralProtection at - ip 401126 in a.out",
        ),
        (
            "traps: a.out[72] general protection ip:401126 sp:7ffe error:0",
            "a.out (pid 72): GeneralProtection at - ip 401126 in ",
        ),
        (
            "traps: a.out[73] trap divide error ip:401122 sp:7ffe error:0 in a.out[401122,401000+1000]",
            "a.out (pid 73): DivideError at - ip 401122 in a.out",
        ),
        (
            "traps: a[73] trap invalid opcode ip:40 sp:7 error:0 in a[4+1]",
            "a (pid 73): InvalidOpcode at - ip 40 in a",
        ),
        ("traps: a[73] trap int3 ip:40 sp:7 error:0 in a[4+1]", "a (pid 73): Trap at - ip 40 in a"),
        ("traps: a[73] trap stack segment ip:40 sp:7 error:0", "a (pid 73): Bus at - ip 40 in "),
        (
            "a[74] bad frame in rt_sigreturn frame:00007ffd ip:401126 sp:7ffd orax:ffffffffffffffff in a[401000+1000]",
            "a (pid 74): Segfault at - ip 401126 in a",
        ),
    ] {
        assert_eq!(told(text), expected, "{text}");
    }
}

#[test]
fn faults_of_other_machines() {
    for (text, expected) in [
        (
            "a[71]: unhandled level 2 translation fault (11) at 0x00000010, esr 0x92000046",
            "a (pid 71): Segfault at 10 ip - in ",
        ),
        (
            "a[71]: unhandled exception: DABT (lower EL), ESR 0x0000000092000046, level 2 translation fault in a[400000+1000]",
            "a (pid 71): Segfault at - ip - in a",
        ),
        (
            "a[71]: unhandled exception: PC Alignment, ESR 0x8a000000, pc alignment exception",
            "a (pid 71): Bus at - ip - in ",
        ),
        (
            "a[71]: segfault (11) at 0 nip 10000644 lr 10000634 code 1 in a[10000000+10000]",
            "a (pid 71): Segfault at 0 ip 10000644 in a",
        ),
        (
            "a[71]: unhandled signal 11 code 0x1 at 0x0000000000000010 in a[2aaaaaa000+1000]",
            "a (pid 71): Segfault at 10 ip - in a",
        ),
        ("a[71]: unhandled signal 60 code 0x1 at 0x0", "nothing"),
    ] {
        assert_eq!(told(text), expected, "{text}");
    }
}

#[test]
fn memory_that_was_refused() {
    for (text, expected) in [
        (
            "__vm_enough_memory: pid: 71, comm: a.out, bytes: 8589938688 not enough memory for the allocation",
            "a.out (pid 71): Some(8589938688)",
        ),
        (
            "__vm_enough_memory: pid: 71, comm: a, bytes: 1, bytes: 4096 not enough memory for the allocation",
            "a, bytes: 1 (pid 71): Some(4096)",
        ),
        (
            "__vm_enough_memory: pid: 71, comm: a, no enough memory for the allocation",
            "a (pid 71): None",
        ),
        ("pid: 71, comm: a, no enough memory for the allocation", "a (pid 71): None"),
        ("__vm_enough_memory: pid: x, comm: a, no enough memory for the allocation", "nothing"),
    ] {
        assert_eq!(told(text), expected, "{text}");
    }
}

#[test]
fn signals_that_the_kernel_was_asked_to_print() {
    for (text, expected) in [
        (
            "potentially unexpected fatal signal 11.",
            "pid 4711, gone: Signal { signal: SIGSEGV, core: true }",
        ),
        (
            "a/b/71: potentially unexpected fatal signal 6.",
            "a/b (pid 71): Signal { signal: SIGABRT, core: true }",
        ),
        ("CPU Watchdog Timeout (hard): a b[71]", "a b (pid 71): SIGKILL Kernel by a b (pid 71)"),
        ("CPU Watchdog Timeout (soft): a[71]", "a (pid 71): SIGXCPU Kernel by a (pid 71)"),
        ("RT Watchdog Timeout (soft): a[71]", "a (pid 71): SIGXCPU Kernel by a (pid 71)"),
        ("potentially unexpected fatal signal 700.", "nothing"),
    ] {
        assert_eq!(told(text), expected, "{text}");
    }
}

#[test]
fn a_system_call_that_seccomp_forbids() {
    let text = r#"audit: type=1326 audit(1600000000.123:45): auid=1000 uid=0 gid=0 ses=1 subj=unconfined pid=71 comm="a.out" exe="/tmp/a.out" sig=31 arch=c000003e syscall=39 compat=0 ip=0x7f10 code=0x80000000"#;
    assert_eq!(told(text), "a.out (pid 71): Seccomp at - ip 7f10 in /tmp/a.out");
    let (party, _) = of(text.as_bytes()).unwrap();
    assert_eq!((party.uid, party.login_uid), (Some(0), Some(1000)));
    let named = text.replace(r#""a.out""#, "612009");
    assert_eq!(of(named.as_bytes()).unwrap().0.comm.as_deref(), Some(r"a \t"));
    assert_eq!(told(&text.replace("sig=31", "sig=0")), "nothing", "it was only noted");
    assert_eq!(told(&text.replace("type=1326", "type=1400")), "nothing");
}

#[test]
fn names_cannot_pretend() {
    let fault = "]: segfault at ";
    assert_eq!(fault.len(), 15, "a name of this cannot have a number before it");
    for (name, shown) in [
        ("a[1]: segfault ", "a[1]: segfault "),
        ("[9]: segfault a", "[9]: segfault a"),
        ("", ""),
        ("[", "["),
        ("]", "]"),
        ("\u{1b}[2J", r"\x1b[2J"),
    ] {
        let text = format!("{name}[71]: segfault at 4 ip 1 sp 2 error 4 in x[1+2]");
        let (party, fact) = of(text.as_bytes()).unwrap();
        assert_eq!((party.pid, party.comm.as_deref()), (Some(Pid::new(71)), Some(shown)));
        assert!(matches!(fact, Fact::Faulted(Fault { address: Some(4), .. })));
    }
    let file = "a[71]: segfault at 4 ip 1 sp 2 error 4 in x[9]: segfault at 7 in y[1+2]";
    assert_eq!(told(file), "a (pid 71): Segfault at 4 ip 1 in x[9]: segfault at 7 in y");
}

#[test]
fn only_the_kernel_is_believed() {
    let text = b"a[71]: segfault at 0 ip 1 sp 2 error 4";
    assert!(of_line(&line(text, LineOrigin::Kernel)).is_some());
    assert!(of_line(&line(text, LineOrigin::Unsaid)).is_some());
    assert!(of_line(&line(text, LineOrigin::Program)).is_none());
}

#[test]
fn other_lines_and_garbage_are_nothing() {
    for text in [
        "",
        "Out of memory: Killed process 71 (a) total-vm:1kB",
        "usb 1-1: new high-speed USB device",
        "a[x]: segfault at 0 ip 1",
        "a[0]: segfault at 0 ip 1",
        "a[99999999999]: segfault at 0 ip 1",
        "traps: a[1] trap",
        "audit: type=1326 audit(",
        "CPU Watchdog Timeout (hard): ",
        "systemd[1]: web.service: Failed with result 'signal'.",
    ] {
        assert_eq!(told(text), "nothing", "{text}");
    }
    assert_eq!(of(&b"[".repeat(100_000)), None);
    assert_eq!(of(&b"[1]".repeat(50_000)), None);
    let long = [&b"x".repeat(900)[..], b"[71]: segfault at 0 ip 1"].concat();
    assert_eq!(of(&long), None, "no process has such a name");
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(0_u8.., 0..200)) {
        of(&bytes);
        for head in ["traps: ", "audit: type=1326 audit(", "a[1]: segfault at ", "pid: 1, comm: "] {
            of(&[head.as_bytes(), &bytes].concat());
        }
    }
}
