//! How much of a log a reader got right.

use serde_json::Value;

/// A fact that is our own word for several of the kernel's, which nobody else can be asked for.
const OUR_WORD: &str = "cause";

/// How a reader did on one log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Score {
    /// Deaths that the log states.
    pub(super) deaths: usize,
    /// Of those, found.
    pub(super) found: usize,
    /// Deaths that it does not state.
    pub(super) invented: usize,
    /// Facts that the log states.
    pub(super) facts: usize,
    /// Of those, given as they are.
    pub(super) right: usize,
    /// Of those, given otherwise.
    pub(super) wrong: usize,
}

/// How a reader did on all logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) logs: usize,
    /// Logs in which it found each death and no other.
    pub(super) told: usize,
    pub(super) sum: Score,
    /// Logs that it gave up on.
    pub(super) refused: usize,
    /// Logs that it panicked over.
    pub(super) crashed: usize,
}

impl Tally {
    /// Adds a log that it has read.
    pub(super) fn add(&mut self, score: Score) {
        self.told += usize::from(score.found == score.deaths && score.invented == 0);
        self.add_unread(score);
    }

    /// Adds a log that it made nothing of, be it that there was nothing to find.
    pub(super) fn add_unread(&mut self, score: Score) {
        self.logs += 1;
        self.sum.add(score);
    }
}

impl Score {
    fn add(&mut self, other: Self) {
        self.deaths += other.deaths;
        self.found += other.found;
        self.invented += other.invented;
        self.facts += other.facts;
        self.right += other.right;
        self.wrong += other.wrong;
    }

    /// The smaller, the better: first the deaths, then what was said wrong, then what was not said.
    pub(super) fn badness(&self) -> (usize, usize, usize) {
        (self.deaths - self.found + self.invented, self.wrong, self.facts - self.right)
    }
}

/// The score by the accepted reading that suits best.
pub(super) fn best(readings: &[Vec<Value>], said: &[Value]) -> Score {
    let scores = readings.iter().map(|reading| score(reading, said));
    scores.min_by_key(Score::badness).unwrap_or_default()
}

fn score(stated: &[Value], said: &[Value]) -> Score {
    let mut score = Score::default();
    let mut left: Vec<&Value> = said.iter().collect();
    for death in stated {
        score.deaths += 1;
        let facts = facts(death);
        score.facts += facts.len();
        let Some(at) = left.iter().position(|candidate| is_same(death, candidate)) else {
            continue;
        };
        let found = left.remove(at);
        score.found += 1;
        for (path, fact) in &facts {
            match found.pointer(path) {
                Some(given) if given == *fact => score.right += 1,
                None | Some(Value::Null) => {}
                Some(_) => score.wrong += 1,
            }
        }
    }
    score.invented = left.len();
    score
}

/// Whether two accounts are of the same death: the pid tells, or the cgroup where no process is
/// named.
fn is_same(stated: &Value, said: &Value) -> bool {
    let telling = ["/victim/pid", "/memcg/task"];
    let path = telling.into_iter().find(|path| stated.pointer(path).is_some());
    path.is_none_or(|path| stated.pointer(path) == said.pointer(path))
}

/// Every fact of a death, with the way to it. Null says that the log does not state it, and a list
/// (who died with it) is of other deaths.
fn facts(death: &Value) -> Vec<(String, &Value)> {
    let mut facts = Vec::new();
    let Some(parts) = death.as_object() else { return facts };
    for (part, inside) in parts.iter().filter(|(part, _)| *part != OUR_WORD) {
        match inside.as_object() {
            Some(inside) => {
                facts.extend(inside.iter().map(|(name, fact)| (format!("/{part}/{name}"), fact)));
            }
            None => facts.push((format!("/{part}"), inside)),
        }
    }
    facts.retain(|(_, fact)| !fact.is_null() && !fact.is_array());
    facts
}
