//! What must hold of every diagnosis, shown on the reports that real kernels printed.

use highwater_core::units::Bytes;
use highwater_diagnose::death::{Case, Diagnosis, Kind, Reason, Role, Window, repeats};
use highwater_oom::OomReport;

use crate::explained;

fn fixture(name: &str) -> Vec<OomReport> {
    let path = format!("{}/../../fixtures/oom/{name}", env!("CARGO_MANIFEST_DIR"));
    let log = std::fs::read(path).unwrap();
    highwater_oom::read(highwater_log::Stream::new(&log[..]))
}

/// Every diagnosis of every log: of each death, and of each episode without one.
fn each(mut look: impl FnMut(&str, &Diagnosis)) {
    let dir = format!("{}/../../fixtures/oom", env!("CARGO_MANIFEST_DIR"));
    let mut seen = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.strip_suffix(".txt").is_none() {
            continue;
        }
        for report in fixture(&name) {
            let kills = (0..report.kills.len()).map(Some);
            let none = report.kills.is_empty().then_some(None);
            for kill in kills.chain(none) {
                look(&name, &explained(&report, kill, &name));
                seen += 1;
            }
        }
    }
    assert!(seen > 30, "{seen}");
}

#[test]
fn one_reason_is_primary_and_comes_first() {
    each(|name, diagnosis| {
        let roles: Vec<_> = diagnosis.grounds.iter().map(|ground| ground.role).collect();
        assert_eq!(roles.first(), Some(&Role::Primary), "{name}");
        assert!(roles.iter().skip(1).all(|role| *role == Role::Contributing), "{name}");
    });
}

#[test]
fn every_account_adds_up() {
    each(|name, diagnosis| {
        let Some(makeup) = &diagnosis.makeup else { return };
        let sum: Bytes = makeup.parts.iter().map(|part| part.amount).sum();
        assert_eq!(sum, makeup.total, "{name}: {makeup:?}");
        let mut kinds: Vec<_> = makeup.parts.iter().map(|part| part.kind.name()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        assert_eq!(kinds.len(), makeup.parts.len(), "{name}: a kind twice");
    });
}

#[test]
fn every_statement_has_evidence_or_says_what_is_unknown() {
    const DOUBT: [&str; 3] = ["Unknown, because", "not certain", "cannot be reckoned"];
    each(|name, diagnosis| {
        let grounds = diagnosis.grounds.iter().map(|ground| &ground.claim);
        for claim in diagnosis.claims.iter().chain(grounds) {
            let doubt = DOUBT.iter().any(|words| claim.text.contains(words));
            assert!(doubt || !claim.evidence.is_empty(), "{name}: {}", claim.text);
            assert!(claim.text.ends_with('.'), "{name}: {}", claim.text);
        }
    });
}

fn first(name: &str) -> Diagnosis {
    let reports = fixture(name);
    let report = reports.iter().find(|report| !report.kills.is_empty()).unwrap();
    explained(report, Some(0), name)
}

fn primary(name: &str) -> Reason {
    first(name).grounds[0].reason
}

#[test]
fn real_kills_have_the_reason_that_they_were_made_with() {
    assert_eq!(primary("v1-one-kill.txt"), Reason::OwnLimit);
    assert_eq!(primary("v2-unit-memorymax.txt"), Reason::OwnLimit);
    assert_eq!(primary("v1-limit-above-and-a-forged-name.txt"), Reason::AncestorLimit);
    assert_eq!(primary("v2-limit-of-the-slice.txt"), Reason::AncestorLimit);
    assert_eq!(primary("v2-global.txt"), Reason::Machine);
    assert_eq!(primary("v2-global-kernel-memory.txt"), Reason::KernelMemory);
    assert_eq!(primary("v2-cpuset.txt"), Reason::Node);
    assert_eq!(primary("v2-mempolicy.txt"), Reason::Node);
    assert_eq!(primary("v2-sysrq-f.txt"), Reason::ByHand);
    assert_eq!(primary("user-earlyoom-term.txt"), Reason::KillerThreshold);
    assert_eq!(primary("user-nohang.txt"), Reason::KillerThreshold);
    assert_eq!(primary("user-oomd-pressure.txt"), Reason::KillerThreshold);
}

#[test]
fn what_contributed_is_found_in_real_reports_too() {
    let has = |name, reason| {
        let found = first(name).grounds.iter().any(|ground| ground.reason == reason);
        assert!(found, "{name}: {reason:?}");
    };
    has("v2-tmpfs-full.txt", Reason::SharedMemory);
    has("v2-oom-group.txt", Reason::GroupKill);
    has("v2-swap-of-the-unit.txt", Reason::SwapExhausted);
    has("v2-limit-of-the-slice.txt", Reason::AskedByAnother);
    has("v2-global.txt", Reason::SwapAbsent);
}

#[test]
fn the_other_node_had_room() {
    let ground = &first("v2-cpuset.txt").grounds[0];
    assert!(ground.claim.text.contains("MiB was free on other nodes"), "{}", ground.claim.text);
}

#[test]
fn a_full_tmpfs_is_counted_as_shared_memory_once() {
    let makeup = first("v2-tmpfs-full.txt").makeup.unwrap();
    assert!(makeup.amount(Kind::Shmem) > Bytes::from_mib(30), "{makeup:?}");
    assert!(makeup.amount(Kind::PageCache) < Bytes::from_mib(1), "{makeup:?}");
}

#[test]
fn three_lives_of_a_unit_are_told_together() {
    let reports = fixture("v2-three-lives.txt");
    let case = |report, kill| Case {
        report,
        kill: Some(kill),
        source: "x",
        recorded: None,
        page_size: None,
        look_back: Window::Minutes,
    };
    let cases: Vec<_> = reports
        .iter()
        .flat_map(|report| (0..report.kills.len()).map(move |kill| case(report, kill)))
        .collect();
    let claims = repeats(&cases);
    let text = &claims[0].text;
    assert!(text.contains("again.service had a process killed 3 times"), "{text}");
    assert!(
        text.contains("a loop of restart and kill; each time at the limit of 32 MiB"),
        "{text}"
    );
}
