//! Who is told of alerts: what is to be said waits in a value that is stored, and what is sent goes
//! through a thread for each receiver.
//!
//! The order is: `Post::round` makes notices, what it changed is stored (`Post::saved`) with the
//! states of the alerts, and only then `Post::deliver` sends. So an agent that is killed at any moment
//! loses no notice, and sends one twice only if it dies between an answer and the note of it.

mod counts;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use highwater_act::{Body, Courier, Message, Outcome};
use highwater_alert::dispatch::{Delivery, Desk, Notice, Outbox, Relay, Report};
use highwater_alert::payload;
use highwater_core::thing::Thing;
use highwater_core::time::{Stamp, WallTime};
use serde::{Deserialize, Serialize};

use crate::config::{Notify, Receiver, ReceiverKind};
use counts::Counts;
pub(crate) use counts::METRICS;

/// What has to be said, and to whom.
#[derive(Debug)]
pub(crate) struct Post {
    lines: Vec<Line>,
    external_url: String,
}

/// What a delivery did.
#[derive(Debug, Default)]
pub(crate) struct Delivered {
    /// What is stored is out of date.
    pub(crate) changed: bool,
    /// Lines for the log.
    pub(crate) said: Vec<String>,
}

/// One receiver, what it knows, and what it is still to be told.
#[derive(Debug)]
struct Line {
    receiver: Receiver,
    book: Book,
    courier: Option<Courier>,
    counts: Counts,
    /// Why the last try failed; it is said once.
    trouble: Option<String>,
    /// What has to be said in the log.
    said: Vec<String>,
}

/// What is stored of a receiver.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Book {
    desk: Desk,
    outbox: Outbox,
    relay: Relay,
}

impl Post {
    /// Goes on with what an earlier agent `saved`. Also says what cannot be gone on with.
    pub(crate) fn open(
        notify: &Notify,
        external_url: &str,
        saved: Option<&str>,
    ) -> (Self, Vec<String>) {
        let mut said = Vec::new();
        let mut books: BTreeMap<String, Book> = BTreeMap::new();
        match saved.map(serde_json::from_str).transpose() {
            Ok(found) => books = found.unwrap_or_default(),
            Err(error) => said.push(format!("notify: what waited cannot be read: {error}")),
        }
        let mut post = Self { lines: Vec::new(), external_url: external_url.to_owned() };
        for receiver in &notify.receivers {
            let book = books.remove(&receiver.name).unwrap_or_default();
            post.lines.push(Line::new(receiver.clone(), book));
        }
        said.extend(books.iter().filter_map(|(name, book)| dropped(name, &book.outbox)));
        (post, said)
    }

    /// Goes on by the configuration as it is now. Also says what is dropped with a receiver that is gone.
    pub(crate) fn reload(&mut self, notify: &Notify, external_url: &str) -> Vec<String> {
        external_url.clone_into(&mut self.external_url);
        let mut before = std::mem::take(&mut self.lines);
        for receiver in &notify.receivers {
            let at = before.iter().position(|line| line.receiver.name == receiver.name);
            self.lines.push(match at.map(|at| before.swap_remove(at)) {
                Some(line) if line.receiver == *receiver => line,
                Some(line) => line.changed(receiver.clone()),
                None => Line::new(receiver.clone(), Book::default()),
            });
        }
        before.iter().filter_map(|line| dropped(&line.receiver.name, &line.book.outbox)).collect()
    }

    /// Takes in all alerts that fire or ended lately. Whether something is to be said that was not:
    /// then what is stored has to last.
    pub(crate) fn round(&mut self, reports: &[Report], now: Stamp) -> bool {
        let mut news = false;
        for line in &mut self.lines {
            news |= line.round(reports, now.wall);
        }
        news
    }

    /// What an agent goes on with that is started after this one.
    pub(crate) fn saved(&self) -> String {
        let books: BTreeMap<&str, &Book> =
            self.lines.iter().map(|line| (line.receiver.name.as_str(), &line.book)).collect();
        // Maps with texts for keys and numbers: nothing of that can fail.
        serde_json::to_string(&books).unwrap_or_default()
    }

    /// Sends what is due and takes in how that went. It waits for nobody.
    pub(crate) fn deliver(&mut self, now: Stamp) -> Delivered {
        let mut delivered = Delivered::default();
        for line in &mut self.lines {
            delivered.changed |= line.settle(now.wall);
            line.send(&self.external_url, now.wall);
            let name = &line.receiver.name;
            let said = std::mem::take(&mut line.said);
            delivered.said.extend(said.into_iter().map(|what| format!("notify: {name}: {what}")));
        }
        delivered
    }

    /// How it goes, for the page and the recording.
    pub(crate) fn counts(&self) -> Vec<Thing> {
        let of = |line: &Line| line.counts.things(&line.receiver.name, line.book.outbox.len());
        self.lines.iter().flat_map(of).collect()
    }
}

/// What is said of a receiver that is no longer told.
fn dropped(name: &str, outbox: &Outbox) -> Option<String> {
    let count = outbox.len();
    (count > 0)
        .then(|| format!("notify: {name} is no longer set; what waits for it is dropped: {count}"))
}

