//! What a tracing instance prints (`trace_print_context` in `kernel/trace/trace_output.c`):
//!
//! ```text
//!             kill-4711    [001] d..1. 36045.350331: signal_generate: sig=9 errno=0 code=0 comm=sh pid=17639 grp=1 res=0
//! └─ 16 bytes ───┘└ tid    └ cpu └ flags └ boot clock
//! CPU:1 [LOST 12 EVENTS]
//! ```
//!
//! The name at the front is right-aligned in sixteen bytes. A process chooses its name and may put
//! spaces, brackets, newlines and ` pid=9` into it; so this name is taken by its width, and the
//! target's by the shortest text that the whole ` pid=… grp=… res=…` follows, which is longer than
//! any name. A program's path could hold whole records: programs whose path has a newline are
//! therefore not traced.

use highwater_core::id::Pid;
use highwater_core::testimony::{Origin, Reception, Signal};
use highwater_core::time::BootTime;

use crate::parse::number;

/// What was traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traced<'a> {
    /// A signal was made (`signal:signal_generate`).
    Signal(Signalled<'a>),
    /// The OOM killer chose this process (`oom:mark_victim`).
    Marked {
        /// When.
        at: BootTime,
        /// Which.
        pid: Pid,
        /// Its name; kernels before 6.10 do not say it.
        comm: Option<&'a [u8]>,
    },
    /// A program that can end others was started (`sched:sched_process_exec`).
    Exec {
        /// When.
        at: BootTime,
        /// By which process.
        pid: Pid,
        /// The program's path.
        filename: &'a [u8],
    },
    /// Records were overwritten before they could be read.
    Lost {
        /// How many, where the kernel knows.
        count: Option<u64>,
    },
}

/// A signal, who made it, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signalled<'a> {
    /// When, by the boot clock.
    pub at: BootTime,
    /// The thread that ran in the kernel: the one that made the system call; 0 is the idle task.
    pub sender: Pid,
    /// Its name, where the kernel still knew it when this was read.
    pub sender_comm: Option<&'a [u8]>,
    /// It was made in an interrupt: the sender just happened to run there.
    pub in_interrupt: bool,
    /// The thread or process it is for.
    pub target: Pid,
    /// Its name.
    pub target_comm: &'a [u8],
    /// Which signal.
    pub signal: Signal,
    /// What made it.
    pub origin: Origin,
    /// Whether it is for all of the process (`grp=1`).
    pub to_process: bool,
    /// What became of it.
    pub reception: Reception,
}

/// The width of the name at the front (`TASK_COMM_LEN`).
const COMM_COLUMNS: usize = 16;

/// The longest name (`TASK_COMM_LEN` less its NUL).
const COMM_BYTES: usize = 15;

/// What stands for a name that the kernel no longer knows (`trace_find_cmdline`).
const NAMELESS: &[u8] = b"<...>";

