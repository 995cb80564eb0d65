//! A real server of e-mail, Debian's exim4: it takes letters into its queue, where they are read.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The server, with a queue, a certificate and a password of its own.
pub(crate) struct Exim {
    dir: tempfile::TempDir,
    pub(crate) port: u16,
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
    pub(crate) fn start(wrapped: bool) -> Self {
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

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log/main")).unwrap_or_default()
    }

    /// What vouches for it.
    pub(crate) fn authority(&self) -> PathBuf {
        self.dir.path().join("cert.pem")
    }

    /// What is in the queue: of each letter its head and its body.
    pub(crate) fn queue(&self) -> Vec<(String, String)> {
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
