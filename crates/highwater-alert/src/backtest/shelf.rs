//! What was read of a history, kept for whoever asks for the same: most rules ask for what others
//! ask for too, over the same time.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use highwater_core::series::{Looks, Selection, Series, SeriesSource, SourceError};

/// So many samples are kept, in 64 MB; the oldest answers go first.
const MOST_SAMPLES: usize = 4_000_000;

/// So many answers are kept: an answer may be empty.
const MOST_ANSWERS: usize = 256;

/// Answers, shared by whoever reads the same history.
#[derive(Clone, Debug, Default)]
pub struct Shelf(Arc<Mutex<Answers>>);

#[derive(Debug, Default)]
struct Answers {
    all: VecDeque<(Question, Arc<Vec<Series>>)>,
    held: usize,
}

/// What was asked; how much the answer may be at most is no part of it.
type Question = (Selection, Looks);

/// A history whose answers are put on a shelf.
pub struct Shelved<'a> {
    history: &'a dyn SeriesSource,
    shelf: Shelf,
}

impl fmt::Debug for Shelved<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelved").field("shelf", &self.shelf).finish_non_exhaustive()
    }
}

impl<'a> Shelved<'a> {
    /// `history`, with a shelf that others may share.
    pub fn new(history: &'a dyn SeriesSource, shelf: &Shelf) -> Self {
        Self { history, shelf: shelf.clone() }
    }
}

impl Shelf {
    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answers {
    fn find(&self, question: &Question) -> Option<Arc<Vec<Series>>> {
        let found = self.all.iter().find(|(asked, _)| asked == question);
        found.map(|(_, answer)| Arc::clone(answer))
    }

    fn put(&mut self, question: Question, answer: Arc<Vec<Series>>) {
        let samples = samples(&answer);
        if samples > MOST_SAMPLES {
            return;
        }
        self.held = self.held.saturating_add(samples);
        self.all.push_back((question, answer));
        while self.held > MOST_SAMPLES || self.all.len() > MOST_ANSWERS {
            let Some((_, oldest)) = self.all.pop_front() else { break };
            self.held = self.held.saturating_sub(self::samples(&oldest));
        }
    }
}

fn samples(answer: &[Series]) -> usize {
    answer.iter().fold(0, |sum: usize, series| sum.saturating_add(series.points.len()))
}

impl SeriesSource for Shelved<'_> {
    fn select(&self, selection: &Selection) -> Result<Vec<Series>, SourceError> {
        self.history.select(selection)
    }

    fn select_looks(
        &self,
        selection: &Selection,
        looks: &Looks,
    ) -> Result<Vec<Series>, SourceError> {
        let question = (selection.clone(), Looks { most: 0, ..*looks });
        let kept = self.shelf.answers().find(&question);
        // What is more than may be held is for the history to refuse.
        if let Some(kept) = kept.filter(|kept| samples(kept) <= looks.most) {
            return Ok(Vec::clone(&kept));
        }
        let found = self.history.select_looks(selection, looks)?;
        self.shelf.answers().put(question, Arc::new(found.clone()));
        Ok(found)
    }

    fn name(&self) -> &str {
        self.history.name()
    }
}
