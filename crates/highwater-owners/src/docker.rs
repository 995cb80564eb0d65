//! Docker, or Podman, over its socket.
//!
//! ```text
//! /version ─ who it is
//! /events?since=… ─┬─ replay ─┐
//! /containers, inspect ───────┴─ what no event told ─ then event by event, each start and end inspected
//! ```
//!
//! The stream of events is opened first, so that nothing falls between it and the list. The daemon
//! keeps its last 256 events, and forgets them when it is restarted: whether it still has the one
//! that was heard last tells whether there is a hole. What happened in a hole is known only as far
//! as each container's last start and end. Events can also be lost on the way, as a daemon drops those
//! of a reader that is slow, without a word: so every few minutes the list is looked at again.

mod engine;
mod event;
mod ledger;
mod lines;
mod standing;
mod telling;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use highwater_core::id::Pid;
use highwater_core::owner::Owner;
use serde_json::Value;
use tokio::time::{Sleep, sleep};

use crate::Directory;
use crate::told::{Absent, Heard, Missed, cut};
use engine::{Engine, Next, Stream};
use event::{Action, Event, Named};
use ledger::Ledger;
use standing::Standing;

pub use telling::moment;

/// Where the sockets of Docker and of root's Podman are.
pub const SOCKETS: [&str; 2] = ["/run/docker.sock", "/run/podman/podman.sock"];

/// How long what is waited for.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// For a short question.
    short: Duration,
    /// For an inspection: until it is back, events wait in the socket, where there is room for
    /// some hundreds, and in the daemon, which has room for a thousand.
    inspection: Duration,
    /// For the list of all containers: the daemon looks at each.
    list: Duration,
    /// Once nothing came for so long, all that the daemon had of the past is here.
    replay: Duration,
    /// After so long without an event the daemon is asked whether it is still there.
    silence: Duration,
    /// After so long the list is looked at again, for what no event told.
    relist: Duration,
    /// What is due waits so long at most for a moment in which nothing comes.
    overdue: Duration,
}

const PATIENCE: Patience = Patience {
    short: Duration::from_secs(5),
    inspection: Duration::from_secs(2),
    list: Duration::from_secs(20),
    replay: Duration::from_millis(300),
    silence: Duration::from_secs(30),
    relist: Duration::from_mins(5),
    overdue: Duration::from_secs(30),
};

/// The most that is read of an answer: a description of a container with many mounts has 20 KiB.
const MOST_SMALL: usize = 1 << 20;

/// The most that is read of the list: a container takes about 1 KiB.
const MOST_LIST: usize = 8 << 20;

/// After so many inspections that failed, the rest of the containers is known by name only; and after
/// so many in a row that came too late, events are told without. A daemon that is so slow would drop
/// events meanwhile, without a word.
const MOST_FAILURES: u32 = 4;

/// So many events are then told before one is inspected again.
const UNINSPECTED: u32 = 64;

/// So much before the event heard last a replay begins, in nanoseconds: two that happened at once
/// may have been written in the other order.
const OVERLAP_NS: u64 = 1_000_000_000;

/// The daemon says in whole seconds when it began to answer.
const DATE_GRAIN_NS: u64 = 1_000_000_000;

const NANOS: u64 = 1_000_000_000;

/// What is asked of Docker. Podman does not know all of the words and would refuse.
const WANTED: &str = r#"{"type":["container"],"event":["create","start","die","kill","oom","stop","restart","destroy","rename","health_status"]}"#;
const WANTED_OF_PODMAN: &str = r#"{"type":["container"]}"#;

/// Listens until the daemon is heard no more, and says why. It never tries again by itself: the
/// caller waits (a second, twice as long each time, at most 30) and calls again with the newest
/// [`moment`] of what was told up to [`Heard::Caught`] or after it: what is told before that may have
/// earlier events behind it.
///
/// `since` is that moment, in nanoseconds since 1970; without it the daemon is asked for all that it
/// still has. What was told may be told again with the same key. No call waits without end.
pub async fn watch(
    socket: PathBuf,
    since: Option<u64>,
    directory: Arc<Directory>,
    out: &dyn Fn(Heard),
) -> Absent {
    listen(Engine::at(socket), PATIENCE, since, directory, out).await
}

