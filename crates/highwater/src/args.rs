//! What can be typed.

mod backtest;
mod notify;
mod query;
mod rules;
mod series;
mod serve;
mod store;
mod websecret;

use std::path::PathBuf;
use std::time::Duration;

pub(crate) use backtest::{BacktestArgs, TrialArgs};
use clap::builder::NonEmptyStringValueParser;
use clap::{Parser, Subcommand};
use clap_complete::Shell;
use highwater_agent::config::{Config, ConfigError, Wrong};
use highwater_core::time::WallTime;
use highwater_core::units::Bytes;
pub(crate) use notify::{NotifyArgs, NotifyCommand, NotifyTestArgs};
pub(crate) use query::QueryArgs;
pub(crate) use rules::{RuleFilesArgs, RulesArgs, RulesCommand};
pub(crate) use series::{ExportSeriesArgs, ImportArgs};
pub(crate) use serve::ServeArgs;
pub(crate) use store::{CompactArgs, ExportArgs, InfoArgs, StoreArgs, StoreCommand};
pub(crate) use websecret::WebSecretArgs;

/// highwater tells you why a process died, and how this machine's memory fares.
///
/// Without a command it makes a check-up of this machine.
#[derive(Debug, Parser)]
#[command(name = "highwater", version, max_term_width = 80)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) checkup: CheckupArgs,
}

