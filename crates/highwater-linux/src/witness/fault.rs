//! What the kernel's log says of a process that the processor, or the kernel, stopped.
//!
//! | line | from |
//! |---|---|
//! | `a.out[71]: segfault at 0 ip 5… sp 7… error 4 in a.out[5…+1000]` | `arch/x86/mm/fault.c` |
//! | `traps: a.out[71] trap divide error ip:5… sp:7… error:0 in a.out[…]` | `arch/x86/kernel/traps.c` |
//! | `a.out[71] bad frame in rt_sigreturn frame:… ip:…` | `arch/x86/kernel/signal.c` |
//! | `a.out[71]: unhandled level 2 translation fault (11) at 0x0, esr 0x…` | arm64, before 4.17 |
//! | `a.out[71]: unhandled exception: DABT (lower EL), ESR 0x…, level 2 translation fault in …` | arm64 |
//! | `a.out[71]: segfault (11) at 0 nip 1… lr 1… code 1 in …` | powerpc |
//! | `a.out[71]: unhandled signal 11 code 0x1 at 0x0 in …` | riscv |
//! | `potentially unexpected fatal signal 11.` | `print-fatal-signals`, `kernel/signal.c` |
//! | `CPU Watchdog Timeout (hard): a.out[71]` | `print-fatal-signals`: `RLIMIT_CPU` |
//! | `__vm_enough_memory: pid: 71, comm: a.out, bytes: 8192 not enough memory for the allocation` | `mm/util.c` |
//! | `audit: type=1326 audit(…): … pid=71 comm="a" … sig=31 …` | seccomp, `kernel/auditsc.c` |
//!
//! The number is that of the thread. Names in these lines are their owners' choice: a name of
//! fifteen bytes cannot hold what stands behind it here, so the first place that fits is the
//! kernel's; a file's name can, and comes last.

use highwater_core::id::Pid;
use highwater_core::line::{Caller, LogLine, Origin as LineOrigin};
use highwater_core::testimony::{
    Exit, Fact, Fault, FaultKind, Origin, Party, Reception, Sent, Signal, Status,
};
use highwater_core::text::escape;
use highwater_core::units::Bytes;
use memchr::memmem;

use crate::parse::number;

/// The most of a line that is looked at: two names, a file's among them, and the numbers.
const LINE_BYTES: usize = 1024;

/// The longest name of a process; kernel workers have up to 63.
const COMM_BYTES: usize = 63;

/// The longest name of a file.
const OBJECT_BYTES: usize = 255;

/// What the line says of whom; `None` of one that is about something else, or that a program wrote.
///
/// A line for whose writer nobody vouches, as in pasted text, is believed: see
/// [`LogLine::origin`] for who has more to lose.
pub fn of_line(line: &LogLine<'_>) -> Option<(Party, Fact)> {
    if line.origin == LineOrigin::Program {
        return None;
    }
    let text = line.text.get(..LINE_BYTES).unwrap_or(line.text).trim_ascii_end();
    refused(text)
        .or_else(|| seccomp(text))
        .or_else(|| trap(text))
        .or_else(|| processor_time(text))
        .or_else(|| fatal_signal(text, line.caller))
        .or_else(|| fault(text))
}

/// `… pid: 71, comm: a.out, bytes: 8192 not enough memory for the allocation`; before 6.6 without the
/// bytes, and `no enough memory`.
fn refused(text: &[u8]) -> Option<(Party, Fact)> {
    let body = text.strip_prefix(b"__vm_enough_memory: ").unwrap_or(text);
    let (pid, rest) = split(body.strip_prefix(b"pid: ")?, b", comm: ")?;
    let pid = number::u32(pid)?;
    let (comm, bytes) = match rest.strip_suffix(b" not enough memory for the allocation") {
        Some(rest) => {
            let at = memmem::rfind(rest, b", bytes: ")?;
            (rest.get(..at)?, Some(number::u64(rest.get(at + b", bytes: ".len()..)?)?))
        }
        None => (rest.strip_suffix(b", no enough memory for the allocation")?, None),
    };
    Some((party(comm, pid)?, Fact::NoMemory { bytes: bytes.map(Bytes::new) }))
}

