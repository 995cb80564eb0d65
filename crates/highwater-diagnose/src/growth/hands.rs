//! Work for more than one pair of hands: one reads, and whoever is free judges.

use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, TrySendError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Scope};

/// So many pieces are done by whoever brings them before anybody is asked to help: to start a thread
/// for less is not worth its while, and an agent stays by itself.
const ALONE: usize = 512;

/// So many pieces lie ready for a helper, as many as the store reads at once; of more, whoever brings
/// them does some.
const READY: usize = 24;

/// Does `work` on all pieces that `bring` brings, on two processors if there are many of them.
/// What comes of them is in no order.
pub(super) fn shared<T: Send, R: Send, E>(
    work: &(dyn Fn(T) -> Vec<R> + Sync),
    bring: impl FnOnce(&mut dyn FnMut(T)) -> Result<(), E>,
) -> Result<Vec<R>, E> {
    let (ready, taken) = sync_channel(READY);
    let taken = &Mutex::new(taken);
    thread::scope(move |scope| {
        let (mut done, mut count, mut helper) = (Vec::new(), 0_usize, None);
        let brought = bring(&mut |piece| {
            count += 1;
            if count == ALONE {
                helper = help(scope, work, taken);
            }
            let left = match helper {
                None => Some(piece),
                Some(_) => match ready.try_send(piece) {
                    Ok(()) => None,
                    Err(TrySendError::Full(piece) | TrySendError::Disconnected(piece)) => {
                        Some(piece)
                    }
                },
            };
            done.extend(left.into_iter().flat_map(work));
        });
        // What is still ready is done by both.
        drop(ready);
        while let Some(piece) = next(taken) {
            done.extend(work(piece));
        }
        match helper.map(thread::ScopedJoinHandle::join) {
            Some(Ok(more)) => done.extend(more),
            // What it had judged must not be missing in silence.
            Some(Err(panic)) => resume_unwind(panic),
            None => {}
        }
        brought.map(|()| done)
    })
}

/// Starts a helper, who works until nothing more is brought; `None` if there can be no other thread.
fn help<'scope, T: Send, R: Send>(
    scope: &'scope Scope<'scope, '_>,
    work: &'scope (dyn Fn(T) -> Vec<R> + Sync),
    taken: &'scope Mutex<Receiver<T>>,
) -> Option<thread::ScopedJoinHandle<'scope, Vec<R>>> {
    let helper = thread::Builder::new().name("judge".to_owned());
    let started = helper.spawn_scoped(scope, move || {
        let mut done = Vec::new();
        while let Some(piece) = next(taken) {
            done.extend(work(piece));
        }
        done
    });
    started.ok()
}

/// The next piece; waits for one as long as any may come.
fn next<T>(taken: &Mutex<Receiver<T>>) -> Option<T> {
    taken.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_pieces_are_done_once_alone_or_not() {
        for count in [0, 3, 5 * ALONE] {
            let bring = |give: &mut dyn FnMut(usize)| {
                (0..count).for_each(give);
                Ok::<(), ()>(())
            };
            let mut done = shared(&|piece: usize| vec![2 * piece, 2 * piece + 1], bring).unwrap();
            done.sort_unstable();
            assert_eq!(done, (0..2 * count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_cannot_be_brought_is_told() {
        let bring = |give: &mut dyn FnMut(usize)| {
            (0..2 * ALONE).for_each(give);
            Err("no more")
        };
        assert_eq!(shared(&|piece: usize| vec![piece], bring), Err("no more"));
    }
}
