//! Letters to a real server, Debian's exim4: it takes them into its queue, where they are read.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use highwater_act::{Body, Message, Outcome, Receiver, Secret, Security, Smtp};
use highwater_core::time::WallTime;

/// The server, with a queue, a certificate and a password of its own.
struct Exim {
    dir: tempfile::TempDir,
    port: u16,
    child: Child,
}

impl Drop for Exim {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

impl Exim {
    /// A server that wants TLS, from the first byte (`wrapped`) or after a greeting, and a password.
    fn start(wrapped: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        certificate(dir.path());
        let config = dir.path().join("exim.conf");
        fs::write(&config, settings(dir.path(), port, wrapped)).unwrap();
        let child = Command::new("/usr/sbin/exim4")
            .arg("-C")
            .arg(&config)
            .arg("-bdf")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("exim4-daemon-light is installed");
        let server = Self { dir, port, child };
        server.wait();
        server
    }

    /// Until it greets.
    fn wait(&self) {
        for _ in 0..200 {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("exim4 does not listen: {}", self.log());
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log/main")).unwrap_or_default()
    }

    fn smtp(&self, security: Security, password: &str) -> Smtp {
        Smtp {
            host: "localhost".to_owned(),
            port: self.port,
            security,
            login: Some(("agent".to_owned(), Secret::Plain(password.to_owned()))),
            from: "highwater@example.com".to_owned(),
            to: vec!["ops@example.com".to_owned(), "boss@example.com".to_owned()],
            ca_file: Some(self.dir.path().join("cert.pem")),
            timeout: Duration::from_secs(20),
        }
    }

    /// What is in the queue: of each letter its head and its body.
    fn queue(&self) -> Vec<(String, String)> {
        let mut heads: Vec<PathBuf> = fs::read_dir(self.dir.path().join("spool/input"))
            .map(|all| all.map(|entry| entry.unwrap().path()).collect())
            .unwrap_or_default();
        heads.retain(|path| path.to_string_lossy().ends_with("-H"));
        let body = |head: &PathBuf| head.to_string_lossy().replace("-H", "-D");
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        heads.iter().map(|head| (read(head), read(Path::new(&body(head))))).collect()
    }
}

fn certificate(dir: &Path) {
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ])
        .args(["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(dir.join("key.pem"))
        .arg("-out")
        .arg(dir.join("cert.pem"))
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(made.success());
}

fn settings(dir: &Path, port: u16, wrapped: bool) -> String {
    fs::create_dir_all(dir.join("log")).unwrap();
    let owner = |flag: &str| {
        let id = Command::new("id").arg(flag).output().unwrap();
        String::from_utf8(id.stdout).unwrap().trim().to_owned()
    };
    let (user, group, dir) = (owner("-un"), owner("-gn"), dir.display());
    let on_connect =
        if wrapped { format!("tls_on_connect_ports = {port}\n") } else { String::new() };
    format!(
        "primary_hostname = mail.test\nlocal_interfaces = 127.0.0.1\ndaemon_smtp_ports = {port}\n\
         {on_connect}spool_directory = {dir}/spool\nlog_file_path = {dir}/log/%s\n\
         tls_advertise_hosts = *\ntls_certificate = {dir}/cert.pem\ntls_privatekey = {dir}/key.pem\n\
         host_lookup =\nrfc1413_query_timeout = 0s\nqueue_only = true\nkeep_environment =\n\
         exim_user = {user}\nexim_group = {group}\nnever_users =\nacl_smtp_rcpt = check\n\
         begin acl\ncheck:\n  deny message = TLS first\n       !encrypted = *\n\
         \x20 deny message = who are you\n       !authenticated = *\n\
         \x20 deny message = no such mailbox\n       local_parts = nobody\n  accept\n\
         begin authenticators\nplain:\n  driver = plaintext\n  public_name = PLAIN\n\
         \x20 server_prompts = :\n  server_set_id = $auth2\n\
         \x20 server_condition = ${{if and{{{{eq{{$auth2}}{{agent}}}}{{eq{{$auth3}}{{pass word}}}}}}}}\n"
    )
}

fn letter() -> Message {
    let body = Body::Letter {
        subject: "[firing: 1] Speicher 二".to_owned(),
        text: "node holds 900 MiB\n".to_owned(),
        html: "<p>node holds <b>900 MiB</b></p>".to_owned(),
    };
    Message { id: "abc".to_owned(), body }
}

const NOW: WallTime = WallTime::from_millis(1_795_219_200_123);

#[test]
fn a_letter_reaches_the_queue_over_starttls_and_over_tls() {
    for (wrapped, security) in [(false, Security::StartTls), (true, Security::Tls)] {
        let exim = Exim::start(wrapped);
        let outcome = Receiver::Mail(exim.smtp(security, "pass word")).send(&letter(), NOW);
        assert_eq!(outcome, Outcome::Sent, "{}", exim.log());
        let queue = exim.queue();
        let [(head, body)] = queue.as_slice() else { panic!("{queue:?}") };
        assert!(head.contains("ops@example.com") && head.contains("boss@example.com"), "{head}");
        assert!(head.contains("Message-ID: <abc.highwater@example.com>"), "{head}");
        assert!(head.contains("Date: Sat, 21 Nov 2026 00:00:00 +0000"), "{head}");
        assert!(head.contains("Subject: [firing: 1] Speicher =?utf-8?b?5LqM?="), "{head}");
        assert!(head.contains("multipart/alternative"), "{head}");
        assert!(body.contains("node holds 900 MiB") && body.contains("<b>900 MiB</b>"), "{body}");
        assert!(exim.log().contains("A=plain:agent"), "{}", exim.log());
    }
}

#[test]
fn what_can_be_put_right_goes_later_and_nothing_goes_in_the_clear() {
    let exim = Exim::start(false);
    let send = |smtp: Smtp| Receiver::Mail(smtp).send(&letter(), NOW);
    let good = || exim.smtp(Security::StartTls, "pass word");
    let nobody = Smtp { to: vec!["nobody@example.com".to_owned()], ..good() };
    let stranger = Smtp { ca_file: None, ..good() };
    let plain = Smtp { login: None, ..exim.smtp(Security::Plain, "") };
    let all = [
        (exim.smtp(Security::StartTls, "wrong"), "535"),
        (nobody, "no such mailbox"),
        (stranger, "certificate"),
        (plain, "TLS first"),
        (Smtp { port: 1, ..good() }, "refused"),
    ];
    for (smtp, word) in all {
        let outcome = send(smtp);
        let Outcome::Later { why, .. } = &outcome else { panic!("{outcome:?}") };
        assert!(why.contains(word) || why.contains("UnknownIssuer"), "{word}: {why}");
        assert!(!why.contains("wrong"), "{why}");
    }
    assert!(exim.queue().is_empty());
}

/// A server that offers no TLS is told nothing, and no password.
#[test]
fn a_server_without_tls_gets_no_password() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"220 old\r\n").unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let mut said = Vec::new();
        for line in lines.map_while(Result::ok) {
            let _closed = stream.write_all(b"250-old\r\n250 AUTH PLAIN\r\n");
            said.push(line);
        }
        said
    };
    let server = std::thread::Builder::new().spawn(serve).unwrap();
    let smtp = Smtp {
        host: "localhost".to_owned(),
        port,
        security: Security::StartTls,
        login: Some(("agent".to_owned(), Secret::Plain("pass".to_owned()))),
        from: "a@example.com".to_owned(),
        to: vec!["b@example.com".to_owned()],
        ca_file: None,
        timeout: Duration::from_secs(10),
    };
    let outcome = Receiver::Mail(smtp).send(&letter(), NOW);
    assert!(matches!(outcome, Outcome::Later { .. }), "{outcome:?}");
    let said = server.join().unwrap().join("\n");
    assert!(said.starts_with("EHLO") && !said.contains("AUTH"), "{said}");
}
