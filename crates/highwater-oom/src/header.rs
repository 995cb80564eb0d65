//! `NAME invoked oom-killer: …` and the lines below it that say who NAME is.

use highwater_core::id::Pid;

use crate::report::Trigger;
use crate::said::{self, Hold, Said};
use crate::scan;

/// Who was running when a dump was printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asker {
    pub(crate) pid: Option<Pid>,
    pub(crate) comm: Option<String>,
    pub(crate) kernel: Option<String>,
}

pub(crate) fn read(line: &[u8], hold: Hold, odd: &mut Vec<String>) -> Option<Said> {
    cpuset(line)
        .or_else(|| trigger(line, hold, odd).map(Said::Trigger))
        .or_else(|| asker(within(line, hold)).map(Said::Asker))
        .or_else(|| is_sysrq(line, b"Manual OOM execution").then_some(Said::Sysrq))
        .or_else(|| is_other_dump(line).then_some(Said::OtherDump))
}

/// `sysrq: Manual OOM execution`, old `SysRq : Manual OOM execution`.
fn is_sysrq(line: &[u8], what: &[u8]) -> bool {
    line.get(..5).is_some_and(|head| head.eq_ignore_ascii_case(b"sysrq")) && scan::has(line, what)
}

/// What prints the same memory dump as an OOM report and is none.
fn is_other_dump(line: &[u8]) -> bool {
    let fails = |what| scan::cut(line, what).is_some_and(|(comm, _)| !is_path(comm));
    fails(b": page allocation failure")
        || fails(b": page allocation stalls for ")
        || is_sysrq(line, b"Show Memory")
}

/// `NAME cpuset=/ mems_allowed=0-1` (2.6.29 to 4.20). Its path may hold anything.
fn cpuset(line: &[u8]) -> Option<Said> {
    let (rest, mems) = scan::cut_last(line, b" mems_allowed=")?;
    let (comm, path) = scan::cut(rest, b" cpuset=")?;
    let is_list = |b: &u8| b.is_ascii_digit() || matches!(b, b',' | b'-');
    let list = !mems.is_empty() && mems.iter().all(is_list) && !scan::has(comm, b" invoked ");
    list.then(|| Said::Cpuset {
        comm: scan::owned(comm),
        cpuset: scan::owned(path),
        mems_allowed: scan::owned(mems),
    })
}

/// `NAME invoked oom-killer: gfp_mask=…, order=0, oom_score_adj=0`; before 2.6.18 without NAME.
fn trigger(line: &[u8], hold: Hold, odd: &mut Vec<String>) -> Option<Trigger> {
    let (comm, fields) = match scan::cut(line, b" invoked oom-killer") {
        Some((comm, _)) if is_path(comm) => return None,
        Some((comm, fields)) => (Some(comm), fields),
        None => (None, line.strip_prefix(b"oom-killer:")?),
    };
    let order = scan::after(fields, b"order=").and_then(scan::signed);
    let adjustment = scan::after(fields, b"oom_score_adj=").and_then(scan::signed);
    if order.is_some() && memchr::memchr(b',', fields).is_none() {
        odd.push("the trigger line has lost the commas between its fields".to_owned());
    }
    Some(Trigger {
        comm: comm.map(|comm| match hold {
            Hold::Whole => scan::owned(comm),
            Hold::Loose => scan::owned(without_prefix(comm)),
        }),
        pid: None,
        gfp_mask: scan::after(fields, b"gfp_mask=").map(gfp_mask),
        order: order.and_then(|(value, _)| i32::try_from(value).ok()),
        oom_score_adj: adjustment.and_then(|(value, _)| i32::try_from(value).ok()),
        nodemask: scan::after(fields, b"nodemask=").and_then(nodemask),
        ..Trigger::default()
    })
}

/// `0-1,3, order=…`: a list of nodes has commas of its own. `(null)` and 0 say nothing.
fn nodemask(value: &[u8]) -> Option<String> {
    let is_list = |b: &&u8| b.is_ascii_digit() || matches!(b, b',' | b'-');
    let len = value.iter().take_while(is_list).count();
    let list = value.get(..len).unwrap_or_default();
    let list = list.strip_suffix(b",").unwrap_or(list);
    (!list.is_empty() && list != b"0").then(|| scan::owned(list))
}

