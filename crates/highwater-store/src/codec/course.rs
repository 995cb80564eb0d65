//! The course of one series: its integers, each told by how far it is from what was expected.
//!
//! ```text
//! integers ─ expectation ─ what is left ─┬─ odds that learn (`coin`)     short stretches
//!                                        ├─ steps: where it changed      hardly ever changes
//!                                        └─ pco                          long stretches
//! ```
//!
//! Several expectations are tried and the one that leaves the fewest bytes is kept.

use std::io;
use std::ops::Range;

use pco::wrapped::{FileCompressor, FileDecompressor};
use pco::{ChunkConfig, DeltaSpec};

use super::coin::{Coin, Minter, Odds, Reader};
use super::number::{Bytes, length, put_varint, zigzag};
use super::pages;
use crate::tick::Damage;

/// How the integers of a series are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// All are the least one. Nothing is written.
    Constant,
    /// As expected of something that stays where it is.
    Still,
    /// … of something that goes on as it went from the last but one to the last.
    Onward,
    /// … of something that rises evenly from the least to the greatest.
    Even,
    /// … of something that keeps returning to a level.
    Level,
    /// … of something that goes on at its usual pace.
    Pace,
    /// Where it changes, and by how much.
    Steps,
    /// By pco.
    Pco,
    /// By pco, in pages that are read apart.
    Pages,
}

/// The expectations, in the order of being tried.
const TRIED: [Shape; 5] = [Shape::Still, Shape::Onward, Shape::Even, Shape::Level, Shape::Pace];

/// Up to here the odds are tried as well as pco: they are smaller on short stretches, and a
/// tenth as quick to read.
const SHORT: usize = 2048;

/// Up to here they are where speed counts more: what pco tells of itself takes longer to read.
const SHORTEST: usize = 64;

/// Steps are tried if no more than one value in so many changes.
const RARELY: usize = 32;

/// The other expectations are not tried if no more than one value in so many changes.
const MOSTLY: usize = 4;

/// What counts most when a series is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    /// That it is small: it is read once or twice.
    Size,
    /// That it is small, and quick to read where it is long.
    Both,
    /// That it is quick to read: many of them are read at once.
    Speed,
}

impl Aim {
    /// So many integers may be written by odds.
    fn odds(self) -> usize {
        match self {
            Self::Size => usize::MAX,
            Self::Both => SHORT,
            Self::Speed => SHORTEST,
        }
    }
}

impl Shape {
    /// The number that is written.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Constant => 0,
            Self::Still => 1,
            Self::Onward => 2,
            Self::Even => 3,
            Self::Level => 4,
            Self::Pace => 5,
            Self::Steps => 6,
            Self::Pco => 7,
            Self::Pages => 8,
        }
    }

    /// The shape of this number.
    pub(crate) fn of_code(code: u8) -> Option<Self> {
        const ALL: [Shape; 9] = [
            Shape::Constant,
            Shape::Still,
            Shape::Onward,
            Shape::Even,
            Shape::Level,
            Shape::Pace,
            Shape::Steps,
            Shape::Pco,
            Shape::Pages,
        ];
        ALL.get(usize::from(code)).copied()
    }
}

/// What is known of a course before its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// How many integers there are.
    pub count: usize,
    /// The least of them.
    pub least: i64,
    /// The greatest less the least.
    pub span: u64,
}

impl Frame {
    /// The frame of these integers.
    pub(crate) fn of(numbers: &[i64]) -> Self {
        let least = numbers.iter().copied().min().unwrap_or(0);
        let most = numbers.iter().copied().max().unwrap_or(0);
        Self { count: numbers.len(), least, span: most.wrapping_sub(least).cast_unsigned() }
    }

    fn even_pace(self) -> i64 {
        let steps = length(self.count.saturating_sub(1)).max(1);
        (self.span / steps).cast_signed()
    }
}

/// Writes courses, one after the other, in the same buffers.
#[derive(Debug, Default)]
pub(crate) struct CourseWriter {
    trial: Vec<u8>,
}

