//! `highwater store export-db`: a copy, or plain rows.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Builder;

use anyhow::Context as _;
use highwater_agent::clock;
use highwater_core::series::Selection;
use highwater_core::text::escape;
use highwater_core::time::WallTime;
use highwater_core::units::Bytes;
use highwater_store::{FILE_NAME, Reader};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use super::bar::Bar;
use super::info::covered;
use crate::args::{ExportArgs, Since};
use crate::cmd::history;
use crate::cmd::refusal::{self, quoted};
use crate::view::store::export::Exported;
use crate::view::store::{DOCUMENT, Stretch, grouped};

/// What a plain export may hold in memory.
const BUDGET: Bytes = Bytes::from_mib(64);

/// When the largest processes were largest, by name.
const LARGEST: &str = "SELECT time, labels->>'comm' AS name, max(value) AS bytes FROM reading \
                       WHERE metric = 'highwater_process_resident_anon_bytes' GROUP BY name \
                       ORDER BY bytes DESC LIMIT 10";

/// The deaths of a copy.
const DEATHS: &str = "SELECT datetime(at_ms / 1000, 'unixepoch') AS time, pid, comm, cgroup FROM \
                      event WHERE kind = 'death'";

/// Exports the recording in `dir`.
pub(super) fn run(args: &ExportArgs, dir: &Path) -> anyhow::Result<Exported> {
    let reader = super::opened(dir)?;
    let file = args.file.as_path();
    // It is made anew in any case; this is to say why not before anything is read.
    anyhow::ensure!(
        file.symlink_metadata().is_err(),
        "{} exists, and nothing is overwritten: choose another name",
        escape(file.as_os_str().as_encoded_bytes())
    );
    let part = Part::new(file)?;
    let exported = if args.plain { plain(&reader, args) } else { copy(&reader, file, dir) };
    part.settle();
    let mut exported = exported?;
    exported.bytes = Bytes::new(file.metadata().map_or(0, |data| data.len()));
    let caveats = history::left_out(&reader, &[]);
    exported.notes.extend(caveats.iter().map(|note| said(note)));
    Ok(exported)
}

/// A file that is being written: who interrupts that finds no half of it.
struct Part {
    begun: Arc<AtomicBool>,
    signals: Handle,
}

impl Part {
    fn new(file: &Path) -> anyhow::Result<Self> {
        let mut signals = Signals::new([SIGTERM, SIGINT]).context("cannot wait for signals")?;
        let (begun, handle) = (Arc::new(AtomicBool::new(true)), signals.handle());
        let (is_begun, file) = (Arc::clone(&begun), file.to_owned());
        let wait = move || {
            for signal in &mut signals {
                if is_begun.load(Ordering::SeqCst) {
                    // Nothing can be done about a directory that is not to be written any more.
                    drop(fs::remove_file(&file));
                }
                // Ends the process as the signal would have.
                drop(signal_hook::low_level::emulate_default_handler(signal));
            }
        };
        let builder = Builder::new().name("interrupted".to_owned());
        builder.spawn(wait).context("cannot wait for signals")?;
        Ok(Self { begun, signals: handle })
    }

    /// It is whole, or was removed.
    fn settle(self) {
        self.begun.store(false, Ordering::SeqCst);
        self.signals.close();
    }
}

fn said(text: &str) -> String {
    escape(text.as_bytes()).into_owned()
}

fn copy(reader: &Reader, file: &Path, from: &Path) -> anyhow::Result<Exported> {
    let info = reader.info()?;
    let mut bar = Bar::new();
    let copied = reader.copy_to(file, &mut |at| bar.at("copying", at.done, at.all));
    copied?;
    let damage = damage(reader, &mut bar, from);
    bar.end();
    let word = quoted(file);
    let read = match (file.file_name(), file.parent()) {
        (Some(name), Some(dir)) if name == FILE_NAME => {
            let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
            format!("highwater why --data-dir {}", quoted(dir))
        }
        _ => format!("mkdir copy && mv {word} copy/{FILE_NAME} && highwater why --data-dir copy"),
    };
    Ok(Exported {
        samples: None,
        series: None,
        events: None,
        stretch: covered(&info),
        notes: damage.into_iter().collect(),
        next: vec![format!("sqlite3 {word} \"{DEATHS}\""), read],
        ..begun(reader, file, false)
    })
}

/// That the copy is damaged as the recording is: pages are copied as they stand.
fn damage(reader: &Reader, bar: &mut Bar, dir: &Path) -> Option<String> {
    let checked =
        reader.check(&mut |at| bar.at(&format!("checking {}", at.doing), at.done, at.all));
    let check = format!("highwater store check{}", refusal::option(dir));
    let Ok(report) = checked else {
        return Some(format!("whether the copy is whole could not be told: {check}"));
    };
    let listed = report.structure.len().saturating_add(report.damaged.len());
    let places = u64::try_from(listed).unwrap_or(u64::MAX).saturating_add(report.more_damaged);
    let counted = match places {
        0 => return None,
        1 => "1 place".to_owned(),
        _ => format!("{} places", grouped(places)),
    };
    Some(format!(
        "the recording is damaged in {counted}, and so is the copy; what is lost, tells {check}"
    ))
}

fn plain(reader: &Reader, args: &ExportArgs) -> anyhow::Result<Exported> {
    let now = clock::now().wall;
    let moment = |typed: Option<Since>| typed.map(|typed| typed.moment(now));
    // Moments of a clock that was set back are shown earlier than they were recorded, so the range
    // of all there is has no ends.
    let from = moment(args.since).unwrap_or(WallTime::from_millis(i64::MIN));
    let to = moment(args.until).unwrap_or(WallTime::from_millis(i64::MAX));
    anyhow::ensure!(from <= to, "--since {from} is after --until {to}: nothing lies between them");
    let selection = Selection { matchers: vec![], from, to, step: None, ends: false };
    let mut bar = Bar::new();
    let tell = &mut |so_far: highwater_store::Exported| {
        bar.at(&format!("writing, {} samples", grouped(so_far.samples)), 0, 0);
    };
    let exported = reader.export_to(&args.file, &selection, BUDGET, tell);
    bar.end();
    let exported = exported.context("nothing is left of what was begun")?;
    let covered = covered(&reader.info()?).map(|Stretch { from, to }| {
        format!("; the recording covers {} to {} (UTC)", from.second(), to.second())
    });
    let is_empty = exported.samples == 0 && exported.events == 0;
    let empty = is_empty
        .then(|| format!("nothing on record lies in that range{}", covered.unwrap_or_default()));
    Ok(Exported {
        notes: empty.into_iter().collect(),
        samples: Some(exported.samples),
        series: Some(exported.series),
        events: Some(exported.events),
        stretch: exported.range.map(|(from, to)| Stretch::new(from, to)),
        next: vec![format!("sqlite3 -box {} \"{LARGEST}\"", quoted(&args.file))],
        ..begun(reader, &args.file, true)
    })
}

fn begun(reader: &Reader, file: &Path, plain: bool) -> Exported {
    let text = |path: &Path| escape(path.as_os_str().as_encoded_bytes()).into_owned();
    Exported {
        schema: DOCUMENT,
        from: text(reader.path()),
        file: text(file),
        bytes: Bytes::ZERO,
        plain,
        samples: None,
        series: None,
        events: None,
        stretch: None,
        next: vec![],
        notes: vec![],
    }
}
