//! The agent's server: metrics, health and the recording, to whom `[web]` lets in.
//!
//! Recording comes first: where the configured address is taken, the agent records all the same and
//! tries the address again now and then. An address that was typed (`--listen`) is refused at once.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use anyhow::Context as _;
use highwater_agent::Agent;
use highwater_agent::config::Config;
use highwater_web::{Detail, Guard, Site, Stopper, Stopping, serve, stopper};

use super::page::{self, Page};
use crate::cmd::guard;
use crate::cmd::out::say;
use crate::cmd::serve::teller::Narrator;

/// The server's own thread reads requests and sends answers; questions have threads of their own.
const STACK_BYTES: usize = 2 << 20;
/// How often an address is tried that could not be had.
const RETRY: Duration = Duration::from_secs(10);

/// Where the server will be, before the recording begins.
pub(super) struct Place {
    guard: Guard,
    wanted: SocketAddr,
    listener: Result<TcpListener, io::Error>,
}

impl Place {
    /// Takes the address; `None`: nothing is to be served. An address that is `typed` has to be free.
    pub(super) fn take(config: &Config, typed: bool) -> anyhow::Result<Option<Self>> {
        let web = &config.web;
        if !web.enabled {
            return Ok(None);
        }
        let guard = guard::of(web, web.listen, say)?;
        let listener = TcpListener::bind(web.listen);
        match listener {
            Err(error) if typed => Err(error).with_context(|| {
                let listen = web.listen;
                format!("cannot listen on {listen}; --listen takes another address, or off")
            }),
            listener => Ok(Some(Self { guard, wanted: web.listen, listener })),
        }
    }

    /// Serves what `agent` knows.
    pub(super) fn open(self, agent: &Agent, config: &Config) -> anyhow::Result<Server> {
        let Self { guard, wanted, listener } = self;
        let scheme = guard.scheme();
        let readings = Arc::new(Page::new(agent.board(), config));
        let detail = if config.web.per_process { Detail::Processes } else { Detail::Owners };
        let api = page::api(&agent.dir(), agent.board());
        let loaded = page::loaded(agent.board());
        let teller = Narrator::new(&agent.dir(), Some(agent.board()), loaded);
        let teller = teller.context("cannot find this program")?;
        let site = Site::new(guard).readings(readings, detail).api(api);
        let site = site.teller(Arc::new(teller)).log(say);
        let (stopper, stopping) = stopper();
        let (place, work): (_, Box<dyn FnOnce() -> io::Result<()> + Send>) = match listener {
            Ok(listener) => {
                let address = listener.local_addr()?;
                let url = format!("{scheme}://{address}/");
                (Ok(url), Box::new(move || serve(listener, site, stopping)))
            }
            Err(error) => {
                let url = format!("{scheme}://{wanted}/");
                let later = move || serve_later(wanted, &url, site, stopping);
                (Err(told(wanted, &error)), Box::new(later))
            }
        };
        let run = move || {
            if let Err(error) = work() {
                say(&format!("/metrics is no longer served: {error}"));
            }
        };
        let builder = Builder::new().name("web".to_owned()).stack_size(STACK_BYTES);
        let thread = builder.spawn(run).context("cannot start a thread")?;
        Ok(Server { place, stopper, thread })
    }
}

/// Why there is no page yet.
fn told(wanted: SocketAddr, error: &io::Error) -> String {
    let every = RETRY.as_secs();
    format!(
        "cannot listen on {wanted}: {error}; it is tried again every {every} s, --listen and \
         web.listen take another address"
    )
}

/// Waits until the address is free, and serves there.
fn serve_later(
    wanted: SocketAddr,
    url: &str,
    site: Site,
    mut stopping: Stopping,
) -> io::Result<()> {
    while !stopping.within(RETRY)? {
        if let Ok(listener) = TcpListener::bind(wanted) {
            say(&format!("{url} is served now"));
            return serve(listener, site, stopping);
        }
    }
    Ok(())
}

/// The page's server.
pub(super) struct Server {
    /// Where it is; else why it is not yet.
    pub(super) place: Result<String, String>,
    stopper: Stopper,
    thread: JoinHandle<()>,
}

impl Server {
    pub(super) fn close(self) {
        self.stopper.stop();
        let _panicked = self.thread.join();
    }
}