impl CourseWriter {
    /// Appends the course of `numbers`, which are not all the same, in as few bytes as any shape
    /// takes that suits the `aim`.
    pub(crate) fn put(
        &mut self,
        numbers: &[i64],
        frame: Frame,
        aim: Aim,
        out: &mut Vec<u8>,
    ) -> Shape {
        let start = out.len();
        let (mut best, quick) = (None, aim != Aim::Size);
        if numbers.len() <= aim.odds() {
            let shape = likeliest(numbers, frame);
            self.trial.clear();
            put_expected(numbers, frame, shape, &mut self.trial);
            self.keep_shorter(&mut best, shape, start, out);
        }
        if quick && changes(numbers) <= numbers.len() / RARELY {
            self.trial.clear();
            put_steps(numbers, frame, &mut self.trial);
            self.keep_shorter(&mut best, Shape::Steps, start, out);
        }
        self.trial.clear();
        if quick && pages::suit(numbers.len()) {
            if pages::put(numbers, &mut self.trial).is_ok() {
                self.keep_shorter(&mut best, Shape::Pages, start, out);
            }
        } else if quick && put_pco(numbers, &mut self.trial).is_ok() {
            self.keep_shorter(&mut best, Shape::Pco, start, out);
        }
        best.unwrap_or_else(|| {
            put_expected(numbers, frame, Shape::Still, out);
            Shape::Still
        })
    }

    fn keep_shorter(
        &self,
        best: &mut Option<Shape>,
        shape: Shape,
        start: usize,
        out: &mut Vec<u8>,
    ) {
        if best.is_none() || self.trial.len() < out.len().saturating_sub(start) {
            out.truncate(start);
            out.extend_from_slice(&self.trial);
            *best = Some(shape);
        }
    }
}

/// Reads a course into `numbers`, whose room is reused. Total over any bytes.
pub(crate) fn take(
    bytes: &[u8],
    shape: Shape,
    frame: Frame,
    numbers: &mut Vec<i64>,
) -> Result<(), Damage> {
    take_within(bytes, shape, frame, &(0..frame.count), numbers).map(drop)
}

/// Reads of a course what has those numbers that are `within`, as little as its shape permits, and
/// says which numbers these are. Total over any bytes.
pub(crate) fn take_within(
    bytes: &[u8],
    shape: Shape,
    frame: Frame,
    within: &Range<usize>,
    numbers: &mut Vec<i64>,
) -> Result<Range<usize>, Damage> {
    numbers.clear();
    match shape {
        Shape::Pages => return pages::take(bytes, frame.count, within, numbers),
        Shape::Constant => numbers.resize(frame.count, frame.least),
        Shape::Steps => take_steps(bytes, frame, numbers).ok_or(Damage::Body)?,
        Shape::Pco => {
            numbers.resize(frame.count, 0);
            take_pco(bytes, numbers)?;
        }
        _ => walk(&mut Reader::new(bytes), shape, frame, numbers),
    }
    Ok(0..numbers.len())
}

/// The expectation that leaves the fewest bits. To write all five and compare would save a few
/// thousandths of the bytes, for four times the work.
fn likeliest(numbers: &[i64], frame: Frame) -> Shape {
    // What rests most of the time is best told by its moves.
    if changes(numbers) <= numbers.len() / MOSTLY {
        return Shape::Still;
    }
    let cost = |shape: &Shape| {
        let mut guess = Guess::new(*shape, frame);
        let (first, rest) = numbers.split_first().unwrap_or((&0, &[]));
        guess.learn(*first);
        let left = |number: &i64| {
            let left = number.wrapping_sub(guess.next).unsigned_abs();
            guess.learn(*number);
            u64::from(bits(left)) + u64::from(left != 0)
        };
        rest.iter().map(left).sum::<u64>()
    };
    TRIED.into_iter().min_by_key(cost).unwrap_or(Shape::Still)
}

/// How often the next integer is another.
fn changes(numbers: &[i64]) -> usize {
    let pairs = numbers.iter().zip(numbers.iter().skip(1));
    pairs.map(|(a, b)| usize::from(a != b)).sum()
}

fn put_expected(numbers: &[i64], frame: Frame, shape: Shape, out: &mut Vec<u8>) {
    let mut coin = Minter::new(out);
    let (mut guess, mut model) = (Guess::new(shape, frame), Model::new(frame));
    let mut rest = numbers.iter().copied();
    if let Some(first) = rest.next() {
        model.first(&mut coin, first, frame);
        guess.learn(first);
    }
    for number in rest {
        model.residue(&mut coin, number.wrapping_sub(guess.next));
        guess.learn(number);
    }
    coin.finish();
}

fn walk(coin: &mut Reader<'_>, shape: Shape, frame: Frame, numbers: &mut Vec<i64>) {
    let (mut guess, mut model) = (Guess::new(shape, frame), Model::new(frame));
    for at in 0..frame.count {
        let number = match at {
            0 => model.first(coin, 0, frame),
            _ => guess.next.wrapping_add(model.residue(coin, 0)),
        };
        guess.learn(number);
        numbers.push(number);
    }
}

/// What the next integer is expected to be.
#[derive(Debug)]
struct Guess {
    shape: Shape,
    next: i64,
    last: Option<i64>,
    /// Of `Even` and `Pace` the pace, of `Level` the level; both eightfold where they learn.
    usual: i64,
}