/// An audit record of seccomp with a signal in it.
fn seccomp(text: &[u8]) -> Option<(Party, Fact)> {
    let body = text.strip_prefix(b"audit: type=1326 audit(")?;
    let pid = number::u32(field(body, b" pid=")?)?;
    let ended = field(body, b" sig=").and_then(number::u32)? != 0;
    let name = |key: &[u8]| {
        let value = field(body, key)?;
        let quoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
        quoted.map(<[u8]>::to_vec).or_else(|| unhex(value))
    };
    let party = match name(b" comm=") {
        Some(comm) => self::party(&comm, pid)?,
        None => Party::of_pid(Pid::new(pid)),
    };
    let user = |key: &[u8]| field(body, key).and_then(number::u32).filter(|uid| *uid != u32::MAX);
    let party = Party { uid: user(b" uid="), login_uid: user(b" auid="), ..party };
    let fault = Fault {
        kind: FaultKind::Seccomp,
        address: None,
        instruction: field(body, b" ip=").and_then(hex),
        object: name(b" exe=").map(|exe| object(&exe)),
    };
    ended.then_some((party, Fact::Faulted(fault)))
}

/// `traps: NAME[PID] general protection fault ip:… sp:… error:0 in …`, `… trap divide error ip:…`.
fn trap(text: &[u8]) -> Option<(Party, Fact)> {
    let (comm, pid, what) = subject(text.strip_prefix(b"traps: ")?, b" ")?;
    let (what, rest) = split(what, b" ip:")?;
    let kind = match what.strip_prefix(b"trap ").unwrap_or(what) {
        b"general protection" | b"general protection fault" => FaultKind::GeneralProtection,
        b"divide error" | b"overflow" | b"coprocessor error" | b"simd exception" => {
            FaultKind::DivideError
        }
        b"invalid opcode" => FaultKind::InvalidOpcode,
        b"stack segment" | b"segment not present" | b"alignment check" => FaultKind::Bus,
        _ => FaultKind::Trap,
    };
    let fault = Fault { kind, address: None, instruction: hex(first(rest)), object: mapped(rest) };
    Some((party(comm, pid)?, Fact::Faulted(fault)))
}

/// `CPU Watchdog Timeout (hard): NAME[PID]`: its processor time is used up.
fn processor_time(text: &[u8]) -> Option<(Party, Fact)> {
    let rest = text.strip_prefix(b"CPU ").or_else(|| text.strip_prefix(b"RT "))?;
    let rest = rest.strip_prefix(b"Watchdog Timeout (")?;
    let (signal, rest) = match rest.strip_prefix(b"hard): ") {
        Some(rest) => (Signal::KILL, rest),
        None => (Signal::XCPU, rest.strip_prefix(b"soft): ")?),
    };
    let (comm, pid, _) = subject(rest, b"")?;
    let party = party(comm, pid)?;
    let sent = Sent {
        signal,
        origin: Origin::Kernel,
        to_process: true,
        reception: Reception::Delivered,
        by: Box::new(party.clone()),
    };
    Some((party, Fact::Signalled(sent)))
}

/// `potentially unexpected fatal signal 11.`, up to 5.16 behind `NAME/PID: `; later the process is
/// known from who printed it, if the log says so.
fn fatal_signal(text: &[u8], caller: Option<Caller>) -> Option<(Party, Fact)> {
    let (before, rest) = split(text, b"potentially unexpected fatal signal ")?;
    let signal = number::u32(rest.strip_suffix(b".").unwrap_or(rest))?;
    let signal = u8::try_from(signal).ok().filter(|signal| (1..=64).contains(signal))?;
    let party = match (before, caller) {
        (b"", Some(Caller::Task(pid))) => Party::of_pid(Pid::new(pid)),
        (b"", _) => return None,
        (named, _) => {
            let named = named.strip_suffix(b": ")?;
            let slash = memchr::memrchr(b'/', named)?;
            party(named.get(..slash)?, number::u32(named.get(slash + 1..)?)?)?
        }
    };
    let status = Status::Signal { signal: Signal(signal), core: true };
    Some((party, Fact::Exited(Exit { status, lived_ms: None, is_first: None })))
}

/// `NAME[PID]: …` and what the architectures say there.
fn fault(text: &[u8]) -> Option<(Party, Fact)> {
    const MARKS: [&[u8]; 5] =
        [b": segfault at ", b": segfault (", b": unhandled ", b": bus error (", b" bad frame in "];
    let (mark, (comm, pid, rest)) =
        MARKS.iter().find_map(|mark| Some((*mark, subject(text, mark)?)))?;
    let (kind, address) = match mark {
        b": segfault at " => (FaultKind::Segfault, hex(first(rest))),
        b": unhandled " => (unhandled(rest)?, after(rest, b" at ")),
        b": bus error (" => (FaultKind::Bus, after(rest, b" at ")),
        b": segfault (" => (FaultKind::Segfault, after(rest, b" at ")),
        _ => (FaultKind::Segfault, None),
    };
    let instruction = after(rest, b" ip ").or_else(|| after(rest, b" ip:"));
    let instruction = instruction.or_else(|| after(rest, b" nip "));
    let fault = Fault { kind, address, instruction, object: mapped(rest) };
    Some((party(comm, pid)?, Fact::Faulted(fault)))
}

