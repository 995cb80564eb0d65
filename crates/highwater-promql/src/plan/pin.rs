//! The same query at a fixed moment.

use super::{At, Kind, Node, When};

impl Node {
    /// Sets `@ at` on every selector and subquery that has none. What stands inside a subquery
    /// depends on that one's.
    pub(crate) fn pin(&mut self, at: i64) {
        match &mut self.kind {
            Kind::Number(_) | Kind::Text(_) => {}
            Kind::Select(selector) | Kind::Window(selector, _) => fix(&mut selector.when, at),
            Kind::Subquery(subquery) => fix(&mut subquery.when, at),
            Kind::Call(call) => call.args.iter_mut().for_each(|arg| arg.pin(at)),
            Kind::Aggregate(a) => {
                a.param.iter_mut().for_each(|param| param.pin(at));
                a.inner.pin(at);
            }
            Kind::Binary(binary) => {
                binary.lhs.pin(at);
                binary.rhs.pin(at);
            }
            Kind::Negate(inner) | Kind::Paren(inner) => inner.pin(at),
        }
    }
}

fn fix(when: &mut When, at: i64) {
    when.at = when.at.or(Some(At::Moment(at)));
}
