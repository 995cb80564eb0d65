//! The Prometheus API over a real socket, from a history that is made up.

mod cost;
mod errors;
mod grafana;
pub(crate) mod history;
mod parameters;
mod rules;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use highwater_web::{Api, Guard, Limits, Site, Stopper, serve, stopper};
use serde_json::Value;

use history::Shelf;

/// The API on a free port of the loopback.
struct Served {
    at: SocketAddr,
    stopper: Stopper,
    thread: JoinHandle<std::io::Result<()>>,
}

/// What came back.
struct Got {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Served {
    fn demo() -> Self {
        Self::new(Shelf::demo(), Limits::default())
    }

    fn new(shelf: Shelf, limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let (stopper, stopping) = stopper();
        let api = Arc::new(Api::new(Arc::new(shelf), limits));
        let site = Site::new(Guard::of_loopback()).api(api);
        let web = move || serve(listener, site, stopping);
        let thread = thread::Builder::new().name("web".into()).spawn(web).unwrap();
        Self { at, stopper, thread }
    }

    fn end(self) {
        self.stopper.stop();
        self.thread.join().unwrap().unwrap();
    }

    /// A connection on which `request` was sent.
    fn sent(&self, request: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.at).unwrap();
        // A server that never ends a connection fails the test instead of hanging it.
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(request).unwrap();
        stream
    }

    /// The answer to a request, up to the end of the connection: HTTP/1.0 has no chunks.
    fn ask(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Got {
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.0\r\nHost: {}\r\n{headers}Content-Length: {length}\r\n\r\n",
            self.at
        );
        Got::read(self.sent(&[head.as_bytes(), body].concat()))
    }

    fn get(&self, path: &str) -> Got {
        self.ask("GET", &format!("/api/v1/{path}"), "", b"")
    }

    fn post(&self, path: &str, form: &str) -> Got {
        let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
        self.ask("POST", &format!("/api/v1/{path}"), kind, form.as_bytes())
    }
}

impl Got {
    fn read(mut stream: TcpStream) -> Self {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        let end = all.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8(all[..end].to_vec()).unwrap();
        Self {
            status: head.get(9..12).unwrap().parse().unwrap(),
            head,
            body: all[end + 4..].to_vec(),
        }
    }

    fn json(&self) -> Value {
        let shown = || String::from_utf8_lossy(&self.body).into_owned();
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", shown()))
    }

    /// Status and body as a snapshot shows them.
    fn shown(&self) -> String {
        format!("{} {}", self.status, String::from_utf8_lossy(&self.body))
    }

    /// The field `data` of a good answer.
    fn data(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.shown());
        self.json()["data"].clone()
    }

    fn error(&self) -> (u16, String, String) {
        let json = self.json();
        assert_eq!(json["status"], "error", "{json}");
        let text = |name: &str| json[name].as_str().unwrap().to_owned();
        (self.status, text("errorType"), text("error"))
    }
}