impl Line {
    fn new(receiver: Receiver, book: Book) -> Self {
        let (counts, said) = (Counts::default(), Vec::new());
        Self { receiver, book, courier: None, counts, trouble: None, said }
    }

    /// The same receiver reached in another way: what is on its way there is sent again.
    fn changed(mut self, receiver: Receiver) -> Self {
        if self.courier.as_ref().is_some_and(Courier::is_busy) {
            let now = WallTime::default();
            self.book.outbox.settle(Delivery::Later(None), Duration::ZERO, now);
            self.book.relay.settle(Delivery::Later(None), now);
        }
        Self { receiver, courier: None, ..self }
    }

    fn round(&mut self, reports: &[Report], now: WallTime) -> bool {
        let Receiver { name, kind, terms, .. } = &self.receiver;
        if *kind == ReceiverKind::Alertmanager {
            let wanted: Vec<Report> =
                reports.iter().filter(|report| terms.want(report)).cloned().collect();
            self.book.relay.round(&wanted, now);
            return false;
        }
        let notices = self.book.desk.round(name, terms, reports, now);
        let news = !notices.is_empty();
        let mut given_up = self.book.outbox.expire(now);
        given_up.extend(notices.into_iter().filter_map(|notice| self.book.outbox.put(notice)));
        for notice in given_up {
            self.counts.given_up += 1;
            self.said.push(format!("a notice of {} is given up: {}", notice.group, notice.why));
        }
        news
    }

    /// Takes in how the last message went. Whether what is stored has changed by it.
    fn settle(&mut self, now: WallTime) -> bool {
        let Some(outcome) = self.courier.as_mut().and_then(Courier::outcome) else { return false };
        let went = self.note(&outcome);
        if self.receiver.kind == ReceiverKind::Alertmanager {
            return self.book.relay.settle(went, now);
        }
        self.book.outbox.settle(went, self.receiver.kind.pace(), now);
        matches!(went, Delivery::Arrived | Delivery::Refused)
    }

    /// Counts an outcome, and says what is new in it.
    fn note(&mut self, outcome: &Outcome) -> Delivery {
        match outcome {
            Outcome::Sent => {
                self.counts.sent += 1;
                if self.trouble.take().is_some() {
                    self.said.push("what is sent arrives again".to_owned());
                }
                Delivery::Arrived
            }
            Outcome::Partly { why } => {
                self.counts.sent += 1;
                self.complain(why, "the others have it");
                Delivery::Arrived
            }
            Outcome::Later { after, why } => {
                self.counts.failed += 1;
                self.complain(why, "it is tried again");
                Delivery::Later(*after)
            }
            Outcome::Never { why } => {
                self.counts.refused += 1;
                self.said.push(format!("{why}; this one is given up"));
                Delivery::Refused
            }
        }
    }

    /// Says what is wrong, once, and what comes of it.
    fn complain(&mut self, why: &str, outcome: &str) {
        if self.trouble.as_deref() != Some(why) {
            self.said.push(format!("{why}; {outcome}"));
            self.trouble = Some(why.to_owned());
        }
    }

    /// Hands over what is due.
    fn send(&mut self, external_url: &str, now: WallTime) {
        let Some(mut courier) = self.courier() else { return };
        if !courier.is_busy() {
            let (receiver, book) = (&self.receiver, &mut self.book);
            let message = match receiver.kind.format() {
                None => relayed(book.relay.next(now)),
                Some(_) => {
                    book.outbox.next(now).map(|notice| message(receiver, notice, external_url))
                }
            };
            if let Some(message) = message {
                courier.give(message, now);
            }
        }
        self.courier = Some(courier);
    }

    /// The sender, which is started when it is first needed.
    fn courier(&mut self) -> Option<Courier> {
        if let Some(courier) = self.courier.take().filter(|courier| !courier.is_over()) {
            return Some(courier);
        }
        match Courier::start(&self.receiver.name, self.receiver.way.clone()) {
            Ok(courier) => Some(courier),
            Err(error) => {
                let why = format!("its sender cannot be started: {error}");
                if self.trouble.as_ref() != Some(&why) {
                    self.said.push(why.clone());
                    self.trouble = Some(why);
                }
                None
            }
        }
    }
}

/// `notice` as its receiver reads it.
pub fn message(receiver: &Receiver, notice: &Notice, external_url: &str) -> Message {
    let body = match receiver.kind.format() {
        None => payload::Body::for_alertmanager(&notice.alerts),
        Some(format) => payload::Body::of(notice, format, external_url),
    };
    Message { id: notice.id.clone(), body: worded(body) }
}

/// What an Alertmanager is told now, if anything.
fn relayed(reports: &[Report]) -> Option<Message> {
    if reports.is_empty() {
        return None;
    }
    let body = worded(payload::Body::for_alertmanager(reports));
    Some(Message { id: String::new(), body })
}

/// The one crate's word for the other's.
fn worded(body: payload::Body) -> Body {
    match body {
        payload::Body::Json(document) => Body::Json(document),
        payload::Body::Letter { subject, text, html } => Body::Letter { subject, text, html },
    }
}
