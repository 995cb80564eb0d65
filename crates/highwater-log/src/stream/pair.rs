//! Two threads that read and sweep in turns.
//!
//! ```text
//! helper   read 0 │ sweep 0 │ read 2 │ sweep 2 │ …
//! caller          │ read 1  │ sweep 1 │ read 3 │ sweep 3 …
//! ```
//!
//! Each block is swept by the thread that read it, while it is in that processor's cache: handing
//! blocks from a reader to a sweeper costs more than the sweep. Blocks go to the caller in the
//! order of the input, and their number is fixed.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use highwater_core::line::Net;

use super::block::{Block, Input};

/// The caller's side.
#[derive(Debug)]
pub(super) struct Pair<R> {
    input: Arc<Mutex<Input<R>>>,
    /// Empty blocks to the helper, full ones from it. Each queue has room for all its blocks.
    lend: SyncSender<Block>,
    done: Receiver<Block>,
    /// Empty blocks of the caller's.
    own: Vec<Block>,
    /// Full blocks whose turn has not come.
    waiting: Vec<Block>,
    next: u64,
}

impl<R: Read + Send + 'static> Pair<R> {
    /// Starts the helper. Either thread has `blocks` blocks of `size` bytes. Where there can be no
    /// thread, the caller does everything.
    pub(super) fn start(input: Input<R>, size: usize, blocks: usize) -> Self {
        let (lend, empty) = sync_channel(blocks);
        let (full, done) = sync_channel(blocks);
        let input = Arc::new(Mutex::new(input));
        let shared = Arc::clone(&input);
        let helper = thread::Builder::new().name("log-ahead".to_owned());
        let _started = helper.spawn(move || help(&shared, &empty, &full));
        for _ in 0..blocks {
            // The queue has room for all of them.
            let _lent = lend.try_send(Block::lent(size));
        }
        let own = (0..blocks).map(|_| Block::of(size)).collect();
        Self { input, lend, done, own, waiting: Vec::new(), next: 0 }
    }
}

impl<R: Read> Pair<R> {
    /// The next block of the input; if none of the caller's is empty, the helper has it. `None` if
    /// the helper died with it.
    pub(super) fn fetch(&mut self, net: Option<Net>) -> Option<Block> {
        loop {
            self.waiting.extend(self.done.try_iter());
            if let Some(at) = self.waiting.iter().position(|block| block.place == self.next) {
                self.next += 1;
                return Some(self.waiting.swap_remove(at));
            }
            let mut empty = self.own.pop();
            if empty.as_mut().is_some_and(|block| self.read(block, net)) {
                self.waiting.extend(empty);
            } else {
                self.own.extend(empty);
                self.waiting.push(self.done.recv().ok()?);
            }
        }
    }

    /// Takes back a block that was fetched.
    pub(super) fn recycle(&mut self, block: Block) {
        if block.is_lent {
            // At the end the helper is gone, and the block with it.
            let _lent = self.lend.try_send(block);
        } else {
            self.own.push(block);
        }
    }

    /// Reads and sweeps the next unread block, if there is one.
    fn read(&self, block: &mut Block, net: Option<Net>) -> bool {
        // A helper that died while it was reading left the input in no known state.
        let Ok(mut input) = self.input.lock() else { return false };
        input.net = net;
        turn(input, block)
    }
}

/// What the helper does, until the input or the caller is gone.
fn help<R: Read>(input: &Mutex<Input<R>>, empty: &Receiver<Block>, full: &SyncSender<Block>) {
    while let Ok(mut block) = empty.recv() {
        let Ok(input) = input.lock() else { return };
        if !turn(input, &mut block) || full.send(block).is_err() {
            return;
        }
    }
}

/// One turn of either thread: only reading needs the input. `false` at its end.
fn turn<R: Read>(mut input: MutexGuard<'_, Input<R>>, block: &mut Block) -> bool {
    if input.is_over {
        return false;
    }
    input.fill(block);
    let net = input.net;
    drop(input);
    if let Some(net) = net {
        block.sweep(net);
    }
    true
}

/// What is said of an input whose reader is gone.
pub(super) fn died() -> io::Error {
    io::Error::other("the thread that read the log ahead of its reader died")
}
