//! `oom-kill:constraint=C,nodemask=M,cpuset=X,mems_allowed=Y,…,task=T,pid=N,uid=U` (≥ 5.0).

use highwater_core::id::Pid;

use crate::report::Constraint;
use crate::said::{self, Hold, Said, Summarised};
use crate::scan;

/// The fields a kernel prints.
const KNOWN: [&[u8]; 10] = [
    b"constraint",
    b"nodemask",
    b"cpuset",
    b"mems_allowed",
    b"global_oom",
    b"oom_memcg",
    b"task_memcg",
    b"task",
    b"pid",
    b"uid",
];

pub(crate) fn read(line: &[u8], hold: Hold, odd: &mut Vec<String>) -> Option<Said> {
    let body = match hold {
        Hold::Whole => line.strip_prefix(b"oom-kill")?,
        Hold::Loose => {
            let (prefix, body) = scan::cut(line, b"oom-kill")?;
            (scan::is_envelope(prefix) && !said::begins_path(prefix)).then_some(body)?
        }
    };
    // The first 5.0 candidates had a comma here.
    let body = body.strip_prefix(b":").or_else(|| body.strip_prefix(b","))?;
    if !scan::has(body, b"constraint=") {
        return None;
    }
    let mut said = Summarised::default();
    let body = match victim(body) {
        Some((front, task, pid, uid)) => {
            said.summary.task = Some(scan::owned(task));
            (said.summary.pid, said.summary.uid) = (Some(Pid::new(pid)), Some(uid));
            front
        }
        None => body,
    };
    let named = said.summary.pid.is_some();
    let mut last = None;
    for (key, value) in fields(body) {
        if !(named && matches!(key, b"task" | b"pid" | b"uid")) {
            field(&mut said, key, value, odd);
        }
        last = Some(key);
    }
    if !named && last == Some(b"pid") && body.last().is_some_and(u8::is_ascii_digit) {
        odd.push("the summary line ends in its pid: digits may be missing".to_owned());
        said.summary.pid = None;
    }
    Some(Said::Summary(Box::new(said)))
}

/// The whole end of a line, `,task=T,pid=N,uid=U`, and what precedes it. T is anybody's text of at
/// most 15 bytes: it begins where the first `,task=` within reach stands.
fn victim(body: &[u8]) -> Option<(&[u8], &[u8], u32, u32)> {
    const NAME_BYTES: usize = 15;
    const MARK: &[u8] = b",task=";
    let (rest, uid) = scan::cut_last(body, b",uid=")?;
    let (rest, pid) = scan::cut_last(rest, b",pid=")?;
    let whole = |text: &[u8]| scan::whole(text.trim_ascii()).and_then(|n| u32::try_from(n).ok());
    let (pid, uid) = (whole(pid)?, whole(uid)?);
    let from = rest.len().saturating_sub(NAME_BYTES + MARK.len());
    let at = rest.get(from..).and_then(|end| scan::find(end, MARK)).map(|at| from + at);
    let at = at.or_else(|| memchr::memmem::rfind(rest, MARK))?;
    Some((rest.get(..at)?, rest.get(at + MARK.len()..)?, pid, uid))
}

/// One field into its place. A path may contain what looks like a field: what stands before the
/// paths counts where it stands first, the rest where it stands last.
fn field(said: &mut Summarised, key: &[u8], value: &[u8], odd: &mut Vec<String>) {
    let summary = &mut said.summary;
    let some = || Some(scan::owned(value)).filter(|text| !text.is_empty());
    match key {
        b"constraint" if said.constraint.is_none() => said.constraint = constraint(value, odd),
        b"nodemask" if summary.nodemask.is_none() => {
            summary.nodemask = some().filter(|text| text != "(null)");
        }
        b"cpuset" if summary.cpuset.is_none() => summary.cpuset = some(),
        b"mems_allowed" if summary.mems_allowed.is_none() => summary.mems_allowed = some(),
        b"constraint" | b"nodemask" | b"cpuset" | b"mems_allowed" => {}
        b"global_oom" => summary.global |= said.limit_owner.is_none(),
        // The second of each pair is the first form, of the 4.19 development branch.
        b"oom_memcg" | b"origin_memcg" => said.limit_owner = some(),
        b"task_memcg" | b"kill_memcg" => said.task_memcg = some(),
        b"task" => summary.task = some(),
        b"pid" => summary.pid = whole(key, value, odd).map(Pid::new).or(summary.pid),
        b"uid" => summary.uid = whole(key, value, odd).or(summary.uid),
        _ => odd.push(format!(
            "the summary line has a field that no kernel prints: {}={}",
            scan::owned(key),
            scan::owned(value)
        )),
    }
}

fn whole(key: &[u8], value: &[u8], odd: &mut Vec<String>) -> Option<u32> {
    let number = scan::whole(value).and_then(|value| u32::try_from(value).ok());
    if number.is_none() {
        let (key, value) = (scan::owned(key), scan::owned(value));
        odd.push(format!("the summary line's {key} is not a number: {value}"));
    }
    number
}

fn constraint(value: &[u8], odd: &mut Vec<String>) -> Option<Constraint> {
    Some(match value {
        b"CONSTRAINT_NONE" => Constraint::None,
        b"CONSTRAINT_MEMCG" => Constraint::Memcg,
        b"CONSTRAINT_CPUSET" => Constraint::Cpuset,
        b"CONSTRAINT_MEMORY_POLICY" => Constraint::Mempolicy,
        _ => {
            odd.push(format!("the summary line's constraint is unknown: {}", scan::owned(value)));
            return None;
        }
    })
}

