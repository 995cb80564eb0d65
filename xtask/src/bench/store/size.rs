//! `bench store size`: bytes a sample.
//!
//! A sample is one value of one series at one moment. What is kept besides (the coarser tiers, the
//! names) is paid for, and not counted.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use highwater_core::frame::Frame;
use highwater_core::metric;
use highwater_core::time::{BootId, BootTime, Stamp};
use highwater_core::units::Bytes;
use highwater_store::{Keep, Reader, Store};

use super::feed::{self, Feed, Times};
use super::figures::{line, met, per, print_levels};
use super::kept::Kept;
use super::months::{self, BOOT};
use super::pages::Pages;
use super::peers::{self, Victoria};
use super::recording::{Overview, Recording};
use super::replay::Replay;

/// As much is handed to a server at once.
const PIECE: usize = 16 << 20;

/// Bytes a sample of sealed data.
const GOAL: f64 = 0.6;

/// By then the days of the recording are over.
const LATER: Duration = Duration::from_hours(48);

/// How it is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The data directory of an agent that recorded for two hours or so; it may still be running.
    #[arg(long, value_name = "DIR")]
    recorded: PathBuf,
    /// How many days the recording is replayed for; 0: not.
    #[arg(long, default_value_t = 30)]
    days: u32,
    /// Keep every process that is on record, not only those that an agent keeps by itself.
    #[arg(long)]
    all_processes: bool,
    /// Leave the other stores out.
    #[arg(long)]
    alone: bool,
    /// Keep all samples as they were taken, not only those of the last week as an agent does.
    #[arg(long)]
    all_raw: bool,
}

/// Measures, and prints the tables.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let desk = super::Desk::new("size")?;
    let recording = Recording::copy(&options.recorded, &desk.path().join("recording.db"))?;
    let overview = recording.overview()?;
    let kept = (!options.all_processes).then(Kept::new);
    let mut replay = Replay::new(&recording, &overview, kept);
    let samples = describe(&recording, &overview, &replay)?;
    seal(&replay, &desk.path().join("sealed"), samples)?;
    if !options.alone {
        beside(&replay, desk.path(), samples)?;
    }
    if options.days > 0 {
        let days = Duration::from_hours(24 * u64::from(options.days + 1));
        let usual = Keep { budget: Bytes::from_mib(1 << 20), ..Keep::default() };
        let (keep, how) = if options.all_raw {
            (Keep { raw: days, minute: days, ..usual }, "every sample kept")
        } else {
            (usual, "kept as an agent keeps them by itself")
        };
        let name = format!("{} days, {how}", options.days);
        months::live(&mut replay, &desk.path().join("all"), options.days, &keep, &name)?;
    }
    Ok(())
}

/// Says what the recording holds; how many samples.
fn describe(
    recording: &Recording,
    overview: &Overview,
    replay: &Replay<'_>,
) -> anyhow::Result<u64> {
    let machine = metric::machine();
    let mut groups = [0; 5];
    replay.plain(|frame| {
        for (all, more) in groups.iter_mut().zip(feed::numbers(frame, &machine)) {
            *all += more;
        }
        Ok(())
    })?;
    println!(
        "the recording: {:.2} h, {} readings ({} of everything), {} things on record",
        overview.last.wall.since(overview.first.wall).as_secs_f64() / 3600.0,
        overview.readings,
        overview.whole,
        recording.entities.len(),
    );
    for (name, samples) in feed::GROUPS.iter().zip(groups) {
        println!("  {name:10} {samples:>12} samples");
    }
    let all = groups.iter().sum();
    println!("  {:10} {all:>12} samples", "all");
    Ok(all)
}

/// Stores the recording as it is, seals all of it, and weighs that; then as of a day that is over.
fn seal(replay: &Replay<'_>, dir: &Path, samples: u64) -> anyhow::Result<()> {
    let (boot, keep): (BootId, _) = (BOOT.parse()?, Keep::default());
    fs::create_dir_all(dir)?;
    let mut store = Store::open(dir)?;
    let mut last = Stamp::default();
    replay.plain(|frame| {
        last = frame.stamp;
        store.append(frame, boot)?;
        Ok(())
    })?;
    store.settle(after(last, Duration::ZERO), &keep, &mut |_| {})?;
    drop(store);
    println!("sealed:");
    let pages = weigh(dir)?;
    line("sealed, with times, pages, indices", pages.sealed, samples);
    line("what it is about", pages.entities, samples);
    println!("  the goal of {GOAL} bytes a sample is {}", met(per(pages.sealed, samples) <= GOAL));
    // A reading from beyond its end is what says that a day is over.
    let mut store = Store::open(dir)?;
    let beyond = Frame { stamp: after(last, LATER), ..Frame::default() };
    store.append(&beyond, boot)?;
    while store.maintain(beyond.stamp, &keep)?.more {}
    drop(store);
    println!("compacted, as after the end of the day:");
    let pages = weigh(dir)?;
    line("the same, and by the minute", pages.sealed, samples);
    Ok(())
}

fn weigh(dir: &Path) -> anyhow::Result<Pages> {
    print_levels(&Reader::open(dir)?.info()?);
    Pages::of(dir)
}

fn after(stamp: Stamp, span: Duration) -> Stamp {
    let more = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
    let boot = BootTime::from_micros(stamp.boot.micros().saturating_add(more));
    Stamp { wall: stamp.wall.after(span), boot }
}

/// Feeds the recording to other stores and weighs what they make of it.
fn beside(replay: &Replay<'_>, desk: &Path, samples: u64) -> anyhow::Result<()> {
    println!("beside it, fed the same:");
    if peers::is_installed("promtool") {
        let text = desk.join("recording.om");
        write_text(replay, &text)?;
        let bytes = peers::prometheus(&text, &desk.join("prometheus"))?;
        line("Prometheus, one block", bytes, samples);
        let chunks = peers::named_bytes(&desk.join("prometheus"), "chunks")?;
        line("  of it the samples", chunks, samples);
        fs::remove_file(text)?;
    }
    if peers::is_installed("victoria-metrics") {
        let folder = desk.join("victoria");
        let server = Victoria::start(&folder)?;
        feed_server(replay, &server)?;
        server.merge()?;
        server.end()?;
        let (data, index) = (folder.join("data"), folder.join("indexdb"));
        let (data, index) = (peers::folder_bytes(&data)?, peers::folder_bytes(&index)?);
        line("VictoriaMetrics, merged", data + index, samples);
        line("  of it the samples", data, samples);
    }
    Ok(())
}

fn write_text(replay: &Replay<'_>, file: &Path) -> anyhow::Result<()> {
    let mut out = BufWriter::new(File::create(file).context("cannot write the text")?);
    let (mut feed, mut lines) = (Feed::new(Times::Seconds), String::new());
    replay.plain(|frame| {
        lines.clear();
        feed.lines(frame, &mut lines);
        Ok(out.write_all(lines.as_bytes())?)
    })?;
    out.write_all(b"# EOF\n")?;
    Ok(out.flush()?)
}

fn feed_server(replay: &Replay<'_>, server: &Victoria) -> anyhow::Result<()> {
    let (mut feed, mut lines) = (Feed::new(Times::Millis), String::new());
    replay.plain(|frame| {
        feed.lines(frame, &mut lines);
        if lines.len() > PIECE {
            server.import(&lines)?;
            lines.clear();
        }
        Ok(())
    })?;
    server.import(&lines)
}
