//! A curve out of Braille dots: two across and four down in each character.

use std::time::Duration;

use highwater_core::series::Point;
use highwater_core::time::WallTime;

use super::paint::{BLUE, DIM, Page, put};
use super::wrap;

/// How high a curve is drawn, in lines.
const HEIGHT: usize = 8;

/// The width of the figures beside it.
pub(super) const SCALE: usize = 10;

/// The dots of a character, by column and from the top.
const DOTS: [[u32; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];

/// The empty Braille character.
const BLANK: u32 = 0x2800;

/// What a curve is drawn in: its times, and its lowest and highest values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) times: (WallTime, WallTime),
    pub(super) values: (f64, f64),
}

impl Frame {
    /// The one that `points` fill; none if nothing of them can be drawn.
    pub(super) fn around<'a>(points: impl IntoIterator<Item = &'a Point>) -> Option<Self> {
        let mut frame: Option<Self> = None;
        for point in points.into_iter().filter(|point| point.value.is_finite()) {
            let frame = frame.get_or_insert(Self {
                times: (point.at, point.at),
                values: (point.value, point.value),
            });
            frame.times = (frame.times.0.min(point.at), frame.times.1.max(point.at));
            frame.values = (frame.values.0.min(point.value), frame.values.1.max(point.value));
        }
        // What begins near nothing is drawn from nothing.
        frame.map(|frame| {
            let (low, top) = frame.values;
            let bottom = if low > 0.0 && low < top / 2.0 { 0.0 } else { low };
            Self { values: (bottom, top), ..frame }
        })
    }
}

/// A curve with its scale on the left and its times below; `said` writes a value. Points that are
/// farther apart than `gap` are not joined.
pub(super) fn framed(
    page: Page,
    points: &[Point],
    (frame, gap): (Frame, Duration),
    said: &dyn Fn(f64) -> String,
) -> String {
    let width = page.width.saturating_sub(SCALE + 3);
    let pieces = points.chunk_by(|a, b| b.at.since(a.at) <= gap);
    let dots: Vec<Point> = pieces.flat_map(|piece| dense(piece, frame, width * 2)).collect();
    let drawn = plot(&dots, frame, (width, HEIGHT));
    let mut out = String::new();
    for (at, line) in drawn.iter().enumerate() {
        let label = match at {
            0 => said(frame.values.1),
            _ if at + 1 == HEIGHT => said(frame.values.0),
            _ => String::new(),
        };
        let label = wrap::right(&label, SCALE);
        put(&mut out, &format!("{} {}\n", Page::paint(DIM, &label), Page::paint(BLUE, line)));
    }
    let (from, to) = (super::minute(frame.times.0), super::minute(frame.times.1));
    let gap = width.saturating_sub(wrap::width(&from) + wrap::width(&to)).max(1);
    let axis = format!("{}{from}{}{to}", " ".repeat(SCALE + 1), " ".repeat(gap));
    put(&mut out, &format!("{}\n", Page::paint(DIM, &wrap::cut(&axis, page.width))));
    out
}

/// Points close enough to each other for a line, on straight lines between those there are.
fn dense(points: &[Point], frame: Frame, columns: usize) -> Vec<Point> {
    let Some(last) = points.last() else { return Vec::new() };
    let columns = u32::try_from(columns).unwrap_or(1).max(1);
    let step = (frame.times.1.since(frame.times.0) / columns).max(Duration::from_millis(1));
    let mut out = Vec::new();
    for pair in points.windows(2) {
        let [a, b] = pair else { continue };
        let span = b.at.since(a.at).as_secs_f64();
        let mut at = a.at;
        while at < b.at {
            let share = if span > 0.0 { at.since(a.at).as_secs_f64() / span } else { 0.0 };
            out.push(Point { at, value: a.value + (b.value - a.value) * share });
            at = at.after(step);
        }
    }
    out.push(*last);
    out
}

/// `points` in `width` × `height` characters.
fn plot(points: &[Point], frame: Frame, (width, height): (usize, usize)) -> Vec<String> {
    let mut cells = vec![vec![BLANK; width]; height];
    let ((first, last), (bottom, top)) = (frame.times, frame.values);
    let span = last.since(first).as_secs_f64();
    let (columns, rows) = (width * 2, height * 4);
    for point in points.iter().filter(|point| point.value.is_finite()) {
        let across = if span > 0.0 { point.at.since(first).as_secs_f64() / span } else { 0.0 };
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
    use super::*;

    fn points(values: &[f64]) -> Vec<Point> {
        let at = |at: usize| WallTime::from_millis(i64::try_from(at).unwrap() * 1000);
        values.iter().enumerate().map(|(n, value)| Point { at: at(n), value: *value }).collect()
    }

    #[test]
    fn a_rise_goes_from_the_lower_left_to_the_upper_right() {
        let rise = points(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
        let drawn = plot(&rise, Frame::around(&rise).unwrap(), (4, 2));
        assert_eq!(drawn, ["⠀⠀⡠⠊", "⡠⠊⠀⠀"]);
    }

    #[test]
    fn nothing_and_nonsense_draw_blanks_or_stay_inside() {
        let wild = points(&[f64::NAN, f64::INFINITY, -5.0, 9e99]);
        let frame = Frame::around(&wild).unwrap();
        assert_eq!(plot(&[], frame, (3, 1)), ["⠀⠀⠀"]);
        let drawn = plot(&wild, frame, (3, 2));
        assert!(drawn.iter().all(|row| row.chars().count() == 3));
        assert!(Frame::around(&points(&[f64::NAN])).is_none());
    }

    #[test]
    fn a_gap_stays_a_gap() {
        let mut all = points(&[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]);
        all.drain(4..8);
        let frame = Frame::around(&all).unwrap();
        let page = Page { width: 60 };
        let flat = |gap| {
            let drawn = framed(page, &all, (frame, Duration::from_secs(gap)), &|v| v.to_string());
            drawn.chars().filter(|c| ('⠁'..='⣿').contains(c)).count()
        };
        assert!(flat(1) < flat(60) - 10, "{} {}", flat(1), flat(60));
    }
}
