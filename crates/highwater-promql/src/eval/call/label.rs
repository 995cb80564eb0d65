//! `label_replace` and `label_join`: series keep their values and get other labels.

use highwater_core::series::{Labels, NAME, Pattern};

use crate::error::Error;
use crate::eval::row::Row;
use crate::eval::{Evaluated, Evaluator, Grid, labels};
use crate::lex::Text;
use crate::plan::Node;

/// A label's value that a replacement may make: longer ones no store takes.
const MOST_VALUE_BYTES: usize = 64 << 10;

impl Evaluator<'_> {
    pub(super) fn label_replace(&mut self, args: &[Node], grid: Grid) -> Evaluated<Vec<Row>> {
        const WHERE: &str = "label_replace()";
        let [vector, dst, replacement, src, pattern] = args else {
            return Err(Error::execution("label_replace takes five arguments"));
        };
        let (replacement, src) = (&text(replacement)?.value, &text(src)?.value);
        let pattern = &text(pattern)?.value;
        let Ok(compiled) = Pattern::new(pattern) else {
            let text = format!("invalid regular expression in {WHERE}: {pattern}");
            return Err(Error::execution(text));
        };
        let dst = name(text(dst)?, "destination", WHERE)?;
        let mut rows = self.vector(vector, grid)?;
        for row in &mut rows {
            let Some(found) = compiled.regex().captures(row.labels.get(src)) else {
                continue;
            };
            let mut value = String::new();
            found.expand(replacement, &mut value);
            set(row, dst, value)?;
        }
        labels::merge(rows)
    }

    pub(super) fn label_join(&mut self, args: &[Node], grid: Grid) -> Evaluated<Vec<Row>> {
        const WHERE: &str = "label_join()";
        let [vector, dst, separator, sources @ ..] = args else {
            return Err(Error::execution("label_join takes at least three arguments"));
        };
        let mut names = Vec::with_capacity(sources.len());
        for source in sources {
            names.push(name(text(source)?, "source", WHERE)?);
        }
        let dst = name(text(dst)?, "destination", WHERE)?;
        let separator = &text(separator)?.value;
        let mut rows = self.vector(vector, grid)?;
        for row in &mut rows {
            let values: Vec<&str> = names.iter().map(|name| row.labels.get(name)).collect();
            let value = values.join(separator);
            set(row, dst, value)?;
        }
        labels::merge(rows)
    }
}

fn set(row: &mut Row, name: &str, value: String) -> Evaluated<()> {
    if value.len() > MOST_VALUE_BYTES {
        return Err(Error::execution(format!("label {name:?} would get a value that is too long")));
    }
    let mut labels: Labels = std::mem::take(&mut row.labels);
    labels.set(name, value);
    row.labels = labels;
    // Who names a series anew wants that name.
    if name == NAME {
        row.drops = false;
    }
    Ok(())
}

fn text(node: &Node) -> Evaluated<&Text> {
    node.text().ok_or_else(|| Error::execution("expected a string"))
}

/// A text as the name of a label: any that is not empty.
fn name<'a>(text: &'a Text, which: &str, place: &str) -> Evaluated<&'a str> {
    if text.value.is_empty() || text.broken.is_some() {
        let shown = text.broken.as_deref().unwrap_or_default().trim_matches('"');
        let text = format!("invalid {which} label name in {place}: {shown}");
        return Err(Error::execution(text));
    }
    Ok(&text.value)
}
