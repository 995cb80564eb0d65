//! Servers that answer as they are told to.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;

use tempfile::TempDir;

/// What a server does when it is asked.
pub(super) enum Answer {
    /// This status and body.
    Says(u16, String),
    /// This much of a longer body.
    Cut(String),
    /// A body that has no end.
    Endless,
    /// Nothing, for ever.
    Never,
}

/// Answers over plain HTTP until the test ends.
pub(super) struct Server {
    pub(super) url: String,
}

impl Server {
    pub(super) fn begin(mut answer: impl FnMut(&str) -> Answer + Send + 'static) -> Self {
        Self::begin_with_head(move |path, _| answer(path))
    }

    /// The answer depends on the whole head of the question.
    pub(super) fn begin_with_head(
        mut answer: impl FnMut(&str, &str) -> Answer + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serve = move || {
            let mut open = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let head = asked(&mut stream);
                let path = head.split(' ').nth(1).unwrap_or_default();
                let is_done = say(&mut stream, answer(path, &head));
                if !is_done {
                    open.push(stream);
                }
            }
        };
        thread::Builder::new().name("server".to_owned()).spawn(serve).unwrap();
        Self { url }
    }
}

fn asked(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
        head.extend(byte);
    }
    String::from_utf8(head).unwrap()
}

/// Whether the connection may be closed. The other side may be gone: that is its right.
fn say(stream: &mut TcpStream, answer: Answer) -> bool {
    let head = |status: u16, length: usize| {
        format!("HTTP/1.1 {status} Word\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")
    };
    match answer {
        Answer::Says(status, body) => {
            drop(stream.write_all(format!("{}{body}", head(status, body.len())).as_bytes()));
            true
        }
        Answer::Cut(body) => {
            drop(stream.write_all(format!("{}{body}", head(200, body.len() + 999)).as_bytes()));
            true
        }
        Answer::Endless => {
            drop(stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n"));
            let blanks = [b' '; 1 << 13];
            while stream.write_all(&blanks).is_ok() {}
            true
        }
        Answer::Never => false,
    }
}

/// What the certificate is good for: this address, and not to sign others.
const CERTIFICATE: &str = "[req]\ndistinguished_name=name\nx509_extensions=own\n[name]\n[own]\n\
    subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n";

/// `openssl s_server` with a certificate that it signed itself.
pub(super) struct Secured {
    pub(super) url: String,
    folder: TempDir,
    process: Child,
}

impl Secured {
    /// Answers `/pods` with `body`; `None` where openssl is not installed.
    pub(super) fn begin(body: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let answer = format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        fs::write(folder.path().join("pods"), answer).unwrap();
        let mut openssl = Command::new("openssl");
        openssl.current_dir(folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
        openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]);
        openssl.args(["-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=node-1"]);
        fs::write(folder.path().join("config"), CERTIFICATE).unwrap();
        openssl.args(["-config", "config"]);
        if !openssl.status().is_ok_and(|status| status.success()) {
            return None;
        }
        let mut openssl = Command::new("openssl");
        openssl.current_dir(folder.path()).stdout(Stdio::piped()).stderr(Stdio::null());
        openssl.args([
            "s_server",
            "-accept",
            "127.0.0.1:0",
            "-cert",
            "cert.pem",
            "-key",
            "key.pem",
        ]);
        openssl.arg("-HTTP").stdin(Stdio::null());
        let mut process = openssl.spawn().unwrap();
        // It says where it listens: `ACCEPT 127.0.0.1:43211`.
        let lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut places = lines.filter_map(|line| line.strip_prefix("ACCEPT ").map(str::to_owned));
        let place = places.next().unwrap();
        thread::Builder::new().name("openssl".to_owned()).spawn(move || places.count()).unwrap();
        Some(Self { url: format!("https://{place}"), folder, process })
    }

    /// The certificate, which signs itself.
    pub(super) fn authority(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }
}

impl Drop for Secured {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
