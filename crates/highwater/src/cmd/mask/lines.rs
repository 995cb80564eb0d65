//! One line of a report without names.
//!
//! Where the kernel's form of a line says that a name stands, it is masked whatever it is: a
//! process may be called `memory`. Of the rest only numbers and known words stay.

use std::ops::Range;

use highwater_oom::OomReport;

use super::{Kind, Masks, places, words};

/// In as many digits of a container's id as people type at least.
const LEAST_ID_DIGITS: usize = 6;

/// Somewhere a name stands.
#[derive(Debug)]
struct Slot {
    at: Range<usize>,
    what: What,
}

/// What kind of name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Process,
    Place,
    Hardware,
    /// No name at all.
    Plain,
}

/// Gives the names that the report knows their masks, so that they have them in any line.
pub(super) fn meet(masks: &mut Masks, report: &OomReport) {
    let kills = report.kills.iter().filter_map(|kill| kill.comm.as_deref());
    let trigger = report.trigger.iter().filter_map(|told| told.value.comm.as_deref());
    let rows = report.tasks.rows.iter().map(|row| row.comm.as_str());
    for comm in kills.chain(trigger).chain(rows) {
        masks.process(comm);
    }
    let memcg = [&report.memcg.limit_owner, &report.memcg.task, &report.oom_group];
    for path in memcg.into_iter().flatten() {
        places::masked(masks, &path.value, Kind::Cgroup);
    }
}

/// `text` without names. `row` is the name at its end, if it is a row of the task table.
pub(super) fn masked(masks: &mut Masks, text: &str, row: Option<&str>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    let part = |range: Range<usize>| text.get(range).unwrap_or_default();
    for Slot { at, what } in slots(text, row) {
        if at.start < from {
            continue;
        }
        out += &loose(masks, part(from..at.start));
        let name = part(at.clone());
        out += &match what {
            _ if name.trim().is_empty() => name.to_owned(),
            What::Plain => name.to_owned(),
            What::Process => masks.process(name),
            What::Place => places::masked(masks, name, Kind::Cgroup),
            What::Hardware => masks.of(Kind::Hardware, name),
        };
        from = at.end;
    }
    out + &loose(masks, part(from..text.len()))
}

/// Where names stand in `text`, from left to right.
fn slots(text: &str, row: Option<&str>) -> Vec<Slot> {
    let end = text.trim_end().len();
    let row = row.filter(|comm| text.trim_end().ends_with(comm.trim_end()) && !comm.is_empty());
    if let Some(comm) = row {
        let from = end.saturating_sub(comm.trim_end().len());
        return vec![slot(from..end, What::Process)];
    }
    let mut slots = Vec::new();
    if let Some(at) = text.rfind(" invoked oom-killer") {
        slots.push(slot(0..at, What::Process));
    } else if text.contains("constraint=") || text.starts_with("oom-kill") {
        slots.extend(summary(text));
    } else if let Some((at, _)) = text.match_indices(" cpuset=").last() {
        slots.push(slot(0..at, What::Process));
        slots.extend(between(text, " cpuset=", &[" mems_allowed="], What::Place));
    }
    slots.extend(between(text, "Comm: ", &[" Kdump:", " Not tainted", " Tainted:"], What::Process));
    slots.extend(between(text, "comm: ", &[" Not tainted", " Tainted:"], What::Process));
    slots.extend(between(text, "Hardware name: ", &[], What::Hardware));
    slots.extend(between(text, "Task in ", &[" killed as a result"], What::Place));
    slots.extend(between(text, "as a result of limit of ", &[], What::Place));
    slots.extend(between(text, "cgroup stats for ", &[": cache:", ":"], What::Place));
    slots.extend(between(text, "Tasks in ", &[" are going to be killed"], What::Place));
    slots.extend(between(text, "name: ", &[", badness", ", state", ","], What::Process));
    slots.extend(victim(text));
    slots.extend(traced(text));
    slots.extend(programs_victim(text));
    // A command line is masked as one name: any of its words may be known.
    slots.extend(between(text, "cmdline \"", &["\""], What::Process));
    slots.extend(behind(text, "SID: #(").and_then(|from| {
        let length = text.get(from..)?.find(')')?;
        Some(slot(from..from + length, What::Process))
    }));
    slots.sort_by_key(|slot| slot.at.start);
    slots
}

