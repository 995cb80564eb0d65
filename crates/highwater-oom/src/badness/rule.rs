//! Which kernel generation's rule it was: told by the lines that are there, never by the version
//! string, because vendors backport.
//!
//! ```text
//! kernels      points (pages)                            bonus of CAP_SYS_ADMIN   told by
//! ≤ 2.6.35     total_vm, halves of children, nice, time  (÷ 4)                    "or a child"
//! 2.6.36–3.5   rss + swap (+ tables ≥ 2.6.39)            30 ‰ of total            cpu oom_adj oom_score_adj
//! 3.6–4.14     rss + swap + tables                       30 ‰ of total, ≥ 3.14    nr_ptes
//!                                                        3 % of points
//! 4.15–4.16    rss + swap + tables                       3 % of points            pgtables_bytes, "[ pid ]"
//! 4.17–        rss + swap + tables                       none                     same, and since 4.19
//!                                                                                 "[  pid  ]"
//! ```
//!
//! Sources: `oom_badness` in `mm/oom_kill.c`; a63d83f427fb (2.6.36), f755a042d82b (2.6.39, tables),
//! 778c14affaf9 (3.14), d46078b28889 (4.17), bbbe48029720 (5.1, no child dies in its parent's
//! place), 9066e5cfb73c (5.9, signed points; before it nothing counted less than 1).

use crate::report::{LineNumber, OomReport, Task};

/// How the kernel counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Generation {
    /// ≤ 2.6.35: made of things no report shows.
    Exponential,
    /// 2.6.36 to 3.5: the table has neither page tables nor swap.
    ResidentOnly,
    /// 3.6 to 4.14: page tables counted, a bonus for `CAP_SYS_ADMIN`.
    Bonus,
    /// 4.15 to 4.18: the bonus went with 4.17, and the table does not show which it was.
    BonusPossible,
    /// 4.17 and later.
    Plain,
    /// No line tells.
    #[default]
    Unknown,
}

impl Generation {
    /// Its name in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exponential => "exponential",
            Self::ResidentOnly => "resident-only",
            Self::Bonus => "bonus",
            Self::BonusPossible => "bonus-possible",
            Self::Plain => "plain",
            Self::Unknown => "unknown",
        }
    }

    /// The kernels that have it, vendors' backports aside.
    pub const fn kernels(self) -> &'static str {
        match self {
            Self::Exponential => "up to 2.6.35",
            Self::ResidentOnly => "2.6.36 to 3.5",
            Self::Bonus => "3.6 to 4.14",
            Self::BonusPossible => "4.15 to 4.18",
            Self::Plain => "4.17 and later",
            Self::Unknown => "not told by any line",
        }
    }
}

/// What a process with `CAP_SYS_ADMIN` had taken off, which no table shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bonus {
    /// Nothing.
    #[default]
    None,
    /// 3 % of its own points (≥ 3.14).
    OfPoints,
    /// 30 ‰ of all there was (≤ 3.13).
    OfTotal,
    /// One of the two.
    Either,
}

/// The rule of the kernel that wrote the report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// How it counted.
    pub generation: Generation,
    /// What `CAP_SYS_ADMIN` may have taken off.
    pub bonus: Bonus,
    /// Whether a child could die in its parent's place (< 5.1).
    pub sacrifices: Option<bool>,
    /// Whether points could be negative (≥ 5.9); before, nothing counted less than 1.
    pub signed: Option<bool>,
    /// Of two with equal points, the one further down the table dies (≥ 5.3), else the one further
    /// up. (Kernels ≤ 3.13 took the lower one, too, but no line tells them from 3.14.)
    pub later_of_equals: bool,
    /// The line that tells most.
    pub line: Option<LineNumber>,
}

impl Rule {
    /// Reads the rule off the lines.
    pub fn of(report: &OomReport) -> Self {
        let signs = Signs::of(report);
        let generation = signs.generation();
        Self {
            generation,
            bonus: signs.bonus(generation),
            sacrifices: signs.sacrifices(generation),
            signed: signs.signed(),
            later_of_equals: signs.since_5_4,
            line: report.tasks.line.or_else(|| other_line(report)),
        }
    }
}