impl Guess {
    fn new(shape: Shape, frame: Frame) -> Self {
        let usual = if shape == Shape::Even { frame.even_pace() } else { 0 };
        Self { shape, next: 0, last: None, usual }
    }

    fn learn(&mut self, number: i64) {
        let step = self.last.map(|last| number.wrapping_sub(last));
        self.last = Some(number);
        self.next = match self.shape {
            Shape::Onward => number.wrapping_add(step.unwrap_or(0)),
            Shape::Even => number.wrapping_add(self.usual),
            Shape::Level => {
                self.usual = match step {
                    None => number.wrapping_mul(8),
                    Some(_) => self.usual.wrapping_add(number.wrapping_sub(self.usual >> 3)),
                };
                self.usual >> 3
            }
            Shape::Pace => {
                match (step, self.usual) {
                    (None, _) => {}
                    (Some(step), 0) => self.usual = step.wrapping_mul(8),
                    (Some(step), usual) => {
                        self.usual = usual.wrapping_add(step.wrapping_sub(usual >> 3));
                    }
                }
                number.wrapping_add(self.usual >> 3)
            }
            _ => number,
        };
    }
}

/// The odds of what is left after the guess.
#[derive(Debug)]
struct Model {
    /// The bit lengths of the last two.
    sizes: (u32, u32),
    /// The usual bit length of those that are not 0, eightfold.
    usual: u32,
    negative: usize,
    zero: [Odds; 16],
    sign: [Odds; 3],
    same: [Odds; 4],
    up: Odds,
    far: [[Odds; 6]; 2],
    top: [Odds; 16],
    ends: [Odds; 2],
}

/// How much the odds at the start of a course are worth.
const TAUGHT: u8 = 6;

/// The odds at the start of a course: what the memory of busy machines taught, in 65,536ths.
const ZERO: [Odds; 16] = taught([
    6_500, 14_000, 19_700, 19_000, 16_500, 20_300, 32_000, 40_000, 22_600, 33_000, 31_400, 44_000,
    27_000, 41_000, 50_000, 55_000,
]);
const SIGN: [Odds; 3] = taught([27_000, 19_000, 36_000]);
const SAME: [Odds; 4] = taught([11_700, 16_700, 14_500, 16_800]);
const UP: Odds = Odds::new(31_000, TAUGHT);
const DOWN_FAR: [Odds; 6] = taught([46_000, 46_000, 46_000, 49_600, 49_600, 49_600]);
const UP_FAR: [Odds; 6] = taught([43_000, 43_000, 43_000, 49_300, 49_300, 49_300]);
const TOP: [Odds; 16] = [Odds::new(25_000, TAUGHT); 16];
const ENDS: [Odds; 2] = taught([43_200, 43_200]);

#[expect(clippy::indexing_slicing, reason = "below N, and worked out by the compiler")]
const fn taught<const N: usize>(chances: [u16; N]) -> [Odds; N] {
    let (mut odds, mut at) = ([Odds::new(0, TAUGHT); N], 0);
    while at < N {
        odds[at] = Odds::new(chances[at], TAUGHT);
        at += 1;
    }
    odds
}

impl Model {
    fn new(frame: Frame) -> Self {
        let size = bits(frame.span).saturating_sub(3).max(1);
        Self {
            sizes: (size, size),
            usual: 8 * size,
            negative: 0,
            zero: ZERO,
            sign: SIGN,
            same: SAME,
            up: UP,
            far: [DOWN_FAR, UP_FAR],
            top: TOP,
            ends: ENDS,
        }
    }

    /// The first integer, which often is the least (a counter's) or the greatest.
    fn first(&mut self, coin: &mut impl Coin, number: i64, frame: Frame) -> i64 {
        let above = number.wrapping_sub(frame.least).cast_unsigned();
        let [least, most] = &mut self.ends;
        let above = if coin.toss(least, above == 0) {
            0
        } else if coin.toss(most, above == frame.span) {
            frame.span
        } else {
            coin.plain(above, bits(frame.span))
        };
        frame.least.wrapping_add(above.cast_signed())
    }

    fn residue(&mut self, coin: &mut impl Coin, number: i64) -> i64 {
        let context = self.sizes.0.min(3) * 4 + self.sizes.1.min(3);
        if !coin.toss(pick(&mut self.zero, context), number != 0) {
            self.sizes = (0, self.sizes.0);
            return 0;
        }
        let sign = pick_at(&mut self.sign, self.negative);
        let negative = coin.toss(sign, number < 0);
        self.negative = if negative { 2 } else { 1 };
        let size = self.size_of(coin, bits(number.unsigned_abs()));
        let amount = self.amount(coin, number.unsigned_abs(), size);
        self.sizes = (size, self.sizes.0);
        self.usual = self.usual + 2 * size - self.usual / 4;
        let amount = amount.cast_signed();
        if negative { amount.wrapping_neg() } else { amount }
    }