fn slot(at: Range<usize>, what: What) -> Slot {
    Slot { at, what }
}

/// What stands behind `head`, up to the last of the first of `ends` that is there, or the end.
fn between(text: &str, head: &str, ends: &[&str], what: What) -> Option<Slot> {
    let from = text.find(head)? + head.len();
    let rest = text.get(from..)?;
    let length = ends.iter().find_map(|end| rest.rfind(end)).unwrap_or(rest.trim_end().len());
    Some(slot(from..from + length, what))
}

/// `oom-kill:constraint=…,cpuset=X,mems_allowed=0,oom_memcg=P,task_memcg=P,task=X,pid=7,uid=0`.
fn summary(text: &str) -> Vec<Slot> {
    const PLACES: [&str; 3] = ["cpuset=", "oom_memcg=", "task_memcg="];
    const KEYS: [&str; 6] =
        [",mems_allowed=", ",global_oom", ",oom_memcg=", ",task_memcg=", ",task=", ",pid="];
    let ends_at = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        from + KEYS.iter().filter_map(|key| rest.find(key)).min().unwrap_or(rest.trim_end().len())
    };
    let mut slots = Vec::new();
    for key in PLACES {
        let at = text
            .match_indices(key)
            .find(|(at, _)| text.get(..*at).is_some_and(|b| b.ends_with(',')));
        let Some((at, _)) = at else { continue };
        let from = at + key.len();
        slots.push(slot(from..ends_at(from), What::Place));
    }
    slots.extend(between(text, ",task=", &[",pid=", ","], What::Process));
    slots
}

/// `Killed process 7 (x) total-vm:…`, `Kill process 7 (x) score 5 or …`, `reaped process 7 (x), now`.
fn victim(text: &str) -> Option<Slot> {
    const TAILS: [&str; 6] = [") total-vm", ") vsz", ") score", "), now", ") or ", ")"];
    let (at, word) = text.match_indices("rocess ").find(|(at, word)| {
        let rest = text.get(at + word.len()..).unwrap_or_default();
        rest.starts_with(|c: char| c.is_ascii_digit())
    })?;
    let from = at + word.len();
    let from = from + text.get(from..)?.find('(')? + 1;
    let rest = text.get(from..)?;
    let length = TAILS.iter().find_map(|tail| rest.rfind(tail)).unwrap_or(rest.len());
    Some(slot(from..from + length, What::Process))
}

/// `kill-4711  [000] d..1. 3.5: signal_generate: sig=9 errno=0 code=0 comm=x pid=7 grp=1 res=0`, and
/// `oom-7 [001] .... 3.5: mark_victim: pid=7 comm=x total-vm=…`.
fn traced(text: &str) -> Vec<Slot> {
    let Some(event) = [": signal_generate: ", ": mark_victim: "].iter().find_map(|e| text.find(e))
    else {
        return Vec::new();
    };
    // The name may hold a hyphen and a bracket; the processor stands last.
    let head = text.get(..event).unwrap_or_default();
    let head = head.rfind(" [").and_then(|at| head.get(..at)).unwrap_or_default().trim_end();
    let begin = head.len() - head.trim_start().len();
    let Some(end) = head.rfind('-').filter(|end| *end > begin) else { return Vec::new() };
    let object = between(text, " comm=", &[" pid=", " total-vm="], What::Process);
    let all = [slot(begin..end, What::Process), slot(end..event, What::Plain)];
    all.into_iter().chain(object).collect()
}

