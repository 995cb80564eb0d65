//! Several logs of one machine as one story: oldest first, and each death once.
//!
//! Syslog, kern.log and the journal hold the same lines. One death stands in each of them with the
//! same pid and name, and at the same moment by the clock they share.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use highwater_core::evidence::Evidence;
use highwater_core::id::Pid;
use highwater_core::owner::Owner;
use highwater_core::testimony::{Fact, UnitWord};
use highwater_core::time::{BootTime, WallTime};
use highwater_core::units::Bytes;
use highwater_diagnose::inquest::Heard;
use highwater_oom::report::{Kill, OomReport, ReportLine, Writer};

use super::episode::{AlsoTold, Episode, tell_dying};

/// Two clocks that tell the same moment differ by no more, in ms: syslog writes whole seconds, and
/// the journal when it received the line.
const SAME_MS: u64 = 2_000;

/// So many earlier deaths of one pid and name are compared: no pid comes back more often within
/// the logs that one machine keeps, and hostile ones cost no more.
const COMPARED: usize = 64;

/// One log's episodes.
#[derive(Debug)]
pub(crate) struct Told {
    /// What it is called.
    pub(crate) source: String,
    /// What it tells, in its order.
    pub(crate) reports: Vec<OomReport>,
}

/// All episodes of all logs, seeing what was `heard` beside them.
pub(crate) fn merged(mut logs: Vec<Told>, heard: &[Heard]) -> Vec<Episode> {
    let starts = Starts::of(heard);
    logs.sort_by_cached_key(|log| age(&log.source));
    let mut episodes = Vec::new();
    let mut log_of = Vec::new();
    for (log, told) in logs.into_iter().enumerate() {
        let source = &told.source;
        let reports = told.reports.into_iter();
        let mut told: Vec<_> = reports.map(|one| Episode::of(one, source.clone())).collect();
        once_by_oomd(&mut told, &starts);
        tell_dying(&mut told);
        log_of.extend(told.iter().map(|_| log));
        episodes.extend(told);
    }
    for group in groups(&episodes, &log_of) {
        unite(&mut episodes, &group);
    }
    episodes.retain(|episode| episode.kills.as_ref().is_none_or(|kills| !kills.is_empty()));
    if episodes.iter().all(|episode| episode.wall().is_some()) {
        episodes.sort_by_key(Episode::wall);
    }
    episodes
}

/// systemd-oomd kills all of a cgroup, says so, looks again while they are still dying, and says so
/// again: within so long that is one death, and what it considered in between is none.
const OOMD_AGAIN_MS: u64 = 10_000;

/// When units were started.
struct Starts<'h>(HashMap<&'h Owner, Vec<WallTime>>);

impl<'h> Starts<'h> {
    fn of(heard: &'h [Heard]) -> Self {
        let mut all: HashMap<&Owner, Vec<WallTime>> = HashMap::new();
        let is_start =
            |one: &&Heard| matches!(one.testimony.fact, Fact::Unit(UnitWord::Started { .. }));
        for one in heard.iter().filter(is_start) {
            if let Some((owner, wall)) = one.testimony.about.owner.as_ref().zip(one.wall) {
                all.entry(owner).or_default().push(wall);
            }
        }
        for starts in all.values_mut() {
            starts.sort_unstable();
        }
        Self(all)
    }

    /// Whether the unit of this cgroup was started after `first` and not after `then`.
    fn is_between(&self, path: &str, first: WallTime, then: WallTime) -> bool {
        let starts = self.0.get(&Owner::of_path(path)).map(Vec::as_slice).unwrap_or_default();
        let later = starts.partition_point(|at| *at <= first);
        starts.get(later).is_some_and(|at| *at <= then)
    }
}

