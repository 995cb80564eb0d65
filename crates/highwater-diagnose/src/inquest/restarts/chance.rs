//! What a program that looks in only now and then can miss.

use std::time::Duration;

/// How often scrapers usually look: Prometheus' default is a minute, most set 15 or 30 s.
pub const SCRAPES: [Duration; 3] =
    [Duration::from_secs(15), Duration::from_secs(30), Duration::from_mins(1)];

/// The chance that none of the times down in `downs` was seen by a program that looks every
/// `interval`, each beginning at any moment between two looks: ∏ max(0, 1 − down ÷ interval).
pub fn to_miss(downs: &[Duration], interval: Duration) -> f64 {
    if interval.is_zero() {
        return if downs.is_empty() { 1.0 } else { 0.0 };
    }
    let whole = interval.as_secs_f64();
    downs.iter().map(|down| (1.0 - down.as_secs_f64() / whole).max(0.0)).product()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOWN: Duration = Duration::from_secs(15);

    #[test]
    fn eight_short_ends_escape_a_scraper_of_a_minute_one_time_in_ten() {
        let chance = to_miss(&[DOWN; 8], Duration::from_mins(1));
        assert!((chance - 0.100_113).abs() < 1e-6, "{chance}");
        assert!((to_miss(&[DOWN; 8], DOWN)).abs() < f64::EPSILON, "it looks in each time");
        assert!((to_miss(&[], Duration::from_mins(1)) - 1.0).abs() < f64::EPSILON);
        assert!((to_miss(&[Duration::from_hours(1), DOWN], Duration::from_mins(1))).abs() < 1e-12);
        assert!((to_miss(&[DOWN], Duration::ZERO)).abs() < f64::EPSILON);
    }

    /// Numbers that look random and are the same in each run (`SplitMix64`, Steele and others 2014).
    fn random(state: &mut u64) -> f64 {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        f64::from(u32::try_from((z ^ (z >> 31)) >> 32).unwrap()) / f64::from(u32::MAX)
    }

    /// An hour in which a service is down for `downs`, at moments of its own, and a scraper that
    /// begins at any moment and looks in every `interval` seconds. Whether it saw nothing.
    fn hour_goes_unseen(state: &mut u64, downs: &[f64], interval: f64) -> bool {
        let phase = random(state) * interval;
        let each = 3600.0 / f64::from(u32::try_from(downs.len()).unwrap());
        (0_u32..).zip(downs).all(|(at, down)| {
            let began = f64::from(at) * each + random(state) * interval;
            let next_look = ((began - phase) / interval).ceil() * interval + phase;
            next_look >= began + down
        })
    }

    /// The formula against the thing itself, for the case of the manual and for uneven ones.
    #[test]
    fn the_chance_is_what_a_simulation_finds() {
        const HOURS: u32 = 40_000;
        let cases: [(&[f64], f64); 4] = [
            (&[15.0; 8], 60.0),
            (&[15.0; 8], 30.0),
            (&[2.0, 7.0, 12.0, 1.0], 15.0),
            (&[0.4, 30.0, 5.0], 60.0),
        ];
        let mut state = 1;
        for (downs, interval) in cases {
            let unseen = (0..HOURS).filter(|_| hour_goes_unseen(&mut state, downs, interval));
            let found = f64::from(u32::try_from(unseen.count()).unwrap()) / f64::from(HOURS);
            let all: Vec<_> = downs.iter().map(|down| Duration::from_secs_f64(*down)).collect();
            let said = to_miss(&all, Duration::from_secs_f64(interval));
            // Five standard errors: the numbers are the same in each run, so it holds or does not.
            let error = 5.0 * (said * (1.0 - said) / f64::from(HOURS)).sqrt();
            assert!((found - said).abs() <= error, "{downs:?} {interval}: {found} and {said}");
        }
    }
}
