use std::collections::HashSet;

use super::*;
use highwater_core::id::{Comm, Pid, ProcKey, StartTicks};
use highwater_core::thing::{THINGS, names};
use highwater_core::time::WallTime;
use highwater_core::units::Bytes;

use process::tests::key_of;
use proptest::collection::vec;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Files of random bytes, and of the kernel's own words in random order.
    #[test]
    fn whatever_the_files_hold_a_round_ends_and_tells_numbers(texts in vec(text(), FILES.len())) {
        let dir = tempfile::tempdir().unwrap();
        for (rel, text) in FILES.iter().zip(&texts) {
            let path = dir.path().join(rel);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let tail = ") S 1 7 7 0 -1 0 0 0 12 0 1 2 0 0 20 0 3 0 4242 73728 18 0\n";
        std::fs::write(dir.path().join("proc/7/stat"), format!("7 (x{tail}")).unwrap();
        let key = ProcKey { pid: Pid::new(7), start: StartTicks::new(4242) };
        let candidate = Candidate { key, ..myself() };
        let mut surveyor = Surveyor::new(&Root::at(dir.path()), quiet());
        let mut out = Survey::default();
        surveyor.round(stamp(1), &[candidate], &mut || Duration::ZERO, &mut out);
        for thing in &out.things {
            prop_assert!(thing.value.is_finite());
            prop_assert!(thing.labels.iter().all(|(_, value)| !value.contains(char::is_control)));
        }
    }
}

/// What a round reads in a tree.
const FILES: [&str; 16] = [
    "proc/7/smaps_rollup",
    "proc/7/status",
    "proc/buddyinfo",
    "proc/cgroups",
    "proc/net/sockstat",
    "proc/self/mountinfo",
    "proc/1/mountinfo",
    "proc/1/root/x",
    "proc/slabinfo",
    "proc/swaps",
    "proc/sys/fs/file-nr",
    "proc/sys/kernel/pid_max",
    "proc/sys/net/ipv4/tcp_mem",
    "sys/fs/cgroup/cgroup.stat",
    "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages",
    "sys/kernel/mm/transparent_hugepage/enabled",
];

fn text() -> impl Strategy<Value = Vec<u8>> {
    let words = [
        "\n",
        " ",
        "\t",
        ":",
        ",",
        " - ",
        "/",
        "\\040",
        "kB",
        "0",
        "7",
        "42",
        "-1",
        "18446744073709551615",
        "99999999999999999999",
        "Pss: 12 kB\n",
        "Private_Clean: 4 kB\n",
        "Private_Dirty: 8 kB\n",
        "Node 0, zone Normal",
        "memory\t",
        "TCP: ",
        "inuse ",
        "mem ",
        "sockets: used ",
        "1 2 0:5 / /dev/shm rw - tmpfs x rw\n",
        "dentry ",
        " : slabdata ",
        "[always]",
        "nr_descendants ",
        "/dev/sda2 partition ",
        "\u{202e}",
        "\x1b[2J",
    ];
    let word = prop_oneof![
        4 => prop::sample::select(words.to_vec()).prop_map(|word| word.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..8),
    ];
    prop_oneof![vec(any::<u8>(), 0..256), vec(word, 0..60).prop_map(|words| words.concat())]
}

fn stamp(seconds: u64) -> Stamp {
    Stamp { wall: WallTime::from_millis(0), boot: BootTime::from_micros(seconds * 1_000_000) }
}

fn myself() -> Candidate {
    let key = key_of(std::process::id());
    Candidate { key, comm: Comm::new(b"me"), cgroup: None, resident: Bytes::from_mib(20) }
}

fn quiet() -> SurveyConfig {
    SurveyConfig { docker_socket: None, ..SurveyConfig::default() }
}

fn parts(spent: &Spent) -> Vec<&'static str> {
    spent.parts.iter().map(|(part, _)| part.name()).collect()
}

#[test]
fn each_part_has_its_turn_and_every_round_is_the_whole_picture() {
    let mut surveyor = Surveyor::new(&Root::live(), quiet());
    let mut out = Survey::default();
    let mut free = || Duration::ZERO;
    assert_eq!(surveyor.due(stamp(100).boot), stamp(100).boot, "all at once");
    let first = surveyor.round(stamp(100), &[myself()], &mut free, &mut out);
    assert_eq!(first.parts.len(), Part::ALL.len());
    let whole: HashSet<_> = series(&out);
    assert!(out.things.iter().any(|thing| thing.metric == &names::PROCESS_PSS));
    assert_eq!(surveyor.due(stamp(100).boot), stamp(130).boot);
    let second = surveyor.round(stamp(130), &[myself()], &mut free, &mut out);
    assert_eq!(parts(&second), ["kernel"]);
    assert_eq!(out.stamp, stamp(130));
    assert!(series(&out).is_superset(&whole), "what is not due is told again");
    let third = surveyor.round(stamp(160), &[myself()], &mut free, &mut out);
    assert_eq!(third.parts.len(), Part::ALL.len() - 1, "all but Docker, every minute");
}

