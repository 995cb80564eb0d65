//! A webhook that remembers what it was told.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;
use std::time::Duration;

use serde_json::Value;

/// Who connects and says nothing is not waited for.
const SAYS_WITHIN: Duration = Duration::from_secs(10);

/// Where one listens, and what came. Its thread ends with the process.
pub(super) struct Hook {
    address: String,
    alerts: Arc<Mutex<Vec<Value>>>,
}

impl Hook {
    /// Listens on a port that is free.
    pub(super) fn open() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let alerts: Arc<Mutex<Vec<Value>>> = Arc::default();
        let heard = Arc::clone(&alerts);
        Builder::new().name("hook".to_owned()).spawn(move || {
            for stream in listener.incoming().flatten() {
                // Who breaks off comes again.
                let _broken = hear(&stream, &heard);
            }
        })?;
        Ok(Self { address, alerts })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// The alerts of all that came, in its order.
    pub(super) fn alerts(&self) -> Vec<Value> {
        self.alerts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Takes one request, and says that it has arrived.
fn hear(mut stream: &TcpStream, heard: &Mutex<Vec<Value>>) -> anyhow::Result<()> {
    stream.set_read_timeout(Some(SAYS_WITHIN))?;
    let mut lines = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        lines.read_line(&mut line)?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    lines.read_exact(&mut body)?;
    let told: Value = serde_json::from_slice(&body)?;
    let alerts = told.get("alerts").and_then(Value::as_array).cloned().unwrap_or_default();
    heard.lock().unwrap_or_else(PoisonError::into_inner).extend(alerts);
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    Ok(())
}