/// Leaves of each death by systemd-oomd the first word that tells of it. A unit that was started
/// again in between died twice.
fn once_by_oomd(told: &mut Vec<Episode>, starts: &Starts<'_>) {
    // Only systemd-oomd lists what it considers, and of a list alone no writer is known.
    let is_oomds = |one: &Episode| {
        one.report.writer == Writer::SystemdOomd || !one.report.candidates.is_empty()
    };
    let place = |one: &Episode| Some(one.report.candidates.first()?.value.path.clone());
    let is_kill = |one: &Episode| !one.report.kills.is_empty();
    let kills: Vec<(usize, Option<String>, WallTime)> = told
        .iter()
        .enumerate()
        .filter(|(_, one)| is_oomds(one) && is_kill(one))
        .filter_map(|(at, one)| Some((at, place(one), one.wall()?)))
        .collect();
    let near =
        |wall: WallTime, other: WallTime| wall.millis().abs_diff(other.millis()) <= OOMD_AGAIN_MS;
    let mut kept: Vec<(usize, &Option<String>, WallTime)> = Vec::new();
    for (at, path, wall) in &kills {
        let is_same = |(_, known, last): &(usize, &Option<String>, WallTime)| {
            let is_again = |path: &String| starts.is_between(path, *last, *wall);
            *known == path
                && path.as_ref().is_some_and(|path| !is_again(path))
                && near(*wall, *last)
        };
        if !kept.iter().rev().take(COMPARED).any(is_same) {
            kept.push((*at, path, *wall));
        }
    }
    let kept: HashSet<usize> = kept.iter().map(|(at, ..)| *at).collect();
    let mut at = 0;
    told.retain(|one| {
        at += 1;
        let Some(wall) = one.wall().filter(|_| is_oomds(one)) else { return true };
        if is_kill(one) {
            return kept.contains(&(at - 1));
        }
        !kills.iter().any(|(_, _, kill)| near(wall, *kill))
    });
}

/// How old a log's name says it is; the oldest first. `kern.log-20261120`, then `kern.log.10`,
/// `kern.log.1`, `kern.log`.
fn age(source: &str) -> (u8, u64) {
    /// A date has eight digits, and may have a time behind it.
    const DATE_DIGITS: usize = 8;
    let stem = [".gz", ".xz", ".zst", ".bz2", ".lz4"]
        .iter()
        .find_map(|end| source.strip_suffix(end))
        .unwrap_or(source);
    let digits = stem.len() - stem.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let (head, number) = stem.split_at_checked(stem.len() - digits).unwrap_or((stem, ""));
    match number.parse::<u64>() {
        Ok(date) if head.ends_with('-') && digits >= DATE_DIGITS => (0, date),
        Ok(number) if head.ends_with('.') => (1, u64::MAX - number),
        _ => (2, 0),
    }
}

/// One death, or an episode without one, and where it stands.
#[derive(Clone, Copy, Debug)]
struct Point {
    log: usize,
    episode: usize,
    kill: Option<usize>,
    wall: Option<WallTime>,
    boot: Option<BootTime>,
    sizes: Option<[Option<Bytes>; 3]>,
}

impl Point {
    fn of_kill(log: usize, episode: usize, at: usize, kill: &Kill) -> Self {
        let sizes = Some([kill.total_vm, kill.anon_rss, kill.file_rss]);
        Self { log, episode, kill: Some(at), wall: kill.wall, boot: kill.boot, sizes }
    }

    /// By the clock that both have; without one, by the sizes that the kernel printed.
    fn is_same(&self, other: &Self) -> bool {
        let sizes = self.sizes.zip(other.sizes);
        let differ = sizes.is_some_and(|(a, b)| {
            a.iter().zip(b).any(|(a, b)| a.zip(b).is_some_and(|(a, b)| a != b))
        });
        let apart_ms = match (self.wall.zip(other.wall), self.boot.zip(other.boot)) {
            (Some((a, b)), _) => Some(a.millis().abs_diff(b.millis())),
            (None, Some((a, b))) => Some(a.micros().abs_diff(b.micros()) / 1_000),
            (None, None) => None,
        };
        !differ
            && match apart_ms {
                Some(apart) => apart <= SAME_MS,
                None => sizes.is_some_and(|(a, b)| a == b && a.iter().all(Option::is_some)),
            }
    }
}

/// What may be the same death at all: a pid and a name, or else the same words, hashed.
type Who<'a> = (Option<Pid>, Option<&'a str>, u64);

fn who<'a>(report: &'a OomReport, kill: Option<&'a Kill>) -> Who<'a> {
    let trigger = report.trigger.as_ref().map(|told| &told.value);
    let asker = trigger.map(|asker| (asker.pid, asker.comm.as_deref())).unwrap_or_default();
    let (pid, comm) = kill.map_or(asker, |kill| (kill.pid, kill.comm.as_deref()));
    if pid.is_some() {
        return (pid, comm, 0);
    }
    let mut words = DefaultHasher::new();
    let is_told = |line: &&ReportLine| kill.is_none_or(|kill| kill.line == line.number);
    for line in report.lines.iter().filter(is_told) {
        line.text.hash(&mut words);
    }
    (None, comm, words.finish())
}

