//! A check-up on one screen of 80 columns and 24 lines.
//!
//! ```text
//! verdict                                                         1
//! three most urgent points, two lines each                      ≤ 6
//! memory, watermarks, swap, pressure, deaths, the recorder      ≤ 7
//! owners | processes side by side, with a head                  ≤ 7, 6 beside the recorder
//! what has no limit                                               1
//! ```

use anstyle::Style;
use highwater_core::limit::Limit;
use highwater_core::time::Span;
use highwater_core::units::Bytes;
use highwater_diagnose::checkup::{Checkup, Finding, Holder, ProcessUse, Severity};

use super::draw;
use super::paint::{BLUE, BOLD, DIM, GREEN, Page, RED, YELLOW, put};
use super::wrap;

/// Rows of owners and processes.
const ROWS: usize = 6;

/// The page.
pub(crate) fn page(page: Page, checkup: &Checkup) -> String {
    let mut out = verdict(page, checkup);
    out += &checkup.urgent.iter().map(|finding| point(page, finding)).collect::<String>();
    out += "\n";
    out += &memory(page, checkup);
    out += "\n";
    out += &holders(page, checkup);
    out += &unlimited(page, checkup);
    out
}

fn style(severity: Severity) -> Style {
    match severity {
        Severity::Ok => GREEN,
        Severity::Unknown => BLUE,
        Severity::Warning => YELLOW,
        Severity::Critical => RED,
    }
}

fn verdict(page: Page, checkup: &Checkup) -> String {
    let word = checkup.severity.name().to_uppercase();
    let up = Span(std::time::Duration::from_micros(checkup.up.micros()));
    let what = match (checkup.severity, checkup.urgent.is_empty()) {
        (Severity::Ok, true) => "memory is fine; nothing needs you",
        (Severity::Ok, false) => "memory is fine; worth knowing:",
        (Severity::Unknown, _) => "not everything could be read:",
        (Severity::Warning, _) => "look at this today:",
        (Severity::Critical, _) => "look at this now:",
    };
    let head = Page::paint(style(checkup.severity), &word);
    let facts = format!("up {up}, {} processes", checkup.process_count);
    let room = page.width.saturating_sub(word.len() + 1 + wrap::width(what));
    format!(
        "{head} {} {}\n",
        Page::paint(BOLD, what),
        Page::paint(DIM, &wrap::right(&facts, room.saturating_sub(1)))
    )
}

/// At most two lines, of which the end says what to do; long names are shortened, and whole in the
/// JSON. A command that names a directory is there to be copied, if need be on a third line.
fn point(page: Page, finding: &Finding) -> String {
    const LINES: usize = 2;
    let mark = Page::paint(style(finding.severity), "■");
    let room = page.width.saturating_sub(4);
    let text = finding.claim.text.as_str();
    let command = [
        ": highwater why --data-dir ",
        ": highwater agent --data-dir ",
        ": highwater restarts --data-dir ",
    ];
    let at = command.iter().find_map(|command| text.find(command));
    let at = at.map_or(text.len(), |at| at + 1);
    let (said, command) = text.split_at_checked(at).unwrap_or((text, ""));
    let mut lines = wrap::within(said, room, LINES);
    if lines.len() > LINES {
        lines.truncate(LINES);
        if let Some(last) = lines.last_mut() {
            // What to do stays, whatever has to go.
            let end = text.rfind(": highwater ").filter(|_| command.is_empty());
            let end = end.and_then(|at| text.get(at..)).unwrap_or_default();
            let kept = wrap::cut(last, room.saturating_sub(wrap::width(end) + 1));
            *last = format!("{}…{end}", kept.trim_end_matches('…'));
        }
    }
    match lines.last_mut() {
        Some(last) if wrap::width(last) + wrap::width(command) <= room => last.push_str(command),
        _ => lines.push(command.trim_start().to_owned()),
    }
    let mut out = String::new();
    for (at, line) in lines.iter().enumerate() {
        let before = if at == 0 { format!("  {mark} ") } else { "    ".to_owned() };
        put(&mut out, &format!("{before}{line}\n"));
    }
    out
}

