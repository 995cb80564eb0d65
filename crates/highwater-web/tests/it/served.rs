//! A server on a free port of the loopback, and those who ask it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use highwater_core::time::WallTime;
use highwater_web::{
    Api, Detail, Guard, Limits, Patience, Protection, Site, Stopper, Teller, serve, stopper,
};

use crate::api::history::Shelf;
use crate::machine::Still;

/// How long an answer may take before the test fails instead of hanging.
pub(crate) const HANGS: Duration = Duration::from_secs(30);

/// A running server.
pub(crate) struct Served {
    pub(crate) at: SocketAddr,
    /// What it said in its log.
    pub(crate) log: Arc<Mutex<Vec<String>>>,
    stopper: Stopper,
    thread: JoinHandle<std::io::Result<()>>,
}

/// When the tests take place.
pub(crate) fn clock() -> WallTime {
    WallTime::from_millis(1_800_000_000_000)
}

impl Served {
    /// Metrics and health of these readings.
    pub(crate) fn new(readings: Still) -> Self {
        Self::begin(|guard| Site::new(guard).readings(Arc::new(readings), Detail::Owners), None)
    }

    /// Metrics, a history and the page, of which `teller` tells the rest.
    pub(crate) fn telling(teller: impl Teller + 'static) -> Self {
        Self::begin(|guard| all(guard).teller(Arc::new(teller)), None)
    }

    /// Metrics and a history, with this patience.
    pub(crate) fn patiently(patience: Patience) -> Self {
        Self::begin(|guard| all(guard).patience(patience), None)
    }

    /// Metrics and a history, for whom this lets in.
    pub(crate) fn protected(protection: &Protection) -> Self {
        Self::begin(all, Some(protection))
    }

    fn begin(site: impl FnOnce(Guard) -> Site, protection: Option<&Protection>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let (stopper, stopping) = stopper();
        let guard = match protection {
            Some(protection) => Guard::new(at, protection, clock).unwrap(),
            None => Guard::of_loopback(),
        };
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&log);
        let site = site(guard).log(move |line| lines.lock().unwrap().push(line.to_owned()));
        let web = move || serve(listener, site, stopping);
        let thread = thread::Builder::new().name("web".into()).spawn(web).unwrap();
        Self { at, log, stopper, thread }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.at).unwrap();
        stream.set_read_timeout(Some(HANGS)).unwrap();
        stream.set_write_timeout(Some(HANGS)).unwrap();
        stream
    }

    /// The answer to these bytes, up to the end of the connection; what was sent may be cut short by
    /// a server that has heard enough.
    pub(crate) fn send(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        let _cut_short = stream.write_all(bytes);
        text(&rest(&mut stream))
    }

    /// The answer to a request whose head ends with `request`, up to the end of the connection.
    pub(crate) fn ask(&self, request: &str) -> String {
        self.send(request.replacen("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1).as_bytes())
    }

    /// The answer to `GET path` with these header lines added.
    pub(crate) fn get(&self, path: &str, headers: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", self.at))
    }

    /// Whether it still answers.
    pub(crate) fn lives(&self) {
        assert_eq!(status(&self.get("/healthz", "")), "200");
        assert_eq!(status(&self.get("/metrics", "")), "200");
    }

    pub(crate) fn end(self) {
        self.stopper.stop();
        self.thread.join().unwrap().unwrap();
    }
}

fn all(guard: Guard) -> Site {
    let api = Api::new(Arc::new(Shelf::demo()), Limits::default());
    Site::new(guard).readings(Arc::new(Still::new()), Detail::Owners).api(Arc::new(api))
}

/// What comes until the connection ends, in whatever way. A server that hangs fails the test.
pub(crate) fn rest(stream: &mut impl Read) -> Vec<u8> {
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer) {
        let hangs =
            matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
        assert!(!hangs, "the connection hangs after {:?}", text(&answer));
    }
    answer
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or(answer)
}
