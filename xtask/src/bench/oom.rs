//! `cargo xtask bench oom`: what it takes to find the reports in a large log.
//!
//! Beside `grep` for the words that people grep for, and for compressed logs beside the
//! decompressor alone, in turns and on the same files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use highwater_log::{Stream, decoded};
use rustix::process::{Pid, WaitId, WaitIdOptions};

use crate::clock;
use crate::repo::{self, Profile};

mod log;

/// The promises: so many times as fast as grep, in so much memory.
const GOAL_RATIO: f64 = 5.0;
const GOAL_KIB: u64 = 32 << 10;

/// A compressed log may take so much longer than its decompressor alone.
const GOAL_PACKED: f64 = 1.15;

/// What people look for deaths with.
const GREP: &str = "oom|killed process";

/// How it is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The size of the log in MiB; compressed ones are an eighth of it.
    #[arg(long, default_value_t = 1024)]
    mib: u64,
    /// How often each is run.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
}

/// One log read here.
#[derive(Debug, clap::Args)]
pub(crate) struct Read {
    /// The log.
    file: PathBuf,
    /// Decompress it and do nothing else.
    #[arg(long)]
    only_decode: bool,
}

impl Read {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut input = decoded(fs::File::open(&self.file)?)?;
        if self.only_decode {
            println!("{} bytes", io::copy(&mut input, &mut io::sink())?);
            return Ok(());
        }
        let mut stream = Stream::ahead(input);
        let reports = highwater_oom::skim(&mut stream);
        let deaths = highwater_oom::deaths(&reports).count();
        println!("{deaths} deaths in {} lines, {} bytes", stream.lines(), stream.bytes());
        Ok(())
    }
}

/// Makes the logs, runs everybody, prints the tables, and fails if a promise is broken.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let program = repo::build("highwater", Profile::Release)?;
    let reader = repo::build("xtask", Profile::Release)?;
    let folder = repo::target().join("bench-oom");
    fs::create_dir_all(&folder)?;
    let large = folder.join(format!("syslog-{}", options.mib));
    log::make(&large, options.mib << 20)?;
    let mut broken = plain(&program, &reader, &large, options.rounds)?;
    let small = folder.join(format!("syslog-{}", options.mib / 8));
    log::make(&small, (options.mib << 20) / 8)?;
    for (tool, level, ending) in
        [("gzip", "-6", "gz"), ("zstd", "-3", "zst"), ("xz", "-1", "xz"), ("bzip2", "-6", "bz2")]
    {
        match pack(&small, tool, level, ending)? {
            Some(packed) => {
                broken |= decompressed(&program, &reader, &packed, tool, options.rounds)?;
            }
            None => println!("{tool} is not installed: left out"),
        }
    }
    if broken {
        bail!("a promise is broken: see above");
    }
    Ok(())
}

/// The large log beside grep. `true` if a promise is broken.
fn plain(program: &Path, reader: &Path, log: &Path, rounds: usize) -> anyhow::Result<bool> {
    let mut grep = Command::new("grep");
    grep.args(["-c", "-iE", GREP]).arg(log).env("LC_ALL", "C.UTF-8");
    let mut contestants = [
        Contestant::new("grep", grep),
        Contestant::new("highwater why --json", why(program, log)),
        Contestant::new("skim alone", read(reader, log, false)),
    ];
    measure(&mut contestants, rounds)?;
    println!("{}, {} reports, {rounds} rounds:", log.display(), log::REPORTS);
    print(&contestants);
    let [grep, own, _] = &contestants;
    let ratio = grep.median() / own.median();
    let (fast, lean) = (ratio >= GOAL_RATIO, own.peak_kib <= GOAL_KIB);
    println!("{ratio:.1} × grep: the goal of {GOAL_RATIO} is {}", met(fast));
    println!("{} KiB: the goal of {GOAL_KIB} is {}\n", own.peak_kib, met(lean));
    Ok(!fast || !lean)
}

/// A compressed log beside the decompressor alone. `true` if a promise is broken.
fn decompressed(
    program: &Path,
    reader: &Path,
    log: &Path,
    tool: &str,
    rounds: usize,
) -> anyhow::Result<bool> {
    let mut other = Command::new(tool);
    other.arg("-dc").arg(log);
    let mut contestants = [
        Contestant::new("that tool -dc", other),
        Contestant::new("decoder alone", read(reader, log, true)),
        Contestant::new("highwater why --json", why(program, log)),
    ];
    measure(&mut contestants, rounds)?;
    println!("{}:", log.display());
    print(&contestants);
    let [_, alone, own] = &contestants;
    let ratio = own.median() / alone.median();
    let fast = ratio <= GOAL_PACKED;
    println!("{ratio:.2} of the decoder alone: the goal of {GOAL_PACKED} is {}", met(fast));
    println!("{} KiB\n", own.peak_kib);
    Ok(!fast)
}

