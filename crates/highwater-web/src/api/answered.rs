//! An answer on its way to bytes: piece by piece, so that a long one needs no room beside itself.

use std::fmt::Debug;

use highwater_core::series::{Labels, Point, Series};
use highwater_promql::{Answer, Value};

use super::failure::Failure;
use super::json;

/// About so many bytes are written at once: a piece takes less than a millisecond.
const PIECE_BYTES: usize = 64 << 10;

/// What is answered.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answered {
    pub(super) data: Data,
    pub(super) warnings: Vec<String>,
    pub(super) infos: Vec<String>,
}

/// The field `data`.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Data {
    /// What a query gave.
    Value(Value),
    /// JSON.
    Json(Vec<u8>),
}

impl Answered {
    pub(super) fn json(json: impl Into<Vec<u8>>) -> Self {
        Self { data: Data::Json(json.into()), warnings: Vec::new(), infos: Vec::new() }
    }
}

impl From<Answer> for Answered {
    fn from(answer: Answer) -> Self {
        let Answer { value, warnings, infos } = answer;
        Self { data: Data::Value(value), warnings, infos }
    }
}

/// The bytes of an answer that are still to be written.
#[derive(Debug)]
pub(super) struct Pieces {
    rest: Rest,
    /// What stands behind the data.
    tail: Option<Vec<u8>>,
}

/// What of the data is still to be written.
#[derive(Debug)]
enum Rest {
    Nothing,
    /// Written as it is.
    Json(Vec<u8>),
    Vector(Lead, std::vec::IntoIter<(Labels, Point)>),
    Matrix(Lead, std::vec::IntoIter<Series>, Option<Half>),
}

