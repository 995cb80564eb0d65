//! The messages of the proc connector (`include/uapi/linux/cn_proc.h`), in the machine's own byte
//! order:
//!
//! ```text
//!  0        16           36                              52
//! ┌────────┬────────────┬──────────────────────────────┬───────────────┐
//! │nlmsghdr│ cn_msg     │ what u32, cpu u32, stamp u64 │ numbers u32 … │
//! └────────┴────────────┴──────────────────────────────┴───────────────┘
//! ```

use std::time::Duration;

use highwater_core::id::Pid;
use highwater_core::testimony::Status;
use highwater_core::time::BootTime;

/// Something that a process did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcEvent {
    /// A process made another, which is not yet another program.
    Fork {
        /// When.
        at: BootTime,
        /// Who.
        parent: Pid,
        /// Whom.
        child: Pid,
    },
    /// A process made a thread.
    Thread {
        /// When.
        at: BootTime,
        /// The process.
        process: Pid,
        /// The thread's own number.
        thread: Pid,
    },
    /// A process became another program.
    Exec {
        /// When.
        at: BootTime,
        /// Which.
        pid: Pid,
    },
    /// A process ended.
    Exit {
        /// When.
        at: BootTime,
        /// Which.
        pid: Pid,
        /// With what.
        status: Status,
    },
    /// A thread ended that is not its process's first.
    ThreadExit {
        /// When.
        at: BootTime,
        /// The thread's own number.
        thread: Pid,
    },
    /// Events were dropped because they were not read in time.
    Lost,
}

const FORK: u32 = 1;
const EXEC: u32 = 2;
const EXIT: u32 = 0x8000_0000;

/// `PROC_CN_MCAST_LISTEN`.
const OP_LISTEN: u32 = 1;

/// `PROC_CN_MCAST_IGNORE`: ends the subscription.
pub(super) const IGNORE: &[u8] = &2_u32.to_ne_bytes();

/// Subscribes to all events: the form of old kernels.
pub(super) const LISTEN: &[u8] = &OP_LISTEN.to_ne_bytes();

/// Subscribes to those that are read here (6.6).
pub(super) const LISTEN_TO_SOME: [u8; 8] = {
    let [a, b, c, d] = OP_LISTEN.to_ne_bytes();
    let [e, f, g, h] = (FORK | EXEC | EXIT).to_ne_bytes();
    [a, b, c, d, e, f, g, h]
};

/// `NLMSG_HDRLEN`.
const HEADER_BYTES: u32 = 16;

/// The size of `struct cn_msg`.
const ENVELOPE_BYTES: u32 = 20;

/// `NLMSG_DONE`, which the connector uses for everything.
const TYPE_DONE: u16 = 3;

/// `CN_IDX_PROC` and `CN_VAL_PROC`.
const PROC: [u32; 2] = [1, 1];

/// A request with this operation.
pub(super) fn request(ask: &[u8]) -> Vec<u8> {
    let ask_bytes = u16::try_from(ask.len()).unwrap_or(0);
    let whole = HEADER_BYTES + ENVELOPE_BYTES + u32::from(ask_bytes);
    let [index, value] = PROC.map(u32::to_ne_bytes);
    let zero = [0; 4];
    [
        whole.to_ne_bytes().as_slice(),
        &TYPE_DONE.to_ne_bytes(),
        &[0; 2], // flags
        &zero,   // sequence
        &zero,   // port: the kernel fills it in
        &index,
        &value,
        &zero, // sequence
        &zero, // acknowledge
        &ask_bytes.to_ne_bytes(),
        &[0; 2], // flags
        ask,
    ]
    .concat()
}

/// The error number that answers a request, 0 if it was granted; `None` for an event.
pub(super) fn answer(datagram: &[u8]) -> Option<u32> {
    let message = messages(datagram).next()?;
    (message.what == 0).then(|| message.number(0)).flatten()
}

/// Gives each event of one datagram. Total: what is no event is passed over.
///
/// `asleep` is added to the kernel's stamps, which leave out the time that the machine slept.
pub fn parse(datagram: &[u8], asleep: Duration, each: &mut dyn FnMut(ProcEvent)) {
    messages(datagram).filter_map(|message| message.event(asleep)).for_each(each);
}

struct Message<'a> {
    what: u32,
    stamp_ns: u64,
    numbers: &'a [u8],
}

fn messages(datagram: &[u8]) -> impl Iterator<Item = Message<'_>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let length = usize::try_from(u32_at(rest, 0)?).ok()?;
        let (message, after) = rest.split_at_checked(length.max(16))?;
        // Messages begin at multiples of four.
        rest = after.get(length.wrapping_neg() % 4..).unwrap_or_default();
        Some(message)
    })
    .filter_map(message)
}

fn message(bytes: &[u8]) -> Option<Message<'_>> {
    let envelope = bytes.get(16..)?;
    if [u32_at(envelope, 0)?, u32_at(envelope, 4)?] != PROC {
        return None;
    }
    let event = envelope.get(20..)?;
    Some(Message {
        what: u32_at(event, 0)?,
        stamp_ns: u64::from_ne_bytes(*event.get(8..)?.first_chunk()?),
        numbers: event.get(16..)?,
    })
}