impl Args {
    /// What was typed before the command counts as if typed behind it.
    pub(crate) fn into_command(self) -> Result<Command, clap::Error> {
        let Some(mut command) = self.command else { return Ok(Command::Checkup(self.checkup)) };
        let CheckupArgs { json, anonymize, data_dir } = self.checkup;
        let dir = |own: &mut Option<PathBuf>| *own = own.take().or(data_dir.clone());
        // What the command does not take.
        let mut stray = [json.then_some("--json"), anonymize.then_some("--anonymize"), None];
        match &mut command {
            Command::Why(WhyArgs { json: in_json, anonymize: masked, data_dir, .. })
            | Command::Restarts(RestartsArgs {
                json: in_json, anonymize: masked, data_dir, ..
            })
            | Command::Checkup(CheckupArgs { json: in_json, anonymize: masked, data_dir }) => {
                *in_json |= json;
                *masked |= anonymize;
                dir(data_dir);
                stray = [None; 3];
            }
            Command::Leaks(args) => {
                args.json |= json;
                dir(&mut args.data_dir);
                stray = [None, stray[1], None];
            }
            Command::Import(args) => {
                args.json |= json;
                dir(&mut args.data_dir);
                stray = [None, stray[1], None];
            }
            Command::Query(args) => {
                args.json |= json;
                dir(&mut args.data_dir);
                stray = [None, stray[1], None];
            }
            Command::Export(args) => dir(&mut args.data_dir),
            Command::Agent(args) => dir(&mut args.data_dir),
            Command::Look(args) => dir(&mut args.data_dir),
            Command::Tell(args) => dir(&mut args.data_dir),
            Command::Serve(args) => dir(&mut args.data_dir),
            Command::Rules(args) => {
                args.json |= json;
                dir(&mut args.data_dir);
                stray = [None, stray[1], None];
            }
            Command::Store(args) => {
                args.json |= json;
                dir(&mut args.data_dir);
                stray = [None, stray[1], None];
            }
            Command::Notify(NotifyArgs { command: NotifyCommand::Test(args) }) => {
                args.json |= json;
                stray = [None, stray[1], data_dir.map(|_| "--data-dir")];
            }
            Command::Completions(_) | Command::Man(_) | Command::WebSecret(_) => {
                stray[2] = data_dir.map(|_| "--data-dir");
            }
        }
        let stray = stray.into_iter().flatten().next();
        match stray {
            None => Ok(command),
            Some(option) => Err(<Self as clap::CommandFactory>::command().error(
                clap::error::ErrorKind::ArgumentConflict,
                format!("{option} means nothing to this command"),
            )),
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Explain why a process, a service or a container died
    Why(WhyArgs),
    /// Tell how often services and containers restart, why, and who could have missed it
    Restarts(RestartsArgs),
    /// Tell what grows, whose it is, of what kind, and how long is left
    Leaks(LeaksArgs),
    /// Ask the recording, or a server, in PromQL
    Query(QueryArgs),
    /// Check alert rules, test them, and have them go through a history
    Rules(RulesArgs),
    /// Judge this machine's memory now, on one screen
    Checkup(CheckupArgs),
    /// Record this machine
    Agent(AgentArgs),
    /// Serve a history to Grafana, promtool and curl, without recording anything
    Serve(ServeArgs),
    /// Judge what grows once, for the agent
    #[command(hide = true)]
    Look(LookArgs),
    /// Try whether those who are told of alerts can be told
    Notify(NotifyArgs),
    /// Tell the page a document, for the server that was asked
    #[command(hide = true)]
    Tell(TellArgs),
    /// Import series that another program recorded: OpenMetrics, sadf -j, vmstat -t
    Import(ImportArgs),
    /// Export series as OpenMetrics text
    Export(ExportSeriesArgs),
    /// Look after the recording: what there is, whether it is whole, room, copies
    Store(StoreArgs),
    /// Make what the configuration keeps of a token or a password
    WebSecret(WebSecretArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Print a manual page, or write all of them into a directory
    Man(ManArgs),
}

/// Explain why a process, a service or a container died: who ended it, what for, and what shows that.
///
/// Existing files and pipes are read as logs: dmesg, journalctl (-o json and export have
/// most), syslog, a copy of /dev/kmsg, also compressed; - is standard input; a quoted pattern ('/var/log/kern.log*') stands for the files that
/// match. A death that is told in several of them is one. Any other TARGET, one at most, says whom to
/// explain: a pid, a process name, a systemd unit, a container's id or name, a pod, a cgroup's path (also
/// as below /sys/fs/cgroup); without a log it is looked up in the deaths on record and in the kernel's
/// log. Without anything the recent deaths are listed and the newest is explained: of those that nobody
/// wanted; --all has every end.
///
/// Exit status: 0 explained, or nobody died; 1 nobody who died is called TARGET, or an input cannot be
/// read, or not to its end (the rest is explained all the same); 64 usage.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct WhyArgs {
    /// Log files (- is standard input), and whom to explain: pid, name, unit, container, cgroup
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) target: Vec<String>,
    /// Read this log; - is standard input. May be given several times
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Vec<PathBuf>,
    /// Only deaths since then: 2h, 7d, today, 2026-11-20, '2026-11-20 08:00' (UTC)
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub(crate) since: Option<Since>,
    /// Also what was wanted, such as systemctl stop, and every command that failed
    #[arg(long)]
    pub(crate) all: bool,
    /// Answer in JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Mask the names of processes, units, containers, hosts and files, to share the answer
    #[arg(long)]
    pub(crate) anonymize: bool,
    /// Also write each report to a file of its own in this directory; none is overwritten
    #[arg(long, value_name = "DIR")]
    pub(crate) split: Option<PathBuf>,
    /// Where the agent keeps its data
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// Tell how often services and containers restart, why, and who could have missed it.
///
/// Each start and end that the agent recorded, with its cause, how long it was up and down, and what
/// memory it held; storms (3 ends in 10 min, or 5 within the window), ends that come round by the
/// clock, units that are started again for ever, and the chance that a program that polls saw none of
/// it. OWNER is a unit, a container's name or id, or a pod; without one all are listed, the stormiest
/// first.
///
/// Exit status: 0 told; 1 there is no recording, or nobody of that name; 64 usage.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct RestartsArgs {
    /// Whose restarts: a unit, a container's name or id, a pod
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) owner: Option<String>,
    /// Only ends since then: 2h, 7d, today, 2026-11-20, '2026-11-20 08:00' (UTC)
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub(crate) since: Option<Since>,
    /// In how long 5 ends are a storm
    #[arg(long, value_name = "SPAN", value_parser = span, default_value = "1h")]
    pub(crate) window: Option<Duration>,
    /// How often the programs look that may have missed it
    #[arg(long, value_name = "SPAN,…", value_parser = span, value_delimiter = ',', default_value = "15s,30s,60s")]
    pub(crate) scrape: Vec<Duration>,
    /// Answer in JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Mask the names of units and containers, to share the answer
    #[arg(long)]
    pub(crate) anonymize: bool,
    /// Where the agent keeps its data
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// Tell what grows, whose it is, of what kind, and how long is left.
///
/// Judges all that is on record: memory of every kind, descriptors, threads, processes, logs, images,
/// disks. A leak is an accusation: what the kernel takes back, what warms up, follows its load or goes
/// up and down with the day is told as that. OWNER is a unit, a container, a pod, a cgroup's path, a
/// file system or a log; it is explained in depth: its course, its lives, what else moved, the root
/// causes with what speaks for and against each. Without one, what grows is listed, the most urgent first.
///
/// Exit status: 0 told; 1 there is no recording, or nobody of that name; 64 usage.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct LeaksArgs {
    /// Whose growth to explain: a unit, a container, a pod, a cgroup, a mount point, a log file
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) owner: Option<String>,
    /// Judge as of then, from nothing later: seconds since 1970, or as for --since
    #[arg(long, value_name = "TIME", value_parser = as_of)]
    pub(crate) at: Option<Since>,
    /// Look no further back than this; else 30 days: 2h, 7d, 2026-11-20
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub(crate) since: Option<Since>,
    /// Also read what the processes of OWNER that grew have mapped, twice, so far apart: 10s
    #[arg(long, value_name = "SPAN", value_parser = span, requires = "owner", conflicts_with = "at")]
    pub(crate) watch: Option<Duration>,
    /// Also what is steady
    #[arg(long)]
    pub(crate) all: bool,
    /// Answer in JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Where the agent keeps its data, or what was imported
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// Judge what grows once, for the agent that records: its answer is for that agent alone.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct LookArgs {
    /// From when on to read what was told: milliseconds since 1970
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub(crate) told_since: i64,
    /// Where the agent keeps its data
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// Tell the page a document: the answer is for the server that was asked.
#[derive(Debug, clap::Args)]
pub(crate) struct TellArgs {
    /// What to tell
    #[arg(value_enum)]
    pub(crate) what: Told,
    /// Which death
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
    /// What goes through the history
    #[command(flatten)]
    pub(crate) trial: TrialArgs,
    /// Where the agent keeps its data
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// A document of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Told {
    /// The check-up
    Now,
    /// What grows
    Growth,
    /// The list of deaths
    Deaths,
    /// One of them
    Death,
    /// Marks on an axis of time
    Events,
    /// The lives of services and containers
    Restarts,
    /// What rules would have done
    Backtest,
}