/// Gives each record of what one read brought, with its words as they were printed.
///
/// Total: what is no record is skipped up to the next line.
pub fn parse(text: &[u8], each: &mut dyn FnMut(&Traced<'_>, &[u8])) {
    let mut rest = text;
    while !rest.is_empty() {
        let Some((traced, end)) = first(rest) else {
            rest = after_line(rest);
            continue;
        };
        let (words, after) = rest.split_at_checked(end).unwrap_or((rest, b""));
        each(&traced, words.trim_ascii());
        rest = after;
    }
}

/// What follows the first newline.
fn after_line(text: &[u8]) -> &[u8] {
    memchr::memchr(b'\n', text).and_then(|end| text.get(end + 1..)).unwrap_or_default()
}

/// The record at the start of `text`, and where it ends.
fn first(text: &[u8]) -> Option<(Traced<'_>, usize)> {
    if text.starts_with(b"CPU:") {
        return lost(text);
    }
    let (name, rest) = text.split_at_checked(COMM_COLUMNS)?;
    let (context, event, payload) = context(rest.strip_prefix(b"-")?)?;
    let (traced, rest) = match event {
        b"signal_generate:" => signal(payload, name, context)?,
        b"mark_victim:" => marked(payload, context)?,
        b"sched_process_exec:" => exec(payload, context)?,
        _ => return None,
    };
    Some((traced, text.len().checked_sub(rest.len())?))
}

/// `CPU:1 [LOST 12 EVENTS]`, or `[LOST EVENTS]` where nobody counted.
fn lost(text: &[u8]) -> Option<(Traced<'_>, usize)> {
    let end = memchr::memchr(b'\n', text)?;
    let line = text.get(..end)?.strip_suffix(b"EVENTS]")?;
    let (_, said) = line.split_at_checked(memchr::memmem::find(line, b"[LOST ")?)?;
    Some((Traced::Lost { count: number::u64(said.strip_prefix(b"[LOST ")?) }, end + 1))
}

/// What stands between the name and the event.
#[derive(Clone, Copy)]
struct Context {
    thread: Pid,
    in_interrupt: bool,
    at: BootTime,
}

/// `4711    [001] d..1. 36045.350331: event: payload`; with a thread group, `(4711)`, before the
/// processor if somebody switched that on.
fn context(text: &[u8]) -> Option<(Context, &[u8], &[u8])> {
    let (thread, mut rest) = token(text)?;
    loop {
        let (skipped, after) = token(rest)?;
        rest = after;
        if skipped.starts_with(b"[") {
            break;
        }
    }
    let (flags, rest) = token(rest)?;
    let (stamp, rest) = token(rest)?;
    let (event, payload) = token(rest)?;
    let context = Context {
        thread: Pid::new(number::u32(thread)?),
        in_interrupt: flags.get(2).is_some_and(|irq| b"hHszZ".contains(irq)),
        at: boot_time(stamp.strip_suffix(b":")?)?,
    };
    Some((context, event, payload))
}

/// The next word of this line and what follows the one space after it.
fn token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.get(text.iter().position(|byte| *byte != b' ')?..)?;
    let end = text.iter().position(|byte| matches!(byte, b' ' | b'\n'))?;
    let (word, rest) = text.split_at_checked(end)?;
    Some((word, rest.strip_prefix(b" ")?))
}

/// `36045.350331`.
pub(super) fn boot_time(stamp: &[u8]) -> Option<BootTime> {
    let (seconds, micros) = stamp.split_at_checked(memchr::memchr(b'.', stamp)?)?;
    let micros = micros.strip_prefix(b".").filter(|digits| digits.len() == 6)?;
    let seconds = number::u64(seconds)?.checked_mul(1_000_000)?;
    Some(BootTime::from_micros(seconds.checked_add(number::u64(micros)?)?))
}

fn signal<'a>(
    payload: &'a [u8],
    name: &'a [u8],
    context: Context,
) -> Option<(Traced<'a>, &'a [u8])> {
    let (number, rest) = value(payload, b"sig=")?;
    let (_, rest) = value(rest, b" errno=")?;
    let (code, rest) = value(rest, b" code=")?;
    let rest = rest.strip_prefix(b" comm=")?;
    let (target_comm, [target, group, result], rest) = (0..=COMM_BYTES).find_map(|length| {
        let (comm, rest) = rest.split_at_checked(length)?;
        let (target, rest) = value(rest, b" pid=")?;
        let (group, rest) = value(rest, b" grp=")?;
        let (result, rest) = value(rest, b" res=")?;
        Some((comm, [target, group, result], rest.strip_prefix(b"\n")?))
    })?;
    let signal = Signal(u8::try_from(number).ok()?);
    let signalled = Signalled {
        at: context.at,
        sender: context.thread,
        sender_comm: Some(unpadded(name)).filter(|name| *name != NAMELESS),
        in_interrupt: context.in_interrupt,
        target: Pid::new(u32::try_from(target).ok()?),
        target_comm,
        signal,
        origin: origin(signal, i32::try_from(code).ok()?),
        to_process: group != 0,
        reception: reception(result)?,
    };
    Some((Traced::Signal(signalled), rest))
}

/// The name without the spaces that fill its columns, and without those it began with.
fn unpadded(name: &[u8]) -> &[u8] {
    let start = name.iter().position(|byte| *byte != b' ').unwrap_or(name.len());
    name.get(start..).unwrap_or_default()
}