/// What the lines show.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a line that is there or not")]
struct Signs {
    pgtables_bytes: bool,
    nr_ptes: bool,
    nr_pmds: bool,
    oom_adj: bool,
    oom_score_adj: bool,
    rows: bool,
    /// The table has its header; without it some columns cannot be told apart.
    headed: bool,
    /// `[  pid  ]`, 4.19.
    wide_pid: bool,
    /// `oom-kill:`, 5.0.
    summary: bool,
    /// `Out of memory: Killed process`, 5.0 or 5.1.
    merged: bool,
    /// `Kill process … or sacrifice child`, 2.6.36 to 5.0.
    score_line: bool,
    /// `… or a child`, ≤ 2.6.35.
    old_score_line: bool,
    /// Page tables on the kill line (5.4), or anything younger.
    since_5_4: bool,
    /// Words that only kernels after 5.9 print.
    since_5_9: bool,
    /// `unstable:` went with 5.8.
    unstable: bool,
}

impl Signs {
    fn of(report: &OomReport) -> Self {
        let any = |has: fn(&Task) -> bool| report.tasks.rows.iter().any(has);
        let head = text(report, report.tasks.line);
        let score = report.selected.as_ref().and_then(|told| text(report, Some(told.line)));
        // The first lines tell as much as all of a burst.
        let kills = report.kills.iter().take(3);
        let mut kills = kills.filter_map(|kill| text(report, Some(kill.line)));
        let boost = report.machine.zones.iter().any(|zone| zone.value.get("boost").is_some());
        let since_5_9 = boost
            || report.machine.pages("sec_pagetables").is_some()
            || any(|row| row.rss_anon.is_some());
        let has = |word: &str| head.is_some_and(|head| head.contains(word));
        Self {
            pgtables_bytes: any(|row| row.pgtables.is_some()) || has("pgtables_bytes"),
            nr_ptes: any(|row| row.nr_ptes.is_some()) || has("nr_ptes"),
            nr_pmds: has("nr_pmds"),
            oom_adj: any(|row| row.oom_adj.is_some()) || has(" oom_adj"),
            oom_score_adj: any(|row| row.oom_score_adj.is_some()),
            rows: !report.tasks.rows.is_empty(),
            headed: head.is_some(),
            wide_pid: has("[  pid"),
            summary: report.summary.is_some(),
            merged: kills.any(|text| text.contains("ut of memory: Killed process")),
            score_line: score.is_some_and(|text| text.contains("sacrifice child")),
            old_score_line: score.is_some_and(|text| text.contains("or a child")),
            since_5_4: since_5_9 || report.kills.iter().any(|kill| kill.pgtables.is_some()),
            since_5_9,
            unstable: report.machine.pages("unstable").is_some(),
        }
    }

    const fn modern(self) -> bool {
        self.wide_pid || self.summary || self.merged || self.since_5_4
    }

    const fn generation(self) -> Generation {
        if self.old_score_line || (self.rows && self.oom_adj && !self.oom_score_adj) {
            Generation::Exponential
        } else if self.nr_ptes {
            Generation::Bonus
        } else if self.modern() {
            Generation::Plain
        } else if self.pgtables_bytes {
            Generation::BonusPossible
        } else if self.oom_score_adj && (self.headed || self.oom_adj) {
            Generation::ResidentOnly
        } else {
            Generation::Unknown
        }
    }

    const fn bonus(self, generation: Generation) -> Bonus {
        match generation {
            Generation::ResidentOnly => Bonus::OfTotal,
            Generation::Bonus if self.nr_pmds => Bonus::OfPoints,
            Generation::Bonus => Bonus::Either,
            Generation::BonusPossible => Bonus::OfPoints,
            Generation::Exponential | Generation::Plain | Generation::Unknown => Bonus::None,
        }
    }

    const fn sacrifices(self, generation: Generation) -> Option<bool> {
        if self.merged || self.since_5_4 {
            return Some(false);
        }
        match generation {
            Generation::Plain | Generation::Unknown if !self.score_line => None,
            _ => Some(true),
        }
    }

    const fn signed(self) -> Option<bool> {
        if self.since_5_9 {
            Some(true)
        } else if self.unstable || self.score_line || self.nr_ptes {
            Some(false)
        } else {
            None
        }
    }
}

/// The line that tells most where there is no table.
fn other_line(report: &OomReport) -> Option<LineNumber> {
    let summary = report.summary.as_ref().map(|told| told.line);
    let score = report.selected.as_ref().map(|told| told.line);
    summary.or(score).or_else(|| report.kills.first().map(|kill| kill.line))
}

/// The text of a line of the report. Lines stand in the order of the input.
fn text(report: &OomReport, line: Option<LineNumber>) -> Option<&str> {
    let line = line?;
    let found = report.lines.iter().find(|candidate| candidate.number == line)?;
    Some(found.text.as_str())
}