/// The line that tells of it.
fn told<'a>(report: &'a OomReport, kill: Option<&Kill>) -> Option<&'a ReportLine> {
    let line = |kill: &Kill| report.lines.iter().find(|line| line.number == kill.line);
    kill.map_or_else(|| report.lines.first(), line)
}

/// Deaths that are the same, each group with one of each log.
fn groups(episodes: &[Episode], log_of: &[usize]) -> Vec<Vec<Point>> {
    let mut known: HashMap<Who<'_>, Vec<Vec<Point>>> = HashMap::new();
    for (at, (episode, log)) in episodes.iter().zip(log_of).enumerate() {
        let report = &episode.report;
        for (kill_at, kill) in report.kills.iter().enumerate() {
            let who = who(report, Some(kill));
            put(known.entry(who).or_default(), Point::of_kill(*log, at, kill_at, kill));
        }
        if report.kills.is_empty() {
            let who = who(report, None);
            let (wall, boot) = (episode.wall(), episode.boot());
            let point = Point { log: *log, episode: at, kill: None, wall, boot, sizes: None };
            put(known.entry(who).or_default(), point);
        }
    }
    let mut groups: Vec<_> = known.into_values().flatten().filter(|all| all.len() > 1).collect();
    groups.sort_by_key(|group| group.first().map(|first| (first.episode, first.kill)));
    groups
}

/// Adds `point` to the group that it belongs to.
fn put(groups: &mut Vec<Vec<Point>>, point: Point) {
    let fits = |group: &Vec<Point>| {
        group
            .iter()
            .all(|other| other.log != point.log && other.kill.is_some() == point.kill.is_some())
            && group.iter().any(|other| other.is_same(&point))
    };
    let first = groups.len().saturating_sub(COMPARED);
    // The earliest that fits: two logs hold their deaths in the same order.
    match groups.iter_mut().skip(first).find(|group| fits(group)) {
        Some(group) => group.push(point),
        None => groups.push(vec![point]),
    }
}

/// The fullest report of a death is kept; the others are cited.
fn unite(episodes: &mut [Episode], group: &[Point]) {
    let length =
        |point: &Point| episodes.get(point.episode).map_or(0, |episode| episode.report.lines.len());
    // Of equals the first.
    let Some(best) = group.iter().rev().max_by_key(|point| length(point)).copied() else { return };
    for other in group.iter().filter(|other| other.episode != best.episode) {
        let Some(episode) = episodes.get_mut(other.episode) else { continue };
        let place = cited(episode, other.kill);
        leave_out(episode, other.kill);
        let Some(kept) = episodes.get_mut(best.episode) else { continue };
        if let Some(kill) = best.kill.and_then(|at| kept.report.kills.get_mut(at)) {
            kill.wall = kill.wall.or(other.wall);
            kill.boot = kill.boot.or(other.boot);
        }
        kept.also.push(AlsoTold { kill: best.kill, place });
    }
}

/// The line that tells of it, to be cited.
fn cited(episode: &Episode, kill: Option<usize>) -> Evidence {
    let kill = kill.and_then(|at| episode.report.kills.get(at));
    let line = told(&episode.report, kill);
    Evidence {
        source: episode.source.clone(),
        line: kill.map(|kill| kill.line).or(line.map(|line| line.number)),
        text: line.map(|line| line.text.clone()).unwrap_or_default(),
    }
}

fn leave_out(episode: &mut Episode, kill: Option<usize>) {
    let all = 0..episode.report.kills.len();
    let kills = episode.kills.get_or_insert_with(|| all.collect());
    kills.retain(|at| Some(*at) != kill);
}

#[cfg(test)]
mod tests {
    use highwater_core::testimony::{Party, Testimony, Witness};

    use super::*;

    fn told(source: &str, log: &str) -> Told {
        let reports = highwater_oom::read(highwater_log::Stream::new(log.as_bytes()));
        Told { source: source.to_owned(), reports }
    }

    fn kill(head: &str, pid: u32, rss_kb: u32) -> String {
        format!(
            "{head}Out of memory: Killed process {pid} (java) total-vm:900000kB, anon-rss:{rss_kb}kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:8kB oom_score_adj:0\n"
        )
    }