/// The fields: a comma begins a new one where `name=` or `global_oom` follows (lists of nodes have
/// commas too), and so does a blank where a shortened line has one.
fn fields(body: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = Some(body);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = ends(text).find(|at| text.get(at + 1..).and_then(key).is_some());
        rest = end.and_then(|at| text.get(at + 1..));
        Some(text.get(..end.unwrap_or(text.len())).unwrap_or(text))
    })
    .map(|text| match scan::cut(text, b"=") {
        Some((key, value)) => (key.trim_ascii(), value.trim_ascii_end().trim_suffix_dots()),
        None => (text.trim_ascii(), &b""[..]),
    })
    .filter(|(key, _)| !key.trim_suffix_dots().is_empty())
}

/// Where a field may end.
fn ends(text: &[u8]) -> impl Iterator<Item = usize> {
    let blank_ends = |at: &usize| {
        let next = text.get(at + 1..).and_then(key);
        text.get(*at) == Some(&b',') || next.is_some_and(|key| KNOWN.contains(&key))
    };
    memchr::memchr2_iter(b',', b' ', text).filter(blank_ends)
}

/// The name at the front of a field.
fn key(text: &[u8]) -> Option<&[u8]> {
    let len = text.iter().take_while(|b| b.is_ascii_lowercase() || **b == b'_').count();
    let (name, rest) = text.split_at_checked(len)?;
    let bare = name == b"global_oom" && rest.first().is_none_or(|b| *b == b',');
    ((rest.first() == Some(&b'=') && !name.is_empty()) || bare).then_some(name)
}

trait Dots {
    fn trim_suffix_dots(&self) -> &Self;
}

impl Dots for [u8] {
    /// Without the `...` of somebody who shortened the line.
    fn trim_suffix_dots(&self) -> &Self {
        let text = self.strip_suffix("…".as_bytes()).unwrap_or(self);
        let dots = text.iter().rev().take_while(|b| **b == b'.').count();
        if dots < 2 {
            return text;
        }
        text.get(..text.len() - dots).unwrap_or(text).trim_ascii_end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> (Summarised, Vec<String>) {
        let mut odd = Vec::new();
        let Some(Said::Summary(said)) = read(line.as_bytes(), Hold::Loose, &mut odd) else {
            panic!("{line}")
        };
        (*said, odd)
    }

    #[test]
    fn a_whole_line_is_read() {
        let (said, odd) = said(
            "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=0,2,cpuset=a,mems_allowed=0-1,3,\
             oom_memcg=/a,b,task_memcg=/a,b/c,task=npm start,pid=7,uid=1000",
        );
        assert_eq!(said.constraint, Some(Constraint::Memcg));
        assert_eq!(said.limit_owner.as_deref(), Some("/a,b"));
        assert_eq!(said.task_memcg.as_deref(), Some("/a,b/c"));
        let summary = said.summary;
        assert_eq!((summary.pid, summary.uid), (Some(Pid::new(7)), Some(1000)));
        assert_eq!(summary.task.as_deref(), Some("npm start"));
        assert_eq!(summary.nodemask.as_deref(), Some("0,2"));
        assert_eq!(summary.mems_allowed.as_deref(), Some("0-1,3"));
        assert!(!summary.global && odd.is_empty());
    }

    #[test]
    fn a_name_that_looks_like_fields_does_not_choose_the_pid() {
        let (said, _) =
            said("oom-kill:constraint=CONSTRAINT_NONE,global_oom,task=a,pid=1,uid=0,pid=77,uid=5");
        assert_eq!(said.summary.pid, Some(Pid::new(77)));
        assert!(said.summary.global);
    }

    #[test]
    fn names_and_paths_that_look_like_fields_change_nothing_else() {
        let (said, odd) = said(
            "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,\
             oom_memcg=/a,constraint=CONSTRAINT_NONE,task_memcg=/a,task=q,pid=1,task=b,task=c,pid=77,uid=5",
        );
        assert_eq!(said.constraint, Some(Constraint::Memcg));
        assert_eq!(said.summary.pid, Some(Pid::new(77)));
        assert_eq!(said.summary.task.as_deref(), Some("b,task=c"));
        assert!(odd.is_empty(), "{odd:?}");
        let line = b"Task in /a oom-kill:constraint=X,task=x,pid=1,uid=0 killed";
        assert_eq!(read(line, Hold::Whole, &mut Vec::new()), None);
    }

    #[test]
    fn damage_is_named() {
        let (said, odd) = said(
            "oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/s,task_memc=RSSanon:921600KB,task=node,uid=...",
        );
        assert_eq!(said.limit_owner.as_deref(), Some("/s"));
        assert_eq!(said.summary.task.as_deref(), Some("node"));
        assert_eq!(odd.len(), 2, "{odd:?}");
        assert!(odd[0].contains("task_memc=RSSanon:921600KB"));
    }

    #[test]
    fn shortened_lines_are_read() {
        let (said, odd) = said("oom-kill:constraint=CONSTRAINT_MEMCG ... task=java,pid=1849");
        assert_eq!(said.constraint, Some(Constraint::Memcg));
        assert_eq!(said.summary.task.as_deref(), Some("java"));
        assert_eq!((said.summary.pid, odd.len()), (None, 1), "digits may be missing");
    }
}
