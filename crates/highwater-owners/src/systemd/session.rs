//! One connection to one systemd, from the first question to the end of it.
//!
//! One loop takes messages, answers and its own turns; a question is a future beside it, so that a
//! slow answer never holds up a message. Questions queue, and leave at a pace that systemd does not
//! feel.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, Stream};
use tokio::time::{self, Interval, MissedTickBehavior};
use zbus::message::{Message, Type};
use zbus::names::UniqueName;
use zbus::zvariant::{DynamicType, ObjectPath, OwnedObjectPath, Value};
use zbus::{Connection, MessageStream};

use super::properties::Properties;
use super::socket::Line;
use super::units::{Units, interface};
use super::{ANSWER_WITHIN, Bus};
use crate::told::{Absent, Heard, Told, cut};

const SYSTEMD: &str = "org.freedesktop.systemd1";
const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
const UNIT_PATHS: &str = "/org/freedesktop/systemd1/unit/";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const JOB: &str = "org.freedesktop.systemd1.Job";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const DBUS: &str = "org.freedesktop.DBus";

/// What the bus is to pass on.
const MATCHES: [&str; 3] = [
    "type='signal',sender='org.freedesktop.systemd1',\
     interface='org.freedesktop.DBus.Properties',\
     path_namespace='/org/freedesktop/systemd1/unit'",
    "type='signal',sender='org.freedesktop.systemd1',\
     interface='org.freedesktop.systemd1.Manager'",
    "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',\
     arg0='org.freedesktop.systemd1'",
];

/// Between two questions: an answer costs systemd about half a millisecond, so questions cost it one
/// twentieth of its time at most.
const PACE: Duration = Duration::from_millis(10);

/// Questions under way at once.
const AT_ONCE: usize = 4;

/// Questions that wait; beyond that the least urgent are let go: twice as many as there are units.
const WAITING: usize = 8_192;

/// How often a silent systemd is asked whether it is there.
const PULSE: Duration = Duration::from_mins(1);

/// A question.
#[derive(Debug, PartialEq, Eq)]
enum Question {
    /// All of a unit; `is_old`: it was there before anybody listened.
    Unit { name: String, path: OwnedObjectPath, is_old: bool },
    /// What a job is to do.
    Job { id: u32, path: OwnedObjectPath },
    /// Whether anybody is there.
    Pulse,
}

/// An answer. A refusal is one too: the unit or job is gone.
enum Answer {
    Unit { name: String, all: Option<[Message; 2]>, is_old: bool },
    Job { id: u32, kind: Option<Message> },
    Pulse,
}

/// What the loop wakes up for.
enum Input {
    Message(Message),
    Answer(Result<Answer, Absent>),
    Turn,
    Pulse,
    Closed(String),
}

type Asking = Pin<Box<dyn Future<Output = Result<Answer, Absent>>>>;

/// Follows one systemd until the connection ends, and says why it did.
pub(super) async fn follow(bus: Bus, line: Line, out: &dyn Fn(Heard)) -> Absent {
    // From here on what comes is kept for the loop; what came before is covered by the list.
    let messages = MessageStream::from(&line.connection);
    let greeting = match greet(bus, &line, out).await {
        Ok(greeting) => greeting,
        Err(absent) => return absent,
    };
    let units = Units::of(bus, greeting.began_us);
    let mut session = Session::new(units, line.connection, messages, greeting.speaker);
    session.list(greeting.listed);
    let absent = session.run(out).await;
    for told in session.units.all_held() {
        out(Heard::Told(Box::new(told)));
    }
    absent
}

/// What systemd answers at first.
struct Greeting {
    listed: Vec<Listed>,
    /// Its name on the bus, where there is one.
    speaker: Option<String>,
    /// When it began, by the boot clock: a user's may do so many times in a boot.
    began_us: u64,
}