/// What comes before the next item of a list.
#[derive(Debug)]
struct Lead(&'static [u8]);

/// A series that is written in part.
#[derive(Debug)]
struct Half(Lead, std::vec::IntoIter<Point>);

impl Pieces {
    /// The bytes of an answer.
    pub(super) fn new(answered: Answered) -> Self {
        let Answered { data, warnings, infos } = answered;
        let mut tail = Vec::new();
        for (name, all) in [("warnings", warnings), ("infos", infos)] {
            if !all.is_empty() {
                tail.push(b',');
                json::text(&mut tail, name);
                tail.push(b':');
                json::texts(&mut tail, all.iter().map(String::as_str));
            }
        }
        tail.push(b'}');
        let rest = match data {
            Data::Json(data) => {
                let mut whole = br#"{"status":"success","data":"#.to_vec();
                whole.extend(data);
                Rest::Json(whole)
            }
            Data::Value(value) => Rest::of_value(value),
        };
        Self { rest, tail: Some(tail) }
    }

    /// The bytes of a failure.
    pub(super) fn of_failure(failure: &Failure) -> Self {
        let mut whole = br#"{"status":"error","errorType":""#.to_vec();
        whole.extend(failure.kind.word().as_bytes());
        whole.extend(br#"","error":"#);
        json::text(&mut whole, &failure.text);
        Self { rest: Rest::Json(whole), tail: Some(b"}".to_vec()) }
    }

    /// Writes some more; whether there is more to come.
    pub(super) fn write(&mut self, out: &mut Vec<u8>) -> bool {
        let full = out.len().saturating_add(PIECE_BYTES);
        self.rest.write(out, full);
        if !matches!(self.rest, Rest::Nothing) {
            return true;
        }
        out.extend(self.tail.take().unwrap_or_default());
        false
    }
}

impl Rest {
    fn of_value(value: Value) -> Self {
        let mut head = br#"{"status":"success","data":{"resultType":"#.to_vec();
        match value {
            Value::Scalar(point) => {
                head.extend(br#""scalar","result":"#);
                json::sample(&mut head, &point);
                head.push(b'}');
                Self::Json(head)
            }
            Value::Text { at, value } => {
                head.extend(br#""string","result":["#);
                json::seconds(&mut head, at.millis());
                head.push(b',');
                json::text(&mut head, &value);
                head.extend(b"]}");
                Self::Json(head)
            }
            Value::Vector(all) => Self::Vector(
                Lead(br#"{"status":"success","data":{"resultType":"vector","result":["#),
                all.into_iter(),
            ),
            Value::Matrix(all) => Self::Matrix(
                Lead(br#"{"status":"success","data":{"resultType":"matrix","result":["#),
                all.into_iter(),
                None,
            ),
        }
    }

    /// Writes until there are about `full` bytes.
    fn write(&mut self, out: &mut Vec<u8>, full: usize) {
        match self {
            Self::Nothing => {}
            Self::Json(bytes) => {
                out.append(bytes);
                *self = Self::Nothing;
            }
            Self::Vector(lead, all) => {
                while out.len() < full {
                    let Some((labels, point)) = all.next() else {
                        lead.end(out, b"]}");
                        *self = Self::Nothing;
                        return;
                    };
                    lead.write(out);
                    out.extend_from_slice(br#"{"metric":"#);
                    json::labels(out, &labels);
                    out.extend_from_slice(br#","value":"#);
                    json::sample(out, &point);
                    out.push(b'}');
                }
            }
            Self::Matrix(lead, all, half) => {
                while out.len() < full {
                    if let Some(begun) = half {
                        if begun.write(out, full) {
                            *half = None;
                        }
                        continue;
                    }
                    let Some(series) = all.next() else {
                        lead.end(out, b"]}");
                        *self = Self::Nothing;
                        return;
                    };
                    lead.write(out);
                    out.extend_from_slice(br#"{"metric":"#);
                    json::labels(out, &series.labels);
                    out.extend_from_slice(br#","values":"#);
                    *half = Some(Half(Lead(b"["), series.points.into_iter()));
                }
            }
        }
    }
}

impl Lead {
    /// What comes before the next item.
    fn write(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0);
        self.0 = b",";
    }

    /// What comes behind the last item.
    fn end(&self, out: &mut Vec<u8>, end: &[u8]) {
        if self.0 != b"," {
            out.extend_from_slice(self.0);
        }
        out.extend_from_slice(end);
    }
}

impl Half {
    /// Writes points until there are about `full` bytes; whether that were all.
    fn write(&mut self, out: &mut Vec<u8>, full: usize) -> bool {
        while out.len() < full {
            let Some(point) = self.1.next() else {
                self.0.end(out, b"]}");
                return true;
            };
            self.0.write(out);
            json::sample(out, &point);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use highwater_core::time::WallTime;

    use super::super::failure::Kind;
    use super::*;

    fn whole(mut pieces: Pieces) -> (String, usize) {
        let (mut out, mut count) = (Vec::new(), 1);
        while pieces.write(&mut out) {
            count += 1;
        }
        (String::from_utf8(out).unwrap(), count)
    }

    fn of(value: Value) -> String {
        let answer = Answer { value, warnings: vec![], infos: vec![] };
        whole(Pieces::new(answer.into())).0
    }

    fn point(ms: i64, value: f64) -> Point {
        Point { at: WallTime::from_millis(ms), value }
    }

    #[test]
    fn each_kind_of_value_is_what_the_evaluators_own_json_says() {
        let labels = Labels::new([("__name__", "up"), ("job", "a\"b")]);
        let series = |count: i64| Series {
            labels: labels.clone(),
            points: (0..count).map(|at| point(at, 0.5)).collect(),
        };
        for value in [
            Value::Scalar(point(4000, 1.5)),
            Value::Text { at: WallTime::from_millis(4500), value: "x\n".to_owned() },
            Value::Vector(vec![]),
            Value::Vector(vec![
                (labels.clone(), point(1, 2.0)),
                (Labels::default(), point(2, 3.5)),
            ]),
            Value::Matrix(vec![]),
            Value::Matrix(vec![series(1), series(0), series(20_000), series(3)]),
        ] {
            let data = serde_json::to_value(highwater_promql::api::Data(&value)).unwrap();
            let ours: serde_json::Value = serde_json::from_str(&of(value)).unwrap();
            assert_eq!(ours, serde_json::json!({ "status": "success", "data": data }));
        }
    }

    #[test]
    fn a_long_answer_comes_in_pieces() {
        let points: Vec<Point> = (0..20_000).map(|at| point(at, 0.5)).collect();
        let value = Value::Matrix(vec![Series { labels: Labels::default(), points }]);
        let answer = Answer { value, warnings: vec!["w".to_owned()], infos: vec![] };
        let (text, count) = whole(Pieces::new(answer.into()));
        assert!(count > 3 && text.len() / count < 2 * PIECE_BYTES, "{count}");
        assert!(text.ends_with(r#"]}]},"warnings":["w"]}"#));
    }

    #[test]
    fn a_failure_says_what_kind_it_is() {
        let failure = Failure::new(Kind::Execution, "many-to-many \"x\"");
        let text = whole(Pieces::of_failure(&failure)).0;
        assert_eq!(
            text,
            r#"{"status":"error","errorType":"execution","error":"many-to-many \"x\""}"#
        );
    }
}
