//! Several readers of one recording at the same time, as many as the machine has cores.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Builder};

use highwater_core::series::SeriesSource;
use highwater_core::time::WallTime;
use highwater_store::Reader;

/// Beyond so many they wait for the same disk, and each holds what it reads.
const MOST: usize = 8;

/// Those who read.
pub(super) struct Hands<'a> {
    /// What the calling thread reads.
    first: &'a dyn SeriesSource,
    /// What each further thread reads.
    others: Vec<Reader>,
}

/// What is to be done, the earliest first.
type Waiting<'w, W> = BTreeMap<(WallTime, usize), &'w mut W>;

impl<'a> Hands<'a> {
    /// Whoever reads `first`; and if it is a recording, more readers of that directory.
    pub(super) fn new(first: &'a dyn SeriesSource, dir: Option<&Path>) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from).min(MOST);
        let more = dir.into_iter().flat_map(|dir| (1..cores).map(move |_| Reader::open(dir)));
        // One that cannot be opened is one less.
        Self { first, others: more.flatten().collect() }
    }

    /// Does the same with each of some things; what came of them is in their order.
    pub(super) fn each<I: Send, T: Send>(
        &mut self,
        all: Vec<I>,
        give: &(dyn Fn(&dyn SeriesSource, I) -> T + Sync),
        told: &mut dyn FnMut(u64),
    ) -> Vec<T> {
        let waiting = Mutex::new(all.into_iter().enumerate());
        let made = Mutex::new(BTreeMap::new());
        let work = |source: &dyn SeriesSource| {
            let taken = lock(&waiting).next();
            taken.is_some_and(|(place, one)| {
                let one = give(source, one);
                lock(&made).insert(place, one);
                true
            })
        };
        self.work(&work, &mut || told(wide(lock(&made).len())));
        made.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
    }

    /// Has all of them go on from moment to moment, the earliest first, so that what several need of
    /// the same time is read at the same time. `go_on` tells when there is more to do.
    pub(super) fn advance<W: Send>(
        &mut self,
        all: Vec<(WallTime, &mut W)>,
        go_on: &(dyn Fn(&dyn SeriesSource, &mut W) -> Option<WallTime> + Sync),
        told: &mut dyn FnMut(u64),
    ) {
        let all = all.into_iter().enumerate();
        let waiting: Waiting<'_, W> = all.map(|(place, (at, one))| ((at, place), one)).collect();
        let (waiting, done) = (Mutex::new(waiting), Mutex::new(0));
        let work = |source: &dyn SeriesSource| {
            let taken = lock(&waiting).pop_first();
            taken.is_some_and(|((_, place), one)| {
                if let Some(next) = go_on(source, one) {
                    lock(&waiting).insert((next, place), one);
                }
                *lock(&done) += 1;
                true
            })
        };
        self.work(&work, &mut || told(*lock(&done)));
    }

    /// Has everybody work until there is nothing left to take.
    fn work(&mut self, work: &(dyn Fn(&dyn SeriesSource) -> bool + Sync), told: &mut dyn FnMut()) {
        thread::scope(|scope| {
            for reader in &mut self.others {
                let work = move || while work(reader) {};
                // Where no thread can be had, the others do its work.
                let _hand = Builder::new().name("backtest".to_owned()).spawn_scoped(scope, work);
            }
            while work(self.first) {
                told();
            }
        });
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
