//! The commands as they are typed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "tests"
)]

mod backtest;
mod checkup;
mod deaths;
#[path = "../../../highwater-act/tests/it/exim.rs"]
mod exim;
mod exits;
mod growth;
mod guarded;
mod import;
mod leaks;
mod lives;
mod logs;
mod notify;
mod pauses;
mod query;
mod serve;
#[path = "../../../highwater-act/tests/it/server.rs"]
mod server;
mod share;
#[path = "../../../highwater-act/tests/it/signature.rs"]
mod signature;
mod store;

/// What the manual shows is what the commands print.
#[test]
fn the_manual_shows_real_output() {
    const CRATE: &str = env!("CARGO_MANIFEST_DIR");
    // The manual's commands are typed at the root of the repository. Every other test gives
    // absolute paths.
    std::env::set_current_dir(format!("{CRATE}/../..")).unwrap();
    trycmd::TestCases::new()
        .case(format!("{CRATE}/tests/cmd/*.trycmd"))
        .case(format!("{CRATE}/../../docs/manual/why.md"))
        .case(format!("{CRATE}/../../docs/manual/why-did-it-die.md"))
        .case(format!("{CRATE}/../../docs/manual/rules.md"))
        .case(format!("{CRATE}/../../docs/manual/json.md"))
        .case(format!("{CRATE}/../../docs/manual/reading-an-oom-report.md"))
        .run();
}
