//! An answer as the Prometheus API gives it: `resultType` and `result`.

use std::fmt;

use highwater_core::series::{Labels, Point, Series};
use highwater_core::time::WallTime;
use serde::ser::{Serialize, SerializeMap, SerializeStruct, SerializeTuple, Serializer};

use crate::answer::Value;

/// From here on down Go, and so the API, writes an exponent.
const SMALL: f64 = 1e-6;

/// And from here on up.
const LARGE: f64 = 1e21;

/// Whole numbers below this are written by their digits alone, which is quicker: 2^53.
const WHOLE: f64 = 9_007_199_254_740_992.0;

/// A value as the API writes it: what Go's `strconv` makes of it.
pub fn number(value: f64) -> String {
    Number(value).to_string()
}

/// A value as the API writes it.
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0;
        if value.is_nan() {
            return f.write_str("NaN");
        }
        if value.is_infinite() {
            return f.write_str(if value > 0.0 { "+Inf" } else { "-Inf" });
        }
        if value.fract() == 0.0 && value.abs() < WHOLE && (value != 0.0 || value.is_sign_positive())
        {
            #[expect(
                clippy::as_conversions,
                clippy::cast_possible_truncation,
                reason = "a whole number of 53 bits"
            )]
            let whole = value as i64;
            return whole.fmt(f);
        }
        if value == 0.0 || (SMALL..LARGE).contains(&value.abs()) {
            return value.fmt(f);
        }
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(("+", exponent), |e| ("-", e));
        write!(f, "{digits}e{sign}{exponent:0>2}")
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The field `data` of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Data<'a>(pub &'a Value);

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut data = serializer.serialize_struct("Data", 2)?;
        match self.0 {
            Value::Scalar(point) => {
                data.serialize_field("resultType", "scalar")?;
                data.serialize_field("result", &Sample(point))?;
            }
            Value::Text { at, value } => {
                data.serialize_field("resultType", "string")?;
                data.serialize_field("result", &(Stamp(*at), value))?;
            }
            Value::Vector(all) => {
                data.serialize_field("resultType", "vector")?;
                let all: Vec<One<'_>> =
                    all.iter().map(|(labels, point)| One(labels, point)).collect();
                data.serialize_field("result", &all)?;
            }
            Value::Matrix(all) => {
                data.serialize_field("resultType", "matrix")?;
                let all: Vec<Many<'_>> = all.iter().map(Many).collect();
                data.serialize_field("result", &all)?;
            }
        }
        data.end()
    }
}

/// Seconds since 1970.
struct Stamp(WallTime);

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let millis = self.0.millis();
        match millis % 1000 {
            0 => serializer.serialize_i64(millis / 1000),
            _ => serializer.serialize_f64(seconds(millis)),
        }
    }
}

/// Milliseconds as seconds; exact as far as a number of 53 bits can be.
#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "moments of this era have 41 bits"
)]
fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

struct Sample<'a>(&'a Point);

impl Serialize for Sample<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut pair = serializer.serialize_tuple(2)?;
        pair.serialize_element(&Stamp(self.0.at))?;
        pair.serialize_element(&Number(self.0.value))?;
        pair.end()
    }
}

struct Samples<'a>(&'a [Point]);

impl Serialize for Samples<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Sample))
    }
}

struct Metric<'a>(&'a Labels);

impl Serialize for Metric<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.0.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

struct One<'a>(&'a Labels, &'a Point);

impl Serialize for One<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut one = serializer.serialize_struct("One", 2)?;
        one.serialize_field("metric", &Metric(self.0))?;
        one.serialize_field("value", &Sample(self.1))?;
        one.end()
    }
}

struct Many<'a>(&'a Series);

impl Serialize for Many<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut many = serializer.serialize_struct("Many", 2)?;
        many.serialize_field("metric", &Metric(&self.0.labels))?;
        many.serialize_field("values", &Samples(&self.0.points))?;
        many.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(value: &Value) -> String {
        serde_json::to_string(&Data(value)).unwrap()
    }

    fn point(ms: i64, value: f64) -> Point {
        Point { at: WallTime::from_millis(ms), value }
    }

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (0.1, "0.1"),
            (123_456_789.0, "123456789"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e300, "1.5e+300"),
            (1e-6, "0.000001"),
            (1.5e-7, "1.5e-07"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn the_four_kinds_of_result() {
        let labels = Labels::new([("__name__", "up"), ("job", "a\"b")]);
        let cases = [
            (Value::Scalar(point(4000, 1.5)), r#"{"resultType":"scalar","result":[4,"1.5"]}"#),
            (
                Value::Text { at: WallTime::from_millis(4500), value: "x".to_owned() },
                r#"{"resultType":"string","result":[4.5,"x"]}"#,
            ),
            (
                Value::Vector(vec![(labels.clone(), point(-1000, 2.0))]),
                r#"{"resultType":"vector","result":[{"metric":{"__name__":"up","job":"a\"b"},"value":[-1,"2"]}]}"#,
            ),
            (
                Value::Matrix(vec![Series { labels, points: vec![point(1, 0.0)] }]),
                r#"{"resultType":"matrix","result":[{"metric":{"__name__":"up","job":"a\"b"},"values":[[0.001,"0"]]}]}"#,
            ),
        ];
        for (value, text) in cases {
            assert_eq!(json(&value), text);
        }
    }
}
