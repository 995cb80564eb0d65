//! What makes a course look like one: noise that was recorded, and noise that is made.

use super::draw::{Draw, real};

/// Recorded on a machine at work; see the README beside it.
const RECORDED: &str = include_str!("../../../../fixtures/growth/noise.txt");

/// How many samples in a row are taken from a recording at once: what follows upon what is kept.
const BLOCK: (f64, f64) = (8.0, 64.0);

/// Recordings, each of mean 0 and deviation 1.
#[derive(Debug)]
pub(super) struct Noise(Vec<Vec<f64>>);

impl Noise {
    /// Those beside this program.
    pub(super) fn recorded() -> Self {
        Self::parse(RECORDED)
    }

    /// A line each: a name, a colon, the values. Of those that hardly move there is nothing to learn.
    fn parse(text: &str) -> Self {
        let lines = text.lines().filter_map(|line| line.split_once(": "));
        Self(lines.filter_map(|(_, values)| normed(values)).collect())
    }

    /// So many values of mean 0, whose deviation is about `size`: white, slow, or recorded.
    pub(super) fn take(&self, draw: &mut Draw, count: usize, size: f64) -> Vec<f64> {
        let texture = draw.unit();
        let mut values = if texture < 0.3 {
            (0..count).map(|_| draw.normal()).collect()
        } else if texture < 0.55 {
            slow(draw, count)
        } else {
            self.bootstrap(draw, count)
        };
        for value in &mut values {
            *value *= size;
        }
        values
    }

    /// Blocks of one recording, in any order (Künsch, 1989).
    fn bootstrap(&self, draw: &mut Draw, count: usize) -> Vec<f64> {
        let which = draw.place(self.0.len());
        let Some(record) = self.0.get(which) else {
            return slow(draw, count);
        };
        let mut values = Vec::with_capacity(count);
        while values.len() < count {
            let block = super::draw::whole(draw.wide(BLOCK.0, BLOCK.1));
            let from = draw.place(record.len());
            values.extend(record.iter().cycle().skip(from).take(block.min(count - values.len())));
        }
        values
    }
}

/// Noise with a memory: an autoregression of the first order.
fn slow(draw: &mut Draw, count: usize) -> Vec<f64> {
    let keep = 1.0 - draw.wide(0.01, 0.6);
    let fresh = (1.0 - keep * keep).sqrt();
    let mut value = draw.normal();
    let mut next = || {
        value = keep * value + fresh * draw.normal();
        value
    };
    (0..count).map(|_| next()).collect()
}

/// A recording as deviations from its mean, in units of their size; outliers are cut at 4.
fn normed(values: &str) -> Option<Vec<f64>> {
    let values: Vec<f64> = values.split(' ').filter_map(|value| value.parse().ok()).collect();
    let count = real(values.len()).max(1.0);
    let mean = values.iter().sum::<f64>() / count;
    let size = (values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / count).sqrt();
    let usable = size > 0.0 && values.len() >= 100;
    usable.then(|| values.iter().map(|v| ((v - mean) / size).clamp(-4.0, 4.0)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recordings_are_there_and_normed() {
        let noise = Noise::recorded();
        assert!(noise.0.len() >= 6, "{}", noise.0.len());
        for record in &noise.0 {
            assert!(record.iter().all(|value| value.abs() <= 4.0));
        }
    }

    #[test]
    fn what_does_not_move_or_is_no_number_is_left_out() {
        let flat = format!("flat: {}", "7 ".repeat(200));
        assert!(Noise::parse(&flat).0.is_empty());
        assert!(Noise::parse("garbage\nx: a b c\n").0.is_empty());
    }

    #[test]
    fn as_many_as_asked_for_and_of_that_size() {
        for number in 0..20 {
            let values = Noise::recorded().take(&mut Draw::of(9, number), 5000, 0.5);
            assert_eq!(values.len(), 5000);
            let size = (values.iter().map(|v| v * v).sum::<f64>() / 5000.0).sqrt();
            assert!((0.2..0.9).contains(&size), "{size}");
        }
    }
}
