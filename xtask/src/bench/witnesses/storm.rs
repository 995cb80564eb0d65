//! Processes that come and go by the thousand.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::clock;

/// How often a batch is started.
const BEAT: Duration = Duration::from_millis(10);

/// Who starts them: one alone cannot.
const THREADS: usize = 3;

/// Who can do both of what is started: the cheapest programs there are, for the machine's own
/// processors do this too. Half of them fail, as commands of scripts do: that is the small change of
/// which a recorder keeps only so much.
const MULTICALL: &str = "/usr/bin/busybox";
const WORDS: [&str; 2] = ["true", "false"];

/// Starts them until it is told to stop.
pub(super) struct Storm {
    stop: Arc<AtomicBool>,
    started: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<()>>,
}

impl Storm {
    /// So many a second.
    pub(super) fn start(rate: usize) -> anyhow::Result<Self> {
        let (stop, started) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let beats = 1000 / usize::try_from(BEAT.as_millis()).unwrap_or(1000).max(1);
        let each = rate.div_ceil(beats.max(1) * THREADS);
        let threads = (0..THREADS).map(|_| {
            let (stop, started) = (Arc::clone(&stop), Arc::clone(&started));
            let blow = move || blow(each, &stop, &started);
            thread::Builder::new().name("storm".to_owned()).spawn(blow)
        });
        Ok(Self { threads: threads.collect::<Result<_, _>>()?, stop, started })
    }

    /// Ends it; returns how many were started.
    pub(super) fn stop(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            // One that panicked has started what it has.
            let _ended = thread.join();
        }
        self.started.load(Ordering::Relaxed)
    }
}

fn blow(each: usize, stop: &AtomicBool, started: &AtomicUsize) {
    let began = clock::now();
    let mut next = Duration::ZERO;
    while !stop.load(Ordering::Relaxed) {
        thread::sleep(next.saturating_sub(began.elapsed()));
        let words = WORDS.iter().cycle().take(each);
        let batch: Vec<Child> = words.filter_map(|word| short(word).spawn().ok()).collect();
        started.fetch_add(batch.len(), Ordering::Relaxed);
        for mut child in batch {
            let _ended = child.wait();
        }
        next += BEAT;
    }
}

fn short(word: &str) -> Command {
    let is_there = Path::new(MULTICALL).exists();
    let mut short = Command::new(if is_there { MULTICALL } else { word });
    if is_there {
        short.arg(word);
    }
    short.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_blows_until_it_is_stopped() {
        let storm = Storm::start(300).unwrap();
        let at_most = Duration::from_secs(10);
        let blew = clock::poll(at_most, BEAT, || {
            Ok((storm.started.load(Ordering::Relaxed) > 3).then_some(()))
        });
        assert!(blew.unwrap().is_some());
        assert!(storm.stop() > 3);
    }
}