/// Asks to be told, and what there is.
async fn greet(bus: Bus, line: &Line, out: &dyn Fn(Heard)) -> Result<Greeting, Absent> {
    let connection = &line.connection;
    if line.is_bus() {
        for rule in MATCHES {
            let path = "/org/freedesktop/DBus";
            must(ask(connection, DBUS, path, DBUS, "AddMatch", &rule).await)?;
        }
    }
    // Without anybody who subscribed, systemd keeps its changes off the bus.
    must(ask(connection, SYSTEMD, MANAGER_PATH, MANAGER, "Subscribe", &()).await)?;
    let version = (MANAGER, "Version");
    let version = must(ask(connection, SYSTEMD, MANAGER_PATH, PROPERTIES, "Get", &version).await)?;
    let began = (MANAGER, "UserspaceTimestampMonotonic");
    let began = ask(connection, SYSTEMD, MANAGER_PATH, PROPERTIES, "Get", &began).await?;
    let patterns = (Vec::<&str>::new(), vec!["*.service", "*.scope"]);
    let listed = "ListUnitsByPatterns";
    let listed = must(ask(connection, SYSTEMD, MANAGER_PATH, MANAGER, listed, &patterns).await)?;
    out(Heard::Here(format!("{bus}, version {}, at {}", text(&version), line.socket.display())));
    // A bus names who sends. One that does not has nobody who could be believed.
    let speaker = version.header().sender().map(ToString::to_string).unwrap_or_default();
    Ok(Greeting {
        listed: listed.body().deserialize().unwrap_or_default(),
        speaker: line.is_bus().then_some(speaker),
        began_us: began.as_ref().map_or(0, number),
    })
}

/// A unit as it is listed: name, description, load state, active state, sub state, followed unit,
/// path, and the job.
type Listed =
    (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);

struct Session {
    connection: Connection,
    messages: MessageStream,
    /// Whose signals count: anybody on a bus may send some. `None`: there is nobody else.
    speaker: Option<String>,
    units: Units,
    waiting: VecDeque<Question>,
    asking: FuturesUnordered<Asking>,
    pace: Interval,
    pulse: Interval,
}

impl Session {
    fn new(
        units: Units,
        connection: Connection,
        messages: MessageStream,
        speaker: Option<String>,
    ) -> Self {
        let (mut pace, mut pulse) = (time::interval(PACE), time::interval(PULSE));
        for interval in [&mut pace, &mut pulse] {
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        let (waiting, asking) = (VecDeque::new(), FuturesUnordered::new());
        Self { connection, messages, speaker, units, waiting, asking, pace, pulse }
    }

    /// Asks for all that runs, or failed; of what is merely loaded there is nothing to know.
    fn list(&mut self, listed: Vec<Listed>) {
        for (name, _, _, active, _, _, path, ..) in listed {
            if interface(&name).is_some() && active != "inactive" {
                self.wait(Question::Unit { name, path, is_old: true });
            }
        }
    }

    async fn run(&mut self, out: &dyn Fn(Heard)) -> Absent {
        loop {
            let told = match self.input().await {
                Input::Message(message) => self.message(&message),
                Input::Answer(Ok(answer)) => self.answer(answer),
                Input::Turn => {
                    self.turn();
                    continue;
                }
                Input::Pulse => {
                    self.wait(Question::Pulse);
                    continue;
                }
                Input::Answer(Err(absent)) => return absent,
                Input::Closed(why) => return Absent::because(format!("systemd hung up: {why}")),
            };
            for told in told {
                out(Heard::Told(Box::new(told)));
            }
        }
    }

    /// The next thing to do; messages first, lest they fill the socket.
    async fn input(&mut self) -> Input {
        poll_fn(|context| self.poll_input(context)).await
    }

    fn poll_input(&mut self, context: &mut Context<'_>) -> Poll<Input> {
        match Pin::new(&mut self.messages).poll_next(context) {
            Poll::Ready(Some(Ok(message))) => return Poll::Ready(Input::Message(message)),
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Input::Closed(error.to_string())),
            Poll::Ready(None) => return Poll::Ready(Input::Closed("no more messages".to_owned())),
            Poll::Pending => {}
        }
        if let Poll::Ready(Some(answer)) = Pin::new(&mut self.asking).poll_next(context) {
            return Poll::Ready(Input::Answer(answer));
        }
        let may_ask = !self.waiting.is_empty() && self.asking.len() < AT_ONCE;
        if may_ask && self.pace.poll_tick(context).is_ready() {
            return Poll::Ready(Input::Turn);
        }
        self.pulse.poll_tick(context).map(|_| Input::Pulse)
    }

