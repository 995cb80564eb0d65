//! Who is let in, over a real socket.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, thread};

use highwater_core::time::WallTime;
use highwater_web::{Guard, Protection, TlsFiles, token_line, user_line};
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::served::{Served, clock, rest, status, text};

const TOKEN: &str = "0123456789abcdef";
/// "ann:right" and "ann:wrong" in base 64.
const RIGHT: &str = "Authorization: Basic YW5uOnJpZ2h0\r\n";
const WRONG: &str = "Authorization: Basic YW5uOndyb25n\r\n";

fn both() -> Protection {
    Protection {
        tokens: vec![token_line(TOKEN).unwrap()],
        users: vec![user_line("ann", "right", 4).unwrap()],
        ..Protection::default()
    }
}

#[test]
fn who_does_not_say_who_he_is_learns_nothing_but_health() {
    let web = Served::protected(&both());
    for path in
        ["/", "/metrics", "/api/v1/labels", "/api/v1/query?query=1", "/nowhere", "/healthz/"]
    {
        let answer = web.get(path, "");
        assert_eq!(status(&answer), "401", "{path}: {answer}");
        assert!(
            answer.contains("www-authenticate: Basic realm=\"highwater\", charset=\"UTF-8\"\r\n")
        );
        assert!(answer.contains("www-authenticate: Bearer realm=\"highwater\"\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\na token or a user's password is needed\n"), "{answer}");
    }
    let health = web.get("/healthz", "");
    assert_eq!(status(&health), "200");
    assert!(health.ends_with("\r\n\r\nok\n"), "no more than that: {health}");
    web.end();
}

#[test]
fn who_says_it_rightly_is_let_in() {
    let web = Served::protected(&both());
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
    for _ in 0..3 {
        for right in [bearer.as_str(), RIGHT] {
            assert_eq!(status(&web.get("/metrics", right)), "200", "{right}");
            assert_eq!(status(&web.get("/api/v1/labels", right)), "200", "{right}");
            assert!(web.get("/healthz", right).contains("last sample:"));
        }
        for wrong in [WRONG, "Authorization: Bearer x\r\n", "Authorization: \r\n"] {
            assert_eq!(status(&web.get("/metrics", wrong)), "401", "{wrong}");
            assert_eq!(status(&web.get("/healthz", wrong)), "401", "{wrong}");
        }
        assert_eq!(status(&web.get("/metrics", &format!("{bearer}{RIGHT}"))), "401", "two");
    }
    web.end();
}

#[test]
fn guessing_keeps_nobody_out_who_was_in() {
    let web = Served::protected(&both());
    assert_eq!(status(&web.get("/metrics", RIGHT)), "200");
    thread::scope(|scope| {
        let guesses: Vec<_> = (0..60).map(|_| scope.spawn(|| web.get("/metrics", WRONG))).collect();
        for _ in 0..20 {
            assert_eq!(status(&web.get("/metrics", RIGHT)), "200");
        }
        for guess in guesses {
            let answer = guess.join().unwrap();
            assert!(matches!(status(&answer), "401" | "503"), "{answer}");
        }
    });
    web.end();
}

#[test]
fn a_web_page_from_elsewhere_gets_nothing_and_no_leave() {
    let web = Served::protected(&Protection::default());
    for page in ["Origin: https://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site"] {
        for path in ["/metrics", "/healthz", "/api/v1/query?query=1"] {
            let answer = web.get(path, &format!("{page}\r\n"));
            assert_eq!(status(&answer), "403", "{page} {path}");
            assert!(!answer.contains("access-control"), "{answer}");
        }
        let asked = format!(
            "OPTIONS /api/v1/query HTTP/1.1\r\nHost: {}\r\n{page}\r\n\
             Access-Control-Request-Method: POST\r\n\r\n",
            web.at
        );
        let answer = web.ask(&asked);
        assert_eq!(status(&answer), "403", "{page}");
    }
    let own = format!("Origin: http://{}\r\nSec-Fetch-Site: same-origin\r\n", web.at);
    assert_eq!(status(&web.get("/metrics", &own)), "200");
    web.end();
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/web/tls").join(name)
}

fn files(name: &str) -> TlsFiles {
    let file = |end| fixture(&format!("{name}.{end}"));
    TlsFiles { certificate: file("crt"), key: file("key") }
}

fn over_tls(files: TlsFiles) -> Protection {
    Protection { tls: Some(files), ..Protection::default() }
}

/// The answer to `GET /metrics` over TLS, and the certificate that was shown.
fn secretly(web: &Served) -> (String, CertificateDer<'static>) {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(fixture("ca.crt")).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(client, web.connect());
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let answer = text(&rest(&mut stream));
    let shown = stream.conn.peer_certificates().unwrap()[0].clone().into_owned();
    (answer, shown)
}