/// The forms of the programs in user space that kill: what stands before the name, whether a number
/// stands between, and what ends the name, the surest first.
const PROGRAMS: [(&str, &[&str]); 11] = [
    // `sending SIGTERM to process 7 uid 0 "x": badness 9, VmRSS 1 MiB, cmdline "…"`
    (" uid #\"", &["\": ", "\""]),
    // `killing process 7 "x" with signal 15: badness 9`
    ("illing process #\"", &["\" with signal", "\""]),
    // `Killing process 'x' with signal 15, pid: 7`
    ("illing process '", &["' with signal", "'"]),
    // `Killing process: x, pid: 7, badness: 9`
    ("illing process: ", &[", pid: "]),
    // `Killing process 7 x`
    ("illing process #", &[]),
    // `Killing 'x' (7), adj 606`, `Kill 'x' (7), uid 10023`
    ("Killing '", &["' ("]),
    ("Kill '", &["' ("]),
    // `send sigkill to 7 (x), adj 8, size 4000`
    ("send sigkill to #(", &["), adj ", ")"]),
    // `Sending SIGTERM to x: 1`
    ("[ OK ] Sending SIGTERM to ", &[": "]),
    ("[ OK ] Sending SIGKILL to ", &[": "]),
    // `New victim is cached victim 7 (x)`
    ("cached victim #(", &[")"]),
];

/// The name in a line of one of [`PROGRAMS`], and what more such a line quotes.
fn programs_victim(text: &str) -> Vec<Slot> {
    let named = PROGRAMS.iter().find_map(|(head, ends)| {
        let from = behind(text, head)?;
        // The kernel's own line: its name is found already.
        let rest = text.get(from..).filter(|rest| !rest.starts_with('('))?;
        let end = ends.iter().find_map(|end| rest.find(end));
        let length = end.unwrap_or(rest.trim_end().len());
        Some(slot(from..from + length, What::Process))
    });
    let Some(named) = named else { return Vec::new() };
    let asker = between(
        text.get(named.at.end..).unwrap_or_default(),
        "on behalf of '",
        &["' ("],
        What::Process,
    );
    let asker = asker.map(|found| {
        let at = found.at.start + named.at.end..found.at.end + named.at.end;
        slot(at, What::Process)
    });
    [Some(named), asker].into_iter().flatten().collect()
}

/// Where `head` ends in `text`; `#` in it stands for a number and a space.
fn behind(text: &str, head: &str) -> Option<usize> {
    let Some((front, back)) = head.split_once('#') else {
        return Some(text.find(head)? + head.len());
    };
    text.match_indices(front).find_map(|(at, _)| {
        let rest = text.get(at + front.len()..)?;
        let number = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let rest = rest.get(number..).filter(|_| number > 0)?.strip_prefix(' ')?;
        rest.starts_with(back).then_some(at + front.len() + number + 1 + back.len())
    })
}

/// Text in which names are not marked.
fn loose(masks: &mut Masks, text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for piece in text.split_inclusive(is_border) {
        let token = piece.trim_end_matches(is_border);
        out += &whole(masks, token);
        out += piece.get(token.len()..).unwrap_or_default();
    }
    out
}

fn is_border(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            ',' | ';' | '(' | ')' | '[' | ']' | '{' | '}' | '<' | '>' | '"' | '\'' | '=' | '|'
        )
}

/// What stands between two borders.
fn whole(masks: &mut Masks, token: &str) -> String {
    let name = token.trim_end_matches([':', '.']);
    let rest = token.get(name.len()..).unwrap_or_default();
    if !words::is_word(name)
        && let Some(mask) = known(masks, name)
    {
        return mask + rest;
    }
    if is_address(name) {
        return masks.of(Kind::Address, name) + rest;
    }
    if name.len() > 1 && (name.starts_with('/') || places::is_unit(name)) {
        return places::masked(masks, name, Kind::File) + rest;
    }
    if is_id(name) {
        return masks.of(Kind::Word, name) + rest;
    }
    runs(masks, token)
}

/// A word that is a name, or none that may stay.
pub(super) fn name(masks: &mut Masks, word: &str) -> String {
    if let Some(mask) = known(masks, word) {
        return mask;
    }
    if places::is_unit(word) || word.starts_with('/') {
        return places::masked(masks, word, Kind::File);
    }
    masks.of(Kind::Word, word)
}

