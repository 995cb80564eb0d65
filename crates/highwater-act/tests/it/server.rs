//! A server that keeps what it is asked, and answers what it is told to.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::Builder;
use std::time::Duration;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The path with what follows a question mark.
    pub(crate) path: String,
    /// The fields, their names in small letters.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The value of `name` in the path, its % read.
    pub(crate) fn parameter(&self, name: &str) -> String {
        let (_, query) = self.path.split_once('?').unwrap();
        let value = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
        value.unwrap().replace("%2B", "+").replace("%2F", "/").replace("%3D", "=")
    }
}

/// The server. It lives as long as the test's process.
pub(crate) struct Server {
    pub(crate) port: u16,
    asked: Receiver<Asked>,
}

impl Server {
    /// Answers each request with what `answer` says: status line, fields and body.
    pub(crate) fn start(answer: impl Fn(&Asked) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        #[expect(clippy::disallowed_methods, reason = "a test asks as often as it asks")]
        let (tell, asked) = channel();
        let serve = move || {
            for stream in listener.incoming() {
                serve(&stream.unwrap(), &answer, &tell);
            }
        };
        Builder::new().name("server".to_owned()).spawn(serve).unwrap();
        Self { port, asked }
    }

    /// Answers everything with this body.
    pub(crate) fn saying(body: &'static str) -> Self {
        Self::start(move |_| answer("200 OK", body))
    }

    /// Whether nobody has asked anything.
    pub(crate) fn is_unasked(&self) -> bool {
        self.asked.try_recv().is_err()
    }

    /// The next request.
    pub(crate) fn asked(&self) -> Asked {
        self.asked.recv_timeout(Duration::from_secs(20)).expect("a request comes")
    }
}

/// An answer with a body.
pub(crate) fn answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn serve(stream: &TcpStream, answer: &impl Fn(&Asked) -> String, tell: &Sender<Asked>) {
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut fields = Vec::new();
    loop {
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        match line.trim().split_once(": ") {
            Some((name, value)) => fields.push((name.to_lowercase(), value.to_owned())),
            None => break,
        }
    }
    let length = fields.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.map_or(0, |(_, value)| value.parse().unwrap())];
    lines.read_exact(&mut body).unwrap();
    let asked = Asked { path, fields, body: String::from_utf8(body).unwrap() };
    let answer = answer(&asked);
    // The test may have seen enough.
    let _over = tell.send(asked);
    let mut stream = stream;
    let _hung_up = stream.write_all(answer.as_bytes());
}
