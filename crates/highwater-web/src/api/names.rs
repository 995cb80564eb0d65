//! Which series there are, and what their labels are called.

use std::collections::BTreeSet;

use highwater_core::metric::MetricKind;
use highwater_core::series::{Labels, Matcher};
use highwater_core::time::WallTime;
use highwater_promql::Watch;

use super::answered::Answered;
use super::ask::TRUNCATED;
use super::failure::Failure;
use super::form::Form;
use super::{Api, Reading, json, moment};

/// The most series, names or values in one answer: each takes some hundred bytes until it is sent.
const MOST: usize = 100_000;

/// Between how many series it is asked whether anybody still waits.
const ASKED_EVERY: usize = 1024;

/// The labels of the series that meet `match[]`.
pub(super) fn series(api: &Api, form: &Form, watch: &Watch) -> Result<Answered, Failure> {
    let wanted = Wanted::read(form)?;
    if wanted.choices.is_empty() {
        return Err(Failure::bad("no match[] parameter provided"));
    }
    let found = wanted.find(api, watch, |labels, found: &mut Least<Labels>| found.take(labels))?;
    let all = found.least.all.iter();
    let mut out = Vec::new();
    json::list(&mut out, all, json::labels);
    Ok(found.answered(out))
}

/// The names of labels.
pub(super) fn labels(api: &Api, form: &Form, watch: &Watch) -> Result<Answered, Failure> {
    let found =
        Wanted::read(form)?.or_all().find(api, watch, |labels, found: &mut Least<String>| {
            labels.iter().for_each(|(name, _)| found.take(name));
        })?;
    Ok(found.texts())
}

/// The values of a label.
pub(super) fn values(
    api: &Api,
    label: &str,
    form: &Form,
    watch: &Watch,
) -> Result<Answered, Failure> {
    let label = unescaped(label);
    if label.is_empty() {
        return Err(Failure::bad(format!("invalid label name: {label:?}")));
    }
    let found =
        Wanted::read(form)?.or_all().find(api, watch, |labels, found: &mut Least<String>| {
            let value = labels.get(&label);
            if !value.is_empty() {
                found.take(value);
            }
        })?;
    Ok(found.texts())
}