async fn listen(
    engine: Engine,
    patience: Patience,
    since: Option<u64>,
    directory: Arc<Directory>,
    out: &dyn Fn(Heard),
) -> Absent {
    let name = engine.name();
    let ledger = Ledger::default();
    let mut watch = Watch {
        engine,
        patience,
        name,
        since,
        is_podman: false,
        directory,
        ledger,
        last: None,
        late: Late::default(),
        due: Due::Nothing,
        is_behind: true,
        is_unlisted: false,
        out,
    };
    match watch.run().await {
        Ok(()) => Absent::because(format!("{} ended the stream of events", watch.name)),
        Err(absent) => absent,
    }
}

struct Watch<'a> {
    engine: Engine,
    patience: Patience,
    name: String,
    since: Option<u64>,
    is_podman: bool,
    directory: Arc<Directory>,
    ledger: Ledger,
    /// When the newest event happened.
    last: Option<u64>,
    late: Late,
    due: Due,
    /// What is known of the containers may be older than the last list.
    is_behind: bool,
    /// The last list did not come.
    is_unlisted: bool,
    out: &'a dyn Fn(Heard),
}

impl Watch<'_> {
    async fn run(&mut self) -> Result<(), Absent> {
        let version = self.engine.ask("/version", MOST_SMALL, self.patience.short).await?;
        let daemon = Daemon::parse(&version, &self.name)?;
        self.is_podman = daemon.is_podman;
        let mut stream = self.engine.stream(&self.question(), self.patience.short).await?;
        self.take_stock().await?;
        (self.out)(Heard::Here(daemon.words));
        if self.replay(&mut stream).await {
            return Ok(());
        }
        self.follow(&mut stream).await
    }

    fn question(&self) -> String {
        let from = match self.since {
            Some(since) => Some(since.saturating_sub(OVERLAP_NS)),
            // Podman keeps its events for ever.
            None if self.is_podman => None,
            None => Some(NANOS),
        };
        let wanted = if self.is_podman { WANTED_OF_PODMAN } else { WANTED };
        let wanted = encoded(wanted);
        match from {
            Some(from) => {
                let (seconds, nanos) = (from / NANOS, from % NANOS);
                format!("/events?since={seconds}.{nanos:09}&filters={wanted}")
            }
            None => format!("/events?filters={wanted}"),
        }
    }

    /// Learns every container's name, and how it stands, as far as that is not known: on a large node
    /// hundreds of inspections would take so long that events are dropped meanwhile.
    async fn take_stock(&mut self) -> Result<(), Absent> {
        let list = self.engine.ask("/containers/json?all=1", MOST_LIST, self.patience.list).await?;
        let mut failures = 0;
        for (number, listed) in standing::listed(&list).into_iter().enumerate() {
            self.learn(&listed.whom);
            let is_known = !self.is_behind && self.ledger.is_as_listed(&listed);
            if is_known || number >= ledger::MOST || failures >= MOST_FAILURES {
                continue;
            }
            match self.inspect(&listed.whom.id).await {
                Some(standing) => self.ledger.note(standing),
                None => failures += 1,
            }
        }
        self.is_behind = failures > 0;
        Ok(())
    }

    async fn inspect(&self, id: &str) -> Option<Standing> {
        let path = format!("/containers/{id}/json");
        let body = self.engine.ask(&path, MOST_SMALL, self.patience.inspection).await.ok()?;
        Standing::parse(&body)
    }

    /// What the daemon still has of the past; whether the stream ended.
    async fn replay(&mut self, stream: &mut Stream) -> bool {
        let began = stream.began.and_then(|began| u64::try_from(began.as_nanosecond()).ok());
        let mut earliest = None;
        let (is_over, live) = loop {
            match stream.next(self.patience.replay).await {
                Next::End => break (true, None),
                Next::Silence => break (false, None),
                Next::TooLong => self.miss_one(),
                Next::Line(line) => {
                    let Some(event) = Event::parse(&line) else { continue };
                    // Without a date every event might be of now.
                    let age = began.map_or(Age::New, |began| Age::of(event.ns, began));
                    if age == Age::New {
                        break (false, Some(event));
                    }
                    earliest = earliest.or(Some(event.ns));
                    match age {
                        Age::Old => self.tell(&event),
                        _ => self.take(&event).await,
                    }
                }
            }
        };
        if let (Some(since), Some(began), false) = (self.since, began, self.is_podman) {
            let is_known = earliest.is_some_and(|earliest| earliest <= since);
            if !is_known && !self.reaches_back(since, began).await {
                self.miss(since, earliest.unwrap_or(began));
            }
        }
        self.tell_untold();
        (self.out)(Heard::Caught);
        if let Some(event) = live {
            self.take(&event).await;
        }
        is_over
    }

    /// The starts and ends that are known of the list alone.
    fn tell_untold(&mut self) {
        for told in self.ledger.untold(self.since, &self.name) {
            (self.out)(Heard::Told(Box::new(told)));
        }
    }

    /// Whether the daemon still has all events since then. Those of other kinds, health checks
    /// above all, push the wanted ones out.
    async fn reaches_back(&self, since: u64, began: u64) -> bool {
        let path = format!("/events?since=1&until={}", began / NANOS);
        let all = self.engine.ask(&path, MOST_LIST, self.patience.short).await.unwrap_or_default();
        let mut moments = all.split(|byte| *byte == b'\n').filter_map(event::moment_of);
        moments.any(|ns| ns <= since)
    }

    fn miss(&self, from: u64, until: u64) {
        (self.out)(Heard::Missed(Missed {
            from: telling::wall(from),
            until: telling::wall(until.max(from)),
            why: format!(
                "{} no longer has its events of that time; of each container the last start and \
                 end are known",
                self.name
            ),
        }));
    }

    fn miss_one(&self) {
        self.miss_now(format!("{} sent an event of more than {} bytes", self.name, lines::LONGEST));
    }

    fn miss_list(&self, absent: &Absent) {
        self.miss_now(format!(
            "{}: what its events leave out is not known until it lists its containers again",
            absent.why
        ));
    }

    fn miss_now(&self, why: String) {
        let at = telling::wall(self.last.or(self.since).unwrap_or_default());
        (self.out)(Heard::Missed(Missed { from: at, until: at, why }));
    }

    async fn follow(&mut self, stream: &mut Stream) -> Result<(), Absent> {
        let mut alarm = self.alarm();
        loop {
            let is_due = self.due != Due::Nothing;
            let moment = if is_due { self.patience.replay } else { self.patience.silence };
            // The clock first: there may be an event every time.
            let next = match select(alarm.as_mut(), pin!(stream.next(moment))).await {
                Either::Right((next, _)) => next,
                Either::Left(_) if is_due => Next::Silence,
                Either::Left(_) => {
                    self.due = Due::List;
                    alarm = self.alarm();
                    continue;
                }
            };
            match next {
                Next::End => return Ok(()),
                Next::Silence => {
                    self.rest().await?;
                    if is_due {
                        alarm = self.alarm();
                    }
                }
                Next::TooLong => self.miss_one(),
                Next::Line(line) => {
                    if let Some(event) = Event::parse(&line) {
                        self.take(&event).await;
                    }
                }
            }
        }
    }

    /// When something is to be done, come what may.
    fn alarm(&self) -> Pin<Box<Sleep>> {
        let patience = &self.patience;
        Box::pin(sleep(if self.due == Due::Nothing { patience.relist } else { patience.overdue }))
    }

    /// Nothing comes for a moment, or too much for too long: what is due is done.
    async fn rest(&mut self) -> Result<(), Absent> {
        match self.due {
            Due::Nothing => self.ping().await?,
            Due::List => match self.take_stock().await {
                Ok(()) => {
                    self.is_unlisted = false;
                    self.due = Due::Untold;
                }
                Err(absent) => {
                    // Its events are of use without the list.
                    self.ping().await?;
                    self.due = Due::Nothing;
                    self.is_behind = true;
                    if !std::mem::replace(&mut self.is_unlisted, true) {
                        self.miss_list(&absent);
                    }
                }
            },
            Due::Untold => {
                self.tell_untold();
                self.due = Due::Nothing;
            }
        }
        Ok(())
    }

    async fn ping(&self) -> Result<(), Absent> {
        self.engine.ask("/_ping", MOST_SMALL, self.patience.short).await.map(drop)
    }

    /// An event of now: what `inspect` says is still of the same life.
    async fn take(&mut self, event: &Event) {
        if !matches!(event.action, Action::Started | Action::Died { .. }) {
            return self.tell(event);
        }
        // An end is told with the process that was first until then.
        let first = self.ledger.first(&event.whom.id, event.ns);
        if self.late.may_inspect() {
            let standing = self.inspect(&event.whom.id).await;
            if self.late.note(standing.is_some()) {
                (self.due, self.is_behind) = (Due::List, true);
            }
            if let Some(standing) = standing {
                self.ledger.note(standing);
            }
        }
        self.tell_of(event, first.filter(|_| event.action != Action::Started));
    }

    fn tell(&mut self, event: &Event) {
        let first = self.ledger.first(&event.whom.id, event.ns);
        self.tell_of(event, first);
    }

    fn tell_of(&mut self, event: &Event, first: Option<Pid>) {
        self.last = Some(event.ns);
        if event.action != Action::Destroyed {
            self.learn(&event.whom);
        }
        let standing = self.ledger.standing(&event.whom.id);
        let told = telling::of_event(event, standing, first, &self.name);
        self.ledger.hear(event);
        if let Some(told) = told {
            (self.out)(Heard::Told(Box::new(told)));
        }
    }

    fn learn(&self, whom: &Named) {
        match &whom.owner {
            Owner::Container(name) => self.directory.learn_container(&whom.id, name),
            Owner::Pod { namespace, pod, container } => {
                self.directory.learn_pod(&whom.id, namespace, pod, container);
            }
            _ => {}
        }
    }
}