/// What a code says (`include/uapi/asm-generic/siginfo.h`). The codes above zero belong to the
/// signal: those of the processor's signals say what was wrong, up to `SI_KERNEL`, which the kernel
/// also gives where the processor could not say.
fn origin(signal: Signal, code: i32) -> Origin {
    let is_fault =
        matches!(signal, Signal::ILL | Signal::TRAP | Signal::BUS | Signal::FPE | Signal::SEGV)
            || signal == Signal::SYS;
    match code {
        0 => Origin::User,
        0x80 => Origin::Kernel,
        -1 => Origin::Queue,
        -2 => Origin::Timer,
        -6 => Origin::Thread,
        code if code > 0 && is_fault => Origin::Fault(code),
        code => Origin::Other(code),
    }
}

/// `TRACE_SIGNAL_*` of `include/trace/events/signal.h`. Of one whose details were lost for want of
/// memory (4) the process still hears.
const fn reception(result: i64) -> Option<Reception> {
    Some(match result {
        0 | 4 => Reception::Delivered,
        1 => Reception::Ignored,
        2 => Reception::Pending,
        3 => Reception::Lost,
        _ => return None,
    })
}

/// `pid=17639 comm=leak total-vm:…`; before 6.10 `pid=17639` alone.
fn marked(payload: &[u8], context: Context) -> Option<(Traced<'_>, &[u8])> {
    let (pid, rest) = value(payload, b"pid=")?;
    let pid = Pid::new(u32::try_from(pid).ok()?);
    let comm = rest.strip_prefix(b" comm=").and_then(|rest| {
        let length = memchr::memmem::find(rest.get(..rest.len().min(32))?, b" total-vm=")?;
        rest.split_at_checked(length)
    });
    let rest = after_line(comm.map_or(rest, |(_, rest)| rest));
    Some((Traced::Marked { at: context.at, pid, comm: comm.map(|(comm, _)| comm) }, rest))
}

/// `filename=/usr/bin/kill pid=17638 old_pid=17638`, in which the path has no newline.
fn exec(payload: &[u8], context: Context) -> Option<(Traced<'_>, &[u8])> {
    let line = payload.get(..memchr::memchr(b'\n', payload)?)?;
    let filename = line.strip_prefix(b"filename=")?;
    let filename = filename.get(..memchr::memmem::rfind(filename, b" pid=")?)?;
    let traced = Traced::Exec { at: context.at, pid: context.thread, filename };
    Some((traced, after_line(payload)))
}

