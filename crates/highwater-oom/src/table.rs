//! The task table. Its header decides what the columns are; kernels and vendors differ.
//!
//! ```text
//! [ pid ]   uid  tgid total_vm      rss nr_ptes swapents oom_score_adj name
//! [  390]     0   390    39012     6739      78       51             0 systemd-journal
//! ```

use highwater_core::id::Pid;
use highwater_core::units::{Bytes, Pages};

use crate::report::{LineNumber, Task};
use crate::scan;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Uid,
    Tgid,
    TotalVm,
    Rss,
    PageTables,
    PageTableCount,
    Swap,
    Adjustment,
    /// A number that the report has no place for, or a heading that is not known.
    Other,
}

/// The most columns a header may have; 6.8 has nine between pid and name.
const COLUMNS: usize = 24;

/// The columns between `[ pid ]` and `name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Columns(Vec<Column>);

/// Reads a header; `None` of any other line.
pub(crate) fn header(line: &[u8]) -> Option<Columns> {
    let rest = line.strip_prefix(b"[")?;
    let (pid, rest) = scan::cut(rest, b"]")?;
    let rest = rest.trim_ascii().strip_suffix(b"name")?;
    if pid.trim_ascii() != b"pid" || !scan::has(rest, b"total_vm") {
        return None;
    }
    Some(Columns(scan::words(rest).take(COLUMNS).map(column).collect()))
}

fn column(heading: &[u8]) -> Column {
    match heading {
        b"uid" => Column::Uid,
        b"tgid" => Column::Tgid,
        b"total_vm" => Column::TotalVm,
        b"rss" => Column::Rss,
        b"pgtables_bytes" => Column::PageTables,
        b"nr_ptes" | b"nr_pmds" | b"nr_puds" => Column::PageTableCount,
        b"swapents" | b"swap" => Column::Swap,
        b"oom_score_adj" => Column::Adjustment,
        _ => Column::Other,
    }
}

/// Does it look like a row?
pub(crate) fn is_row(line: &[u8]) -> bool {
    let inside = line.strip_prefix(b"[").and_then(|rest| scan::cut(rest, b"]"));
    inside.is_some_and(|(pid, _)| scan::whole(pid.trim_ascii()).is_some())
}

/// Reads a row; `None` if a column is missing or not a number.
pub(crate) fn row(columns: &Columns, line: &[u8], number: LineNumber) -> Option<Task> {
    let (pid, mut rest) = scan::cut(line.strip_prefix(b"[")?, b"]")?;
    let (pid, _) = scan::small(pid.trim_ascii())?;
    let mut task = Task { line: number, pid: Pid::new(pid), ..Task::default() };
    for column in &columns.0 {
        let (value, after) = scan::signed(rest.trim_ascii_start())?;
        if !after.is_empty() && !after.starts_with(b" ") {
            return None;
        }
        fill(&mut task, *column, value);
        rest = after;
    }
    task.comm = scan::owned(rest.trim_ascii());
    Some(task)
}

fn fill(task: &mut Task, column: Column, value: i64) {
    let count = u64::try_from(value).ok();
    let pages = count.map(Pages::new);
    match column {
        Column::Uid => task.uid = u32::try_from(value).ok(),
        Column::Tgid => task.pid = u32::try_from(value).map_or(task.pid, Pid::new),
        Column::TotalVm => task.total_vm = pages,
        Column::Rss => task.rss = pages,
        Column::PageTables => task.pgtables = count.map(Bytes::new),
        Column::PageTableCount => {
            let sum = task.nr_ptes.map_or(0, Pages::get).saturating_add(count.unwrap_or(0));
            task.nr_ptes = Some(Pages::new(sum));
        }
        Column::Swap => task.swapents = pages,
        Column::Adjustment => task.oom_score_adj = i32::try_from(value).ok(),
        Column::Other => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(head: &str, line: &str) -> Task {
        row(&header(head.as_bytes()).unwrap(), line.as_bytes(), 1).unwrap()
    }

    #[test]
    fn the_header_decides() {
        let v3 = read(
            "[ pid ]   uid  tgid total_vm      rss nr_ptes nr_pmds swapents oom_score_adj name",
            "[14892]     0 14892   788050   252632     631       6    65535          -999 npm start",
        );
        assert_eq!(
            (v3.pid.get(), v3.nr_ptes, v3.comm.as_str()),
            (14892, Some(Pages::new(637)), "npm start")
        );
        assert_eq!((v3.swapents, v3.oom_score_adj), (Some(Pages::new(65535)), Some(-999)));
        let v6 = read(
            "[  pid  ]   uid  tgid total_vm      rss rss_anon rss_file rss_shmem pgtables_bytes swapents oom_score_adj name",
            "[   1762]   998  1761     4074      467       96      371         0    77824      144          -900 a]b",
        );
        assert_eq!(
            (v6.pid.get(), v6.rss, v6.pgtables),
            (1761, Some(Pages::new(467)), Some(Bytes::new(77824)))
        );
        let old = read(
            "[ pid ]   uid  tgid total_vm      rss cpu oom_adj oom_score_adj name",
            "[ 1046]  1066  1046   228537    95491   3       0             0 apache2",
        );
        assert_eq!((old.rss, old.nr_ptes, old.swapents), (Some(Pages::new(95491)), None, None));
        let damaged = read(
            "[ pid ]  uid tigergraph total_vm   rss nr_ptes swapents oom_score_adj name",
            "[20183] 1004 20183 20200397  377046  5701    0       0 tg_dbs_restd",
        );
        assert_eq!((damaged.pid.get(), damaged.uid), (20183, Some(1004)));
    }

    #[test]
    fn cut_rows_and_other_brackets_are_no_rows() {
        let columns =
            header(b"[ pid ] uid tgid total_vm rss nr_ptes swapents oom_score_adj name").unwrap();
        for line in
            [&b"[  390]     0   390"[..], b"[  390]", b"[<ffff>] x", b"[", b"[ 1] 1 1 1x 1 1 1 1 a"]
        {
            assert_eq!(row(&columns, line, 1), None);
        }
        assert_eq!(header(b"[ pid ] nothing"), None);
    }
}
