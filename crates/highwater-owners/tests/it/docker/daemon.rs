//! A Docker daemon of its own: own socket, own folders, no network.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;

/// What the image has besides busybox.
const TOOLS: [&str; 3] = ["sh", "sleep", "tail"];

/// How often the daemon is asked whether it is there, and how often a container.
const TRIES: u32 = 300;
const PAUSE: Duration = Duration::from_millis(200);

pub(super) struct Daemon {
    pub(super) socket: PathBuf,
    folder: TempDir,
    process: Option<Child>,
}

impl Daemon {
    /// A daemon with an image `scenes`, or `None` with a word why not.
    pub(super) fn begin() -> Option<Self> {
        let Some(busybox) = installed() else {
            eprintln!("not run: needs dockerd, docker and busybox");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let mut daemon = Self { socket: folder.path().join("docker.sock"), folder, process: None };
        if let Err(why) = daemon.raise() {
            eprintln!("not run: dockerd does not start here: {why}");
            return None;
        }
        daemon.import(&busybox);
        Some(daemon)
    }

    /// After [`Daemon::end`].
    pub(super) fn resume(&mut self) {
        self.raise().unwrap();
    }

    /// Waits until the daemon is there; if it ends instead, the last line it wrote.
    fn raise(&mut self) -> Result<(), String> {
        let at = |name: &str| self.folder.path().join(name);
        let log = fs::File::create(at("log")).unwrap();
        let mut dockerd = Command::new("dockerd");
        dockerd.args(["--iptables=false", "--ip6tables=false", "--bridge=none"]);
        dockerd.arg("--host").arg(format!("unix://{}", self.socket.display()));
        dockerd.arg("--data-root").arg(at("data")).arg("--exec-root").arg(at("exec"));
        dockerd.arg("--pidfile").arg(at("pid")).stdout(Stdio::null()).stderr(log);
        let process = self.process.insert(dockerd.spawn().map_err(|error| error.to_string())?);
        for _ in 0..TRIES {
            if process.try_wait().unwrap().is_some() {
                self.process = None;
                let log = fs::read_to_string(at("log")).unwrap_or_default();
                return Err(log.lines().last().unwrap_or_default().to_owned());
            }
            let mut info = Command::new("docker");
            info.arg("--host").arg(format!("unix://{}", self.socket.display())).arg("info");
            if info.output().unwrap().status.success() {
                return Ok(());
            }
            sleep(PAUSE);
        }
        Err("it does not answer".to_owned())
    }

    fn import(&self, busybox: &PathBuf) {
        let bin = self.folder.path().join("image/bin");
        fs::create_dir_all(&bin).unwrap();
        fs::copy(busybox, bin.join("busybox")).unwrap();
        for tool in TOOLS {
            symlink("busybox", bin.join(tool)).unwrap();
        }
        let archive = self.folder.path().join("image.tar");
        let mut tar = Command::new("tar");
        tar.arg("-C").arg(self.folder.path().join("image")).arg("-cf").arg(&archive).arg(".");
        assert!(tar.status().unwrap().success());
        self.docker(&format!("import {} scenes", archive.display()));
    }

    /// `docker run -d` of a script in the shell.
    pub(super) fn start(&self, name: &str, options: &str, script: &str) {
        let mut run =
            self.command(&format!("run -d --network none --name {name} {options} scenes"));
        succeed(run.args(["sh", "-c", script]));
    }

    /// A command without blanks in its words.
    pub(super) fn docker(&self, words: &str) -> String {
        succeed(&mut self.command(words))
    }

    /// Waits until the container stands as it should.
    pub(super) fn wait_for(&self, name: &str, format: &str, standing: &str) {
        for _ in 0..TRIES {
            let mut inspect = self.command("inspect --format");
            if succeed(inspect.args([format, name])).trim() == standing {
                return;
            }
            sleep(PAUSE);
        }
        panic!("{name} never was {standing}: {}", self.docker(&format!("inspect {name}")));
    }

    fn command(&self, words: &str) -> Command {
        let mut docker = Command::new("docker");
        docker.arg("--host").arg(format!("unix://{}", self.socket.display()));
        docker.args(words.split_whitespace());
        docker
    }

    /// Lets the daemon hang: its socket takes connections, and nobody answers.
    pub(super) fn hang(&self) {
        self.send("-STOP");
    }

    /// Lets it go on.
    pub(super) fn go_on(&self) {
        self.send("-CONT");
    }

    fn send(&self, signal: &str) {
        let process = self.process.as_ref().unwrap();
        let sent = Command::new("kill").arg(signal).arg(process.id().to_string()).status();
        assert!(sent.unwrap().success());
    }

    /// Asks the daemon to end, and waits until it has.
    pub(super) fn end(&mut self) {
        if self.process.is_some() {
            self.send("-TERM");
        }
        if let Some(mut process) = self.process.take() {
            process.wait().unwrap();
        }
    }
}

impl Drop for Daemon {
    /// Nothing of it stays, whatever the test came to.
    fn drop(&mut self) {
        if self.process.is_some() {
            self.go_on();
            let all = self.command("ps --all --quiet").output().map(|output| output.stdout);
            let all = String::from_utf8_lossy(&all.unwrap_or_default()).into_owned();
            if !all.is_empty() {
                drop(self.command("rm --force").args(all.split_whitespace()).output());
            }
        }
        self.end();
    }
}

fn installed() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let find = |name: &str| {
        std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
    };
    find("dockerd").and(find("docker")).and_then(|_| find("busybox"))
}

fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
