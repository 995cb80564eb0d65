//! What systemd says of one unit at one moment.
//!
//! Names and types: org.freedesktop.systemd1(5). A property that is missing or of another type is
//! not known; one that is not read here is passed over.

use std::collections::HashMap;

use highwater_core::id::{CgroupPath, Pid};
use highwater_core::testimony::{Limits, Signal, Status};
use highwater_core::time::{BootTime, WallTime};
use highwater_core::units::Bytes;
use zbus::zvariant::Value;

use crate::told::cut;

/// Properties as they come in a message.
pub(super) type Properties<'a> = HashMap<&'a str, Value<'a>>;

/// What systemd writes for "no limit" and "never".
const NONE: u64 = u64::MAX;

/// The longest word of a state or a result: systemd's own are short.
const WORD_CHARS: usize = 64;

/// The longest path of a cgroup: `PATH_MAX`.
const PATH_BYTES: usize = 4_096;

/// `siginfo_t.si_code` of a child that ended: waitid(2).
const CLD_EXITED: i32 = 1;
const CLD_KILLED: i32 = 2;
const CLD_DUMPED: i32 = 3;

/// A moment by both of systemd's clocks, in microseconds; zero: never.
///
/// The second is `CLOCK_MONOTONIC`: that of the kernel's messages, which stands still in a suspend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) wall_us: u64,
    pub(super) boot_us: u64,
}

impl Moment {
    pub(super) const fn is_never(self) -> bool {
        self.boot_us == 0
    }

    pub(super) fn wall(self) -> Option<WallTime> {
        let ms = i64::try_from(self.wall_us / 1_000).ok()?;
        (self.wall_us > 0).then_some(WallTime::from_millis(ms))
    }

    pub(super) fn boot(self) -> Option<BootTime> {
        (!self.is_never()).then_some(BootTime::from_micros(self.boot_us))
    }
}

/// The main process, the one that runs or the last one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Main {
    pub(super) pid: Option<Pid>,
    pub(super) started: Moment,
    pub(super) exited: Moment,
    code: i32,
    status: i32,
}

impl Main {
    /// What it ended with.
    pub(super) fn ended_with(&self) -> Option<Status> {
        let number = u8::try_from(self.status).ok()?;
        match self.code {
            CLD_EXITED => Some(Status::Code(number)),
            CLD_KILLED => Some(Status::Signal { signal: Signal(number), core: false }),
            CLD_DUMPED => Some(Status::Signal { signal: Signal(number), core: true }),
            _ => None,
        }
    }
}

/// What systemd says of one unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Unit {
    /// `loaded`, `not-found`, …; only where it was asked for.
    pub(super) load: Option<String>,
    /// `active`, `activating`, `deactivating`, `failed`, `inactive`, …; empty: not known yet.
    pub(super) active: String,
    /// `running`, `stop-sigterm`, `auto-restart`, ….
    pub(super) sub: String,
    /// `success`, `oom-kill`, ….
    pub(super) result: String,
    /// This life.
    pub(super) invocation: Option<String>,
    /// The main process of now.
    pub(super) main: Option<Pid>,
    /// The main process as it was last started.
    pub(super) last: Main,
    /// Restarts by systemd itself.
    pub(super) restarts: u32,
    /// The newest change of state.
    pub(super) changed: Moment,
    /// It left `inactive` or `failed`.
    pub(super) began: Moment,
    /// It became `active`.
    pub(super) ran: Moment,
    /// It left `active`.
    pub(super) left: Moment,
    /// It became `inactive` or `failed`.
    pub(super) ended: Moment,
    /// Where its processes are; only where it was asked for.
    pub(super) cgroup: Option<CgroupPath>,
    /// What holds it; only where it was asked for.
    pub(super) limits: Limits,
}

impl Unit {
    /// Takes over what `properties` say.
    pub(super) fn learn(&mut self, properties: &Properties<'_>) {
        for (name, value) in properties {
            self.state(name, value);
            self.main(name, value);
            self.moment(name, value);
            self.limit(name, value);
        }
        // MemoryLimit is the one of cgroup v1, where it was set by that name.
        let memory = ["MemoryMax", "MemoryLimit"].map(|name| number(properties, name));
        if memory.iter().any(Option::is_some) {
            self.limits.memory = memory.into_iter().flatten().find_map(bytes_of);
        }
        if let (Some(interval), Some(burst)) =
            (number(properties, "StartLimitIntervalUSec"), number(properties, "StartLimitBurst"))
        {
            // An interval of nothing switches the limit off.
            let burst = if interval == 0 { 0 } else { burst };
            self.limits.start_limit = Some((burst, interval / 1_000));
        }
    }

    /// Whether anything was said of its state.
    pub(super) fn is_known(&self) -> bool {
        !self.active.is_empty()
    }

    /// Whether its processes are gone, for good or until it is started again. There is a moment when
    /// the main process runs already and the state is still that of before.
    pub(super) fn is_over(&self) -> bool {
        let is_down = matches!(self.active.as_str(), "" | "inactive" | "failed") || self.waits();
        is_down && self.main.is_none()
    }

    /// Whether it waits to be started again by systemd itself.
    pub(super) fn waits(&self) -> bool {
        self.sub.starts_with("auto-restart") || self.sub.ends_with("-before-auto-restart")
    }

