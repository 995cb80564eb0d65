//! `oom-kill:constraint=C,nodemask=M,cpuset=X,mems_allowed=Y,…,task=T,pid=N,uid=U` (≥ 5.0).

use highwater_core::id::Pid;

use crate::report::Constraint;
use crate::said::{Said, Summarised};
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

pub(crate) fn read(line: &[u8], odd: &mut Vec<String>) -> Option<Said> {
    let body = scan::after(line, b"oom-kill")?;
    // The first 5.0 candidates had a comma here.
    let body = body.strip_prefix(b":").or_else(|| body.strip_prefix(b","))?;
    if !scan::has(body, b"constraint=") {
        return None;
    }
    let mut said = Summarised::default();
    for (key, value) in fields(body) {
        field(&mut said, key, value, odd);
    }
    Some(Said::Summary(Box::new(said)))
}

/// One field into its place. A name may contain what looks like a field: what stands last wins.
fn field(said: &mut Summarised, key: &[u8], value: &[u8], odd: &mut Vec<String>) {
    let summary = &mut said.summary;
    let some = || Some(scan::owned(value)).filter(|text| !text.is_empty());
    match key {
        b"constraint" => said.constraint = constraint(value, odd),
        b"nodemask" => summary.nodemask = some().filter(|text| text != "(null)"),
        b"cpuset" => summary.cpuset = some(),
        b"mems_allowed" => summary.mems_allowed = some(),
        b"global_oom" => summary.global = true,
        b"oom_memcg" => said.limit_owner = some(),
        b"task_memcg" => said.task_memcg = some(),
        b"task" => summary.task = some(),
        b"pid" => summary.pid = whole(key, value, odd).map(Pid::new),
        b"uid" => summary.uid = whole(key, value, odd),
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
        let Some(Said::Summary(said)) = read(line.as_bytes(), &mut odd) else { panic!("{line}") };
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
        let (said, _) = said("oom-kill:constraint=CONSTRAINT_MEMCG ... task=java,pid=1849");
        assert_eq!(said.constraint, Some(Constraint::Memcg));
        assert_eq!(said.summary.task.as_deref(), Some("java"));
        assert_eq!(said.summary.pid, Some(Pid::new(1849)));
    }
}