    fn message(&mut self, message: &Message) -> Vec<Told> {
        let header = message.header();
        if header.message_type() != Type::Signal {
            return Vec::new();
        }
        let sender = header.sender().map(UniqueName::as_str);
        if self.speaker.is_some() && sender != self.speaker.as_deref() {
            if sender == Some(DBUS) {
                self.renamed(message);
            }
            return Vec::new();
        }
        let (Some(path), Some(member)) = (header.path(), header.member()) else {
            return Vec::new();
        };
        match member.as_str() {
            "PropertiesChanged" => self.changed(path, message),
            "UnitNew" => self.added(message),
            "UnitRemoved" => self.removed(message),
            "JobNew" => self.job(message),
            "JobRemoved" => self.job_done(message),
            _ => Vec::new(),
        }
    }

    /// systemd that executes itself anew comes back under another name.
    fn renamed(&mut self, message: &Message) {
        let body = message.body();
        if let Ok((SYSTEMD, _, now)) = body.deserialize::<(&str, &str, &str)>()
            && !now.is_empty()
        {
            self.speaker = Some(now.to_owned());
        }
    }

    fn changed(&mut self, path: &ObjectPath<'_>, message: &Message) -> Vec<Told> {
        let Some(name) = name_of(path).filter(|name| interface(name).is_some()) else {
            return Vec::new();
        };
        let body = message.body();
        let Ok((whose, said, _)) = body.deserialize::<(&str, Properties<'_>, Vec<&str>)>() else {
            return Vec::new();
        };
        let outcome = self.units.changed(&name, &said, whose == UNIT);
        if outcome.asks {
            self.wait(Question::Unit { name, path: path.clone().into(), is_old: false });
        }
        outcome.told
    }

    fn added(&mut self, message: &Message) -> Vec<Told> {
        let body = message.body();
        if let Ok((name, path)) = body.deserialize::<(String, OwnedObjectPath)>()
            && interface(&name).is_some()
            && !self.units.knows(&name)
        {
            self.wait(Question::Unit { name, path, is_old: false });
        }
        Vec::new()
    }