/// How inspections went of late.
#[derive(Debug, Default)]
struct Late {
    failures: u32,
    /// So many events were told without since.
    passed: u32,
}

impl Late {
    /// Whether the next event is worth the wait.
    const fn may_inspect(&mut self) -> bool {
        if self.failures < MOST_FAILURES {
            return true;
        }
        self.passed = (self.passed + 1) % UNINSPECTED;
        self.passed == 0
    }

    /// Whether it is in time again, after it was not: events may have been dropped meanwhile.
    const fn note(&mut self, is_answered: bool) -> bool {
        let is_back = is_answered && self.failures >= MOST_FAILURES;
        self.failures = if is_answered { 0 } else { self.failures.saturating_add(1) };
        is_back
    }
}

/// What is to be done when nothing comes for a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Nothing,
    /// To look at the list.
    List,
    /// To tell of what is there and of which no event has come since, either.
    Untold,
}

/// How an event stands to the moment at which the daemon began to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    /// It was before.
    Old,
    /// It may have been before or after: the daemon gives whole seconds.
    Near,
    /// It was after.
    New,
}

impl Age {
    const fn of(ns: u64, began: u64) -> Self {
        if ns < began {
            Self::Old
        } else if ns < began.saturating_add(DATE_GRAIN_NS) {
            Self::Near
        } else {
            Self::New
        }
    }
}