fn series(survey: &Survey) -> HashSet<String> {
    survey.things.iter().map(|thing| format!("{}{}", thing.metric.name, thing.labels)).collect()
}

#[test]
fn of_one_metric_and_labels_there_is_one_number_and_all_are_in_the_list() {
    let mut surveyor = Surveyor::new(&Root::live(), quiet());
    let mut out = Survey::default();
    surveyor.round(stamp(1), &[myself()], &mut || Duration::ZERO, &mut out);
    assert_eq!(series(&out).len(), out.things.len());
    for thing in &out.things {
        assert!(THINGS.iter().any(|metric| std::ptr::eq(*metric, thing.metric)));
        assert!(thing.value.is_finite(), "{} is {}", thing.metric.name, thing.value);
    }
}

#[test]
fn a_process_that_is_no_candidate_any_more_is_not_told() {
    let mut surveyor = Surveyor::new(&Root::live(), quiet());
    let mut out = Survey::default();
    surveyor.round(stamp(1), &[myself()], &mut || Duration::ZERO, &mut out);
    let of_processes = |out: &Survey| {
        out.things.iter().filter(|thing| !thing.labels.get("pid").is_empty()).count()
    };
    assert!(of_processes(&out) > 10);
    surveyor.round(stamp(2), &[], &mut || Duration::ZERO, &mut out);
    assert_eq!(of_processes(&out), 0);
}

/// Every look at the clock is another millisecond: each part costs 1 ms or more.
#[test]
fn a_dear_part_is_read_less_often() {
    let mut surveyor = Surveyor::new(&Root::live(), quiet());
    let mut used = Duration::ZERO;
    let mut dear = || {
        used += Duration::from_millis(1);
        used
    };
    let mut out = Survey::default();
    let spent = surveyor.round(stamp(0), &[], &mut dear, &mut out);
    assert!(spent.cpu >= Duration::from_millis(8));
    // 1 ms at 15 millionths of a core is a rest of 66.7 s.
    let mut rounds =
        |seconds| parts(&surveyor.round(stamp(seconds), &[], &mut dear, &mut out)).len();
    assert_eq!(rounds(30), 0);
    assert_eq!(rounds(60), 1, "mappings go by their allowance");
    assert_eq!(rounds(67), Part::ALL.len() - 2);
    let no_share = SurveyConfig { part_ppm: 0, ..quiet() };
    let surveyor = Surveyor::new(&Root::live(), no_share);
    assert_eq!(surveyor.pace(Part::Slabs, Duration::from_nanos(1)), STRETCHED_MAX);
}

#[test]
fn slowed_down_the_optional_parts_wait_and_paused_ones_are_silent() {
    let mut surveyor = Surveyor::new(&Root::live(), quiet());
    surveyor.slow_down(4);
    surveyor.pause(Part::Slabs, true);
    let mut out = Survey::default();
    let mut free = || Duration::ZERO;
    surveyor.round(stamp(0), &[], &mut free, &mut out);
    assert!(out.things.iter().all(|thing| thing.metric != &names::SLAB_CACHES));
    assert_eq!(parts(&surveyor.round(stamp(60), &[], &mut free, &mut out)), ["kernel", "disks"]);
    surveyor.pause(Part::Slabs, false);
    assert_eq!(parts(&surveyor.round(stamp(61), &[], &mut free, &mut out)), ["slabs"]);
    surveyor.pause(Part::Slabs, true);
    surveyor.round(stamp(62), &[], &mut free, &mut out);
    assert!(out.things.iter().all(|thing| thing.metric != &names::SLAB_CACHES));
    for part in Part::ALL {
        surveyor.pause(part, true);
    }
    assert!(surveyor.due(stamp(62).boot) > stamp(62).boot, "nothing is due, and not at once");
}

#[test]
fn a_tree_of_nothing_is_a_picture_of_nothing() {
    let mut surveyor = Surveyor::new(&Root::at("/nonexistent"), quiet());
    let mut out = Survey::default();
    surveyor.round(stamp(0), &[myself()], &mut || Duration::ZERO, &mut out);
    assert_eq!(out.things.len(), 5, "how many processes were skipped, by reason");
    let whys: Vec<_> = surveyor.blindness().iter().map(|blind| (blind.part, &*blind.why)).collect();
    assert_eq!(whys, [(Part::Slabs, "the kernel has no /proc/slabinfo")]);
}
