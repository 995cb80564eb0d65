//! The recording lived again for days: what the history grows to, and what keeping it costs.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use highwater_core::frame::Frame;
use highwater_core::metric;
use highwater_core::time::BootId;
use highwater_store::{Keep, Reader, Store, Work};

use super::cost;
use super::feed;
use super::figures::{met, per, print_levels};
use super::pages::Pages;
use super::replay::Replay;

const DAY_MS: i64 = 24 * 3_600_000;

/// Bytes of the whole file a sample, once there are weeks of it.
const GOAL: f64 = 0.7;

/// A boot that never was.
pub(super) const BOOT: &str = "5ea1ed00000000000000000000000001";

/// What the store did, and what it cost.
#[derive(Default)]
struct Toil {
    frames: u64,
    samples: u64,
    append: Duration,
    seal: Duration,
    compact: Duration,
    forget: Duration,
    longest: [Duration; 3],
    steps: u64,
    damaged: usize,
}

/// Replays `days` days into the new directory `dir`, and prints what came of it.
pub(super) fn live(
    replay: &mut Replay<'_>,
    dir: &Path,
    days: u32,
    keep: &Keep,
    name: &str,
) -> anyhow::Result<()> {
    fs::create_dir_all(dir)?;
    let boot: BootId = BOOT.parse()?;
    let mut store = Store::open(dir)?;
    let machine = metric::machine();
    let span_ms = DAY_MS.saturating_mul(days.into());
    let (mut work, mut first, mut day) = (Toil::default(), None, 0);
    // Once for nothing, so that what the replay itself takes is known.
    replay.lap(0, |_| Ok(()))?;
    let (_, before_kib) = cost::memory_kib()?;
    cost::forget_peak()?;
    for lap in 1.. {
        let mut over = false;
        replay.lap(lap, |frame| {
            let now = frame.stamp.wall.millis();
            let since = now - *first.get_or_insert(now);
            over = since >= span_ms;
            if over {
                return Ok(());
            }
            if since / DAY_MS > day {
                day = since / DAY_MS;
                progress(&store, day, work.samples)?;
            }
            work.samples += feed::numbers(frame, &machine).iter().sum::<u64>();
            work.take(&mut store, frame, boot, keep)
        })?;
        if over {
            break;
        }
    }
    let (_, peak_kib) = cost::memory_kib()?;
    drop(store);
    work.print(name, days, (before_kib, peak_kib));
    weigh(dir, work.samples, keep, days)
}

fn progress(store: &Store, day: i64, samples: u64) -> anyhow::Result<()> {
    let size = store.size()?;
    let bytes = size.database.get().saturating_add(size.wal.get());
    println!(
        "  day {day:3}: {samples:>12} samples, {bytes:>12} bytes, {:.3} a sample",
        per(bytes, samples)
    );
    Ok(())
}

impl Toil {
    /// Stores a frame, and does all chores that are due.
    fn take(
        &mut self,
        store: &mut Store,
        frame: &Frame,
        boot: BootId,
        keep: &Keep,
    ) -> anyhow::Result<()> {
        let begun = cost::processor();
        store.append(frame, boot)?;
        let mut last = cost::processor();
        self.frames += 1;
        self.append += last.saturating_sub(begun);
        loop {
            let done = store.maintain(frame.stamp, keep)?;
            let now = cost::processor();
            let spent = now.saturating_sub(last);
            last = now;
            let [seal, compact, forget] = &mut self.longest;
            let (all, longest) = match done.work {
                Work::Sealed => (&mut self.seal, seal),
                Work::Compacted => (&mut self.compact, compact),
                _ => (&mut self.forget, forget),
            };
            *all += spent;
            *longest = spent.max(*longest);
            self.steps += u64::from(done.work != Work::Idle);
            self.damaged += done.damaged;
            if !done.more {
                return Ok(());
            }
        }
    }

    fn print(&self, name: &str, days: u32, (before, peak): (u64, u64)) {
        let days = f64::from(days);
        let all = self.append + self.seal + self.compact + self.forget;
        let ms = |spent: Duration, of: f64| spent.as_secs_f64() * 1000.0 / of.max(1.0);
        println!(
            "{name}: {} readings, {} samples, {} damaged",
            self.frames, self.samples, self.damaged
        );
        println!("  processor time");
        println!("    a reading, stored          {:>9.3} ms", ms(self.append, float(self.frames)));
        println!("    ten minutes, sealed        {:>9.2} ms", ms(self.seal, days * 144.0));
        println!("    a day, compacted           {:>9.0} ms", ms(self.compact, days));
        println!("    a day's forgetting         {:>9.0} ms", ms(self.forget, days));
        let [seal, compact, forget] = self.longest.map(|spent| ms(spent, 1.0));
        println!(
            "    the longest of {} steps: sealing {seal:.1}, compacting {compact:.1}, forgetting {forget:.1} ms",
            self.steps
        );
        println!(
            "    all of it                  {:>9.4} % of a core",
            all.as_secs_f64() / (days * 864.0)
        );
        println!(
            "  memory: {before} KiB for the replay alone, {peak} KiB with the store, at the most"
        );
    }
}

#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "figures for people")]
fn float(count: u64) -> f64 {
    count as f64
}

/// Says what the file takes.
fn weigh(dir: &Path, recorded: u64, keep: &Keep, days: u32) -> anyhow::Result<()> {
    let pages = Pages::of(dir)?;
    let reader = Reader::open(dir).context("the store left no history")?;
    let info = reader.info()?;
    print_levels(&info);
    let raw: u64 =
        info.levels.iter().filter(|level| level.tier == 0).filter_map(|level| level.samples).sum();
    println!("  entities {:>6}, {:>11} bytes of pages", info.entities, pages.entities);
    println!(
        "  of {} bytes: sealed {}, ticks {}, free {}, rest {}",
        pages.all(),
        pages.sealed,
        pages.ticks,
        pages.free,
        pages.rest
    );
    println!(
        "  the whole file is {:.3} bytes for each of {recorded} samples recorded",
        per(pages.all(), recorded)
    );
    println!(
        "  and {:.3} for each of {raw} that are still there one by one",
        per(pages.all(), raw)
    );
    let kept = keep.raw.as_secs() >= u64::from(days) * 86_400;
    if kept {
        let is = per(pages.all(), recorded);
        println!("  the goal of {GOAL} bytes a sample is {}", met(is <= GOAL));
    }
    Ok(())
}
