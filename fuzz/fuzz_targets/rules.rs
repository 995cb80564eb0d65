//! Rule files of any text: each is read or told to be wrong at a place within it, and what is read is
//! evaluated over a few series. Nothing panics, nothing runs for long, nothing grows for ever.
#![no_main]

use highwater_alert::unit::TestFile;
use highwater_alert::{GroupState, RuleFile, Terms, evaluate};
use highwater_core::time::WallTime;
use highwater_promql::Options;
use highwater_promql::notation::{Line, Memory};

/// Samples that a question may hold: enough for these series.
const MAX_SAMPLES: usize = 50_000;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let lines = text.split('\n').count().max(1);
    if let Err(faults) = TestFile::read("tests", text) {
        assert!(faults.iter().all(|fault| (1..=lines).contains(&fault.place.line)));
    }
    let file = match RuleFile::read("rules", text) {
        Ok(file) => file,
        Err(faults) => {
            assert!(!faults.is_empty());
            assert!(faults.iter().all(|fault| (1..=lines).contains(&fault.place.line)));
            return;
        }
    };
    let mut memory = Memory::default();
    for line in ["x{a=\"b\"} 1 2 3", "x{a=\"c\"} 3 _ stale"] {
        memory.load(&Line::read(line).expect("it is right"), 60_000);
    }
    let options = Options { max_samples: MAX_SAMPLES, ..Options::default() };
    let terms = Terms { options, ..Terms::default() };
    for group in &file.groups {
        let mut state = GroupState::new(group);
        for minute in 0..3 {
            evaluate(group, &mut state, &memory, WallTime::from_millis(minute * 60_000), &terms);
        }
        let written = serde_json::to_string(&state).expect("a state can be written");
        let read: GroupState = serde_json::from_str(&written).expect("and read");
        assert_eq!(written, serde_json::to_string(&read).expect("and written again"));
    }
});