/// The number after `key`, and what follows it.
fn value<'a>(text: &'a [u8], key: &[u8]) -> Option<(i64, &'a [u8])> {
    let text = text.strip_prefix(key)?;
    let is_number = |byte: &u8| byte.is_ascii_digit() || *byte == b'-';
    let length = text.iter().position(|byte| !is_number(byte)).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(length)?;
    Some((number::i64(digits)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8]) -> Vec<String> {
        let mut said = Vec::new();
        parse(text, &mut |traced, words| {
            assert!(words.len() <= text.len());
            said.push(match traced {
                Traced::Signal(s) => format!(
                    "{} {} {:?} -> {} {:?} {} {:?} {} {:?} {}",
                    s.at.micros(),
                    s.sender,
                    s.sender_comm.map(String::from_utf8_lossy),
                    s.target,
                    String::from_utf8_lossy(s.target_comm),
                    s.signal,
                    s.origin,
                    s.to_process,
                    s.reception,
                    s.in_interrupt,
                ),
                other => format!("{other:?}"),
            });
        });
        said
    }

    #[test]
    fn a_signal_has_a_sender_and_a_target() {
        let text = b"              sh-17638   [001] d..1. 36045.350331: signal_generate: sig=9 errno=0 code=0 comm=sh pid=17639 grp=1 res=0\n";
        let expected =
            "36045350331 17638 Some(\"sh\") -> 17639 \"sh\" SIGKILL User true Delivered false";
        assert_eq!(all(text), [expected]);
        let mut words = Vec::new();
        parse(text, &mut |_, said| words = said.to_vec());
        assert!(words.starts_with(b"sh-17638") && words.ends_with(b"res=0"));
    }

    #[test]
    fn codes_tell_what_made_it() {
        let of = |sig: u8, code: i32| origin(Signal(sig), code);
        assert_eq!(of(11, 1), Origin::Fault(1));
        assert_eq!(of(11, 128), Origin::Kernel);
        assert_eq!(of(6, -6), Origin::Thread);
        assert_eq!(of(9, -1), Origin::Queue);
        assert_eq!(of(15, -2), Origin::Timer);
        assert_eq!(of(15, -60), Origin::Other(-60));
        assert_eq!(of(15, 3), Origin::Other(3));
        assert_eq!(of(31, 1), Origin::Fault(1));
    }

    #[test]
    fn a_name_cannot_forge_a_record() {
        for comm in [
            &b"a] pid=9 s\nb"[..],
            b" pid=1 grp=1 re",
            b"\n\n\n\n",
            b"x pid=1",
            b"",
            b"[000] d..1. 1.0",
            b"CPU:0 [LOST 1]",
            b"\xff\xfe\x1b[2J",
            b"a-1 [0] d..1. 1",
        ] {
            let mut text = vec![b' '; COMM_COLUMNS - comm.len()];
            text.extend_from_slice(comm);
            text.extend_from_slice(
                b"-17858   [000] d..1. 36047.781091: signal_generate: sig=15 errno=0 code=0 comm=",
            );
            text.extend_from_slice(comm);
            text.extend_from_slice(b" pid=17859 grp=1 res=0\n");
            let mut seen = Vec::new();
            parse(&text.repeat(2), &mut |traced, _| {
                let Traced::Signal(signal) = *traced else { panic!("{traced:?}") };
                assert_eq!(signal.sender_comm, Some(unpadded(comm)));
                assert_eq!(signal.target_comm, comm);
                seen.push((signal.sender.get(), signal.target.get()));
            });
            assert_eq!(seen, [(17858, 17859); 2], "{comm:?}");
        }
    }

    #[test]
    fn a_victim_has_a_name_on_new_kernels() {
        let head = b"            leak-77      [000] ..... 12.000001: mark_victim: ".as_slice();
        let new = b"pid=78 comm=le ak total-vm=1kB anon-rss=2kB file-rss:0kB shmem-rss:0kB uid=0 pgtables=4kB oom_score_adj=0\n";
        let at = BootTime::from_micros(12_000_001);
        let marked = |comm| format!("{:?}", Traced::Marked { at, pid: Pid::new(78), comm });
        assert_eq!(all(&[head, new].concat()), [marked(Some(b"le ak"))]);
        assert_eq!(all(&[head, b"pid=78\n"].concat()), [marked(None)]);
    }

    #[test]
    fn a_program_has_a_path() {
        let text = b"            kill-77      [000] ..... 12.000001: sched_process_exec: filename=/usr/bin/a b pid=1 kill pid=77 old_pid=77\n";
        let exec = Traced::Exec {
            at: BootTime::from_micros(12_000_001),
            pid: Pid::new(77),
            filename: b"/usr/bin/a b pid=1 kill",
        };
        assert_eq!(all(text), [format!("{exec:?}")]);
    }

    #[test]
    fn what_was_lost_is_counted_where_the_kernel_counts() {
        let text = b"CPU:1 [LOST 12 EVENTS]\nCPU:0 [LOST EVENTS]\n";
        let lost = |count| format!("{:?}", Traced::Lost { count });
        assert_eq!(all(text), [lost(Some(12)), lost(None)]);
    }

    #[test]
    fn a_nameless_sender_an_interrupt_and_a_thread_group() {
        let text = b"           <...>-9999999 (    123) [001] d.h1.     5.350331: signal_generate: sig=15 errno=0 code=128 comm=sh pid=17639 grp=1 res=1\n";
        let expected = "5350331 9999999 None -> 17639 \"sh\" SIGTERM Kernel true Ignored true";
        assert_eq!(all(text), [expected]);
    }

    #[test]
    fn garbage_between_records_is_skipped_and_a_cut_record_is_none() {
        let whole = b"              sh-17638   [001] d..1. 36045.350331: signal_generate: sig=9 errno=0 code=0 comm=sh pid=17639 grp=1 res=0\n";
        let mixed = [b"# tracer: nop\n\n\xff\xff\n".as_slice(), whole, b"x\n", whole].concat();
        assert_eq!(all(&mixed).len(), 2);
        for end in 0..whole.len() {
            assert!(all(&whole[..end]).is_empty(), "cut after {end}");
        }
    }
}
