//! The agent's server as those see it who should not be let in, or who want it down.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

use crate::exits::highwater;

/// An agent that does little besides.
struct Running {
    child: Child,
    at: SocketAddr,
}

/// The configuration of an agent that asks nobody, with this below `[web]`.
fn config(dir: &Path, web: &str) -> String {
    let file = dir.join("config.toml");
    let text = format!(
        "growth.enabled = false\nkmsg.enabled = false\nsurvey.enabled = false\n\
         witness = {{ signals = false, processes = false, cgroups = false, journal = false, \
         systemd = false, docker_socket = \"\", podman_socket = \"\", audit_log = \"\" }}\n\
         sample.every = \"1s\"\n[web]\n{web}\n"
    );
    fs::write(&file, text).unwrap();
    file.into_os_string().into_string().unwrap()
}

impl Running {
    fn start(dir: &Path, web: &str) -> Self {
        let mut child = highwater(&["agent", "--config", &config(dir, web), "--data-dir"])
            .arg(dir)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut greeting = BufReader::new(child.stdout.take().unwrap()).lines();
        let open = greeting.find_map(|line| {
            let line = line.unwrap();
            let rest = line.trim().strip_prefix("open")?.trim().strip_prefix("http://")?;
            Some(rest.strip_suffix('/')?.replace("0.0.0.0", "127.0.0.1"))
        });
        let mut running = Self { child, at: open.unwrap().parse().unwrap() };
        running.until(|page| page.get("/healthz", "").contains("200 OK"));
        running
    }

    /// The answer to these bytes, up to the end of the connection.
    fn send(&self, request: &[u8]) -> String {
        let Ok(mut stream) = TcpStream::connect(self.at) else { return String::new() };
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        let _cut_short = stream.write_all(request);
        let mut answer = Vec::new();
        let _cut_short = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn get(&self, path: &str, headers: &str) -> String {
        let head = "HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
        self.send(format!("GET {path} {head}{headers}\r\n").as_bytes())
    }

    fn post(&self, path: &str, form: &[u8]) -> String {
        let length = form.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n"
        );
        self.send(&[head.as_bytes(), form].concat())
    }

    fn until(&mut self, is_so: impl Fn(&Self) -> bool) {
        while !is_so(self) {
            assert_eq!(self.child.try_wait().unwrap(), None, "the agent ended");
            sleep(Duration::from_millis(100));
        }
    }

    /// The most memory that it ever had, in KiB.
    fn peak_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
    }

    fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    fn stop(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

/// A test that fails leaves no agent behind.
impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or(answer)
}

/// Room for so many descriptors in this process.
fn make_room(count: u64) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < count) {
        assert!(maximum.is_none_or(|most| most >= count), "the test needs {count} descriptors");
        setrlimit(Resource::Nofile, Rlimit { current: Some(count), maximum }).unwrap();
    }
}

#[test]
fn two_thousand_connections_keep_no_scraper_out() {
    make_room(2_500);
    let dir = tempfile::tempdir().unwrap();
    let agent = Running::start(dir.path(), "listen = \"127.0.0.1:0\"");
    assert_eq!(status(&agent.get("/metrics", "")), "200");
    let (peak, open) = (agent.peak_kib(), agent.descriptors());
    let mut crowd = Vec::new();
    let mut large = b"POST /api/v1/query HTTP/1.1\r\nHost: localhost\r\n".to_vec();
    large.extend(b"Content-Length: 900000\r\n\r\n");
    large.resize(large.len() + 300_000, b'q');
    for n in 0..2_000 {
        let mut stream = TcpStream::connect(agent.at).unwrap();
        // A third says nothing, a third breaks off in the head, a third in a large body.
        let part: &[u8] = match n % 3 {
            0 => b"",
            1 => b"GET /metrics HTTP/1.1\r\nHost: local",
            _ => &large,
        };
        let _cut_short = stream.write_all(part);
        crowd.push(stream);
        if n % 100 == 99 {
            assert_eq!(status(&agent.get("/metrics", "")), "200", "after {n}");
        }
    }
    let grown_kib = agent.peak_kib() - peak;
    // A few long bodies, and the beginnings of others.
    assert!(grown_kib < 32 * 1024, "{grown_kib} KiB for nothing");
    // The agent keeps some of each process that runs meanwhile, too.
    let more = agent.descriptors().saturating_sub(open);
    assert!(more < 1_000, "{more} more descriptors");
    let health = agent.get("/healthz", "");
    assert!(health.contains("\r\n\r\nok\n"), "it records on: {health}");
    drop(crowd);
    agent.stop();
}

