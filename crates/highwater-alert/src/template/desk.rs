//! What a running template has before it: the moment, its allowance, and the answers so far.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gotmpl::{Result, TemplateError, Value};

use super::Scene;

/// So many bytes may go through the functions that make texts, in one expansion.
const FUEL: usize = 4 << 20;

/// What the functions of one expansion share.
#[derive(Clone)]
pub(super) struct Desk(Arc<Mutex<Papers>>);

struct Papers {
    fuel: usize,
    answers: BTreeMap<String, std::result::Result<Value, String>>,
    question: Option<String>,
    seconds: f64,
    external_url: String,
}

impl Desk {
    pub(super) fn new(scene: &Scene<'_>) -> Self {
        let ms = gotmpl_seconds(scene.at.millis());
        Self(Arc::new(Mutex::new(Papers {
            fuel: FUEL,
            answers: BTreeMap::new(),
            question: None,
            seconds: ms,
            external_url: scene.external_url.to_owned(),
        })))
    }

    fn papers(&self) -> MutexGuard<'_, Papers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes so much of the allowance.
    pub(super) fn burn(&self, bytes: usize) -> Result<()> {
        let mut papers = self.papers();
        match papers.fuel.checked_sub(bytes) {
            Some(left) => {
                papers.fuel = left;
                Ok(())
            }
            None => Err(TemplateError::Exec(format!("more than {FUEL} bytes of text are made"))),
        }
    }

    /// The answer to a query; the first time there is none.
    pub(super) fn ask(&self, question: &str) -> Result<Value> {
        let mut papers = self.papers();
        match papers.answers.get(question) {
            Some(Ok(answer)) => Ok(answer.clone()),
            Some(Err(what)) => Err(TemplateError::Exec(what.clone())),
            None => {
                papers.question = Some(question.to_owned());
                Err(TemplateError::Exec("asked".into()))
            }
        }
    }

    /// What was asked and has no answer.
    pub(super) fn open_question(&self) -> Option<String> {
        self.papers().question.take()
    }

    /// Puts an answer down; the allowance for the next run is whole again.
    pub(super) fn answer(&self, question: String, answer: std::result::Result<Value, String>) {
        let mut papers = self.papers();
        papers.fuel = FUEL;
        papers.answers.insert(question, answer);
    }

    /// The moment of the evaluation in seconds.
    pub(super) fn seconds(&self) -> f64 {
        self.papers().seconds
    }

    /// Where this recorder is reached.
    pub(super) fn external_url(&self) -> String {
        self.papers().external_url.clone()
    }
}

#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "exact for 285,000 years")]
fn gotmpl_seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}