fn memory(page: Page, checkup: &Checkup) -> String {
    let memory = &checkup.memory;
    let shown =
        |amount: Option<Bytes>| amount.map_or("unknown".to_owned(), |amount| amount.to_string());
    let total = memory.total.unwrap_or_default();
    // Beside the name, and `1023 MiB of 99.9 GiB available (100 %)`.
    let room = page.width.saturating_sub(13 + 1 + 40).min(40);
    let used = total.saturating_sub(memory.available.unwrap_or(total));
    let share = memory.available.and_then(|available| available.permille_of(total));
    let bar_style = match share {
        Some(share) if share.get() < 50 => RED,
        Some(share) if share.get() < 100 => YELLOW,
        _ => GREEN,
    };
    let mut out = format!(
        "  {} {} {} of {} available{}\n",
        wrap::left("memory", 10),
        Page::paint(bar_style, &track(used, total, room)),
        shown(memory.available),
        shown(memory.total),
        share.map_or(String::new(), |share| format!(" ({share})")),
    );
    out += &fact(
        page,
        "",
        &format!(
            "anon {} · cache {} · shared {} · kernel {}",
            shown(memory.anon),
            shown(memory.cache),
            shown(memory.shmem),
            shown(memory.kernel)
        ),
    );
    out += &fact(
        page,
        "watermarks",
        &format!(
            "free {}; reclaim starts at {}, kills at {}",
            shown(memory.free),
            shown(memory.low),
            shown(memory.min)
        ),
    );
    out += &fact(page, "swap", &swap(checkup));
    out += &fact(page, "pressure", &pressure(checkup));
    out += &fact(page, "deaths", &deaths(checkup));
    if let Some(recorder) = &checkup.recorder {
        out += &fact(page, "recorder", &recorder.state(checkup.at));
    }
    if !checkup.notes.is_empty() {
        out += &fact(page, "left out", &checkup.notes.join(" · "));
    }
    out
}

/// A bar on a track, so that what is left is seen too.
fn track(part: Bytes, whole: Bytes, room: usize) -> String {
    draw::bar(part, whole, room).replace(' ', "░")
}

fn fact(page: Page, name: &str, text: &str) -> String {
    let text = wrap::cut(text, page.width.saturating_sub(13));
    format!("  {} {text}\n", wrap::left(name, 10))
}

fn swap(checkup: &Checkup) -> String {
    match (checkup.memory.swap_total, checkup.memory.swap_free) {
        (Some(Bytes::ZERO), _) => "none".to_owned(),
        (Some(total), Some(free)) => format!("{} of {total} used", total.saturating_sub(free)),
        _ => "unknown".to_owned(),
    }
}

fn pressure(checkup: &Checkup) -> String {
    let Some(pressure) = checkup.pressure else {
        return "unknown, because this kernel has no /proc/pressure/memory".to_owned();
    };
    let stall = |stall: Option<highwater_core::frame::Stall>| match stall {
        Some(stall) => format!("{:.1}/{:.1}/{:.1} %", stall.avg10, stall.avg60, stall.avg300),
        None => "unknown".to_owned(),
    };
    format!("some {} · all {} (10 s/1 min/5 min)", stall(pressure.some), stall(pressure.full))
}

fn deaths(checkup: &Checkup) -> String {
    let count = checkup.kills_since_boot;
    let named = checkup.deaths.len();
    match (count, named) {
        (Some(0), 0) => "none since boot".to_owned(),
        (None, 0) => "unknown, because the kernel's count was not readable".to_owned(),
        (Some(count), 0) => {
            let gap = checkup.deaths_gap.as_deref();
            let why = gap.unwrap_or("the kernel's log no longer has them");
            format!("{count} since boot, unnamed: {why}")
        }
        (count, named) => {
            let count =
                count.map_or(named, |count| usize::try_from(count).unwrap_or(named).max(named));
            let last = checkup.deaths.last().map(|death| death.victim.as_str()).unwrap_or_default();
            format!("{count} since boot, {named} of them on record; the last: {last}")
        }
    }
}