/// Who answers.
#[derive(Debug, PartialEq, Eq)]
struct Daemon {
    words: String,
    is_podman: bool,
}

impl Daemon {
    fn parse(version: &[u8], socket: &str) -> Result<Self, Absent> {
        let answer: Option<Value> = serde_json::from_slice(version).ok();
        let number = answer.as_ref().and_then(|answer| answer.get("Version")?.as_str());
        let (Some(answer), Some(number)) = (&answer, number) else {
            return Err(Absent::because(format!("{socket} answers, but not as Docker does")));
        };
        let components = answer.get("Components").and_then(Value::as_array);
        let is_podman = components.into_iter().flatten().any(|component| {
            component
                .get("Name")
                .and_then(Value::as_str)
                .is_some_and(|name| name.contains("Podman"))
        });
        let name = if is_podman { "Podman" } else { "Docker" };
        Ok(Self { words: format!("{name} {}", cut(number.as_bytes(), 40)), is_podman })
    }
}

/// JSON as a part of a question: what may not stand there is written as `%7B`.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.' => out.push(byte.into()),
            _ => out.extend(['%', digit(byte >> 4), digit(byte & 0xf)]),
        }
    }
    out
}

fn digit(value: u8) -> char {
    char::from_digit(value.into(), 16).unwrap_or('0')
}
