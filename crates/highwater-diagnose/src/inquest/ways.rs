//! What a signal is that nobody sent: a key at a terminal, a timer that ran out, a limit, a pipe. And
//! whether a process that ended by itself did so because it was asked to by one.

use highwater_core::id::Pid;
use highwater_core::testimony::{Origin, Sent, Signal, Status};

use super::scene::Scene;
use super::timeline::{Item, apart};

/// Why the kernel made a signal, where nobody else did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A key at its terminal, or the end of that.
    Terminal,
    /// Its own timer.
    Timer,
    /// Its limit on the size of files.
    FileSize,
    /// It wrote into a pipe that nobody reads.
    Pipe,
}

impl Way {
    /// That of a signal to `target` (`drivers/tty`, `kernel/time/itimer.c`, `mm/filemap.c`,
    /// `fs/pipe.c`). Whoever kills itself with kill(2) does so as a whole; the kernel means the one task
    /// that wrote.
    pub(super) fn of(sent: &Sent, target: Option<Pid>) -> Option<Self> {
        const VTALRM: Signal = Signal(26);
        const PROF: Signal = Signal(27);
        let by_itself = sent.by.pid.is_some() && sent.by.pid == target;
        match (sent.origin, sent.signal) {
            (Origin::Kernel, Signal::INT | Signal::QUIT | Signal::HUP) => Some(Self::Terminal),
            (Origin::Kernel, Signal::ALRM | VTALRM | PROF) | (Origin::Timer, _) => {
                Some(Self::Timer)
            }
            (Origin::User, Signal::XFSZ) if by_itself && !sent.to_process => Some(Self::FileSize),
            (Origin::User, Signal::PIPE) if by_itself && !sent.to_process => Some(Self::Pipe),
            _ => None,
        }
    }
}

/// The signal after which it ended by itself, and how it answered it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'t> {
    pub(super) item: &'t Item<'t>,
    pub(super) sent: &'t Sent,
    pub(super) code: u8,
    /// From the signal to the end.
    pub(super) gap_us: Option<u64>,
}

impl<'t> Asked<'t> {
    /// The last signal before the end that asked for it: the one that the code names, else a request
    /// that a program may answer with any code.
    pub(super) fn of(scene: &Scene<'_, 't>) -> Option<Self> {
        /// A program that clears up before it ends takes no longer, as a rule; after that nobody can
        /// say that it ended for it.
        const SPAN_US: u64 = 10_000_000;
        /// The clocks of two witnesses.
        const SLACK_US: i64 = 50_000;
        let (status, _) = scene.status?;
        let Status::Code(code) = status else { return None };
        if scene.fatal.is_some() {
            return None;
        }
        let is_near = |item: &Item<'_>| match (item.at, scene.at) {
            (Some(at), Some(end)) => {
                at <= end.saturating_add(SLACK_US) && at.abs_diff(end) <= SPAN_US
            }
            _ => false,
        };
        let find = |is_it: &dyn Fn(&Sent) -> bool| {
            scene.sent().rfind(|(item, sent)| is_near(item) && is_it(sent))
        };
        let (item, sent) = find(&|sent| names(code, sent.signal)).or_else(|| find(&is_request))?;
        Some(Self { item, sent, code, gap_us: apart(item.at, scene.at) })
    }

    /// It ended as a shell says that one does which this signal ended.
    pub(super) fn is_exact(&self) -> bool {
        names(self.code, self.sent.signal)
    }
}

/// 128 + n after signal n; what cannot be caught is answered by nobody.
fn names(code: u8, signal: Signal) -> bool {
    signal != Signal::KILL && code.checked_sub(128) == Some(signal.0)
}

const fn is_request(sent: &Sent) -> bool {
    matches!(sent.signal, Signal::TERM | Signal::INT | Signal::HUP | Signal::QUIT)
}
