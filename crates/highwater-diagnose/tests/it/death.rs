use highwater_diagnose::death::Cause;
use highwater_diagnose::document::{DeathDocument, EpisodeDocument, WhyDocument};

use crate::{explained, fixture, told};

fn only_death(name: &str) -> String {
    let reports = fixture(name);
    assert_eq!((reports.len(), reports[0].kills.len()), (1, 1), "{name}");
    told(&explained(&reports[0], Some(0), name))
}

#[test]
fn a_v1_cgroup_at_its_limit() {
    insta::assert_snapshot!(only_death("v1.log"));
}

#[test]
fn a_v2_unit_with_tmpfs_and_an_exempt_giant() {
    insta::assert_snapshot!(only_death("v2.log"));
}

#[test]
fn a_machine_that_ran_out() {
    insta::assert_snapshot!(only_death("global.log"));
}

#[test]
fn a_bare_kill_line_says_what_is_missing() {
    insta::assert_snapshot!(only_death("bare.log"));
}

#[test]
fn an_episode_without_a_kill_is_no_death() {
    let reports = fixture("no-kill.log");
    assert!(reports[0].kills.is_empty());
    let diagnosis = explained(&reports[0], None, "no-kill.log");
    assert_eq!(diagnosis.cause, Cause::KernelOomMemcg);
    insta::assert_snapshot!(told(&diagnosis));
    let mut document = WhyDocument::new(Vec::new());
    document.episodes.push(EpisodeDocument::new(&diagnosis, &reports[0]));
    let json = serde_json::to_value(&document).unwrap();
    assert_eq!(json["deaths"], serde_json::json!([]));
    assert_eq!(json["episodes"][0]["memcg"]["limit_bytes"], 16 << 20);
}

#[test]
fn a_death_as_json_has_every_key() {
    let reports = fixture("v1.log");
    let diagnosis = explained(&reports[0], Some(0), "v1.log");
    let mut document = WhyDocument::new(Vec::new());
    document.deaths.push(DeathDocument::new(&diagnosis, &reports[0]));
    insta::assert_snapshot!(serde_json::to_string_pretty(&document).unwrap());
}

#[test]
fn every_statement_stands_on_something_or_says_unknown() {
    for name in ["v1.log", "v2.log", "global.log", "bare.log", "no-kill.log"] {
        for report in fixture(name) {
            let kill = (!report.kills.is_empty()).then_some(0);
            for claim in explained(&report, kill, name).claims {
                let unknown = claim.text.starts_with("Unknown, because ");
                assert!(unknown || !claim.evidence.is_empty(), "{name}: {}", claim.text);
                assert!(claim.text.ends_with('.'), "{name}: {}", claim.text);
            }
        }
    }
}

#[test]
fn a_hostile_name_cannot_write_to_the_terminal() {
    let log = b"[    1.000000] Out of memory: Killed process 7 (x\x1b]0;y\x07) total-vm:8kB, anon-rss:4kB, file-rss:0kB, shmem-rss:0kB";
    let reports = highwater_oom::read(highwater_log::Lines::new(log));
    let text = told(&explained(&reports[0], Some(0), "evil"));
    assert!(!text.contains(['\x1b', '\x07']), "{text:?}");
    assert!(text.contains(r"\x1b"), "{text}");
}