/// Owners at the left, processes at the right.
fn holders(page: Page, checkup: &Checkup) -> String {
    let half = page.width.saturating_sub(5) / 2;
    // The lines about the recorder and what was left out take the places of some of these.
    let rows = ROWS
        .saturating_sub(usize::from(checkup.recorder.is_some()))
        .saturating_sub(usize::from(!checkup.notes.is_empty()));
    let owners = column(
        half,
        "owners: anonymous, limit",
        checkup
            .owners
            .iter()
            .filter(|holder| holder.anon > Bytes::ZERO)
            .take(rows)
            .map(|holder| owner(holder, half)),
    );
    let processes = column(
        half,
        "processes: anonymous",
        checkup.processes.iter().take(rows).map(|process| process_row(process, half)),
    );
    let lines = owners.len().max(processes.len());
    let empty = " ".repeat(half);
    let mut out = String::new();
    for at in 0..lines {
        let left = owners.get(at).unwrap_or(&empty);
        let right = processes.get(at).unwrap_or(&empty);
        let text = format!("  {left}   {}", right.trim_end());
        let text = text.trim_end().to_owned();
        let shown = if at == 0 { Page::paint(DIM, &text) } else { text };
        put(&mut out, &format!("{shown}\n"));
    }
    out
}

fn column(half: usize, head: &str, rows: impl Iterator<Item = String>) -> Vec<String> {
    let mut all = vec![wrap::left(head, half)];
    all.extend(rows);
    if all.len() == 1 {
        all.push(wrap::left("none to be seen", half));
    }
    all
}

fn owner(holder: &Holder, half: usize) -> String {
    let limit = match holder.limit {
        Some(Limit::At(limit)) => limit.to_string(),
        Some(Limit::Unlimited) => "no limit".to_owned(),
        None => "unknown".to_owned(),
    };
    let name = half.saturating_sub(9 + 10);
    format!(
        "{}{}{}",
        wrap::left(&holder.owner, name),
        wrap::right(&holder.anon.to_string(), 9),
        wrap::right(&limit, 10)
    )
}

fn process_row(process: &ProcessUse, half: usize) -> String {
    let name = half.saturating_sub(8 + 1 + 9);
    format!(
        "{} {}{}",
        wrap::right(&process.pid.to_string(), 8),
        wrap::left(&process.comm, name),
        wrap::right(&process.anon.to_string(), 9)
    )
}

fn unlimited(page: Page, checkup: &Checkup) -> String {
    if checkup.unlimited.is_empty() {
        return String::new();
    }
    let names: Vec<&str> = checkup.unlimited.iter().map(|holder| holder.owner.as_str()).collect();
    let text = format!("no memory limit, and a tenth of the machine or more: {}", names.join(", "));
    format!("  {}\n", Page::paint(YELLOW, &wrap::cut(&text, page.width.saturating_sub(2))))
}

#[cfg(test)]
mod tests {
    use highwater_core::frame::{
        CgroupMemory, CgroupSample, CgroupVersion, Frame, MachineSample, MemInfo, Pressure,
        ProcSample, SlowReadings, Stall, VmStat, ZoneSample,
    };
    use highwater_core::id::{CgroupPath, Comm, Pid, ProcKey, StartTicks};
    use highwater_core::time::{BootTime, Stamp, WallTime};
    use highwater_diagnose::checkup::{PastDeath, PastDeaths, Recorder, judge, judge_recorded};

    use super::*;

    /// Everything is wrong at once, and every name is long and wide.
    fn worst() -> Checkup {
        let odd = Bytes::new(1023 * 1024 * 1024 * 1024);
        let stall = Some(Stall { avg10: 99.99, avg60: 99.99, avg300: 99.99, total_us: 1 });
        let machine = MachineSample {
            mem: MemInfo {
                mem_total: Some(odd),
                mem_free: Some(Bytes::new(1023 * 1024)),
                mem_available: Some(Bytes::new(1023 * 1024)),
                swap_total: Some(odd),
                swap_free: Some(Bytes::ZERO),
                shmem: Some(odd),
                cached: Some(odd),
                slab: Some(odd),
                anon_pages: Some(odd),
                ..MemInfo::default()
            },
            vm: VmStat { oom_kill: Some(u64::MAX), ..VmStat::default() },
            memory_pressure: Some(Pressure { some: stall, full: stall }),
            ..MachineSample::default()
        };
        let cgroup = |at: u32| CgroupSample {
            path: CgroupPath::new(
                format!("/system.slice/{}{at}.service", "内存".repeat(30)).as_bytes(),
            ),
            version: CgroupVersion::V2,
            memory: CgroupMemory {
                usage: Some(odd),
                anon: Some(odd),
                limit: Some(if at < 4 { Limit::Unlimited } else { Limit::At(odd) }),
                ..CgroupMemory::default()
            },
        };
        let process = |at: u32| ProcSample {
            key: ProcKey { pid: Pid::new(4_194_304 - at), start: StartTicks::new(1) },
            comm: Comm::new("内存内存内存内存".as_bytes()),
            cgroup: None,
            parent: Pid::new(1),
            state: b'S',
            threads: 1,
            cpu_us: 0,
            major_faults: 0,
            virtual_size: odd,
            resident: odd,
            resident_shared: Bytes::ZERO,
            children: None,
            zombie_children: None,
            slow: SlowReadings::default(),
        };
        let frame = Frame {
            stamp: Stamp {
                wall: WallTime::from_millis(1_700_000_000_000),
                boot: BootTime::from_micros(u64::MAX / 2),
            },
            machine: Some(machine),
            zones: vec![ZoneSample { low: odd, min: odd, ..ZoneSample::default() }],
            cgroups: (0..30).map(cgroup).collect(),
            processes: (0..30).map(process).collect(),
            ..Frame::default()
        };
        let death = PastDeath {
            wall: Some(frame.stamp.wall),
            victim: "内存".repeat(30),
            limit_owner: Some(format!("/{}", "长".repeat(60))),
        };
        let past = PastDeaths { deaths: vec![death], ..PastDeaths::default() };
        let mut checkup = judge_recorded(&frame, &past, Some(worst_recorder()));
        checkup.notes = vec!["内存".repeat(60), "x".repeat(300)];
        checkup
    }

