//! The judging, on logs that say little.

use serde_json::json;

use super::*;

fn case(log: &str, expected: &[Vec<Value>]) -> Case {
    Case { name: "x".into(), log: log.into(), readings: expected.to_vec() }
}

#[test]
fn a_fact_not_given_is_not_a_wrong_one() {
    let stated = json!({
        "cause": "c",
        "also_killed": [],
        "victim": {"pid": 7, "uid": 1, "comm": "x", "oom_score": null},
    });
    let stated = vec![stated];
    let said = [json!({"victim": {"pid": 7, "uid": 2, "comm": null}})];
    let score = judge::best(&[stated], &said);
    assert_eq!((score.deaths, score.found, score.invented), (1, 1, 0));
    assert_eq!((score.facts, score.right, score.wrong), (3, 1, 1));
}

#[test]
fn another_pid_is_another_death() {
    let stated = vec![json!({"victim": {"pid": 7}})];
    let score = judge::best(&[stated], &[json!({"victim": {"pid": 8}})]);
    assert_eq!((score.found, score.invented), (0, 1));
}

#[test]
fn the_reading_that_suits_best_counts() {
    let one = vec![json!({"victim": {"pid": 7}})];
    let score = judge::best(&[one.clone(), Vec::new()], &[]);
    assert_eq!((score.deaths, score.found), (0, 0));
    let score = judge::best(&[Vec::new(), one.clone()], &one);
    assert_eq!((score.deaths, score.found, score.invented), (1, 1, 0));
}

#[test]
fn a_cgroup_tells_where_no_process_is_named() {
    let stated = vec![json!({"memcg": {"task": "/a"}})];
    let same = [json!({"victim": {"pid": null}, "memcg": {"task": "/a"}})];
    assert_eq!(judge::best(std::slice::from_ref(&stated), &same).found, 1);
    assert_eq!(judge::best(&[stated], &[json!({"memcg": {"task": "/b"}})]).found, 0);
}

#[test]
fn a_reader_that_panics_or_gives_up_is_counted() {
    fn panics(_case: &Case) -> Result<Vec<Value>, String> {
        panic!("on purpose");
    }
    fn refuses(_case: &Case) -> Result<Vec<Value>, String> {
        Err("no".to_owned())
    }
    let cases = [case("", &[vec![json!({"victim": {"pid": 7}})]])];
    let crashed = row(&Reader { name: "p", read: panics }, &cases).tally;
    let refused = row(&Reader { name: "r", read: refuses }, &cases).tally;
    assert_eq!((crashed.crashed, crashed.refused, crashed.sum.deaths), (1, 0, 1));
    assert_eq!((refused.crashed, refused.refused, refused.told), (0, 1, 0));
    let empty = [case("", &[Vec::new()])];
    assert_eq!(row(&Reader { name: "r", read: refuses }, &empty).tally.told, 0);
}

#[test]
fn all_readers_find_a_whole_report() {
    let log = "[    1.5] hog invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, \
               oom_score_adj=0\n\
               [    1.6] Out of memory: Killed process 7 (hog) total-vm:3kB, anon-rss:2kB, \
               file-rss:1kB, shmem-rss:0kB, UID:0 pgtables:4kB oom_score_adj:0\n";
    let cases = [case(log, &[vec![json!({"victim": {"pid": 7, "comm": "hog"}})]])];
    for reader in READERS {
        let row = row(reader, &cases);
        assert_eq!((row.tally.told, row.tally.sum.right), (1, 2), "{}", row.name);
    }
}

#[test]
fn a_program_s_line_is_none_of_the_kernel_s_messages() {
    let log = "14,1,5,-;mine\n6,2,6,-;the kernel's\n";
    assert_eq!(case(log, &[]).messages(), ["the kernel's"]);
}

#[test]
fn other_killers_are_left_out() {
    let early = case("", &[vec![json!({"cause": "earlyoom"})]]);
    let kernel = case("", &[vec![json!({"cause": "kernel-oom-memcg"})]]);
    assert!(!early.is_of_the_kernel());
    assert!(kernel.is_of_the_kernel());
    assert!(case("", &[Vec::new()]).is_of_the_kernel());
}