/// `level 2 translation fault (11) at 0x0`, `exception: DABT (lower EL), ESR 0x…, level 2 …`,
/// `signal 11 code 0x1 at 0x0`.
fn unhandled(what: &[u8]) -> Option<FaultKind> {
    let has = |word: &[u8]| memmem::find(what, word).is_some();
    if let Some(rest) = what.strip_prefix(b"signal ") {
        return Some(match number::u32(first(rest))? {
            4 => FaultKind::InvalidOpcode,
            5 => FaultKind::Trap,
            7 => FaultKind::Bus,
            8 => FaultKind::DivideError,
            11 => FaultKind::Segfault,
            _ => return None,
        });
    }
    if has(b"translation fault") || has(b"permission fault") || has(b"access flag fault") {
        Some(FaultKind::Segfault)
    } else if has(b"alignment fault") || has(b"external abort") || has(b"alignment exception") {
        Some(FaultKind::Bus)
    } else if has(b"undefined instruction") {
        Some(FaultKind::InvalidOpcode)
    } else {
        what.starts_with(b"exception: ").then_some(FaultKind::Trap)
    }
}

/// `NAME[PID]MARK REST` at the first place where it can be that.
fn subject<'t>(text: &'t [u8], mark: &[u8]) -> Option<(&'t [u8], u32, &'t [u8])> {
    memchr::memchr_iter(b']', text).find_map(|close| {
        let (before, rest) = text.split_at_checked(close)?;
        let rest = rest.get(1..)?.strip_prefix(mark)?;
        let open = memchr::memrchr(b'[', before)?;
        let pid = number::u32(before.get(open + 1..)?)?;
        Some((before.get(..open)?, pid, rest))
    })
}

/// The file in ` in libc.so.6[7f…,7f…+155000] likely on CPU 1 (core 0, socket 0)`.
fn mapped(rest: &[u8]) -> Option<String> {
    let end = memmem::rfind(rest, b" likely on CPU ").unwrap_or(rest.len());
    let (_, rest) = split(rest.get(..end)?, b" in ")?;
    // `bad frame in rt_sigreturn frame:… in OBJECT[…]`: the mark took the first.
    let place = rest.strip_suffix(b"]")?;
    let name = place.get(..memchr::memrchr(b'[', place)?)?;
    (!name.is_empty()).then(|| object(name))
}

fn object(name: &[u8]) -> String {
    escape(name.get(..OBJECT_BYTES).unwrap_or(name)).into_owned()
}

fn party(comm: &[u8], pid: u32) -> Option<Party> {
    let is_name = comm.len() <= COMM_BYTES && pid != 0;
    let comm = Some(escape(comm).into_owned());
    is_name.then(|| Party { comm, ..Party::of_pid(Pid::new(pid)) })
}

/// The value behind the first ` key=`: what others chose in these records holds no space.
fn field<'t>(text: &'t [u8], key: &[u8]) -> Option<&'t [u8]> {
    split(text, key).map(|(_, rest)| first(rest))
}

fn after(text: &[u8], mark: &[u8]) -> Option<u64> {
    split(text, mark).and_then(|(_, rest)| hex(first(rest)))
}

/// Up to a space or a comma.
fn first(text: &[u8]) -> &[u8] {
    text.split(|byte| matches!(byte, b' ' | b',')).next().unwrap_or_default()
}

fn hex(digits: &[u8]) -> Option<u64> {
    let digits = digits.strip_prefix(b"0x").unwrap_or(digits);
    let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
    let digits = std::str::from_utf8(digits).ok().filter(|_| is_hex)?;
    u64::from_str_radix(digits, 16).ok()
}

fn unhex(digits: &[u8]) -> Option<Vec<u8>> {
    let pairs = digits.chunks(2).map(|pair| u8::try_from(hex(pair)?).ok());
    pairs.collect::<Option<Vec<u8>>>().filter(|_| digits.len().is_multiple_of(2))
}

fn split<'t>(text: &'t [u8], mark: &[u8]) -> Option<(&'t [u8], &'t [u8])> {
    let at = memmem::find(text, mark)?;
    Some((text.get(..at)?, text.get(at + mark.len()..)?))
}

#[cfg(test)]
mod tests;
