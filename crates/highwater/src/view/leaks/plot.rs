//! A curve out of Braille dots: two across and four down in each character.

use highwater_core::series::Point;

/// The dots of a character, by column and from the top.
const DOTS: [[u32; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];

/// The empty Braille character.
const BLANK: u32 = 0x2800;

/// `points` over their time in `width` × `height` characters, from `bottom` to `top`.
pub(super) fn plot(
    points: &[Point],
    (bottom, top): (f64, f64),
    (width, height): (usize, usize),
) -> Vec<String> {
    let mut cells = vec![vec![BLANK; width]; height];
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return cells.into_iter().map(text).collect();
    };
    let span = last.at.since(first.at).as_secs_f64();
    let (columns, rows) = (width * 2, height * 4);
    for point in points {
        let across = if span > 0.0 { point.at.since(first.at).as_secs_f64() / span } else { 0.0 };
        let up = if top > bottom { (point.value - bottom) / (top - bottom) } else { 0.5 };
        let (x, y) = (place(across, columns), place(1.0 - up, rows));
        let cell = cells.get_mut(y / 4).and_then(|row| row.get_mut(x / 2));
        let dot = DOTS.get(x % 2).and_then(|column| column.get(y % 4));
        if let (Some(cell), Some(dot)) = (cell, dot) {
            *cell |= dot;
        }
    }
    cells.into_iter().map(text).collect()
}

/// Which of `count` places a share from 0 to 1 is at.
fn place(share: f64, count: usize) -> usize {
    let most = u32::try_from(count.saturating_sub(1)).unwrap_or(0);
    let at = highwater_core::units::Bytes::from_f64(share.clamp(0.0, 1.0) * f64::from(most));
    usize::try_from(at.get()).unwrap_or(0)
}

fn text(row: Vec<u32>) -> String {
    row.into_iter().filter_map(char::from_u32).collect()
}

#[cfg(test)]
mod tests {
    use highwater_core::time::WallTime;

    use super::*;

    fn points(values: &[f64]) -> Vec<Point> {
        let at = |at: usize| WallTime::from_millis(i64::try_from(at).unwrap() * 1000);
        values.iter().enumerate().map(|(n, value)| Point { at: at(n), value: *value }).collect()
    }

    #[test]
    fn a_rise_goes_from_the_lower_left_to_the_upper_right() {
        let rise = points(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
        let drawn = plot(&rise, (0.0, 7.0), (4, 2));
        assert_eq!(drawn, ["⠀⠀⡠⠊", "⡠⠊⠀⠀"]);
    }

    #[test]
    fn nothing_and_nonsense_draw_blanks_or_stay_inside() {
        assert_eq!(plot(&[], (0.0, 1.0), (3, 1)), ["⠀⠀⠀"]);
        let wild = points(&[f64::NAN, f64::INFINITY, -5.0, 9e99]);
        let drawn = plot(&wild, (0.0, 1.0), (3, 2));
        assert!(drawn.iter().all(|row| row.chars().count() == 3));
    }
}