#[test]
fn hostile_questions_are_refused_and_cost_little() {
    let dir = tempfile::tempdir().unwrap();
    let agent = Running::start(dir.path(), "listen = \"127.0.0.1:0\"");
    assert_eq!(status(&agent.post("/api/v1/query", b"query=1")), "200");
    let peak = agent.peak_kib();
    let nested =
        |open: &str, close: &str| format!("query={}1{}", open.repeat(10_000), close.repeat(10_000));
    for form in [
        nested("(", ")"),
        nested("-", ""),
        nested("abs(", ")"),
        nested("1%2B", ""),
        nested("sum by (a) (", ")"),
        nested("a[1m:", "]"),
        format!("query={}", "a%20or%20".repeat(20_000)),
        format!("query={}", "x".repeat(900_000)),
        "query={a=~\"(((((a{1,1000}){1,1000}){1,1000}){1,1000})){1,1000}\"}".replace('+', "%2B"),
        "query={a=~\"(x%2Bx%2B)%2By(\"}".to_owned(),
        format!("query={{a=~\"{}\"}}", "(a|b?)%2B".repeat(50_000)),
    ] {
        let answer = agent.post("/api/v1/query", form.as_bytes());
        let shown: String = form.chars().take(60).collect();
        assert_eq!(status(&answer), "400", "{shown}: {answer}");
        assert!(answer.contains("\"errorType\":\"bad_data\""), "{shown}: {answer}");
    }
    let large = [b"query=".as_slice(), &vec![b'1'; 10 * 1024 * 1024]].concat();
    assert_eq!(status(&agent.post("/api/v1/query", &large)), "413");
    for range in [
        "start=0&end=1000&step=0",
        "start=0&end=1000&step=-1",
        "start=0&end=1000&step=1e-9",
        "start=0&end=1000000000&step=1",
        "start=-1e300&end=1e300&step=1",
        "start=NaN&end=1&step=1",
        "start=2&end=1&step=1",
        "start=0&end=1&step=99999999999999999999y",
        "start=&end=&step=",
    ] {
        let answer = agent.get(&format!("/api/v1/query_range?query=up&{range}"), "");
        assert_eq!(status(&answer), "400", "{range}: {answer}");
    }
    let grown_kib = agent.peak_kib() - peak;
    // A body of a megabyte is held three times: as it came, unescaped, and as tokens.
    assert!(grown_kib < 64 * 1024, "{grown_kib} KiB");
    assert!(agent.get("/healthz", "").contains("\r\n\r\nok\n"), "it records on");
    agent.stop();
}

