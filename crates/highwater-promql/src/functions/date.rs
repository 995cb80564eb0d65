//! Parts of a date, in UTC, for any second that a number can name.

use crate::number::{count, items};

const DAY: i64 = 86_400;

/// The function called `name`; it takes seconds since the epoch.
pub(crate) fn of(name: &str) -> Option<fn(i64) -> f64> {
    Some(match name {
        "year" => year,
        "month" => |at| part(civil(at).month),
        "day_of_month" => |at| part(civil(at).day),
        "day_of_week" => |at| part(at.div_euclid(DAY).saturating_add(4).rem_euclid(7)),
        "day_of_year" => day_of_year,
        "days_in_month" => days_in_month,
        "hour" => |at| part(at.rem_euclid(DAY) / 3_600),
        "minute" => |at| part(at.rem_euclid(3_600) / 60),
        _ => return None,
    })
}

/// A date of the Gregorian calendar.
struct Civil {
    year: i64,
    month: i64,
    day: i64,
}

/// A small part as a number.
fn part(part: i64) -> f64 {
    count(usize::try_from(part).unwrap_or(0))
}

fn year(at: i64) -> f64 {
    // A year may be negative, and no larger than the second it is counted from.
    crate::number::seconds(civil(at).year.saturating_mul(1000))
}

fn days_in_month(at: i64) -> f64 {
    let Civil { year, month, .. } = civil(at);
    part(month_length(year, month))
}

fn day_of_year(at: i64) -> f64 {
    let Civil { year, month, day } = civil(at);
    let before: i64 = (1..month).map(|month| month_length(year, month)).sum();
    part(before.saturating_add(day))
}

const fn month_length(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The date of a second: years counted from March, so that the leap day is the last of one, in
/// eras of 400 years.
fn civil(at: i64) -> Civil {
    let days = at.div_euclid(DAY).saturating_add(719_468);
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let leaps = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leaps) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Civil { year, month, day }
}

/// A second of RFC 3339, as annotations name moments.
pub(crate) fn rfc_3339(ms: i64) -> String {
    let at = ms / 1000;
    let Civil { year, month, day } = civil(at);
    let (hour, minute) = (at.rem_euclid(DAY) / 3_600, at.rem_euclid(3_600) / 60);
    let second = items(part(at.rem_euclid(60)));
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(at: i64) -> Vec<f64> {
        let names = [
            "year",
            "month",
            "day_of_month",
            "day_of_week",
            "day_of_year",
            "days_in_month",
            "hour",
            "minute",
        ];
        names.iter().map(|name| of(name).unwrap()(at)).collect()
    }

    #[test]
    fn dates_have_their_parts() {
        assert_eq!(all(0), [1970.0, 1.0, 1.0, 4.0, 1.0, 31.0, 0.0, 0.0]);
        // 2016-02-29T17:04:59Z, a leap day and a Monday.
        assert_eq!(all(1_456_765_499), [2016.0, 2.0, 29.0, 1.0, 60.0, 29.0, 17.0, 4.0]);
        // 1969-12-31T23:59:59Z.
        assert_eq!(all(-1), [1969.0, 12.0, 31.0, 3.0, 365.0, 31.0, 23.0, 59.0]);
        assert_eq!(rfc_3339(1_456_765_499_000), "2016-02-29T17:04:59Z");
    }

    #[test]
    fn no_second_is_too_far() {
        for at in [i64::MIN, i64::MAX] {
            assert_eq!(all(at).len(), 8);
        }
    }
}
