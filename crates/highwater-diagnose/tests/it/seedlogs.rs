//! The logs that the product was conceived from, where they are at hand.

use highwater_core::id::Pid;
use highwater_core::line::LineSource as _;
use highwater_core::units::Bytes;
use highwater_diagnose::death::{Cause, Diagnosis};
use highwater_diagnose::hint::Hints;
use highwater_log::Stream;

use crate::explained;

fn read(name: &str) -> Option<Vec<u8>> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/seedlogs/");
    std::fs::read(format!("{dir}{name}")).ok()
}

fn only_death(name: &str) -> Option<Diagnosis> {
    let log = read(name)?;
    let reports = highwater_oom::read(Stream::new(&log[..]));
    let kills: usize = reports.iter().map(|report| report.kills.len()).sum();
    assert_eq!(kills, 1, "{name}");
    let report = reports.iter().find(|report| !report.kills.is_empty()).unwrap();
    Some(explained(report, Some(0), name))
}

fn says(diagnosis: &Diagnosis, words: &str) -> bool {
    diagnosis.claims.iter().any(|claim| claim.text.contains(words))
}

#[test]
fn gateway_node_hit_its_sessions_limit() {
    let Some(death) = only_death("gateway-node.log") else { return };
    let victim = death.victim.as_ref().unwrap();
    assert_eq!(death.cause, Cause::KernelOomMemcg);
    assert_eq!(victim.pid, Some(Pid::new(32145)));
    assert_eq!(victim.rss, Some(Bytes::from_kib(921_600)));
    assert_eq!(victim.shmem_rss, Some(Bytes::ZERO));
    let owner = "/user.slice/user-0.slice/session-123.scope";
    assert_eq!(death.limit_owner.as_deref(), Some(owner));
    assert!(says(&death, "exactly 900 MiB"));
    assert!(death.oddities.iter().any(|odd| odd.contains("RSS:921600KB")));
    assert!(death.advice.iter().any(|advice| advice.text.contains("login session")));
}

#[test]
fn nas_agent_held_exactly_a_round_limit() {
    let Some(death) = only_death("nas-agent.log") else { return };
    assert_eq!(death.cause, Cause::KernelOomMemcg);
    assert!(says(&death, "exactly 1 GiB"));
    assert!(says(&death, "taken back at once"));
}

#[test]
fn next_servers_log_lists_what_is_missing() {
    let Some(death) = only_death("next-server.log") else { return };
    assert_eq!(death.cause, Cause::KernelOomGlobal);
    assert!(says(&death, "what the machine's memory was made of"));
    assert!(says(&death, "69.9 GiB is irrelevant"));
}

#[test]
fn gateway_health_tells_of_a_restart_and_no_death() {
    let Some(log) = read("gateway-health.log") else { return };
    assert!(highwater_oom::read(Stream::new(&log[..])).is_empty());
    let mut hints = Hints::default();
    let mut lines = Stream::new(&log[..]);
    while let Some(line) = lines.next_line() {
        hints.look(&line);
    }
    let claims = hints.claims("gateway-health.log");
    assert!(claims[0].text.contains("new pid 32198"), "{}", claims[0].text);
    assert!(claims[0].text.contains("cause is unknown"), "{}", claims[0].text);
}
