//! Bars and curves out of block characters.

use highwater_core::series::Point;
use highwater_core::units::Bytes;

const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// `part` of `whole` as a bar in `room` columns, to an eighth of one. What is there at all is
/// seen: the shortest bar is one eighth.
pub(crate) fn bar(part: Bytes, whole: Bytes, room: usize) -> String {
    let units = u128::try_from(room * 8).unwrap_or(0);
    let filled = u128::from(part.get()).saturating_mul(units).checked_div(whole.get().into());
    let least = u128::from(part > Bytes::ZERO);
    let filled = filled.unwrap_or(0).clamp(least, units);
    let filled = usize::try_from(filled).unwrap_or(0);
    let rest = EIGHTHS.get(filled % 8).copied().unwrap_or_default();
    let bar = format!("{}{rest}", "█".repeat(filled / 8));
    let drawn = filled.div_ceil(8);
    bar + &" ".repeat(room.saturating_sub(drawn))
}

/// A curve in `room` columns over the time of its points, from zero up to its highest point; a
/// column without a point repeats the one before it.
pub(crate) fn sparkline(points: &[Point], room: usize) -> String {
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return " ".repeat(room);
    };
    let span = last.at.since(first.at).as_millis().max(1);
    let columns = u128::try_from(room.saturating_sub(1)).unwrap_or(0);
    let mut heights: Vec<Option<f64>> = vec![None; room];
    for point in points {
        let at = point.at.since(first.at).as_millis().saturating_mul(columns) / span;
        if let Some(slot) = usize::try_from(at).ok().and_then(|at| heights.get_mut(at)) {
            *slot = Some(slot.map_or(point.value, |height| height.max(point.value)));
        }
    }
    let top = points.iter().fold(0.0_f64, |top, point| top.max(point.value));
    let mut before = first.value;
    heights
        .into_iter()
        .map(|height| {
            before = height.unwrap_or(before);
            level(before, top)
        })
        .collect()
}

fn level(value: f64, top: f64) -> char {
    let share = if top > 0.0 { value / top } else { 0.0 };
    // The highest point has the last level to itself.
    let at = Bytes::from_f64((share * 8.0).ceil() - 1.0).get();
    let at = usize::try_from(at).unwrap_or(0);
    LEVELS.get(at.min(LEVELS.len() - 1)).copied().unwrap_or('▁')
}

#[cfg(test)]
mod tests {
    use highwater_core::time::WallTime;

    use super::*;

    #[test]
    fn bars_are_as_long_as_their_share() {
        let bar = |part, whole| bar(Bytes::new(part), Bytes::new(whole), 4);
        assert_eq!(bar(100, 100), "████");
        assert_eq!(bar(50, 100), "██  ");
        assert_eq!(bar(1, 1_000_000), "▏   ");
        assert_eq!(bar(0, 100), "    ");
        assert_eq!(bar(7, 0), "▏   ");
        assert_eq!(bar(200, 100), "████");
    }

    #[test]
    fn curves_begin_at_zero() {
        let point = |s: i64, value| Point { at: WallTime::from_millis(s * 1000), value };
        assert_eq!(sparkline(&[point(0, 0.0), point(1, 4.0), point(2, 8.0)], 3), "▁▄█");
        assert_eq!(sparkline(&[point(0, 5.0), point(9, 5.0)], 3), "███");
        assert_eq!(sparkline(&[], 2), "  ");
        assert_eq!(sparkline(&[point(0, f64::NAN)], 1), "▁");
    }
}