fn certificate(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(fixture(name)).unwrap()
}

#[test]
fn what_is_asked_over_tls_is_answered_over_tls() {
    let web = Served::protected(&over_tls(files("server")));
    let (answer, shown) = secretly(&web);
    assert_eq!(status(&answer), "200");
    assert_eq!(shown, certificate("server.crt"));
    let plain = web.get("/metrics", "");
    assert_eq!(status(&plain), "400");
    assert!(plain.ends_with("this port speaks TLS: ask by https://\n"), "{plain}");
    web.end();
}

#[test]
fn garbage_to_tls_ends_and_troubles_nobody() {
    let web = Served::protected(&over_tls(files("server")));
    for garbage in [
        &b"\x16\x03\x01\xff\xff"[..],
        b"\x16\x03\x01\x00\x05hello",
        b"\x00\x00\x00\x00",
        b"\x16\x03\x01\x40\x00\x01",
        b"\xff",
        &vec![0x16; 100_000],
    ] {
        let mut stream = web.connect();
        let _cut_short = stream.write_all(garbage);
        let _gone = stream.shutdown(std::net::Shutdown::Write);
        let answer = rest(&mut stream);
        assert!(!text(&answer).contains("HTTP/1.1 200"), "{garbage:?}");
    }
    assert_eq!(status(&secretly(&web).0), "200");
    web.end();
}

#[test]
fn a_certificate_that_is_renewed_is_used_from_then_on() {
    let dir = tempfile::tempdir().unwrap();
    let own = TlsFiles { certificate: dir.path().join("crt"), key: dir.path().join("key") };
    let put = |from: &Path, to: &Path| {
        // As it is done rightly: under another name first.
        let beside = to.with_extension("new");
        fs::copy(from, &beside).unwrap();
        fs::rename(beside, to).unwrap();
    };
    put(&fixture("server.crt"), &own.certificate);
    put(&fixture("server.key"), &own.key);
    let web = Served::protected(&over_tls(own.clone()));
    assert_eq!(secretly(&web).1, certificate("server.crt"));
    put(&fixture("other.crt"), &own.certificate);
    assert_eq!(secretly(&web).1, certificate("server.crt"), "its key is not there yet");
    assert_eq!(secretly(&web).1, certificate("server.crt"));
    let said = web.log.lock().unwrap().join("\n");
    assert!(said.starts_with("the old certificate stays in use: the key in"), "{said}");
    assert_eq!(said.lines().count(), 1, "said once: {said}");
    put(&fixture("other.key"), &own.key);
    assert_eq!(secretly(&web).1, certificate("other.crt"));
    assert!(web.log.lock().unwrap()[1].starts_with("read the certificate"));
    web.end();
}

#[test]
fn what_is_wrong_with_a_certificate_is_said_before_anything_is_served() {
    let refused = |certificate: &Path, key: &Path| {
        let files = TlsFiles { certificate: certificate.to_owned(), key: key.to_owned() };
        Guard::new("127.0.0.1:1".parse().unwrap(), &over_tls(files), clock).unwrap_err().to_string()
    };
    let (crt, key) = (fixture("server.crt"), fixture("server.key"));
    let mismatch = refused(&crt, &fixture("other.key"));
    assert!(mismatch.contains("does not belong to the first certificate"), "{mismatch}");
    let swapped = refused(&key, &crt);
    assert!(swapped.contains("server.key has no certificate in PEM"), "{swapped}");
    let no_key = refused(&crt, &crt);
    assert!(no_key.contains("server.crt has no private key in PEM"), "{no_key}");
    let gone = refused(Path::new("/nowhere/x.crt"), &key);
    assert!(gone.starts_with("cannot read /nowhere/x.crt: "), "{gone}");
    let dir = tempfile::tempdir().unwrap();
    let garbage = dir.path().join("garbage");
    fs::write(&garbage, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let broken = refused(&garbage, &key);
    assert!(broken.contains("garbage cannot be used: "), "{broken}");
}

#[test]
fn a_certificate_past_its_time_is_used_with_a_warning() {
    let warnings = |clock: fn() -> WallTime| {
        let at = "127.0.0.1:1".parse().unwrap();
        Guard::new(at, &over_tls(files("server")), clock).unwrap().warnings()
    };
    let of_time = |all: Vec<String>| all.into_iter().find(|line| line.contains("refuse"));
    assert_eq!(of_time(warnings(clock)), None);
    let late = of_time(warnings(|| WallTime::from_millis(7_258_118_400_000))).unwrap();
    assert!(late.contains("server.crt expired on 2125-"), "{late}");
    let early = of_time(warnings(|| WallTime::from_millis(0))).unwrap();
    assert!(early.contains("is good only from 2026-"), "{early}");
}
