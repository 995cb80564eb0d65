//! Rules in the agent: evaluated over what it records, read again, and gone on with after a restart.

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::Duration;

use highwater_agent::Agent;
use highwater_agent::board::Board;
use highwater_agent::config::Config;
use highwater_alert::{Alert, State};
use highwater_core::series::{Matcher, NAME};
use highwater_linux::root::Root;
use highwater_store::Reader;

/// Always true, and soon; and what another rule makes of it.
const RULES: &str = "
groups:
  - name: always
    interval: 1s
    rules:
      - record: test:total
        expr: node_memory_MemTotal_bytes
      - alert: Always
        expr: test:total > 0
        annotations: {summary: '{{ $value | humanize1024 }}B'}
      - alert: InAnHour
        expr: node_memory_MemTotal_bytes > 0
        for: 1h
";

fn config(file: &Path) -> Config {
    let mut config = Config::default();
    config.sample.every = Duration::from_secs(1);
    config.survey.enabled = false;
    config.kmsg.enabled = false;
    config.rules.shipped = false;
    config.rules.files = vec![file.display().to_string()];
    config
}

fn start(dir: &Path, config: &Config) -> Agent {
    Agent::start(&Root::live(), dir, config).unwrap()
}

fn alerts(board: &Board) -> Vec<(String, Alert)> {
    let rules = board.latest_rules();
    let states = rules.groups.iter().flat_map(|group| &group.state.rules);
    let alerts = states.flat_map(|rule| &rule.alerts);
    alerts.map(|alert| (alert.labels.get("alertname").to_owned(), alert.clone())).collect()
}

/// Waits for an alert in a state.
fn awaited(board: &Board, name: &str, state: State) -> Alert {
    loop {
        let found = alerts(board).into_iter().find(|(n, alert)| n == name && alert.state == state);
        match found {
            Some((_, alert)) => return alert,
            None => sleep(Duration::from_millis(50)),
        }
    }
}

#[test]
fn states_are_gone_on_with_and_end_when_their_rule_goes() {
    let dir = tempfile::tempdir().unwrap();
    let (data, file) = (dir.path().join("data"), dir.path().join("rules.yml"));
    fs::write(&file, RULES).unwrap();
    let agent = start(&data, &config(&file));
    let fires = awaited(&agent.board(), "Always", State::Firing);
    let waits = awaited(&agent.board(), "InAnHour", State::Pending);
    assert!(fires.annotations.get("summary").ends_with("GiB"), "{fires:?}");
    agent.stop();

    let agent = start(&data, &config(&file));
    let later = awaited(&agent.board(), "InAnHour", State::Pending);
    assert_eq!((later.active_at, later.fired_at), (waits.active_at, None));
    assert_eq!(awaited(&agent.board(), "Always", State::Firing).fired_at, fires.fired_at);
    let on = |name: &str| {
        let reader = Reader::open(&data).unwrap();
        reader.latest(&[Matcher::is(NAME, name)], None).unwrap().len()
    };
    assert_eq!((on("ALERTS"), on("ALERTS_FOR_STATE"), on("test:total")), (2, 2, 1));

    // A file that is wrong changes nothing, and says where.
    fs::write(&file, RULES.replace("test:total > 0", "test:total >")).unwrap();
    agent.reload(&config(&file));
    let board = agent.board();
    while board.latest_rules().faults.is_empty() {
        sleep(Duration::from_millis(50));
    }
    let faults = board.latest_rules().faults.clone();
    assert!(faults.iter().any(|fault| fault.contains("rules.yml:9:")), "{faults:?}");
    assert_eq!(alerts(&board).len(), 2);

    // Rules that are no more end, at once.
    fs::write(&file, "groups: []\n").unwrap();
    agent.reload(&config(&file));
    while !board.latest_rules().faults.is_empty() || !alerts(&board).is_empty() || on("ALERTS") > 0
    {
        sleep(Duration::from_millis(50));
    }
    assert_eq!(on("test:total"), 0);
    assert!(board.counts().rules_rounds.load(Ordering::Relaxed) > 0 && !board.has_failed());
    agent.stop();
}

/// The others are evaluated, and it is told until it is put right.
#[test]
fn a_file_that_is_wrong_at_the_start_is_left_out_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let (data, file, bad) =
        (dir.path().join("data"), dir.path().join("rules.yml"), dir.path().join("bad.yml"));
    fs::write(&file, RULES).unwrap();
    fs::write(&bad, "groups:\n  - name: g\n    rules:\n      - alert: A\n        expr: up ==\n")
        .unwrap();
    let mut config = config(&file);
    config.rules.files.push(bad.display().to_string());
    let agent = start(&data, &config);
    let board = agent.board();
    awaited(&board, "Always", State::Firing);
    let faults = board.latest_rules().faults.clone();
    let [fault] = faults.as_slice() else { panic!("{faults:?}") };
    assert!(fault.starts_with(&format!("{}:5:", bad.display())), "{fault}");
    let told = || {
        let things = board.things();
        things.iter().find(|one| one.metric.name == "highwater_rules_faults").map(|one| one.value)
    };
    assert_eq!(told(), Some(1.0));

    fs::write(&bad, "groups: []\n").unwrap();
    agent.reload(&config);
    while told() != Some(0.0) {
        sleep(Duration::from_millis(50));
    }
    awaited(&board, "Always", State::Firing);
    agent.stop();
}
