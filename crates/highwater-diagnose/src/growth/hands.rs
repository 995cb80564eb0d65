//! Work for two pairs of hands, where there is much of it: each reads and judges one half.

use std::panic::resume_unwind;
use std::thread;

use highwater_core::series::SourceError;

use super::history::{Half, History};

/// What is made of a history, or of one half of its owners.
type Work<'w, R> = dyn Fn(History<'_>, Option<Half>) -> Result<Vec<R>, SourceError> + Sync + 'w;

/// Does `work` on all owners: by two threads if the source can be had twice.
pub(super) fn by_halves<R: Send>(
    history: History<'_>,
    work: &Work<'_, R>,
) -> Result<Vec<R>, SourceError> {
    let Some(other) = history.source.another() else { return work(history, None) };
    let (at, from, known) = (history.at, history.from, history.known);
    thread::scope(|scope| {
        let later = move || work(History { source: &*other, at, from, known }, Some(Half::Later));
        let helper = thread::Builder::new().name("judge".to_owned()).spawn_scoped(scope, later);
        let Ok(helper) = helper else { return work(history, None) };
        let former = work(history, Some(Half::Former));
        // What it had judged must not be missing in silence.
        let later = helper.join().unwrap_or_else(|panic| resume_unwind(panic));
        let mut all = former?;
        all.extend(later?);
        Ok(all)
    })
}