/// Judge this machine's memory now, on one screen.
///
/// Exit status: 0 fine, 1 warning, 2 critical, 3 unknown; 64 usage.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct CheckupArgs {
    /// Answer in JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Mask the names of processes, units, containers and directories, to share the answer
    #[arg(long)]
    pub(crate) anonymize: bool,
    /// Where the agent keeps its data
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// Record this machine.
#[derive(Debug, clap::Args)]
pub(crate) struct AgentArgs {
    /// Where to keep the data
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Read this configuration
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Serve /metrics and /healthz here; `off` serves nothing
    #[arg(long, value_name = "ADDRESS", value_parser = listen)]
    pub(crate) listen: Option<Listen>,
    /// Print the configuration with every key explained, and end
    #[arg(long)]
    pub(crate) print_config: bool,
}

/// Print a completion script for a shell.
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// Which shell
    pub(crate) shell: Shell,
}

/// Print the manual page, or write all of them into a directory.
#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {
    /// The page of this command, in place of the main one: why, store info
    #[arg(conflicts_with = "dir")]
    pub(crate) command: Vec<String>,
    /// Write highwater.1, highwater-why.1, … into this directory
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

/// Where the page is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listen {
    /// Nowhere.
    Off,
    /// Here.
    At(std::net::SocketAddr),
}