/// What the command makes of this secret.
fn secret(args: &[&str], secret: &str) -> String {
    let mut child = highwater(&[&["web-secret"], args].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(secret.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success());
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn the_hashes_that_are_made_let_in_from_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let token = secret(&[], "a-long-enough-token\n");
    assert!(token.starts_with("tokens = [\"sha256:") && !token.contains("long"), "{token}");
    let user = secret(&["--user", "ann"], "right\nand what follows");
    assert!(user.starts_with("users = [\"ann:$2y$10$") && !user.contains("right"), "{user}");
    let web = format!("listen = \"0.0.0.0:0\"\nallow_plain_http = true\n{token}{user}");
    let agent = Running::start(dir.path(), &web);
    for (headers, expected) in [
        ("", "401"),
        ("Authorization: Bearer a-long-enough-toke\r\n", "401"),
        ("Authorization: Bearer a-long-enough-token\r\n", "200"),
        // ann:right and ann:wrong in base 64.
        ("Authorization: Basic YW5uOnJpZ2h0\r\n", "200"),
        ("Authorization: Basic YW5uOndyb25n\r\n", "401"),
    ] {
        assert_eq!(status(&agent.get("/metrics", headers)), expected, "{headers}");
        assert_eq!(status(&agent.get("/api/v1/labels", headers)), expected, "{headers}");
    }
    assert!(agent.get("/healthz", "").ends_with("\r\n\r\nok\n"));
    agent.stop();
}

#[test]
fn a_secret_is_made_that_fits_what_is_printed_beside_it() {
    let made = secret(&["--new"], "");
    let (comment, line) = made.split_once('\n').unwrap();
    let token = comment.strip_prefix("# the token: ").unwrap();
    assert_eq!(line, secret(&[], token));
    let user = secret(&["--new", "--user", "ann"], "");
    assert!(user.starts_with("# the password of ann: "), "{user}");
    for (args, typed) in [(&["web-secret"][..], "short"), (&["web-secret", "--user", "a:b"], "x")] {
        let mut command = highwater(args);
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
        let done = child.wait_with_output().unwrap();
        assert_eq!(done.status.code(), Some(1), "{args:?}");
        assert!(!done.stderr.is_empty());
    }
}

/// What an agent says that does not start.
fn refused(args: &[&str]) -> String {
    let done = highwater(&[&["agent"], args].concat()).output().unwrap();
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    String::from_utf8(done.stderr).unwrap()
}

#[test]
fn an_agent_that_would_show_itself_to_everybody_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap();
    let open = |web: &str| refused(&["--config", &config(dir.path(), web), "--data-dir", data]);
    let listen = "listen = \"0.0.0.0:0\"\n";
    let both = open(listen);
    assert!(
        both.contains("web.tls_certificate_file") && both.contains("allow_plain_http"),
        "{both}"
    );
    let anyone = open(&format!("{listen}allow_plain_http = true"));
    assert!(anyone.contains("highwater web-secret") && anyone.contains("allow_anyone"), "{anyone}");
    let half = open("tls_key_file = \"/nowhere\"");
    assert!(half.contains("belong together"), "{half}");
    let gone = open("tls_key_file = \"/nowhere.key\"\ntls_certificate_file = \"/nowhere.crt\"");
    assert!(gone.contains("cannot read /nowhere.crt: "), "{gone}");
    let hash = open("tokens = [\"not a hash of it\"]");
    assert!(hash.contains("number 1 of web.tokens") && !hash.contains("not a hash of"), "{hash}");
    assert!(!dir.path().join("highwater.db").exists(), "nothing was begun");
}

#[test]
fn an_address_that_is_taken_is_refused_where_it_was_typed_and_waited_for_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap();
    let usual = config(dir.path(), "");
    let typed = ["--listen", &at.to_string(), "--config", &usual, "--data-dir", data];
    let why = refused(&typed);
    assert!(why.contains(&format!("cannot listen on {at}; --listen takes another")), "{why}");
    assert!(!dir.path().join("highwater.db").exists(), "nothing was begun");

    let file = config(dir.path(), &format!("listen = \"{at}\""));
    let mut child = highwater(&["agent", "--config", &file, "--data-dir", data])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut greeting = BufReader::new(child.stdout.take().unwrap()).lines();
    let told = greeting.find(|line| line.as_ref().unwrap().contains("no page")).unwrap().unwrap();
    assert!(told.contains(&format!("cannot listen on {at}")), "{told}");
    drop(taken);
    let mut agent = Running { child, at };
    agent.until(|page| page.get("/healthz", "").contains("200 OK"));
    agent.stop();
}