/// The mask of a name that was met: also of one with a process's number behind, of the head of a
/// container's id, and of a unit without its ending.
fn known(masks: &Masks, name: &str) -> Option<String> {
    if words::is_system_process(name) {
        return Some(name.to_owned());
    }
    if let Some(mask) = masks.known(name) {
        return Some(mask.to_owned());
    }
    let is_hex = name.bytes().all(|b| b.is_ascii_hexdigit());
    if is_hex && name.len() >= LEAST_ID_DIGITS {
        return masks.container(name).map(str::to_owned);
    }
    let (head, number) = name.rsplit_once('-')?;
    let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let mask = masks.known(head).filter(|_| is_number)?;
    Some(format!("{mask}-{number}"))
}

/// Runs of letters and digits: those that are not known are masked, and what is between them stays.
fn runs(masks: &mut Masks, token: &str) -> String {
    let mut out = String::with_capacity(token.len());
    let mut rest = token;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| is_wordy(c) != is_wordy(first)).unwrap_or(rest.len());
        let (run, later) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let is_symbol = later.starts_with("+0x");
        if !is_wordy(first) || is_symbol || words::is_word(run) {
            out += run;
        } else {
            out += &masks.of(Kind::Word, run);
        }
        rest = later;
    }
    out
}

/// All that is not ASCII may be part of a name.
fn is_wordy(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii()
}

/// An IP or MAC address. Times and versions look alike.
fn is_address(name: &str) -> bool {
    let bare = name.split('/').next().unwrap_or(name);
    let host = bare.rsplit_once(':').map_or(bare, |(host, _)| host);
    let is_v4 = |text: &str| text.parse::<std::net::Ipv4Addr>().is_ok();
    let is_v6 = bare.matches(':').count() > 1 && bare.parse::<std::net::Ipv6Addr>().is_ok();
    let is_mac = bare.split([':', '-']).count() == 6
        && bare
            .split([':', '-'])
            .all(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit()));
    is_v4(bare) || is_v4(host) || is_v6 || is_mac
}

