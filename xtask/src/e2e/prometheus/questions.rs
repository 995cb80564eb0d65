//! What is asked: templates whose `%words%` stand for each of several texts.

use std::fmt;
use std::time::Duration;

use highwater_core::time::WallTime;

use super::moment;

mod different;
mod templates;

/// One query.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) expr: String,
    pub(super) when: When,
    /// The rule that makes the two answers differ, where it is known that they do.
    pub(super) reason: Option<&'static str>,
}

/// For which time it is asked.
#[derive(Clone, Copy, Debug)]
pub(super) enum When {
    At(WallTime),
    From { from: WallTime, to: WallTime, step: Duration },
}

/// Seven seconds past the minute: steps of subqueries, which stand at whole minutes and parts of them,
/// are not on the edge of a window either.
const AT_S: u64 = 2 * 3600 + 7;
const FROM_S: u64 = 30 * 60 + 7;
const TO_S: u64 = 150 * 60 + 7;
const STEP: Duration = Duration::from_mins(4);

impl Question {
    fn at(expr: String, reason: Option<&'static str>) -> Self {
        Self { expr, when: When::At(moment(AT_S)), reason }
    }

    fn over_time(expr: String, reason: Option<&'static str>) -> Self {
        let when = When::From { from: moment(FROM_S), to: moment(TO_S), step: STEP };
        Self { expr, when, reason }
    }

    /// Whether the order of the answer is defined.
    pub(super) fn is_ordered(&self) -> bool {
        let starts = |name: &&str| self.expr.starts_with(*name);
        ["sort(", "sort_desc(", "topk(", "bottomk("].iter().any(starts)
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = match self.when {
            When::At(_) => "instant",
            When::From { .. } => "range",
        };
        write!(f, "{way} {}", self.expr)
    }
}

/// Every question: each template at one moment and over time.
pub(super) fn all() -> Vec<Question> {
    let mut all = Vec::new();
    for template in templates::ALL {
        for expr in expanded(template) {
            all.push(Question::at(expr.clone(), different::reason(&expr, "instant")));
            let reason = different::reason(&expr, "range");
            all.push(Question::over_time(expr, reason));
        }
    }
    // More points than a screen has.
    let when = When::From { from: moment(7), to: moment(11_507), step: Duration::from_secs(1) };
    all.push(Question { expr: "demo_up".to_owned(), when, reason: None });
    all
}

/// What a template stands for: `%words%` are replaced from left to right, the same by the same.
fn expanded(template: &str) -> Vec<String> {
    let template =
        template.replace("%now%", &seconds(AT_S)).replace("%earlier%", &seconds(AT_S - 3600));
    let mut done = vec![template];
    for (word, texts) in templates::WORDS {
        let replaced = done.into_iter().flat_map(|text| {
            let count = if text.contains(word) { texts.len() } else { 1 };
            texts.iter().take(count).map(move |by| text.replace(word, by)).collect::<Vec<_>>()
        });
        done = replaced.collect();
    }
    done
}

fn seconds(since: u64) -> String {
    (moment(since).millis() / 1000).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_many_questions_and_no_words_are_left() {
        let all = all();
        assert!(all.len() >= 500, "{}", all.len());
        for question in &all {
            assert!(
                !question.expr.contains("%now") && !question.expr.contains("%range"),
                "{question}"
            );
            for (word, _) in templates::WORDS {
                assert!(!question.expr.contains(word), "{question}");
            }
        }
    }

    #[test]
    fn words_expand_from_left_to_right() {
        let expanded = expanded("%agg% by (job) (x %cmp% 1)");
        assert_eq!(expanded.len(), 6 * 6);
        assert_eq!(expanded.first().unwrap(), "sum by (job) (x == 1)");
    }
}
