//! The kernel's tracepoints of fatal signals and of the OOM killer's choice, in a tracing instance
//! of our own (`Documentation/trace/ftrace.rst`, Instances), which disturbs nobody else's.
//!
//! The kernel filters: only signals that can end a process are written, so that a machine that
//! forks a thousand times a second, each with its SIGCHLD, costs nothing here.
//!
//! What kernel 6.18 prints, sender first; the other words are those of `signal_generate`:
//!
//! | death | sender | code | grp |
//! |---|---|---|---|
//! | `kill -9`, also to itself | the thread that called kill(2) | 0 | 1 |
//! | `cgroup.kill` | the one that wrote the file; one record for each process | 0 | 0 |
//! | `PR_SET_PDEATHSIG` | the parent that ends | 0 | 1 |
//! | end of a pid namespace | its ending first process | 128 | 1 |
//! | OOM killer | the one that wanted memory | 128 | 1 |
//! | `RLIMIT_CPU` | the process itself: SIGXCPU, at the hard limit SIGKILL | 128 | 1 |
//! | abort(3) | the process itself, SIGABRT | -6 | 0 |
//! | a wild pointer | the process itself, SIGSEGV | 1, 2 | 0 |
//!
//! A signal that its target ignores has res=1, and is filtered out; one of a kind that waits already
//! has res=2.
//!
//! The instance lives in the kernel: when its reader is killed it goes on recording, the newest
//! 128 KiB of each processor. Whoever opens it again by the same name reads what happened
//! meanwhile, with its true stamps, and each record only once. It ends with the boot, or when
//! [`Tracing`] is dropped.

mod record;
mod strays;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::Absent;
use crate::root::Root;

pub use record::{Signalled, Traced, parse};
pub use strays::Strays;

/// Where tracefs is.
const PLACE: &str = "sys/kernel/tracing";

/// Where it was before 4.1, and still is below a mounted debugfs.
const OLD_PLACE: &str = "sys/kernel/debug/tracing";

/// How much each processor keeps for a reader that is late or dead: 2,000 signals.
const BUFFER_KIB: &str = "128";

/// The signals that end a process unless it catches them: not SIGCHLD, SIGCONT, SIGURG, SIGWINCH and
/// those that stop it, and none that its target ignores.
///
/// Those of everyday life ([`Signal::is_everyday`](highwater_core::testimony::Signal::is_everyday)) only
/// where kill(2) (0), which the kernel's SIGPIPE looks like, or sigqueue(3) (-1) sent them: not from
/// timers of `timer_create(2)` (-2), message queues (-3), asynchronous I/O (-4), nor one thread to
/// another, as raise(3) does and runtimes stop theirs (-6), nor with each byte that can be read
/// (SIGIO). SIGALRM is what timers end a process with: all but that between threads.
const WIDE: &str = "result!=1&&(sig==1||sig==2||sig==3||sig==4||sig==5||sig==6||sig==7||sig==8||\
    sig==9||sig==11||sig==15||sig==24||sig==25||sig==31||(sig==14&&code!=-6)||\
    ((sig==10||sig==12||sig==13||sig==16||sig==26||sig==27||sig==29||sig==30||sig>=34)&&\
    (code==0||code==-1)))";

/// The same without those of everyday life, of which anybody may send a million a second that are
/// caught, and push the others out of the buffer.
const NARROW: &str = "result!=1&&(sig==1||sig==2||sig==3||sig==4||sig==5||sig==6||sig==7||sig==8||\
    sig==9||sig==11||sig==15||sig==24||sig==25||sig==31)";

/// Programs that end others. One whose path has a newline is left out: its path could be made to
/// look like other records.
const ENDERS: &str = "(filename~\"*kill*\"||filename~\"*systemctl\"||filename~\"*docker\"||\
    filename~\"*podman\"||filename~\"*nerdctl\"||filename~\"*kubectl\"||filename~\"*crictl\"||\
    filename~\"*ctr\")&&!(filename~\"*\n*\")";

/// A signal is made. This one has to be there; the others may be missing in an old kernel.
const SIGNALS: &str = "events/signal/signal_generate";

/// The OOM killer has chosen (4.13).
const VICTIMS: &str = "events/oom/mark_victim";

/// A program was started.
const PROGRAMS: &str = "events/sched/sched_process_exec";

/// Room for one read, so that none is cut. The kernel gives whole records, 8 KiB of them, and a page where pages are
/// larger (`TRACE_SEQ_BUFFER_SIZE`).
const READ_BYTES: usize = 64 << 10;

/// Room for all reads of one call, so that a flood of signals leaves time for the other witnesses.
const TEXT_BYTES: usize = 256 << 10;

/// The longest name of an instance.
const NAME_BYTES: usize = 64;

/// A tracing instance of our own. Dropped, it is no more.
#[derive(Debug)]
pub struct Tracing {
    pipe: OwnedFd,
    // After the pipe: the kernel keeps an instance that somebody reads.
    instance: Instance,
    text: Vec<u8>,
    is_drained: bool,
    is_narrow: bool,
}