impl Message<'_> {
    fn event(&self, asleep: Duration) -> Option<ProcEvent> {
        let asleep_us = u64::try_from(asleep.as_micros()).unwrap_or(0);
        let at = BootTime::from_micros((self.stamp_ns / 1000).saturating_add(asleep_us));
        Some(match self.what {
            FORK => fork(at, [self.pid(1)?, self.pid(2)?, self.pid(3)?]),
            EXEC => ProcEvent::Exec { at, pid: self.pid(1)? },
            EXIT => exit(at, [self.pid(0)?, self.pid(1)?], self.number(2)?),
            _ => return None,
        })
    }

    fn number(&self, index: usize) -> Option<u32> {
        u32_at(self.numbers, index * 4)
    }

    fn pid(&self, index: usize) -> Option<Pid> {
        self.number(index).map(Pid::new)
    }
}

/// A thread's number and its process's are the same for the first one.
fn fork(at: BootTime, [parent, thread, process]: [Pid; 3]) -> ProcEvent {
    if thread == process {
        ProcEvent::Fork { at, parent, child: process }
    } else {
        ProcEvent::Thread { at, process, thread }
    }
}

fn exit(at: BootTime, [thread, process]: [Pid; 2], status: u32) -> ProcEvent {
    if thread == process {
        ProcEvent::Exit { at, pid: process, status: Status::of_wait(status) }
    } else {
        ProcEvent::ThreadExit { at, thread }
    }
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use highwater_core::testimony::Signal;

    use super::*;

    /// An event as the kernel sends it.
    fn sent(what: u32, numbers: &[u32]) -> Vec<u8> {
        let mut event = [what.to_ne_bytes(), 1_u32.to_ne_bytes()].concat();
        event.extend_from_slice(&5_000_000_u64.to_ne_bytes());
        event.extend(numbers.iter().flat_map(|number| number.to_ne_bytes()));
        request(&event)
    }

    fn all(datagram: &[u8]) -> Vec<ProcEvent> {
        let mut events = Vec::new();
        parse(datagram, Duration::from_millis(1), &mut |event| events.push(event));
        events
    }

    const AT: BootTime = BootTime::from_micros(6_000);

    #[test]
    fn each_event_is_read() {
        let pid = Pid::new;
        let fork = ProcEvent::Fork { at: AT, parent: pid(11), child: pid(12) };
        assert_eq!(all(&sent(FORK, &[10, 11, 12, 12])), [fork]);
        let thread = ProcEvent::Thread { at: AT, process: pid(11), thread: pid(13) };
        assert_eq!(all(&sent(FORK, &[10, 11, 13, 11])), [thread]);
        assert_eq!(all(&sent(EXEC, &[12, 12])), [ProcEvent::Exec { at: AT, pid: pid(12) }]);
        let status = Status::Signal { signal: Signal::KILL, core: false };
        let exit = ProcEvent::Exit { at: AT, pid: pid(12), status };
        assert_eq!(all(&sent(EXIT, &[12, 12, 9, 17, 1, 1])), [exit]);
        let thread = ProcEvent::ThreadExit { at: AT, thread: pid(13) };
        assert_eq!(all(&sent(EXIT, &[13, 12, 0, 0xffff_ffff])), [thread]);
    }

    #[test]
    fn an_answer_is_no_event_and_an_event_is_no_answer() {
        assert_eq!(answer(&sent(0, &[0])), Some(0));
        assert_eq!(answer(&sent(0, &[1])), Some(1));
        assert_eq!(answer(&sent(EXEC, &[12, 12])), None);
        assert_eq!(all(&sent(0, &[0])), []);
        assert_eq!(answer(b""), None);
    }

    #[test]
    fn several_in_one_datagram_and_garbage_after_them() {
        let mut datagram =
            [sent(EXEC, &[1, 1]), sent(4, &[1, 1, 0, 0]), sent(EXEC, &[2, 2])].concat();
        datagram.extend_from_slice(b"garbage that is no message at all");
        assert_eq!(all(&datagram).len(), 2);
    }

    #[test]
    fn what_was_cut_is_nothing() {
        let whole = sent(FORK, &[10, 11, 12, 12]);
        for end in 0..whole.len() {
            assert_eq!(all(&whole[..end]), [], "cut after {end} bytes");
        }
        let mut foreign = whole;
        foreign[16] = 9;
        assert_eq!(all(&foreign), [], "of another connector");
    }

    #[test]
    fn a_request_has_its_own_length() {
        let request = request(&LISTEN_TO_SOME);
        assert_eq!(u32_at(&request, 0), Some(44));
        assert_eq!(request.len(), 44);
        assert_eq!(u32_at(&request, 36), Some(1));
        assert_eq!(u32_at(&request, 40), Some(0x8000_0003));
    }
}
