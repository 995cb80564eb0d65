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
    RssAnon,
    RssFile,
    RssShmem,
    PageTables,
    PageTableCount,
    Swap,
    OldAdjustment,
    Adjustment,
    /// A number that the report has no place for, or a heading that is not known.
    Other,
}

/// The most columns a header may have; 6.8 has ten between pid and name.
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
        b"rss_anon" => Column::RssAnon,
        b"rss_file" => Column::RssFile,
        b"rss_shmem" => Column::RssShmem,
        b"pgtables_bytes" => Column::PageTables,
        b"nr_ptes" | b"nr_pmds" | b"nr_puds" => Column::PageTableCount,
        b"swapents" | b"swap" => Column::Swap,
        b"oom_adj" => Column::OldAdjustment,
        b"oom_score_adj" => Column::Adjustment,
        _ => Column::Other,
    }
}

/// Does it look like a row?
pub(crate) fn is_row(line: &[u8]) -> bool {
    let inside = line.strip_prefix(b"[").and_then(|rest| scan::cut(rest, b"]"));
    inside.is_some_and(|(pid, _)| scan::whole(pid.trim_ascii()).is_some())
}

/// Does it look like a row of a table whose header is lost? There, pid and tgid are the same
/// number: the table has a row for each process.
pub(crate) fn is_headless_row(line: &[u8]) -> bool {
    /// The fewest columns a table had: uid, tgid, `total_vm`, rss, cpu, `oom_adj`.
    const FEWEST: usize = 6;
    let Some((pid, rest)) = line.strip_prefix(b"[").and_then(|rest| scan::cut(rest, b"]")) else {
        return false;
    };
    let pid = scan::whole(pid.trim_ascii());
    pid.is_some() && pid == tgid(rest) && width(rest) >= FEWEST && ends_in_name(rest)
}

fn tgid(rest: &[u8]) -> Option<u64> {
    scan::whole(scan::words(rest).nth(1)?)
}

/// So many numbers stand one after the other.
fn width(rest: &[u8]) -> usize {
    let is_number = |word: &&[u8]| scan::signed(word).is_some_and(|(_, rest)| rest.is_empty());
    scan::words(rest).take_while(is_number).count()
}

fn ends_in_name(rest: &[u8]) -> bool {
    scan::words(rest).nth(width(rest)).is_some()
}

/// The columns of a table whose header is lost, as far as the shape of its rows leaves one reading
/// only; `rows` are the lines as they stand. A name may begin with a number, so the narrowest row
/// tells how many columns there are.
pub(crate) fn columns_of<'a>(rows: impl Iterator<Item = &'a [u8]> + Clone) -> Option<Columns> {
    use Column::{Adjustment, Other, PageTableCount, PageTables, Swap};
    let inside = rows.filter_map(|row| scan::cut(row, b"]")).map(|(_, rest)| rest);
    let behind_rss: &[Column] = match inside.clone().map(width).min()? {
        6 => &[Other, Column::OldAdjustment],
        // Page tables in bytes come in whole pages; a count of tables is small, and so is a cpu.
        7 if all_in_pages(inside, 4) => &[PageTables, Swap, Adjustment],
        // Page tables and swap, or a cpu and the old adjustment.
        7 => &[Other, Other, Adjustment],
        // Two levels of page tables and swap, or swap, a cpu and the old adjustment.
        8 => &[Other, Other, Other, Adjustment],
        9 => &[PageTableCount, PageTableCount, PageTableCount, Swap, Adjustment],
        10 => &[Column::RssAnon, Column::RssFile, Column::RssShmem, PageTables, Swap, Adjustment],
        _ => return None,
    };
    let front = [Column::Uid, Column::Tgid, Column::TotalVm, Column::Rss];
    Some(Columns(front.iter().chain(behind_rss).copied().collect()))
}

/// Is each number in column `at` a multiple of the smallest page, and not 0?
fn all_in_pages<'a>(mut rows: impl Iterator<Item = &'a [u8]>, at: usize) -> bool {
    rows.all(|row| {
        let number = scan::words(row).nth(at).and_then(scan::whole);
        number.is_some_and(|bytes| bytes > 0 && bytes % 4096 == 0)
    })
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
        Column::RssAnon => task.rss_anon = pages,
        Column::RssFile => task.rss_file = pages,
        Column::RssShmem => task.rss_shmem = pages,
        Column::PageTables => task.pgtables = count.map(Bytes::new),
        Column::PageTableCount => {
            let sum = task.nr_ptes.map_or(0, Pages::get).saturating_add(count.unwrap_or(0));
            task.nr_ptes = Some(Pages::new(sum));
        }
        Column::Swap => task.swapents = pages,
        Column::OldAdjustment => task.oom_adj = i32::try_from(value).ok(),
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
            "[   1762]   998  1761     4074      467       96      371         5    77824      144          -900 a]b",
        );
        assert_eq!(
            (v6.pid.get(), v6.rss, v6.pgtables),
            (1761, Some(Pages::new(467)), Some(Bytes::new(77824)))
        );
        let parts = [v6.rss_anon, v6.rss_file, v6.rss_shmem].map(|part| part.map(Pages::get));
        assert_eq!(parts, [Some(96), Some(371), Some(5)]);
        let old = read(
            "[ pid ]   uid  tgid total_vm      rss cpu oom_adj oom_score_adj name",
            "[ 1046]  1066  1046   228537    95491   3     -17         -1000 apache2",
        );
        assert_eq!((old.rss, old.nr_ptes, old.swapents), (Some(Pages::new(95491)), None, None));
        assert_eq!((old.oom_adj, old.oom_score_adj), (Some(-17), Some(-1000)));
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

    #[test]
    fn rows_without_a_header_are_read_where_one_reading_is_left() {
        let of = |rows: &[&'static str]| columns_of(rows.iter().map(|row| row.as_bytes()));
        let modern = ["[ 7] 0 7 100 50 45056 0 -900 7z x", "[ 8] 0 8 100 50 45056 0 0 bash"];
        let columns = of(&modern).unwrap();
        let task = row(&columns, modern[0].as_bytes(), 1).unwrap();
        assert_eq!((task.pgtables, task.oom_score_adj), (Some(Bytes::new(45056)), Some(-900)));
        let unsure = ["[ 7] 0 7 100 50 11 0 -900 bash"];
        let task = row(&of(&unsure).unwrap(), unsure[0].as_bytes(), 1).unwrap();
        assert_eq!((task.nr_ptes, task.swapents), (None, None), "page tables, or a cpu");
        assert_eq!((task.rss, task.oom_score_adj), (Some(Pages::new(50)), Some(-900)));
        let split = of(&["[ 7] 0 7 100 50 40 10 0 45056 0 -900 bash"]).unwrap();
        assert_eq!(split.0.len(), 10);
        assert!(is_headless_row(b"[    7]     0     7   100 50 45056 0 -900 bash"));
        assert!(!is_headless_row(b"[    7]     0     8   100 50 45056 0 -900 bash"));
        assert!(!is_headless_row(b"[    7]     0     7   100 50"));
    }
}
