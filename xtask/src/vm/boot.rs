//! One run of the machine: a payload goes in, results and the serial log come out.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};

use super::Image;
use crate::clock;
use crate::repo;

/// The longest that a run may take. Emulated beside another busy process the machine is up in half
/// a minute, on a crowded computer in three; a scenario gets five times that.
const AT_MOST: Duration = Duration::from_mins(15);

/// The guest's memory unless a scenario wants it short: Debian's own minimum for a server twice
/// over, so that nothing but a scenario's limit is.
const MEMORY_MIB: u32 = 1024;

/// Room for the guest's results. Sparse.
const RESULTS_BYTES: u64 = 256 << 20;

/// Room beside the payload for the file system's own tables.
const PAYLOAD_SPARE_BYTES: u64 = 16 << 20;

/// How many lines of the serial log a failure shows.
const TAIL_LINES: usize = 40;

/// The lines by which the guest says that it began and how it ended (guest/run.sh).
const BEGUN: &str = "highwater-e2e: begin at ";
const ENDED: &str = "highwater-e2e: end with ";

/// What the machine is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hardware {
    /// The memory of each node, in MiB.
    pub(crate) nodes_mib: &'static [u32],
    /// What the kernel is told beside what it must know.
    pub(crate) kernel: &'static str,
    /// Debian packages beside the least that boots.
    pub(crate) packages: &'static [&'static str],
}

impl Hardware {
    fn memory(&self, qemu: &mut Command) {
        let whole: u32 = self.nodes_mib.iter().sum();
        qemu.arg("-m").arg(whole.to_string());
        for (node, mib) in self.nodes_mib.iter().enumerate() {
            qemu.arg("-object").arg(format!("memory-backend-ram,id=ram{node},size={mib}M"));
            // The processors are all on the first node: the others are memory alone.
            let processors = if node == 0 { ",cpus=0-1" } else { "" };
            qemu.arg("-numa").arg(format!("node,memdev=ram{node}{processors}"));
        }
    }
}

impl Default for Hardware {
    fn default() -> Self {
        Self { nodes_mib: &[MEMORY_MIB], kernel: "quiet", packages: &[] }
    }
}

/// What the guest gets.
#[derive(Debug)]
pub(crate) struct Payload<'a> {
    /// Files, and their names in the guest's $PAYLOAD.
    pub(crate) files: &'a [(&'a Path, &'a str)],
    /// A bash script that runs as root and leaves files in $RESULTS.
    pub(crate) script: &'a str,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct VmRun {
    /// The folder with what the script left in $RESULTS.
    pub(crate) results: PathBuf,
    /// The script's exit code.
    pub(crate) code: i32,
    /// How long the guest took to reach the script, by its own clock.
    pub(crate) boot_seconds: f64,
}

/// A machine that can be run, as often as wanted: every run starts from the same image.
#[derive(Debug)]
pub(crate) struct Vm {
    hardware: Hardware,
    image: Image,
    folder: PathBuf,
}

impl Vm {
    /// The machine; `name` is the folder under target/vm that keeps the last run's files.
    pub(crate) fn new(name: &str) -> anyhow::Result<Self> {
        Self::of(name, Hardware::default())
    }

    /// The same of other hardware.
    pub(crate) fn of(name: &str, hardware: Hardware) -> anyhow::Result<Self> {
        let image = Image::ready(hardware.packages)?;
        Ok(Self { hardware, image, folder: repo::target().join("vm").join(name) })
    }

    /// Boots, runs the payload's script, powers off.
    pub(crate) fn run(&self, payload: &Payload<'_>) -> anyhow::Result<VmRun> {
        self.power_on(payload, |returned, serial| self.collect(returned, serial))
    }

    /// Boots, runs a script that does not end well, and returns what the serial console showed.
    pub(crate) fn crash(&self, payload: &Payload<'_>) -> anyhow::Result<Vec<u8>> {
        self.power_on(payload, |_, serial| Ok(serial.to_vec()))
    }

    /// Boots with one disk more, the fourth, which outlives the machine, and pulls the plug as soon
    /// as what the serial console showed is `enough`; that is returned.
    pub(crate) fn cut(
        &self,
        payload: &Payload<'_>,
        disk: &Path,
        mut enough: impl FnMut(&[u8]) -> bool,
    ) -> anyhow::Result<Vec<u8>> {
        let disks = self.disks(payload)?;
        let mut qemu = self.machine(&disks);
        qemu.arg("-drive").arg(drive(disk, "readonly=off"));
        let outcome = start(qemu).and_then(|mut machine| {
            let cut = clock::poll(AT_MOST, Duration::from_millis(100), || {
                if let Some(status) = machine.try_wait()? {
                    bail!("the machine went off by itself ({status})");
                }
                // Until the emulator has made it, there is nothing to read.
                let shown = fs::read(&disks.serial).unwrap_or_default();
                Ok(enough(&shown).then_some(()))
            });
            machine.kill()?;
            machine.wait()?;
            cut?.with_context(|| format!("not enough happened in {} s", AT_MOST.as_secs()))
        });
        disks.told(outcome.and_then(|()| Ok(fs::read(&disks.serial)?)))
    }

    fn power_on<T>(
        &self,
        payload: &Payload<'_>,
        collect: impl Fn(&Path, &[u8]) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let disks = self.disks(payload)?;
        let ended = start(self.machine(&disks)).and_then(wait);
        disks.told(ended.and_then(|()| collect(&disks.results, &fs::read(&disks.serial)?)))
    }

