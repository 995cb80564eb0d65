//! Questions in PromQL.

use std::time::Duration;

use highwater_core::time::WallTime;
use highwater_promql::{Answer, Options, Query, Value, Watch};

use super::answered::Answered;
use super::failure::Failure;
use super::form::Form;
use super::{Api, json, moment};

/// What is said of an answer that was cut.
pub(super) const TRUNCATED: &str = "results truncated due to limit";

/// The values of an expression at one moment.
pub(super) fn instant(api: &Api, form: &Form, watch: Watch) -> Result<Answered, Failure> {
    let limit = moment::limit(form)?;
    let at = moment::moment(form, "time", api.history.now())?;
    let options = options(api, form, watch)?;
    let query = parsed(form)?;
    let answer = api.read(|reading| {
        highwater_promql::instant(&query, reading.source(), at, &options)
            .map_err(|error| Failure::of_query(&error))
    })?;
    Ok(limited(answer.0, answer.1, limit))
}

/// The values of an expression at the steps of a range.
pub(super) fn range(api: &Api, form: &Form, watch: Watch) -> Result<Answered, Failure> {
    let limit = moment::limit(form)?;
    let start = moment::needed(form, "start")?;
    let end = moment::needed(form, "end")?;
    if end < start {
        let why = "end timestamp must not be before start time";
        return Err(Failure::of_parameter("end", why));
    }
    let step_ms = moment::span(form, "step")?;
    if step_ms <= 0 {
        let why = "zero or negative query resolution step widths are not accepted. Try a positive \
                   integer";
        return Err(Failure::of_parameter("step", why));
    }
    let options = options(api, form, watch)?;
    within_resolution((start, end), step_ms, options.max_points)?;
    let query = parsed(form)?;
    let step = Duration::from_millis(step_ms.unsigned_abs());
    let answer = api.read(|reading| {
        highwater_promql::range(&query, reading.source(), start, end, step, &options)
            .map_err(|error| Failure::of_query(&error))
    })?;
    Ok(limited(answer.0, answer.1, limit))
}

/// Refuses more points than a screen has.
fn within_resolution(
    (start, end): (WallTime, WallTime),
    step_ms: i64,
    most: usize,
) -> Result<(), Failure> {
    let span = end.millis().saturating_sub(start.millis());
    if usize::try_from(span / step_ms).is_ok_and(|steps| steps <= most) {
        return Ok(());
    }
    Err(Failure::bad(
        "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query \
         resolution (?step=XX)",
    ))
}

/// The expression in its canonical form.
pub(super) fn format(form: &Form) -> Result<Answered, Failure> {
    let mut out = Vec::new();
    json::text(&mut out, &parsed(form)?.to_string());
    Ok(Answered::json(out))
}

/// Exemplars, of which a recorder of memory has none; an expression that is none is refused.
pub(super) fn exemplars(form: &Form) -> Result<Answered, Failure> {
    let start = moment::moment(form, "start", moment::MIN)?;
    let end = moment::moment(form, "end", moment::MAX)?;
    if end < start {
        return Err(Failure::bad("end timestamp must not be before start timestamp"));
    }
    let query = highwater_promql::parse(form.get("query"));
    query.map_err(|error| Failure::bad(error.text))?;
    Ok(Answered::json("[]"))
}

fn parsed(form: &Form) -> Result<Query, Failure> {
    highwater_promql::parse(form.get("query")).map_err(|error| Failure::of_query(&error))
}

fn options(api: &Api, form: &Form, watch: Watch) -> Result<Options, Failure> {
    // The time itself is kept by whoever gave us our turn.
    moment::timeout(form)?;
    let mut options =
        Options { max_samples: api.limits.max_samples, watch: Some(watch), ..Options::default() };
    let text = form.get("lookback_delta");
    if !text.is_empty() {
        let ms = moment::read_span(text)
            .map_err(|why| Failure::bad(format!("error parsing lookback delta duration: {why}")))?;
        // As in Prometheus: what is no span to look back leaves the usual one.
        if let Ok(ms @ 1..) = u64::try_from(ms) {
            options.lookback = Duration::from_millis(ms);
        }
    }
    Ok(options)
}

/// No more series than were asked for, and what is to be said of the history.
fn limited(mut answer: Answer, caveats: Vec<String>, limit: Option<usize>) -> Answered {
    let most = limit.unwrap_or(usize::MAX);
    let count = match &answer.value {
        Value::Vector(all) => all.len(),
        Value::Matrix(all) => all.len(),
        Value::Scalar(_) | Value::Text { .. } => 0,
    };
    match &mut answer.value {
        Value::Vector(all) => all.truncate(most),
        Value::Matrix(all) => all.truncate(most),
        Value::Scalar(_) | Value::Text { .. } => {}
    }
    answer.warnings.extend((count > most).then(|| TRUNCATED.to_owned()));
    answer.warnings.extend(caveats);
    answer.into()
}