fn why(program: &Path, log: &Path) -> Command {
    let mut why = Command::new(program);
    why.args(["why", "--json"]).arg(log);
    why
}

fn read(reader: &Path, log: &Path, only_decode: bool) -> Command {
    let mut read = Command::new(reader);
    read.args(["bench", "oom-read"]).arg(log);
    if only_decode {
        read.arg("--only-decode");
    }
    read
}

/// The log compressed, once.
fn pack(log: &Path, tool: &str, level: &str, ending: &str) -> anyhow::Result<Option<PathBuf>> {
    let packed = log.with_extension(ending);
    if packed.exists() {
        return Ok(Some(packed));
    }
    let unfinished = log.with_extension("part");
    let out = fs::File::create(&unfinished)?;
    let done = Command::new(tool).args([level, "-c"]).arg(log).stdout(out).status();
    match done {
        Ok(status) if status.success() => fs::rename(unfinished, &packed)?,
        Ok(status) => bail!("{tool} failed: {status}"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).context(format!("cannot run {tool}")),
    }
    Ok(Some(packed))
}

/// Somebody who reads the log.
struct Contestant {
    name: &'static str,
    command: Command,
    seconds: Vec<f64>,
    peak_kib: u64,
}

impl Contestant {
    fn new(name: &'static str, mut command: Command) -> Self {
        // What grep and a decompressor do differently, or not at all, if nobody reads.
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        Self { name, command, seconds: Vec::new(), peak_kib: 0 }
    }

    /// Runs it once: how long it took, and the most memory it was seen with.
    fn run(&mut self) -> anyhow::Result<()> {
        let began = clock::now();
        let mut child =
            self.command.spawn().with_context(|| format!("cannot run {}", self.name))?;
        let status = PathBuf::from(format!("/proc/{}/status", child.id()));
        let output = child.stdout.take();
        let drain = thread::Builder::new()
            .name("drain".to_owned())
            .spawn(move || output.map(|mut output| io::copy(&mut output, &mut io::sink())))?;
        // The peak stands there until somebody waits for the process.
        while !has_ended(child.id()) {
            self.peak_kib = self.peak_kib.max(peak_kib(&status).unwrap_or(0));
            thread::sleep(Duration::from_millis(1));
        }
        self.seconds.push(began.elapsed().as_secs_f64());
        let ended = child.wait()?;
        let _drained = drain.join();
        if !is_answer(ended) {
            bail!("{} failed: {ended}", self.name);
        }
        Ok(())
    }

    fn least(&self) -> f64 {
        self.seconds.iter().copied().fold(f64::INFINITY, f64::min)
    }

    fn median(&self) -> f64 {
        let mut sorted = self.seconds.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::INFINITY)
    }
}

/// Whether the process is over; its parent may still ask for how it ended.
fn has_ended(id: u32) -> bool {
    let pid = i32::try_from(id).ok().and_then(Pid::from_raw);
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    pid.is_none_or(|pid| !matches!(rustix::process::waitid(WaitId::Pid(pid), options), Ok(None)))
}

fn peak_kib(status: &Path) -> Option<u64> {
    let text = fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

/// 0 and 1 are answers of grep and of highwater.
fn is_answer(status: ExitStatus) -> bool {
    status.code().is_some_and(|code| code <= 1)
}

/// Everybody in turns; the first round only warms the cache.
fn measure(contestants: &mut [Contestant], rounds: usize) -> anyhow::Result<()> {
    for round in 0..=rounds {
        for contestant in contestants.iter_mut() {
            contestant.run()?;
            if round == 0 {
                contestant.seconds.clear();
            }
        }
    }
    Ok(())
}

fn print(contestants: &[Contestant]) {
    println!("{:22} {:>9} {:>9} {:>10}", "", "least s", "median s", "peak KiB");
    for one in contestants {
        println!("{:22} {:>9.3} {:>9.3} {:>10}", one.name, one.least(), one.median(), one.peak_kib);
    }
}

fn met(is: bool) -> &'static str {
    if is { "met" } else { "not met" }
}
