//! Everything that is read out of the fixtures, as text.

use highwater_oom::facts;

use crate::{FIXTURES, corpus, fixture};

#[test]
fn facts_of_each_fixture() {
    for name in FIXTURES {
        let facts = facts::facts(&corpus::reports(&fixture(name)));
        insta::assert_snapshot!(name, serde_json::to_string_pretty(&facts).unwrap());
    }
}

#[test]
fn a_whole_report() {
    let reports = corpus::reports(&fixture("v2-unit-memorymax"));
    insta::assert_snapshot!(format!("{reports:#?}"));
}