    /// A fresh folder with what the machine needs beside its image.
    fn disks(&self, payload: &Payload<'_>) -> anyhow::Result<Disks> {
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder)?;
        }
        fs::create_dir_all(&self.folder)?;
        let payload = self.payload_disk(payload)?;
        let results = self.folder.join("results.raw");
        File::create(&results)?.set_len(RESULTS_BYTES)?;
        Ok(Disks { payload, results, serial: self.folder.join("serial.log") })
    }

    fn payload_disk(&self, payload: &Payload<'_>) -> anyhow::Result<PathBuf> {
        let tree = self.folder.join("payload");
        fs::create_dir_all(&tree)?;
        fs::write(tree.join("run.sh"), payload.script)?;
        let mut bytes = PAYLOAD_SPARE_BYTES;
        for (file, name) in payload.files {
            let copied = fs::copy(file, tree.join(name));
            bytes += copied.with_context(|| format!("cannot copy {}", file.display()))?;
        }
        let disk = self.folder.join("payload.raw");
        // A tenth for the tables of a file system that holds nothing else.
        File::create(&disk)?.set_len(bytes + bytes / 10)?;
        let mut make = Command::new("mkfs.ext4");
        repo::succeed(make.args(["-q", "-F", "-d"]).arg(&tree).arg(&disk))?;
        fs::remove_dir_all(&tree)?;
        Ok(disk)
    }

    fn machine(&self, disks: &Disks) -> Command {
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2"]);
        self.hardware.memory(&mut qemu);
        qemu.args(["-nodefaults", "-no-reboot", "-display", "none", "-monitor", "none"]);
        qemu.arg("-serial").arg(format!("file:{}", disks.serial.display()));
        qemu.arg("-kernel").arg(self.image.kernel()).arg("-initrd").arg(self.image.initrd());
        let told = format!("root=/dev/vda rw console=ttyS0 panic=1 {}", self.hardware.kernel);
        qemu.args(["-append", &told]);
        qemu.arg("-drive").arg(drive(&self.image.root(), "snapshot=on"));
        qemu.arg("-drive").arg(drive(&disks.payload, "readonly=on"));
        qemu.arg("-drive").arg(drive(&disks.results, "readonly=off"));
        qemu
    }

    fn collect(&self, returned: &Path, serial: &[u8]) -> anyhow::Result<VmRun> {
        let serial = String::from_utf8_lossy(serial);
        let (code, boot_seconds) = ending(&serial)
            .context("the machine went off without reaching the end of the script")?;
        let results = self.folder.join("results");
        fs::create_dir_all(&results)?;
        repo::succeed(Command::new("tar").arg("-xf").arg(returned).arg("-C").arg(&results))?;
        fs::remove_file(returned)?;
        Ok(VmRun { results, code, boot_seconds })
    }
}

/// What one run needs beside the image.
struct Disks {
    payload: PathBuf,
    results: PathBuf,
    serial: PathBuf,
}

impl Disks {
    /// A failure with the end of what the machine said.
    fn told<T>(&self, outcome: anyhow::Result<T>) -> anyhow::Result<T> {
        outcome.with_context(|| {
            let said = fs::read(&self.serial).unwrap_or_default();
            let end = tail(&String::from_utf8_lossy(&said));
            format!("the end of {}:\n{end}\n", self.serial.display())
        })
    }
}

fn drive(file: &Path, option: &str) -> String {
    format!("file={},format=raw,if=virtio,{option}", file.display())
}

fn start(mut qemu: Command) -> anyhow::Result<Child> {
    let running = qemu.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
    running.context("cannot run qemu-system-x86_64; is qemu-system-x86 installed?")
}

/// Waits for the machine to power off, and ends it when it does not.
fn wait(mut machine: Child) -> anyhow::Result<()> {
    let begun = clock::now();
    loop {
        if let Some(status) = machine.try_wait()? {
            if status.success() {
                return Ok(());
            }
            bail!("qemu failed ({status})");
        }
        if begun.elapsed() > AT_MOST {
            machine.kill()?;
            machine.wait()?;
            bail!("the machine was still running after {} s", AT_MOST.as_secs());
        }
        thread::sleep(Duration::from_millis(200));
    }
}

/// The script's exit code, and when it began.
fn ending(serial: &str) -> Option<(i32, f64)> {
    let begun = serial.split_once(BEGUN)?.1.split_whitespace().next()?.parse().ok()?;
    let code = serial.rsplit_once(ENDED)?.1.split_whitespace().next()?.parse().ok()?;
    Some((code, begun))
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let from = lines.len().saturating_sub(TAIL_LINES);
    lines.into_iter().skip(from).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_serial_log_tells_how_it_ended() {
        let log = "[ 1.0] x\nhighwater-e2e: begin at 17.25 s\r\nnoise\r\n\
                   highwater-e2e: end with 3 at 40.00 s\r\n";
        assert_eq!(ending(log), Some((3, 17.25)));
        assert_eq!(ending("highwater-e2e: begin at 17.25 s\n[ 20.0] panic"), None);
        assert_eq!(ending(""), None);
    }

    #[test]
    fn a_tail_is_the_last_lines() {
        let log = (0..100).map(|n| n.to_string()).collect::<Vec<_>>().join("\n");
        assert_eq!(tail(&log).lines().count(), TAIL_LINES);
        assert!(tail(&log).ends_with("\n99"));
        assert_eq!(tail("one"), "one");
    }
}
