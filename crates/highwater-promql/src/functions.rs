//! The functions by name, and what kind of work each is.

pub(crate) mod date;
pub(crate) mod histogram;
pub(crate) mod math;
pub(crate) mod over_time;
pub(crate) mod rate;
pub(crate) mod trend;

use highwater_core::series::Point;

use crate::answer::ValueType;

/// What a function does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Function {
    /// Each value by itself.
    Map(fn(f64) -> f64),
    /// Each window by itself.
    Over(Over),
    /// Each value as seconds since the epoch; the moment itself if there is no argument.
    Date(fn(i64) -> f64),
    Absent,
    AbsentOverTime,
    Clamp,
    ClampMax,
    ClampMin,
    Round,
    Scalar,
    Vector,
    Time,
    Pi,
    Timestamp,
    /// In order of values, or the other way round.
    Sort {
        descending: bool,
    },
    LabelReplace,
    LabelJoin,
    HistogramQuantile,
    HistogramFraction,
    /// Floats are passed over: of them there is nothing to say.
    NativeHistogram,
}

/// A function of windows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Over {
    pub(crate) value: fn(&Window<'_>) -> Option<f64>,
    pub(crate) kind: OverKind,
}

/// What a function of windows needs beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OverKind {
    /// Nothing.
    Plain,
    /// It picks a sample, so its series keep their names.
    Picks,
    /// It should be given counters.
    Counter,
    /// Its first argument is a quantile.
    Quantile,
    /// It looks from the moment of evaluation.
    FromNow,
    /// Its arguments are factors between zero and one.
    Factors,
}

/// The samples of one series in one range, ends of the series left out.
#[derive(Debug)]
pub(crate) struct Window<'a> {
    /// At least one.
    pub(crate) points: &'a [Point],
    /// The range: after this moment…
    pub(crate) from: i64,
    /// …up to this one.
    pub(crate) to: i64,
    /// The moment of evaluation.
    pub(crate) now: i64,
    /// The other arguments in order.
    pub(crate) args: [f64; 2],
}

const fn over(value: fn(&Window<'_>) -> Option<f64>, kind: OverKind) -> Function {
    Function::Over(Over { value, kind })
}

impl Function {
    /// The function called `name`.
    pub(crate) fn of(name: &str) -> Option<Self> {
        windowed(name).or_else(|| math::of(name).map(Self::Map)).or_else(|| special(name))
    }

    /// What it gives.
    pub(crate) const fn gives(self) -> ValueType {
        match self {
            Self::Scalar | Self::Time | Self::Pi => ValueType::Scalar,
            _ => ValueType::Vector,
        }
    }
}

fn windowed(name: &str) -> Option<Function> {
    use OverKind::{Counter, Factors, FromNow, Picks, Plain, Quantile};
    Some(match name {
        "rate" => over(rate::rate, Counter),
        "increase" => over(rate::increase, Counter),
        "delta" => over(rate::delta, Plain),
        "irate" => over(rate::irate, Plain),
        "idelta" => over(rate::idelta, Plain),
        "resets" => over(rate::resets, Plain),
        "changes" => over(rate::changes, Plain),
        "deriv" => over(trend::deriv, Plain),
        "predict_linear" => over(trend::predict_linear, FromNow),
        "double_exponential_smoothing" | "holt_winters" => over(trend::smoothed, Factors),
        "avg_over_time" => over(over_time::avg, Plain),
        "sum_over_time" => over(over_time::sum, Plain),
        "min_over_time" => over(over_time::min, Plain),
        "max_over_time" => over(over_time::max, Plain),
        "count_over_time" => over(over_time::count_all, Plain),
        "stddev_over_time" => over(over_time::stddev, Plain),
        "stdvar_over_time" => over(over_time::stdvar, Plain),
        "quantile_over_time" => over(over_time::quantile_of, Quantile),
        "first_over_time" => over(over_time::first, Picks),
        "last_over_time" => over(over_time::last, Picks),
        "present_over_time" => over(over_time::present, Plain),
        _ => return None,
    })
}

fn special(name: &str) -> Option<Function> {
    Some(match name {
        "absent" => Function::Absent,
        "absent_over_time" => Function::AbsentOverTime,
        "clamp" => Function::Clamp,
        "clamp_max" => Function::ClampMax,
        "clamp_min" => Function::ClampMin,
        "round" => Function::Round,
        "scalar" => Function::Scalar,
        "vector" => Function::Vector,
        "time" => Function::Time,
        "pi" => Function::Pi,
        "timestamp" => Function::Timestamp,
        "sort" => Function::Sort { descending: false },
        "sort_desc" => Function::Sort { descending: true },
        "label_replace" => Function::LabelReplace,
        "label_join" => Function::LabelJoin,
        "histogram_quantile" => Function::HistogramQuantile,
        "histogram_fraction" => Function::HistogramFraction,
        "histogram_avg" | "histogram_count" | "histogram_stddev" | "histogram_stdvar"
        | "histogram_sum" => Function::NativeHistogram,
        _ => return date::of(name).map(Function::Date),
    })
}