/// `off`, or an address and a port.
fn listen(text: &str) -> Result<Listen, String> {
    match text {
        "off" => Ok(Listen::Off),
        _ => text.parse().map(Listen::At).map_err(|_| {
            "neither `off` nor an address and a port, as in 127.0.0.1:9477".to_owned()
        }),
    }
}

/// The beginning of a range of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// So long before now.
    Ago(std::time::Duration),
    /// At this moment.
    At(jiff::Timestamp),
    /// When the day began, in UTC, that was so many days before today.
    Day(u8),
}

impl Since {
    /// Which moment that is at `now`.
    pub(crate) fn moment(self, now: WallTime) -> WallTime {
        const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;
        match self {
            Self::Ago(length) => now.before(length),
            Self::At(moment) => WallTime::from(moment),
            Self::Day(before) => {
                let days = now.millis().div_euclid(DAY_MILLIS) - i64::from(before);
                WallTime::from_millis(days.saturating_mul(DAY_MILLIS))
            }
        }
    }
}

/// `2h`, `7d`, `1h30m`, a date or time in UTC, or a moment with its zone.
fn since(text: &str) -> Result<Since, String> {
    if let Some(moment) = date(text) {
        return Ok(moment);
    }
    let span: jiff::Span = text.parse().map_err(|_| {
        "neither a span (2h, 7d) nor a date or time in UTC (2026-11-20, '2026-11-20 08:00', today, \
         yesterday) nor one with its zone (2026-11-20T08:00:00+01:00)"
            .to_owned()
    })?;
    // A day is 24 hours here, and a week seven of them: nobody means the change of the clocks.
    let length = span
        .to_duration(jiff::SpanRelativeTo::days_are_24_hours())
        .map_err(|_| "months and years have no fixed length; say it in days".to_owned())?;
    Ok(Since::Ago(length.unsigned_abs()))
}

/// Seconds since 1970, with or without a fraction, or what [`since`] takes.
fn as_of(text: &str) -> Result<Since, String> {
    /// With fewer digits it is a year or a slip.
    const LEAST_DIGITS: usize = 6;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.len() < LEAST_DIGITS || !all_digits(whole) || !all_digits(fraction) {
        return since(text);
    }
    let millis = fraction.bytes().chain([b'0'; 3]).take(3);
    let millis = millis.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    let moment = whole.parse::<i64>().ok().and_then(|seconds| seconds.checked_mul(1000));
    let moment = moment.and_then(|ms| jiff::Timestamp::from_millisecond(ms + millis).ok());
    moment.map(Since::At).ok_or_else(|| "no moment that a calendar has".to_owned())
}

/// A date, a time of a date, in UTC if no zone is told.
fn date(text: &str) -> Option<Since> {
    match text {
        "today" => return Some(Since::Day(0)),
        "yesterday" => return Some(Since::Day(1)),
        _ => {}
    }
    if let Ok(moment) = text.parse::<jiff::Timestamp>() {
        return Some(Since::At(moment));
    }
    let text = text.strip_suffix(" UTC").unwrap_or(text);
    let civil = text.parse::<jiff::civil::DateTime>().ok()?;
    Some(Since::At(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp()))
}

/// `90s`, `1h`, `7d`: longer than nothing.
fn span(text: &str) -> Result<Duration, String> {
    match since(text) {
        Ok(Since::Ago(length)) if !length.is_zero() => Ok(length),
        _ => Err("no span of time: 15s, 10min, 1h".to_owned()),
    }
}

fn keep(text: &str) -> Result<Duration, String> {
    configured("keep", text).map(|config| config.store.keep)
}

fn keep_minutes(text: &str) -> Result<Duration, String> {
    configured("keep_minutes", text).map(|config| config.store.keep_minutes)
}

