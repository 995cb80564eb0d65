//! The habits that end badly.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Child;
use std::thread;

use super::{HALF_A_SECOND, Habit, Heap, KIB, MIB, Pace, SECOND, child};

/// What is held at the beginning: what any program has.
const BASE: usize = 24 * MIB;

/// Files that are opened each second.
const FILES: u32 = 4;

/// Names that are made each second: about 0.8 MB of directory entries.
const NAMES: u32 = 4_000;

/// Sockets that are filled each second.
const SOCKETS: u32 = 4;

/// What a connection is sent that nobody reads.
const UNREAD: usize = 256 * KIB;

/// Garbage between two collections, and how many half seconds are between them.
const GARBAGE: usize = 30 * MIB;
const COLLECTED_EVERY: usize = 10;

/// How much `habit` takes in an hour, where a constant says it: what the kernel needs for a message
/// or a connection is its own affair.
pub(super) const fn an_hour(habit: Habit) -> Option<f64> {
    const SECONDS: f64 = 3600.0;
    const BYTES_A_MIB: f64 = 1_048_576.0;
    let a_second = match habit {
        Habit::Anon | Habit::Log => BYTES_A_MIB,
        Habit::Ratchet | Habit::Shmem => BYTES_A_MIB / 2.0,
        Habit::Fds => 4.0,
        Habit::Threads | Habit::Zombies => 1.0,
        _ => return None,
    };
    Some(a_second * SECONDS)
}

/// Leaks until it is killed; `None` of a habit that is no leak.
pub(super) fn run(habit: Habit, folder: &Path) -> Option<anyhow::Result<()>> {
    let mut heap = Heap::default();
    heap.hold(BASE);
    let ended = match habit {
        Habit::Anon => anon(&mut heap),
        Habit::Ratchet => ratchet(&mut heap),
        Habit::Fds => fds(),
        Habit::Threads => threads(),
        Habit::Zombies => zombies(),
        Habit::Shmem => shmem(folder),
        Habit::Dentries => dentries(folder),
        Habit::Messages => messages(),
        Habit::Tcp => tcp(),
        Habit::Log => log(folder),
        _ => return None,
    };
    Some(ended)
}

fn anon(heap: &mut Heap) -> anyhow::Result<()> {
    let mut pace = Pace::every(HALF_A_SECOND);
    loop {
        pace.next();
        heap.hold(heap.held() + MIB / 2);
    }
}

fn ratchet(heap: &mut Heap) -> anyhow::Result<()> {
    let mut pace = Pace::every(HALF_A_SECOND);
    let mut halves = 0_usize;
    loop {
        pace.next();
        let garbage = GARBAGE / COLLECTED_EVERY * (halves % COLLECTED_EVERY);
        heap.hold(BASE + halves * (MIB / 4) + garbage);
        halves += 1;
    }
}

fn fds() -> anyhow::Result<()> {
    let mut open = Vec::new();
    let mut pace = Pace::every(SECOND / FILES);
    loop {
        pace.next();
        open.push(File::open("/dev/null")?);
    }
}

fn threads() -> anyhow::Result<()> {
    let mut pace = Pace::every(SECOND);
    loop {
        pace.next();
        let waits = || loop {
            thread::park();
        };
        thread::Builder::new().stack_size(64 * KIB).spawn(waits)?;
    }
}

fn zombies() -> anyhow::Result<()> {
    let mut unasked: Vec<Child> = Vec::new();
    let mut pace = Pace::every(SECOND);
    loop {
        pace.next();
        unasked.push(child()?);
    }
}

fn shmem(folder: &Path) -> anyhow::Result<()> {
    let content = vec![0xA5_u8; MIB / 4];
    let mut pace = Pace::every(HALF_A_SECOND);
    for number in 0_u64.. {
        pace.next();
        fs::write(folder.join(number.to_string()), &content)?;
    }
    Ok(())
}

/// One file under ever more names. Entries of a tmpfs stay for as long as their file does: of names
/// that are not there the kernel would forget some when memory is wanted elsewhere.
fn dentries(folder: &Path) -> anyhow::Result<()> {
    const PARTS: u32 = 10;
    let file = folder.join("file");
    File::create(&file)?;
    let mut pace = Pace::every(SECOND / PARTS);
    let mut number = 0_u64;
    loop {
        pace.next();
        for _ in 0..NAMES / PARTS {
            fs::hard_link(&file, folder.join(number.to_string()))?;
            number += 1;
        }
    }
}

fn messages() -> anyhow::Result<()> {
    let message = [0xA5_u8; 900];
    let mut kept = Vec::new();
    let mut pace = Pace::every(SECOND / SOCKETS);
    loop {
        pace.next();
        let (sender, receiver) = UnixDatagram::pair()?;
        sender.set_nonblocking(true)?;
        // Until there is no room for more.
        while sender.send(&message).is_ok() {}
        kept.push((sender, receiver));
    }
}

fn tcp() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let content = vec![0xA5_u8; UNREAD];
    let mut kept = Vec::new();
    let mut pace = Pace::every(SECOND / SOCKETS);
    loop {
        pace.next();
        let mut sender = TcpStream::connect(address)?;
        let (receiver, _) = listener.accept()?;
        sender.set_nonblocking(true)?;
        // What does not fit is not sent.
        let _sent = sender.write(&content);
        kept.push((sender, receiver));
    }
}

fn log(folder: &Path) -> anyhow::Result<()> {
    const PARTS: u32 = 8;
    let mut file = File::create(folder.join("debug.log"))?;
    let line = b"all is well, and it is said again and again until the disk is full of it; \n";
    let mut said = line.repeat(MIB / 8 / line.len() + 1);
    said.truncate(MIB / 8);
    let mut pace = Pace::every(SECOND / PARTS);
    loop {
        pace.next();
        file.write_all(&said)?;
    }
}