impl Tracing {
    /// Opens the instance `name`, and makes it unless a reader that was killed left it behind.
    ///
    /// Let the name be that of the recorder (`highwater-` and a hash of its data directory): the
    /// same at each start, another for another recorder on the same machine. Reading never blocks.
    pub fn open(root: &Root, name: &str) -> Result<Self, Absent> {
        let instance = Instance::make(&home(root)?, name)?;
        instance.set_up()?;
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let path = instance.dir.join("trace_pipe");
        let pipe = rustix::fs::open(&path, flags, Mode::empty());
        let pipe = pipe.map_err(|errno| refusal(errno, &path))?;
        let text = Vec::with_capacity(TEXT_BYTES);
        Ok(Self { pipe, instance, text, is_drained: false, is_narrow: false })
    }

    /// Whether the instance was there already: what comes first may have happened before now.
    pub fn is_resumed(&self) -> bool {
        !self.instance.is_new
    }

    /// Gives what was fetched, with the words of each record, and no more: of what is traced after
    /// [`Tracing::fetch`], nobody has been heard yet who could say where its sender comes from.
    pub fn read(&mut self, each: &mut dyn FnMut(&Traced<'_>, &[u8])) {
        parse(&self.text, each);
        self.text.clear();
    }

    /// Has the kernel leave out the signals of everyday life from now on: for a while after some were
    /// lost, so that a flood of them does not push out those that end somebody. What is in the buffer
    /// stays.
    pub fn narrow(&mut self) -> Result<(), Absent> {
        self.ask(true)
    }

    /// Has it tell them again, as it does from the start.
    pub fn widen(&mut self) -> Result<(), Absent> {
        self.ask(false)
    }

    /// Once, whether the kernel obeys or not: it would not obey the next time either.
    fn ask(&mut self, is_narrow: bool) -> Result<(), Absent> {
        if std::mem::replace(&mut self.is_narrow, is_narrow) == is_narrow {
            return Ok(());
        }
        self.instance.filter(SIGNALS, if is_narrow { NARROW } else { WIDE })
    }

    /// Whether the last [`Tracing::fetch`] left nothing in the kernel.
    pub fn is_drained(&self) -> bool {
        self.is_drained
    }

    /// Takes what was traced out of the kernel, as far as there is room, for [`Tracing::read`]: so
    /// that other witnesses of what came before can be heard in between.
    pub fn fetch(&mut self) -> io::Result<()> {
        self.is_drained = false;
        while self.text.capacity().saturating_sub(self.text.len()) >= READ_BYTES {
            let room = rustix::buffer::spare_capacity(&mut self.text);
            match rustix::io::read(&self.pipe, room) {
                Ok(0) | Err(Errno::AGAIN) => {
                    self.is_drained = true;
                    break;
                }
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }
}

/// For `poll`: readable when there is a record.
impl AsFd for Tracing {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

/// Where instances are made.
fn home(root: &Root) -> Result<PathBuf, Absent> {
    let mut refused = None;
    for place in [PLACE, OLD_PLACE] {
        let dir = root.path(place).join("instances");
        match rustix::fs::stat(&dir) {
            Ok(_) => return Ok(dir),
            Err(Errno::NOENT) => {}
            Err(errno) => refused = Some(refusal(errno, &dir)),
        }
    }
    Err(refused.unwrap_or_else(|| {
        let place = root.path(PLACE);
        let place = place.display();
        Absent::new(format_args!(
            "tracefs is not mounted: mount -t tracefs tracefs {place}; or the kernel has no CONFIG_FTRACE"
        ))
    }))
}

/// The instance's directory, removed on drop.
#[derive(Debug)]
struct Instance {
    dir: PathBuf,
    is_new: bool,
}

impl Instance {
    fn make(home: &Path, name: &str) -> Result<Self, Absent> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if name.is_empty() || name.len() > NAME_BYTES || !name.bytes().all(is_plain) {
            let what = "is no name for a tracing instance: letters, digits, - and _";
            return Err(Absent::new(format_args!("{name:?} {what}")));
        }
        let dir = home.join(name);
        match rustix::fs::mkdir(&dir, Mode::RWXU) {
            Ok(()) => Ok(Self { dir, is_new: true }),
            Err(Errno::EXIST) => Ok(Self { dir, is_new: false }),
            Err(errno) => Err(refusal(errno, &dir)),
        }
    }

    /// Sets what is not set yet: to set the clock or the size once more would empty the buffer of
    /// an instance that went on recording.
    fn set_up(&self) -> Result<(), Absent> {
        self.set("trace_clock", "boot", "[boot]")?;
        if self.is_new {
            self.set("buffer_size_kb", BUFFER_KIB, BUFFER_KIB)?;
        }
        // Without this, poll(2) waits until half of the buffer is full. Kernels before 5.0 do not
        // have it, and wake at once.
        if self.dir.join("buffer_percent").exists() {
            self.set("buffer_percent", "0", "0")?;
        }
        self.switch_on(SIGNALS, WIDE)?;
        for (event, filter) in [(VICTIMS, ""), (PROGRAMS, ENDERS)] {
            if self.dir.join(event).exists() {
                self.switch_on(event, filter)?;
            }
        }
        self.set("tracing_on", "1", "1")
    }

    fn switch_on(&self, event: &str, filter: &str) -> Result<(), Absent> {
        if !filter.is_empty() {
            self.filter(event, filter)?;
        }
        self.set(&format!("{event}/enable"), "1", "1")
    }

    fn filter(&self, event: &str, filter: &str) -> Result<(), Absent> {
        self.set(&format!("{event}/filter"), filter, filter)
    }

    /// Writes `value` into `file` unless it says `said` already.
    fn set(&self, file: &str, value: &str, said: &str) -> Result<(), Absent> {
        let path = self.dir.join(file);
        let says = |text: String| text.trim() == said || text.split(' ').any(|word| word == said);
        if std::fs::read_to_string(&path).is_ok_and(says) {
            return Ok(());
        }
        let flags = OFlags::WRONLY | OFlags::TRUNC | OFlags::CLOEXEC;
        let written = rustix::fs::open(&path, flags, Mode::empty())
            .and_then(|file| rustix::io::write(file, value.as_bytes()));
        written.map(|_| ()).map_err(|errno| refusal(errno, &path))
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // One that another recorder reads stays, which is right.
        let _stays_if_read = rustix::fs::rmdir(&self.dir);
    }
}

fn refusal(errno: Errno, path: &Path) -> Absent {
    let path = path.display();
    Absent::new(match errno {
        Errno::ACCESS => format!(
            "{path}: not permitted: tracefs is root's alone; it takes root or CAP_DAC_OVERRIDE"
        ),
        Errno::PERM => format!(
            "{path}: not permitted: the kernel is locked down (lockdown=confidentiality), or this user may not trace"
        ),
        Errno::ROFS => format!(
            "{path}: mounted read-only here: a service with ProtectKernelTunables=yes needs ReadWritePaths=-/sys/kernel/tracing/instances"
        ),
        Errno::NOENT => format!(
            "{path}: not there: the kernel needs CONFIG_EVENT_TRACING, and tracing instances (3.10)"
        ),
        Errno::BUSY => format!("{path}: another recorder of the same name reads it"),
        errno => format!("{path}: {errno}"),
    })
}

#[cfg(test)]
mod tests {
    use highwater_core::testimony::Signal;

    use super::*;

    #[test]
    fn each_refusal_names_the_way_out() {
        let said = |errno| refusal(errno, Path::new("/t/trace_pipe")).why;
        assert!(said(Errno::ACCESS).contains("CAP_DAC_OVERRIDE"));
        assert!(said(Errno::PERM).contains("lockdown"));
        assert!(said(Errno::ROFS).contains("ReadWritePaths"));
        assert!(said(Errno::NOENT).contains("CONFIG_EVENT_TRACING"));
        assert!(said(Errno::BUSY).contains("another recorder"));
        assert!(said(Errno::IO).contains("/t/trace_pipe"));
    }

    #[test]
    fn a_name_cannot_leave_its_place() {
        for name in ["", "..", "a/b", "a\n", &"a".repeat(65)] {
            let error = Instance::make(Path::new("/nonexistent"), name).unwrap_err();
            assert!(error.why.contains("no name"), "{name:?}: {error}");
        }
    }

    #[test]
    fn without_tracefs_it_says_how_to_mount_it() {
        let dir = tempfile::tempdir().unwrap();
        let error = Tracing::open(&Root::at(dir.path()), "highwater-test").unwrap_err();
        assert!(error.why.contains("mount -t tracefs"), "{error}");
    }

    /// Which numbers a filter names by themselves.
    fn named(filter: &str) -> impl Fn(u8) -> bool + '_ {
        |number| {
            filter.split(['(', ')', '|', '&']).any(|word| word == format!("sig=={number}"))
                || (number >= 34 && filter.contains("sig>=34"))
        }
    }

    #[test]
    fn the_narrow_filter_leaves_out_what_is_of_every_day_and_nothing_else() {
        let (wide, narrow) = (named(WIDE), named(NARROW));
        for number in 0..=64 {
            let is_everyday = Signal(number).is_everyday();
            assert_eq!(narrow(number), wide(number) && !is_everyday, "{number}");
            assert!(wide(number) || !is_everyday, "{number}");
        }
        assert!(narrow(9) && narrow(15) && !narrow(10));
    }

    #[test]
    fn what_is_set_already_is_not_set_again() {
        let dir = tempfile::tempdir().unwrap();
        let instance = Instance { dir: dir.path().join("i"), is_new: false };
        std::fs::create_dir_all(&instance.dir).unwrap();
        let file = instance.dir.join("trace_clock");
        std::fs::write(&file, "local [boot] tai\n").unwrap();
        instance.set("trace_clock", "boot", "[boot]").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "local [boot] tai\n");
        std::fs::write(&file, "50\n").unwrap();
        instance.set("trace_clock", "0", "0").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "0");
    }
}