    #[test]
    fn older_parts_of_a_log_come_first() {
        let mut names = ["kern.log", "kern.log.1", "kern.log.10.gz", "m-20261101", "kern.log.2.gz"];
        names.sort_by_key(|name| age(name));
        assert_eq!(
            names,
            ["m-20261101", "kern.log.10.gz", "kern.log.2.gz", "kern.log.1", "kern.log"]
        );
    }

    #[test]
    fn one_death_in_two_logs_is_one_and_the_fuller_is_kept() {
        let at = "2026-03-02T04:11:09.100000+00:00 box kernel: ";
        let full =
            format!("{at}java invoked oom-killer: gfp_mask=0x0, order=0\n{}", kill(at, 7, 4));
        let late = kill("2026-03-02T04:11:10+00:00 box kernel: ", 7, 4);
        let other = kill("2026-03-02T04:11:10+00:00 box kernel: ", 8, 4);
        let all = merged(vec![told("syslog", &(late + &other)), told("kern.log", &full)], &[]);
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].source, "kern.log");
        assert_eq!(
            (all[0].also[0].place.source.as_str(), all[0].also[0].place.line),
            ("syslog", Some(1))
        );
        assert_eq!(all[1].subjects().len(), 1);
    }

    #[test]
    fn without_a_common_clock_the_printed_sizes_decide() {
        let stamped = kill("[  100.000000] ", 7, 4);
        let short = kill("Mar 02 04:11:09 box kernel: ", 7, 4);
        let resized = kill("Mar 02 04:11:09 box kernel: ", 7, 5);
        assert_eq!(merged(vec![told("a", &stamped), told("b", &short)], &[]).len(), 1);
        assert_eq!(merged(vec![told("a", &stamped), told("b", &resized)], &[]).len(), 2);
        let later = kill("[  105.000000] ", 7, 4);
        assert_eq!(merged(vec![told("a", &stamped), told("b", &later)], &[]).len(), 2);
    }

    #[test]
    fn what_oomd_says_twice_is_one_death() {
        for log in ["json", "export"] {
            let file = format!("../../fixtures/deaths/vm/oomd-swap.{log}");
            let log = std::fs::read_to_string(file).unwrap();
            let all = merged(vec![told("x", &log)], &[]);
            let deaths: Vec<usize> = all.iter().map(|one| one.report.kills.len()).collect();
            assert_eq!(deaths, [1], "two lines of a kill, two of what was considered");
        }
    }

    #[test]
    fn a_unit_that_was_started_again_is_killed_again() {
        let killed = |at: &str| {
            format!(
                "2026-03-02T04:11:{at}+00:00 box systemd-oomd[7]: Killed /system.slice/web.service due to memory used (100) / total (110) and swap used (9) / total (10) being more than 90.00%\n"
            )
        };
        let log = killed("01.000000") + &killed("05.000000");
        let started = |ms: u32, unit: &str| {
            let evidence =
                Evidence { source: "x".to_owned(), line: None, text: format!("started {unit}") };
            let word = UnitWord::Started {
                main: None,
                invocation: None,
                restarts: None,
                limits: Box::default(),
            };
            let about = Party::of_owner(Owner::Unit(unit.to_owned()));
            let testimony =
                Testimony { witness: Witness::Journal, about, fact: Fact::Unit(word), evidence };
            // 2026-03-02T04:11:00Z.
            let wall = WallTime::from_millis(1_772_424_660_000 + i64::from(ms));
            vec![Heard { wall: Some(wall), boot: None, boot_id: None, testimony }]
        };
        let deaths = |heard: &[Heard]| merged(vec![told("x", &log)], heard).len();
        assert_eq!(deaths(&[]), 1, "two words of one kill");
        assert_eq!(deaths(&started(3_000, "web.service")), 2);
        assert_eq!(deaths(&started(500, "web.service")), 1, "before both");
        assert_eq!(deaths(&started(6_000, "web.service")), 1, "after both");
        assert_eq!(deaths(&started(3_000, "other.service")), 1);
    }

    #[test]
    fn logs_without_deaths_merge_to_nothing() {
        assert!(merged(vec![told("a", ""), told("b", "x\n")], &[]).is_empty());
        assert!(merged(Vec::new(), &[]).is_empty());
    }
}
