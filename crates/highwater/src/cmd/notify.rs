//! `highwater notify`: whether those who are told of alerts can be told.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use highwater_act::{Courier, Message, Outcome};
use highwater_agent::clock;
use highwater_agent::config::{Config, Receiver, ReceiverKind};
use highwater_agent::post::message;
use highwater_alert::dispatch::{Context, Notice, Report, TopProcess};
use highwater_core::text::escape;
use highwater_core::time::WallTime;

use super::agent::CONFIG_FILE;
use super::out;
use crate::args::{NotifyArgs, NotifyCommand, NotifyTestArgs};
use crate::view::notify::{Draft, Tried, drafts, drafts_document, tried, tried_document};

/// When an Alertmanager forgets the test, which nobody ends.
const FORGOTTEN: Duration = Duration::from_mins(1);

/// Runs the command.
pub(crate) fn run(args: &NotifyArgs) -> anyhow::Result<ExitCode> {
    let NotifyCommand::Test(args) = &args.command;
    let file = args.config.as_deref().unwrap_or(Path::new(CONFIG_FILE));
    let is_there = args.config.is_some() || file.exists();
    ensure!(is_there, "there is no {CONFIG_FILE}: name the configuration with --config FILE");
    let config = Config::load(file).map_err(|error| anyhow::anyhow!("{error}"))?;
    let now = clock::now().wall;
    let receivers = chosen(&config, args, file)?;
    warn(&receivers);
    let url = &config.rules.external_url;
    let messages = receivers.into_iter().map(|receiver| (receiver, test(receiver, url, now)));
    if args.dry_run { show(messages, args.json) } else { send(messages.collect(), now, args.json) }
}

/// Those who are to be told.
fn chosen<'c>(
    config: &'c Config,
    args: &NotifyTestArgs,
    file: &Path,
) -> anyhow::Result<Vec<&'c Receiver>> {
    let all = &config.notify.receivers;
    let shown = escape(file.as_os_str().as_encoded_bytes());
    ensure!(!all.is_empty(), "{shown} has no receiver: write [[notify.email]] or another");
    let Some(name) = &args.receiver else { return Ok(all.iter().collect()) };
    let names: Vec<&str> = all.iter().map(|receiver| receiver.name.as_str()).collect();
    let found = all.iter().find(|receiver| receiver.name == *name);
    let found = found.with_context(|| {
        format!("{shown} has no receiver {}; it has {}", escape(name.as_bytes()), names.join(", "))
    })?;
    Ok(vec![found])
}

/// Says which secrets are none. That is no failure: the message goes.
fn warn(receivers: &[&Receiver]) {
    let mut open: Vec<String> = receivers.iter().flat_map(|it| it.way.open_files()).collect();
    open.sort();
    open.dedup();
    for file in open {
        out::say(&format!(
            "{file} holds a secret that everybody on this machine may read: chmod 600 it"
        ));
    }
}

/// What this receiver is sent.
fn test(receiver: &Receiver, external_url: &str, now: WallTime) -> Message {
    let pairs = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    };
    let report = Report {
        labels: pairs(&[("alertname", "HighwaterTest"), ("severity", "info")]),
        annotations: pairs(&[
            ("summary", "this is a test of highwater"),
            ("description", "Nothing happened. Somebody typed: highwater notify test"),
        ]),
        starts_at: now,
        ends_at: (receiver.kind == ReceiverKind::Alertmanager).then(|| now.after(FORGOTTEN)),
        generator_url: external_url.to_owned(),
        context: Context {
            owner: Some("nobody".to_owned()),
            verdict: Some("a test, no finding".to_owned()),
            page: Some(external_url.to_owned()),
            processes: vec![TopProcess {
                name: "highwater".to_owned(),
                pid: std::process::id(),
                bytes: 1 << 20,
            }],
        },
        flaps: false,
    };
    let group = pairs(&[("alertname", "HighwaterTest")]);
    let notice = Notice { test: true, ..Notice::new(&receiver.name, group, vec![report], now) };
    message(receiver, &notice, external_url)
}

fn show<'c>(
    messages: impl Iterator<Item = (&'c Receiver, Message)>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let draft = |(receiver, message): (&Receiver, Message)| Draft {
        name: receiver.name.clone(),
        kind: receiver.kind.word(),
        to: format!("{:?}", receiver.way),
        body: message.body,
    };
    let all: Vec<Draft> = messages.map(draft).collect();
    if json {
        out::document(&drafts_document(&all))?;
    } else {
        out::page(&drafts(&all))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Sends to all at once, and waits for each.
fn send(
    messages: Vec<(&Receiver, Message)>,
    now: WallTime,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let mut couriers = Vec::new();
    for (receiver, message) in messages {
        let mut courier = Courier::start(&receiver.name, receiver.way.clone())
            .context("cannot start a thread that sends")?;
        courier.give(message, now);
        couriers.push((receiver, courier));
    }
    let wait = |(receiver, courier): (&Receiver, Courier)| Tried {
        name: receiver.name.clone(),
        kind: receiver.kind.word(),
        outcome: courier.wait(),
    };
    let all: Vec<Tried> = couriers.into_iter().map(wait).collect();
    if json {
        out::document(&tried_document(&all))?;
    } else {
        out::page(&tried(&all))?;
    }
    let taken = all.iter().all(|tried| tried.outcome == Outcome::Sent);
    Ok(if taken { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
