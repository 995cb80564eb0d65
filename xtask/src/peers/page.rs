//! The tables, and the page that holds the first of them.

use std::fmt::Write as _;

use super::case::Case;
use super::judge::Score;
use super::{Outcome, Row};

/// One row for each reader.
pub(super) fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| reader | logs told right | deaths found | false deaths | facts right | facts wrong \
         | gave up | crashed |\n|---|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for Row { name, tally, .. } in rows {
        let sum = &tally.sum;
        // Writing to a string cannot fail.
        let _written = writeln!(
            text,
            "| {name} | {} of {} | {} of {} | {} | {} of {} | {} | {} | {} |",
            tally.told,
            tally.logs,
            sum.found,
            sum.deaths,
            sum.invented,
            sum.right,
            sum.facts,
            sum.wrong,
            tally.refused,
            tally.crashed,
        );
    }
    text
}

/// One row for each log: deaths found of stated, + the false ones, facts right of stated.
pub(super) fn each(cases: &[Case], rows: &[Row]) -> String {
    let mut text = String::from("| log |");
    for row in rows {
        let _written = write!(text, " {} |", row.name);
    }
    let _written = writeln!(text, "\n|---|{}", "---|".repeat(rows.len()));
    for (at, case) in cases.iter().enumerate() {
        let _written = write!(text, "| {} |", case.name);
        for outcome in rows.iter().filter_map(|row| row.each.get(at)) {
            let _written = write!(text, " {} |", cell(outcome));
        }
        text.push('\n');
    }
    text
}

fn cell(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Read(score) => figures(*score),
        Outcome::Refused(score, cause) => {
            let cause = cause.lines().next().unwrap_or_default();
            format!("{} gave up: {cause}", figures(*score))
        }
        Outcome::Crashed(score) => format!("{} crashed", figures(*score)),
    }
}

fn figures(score: Score) -> String {
    let Score { deaths, found, invented, facts, right, wrong } = score;
    let invented = if invented > 0 { format!(" +{invented} false") } else { String::new() };
    let wrong = if wrong > 0 { format!(", {wrong} wrong") } else { String::new() };
    format!("{found}/{deaths}{invented}, {right}/{facts} facts{wrong}")
}

/// The whole page.
pub(super) fn page(table: &str, cases: &[Case]) -> String {
    let stated = |case: &&Case| case.readings.first().is_some_and(|deaths| !deaths.is_empty());
    let with = cases.iter().filter(stated).count();
    let logs = cases.len();
    format!(
        "# Other readers of the same logs\n\n\
         Made by `cargo xtask oom-peers FOLDER… --write`; do not edit. {logs} logs that the kernel's\n\
         OOM killer wrote, {with} of them with a kill.\n\n{table}\n{NOTES}"
    )
}

/// What the figures mean, and how the readers were treated.
const NOTES: &str = "\
**The logs**: those of `fixtures/oom`, from kills made for this project, and a collection of logs that
people published (kernels 2.6.9 to 6.18: consoles, journals, syslogs, mails), which belong to their
authors and are not in this repository. Some are damaged or were shortened by their authors, as logs
in bug reports are; some hold no kill at all. Each has a file beside it with the facts that it states.
Highwater was built against these very logs, the others were not: its row says that nothing in them is
lost, not how it does on a log that nobody here has seen.
Logs of `earlyoom`, `systemd-oomd` and other killers outside the kernel are left out: only highwater
sets out to read them.

**The columns**: *logs told right*, read, with each death found and no other; *deaths found*, by pid;
*false deaths*, such as the log does not state (a victim reported twice is one); *facts right*, of all
that the logs state of their deaths (name, uid, sizes, score, adjustment, trigger, constraint, cgroups,
limits): what a reader does not give counts as not right, and what it gives otherwise is *wrong*; *gave
up*, an error instead of an answer; *crashed*, a panic. Where a log can be read in more than one way,
each reader is judged by the reading that suits it best, so that the totals differ a little.

**The readers**

- **highwater**: `highwater-log` and `highwater-oom` of this repository, on the bytes as they are.
- **linux-oom-parser** 0.4.0, the crate itself (`parse_events`, `analyze_event`). It is strict by
  design: one malformed line within a report is an error for the whole input. It gets each log as it is
  and again out of its envelope, and the better answer counts.
- **cadvisor** (the kubelet's watcher too): the four expressions of its `oomparser` and the order in
  which it applies them, restated here; the Go program was not run. It reads `/dev/kmsg`, so it gets the
  messages out of their envelopes, and none that a program wrote. It gives pid, name and cgroups; its
  default container `/` counts as nothing said.
- **node-problem-detector**: the `OOMKilling` pattern of its kernel monitor, restated; the Go program
  was not run. It gets the same messages. It reports the text of the line, of which pid and name are
  counted.

Both Go programs set out to raise an event, not to explain a report, and mostly meet current kernels: on
a log of today with trigger, summary and kill line they find the death. The figures say what is left of
a log that is older, cut, or pasted.
";