/// The types and help texts of metrics.
pub(super) fn metadata(api: &Api, form: &Form) -> Result<Answered, Failure> {
    let count = |name: &str| match form.get(name) {
        "" => Ok(usize::MAX),
        // As in Prometheus: a negative number is none.
        text => text.parse::<i64>().map(|count| usize::try_from(count).unwrap_or(usize::MAX)),
    };
    let limit = count("limit").map_err(|_| Failure::bad("limit must be a number"))?;
    // There is one text for each metric.
    let of_each = count("limit_per_metric");
    of_each.map_err(|_| Failure::bad("limit_per_metric must be a number"))?;
    let wanted = form.get("metric");
    let (mut metrics, caveats) = api.read(|reading| Ok(reading.metrics()?))?;
    metrics.retain(|metric| wanted.is_empty() || metric.name == wanted);
    metrics.truncate(limit);
    let mut out = vec![b'{'];
    for (at, metric) in metrics.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        json::text(&mut out, &metric.name);
        let kind = match metric.kind {
            MetricKind::Gauge => "gauge",
            MetricKind::Counter => "counter",
        };
        out.extend_from_slice(br#":[{"type":""#);
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(br#"","help":"#);
        json::text(&mut out, &metric.help);
        out.extend_from_slice(br#","unit":""}]"#);
    }
    out.push(b'}');
    Ok(Answered { warnings: caveats, ..Answered::json(out) })
}

/// Which series are asked for.
struct Wanted {
    /// A series that meets all matchers of one of them.
    choices: Vec<Vec<Matcher>>,
    span: (WallTime, WallTime),
    limit: usize,
}

impl Wanted {
    fn read(form: &Form) -> Result<Self, Failure> {
        let limit = moment::limit(form)?.unwrap_or(MOST).min(MOST);
        let start = moment::moment(form, "start", moment::MIN)?;
        let end = moment::moment(form, "end", moment::MAX)?;
        let choice = |text| {
            let of_parameter =
                |error: highwater_promql::Error| Failure::of_parameter("match[]", &error.text);
            highwater_promql::selector(text).map_err(of_parameter)
        };
        let choices = form.all("match[]").map(choice).collect::<Result<_, _>>()?;
        Ok(Self { choices, span: (start, end), limit })
    }

    /// All series, where no choice is made.
    fn or_all(mut self) -> Self {
        if self.choices.is_empty() {
            self.choices.push(Vec::new());
        }
        self
    }

    /// What `take` takes of all series that are wanted.
    fn find<T: Ord>(
        &self,
        api: &Api,
        watch: &Watch,
        mut take: impl FnMut(&Labels, &mut Least<T>),
    ) -> Result<Found<T>, Failure> {
        let mut least = Least { all: BTreeSet::new(), most: self.limit, is_cut: false };
        let ((), caveats) = api.read(|reading| {
            self.choices.iter().try_for_each(|choice| {
                each(reading, choice, self.span, watch, &mut |labels| take(labels, &mut least))
            })
        })?;
        Ok(Found { least, caveats })
    }
}

/// Visits the series of one choice for as long as somebody waits.
pub(super) fn each(
    reading: &dyn Reading,
    choice: &[Matcher],
    span: (WallTime, WallTime),
    watch: &Watch,
    visit: &mut dyn FnMut(&Labels),
) -> Result<(), Failure> {
    let (mut count, mut stopped) = (0_usize, None);
    reading.series(choice, span, &mut |labels| {
        count = count.saturating_add(1);
        if count.is_multiple_of(ASKED_EVERY) {
            stopped = watch.stop();
        }
        visit(labels);
        stopped.is_none()
    })?;
    stopped.map_or(Ok(()), |stop| Err(Failure::of_stop(stop)))
}

/// The first so many, in order.
struct Least<T> {
    all: BTreeSet<T>,
    most: usize,
    is_cut: bool,
}

impl<T: Ord> Least<T> {
    fn take<B: Ord + ToOwned<Owned = T> + ?Sized>(&mut self, one: &B)
    where
        T: std::borrow::Borrow<B>,
    {
        if self.all.contains(one) {
            return;
        }
        let is_full = self.all.len() >= self.most;
        if is_full && self.all.last().is_none_or(|last| last.borrow() < one) {
            self.is_cut = true;
            return;
        }
        self.all.insert(one.to_owned());
        if is_full {
            self.is_cut = true;
            self.all.pop_last();
        }
    }
}

/// What was found, and what is to be said of the history.
struct Found<T> {
    least: Least<T>,
    caveats: Vec<String>,
}

impl<T> Found<T> {
    fn answered(self, json: Vec<u8>) -> Answered {
        let mut warnings: Vec<String> =
            self.least.is_cut.then(|| TRUNCATED.to_owned()).into_iter().collect();
        warnings.extend(self.caveats);
        Answered { warnings, ..Answered::json(json) }
    }
}

impl Found<String> {
    fn texts(self) -> Answered {
        let mut out = Vec::new();
        json::texts(&mut out, self.least.all.iter().map(String::as_str));
        self.answered(out)
    }
}

/// A name as it was before it was escaped to fit the old rules of names: `U__a_2e_b` is `a.b`.
fn unescaped(name: &str) -> String {
    let Some(rest) = name.strip_prefix("U__") else { return name.to_owned() };
    all_unescaped(rest).unwrap_or_else(|| name.to_owned())
}

fn all_unescaped(mut rest: &str) -> Option<String> {
    let mut out = String::with_capacity(rest.len());
    while let Some((plain, after)) = rest.split_once('_') {
        out.push_str(plain);
        if let Some(tail) = after.strip_prefix('_') {
            out.push('_');
            rest = tail;
            continue;
        }
        let (digits, tail) = after.split_once('_')?;
        let is_code = (1..=6).contains(&digits.len())
            && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        if !is_code {
            return None;
        }
        out.push(u32::from_str_radix(digits, 16).ok().and_then(char::from_u32)?);
        rest = tail;
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unescaped_or_left_alone() {
        for (escaped, name) in [
            ("job", "job"),
            ("U__http_2e_status", "http.status"),
            ("U__a__b", "a_b"),
            ("U___e9_t_e9_", "été"),
            ("U__", ""),
            ("U__a_zz_", "U__a_zz_"),
            ("U__a_2e", "U__a_2e"),
            ("U___d800_", "U___d800_"),
        ] {
            assert_eq!(unescaped(escaped), name, "{escaped}");
        }
    }

    #[test]
    fn the_least_are_kept() {
        let mut least = Least { all: BTreeSet::new(), most: 2, is_cut: false };
        for one in ["c", "a", "c"] {
            least.take(one);
        }
        assert!(!least.is_cut);
        least.take("b");
        least.take("d");
        assert!(least.is_cut);
        assert_eq!(least.all.into_iter().collect::<Vec<String>>(), ["a", "b"]);
    }
}
