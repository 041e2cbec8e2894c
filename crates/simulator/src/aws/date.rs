//! Dates as AWS writes them.
//!
//! Owns: the basic (`20150830T123600Z`) and the extended form (`2015-08-30T12:36:00Z`) of a time in UTC. Leaves to
//! others: what time it is.
//!
//! **Invariant:** [`read_basic`] undoes [`basic`] from 1970 to 9999.

const DAY: u64 = 86_400;

/// Year, month and day of a number of days since 1970 (the proleptic Gregorian calendar, counted in eras of 400 years
/// that begin in March).
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let (era, year_of_era) = (year / 400, year % 400);
    let march_month = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * march_month + 2) / 5 + day - 1;
    (era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year)
        .saturating_sub(719_468)
}

/// `20150830T123600Z`, of seconds since 1970.
pub(crate) fn basic(seconds: u64) -> String {
    extended(seconds).chars().filter(|c| !matches!(c, '-' | ':')).collect()
}

/// `2015-08-30T12:36:00Z`, of seconds since 1970.
pub(crate) fn extended(seconds: u64) -> String {
    let (year, month, day) = civil(seconds / DAY);
    let (hour, minute, second) = (seconds % DAY / 3_600, seconds % 3_600 / 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Seconds since 1970 of `20150830T123600Z`.
pub(crate) fn read_basic(text: &str) -> Option<u64> {
    let number = |range: std::ops::Range<usize>| {
        let digits = text.get(range)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u64>().ok())?
    };
    let marks = text.len() == 16 && text.as_bytes().get(8) == Some(&b'T') && text.ends_with('Z');
    let (year, month, day) = (number(0..4)?, number(4..6)?, number(6..8)?);
    let (hour, minute, second) = (number(9..11)?, number(11..13)?, number(13..15)?);
    let good = marks
        && year >= 1970
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    good.then(|| days(year, month, day) * DAY + hour * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_and_read() {
        for (seconds, text) in [
            (0, "19700101T000000Z"),
            (1_440_938_160, "20150830T123600Z"),
            (951_782_400, "20000229T000000Z"),
            (4_102_444_799, "20991231T235959Z"),
        ] {
            assert_eq!(basic(seconds), text);
            assert_eq!(read_basic(text), Some(seconds), "{text}");
        }
        assert_eq!(extended(1_440_938_160), "2015-08-30T12:36:00Z");
        for text in ["", "20150830", "2015-08-30T12:36Z", "20151330T000000Z", "20150830T250000Z"] {
            assert_eq!(read_basic(text), None, "{text}");
        }
    }
}