/// What a program may call itself at most.
const NAME_BYTES: usize = 15;

/// No name, but the front of a line whose path holds the words that follow.
fn is_path(comm: &[u8]) -> bool {
    comm.len() > NAME_BYTES && said::begins_path(comm)
}

/// A kernel worker's name has up to 63 bytes: what is longer than a program's may have an envelope
/// before it that is not known.
fn without_prefix(comm: &[u8]) -> &[u8] {
    if comm.len() <= NAME_BYTES {
        return comm;
    }
    let behind = |mark| scan::cut_last(comm, mark).map(|(_, name)| name);
    [behind(b": "), behind(b"] ")]
        .into_iter()
        .flatten()
        .min_by_key(|name| name.len())
        .unwrap_or(comm)
}

/// `0x100cca(GFP_HIGHUSER_MOVABLE)`, to the comma or, where commas were lost, to the next field.
fn gfp_mask(value: &[u8]) -> String {
    let end = memchr::memchr2(b',', b' ', value).unwrap_or(value.len());
    let value = value.get(..end).unwrap_or(value);
    scan::owned(scan::cut(value, b"order=").map_or(value, |(mask, _)| mask))
}

/// The message behind an envelope that is not known.
fn within(line: &[u8], hold: Hold) -> &[u8] {
    if hold == Hold::Whole || !scan::has(line, b" Comm: ") {
        return line;
    }
    let at = scan::find(line, b"CPU: ").filter(|at| *at > 0);
    at.and_then(|at| line.get(at..)).unwrap_or(line)
}

/// `CPU: 5 PID: 13536 Comm: x Not tainted V #N`, `Pid: 2376, comm: x Not tainted V #N`,
/// `Process x (pid: 30555, …`.
fn asker(line: &[u8]) -> Option<Asker> {
    if let Some(rest) = line.strip_prefix(b"Process ") {
        let (comm, rest) = scan::cut(rest, b" (pid: ")?;
        let (pid, _) = scan::small(rest)?;
        return Some(Asker {
            pid: Some(Pid::new(pid)),
            comm: Some(scan::owned(comm)),
            kernel: None,
        });
    }
    if !line.starts_with(b"CPU: ") && !line.starts_with(b"Pid: ") {
        return None;
    }
    let pid = scan::after(line, b"PID: ").or_else(|| line.strip_prefix(b"Pid: "));
    let pid = pid.and_then(scan::small).map(|(pid, _)| Pid::new(pid));
    let comm = scan::after(line, b"Comm: ").or_else(|| scan::after(line, b", comm: "));
    let kernel = scan::after(line, b"ainted").and_then(release);
    if pid.is_none() && kernel.is_none() {
        return None; // `CPU    0: hi:    0, btch:   1` and the like.
    }
    Some(Asker { pid, comm: comm.map(|rest| scan::owned(comm_of(rest))), kernel })
}

/// The name at the front of `x Not tainted …`; it may hold blanks.
fn comm_of(rest: &[u8]) -> &[u8] {
    let ends: [&[u8]; 3] = [b" Kdump: ", b" Not tainted", b" Tainted: "];
    let end = ends.iter().filter_map(|end| memchr::memmem::rfind(rest, end)).min();
    rest.get(..end.unwrap_or(rest.len())).unwrap_or(rest)
}