fn keep_ten_minutes(text: &str) -> Result<Duration, String> {
    configured("keep_ten_minutes", text).map(|config| config.store.keep_ten_minutes)
}

fn budget(text: &str) -> Result<Bytes, String> {
    configured("budget", text).map(|config| config.store.budget)
}

/// What `text` is as the value of a key of `[store]`: one way to write an amount, and one set of
/// bounds, for the file and the command line.
fn configured(key: &str, text: &str) -> Result<Config, String> {
    // A string of JSON is one of TOML.
    let value = serde_json::Value::from(text);
    Config::parse(&format!("[store]\n{key} = {value}\n"), "").map_err(|error| match error {
        ConfigError::Faults(faults) => match faults.first().map(|fault| &fault.wrong) {
            Some(Wrong::BadValue { why, allowed, .. }) => format!("{why}; allowed is {allowed}"),
            _ => "no such value".to_owned(),
        },
        other => other.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn since_takes_spans_and_moments() {
        assert_eq!(since("2h"), Ok(Since::Ago(Duration::from_hours(2))));
        assert_eq!(since("7d"), Ok(Since::Ago(Duration::from_hours(168))));
        assert!(matches!(since("2026-11-20T08:00:00Z"), Ok(Since::At(_))));
        for wrong in ["", "tomorrow", "3", "2026-13-20", "1mo"] {
            assert!(since(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_moment_may_be_seconds_since_1970() {
        let now = WallTime::from_millis(0);
        let moment = |text: &str| as_of(text).map(|since| since.moment(now).millis());
        assert_eq!(moment("1714207632"), Ok(1_714_207_632_000));
        assert_eq!(moment("1714207632.5"), Ok(1_714_207_632_500));
        assert_eq!(moment("1714207632.1239"), Ok(1_714_207_632_123));
        assert_eq!(moment("2024-04-27T08:47:12Z"), Ok(1_714_207_632_000));
        for wrong in ["", "7", "99999999999999999999", "1714207632.x", "-1714207632"] {
            assert!(as_of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn since_takes_dates_in_utc() {
        let now = WallTime::from(("2026-11-21T10:30:00Z").parse::<jiff::Timestamp>().unwrap());
        for (typed, meant) in [
            ("today", "2026-11-21T00:00:00.000Z"),
            ("yesterday", "2026-11-20T00:00:00.000Z"),
            ("2026-11-20", "2026-11-20T00:00:00.000Z"),
            ("2026-11-20 UTC", "2026-11-20T00:00:00.000Z"),
            ("2026-11-20 08:05", "2026-11-20T08:05:00.000Z"),
            ("2026-11-20 08:05:07 UTC", "2026-11-20T08:05:07.000Z"),
            ("2026-11-20T08:00:00+02:00", "2026-11-20T06:00:00.000Z"),
        ] {
            let moment = since(typed).unwrap().moment(now);
            assert_eq!(moment.to_string(), meant, "{typed}");
        }
    }

    #[test]
    fn amounts_are_written_as_in_the_configuration() {
        assert_eq!(keep("1d12h"), Ok(Duration::from_hours(36)));
        assert_eq!(budget("512MiB"), Ok(Bytes::from_mib(512)));
        for wrong in ["", "7", "7 parsecs", "1s\"\nkeep = \"1h"] {
            let said = keep(wrong).unwrap_err();
            assert!(said.contains("allowed is a duration from"), "{wrong:?}: {said}");
        }
    }

    #[test]
    fn options_of_a_store_command_stand_before_or_behind_it() {
        for typed in [
            &["highwater", "--json", "--data-dir", "/x", "store", "info"][..],
            &["highwater", "store", "--json", "info", "--data-dir", "/x"],
            &["highwater", "store", "info", "--data-dir", "/x", "--json"],
        ] {
            let command = Args::try_parse_from(typed).unwrap().into_command().unwrap();
            let Command::Store(args) = command else { panic!("{command:?}") };
            assert!(args.json && args.data_dir == Some(PathBuf::from("/x")), "{args:?}");
        }
    }
}
