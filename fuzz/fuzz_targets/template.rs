//! Templates of any text: each is told to be wrong, or expanded to a text of bounded length.
#![no_main]

use highwater_alert::{GroupState, RuleFile, Terms, evaluate};
use highwater_core::time::WallTime;
use highwater_promql::Options;
use highwater_promql::notation::{Line, Memory};

/// What an expanded text has at most, and the words around what could not be.
const MOST_BYTES: usize = 130 << 10;
/// Samples that a question may hold: enough for this series.
const MAX_SAMPLES: usize = 50_000;

libfuzzer_sys::fuzz_target!(|text: &str| {
    // A text of JSON is one of YAML.
    let quoted = serde_json::to_string(text).expect("a text can be written");
    let rules = format!(
        "groups: [{{name: g, rules: [{{alert: A, expr: x, annotations: {{a: {quoted}}}}}]}}]"
    );
    let Ok(file) = RuleFile::read("rules", &rules) else { return };
    let mut memory = Memory::default();
    memory.load(&Line::read("x{a=\"b\",c=\"d\"} 12345678.5").expect("it is right"), 60_000);
    let options = Options { max_samples: MAX_SAMPLES, ..Options::default() };
    let terms = Terms { options, ..Terms::default() };
    for group in &file.groups {
        let mut state = GroupState::new(group);
        evaluate(group, &mut state, &memory, WallTime::from_millis(0), &terms);
        for alert in state.rules.iter().flat_map(|rule| &rule.alerts) {
            assert!(alert.annotations.get("a").len() <= MOST_BYTES);
        }
    }
});