/// The first word like `6.1.1-arch1-1` behind the taint letters.
fn release(rest: &[u8]) -> Option<String> {
    let is_release = |w: &&[u8]| w.first().is_some_and(u8::is_ascii_digit) && w.contains(&b'.');
    scan::words(rest).find(is_release).map(scan::owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> (Option<u32>, Option<String>, Option<String>) {
        let found = asker(line.as_bytes()).unwrap_or_default();
        (found.pid.map(Pid::get), found.comm, found.kernel)
    }

    #[test]
    fn triggers_of_all_ages() {
        let read = |line: &str| trigger(line.as_bytes(), Hold::Loose, &mut Vec::new()).unwrap();
        let new = read(
            "npm start invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=-1, oom_score_adj=-5",
        );
        assert_eq!(new.comm.as_deref(), Some("npm start"));
        assert_eq!(new.gfp_mask.as_deref(), Some("0xcc0(GFP_KERNEL)"));
        assert_eq!((new.order, new.oom_score_adj), (Some(-1), Some(-5)));
        let old = read("oom-killer: gfp_mask=0x1d2");
        assert_eq!((old.comm, old.order), (None, None));
        let short = read("x invoked oom-killer");
        assert_eq!(short.comm.as_deref(), Some("x"));
        let wrapped = read("vm-1 | console: [12] x invoked oom-killer: order=0");
        assert_eq!(wrapped.comm.as_deref(), Some("x"));
    }

    #[test]
    fn nodes_and_the_cpuset() {
        let read =
            |line: &str| trigger(line.as_bytes(), Hold::Loose, &mut Vec::new()).unwrap().nodemask;
        let line = |mask| {
            format!(
                "x invoked oom-killer: gfp_mask=0xd0(GFP_KERNEL), nodemask={mask}, order=0, oom_score_adj=0"
            )
        };
        assert_eq!(read(&line("0-1,3")).as_deref(), Some("0-1,3"));
        assert_eq!((read(&line("(null)")), read(&line("0"))), (None, None));
        let said =
            super::read(b"npm start cpuset=/a b mems_allowed=0-1,3", Hold::Loose, &mut Vec::new());
        let want = Said::Cpuset {
            comm: "npm start".into(),
            cpuset: "/a b".into(),
            mems_allowed: "0-1,3".into(),
        };
        assert_eq!(said, Some(want));
    }

    #[test]
    fn other_dumps_are_told_apart() {
        for line in [
            &b"x: page allocation failure: order:1, mode:0x20"[..],
            b"x: page allocation failure. order:1, mode:0x20",
            b"x: page allocation stalls for 10004ms, order:0",
            b"sysrq: Show Memory",
        ] {
            assert_eq!(super::read(line, Hold::Loose, &mut Vec::new()), Some(Said::OtherDump));
        }
    }

    #[test]
    fn lost_commas_are_read_over_and_told() {
        let mut odd = Vec::new();
        let line = b"x invoked oom-killer: gfp_mask=0x800d0order=0oom_score_adj=0";
        let read = trigger(line, Hold::Loose, &mut odd).unwrap();
        assert_eq!(read.gfp_mask.as_deref(), Some("0x800d0"));
        assert_eq!((read.order, read.oom_score_adj, odd.len()), (Some(0), Some(0), 1));
    }

    #[test]
    fn askers_of_all_ages() {
        let new =
            "CPU: 10 UID: 1000 PID: 20957 Comm: systemd Not tainted 6.17.3-arch2-1 #1 PREEMPT";
        assert_eq!(
            asked(new),
            (Some(20957), Some("systemd".into()), Some("6.17.3-arch2-1".into()))
        );
        let el7 =
            "CPU: 14 PID: 21966 Comm: a b Kdump: loaded Not tainted 3.10.0-1160.el7.x86_64 #1";
        assert_eq!(
            asked(el7),
            (Some(21966), Some("a b".into()), Some("3.10.0-1160.el7.x86_64".into()))
        );
        let old = "Pid: 2376, comm: mal-80 Tainted: P V 3.7.0+ #4";
        assert_eq!(asked(old), (Some(2376), Some("mal-80".into()), Some("3.7.0+".into())));
        let s390 = "Process basename (pid: 30555, task: 000000007baa6838)";
        assert_eq!(asked(s390), (Some(30555), Some("basename".into()), None));
        assert_eq!(asker(b"CPU    0: hi:    0, btch:   1 usd:   0"), None);
        assert_eq!(asker(b"CPU: "), None);
    }
}
