//! `highwater serve`: the Prometheus API over a recording or an import, without recording anything.

pub(crate) mod recorded;
pub(crate) mod teller;

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::Builder;

use anyhow::{Context as _, bail};
use highwater_core::text::escape;
use highwater_store::{Info, KnownMetric};
use highwater_web::{Api, Limits, Site, serve, stopper};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::out::say;
use super::{guard, history};
use crate::args::ServeArgs;
use recorded::Recorded;
use teller::Narrator;

/// Readers that stay open: as many questions are answered at once.
const KEPT: usize = 2;

/// The first question, which nobody asked, ends at so many samples: an hour of a thousand series.
const REHEARSED: usize = 100_000;

/// The server's own thread reads requests and sends answers; questions have threads of their own.
const STACK_BYTES: usize = 2 << 20;

/// Serves until SIGTERM or SIGINT.
pub(crate) fn run(args: &ServeArgs) -> anyhow::Result<ExitCode> {
    let history = history::open(args.data_dir.as_deref())?;
    let Some(reader) = history.reader else {
        match history.remarks.first() {
            Some(remark) => bail!("{remark}"),
            None => bail!("there is no recording to serve: highwater agent or import makes one"),
        }
    };
    for remark in &history.remarks {
        crate::complain(&anyhow::anyhow!(escape(remark.as_bytes()).into_owned()));
    }
    let dir = reader.path().parent().unwrap_or(reader.path()).to_owned();
    let (info, metrics) = (reader.info()?, reader.known_metrics()?);
    drop(reader);
    let (web, rules) = guard::web(args.config.as_deref())?;
    // Before any thread starts, so that no signal finds the process unready.
    let mut signals = Signals::new([SIGTERM, SIGINT]).context("cannot wait for signals")?;
    let listener = TcpListener::bind(args.listen).with_context(|| {
        format!("cannot listen on {}; choose another address with --listen", args.listen)
    })?;
    let address = listener.local_addr().context("cannot tell the address that is listened on")?;
    let limits =
        Limits { timeout: args.timeout, max_samples: args.max_samples, ..Limits::default() };
    let recorded = Arc::new(Recorded::ready(&dir, KEPT)?);
    rehearse(Arc::clone(&recorded), &metrics, &info);
    let api = Api::new(recorded, limits);
    let guard = guard::of(&web, address, say)?;
    let url = format!("{}://{address}", guard.scheme());
    let loaded = Box::new(move || highwater_agent::rules::files(&rules));
    let teller = Narrator::new(&dir, None, loaded).context("cannot find this program")?;
    let site = Site::new(guard).api(Arc::new(api)).teller(Arc::new(teller)).log(say);
    let (stopper, stopping) = stopper();
    let server = Builder::new().name("web".to_owned()).stack_size(STACK_BYTES);
    let handle = signals.handle();
    let server = server.spawn(move || {
        let ended = serve(listener, site, stopping);
        // However it ended, nobody waits for a signal any more.
        handle.close();
        ended
    });
    let server = server.context("cannot start a thread")?;
    // A closed terminal must not end the serving.
    let _unheard = anstream::stdout().write_all(greeting(&dir, &info, &url).as_bytes());
    signals.forever().next();
    stopper.stop();
    match server.join() {
        Ok(ended) => ended.context("no longer served")?,
        Err(_panic) => bail!("the server failed; this is a defect"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks a question whose answer nobody reads, so that nobody waits for what only the first one needs.
fn rehearse(recorded: Arc<Recorded>, metrics: &[KnownMetric], info: &Info) {
    let is_plain = |name: &&str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let name = metrics.iter().map(|metric| metric.name.as_str()).find(is_plain);
    let (Some(name), Some(newest)) = (name, info.newest) else { return };
    let to = newest.millis() / 1000;
    let from = to.saturating_sub(3600);
    let asked = format!("query=sum(rate({name}[5m]))&start={from}&end={to}&step=60");
    let limits = Limits { max_samples: REHEARSED, ..Limits::default() };
    let (_status, _answer) = Api::new(recorded, limits).ask("/api/v1/query_range", &asked, &[]);
}

/// What is served, from when, and what to open next.
fn greeting(dir: &Path, info: &Info, url: &str) -> String {
    let shown = escape(dir.as_os_str().as_encoded_bytes()).into_owned();
    let mut text = format!("highwater {} serves a history\n", env!("CARGO_PKG_VERSION"));
    let mut line = |head: &str, what: &str| {
        // Writing to a String cannot fail.
        writeln!(text, "  {head:<8} {what}").unwrap_or_default();
    };
    line("of", &shown);
    if let (Some(oldest), Some(newest)) = (info.oldest, info.newest) {
        line("from", &format!("{oldest} to {newest}"));
    }
    line("open", &format!("{url}/"));
    line("ask", &format!("{url}/api/v1/labels"));
    line("Grafana", &format!("a data source of the type Prometheus at {url}"));
    text
}