    /// Whether the last main process is one of this life: what came before is still shown while the
    /// next one is being prepared. (It starts a moment before the unit leaves its old state.)
    pub(super) fn is_last_of_this_life(&self) -> bool {
        let lives = self.main.is_some() && self.main == self.last.pid;
        let is_newer = self.last.started.boot_us > self.ended.boot_us;
        !self.last.started.is_never() && (lives || is_newer || self.is_over())
    }

    /// Whether this life got so far that there is somebody to end.
    pub(super) fn is_begun(&self) -> bool {
        let runs = matches!(self.active.as_str(), "active" | "reloading" | "deactivating");
        self.invocation.is_some() && (runs || self.is_last_of_this_life())
    }

    /// As it may be cited.
    pub(super) fn cited(&self) -> String {
        let (code, status) = (self.last.code, self.last.status);
        format!(
            "ActiveState={} SubState={} Result={} ExecMainCode={code} ExecMainStatus={status} \
             NRestarts={}",
            self.active, self.sub, self.result, self.restarts
        )
    }

    fn state(&mut self, name: &str, value: &Value<'_>) {
        let into = match name {
            "ActiveState" => &mut self.active,
            "SubState" => &mut self.sub,
            "Result" => &mut self.result,
            "LoadState" => {
                self.load = word(value);
                return;
            }
            "InvocationID" => {
                self.invocation = identity(value);
                return;
            }
            "ControlGroup" => {
                // It is empty once the unit is over.
                self.cgroup = path(value).or_else(|| self.cgroup.take());
                return;
            }
            _ => return,
        };
        *into = word(value).unwrap_or_default();
    }

    fn main(&mut self, name: &str, value: &Value<'_>) {
        match (name, value) {
            ("MainPID", Value::U32(pid)) => self.main = process(*pid),
            ("ExecMainPID", Value::U32(pid)) => self.last.pid = process(*pid),
            ("ExecMainCode", Value::I32(code)) => self.last.code = *code,
            ("ExecMainStatus", Value::I32(status)) => self.last.status = *status,
            ("NRestarts", Value::U32(count)) => self.restarts = *count,
            _ => {}
        }
    }

    fn moment(&mut self, name: &str, value: &Value<'_>) {
        let Value::U64(us) = value else { return };
        let (name, is_boot) = match name.strip_suffix("Monotonic") {
            Some(name) => (name, true),
            None => (name, false),
        };
        let moment = match name {
            "ExecMainStartTimestamp" => &mut self.last.started,
            "ExecMainExitTimestamp" => &mut self.last.exited,
            "StateChangeTimestamp" => &mut self.changed,
            "InactiveExitTimestamp" => &mut self.began,
            "ActiveEnterTimestamp" => &mut self.ran,
            "ActiveExitTimestamp" => &mut self.left,
            "InactiveEnterTimestamp" => &mut self.ended,
            _ => return,
        };
        *(if is_boot { &mut moment.boot_us } else { &mut moment.wall_us }) = *us;
    }

    fn limit(&mut self, name: &str, value: &Value<'_>) {
        let limits = &mut self.limits;
        match (name, value) {
            ("Restart", value) => limits.restart = word(value),
            ("MemoryHigh", Value::U64(bytes)) => limits.high = bytes_of(*bytes),
            ("RestartUSec", Value::U64(us)) => limits.restart_after_ms = span(*us),
            ("TimeoutStopUSec", Value::U64(us)) => limits.stop_timeout_ms = span(*us),
            ("WatchdogUSec", Value::U64(us)) => {
                limits.watchdog_ms = span(*us).filter(|ms| *ms > 0);
            }
            _ => {}
        }
    }
}

fn word(value: &Value<'_>) -> Option<String> {
    match value {
        Value::Str(text) => Some(cut(text.as_bytes(), WORD_CHARS)),
        _ => None,
    }
}

fn path(value: &Value<'_>) -> Option<CgroupPath> {
    match value {
        Value::Str(text) if text.starts_with('/') => {
            text.as_bytes().get(..text.len().min(PATH_BYTES)).map(CgroupPath::new)
        }
        _ => None,
    }
}

/// The 128 bits of an invocation, as the journal writes them; a unit that never ran has none.
fn identity(value: &Value<'_>) -> Option<String> {
    let Value::Array(bytes) = value else { return None };
    let bytes = bytes.iter().map(|byte| match byte {
        Value::U8(byte) => Some(*byte),
        _ => None,
    });
    let bytes: [u8; 16] = bytes.collect::<Option<Vec<_>>>()?.try_into().ok()?;
    Some(format!("{:032x}", u128::from_be_bytes(bytes)))
}

const fn process(pid: u32) -> Option<Pid> {
    if pid > 0 { Some(Pid::new(pid)) } else { None }
}

const fn bytes_of(bytes: u64) -> Option<Bytes> {
    if bytes == NONE { None } else { Some(Bytes::new(bytes)) }
}

const fn span(us: u64) -> Option<u64> {
    if us == NONE { None } else { Some(us / 1_000) }
}

fn number(properties: &Properties<'_>, name: &str) -> Option<u64> {
    match properties.get(name)? {
        Value::U64(number) => Some(*number),
        Value::U32(number) => Some(u64::from(*number)),
        _ => None,
    }
}
