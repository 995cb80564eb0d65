//! What the numbers of `sar` and `vmstat` are called here.
//!
//! `node_exporter`'s names where it has one for the same thing, in its units. Rates and shares have
//! no such names: they are `sar_*` and `vmstat_*`.

use highwater_core::frame::MemInfo;
use highwater_core::metric::MetricKind;
use highwater_core::series::{Labels, NAME};
use highwater_core::thing::names::THINGS;

use crate::TooMuch;
use crate::desk::{Desk, Sink};

/// One number that is taken.
#[derive(Debug)]
pub(crate) struct Figure {
    /// Where it stands: a section of `sadf`; `vmstat` has none.
    pub(crate) section: &'static str,
    /// As the program writes it.
    pub(crate) key: &'static str,
    /// The metric.
    pub(crate) name: &'static str,
    /// What the number is multiplied by.
    pub(crate) scale: f64,
    /// One line of help; empty where the catalogue has it.
    pub(crate) help: &'static str,
    /// A label that tells it from others of the same metric.
    pub(crate) label: Option<(&'static str, &'static str)>,
}

impl Figure {
    /// A number of its own.
    pub(crate) const fn new(
        (section, key): (&'static str, &'static str),
        scale: f64,
        name: &'static str,
        help: &'static str,
    ) -> Self {
        Self { section, key, name, scale, help, label: None }
    }

    /// A processor's time in one mode, per cent.
    pub(crate) const fn mode(
        (section, key): (&'static str, &'static str),
        name: &'static str,
        mode: &'static str,
    ) -> Self {
        let help = "Processor time of all processors in this mode, in per cent.";
        Self { section, key, name, scale: 1.0, help, label: Some(("mode", mode)) }
    }

    /// Gives the series of this number with `more` labels.
    pub(crate) fn begin(
        &self,
        (desk, sink): (&mut Desk, Sink<'_>),
        line: u64,
        more: [(&str, &str); 2],
    ) -> Result<u32, TooMuch> {
        let own = [(NAME, self.name), self.label.unwrap_or_default()];
        let labels = Labels::new(own.into_iter().chain(more));
        desk.series(sink, line, (&labels, MetricKind::Gauge, self.help()))
    }

    fn help(&self) -> &'static str {
        if !self.help.is_empty() {
            return self.help;
        }
        let mem = MemInfo::KEYS.iter().map(|key| (key.metric, key.help));
        let things = THINGS.iter().map(|thing| (thing.name, thing.help));
        mem.chain(things).find_map(|(name, help)| (name == self.name).then_some(help)).unwrap_or("")
    }
}

/// The catalogue has the help.
pub(crate) const KNOWN: &str = "";

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    #[test]
    fn every_figure_has_help_and_a_place_of_its_own() {
        let all = || crate::sadf::figures().chain(crate::vmstat::FIGURES);
        let mut places = HashSet::new();
        for figure in all() {
            assert!(figure.help().ends_with('.'), "{}", figure.name);
            let place = (figure.section, figure.key, figure.name);
            assert!(places.insert(place), "{place:?} is there twice");
        }
    }
}
