//! `highwater store export-db`: a copy, or plain rows.

use std::path::Path;

use anyhow::Context as _;
use highwater_agent::clock;
use highwater_core::series::Selection;
use highwater_core::text::escape;
use highwater_core::time::WallTime;
use highwater_core::units::Bytes;
use highwater_store::{FILE_NAME, Info, Reader};

use super::bar::Bar;
use super::info::history;
use super::quoted;
use crate::args::{ExportArgs, Since};
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
    let mut exported =
        if args.plain { plain(&reader, args)? } else { copy(&reader, file, &reader.info()?)? };
    exported.bytes = Bytes::new(file.metadata().map_or(0, |data| data.len()));
    exported.notes = reader.caveats().iter().map(|note| said(note)).collect();
    Ok(exported)
}

fn said(text: &str) -> String {
    escape(text.as_bytes()).into_owned()
}

fn copy(reader: &Reader, file: &Path, info: &Info) -> anyhow::Result<Exported> {
    let mut bar = Bar::new();
    let copied = reader.copy_to(file, &mut |at| bar.at("copying", at.done, at.all));
    bar.end();
    copied?;
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
        stretch: history(info),
        next: vec![format!("sqlite3 {word} \"{DEATHS}\""), read],
        ..begun(reader, file, false)
    })
}

fn plain(reader: &Reader, args: &ExportArgs) -> anyhow::Result<Exported> {
    let now = clock::now().wall;
    let moment = |typed: Option<Since>| {
        typed.map(|typed| match typed {
            Since::Ago(span) => now.before(span),
            Since::At(moment) => WallTime::from(moment),
        })
    };
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
    Ok(Exported {
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