    fn removed(&mut self, message: &Message) -> Vec<Told> {
        let body = message.body();
        let Ok((name, _)) = body.deserialize::<(&str, ObjectPath<'_>)>() else { return Vec::new() };
        // Asking for what is gone would make systemd look for it, say that it is new, and so on.
        self.waiting
            .retain(|question| !matches!(question, Question::Unit { name: of, .. } if of == name));
        self.units.removed(name)
    }

    fn job(&mut self, message: &Message) -> Vec<Told> {
        let body = message.body();
        if let Ok((id, path, name)) = body.deserialize::<(u32, OwnedObjectPath, &str)>()
            && interface(name).is_some()
        {
            self.units.job(id, name);
            self.wait(Question::Job { id, path });
        }
        Vec::new()
    }

    fn job_done(&mut self, message: &Message) -> Vec<Told> {
        let body = message.body();
        let Ok((id, _, _, result)) = body.deserialize::<(u32, ObjectPath<'_>, &str, &str)>() else {
            return Vec::new();
        };
        self.waiting
            .retain(|question| !matches!(question, Question::Job { id: of, .. } if *of == id));
        self.units.job_done(id, result).into_iter().collect()
    }

    fn answer(&mut self, answer: Answer) -> Vec<Told> {
        match answer {
            Answer::Pulse | Answer::Job { kind: None, .. } => Vec::new(),
            Answer::Job { id, kind: Some(kind) } => {
                self.units.job_is(id, &text(&kind)).into_iter().collect()
            }
            Answer::Unit { name, all: None, .. } => self.units.held(&name),
            Answer::Unit { name, all: Some(all), is_old } => {
                let bodies = all.map(|message| message.body());
                let mut said = Properties::new();
                for body in &bodies {
                    said.extend(body.deserialize::<Properties<'_>>().unwrap_or_default());
                }
                self.units.answered(&name, &said, is_old)
            }
        }
    }

    /// Puts a question in the queue. What just began may be over in a moment: it goes before what was
    /// there all along.
    fn wait(&mut self, question: Question) {
        if self.waiting.contains(&question) {
            return;
        }
        match question {
            Question::Unit { is_old: true, .. } | Question::Pulse => {
                self.waiting.push_back(question);
            }
            Question::Unit { .. } | Question::Job { .. } => self.waiting.push_front(question),
        }
        self.waiting.truncate(WAITING);
    }

    /// Lets the next question go.
    fn turn(&mut self) {
        let connection = self.connection.clone();
        let asking: Asking = match self.waiting.pop_front() {
            None => return,
            Some(Question::Unit { name, path, is_old }) => {
                Box::pin(unit(connection, name, path, is_old))
            }
            Some(Question::Job { id, path }) => Box::pin(job(connection, id, path)),
            Some(Question::Pulse) => Box::pin(pulse(connection)),
        };
        self.asking.push(asking);
    }
}

/// All of a unit, if systemd still has it: asking for one that it has not makes it look for it.
async fn unit(
    connection: Connection,
    name: String,
    path: OwnedObjectPath,
    is_old: bool,
) -> Result<Answer, Absent> {
    let it = ask(&connection, SYSTEMD, MANAGER_PATH, MANAGER, "GetUnit", &name.as_str()).await?;
    if it.is_none() {
        return Ok(Answer::Unit { name, all: None, is_old });
    }
    let kind = interface(&name).unwrap_or(UNIT);
    let special = ask(&connection, SYSTEMD, &path, PROPERTIES, "GetAll", &kind).await?;
    let common = ask(&connection, SYSTEMD, &path, PROPERTIES, "GetAll", &UNIT).await?;
    Ok(Answer::Unit { name, all: special.zip(common).map(Into::into), is_old })
}

async fn job(connection: Connection, id: u32, path: OwnedObjectPath) -> Result<Answer, Absent> {
    let kind = ask(&connection, SYSTEMD, &path, PROPERTIES, "Get", &(JOB, "JobType")).await?;
    Ok(Answer::Job { id, kind })
}

async fn pulse(connection: Connection) -> Result<Answer, Absent> {
    let peer = "org.freedesktop.DBus.Peer";
    ask(&connection, SYSTEMD, MANAGER_PATH, peer, "Ping", &()).await?;
    Ok(Answer::Pulse)
}

/// One question: `None` if it was refused, an error if nobody answered in time.
async fn ask<B>(
    connection: &Connection,
    to: &str,
    path: &str,
    interface: &str,
    method: &str,
    body: &B,
) -> Result<Option<Message>, Absent>
where
    B: serde::Serialize + DynamicType + Sync,
{
    // Straight to systemd there is nobody else to address.
    let to = connection.is_bus().then_some(to);
    let answer = connection.call_method(to, path, Some(interface), method, body);
    match time::timeout(ANSWER_WITHIN, answer).await {
        Ok(Ok(answer)) => Ok(Some(answer)),
        Ok(Err(zbus::Error::MethodError(..))) => Ok(None),
        Ok(Err(error)) => Err(Absent::because(format!("systemd hung up: {error}"))),
        Err(_late) => {
            let seconds = ANSWER_WITHIN.as_secs();
            Err(Absent::because(format!("systemd did not answer {method} within {seconds} s")))
        }
    }
}

fn must(answer: Result<Option<Message>, Absent>) -> Result<Message, Absent> {
    answer?.ok_or_else(|| Absent::because("systemd refuses to be followed; needs root"))
}

/// A variant with a word in it.
fn text(answer: &Message) -> String {
    match answer.body().deserialize::<Value<'_>>() {
        Ok(Value::Str(text)) => cut(text.as_bytes(), 64),
        _ => String::new(),
    }
}

/// A variant with a number in it.
fn number(answer: &Message) -> u64 {
    match answer.body().deserialize::<Value<'_>>() {
        Ok(Value::U64(number)) => number,
        _ => 0,
    }
}

/// The unit's name in its path, where all but letters and digits stands as `_2e`.
fn name_of(path: &ObjectPath<'_>) -> Option<String> {
    let mut rest = path.as_str().strip_prefix(UNIT_PATHS)?.bytes();
    let mut name = Vec::new();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'_' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (high, low) = (digit(rest.next())?, digit(rest.next())?);
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        };
        name.push(byte);
    }
    String::from_utf8(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_the_units_name() {
        let name = |path: &str| {
            let path = format!("{UNIT_PATHS}{path}");
            name_of(&ObjectPath::try_from(path).unwrap())
        };
        assert_eq!(name("web_2eservice").as_deref(), Some("web.service"));
        assert_eq!(name("user_401000_2eservice").as_deref(), Some("user@1000.service"));
        assert_eq!(name("_62ad").as_deref(), Some("bad"));
        assert_eq!(name("web_2"), None);
        assert_eq!(name("web_zz"), None);
        assert_eq!(name_of(&ObjectPath::try_from("/org/else").unwrap()), None);
    }
}