    fn worst_recorder() -> Recorder {
        Recorder {
            is_running: Some(true),
            used: Bytes::new(u64::MAX / 3),
            budget: Some(Bytes::new(u64::MAX / 3)),
            trouble: Some("内存".repeat(30)),
            raw_from: Some(WallTime::from_millis(0)),
            minutes_from: Some(WallTime::from_millis(0)),
            ten_minutes_from: Some(WallTime::from_millis(0)),
            backlog: u64::MAX,
            slowed: vec!["everything".to_owned()],
            is_tight: true,
            ..Recorder::default()
        }
    }

    fn service(name: &str, anon_mib: u64, limit: Limit) -> CgroupSample {
        let anon = Some(Bytes::from_mib(anon_mib));
        let memory =
            CgroupMemory { usage: anon, anon, limit: Some(limit), ..CgroupMemory::default() };
        let path = CgroupPath::new(format!("/system.slice/{name}.service").as_bytes());
        CgroupSample { path, version: CgroupVersion::V2, memory }
    }

    fn running(pid: u32, comm: &str, anon_mib: u64) -> ProcSample {
        ProcSample {
            key: ProcKey { pid: Pid::new(pid), start: StartTicks::new(1) },
            comm: Comm::new(comm.as_bytes()),
            cgroup: None,
            parent: Pid::new(1),
            state: b'S',
            threads: 1,
            cpu_us: 0,
            major_faults: 0,
            virtual_size: Bytes::from_mib(9000),
            resident: Bytes::from_mib(anon_mib),
            resident_shared: Bytes::ZERO,
            children: None,
            zombie_children: None,
            slow: SlowReadings::default(),
        }
    }

    /// A recorder that has run for a month.
    fn recorder(wall: WallTime) -> Recorder {
        let ago = |days: u64| Some(wall.before(std::time::Duration::from_hours(24 * days)));
        Recorder {
            place: "/var/lib/highwater".to_owned(),
            is_running: Some(true),
            used: Bytes::from_mib(214),
            budget: Some(Bytes::from_mib(2048)),
            newest: Some(wall),
            raw_from: ago(7),
            minutes_from: ago(30),
            ten_minutes_from: ago(38),
            ..Recorder::default()
        }
    }