/// A UUID, or as many hexadecimal digits as a container's short or long id or a hash has. An address
/// in memory has 8 or 16.
fn is_id(name: &str) -> bool {
    const SHORT_ID: usize = 12;
    const ADDRESS: usize = 16;
    let is_hex = name.bytes().all(|b| b.is_ascii_hexdigit());
    let has_letter = name.bytes().any(|b| b.is_ascii_alphabetic());
    places::is_uuid(name)
        || is_hex && (name.len() == SHORT_ID && has_letter || name.len() > ADDRESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> String {
        masked(&mut Masks::default(), text, None)
    }

    #[test]
    fn names_go_and_numbers_stay() {
        for (line, masked) in [
            (
                "memory invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
                "proc-1 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
            ),
            (
                "Memory cgroup out of memory: Killed process 7 (a) b) total-vm:8kB, anon-rss:4kB",
                "Memory cgroup out of memory: Killed process 7 (proc-1) total-vm:8kB, anon-rss:4kB",
            ),
            (
                "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/a,task_memcg=/a/b,task=x,pid=1,pid=7,uid=0",
                "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/cgroup-1,task_memcg=/cgroup-1/cgroup-2,task=proc-1,pid=7,uid=0",
            ),
            (
                "Memory cgroup stats for /a/b: cache:0KB rss:4KB",
                "Memory cgroup stats for /cgroup-1/cgroup-2: cache:0KB rss:4KB",
            ),
            (
                "Task in /a killed as a result of limit of /",
                "Task in /cgroup-1 killed as a result of limit of /",
            ),
            (
                "CPU: 3 PID: 910 Comm: java Not tainted 6.1.0-28-amd64 #1",
                "CPU: 3 PID: 910 Comm: proc-1 Not tainted 6.1.0-28-amd64 #1",
            ),
        ] {
            assert_eq!(one(line), masked);
        }
    }

    #[test]
    fn the_names_that_programs_quote_go_even_if_they_are_words() {
        for (line, masked) in [
            (
                "sending SIGTERM to process 7 uid 0 \"node\": badness 9, VmRSS 1 MiB",
                "sending SIGTERM to process 7 uid 0 \"proc-1\": badness 9, VmRSS 1 MiB",
            ),
            (
                "killing process 7 \"cache\" with signal 15: badness 9, VmRSS 1 MiB",
                "killing process 7 \"proc-1\" with signal 15: badness 9, VmRSS 1 MiB",
            ),
            (
                "Killing process: device, pid: 7, badness: 9, VmRSS: 1 MiB",
                "Killing process: proc-1, pid: 7, badness: 9, VmRSS: 1 MiB",
            ),
            ("Killing process 7 linux", "Killing process 7 proc-1"),
            (
                "Kill 'node' (7), uid 10023, oom_adj 900",
                "Kill 'proc-1' (7), uid 10023, oom_adj 900",
            ),
            (
                "Killing 'node' (7), adj 606, to free 4kB on behalf of 'cache' (9) because",
                "Killing 'proc-1' (7), adj 606, to free 4kB on behalf of 'proc-2' (9) because",
            ),
            (
                "send sigkill to 7 (node), adj 8, size 40",
                "send sigkill to 7 (proc-1), adj 8, size 40",
            ),
            ("[ OK ] Sending SIGTERM to node: 1", "[ OK ] Sending SIGTERM to proc-1: 1"),
            (
                "  PID: 7, name: node, state: S, EUID: 0, SID: 5 (cache), lifetime: 1s",
                "  PID: 7, name: proc-1, state: S, EUID: 0, SID: 5 (proc-2), lifetime: 1s",
            ),
            (
                "sending SIGTERM to process 7 uid 0 \"x\": badness 9, VmRSS 1 MiB, cmdline \"node /x \"y\"\"",
                "sending SIGTERM to process 7 uid 0 \"proc-1\": badness 9, VmRSS 1 MiB, cmdline \"proc-2\"",
            ),
            ("PID: 7, name: node, badness: 9", "PID: 7, name: proc-1, badness: 9"),
        ] {
            assert_eq!(one(line), masked);
        }
    }

    #[test]
    fn the_words_of_witnesses_stay() {
        for line in [
            "exit pid=900 signal=SIGKILL core=false RLIMIT_AS=20480000",
            "kill-95 [001] d..1. 66.1: signal_generate: sig=9 errno=0 code=0 comm=bash pid=9 grp=1",
            "inspect: OOMKilled=true ExitCode=137 RestartCount=2 Memory=16777216 MemorySwap=33554432",
            "lastState.terminated reason=OOMKilled exitCode=137 restartCount=3",
            "Killing: Container failed liveness probe, will be restarted",
            "job 77: restart",
        ] {
            assert_eq!(one(line), line);
        }
    }

    #[test]
    fn a_name_has_one_mask_wherever_it_stands() {
        let mut masks = Masks::default();
        masks.of(Kind::Named, "shop");
        masks.process("web worker-1");
        let mut one = |text: &str| masked(&mut masks, text, None);
        assert_eq!(one("kill shop signal=9"), "kill container-1 signal=9");
        assert_eq!(
            one("web worker-1-7 [000] d..1. 1.5: signal_generate: sig=9 comm=shop pid=8 grp=1"),
            "proc-1-7 [000] d..1. 1.5: signal_generate: sig=9 comm=container-1 pid=8 grp=1"
        );
        assert_eq!(one("shop-8: exit"), "container-1-8: exit");
    }

    #[test]
    fn what_is_not_known_is_masked() {
        for secret in [
            "shop-db.corp.example",
            "10.1.2.3",
            "fe80::1",
            "52:54:00:12:34:56",
            "/home/ann/x.py",
            "日本",
            "3f2a9b1c0d4e",
            "ann@corp",
        ] {
            let text = one(&format!("order {secret}: 7 kB at {secret}"));
            assert!(
                !text.contains(secret) && text.starts_with("order ") && text.contains(": 7 kB at "),
                "{text}"
            );
        }
    }
}