    /// The bit length, 1 to 64, by how far it is from the usual one.
    fn size_of(&mut self, coin: &mut impl Coin, size: u32) -> u32 {
        let usual = ((self.usual + 4) / 8).clamp(1, 64);
        let context = u32::from(self.sizes.0 == 0) * 2 + u32::from(self.sizes.1 == 0);
        if coin.toss(pick(&mut self.same, context), size == usual) {
            return usual;
        }
        let up = usual <= 1 || (usual < 64 && coin.toss(&mut self.up, size > usual));
        let room = if up { 64 - usual } else { usual - 1 };
        let away = size.abs_diff(usual);
        let odds = pick_at(&mut self.far, usize::from(up));
        let mut told = 1;
        while told < room && coin.toss(pick(odds, (told - 1).min(5)), away > told) {
            told += 1;
        }
        if up { usual + told } else { usual - told }
    }

    /// A number of this bit length: its leading 1 is known, the bit behind it has odds.
    fn amount(&mut self, coin: &mut impl Coin, amount: u64, size: u32) -> u64 {
        if size < 2 {
            return 1;
        }
        let second = amount >> (size - 2) & 1 == 1;
        let second = coin.toss(pick(&mut self.top, size.min(15)), second);
        let lead = 2 | u64::from(second);
        lead << (size - 2) | coin.plain(amount, size - 2)
    }
}

/// The bit length of a number: 0 of 0, 64 of the greatest.
fn bits(number: u64) -> u32 {
    u64::BITS - number.leading_zeros()
}

fn pick<T, const N: usize>(among: &mut [T; N], at: u32) -> &mut T {
    pick_at(among, usize::try_from(at).unwrap_or(usize::MAX))
}

fn pick_at<T, const N: usize>(among: &mut [T; N], at: usize) -> &mut T {
    const { assert!(N > 0, "there is something to pick") };
    let at = at.min(N - 1);
    #[expect(clippy::indexing_slicing, reason = "at is less than N")]
    &mut among[at]
}

fn put_steps(numbers: &[i64], frame: Frame, out: &mut Vec<u8>) {
    let mut rest = numbers.iter().copied();
    let mut last = rest.next().unwrap_or(0);
    put_varint(out, last.wrapping_sub(frame.least).cast_unsigned());
    let mut stayed = 1;
    for number in rest {
        if number == last {
            stayed += 1;
            continue;
        }
        put_varint(out, stayed);
        put_varint(out, zigzag(number.wrapping_sub(last)));
        (last, stayed) = (number, 1);
    }
}

fn take_steps(bytes: &[u8], frame: Frame, numbers: &mut Vec<i64>) -> Option<()> {
    let mut from = Bytes(bytes);
    let mut last = frame.least.wrapping_add(from.varint()?.cast_signed());
    while !from.0.is_empty() {
        let until = numbers.len().checked_add(from.count()?)?;
        if until > frame.count {
            return None;
        }
        numbers.resize(until, last);
        last = last.wrapping_add(from.signed()?);
    }
    numbers.resize(frame.count, last);
    Some(())
}

/// pco's own kinds of expectation, none of which is the best of all series.
fn put_pco(numbers: &[i64], out: &mut Vec<u8>) -> io::Result<()> {
    let config = ChunkConfig::default().with_delta_spec(DeltaSpec::Auto);
    let file = FileCompressor::default();
    file.write_header(&mut *out).map_err(io::Error::other)?;
    let mut chunk = file.chunk_compressor(numbers, &config).map_err(io::Error::other)?;
    chunk.write_meta(&mut *out).map_err(io::Error::other)?;
    chunk.write_page(0, &mut *out).map_err(io::Error::other)?;
    Ok(())
}

fn take_pco(bytes: &[u8], numbers: &mut [i64]) -> Result<(), Damage> {
    let damage = |_| Damage::Packing;
    let (file, rest) = FileDecompressor::new(bytes).map_err(damage)?;
    let (mut chunk, rest) = file.chunk_decompressor::<i64, _>(rest).map_err(damage)?;
    let mut page = chunk.page_decompressor(rest, numbers.len()).map_err(damage)?;
    let progress = page.read(numbers).map_err(damage)?;
    if progress.finished { Ok(()) } else { Err(Damage::Packing) }
}
