//! `highwater agent`: records until it is told to stop.

mod page;
mod server;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use highwater_agent::board::Board;
use highwater_agent::config::Config;
use highwater_agent::notice::waiting;
use highwater_agent::{Agent, Findings, place};
use highwater_linux::root::Root;
use sd_notify::NotifyState;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::out::say;
use crate::args::{AgentArgs, Listen};
use crate::view::wrap::wrap;
use server::{Place, Server};

/// Records until SIGTERM or SIGINT.
pub(crate) fn run(args: &AgentArgs) -> anyhow::Result<ExitCode> {
    if args.print_config {
        super::out::page(&Config::commented_default())?;
        return Ok(ExitCode::SUCCESS);
    }
    let config = Source::of(args).load()?;
    let dir = match &args.data_dir {
        Some(dir) => dir.clone(),
        None => place::default_dir()?,
    };
    // Before any thread starts, so that no signal finds the process unready.
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).context("cannot wait for signals")?;
    // What keeps the page from being served as it was asked for keeps nothing from being recorded
    // unsaid: it is told before the recording begins.
    let place = Place::take(&config, matches!(args.listen, Some(Listen::At(_))))?;
    let agent = Agent::start(&Root::live(), &dir, &config)?;
    let mut current = config.clone();
    let page = place.map(|place| place.open(&agent, &config)).transpose()?;
    // A closed terminal must not end the recording.
    let _unheard = anstream::stdout().write_all(greeting(&agent, page.as_ref()).as_bytes());
    let _no_systemd = sd_notify::notify(&[NotifyState::Ready]);
    for signal in &mut signals {
        if signal != SIGHUP {
            break;
        }
        reload(&agent, args, &config, &mut current);
    }
    let _no_systemd = sd_notify::notify(&[NotifyState::Stopping]);
    if let Some(page) = page {
        page.close();
    }
    let board = agent.board();
    agent.stop();
    say(&ending(&board));
    anyhow::ensure!(
        !board.has_failed(),
        "a part of the recorder failed; the lines above say which"
    );
    Ok(ExitCode::SUCCESS)
}

/// What became of what was seen.
fn ending(board: &Board) -> String {
    let (readings, events) = board.waiting();
    if board.is_complete() {
        "ended; everything seen is on disk".to_owned()
    } else if readings > 0 || events > 0 {
        format!("ended; {} could not be written", waiting(readings, events))
    } else if !board.is_stored() {
        "ended; the last of what was seen could not be written".to_owned()
    } else {
        "ended; what was seen is on disk, except for what the lines above and /metrics told"
            .to_owned()
    }
}

/// Where the configuration comes from, and what the command line puts over it.
struct Source<'a> {
    file: Option<&'a Path>,
    listen: Option<Listen>,
}

/// The configuration file that is read where none is named.
pub(crate) const CONFIG_FILE: &str = "/etc/highwater/config.toml";

impl<'a> Source<'a> {
    fn of(args: &'a AgentArgs) -> Self {
        Self { file: args.config.as_deref(), listen: args.listen }
    }

    /// A file that is named must be there; the usual one need not.
    fn load(&self) -> anyhow::Result<Config> {
        let usual = PathBuf::from(CONFIG_FILE);
        let mut config = match self.file {
            Some(file) => load(file)?,
            None if usual.exists() => load(&usual)?,
            None => Config::default(),
        };
        match self.listen {
            Some(Listen::At(address)) => config.web.listen = address,
            Some(Listen::Off) => config.web.enabled = false,
            None => {}
        }
        config.program = Some(PathBuf::from(OWN_PROGRAM));
        Ok(config)
    }
}

/// The program that runs, also after its file was replaced by another version.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// The error says what is beneath it already.
fn load(file: &Path) -> anyhow::Result<Config> {
    Config::load(file).map_err(|error| anyhow::anyhow!("{error}"))
}

/// Goes on by the configuration as it is now; what was `opened` at the start stays as it is.
fn reload(agent: &Agent, args: &AgentArgs, opened: &Config, current: &mut Config) {
    match Source::of(args).load() {
        Ok(config) => {
            agent.reload(&config);
            say(&reloaded(opened, current, &config));
            *current = config;
        }
        Err(error) => say(&format!("the old configuration stays: {error:#}")),
    }
}

/// Which keys are different now, and which of them wait for the next start.
fn reloaded(opened: &Config, before: &Config, now: &Config) -> String {
    let changed: Vec<_> = now.changes(before).filter(|key| !key.needs_restart()).collect();
    let later: Vec<_> = now.changes(opened).filter(|key| key.needs_restart()).collect();
    let mut changed: Vec<_> = changed.iter().map(|key| key.path).collect();
    if now.notify.receivers != before.notify.receivers {
        changed.push("the receivers of alerts");
    }
    let mut text = "configuration read again: ".to_owned();
    match (changed.as_slice(), later.as_slice()) {
        ([], []) => text.push_str("nothing changed"),
        ([], _) => {}
        (keys, _) => text.extend([&keys.join(", "), " changed"]),
    }
    if !later.is_empty() {
        let between = if changed.is_empty() { "" } else { "; " };
        let later: Vec<_> = later.iter().map(|key| key.path).collect();
        text.extend([between, &later.join(", "), " will change at the next start"]);
    }
    text
}

/// How wide a sentence of the greeting may be beside its head, on a terminal of 80 columns.
const SENTENCE_COLUMNS: usize = 66;

/// What is recorded, where, what is not, and what to type or open next.
fn greeting(agent: &Agent, page: Option<&Server>) -> String {
    let Findings { records, blind } = agent.findings();
    let mut text = format!("highwater {} records this machine\n", env!("CARGO_PKG_VERSION"));
    let mut line = |head: &str, what: &str| {
        // Writing to a String cannot fail.
        writeln!(text, "  {head:<9} {what}").unwrap_or_default();
    };
    for (head, all) in [("records", records), ("not", blind)] {
        let lines = all.iter().flat_map(|what| wrap(what, SENTENCE_COLUMNS));
        for (at, what) in lines.enumerate() {
            line(if at == 0 { head } else { "" }, &what);
        }
    }
    line("into", &agent.dir().join(highwater_store::FILE_NAME).display().to_string());
    match page.map(|server| &server.place) {
        Some(Ok(url)) => line("open", url),
        Some(Err(why)) => {
            for (at, what) in wrap(why, SENTENCE_COLUMNS).into_iter().enumerate() {
                line(if at == 0 { "no page" } else { "" }, &what);
            }
        }
        None => line("no page", "switched off"),
    }
    let option = place::option_for(&agent.dir());
    line("type", &format!("highwater checkup{option}   this machine on one screen"));
    line("", &format!("highwater why{option}       the newest death, explained"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_the_configuration_is_told_key_by_key() {
        let opened = Config::default();
        assert_eq!(
            reloaded(&opened, &opened, &opened),
            "configuration read again: nothing changed"
        );
        let mut now = Config::default();
        now.store.keep *= 2;
        assert_eq!(
            reloaded(&opened, &opened, &now),
            "configuration read again: store.keep changed"
        );
        let before = now.clone();
        now.sample.every *= 2;
        now.web.per_process = true;
        now.agent.lock_memory = false;
        let text = reloaded(&opened, &before, &now);
        let later = "web.per_process, agent.lock_memory will change at the next start";
        assert_eq!(text, format!("configuration read again: sample.every changed; {later}"));
        assert_eq!(reloaded(&opened, &now, &now), format!("configuration read again: {later}"));
    }
}
