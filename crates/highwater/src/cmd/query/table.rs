//! An answer as CSV: a column for each label, the time, the value; a row for each sample.

use std::collections::BTreeSet;

use highwater_core::series::{Labels, Point};
use highwater_core::text::escape;
use highwater_promql::Value;
use highwater_promql::api::number;

use crate::cmd::out;

/// Writes the table to standard output.
pub(super) fn write(value: &Value) -> anyhow::Result<()> {
    let bytes = table(value)?;
    out::bytes(&bytes)
}

fn table(value: &Value) -> Result<Vec<u8>, csv::Error> {
    let none = Labels::default();
    let rows: Vec<(&Labels, &[Point])> = match value {
        Value::Scalar(point) => vec![(&none, std::slice::from_ref(point))],
        Value::Vector(all) => {
            all.iter().map(|(labels, point)| (labels, std::slice::from_ref(point))).collect()
        }
        Value::Matrix(all) => {
            all.iter().map(|series| (&series.labels, series.points.as_slice())).collect()
        }
        Value::Text { at, value } => {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(["time", "value"])?;
            writer.write_record([at.to_string(), escape(value.as_bytes()).into_owned()])?;
            return finish(writer);
        }
    };
    let names: BTreeSet<&str> =
        rows.iter().flat_map(|(labels, _)| labels.iter().map(|(name, _)| name)).collect();
    let mut writer = csv::Writer::from_writer(Vec::new());
    let shown = |text: &str| escape(text.as_bytes()).into_owned();
    // A label may be called as one of our own columns.
    let column = |name: &str| match name {
        "time" | "value" => format!("label_{name}"),
        _ => shown(name),
    };
    let head = names.iter().map(|name| column(name));
    writer.write_record(head.chain(["time".to_owned(), "value".to_owned()]))?;
    for (labels, points) in rows {
        // Names and values may be a process's own: what steers a terminal is escaped.
        let cells: Vec<String> = names.iter().map(|name| shown(labels.get(name))).collect();
        for point in points {
            let own = [point.at.to_string(), number(point.value)];
            writer.write_record(cells.iter().chain(&own))?;
        }
    }
    finish(writer)
}

fn finish(writer: csv::Writer<Vec<u8>>) -> Result<Vec<u8>, csv::Error> {
    writer.into_inner().map_err(|error| error.into_error().into())
}

#[cfg(test)]
mod tests {
    use highwater_core::time::WallTime;

    use super::*;

    #[test]
    fn a_row_has_every_label_and_is_quoted_where_it_must() {
        let point = |value| Point { at: WallTime::from_millis(1_500), value };
        let value = Value::Vector(vec![
            (Labels::new([("a", "x,\"y\""), ("b", "\x1b[31m")]), point(1.5)),
            (Labels::new([("c", "z")]), point(f64::NAN)),
        ]);
        let text = String::from_utf8(table(&value).unwrap()).unwrap();
        assert_eq!(
            text,
            "a,b,c,time,value\n\
             \"x,\"\"y\"\"\",\\x1b[31m,,1970-01-01T00:00:01.500Z,1.5\n\
             ,,z,1970-01-01T00:00:01.500Z,NaN\n"
        );
    }
}