    /// A machine as one meets it: a gateway near its limit, a database without one.
    fn usual() -> Checkup {
        let mib = |count| Some(Bytes::from_mib(count));
        let mem = MemInfo {
            mem_total: mib(7936),
            mem_free: mib(412),
            mem_available: mib(1904),
            swap_total: mib(2048),
            swap_free: mib(1731),
            anon_pages: mib(5410),
            cached: mib(1502),
            shmem: mib(96),
            slab: mib(388),
            ..MemInfo::default()
        };
        let stall = |avg| Some(Stall { avg10: avg, avg60: avg, avg300: avg / 2.0, total_us: 1 });
        let machine = MachineSample {
            mem,
            vm: VmStat { oom_kill: Some(1), ..VmStat::default() },
            memory_pressure: Some(Pressure { some: stall(2.4), full: stall(0.6) }),
            ..MachineSample::default()
        };
        let wall = WallTime::from_millis(1_772_424_669_100);
        let at = |limit_mib| Limit::At(Bytes::from_mib(limit_mib));
        let frame = Frame {
            stamp: Stamp { wall, boot: BootTime::from_micros(1_209_600_000_000) },
            machine: Some(machine),
            zones: vec![ZoneSample {
                low: Bytes::from_mib(84),
                min: Bytes::from_mib(67),
                ..ZoneSample::default()
            }],
            cgroups: vec![
                service("postgresql", 2210, Limit::Unlimited),
                service("gateway", 934, at(1024)),
                service("orders", 611, at(2048)),
                service("nginx", 48, Limit::Unlimited),
            ],
            processes: vec![
                running(910, "node", 921),
                running(2044, "java", 598),
                running(1201, "postgres", 402),
                running(1202, "postgres", 377),
                running(1377, "postgres", 290),
            ],
            ..Frame::default()
        };
        let death = PastDeath {
            wall: Some(wall.before(std::time::Duration::from_mins(190))),
            victim: "node (pid 884)".to_owned(),
            limit_owner: Some("/system.slice/gateway.service".to_owned()),
        };
        let past = PastDeaths { deaths: vec![death], ..PastDeaths::default() };
        judge_recorded(&frame, &past, Some(recorder(wall)))
    }

    #[test]
    fn the_manual_shows_this_page() {
        let text = anstream::adapter::strip_str(&page(Page { width: 80 }, &usual())).to_string();
        let manual = include_str!("../../../../docs/manual/checkup.md");
        assert!(manual.contains(&text), "docs/manual/checkup.md should show:\n{text}");
    }

    fn assert_fits(text: &str) {
        let plain = anstream::adapter::strip_str(text).to_string();
        assert!(plain.lines().count() <= 23, "a prompt needs the 24th line:\n{plain}");
        for line in plain.lines() {
            assert!(wrap::width(line) <= 80, "{line}");
        }
    }

    #[test]
    fn a_point_keeps_its_end() {
        let text = anstream::adapter::strip_str(&page(Page { width: 80 }, &worst())).to_string();
        let checkup = worst();
        let told =
            checkup.urgent.iter().filter(|finding| finding.claim.text.contains(": highwater"));
        assert_eq!(text.matches("highwater why").count(), told.count(), "{text}");
    }

    #[test]
    fn what_to_do_is_the_last_that_goes() {
        let mut checkup = usual();
        let told = |finding: &&mut Finding| finding.claim.text.ends_with(": highwater why");
        let finding = checkup.urgent.iter_mut().find(told).unwrap();
        finding.claim.text = format!("{}: highwater why", "of so many short words ".repeat(9));
        let text = anstream::adapter::strip_str(&page(Page { width: 80 }, &checkup)).to_string();
        assert!(text.contains("…: highwater why\n"), "{text}");
        assert_fits(&text);
    }

    #[test]
    fn a_command_with_a_directory_stays_whole() {
        let mut checkup = usual();
        let finding = checkup
            .urgent
            .iter_mut()
            .find(|finding| finding.claim.text.ends_with(": highwater why"))
            .unwrap();
        let dir = format!("/srv/{}", "long/".repeat(14));
        finding.claim.text.extend([" --data-dir ", &dir]);
        let text = anstream::adapter::strip_str(&page(Page { width: 80 }, &checkup)).to_string();
        assert!(text.contains(&format!("\n    highwater why --data-dir {dir}\n")), "{text}");
    }

    #[test]
    fn the_worst_machine_fits_80_by_24() {
        assert_fits(&page(Page { width: 80 }, &worst()));
    }

    #[test]
    fn what_was_left_out_is_said() {
        let mut checkup = usual();
        checkup.notes = vec!["1 damaged event was left out: number 7".to_owned()];
        let text = anstream::adapter::strip_str(&page(Page { width: 80 }, &checkup)).to_string();
        assert!(text.contains("\n  left out   1 damaged event was left out: number 7\n"), "{text}");
        assert_fits(&text);
    }

    #[test]
    fn a_machine_that_cannot_be_read_fits_too() {
        let checkup = judge(&Frame::default(), &PastDeaths::default());
        assert_eq!(checkup.severity, Severity::Unknown);
        assert_fits(&page(Page { width: 80 }, &checkup));
    }
}
