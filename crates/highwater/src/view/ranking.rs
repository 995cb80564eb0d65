//! Who could have died: the kernel's table, the first to die first, and what each one's score is
//! made of.

use highwater_core::units::Bytes;
use highwater_diagnose::death::{Diagnosis, RankedTask};

use super::paint::{DIM, Page, RED, put};
use super::wrap;

/// The likeliest victims; with the victim and the exempt ones it still fits on a screen.
const LIKELIEST: usize = 10;
/// Larger ones that could not be chosen.
const EXEMPT: usize = 3;
/// Victims below the likeliest: a group of hundreds would fill the page.
const KILLED: usize = 10;

/// The section, or nothing without a table.
pub(super) fn table(page: Page, diagnosis: &Diagnosis) -> String {
    let tasks = &diagnosis.ranking.tasks;
    if tasks.is_empty() {
        return String::new();
    }
    let about = format!("{} in the kernel's table, the first to die first; ▸ died", tasks.len());
    let mut out = page.head("Who could have died", &about);
    put(&mut out, &format!("{}\n", Page::paint(DIM, &row("  ", &HEADINGS.map(str::to_owned)))));
    let shown = shown(tasks);
    for task in &shown {
        let text = row(if task.killed { "▸ " } else { "  " }, &cells(task));
        let text = if task.killed { Page::paint(RED, &text) } else { text };
        put(&mut out, &format!("{text}\n"));
    }
    let rest = tasks.len().saturating_sub(shown.len());
    if rest > 0 {
        let text = format!("  … and {rest} more (--json has all)");
        put(&mut out, &format!("{}\n", Page::paint(DIM, &text)));
    }
    out
}

/// The likeliest, those that died, and those that would have died had they not been exempt.
fn shown(tasks: &[RankedTask]) -> Vec<&RankedTask> {
    let bar = tasks.iter().filter(|task| task.killed).map(RankedTask::held).max();
    let larger = |task: &RankedTask| task.exempt && bar.is_some_and(|bar| task.held() > bar);
    let (mut exempt, mut killed) = (0, 0);
    let mut shown = Vec::new();
    for (at, task) in tasks.iter().enumerate() {
        let also = if at < LIKELIEST {
            true
        } else if task.killed {
            killed += 1;
            killed <= KILLED
        } else if larger(task) {
            exempt += 1;
            exempt <= EXEMPT
        } else {
            false
        };
        if also {
            shown.push(task);
        }
    }
    shown
}

const HEADINGS: [&str; 8] = ["rank", "pid", "name", "memory", "tables", "swap", "adj", "score ‰"];

fn cells(task: &RankedTask) -> [String; 8] {
    [
        text(task.rank),
        task.pid.to_string(),
        task.comm.clone(),
        text(task.rss),
        text(task.page_tables),
        task.swap
            .filter(|swap| *swap > Bytes::ZERO)
            .map(|swap| swap.to_string())
            .unwrap_or_default(),
        adjustment(task),
        text(task.badness),
    ]
}

/// What the adjustment counts as; as it was printed, where its weight is not known.
fn adjustment(task: &RankedTask) -> String {
    if task.exempt {
        return "exempt".to_owned();
    }
    match (task.adjustment_bytes, task.oom_score_adj) {
        (Some(0), _) | (None, Some(0)) => String::new(),
        (Some(bytes), _) => {
            let sign = if bytes < 0 { '−' } else { '+' };
            format!("{sign}{}", Bytes::new(bytes.unsigned_abs()))
        }
        (None, Some(adj)) if adj < 0 => format!("(−{})", adj.unsigned_abs()),
        (None, Some(adj)) => format!("(+{adj})"),
        (None, None) => "–".to_owned(),
    }
}

fn text(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| value.to_string())
}

/// 80 columns at most: 2 + 4 + 1 + 8 + 1 + 16 + 4 × (1 + 9) + 1 + 7.
fn row(mark: &str, cells: &[String; 8]) -> String {
    let [rank, pid, name, memory, tables, swap, adj, score] = cells;
    format!(
        "{mark}{} {} {} {} {} {} {} {}",
        wrap::right(rank, 4),
        wrap::right(pid, 8),
        wrap::left(name, 16),
        wrap::right(memory, 9),
        wrap::right(tables, 9),
        wrap::right(swap, 9),
        wrap::right(adj, 9),
        wrap::right(score, 7),
    )
}

#[cfg(test)]
mod tests {
    use highwater_core::id::Pid;

    use super::*;

    fn task(pid: u32, comm: &str) -> RankedTask {
        RankedTask {
            pid: Pid::new(pid),
            comm: comm.to_owned(),
            rss: Some(Bytes::from_mib(1023)),
            page_tables: Some(Bytes::from_kib(1023)),
            swap: Some(Bytes::from_mib(1023)),
            oom_score_adj: Some(-999),
            adjustment_bytes: Some(-1_072_693_248),
            exempt: false,
            badness: Some(-1234),
            rank: Some(1),
            killed: false,
            line: u64::from(pid),
        }
    }

    #[test]
    fn a_row_fits_eighty_columns_whatever_the_name() {
        for comm in ["内存不足内存不足内存不足", "a-very-long-name-of-a-process", ""] {
            let line = row("▸ ", &cells(&task(4_194_304, comm)));
            assert_eq!(wrap::width(&line), 80, "{line}");
        }
        assert_eq!(wrap::width(&row("  ", &HEADINGS.map(str::to_owned))), 80);
    }

    #[test]
    fn the_likeliest_the_dead_and_larger_exempt_ones_are_shown() {
        let mut tasks: Vec<_> = (1..40).map(|pid| task(pid, "a")).collect();
        for (at, task) in tasks.iter_mut().enumerate() {
            task.killed = at == 20;
            task.exempt = at >= 30;
            task.swap = if at == 35 { Some(Bytes::from_mib(4096)) } else { task.swap };
        }
        let pids: Vec<u32> = shown(&tasks).iter().map(|task| task.pid.get()).collect();
        assert_eq!(pids, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 21, 36]);
    }

    #[test]
    fn an_adjustment_is_shown_by_its_weight() {
        let mut one = task(1, "a");
        assert_eq!(adjustment(&one), "−1023 MiB");
        one.adjustment_bytes = None;
        assert_eq!(adjustment(&one), "(−999)");
        one.oom_score_adj = Some(0);
        assert_eq!(adjustment(&one), "");
        one.exempt = true;
        assert_eq!(adjustment(&one), "exempt");
        one.exempt = false;
        one.oom_score_adj = None;
        assert_eq!(adjustment(&one), "–");
    }
}
