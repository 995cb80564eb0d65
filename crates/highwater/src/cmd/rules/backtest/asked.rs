//! A backtest that a page asks for: over the rules that the agent runs, one of them, or one that was
//! typed.

use std::path::Path;

use highwater_agent::rules::shipped;
use highwater_alert::backtest::Period;
use highwater_alert::{Kind, RuleFile};
use highwater_core::text::escape;

use super::{Told, files, open, outcome, period};
use crate::args::{BacktestArgs, TrialArgs};
use crate::view;

/// What a rule is called that was typed.
const TYPED: &str = "typed";

/// Why there is no document.
#[derive(Debug)]
pub(crate) enum Unasked {
    /// No alert has the name; and how that is said.
    Absent(String),
    /// What was typed is no expression, and why not.
    Wrong(String),
    /// It failed.
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for Unasked {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

/// The document of what became of the rules in the history of `dir`.
pub(crate) fn asked(args: &TrialArgs, dir: &Path) -> Result<Vec<u8>, Unasked> {
    let files = tried(args)?;
    let span = BacktestArgs { start: args.start, end: args.end, ..BacktestArgs::default() };
    let (told, notes) = open(&span, Some(dir))?;
    let period = period(&span, &told).map_err(|error| Unasked::Absent(format!("{error:#}")))?;
    let period = on_record(period, &told)?;
    let outcome = outcome(&files, &told, (period, args.scrape), notes)?;
    let document = serde_json::to_vec(&view::backtest::document(&outcome));
    document.map_err(|error| Unasked::Failed(error.into()))
}

/// Of a period no more than what is on record: what was before has nothing to show.
fn on_record(period: Period, told: &Told) -> Result<Period, Unasked> {
    let oldest = match told {
        Told::Recording(reader) => reader.info().map_err(anyhow::Error::from)?.oldest,
        Told::Server(_) => None,
    };
    let from = oldest.map_or(period.from, |oldest| oldest.max(period.from));
    if from >= period.to {
        return Err(Unasked::Absent(format!("nothing is on record up to {}", period.to)));
    }
    Ok(Period { from, ..period })
}

fn tried(args: &TrialArgs) -> Result<Vec<RuleFile>, Unasked> {
    if let Some(expr) = &args.expr {
        return Ok(vec![typed(expr, args.hold.as_millis())?]);
    }
    let mut all = Vec::new();
    for name in &args.rules {
        match shipped(name).map(|text| RuleFile::read(name, text)) {
            Some(Ok(file)) => all.push(file),
            // Those that ship are read by a test.
            Some(Err(_)) => {}
            None => all.extend(files(&[name.into()])?),
        }
    }
    if let Some(name) = &args.rule {
        only(&mut all, name)?;
    }
    Ok(all)
}

/// Leaves that alert, and what records series for it.
fn only(files: &mut [RuleFile], name: &str) -> Result<(), Unasked> {
    let is_it = |kind: &Kind| matches!(kind, Kind::Alert { name: own, .. } if own == name);
    let groups = || files.iter().flat_map(|file| &file.groups);
    if !groups().flat_map(|group| &group.rules).any(|rule| is_it(&rule.kind)) {
        let name = escape(name.as_bytes());
        return Err(Unasked::Absent(format!("no rule that is loaded is called {name}")));
    }
    for group in files.iter_mut().flat_map(|file| &mut file.groups) {
        group.rules.retain(|rule| matches!(rule.kind, Kind::Record(_)) || is_it(&rule.kind));
    }
    Ok(())
}

/// A rule file of one rule. A text of JSON is one of YAML as well, whatever is in it.
fn typed(expr: &str, hold_millis: u128) -> Result<RuleFile, Unasked> {
    let expr = serde_json::Value::from(expr);
    let rule = format!("{{\"alert\":\"{TYPED}\",\"for\":\"{hold_millis}ms\",\"expr\":{expr}}}");
    let text = format!("{{\"groups\":[{{\"name\":\"{TYPED}\",\"rules\":[{rule}]}}]}}");
    RuleFile::read(TYPED, &text).map_err(|faults| {
        let said: Vec<&str> = faults.iter().map(|fault| fault.what.as_str()).collect();
        Unasked::Wrong(said.join("; "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_is_a_rule_and_nothing_else() {
        for expr in ["up == 0", "a{b=\"}]\"} > 1", "x # \" }\n > 1", "'\\'' == 1 or up > 5"] {
            let Ok(file) = typed(expr, 300_000) else { continue };
            let rules: Vec<_> = file.groups.iter().flat_map(|group| &group.rules).collect();
            assert_eq!(rules.len(), 1, "{expr}");
            assert_eq!(rules[0].expr, expr);
            let Kind::Alert { hold, .. } = rules[0].kind else { panic!("{expr}") };
            assert_eq!(hold.as_secs(), 300);
        }
        assert!(typed("up == 0", 0).is_ok());
        let Err(Unasked::Wrong(why)) = typed("up ==", 0) else { panic!("it was read") };
        assert!(!why.contains("typed"), "{why}");
    }

    #[test]
    fn one_alert_is_left_with_what_is_recorded() {
        let args = TrialArgs {
            rules: vec!["shipped/cgroups.yml".to_owned(), "shipped/baseline.yml".to_owned()],
            rule: Some("OomKill".to_owned()),
            ..TrialArgs::default()
        };
        let files = tried(&args).unwrap();
        let rules = || files.iter().flat_map(|file| &file.groups).flat_map(|group| &group.rules);
        let alerts: Vec<&str> = rules()
            .filter(|rule| rule.word() == "alert")
            .map(highwater_alert::Rule::name)
            .collect();
        assert_eq!(alerts, ["OomKill"]);
        assert!(rules().any(|rule| rule.word() == "record"));
        let none = TrialArgs { rule: Some("Nobody".to_owned()), ..args };
        assert!(matches!(tried(&none), Err(Unasked::Absent(_))));
    }
}
