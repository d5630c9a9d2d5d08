//! Moments, in UTC, and the texts clients know them by. Nothing here reads a clock.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;

/// A moment: microseconds since 1970-01-01T00:00:00Z. Printed with seconds, as Nova shows `created` and `updated`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The text is no moment in any of the forms that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a date and time")]
pub struct NotATime;

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Timestamp = Timestamp(0);

    /// The moment this many microseconds after the epoch; what lies outside the years -9999 to 9999 becomes their end.
    pub fn from_microseconds(microseconds: i64) -> Timestamp {
        // Whole seconds: of its last second jiff reads no fraction.
        let (first, last) = (jiff::Timestamp::MIN.as_second(), jiff::Timestamp::MAX.as_second());
        Timestamp(microseconds.clamp(first * 1_000_000, last * 1_000_000))
    }

    /// Microseconds since the epoch, as a moment is stored.
    pub const fn microseconds(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, as tokens count time.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The moment this many seconds later (or earlier, if negative).
    pub fn plus_seconds(self, seconds: i64) -> Timestamp {
        Timestamp::from_microseconds(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }

    /// Like `2024-01-01T00:00:00.000000`: how Nova shows `OS-SRV-USG:launched_at` and other raw times.
    pub fn with_microseconds(self) -> impl fmt::Display {
        Precise { moment: self, zone: "" }
    }

    /// Like `2024-01-01T00:00:00.000000Z`: how Keystone shows `issued_at` and `expires_at`.
    pub fn in_keystones_form(self) -> impl fmt::Display {
        Precise { moment: self, zone: "Z" }
    }

    fn civil(self) -> DateTime {
        let moment = jiff::Timestamp::from_microsecond(self.0).expect("from_microseconds keeps to the range of jiff");
        Offset::UTC.to_datetime(moment)
    }

    /// Reads the ISO 8601 forms that `changes-since` and its like accept: the grammar of the Python package `iso8601`,
    /// on which Nova relies. A time without a zone is in UTC; missing parts are the smallest possible.
    ///
    /// # Errors
    /// `NotATime` for anything else, also for days which the calendar does not have.
    pub fn from_iso(text: &str) -> Result<Timestamp, NotATime> {
        Reader { rest: text.as_bytes() }.moment().ok_or(NotATime)
    }
}

fn write_seconds(civil: DateTime, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (date, time) = (civil.date(), civil.time());
    write!(f, "{:04}-{:02}-{:02}T", date.year(), date.month(), date.day())?;
    write!(f, "{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_seconds(self.civil(), f)?;
        f.write_str("Z")
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timestamp({})", self.in_keystones_form())
    }
}

impl FromStr for Timestamp {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Timestamp, NotATime> {
        Timestamp::from_iso(text)
    }
}

struct Precise {
    moment: Timestamp,
    zone: &'static str,
}

impl fmt::Display for Precise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let civil = self.moment.civil();
        write_seconds(civil, f)?;
        write!(f, ".{:06}{}", civil.subsec_nanosecond() / 1000, self.zone)
    }
}

/// Reads one moment from the left to the right.
struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn moment(mut self) -> Option<Timestamp> {
        let date = self.date()?;
        let mut time = Time::midnight();
        let mut offset_seconds = 0;
        if self.take(b'T') || self.take(b' ') {
            time = self.time()?;
            offset_seconds = self.offset_seconds()?;
        }
        if !self.rest.is_empty() {
            return None;
        }
        let moment = Offset::UTC.to_timestamp(date.to_datetime(time)).ok()?;
        Some(Timestamp::from_microseconds(moment.as_microsecond()).plus_seconds(-offset_seconds))
    }

    /// `2024`, `2024-1`, `2024-01-31`, `20240131`, but not `202401`, which could be read in two ways.
    fn date(&mut self) -> Option<Date> {
        let year = self.digits(4, 4)? as i16;
        if year == 0 {
            return None; // Python's calendar begins with the year 1
        }
        if self.rest.is_empty() {
            return Date::new(year, 1, 1).ok();
        }
        let dashed = self.take(b'-');
        let month = if dashed { self.digits(1, 2)? } else { self.digits(2, 2)? };
        if self.rest.is_empty() {
            return if dashed { Date::new(year, month as i8, 1).ok() } else { None };
        }
        let day = if self.take(b'-') { self.digits(1, 2)? } else { self.digits(2, 2)? };
        Date::new(year, month as i8, day as i8).ok()
    }

    /// `12`, `12:30`, `1230`, `12:30:59`, `12:30:59.25`, `12:30:59,25`; digits beyond the microsecond are dropped.
    fn time(&mut self) -> Option<Time> {
        let hour = self.digits(2, 2)?;
        let minute = if self.take(b':') || self.at_digit() { self.digits(2, 2)? } else { 0 };
        let second = if self.take(b':') || self.at_digit() { self.digits(1, 2)? } else { 0 };
        let nanosecond = if self.take(b'.') || self.take(b',') { self.fraction()? } else { 0 };
        Time::new(hour as i8, minute as i8, second as i8, nanosecond).ok()
    }

    /// Nanoseconds, whole microseconds only.
    fn fraction(&mut self) -> Option<i32> {
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let microseconds =
            (0..6).fold(0, |sum, at| sum * 10 + if at < digits { self.rest[at] - b'0' } else { 0 } as i32);
        self.rest = &self.rest[digits..];
        (digits > 0).then_some(microseconds * 1000)
    }

    /// Nothing or `Z` is UTC; else `+02:00`, `+0200` or `+02`.
    fn offset_seconds(&mut self) -> Option<i64> {
        if self.rest.is_empty() || self.take(b'Z') {
            return Some(0);
        }
        let sign = if self.take(b'-') { -1 } else { self.take(b'+').then_some(1)? };
        let hours = self.digits(2, 2)?;
        let minutes = if self.take(b':') || self.at_digit() { self.digits(2, 2)? } else { 0 };
        // An offset of a day or more is no offset to Python either.
        (hours < 24).then_some(sign * i64::from(hours * 60 + minutes) * 60)
    }

    fn take(&mut self, byte: u8) -> bool {
        let taken = self.rest.strip_prefix(&[byte]);
        self.rest = taken.unwrap_or(self.rest);
        taken.is_some()
    }

    fn at_digit(&self) -> bool {
        self.rest.first().is_some_and(u8::is_ascii_digit)
    }

    /// A number of at least `least` and at most `most` digits; `most` is small enough for any number to fit.
    fn digits(&mut self, least: usize, most: usize) -> Option<u16> {
        let count = self.rest.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
        if count < least {
            return None;
        }
        let (digits, rest) = self.rest.split_at(count);
        self.rest = rest;
        Some(digits.iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0')))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NEW_YEAR: Timestamp = Timestamp(1_704_067_200_000_000);

    #[test]
    fn a_moment_is_printed_in_three_forms() {
        assert_eq!(NEW_YEAR.to_string(), "2024-01-01T00:00:00Z");
        assert_eq!(NEW_YEAR.with_microseconds().to_string(), "2024-01-01T00:00:00.000000");
        assert_eq!(Timestamp(NEW_YEAR.0 + 42).in_keystones_form().to_string(), "2024-01-01T00:00:00.000042Z");
    }

    #[test]
    fn the_forms_of_iso_8601_mean_the_same_moment() {
        for text in [
            "2024",
            "2024-01",
            "2024-1-1",
            "20240101",
            "2024-01-01",
            "2024-01-01T00",
            "2024-01-01T00:00",
            "2024-01-01 00:00:00",
            "20240101T000000Z",
            "2024-01-01T00:00:00Z",
            "2024-01-01T00:00:00.000000",
            "2024-01-01T00:00:00,0Z",
            "2024-01-01T02:00:00+02:00",
            "2024-01-01T02:00:00+0200",
            "2023-12-31T22:30:00.0000009-01:30",
            "2024-01-01T02+02",
        ] {
            assert_eq!(Timestamp::from_iso(text), Ok(NEW_YEAR), "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "now",
            "202401",
            "2024-02-30",
            "2024-13-01",
            "2024-01-01T",
            "2024-01-01T25:00",
            "2024-01-01T00:00:00z",
            "2024-01-01T00:00:00.Z",
            "2024-01-01T00:00:00+",
            "2024-01-01T00:00:00Z ",
            "2024-01-01T00:61",
            "24-01-01",
            "é",
            "2024-01-01T00:00:00+24:00",
            "-2024",
            "2024-01-01x",
            "0000-01-01",
        ] {
            assert_eq!(Timestamp::from_iso(text), Err(NotATime), "{text}");
        }
    }

    #[test]
    fn a_moment_beyond_the_calendar_is_its_end() {
        assert!(Timestamp::from_microseconds(i64::MAX).to_string().starts_with("9999-12-30"));
        assert!(Timestamp::from_microseconds(i64::MIN).to_string().starts_with("-9999"));
        assert_eq!(NEW_YEAR.plus_seconds(i64::MAX), Timestamp::from_microseconds(i64::MAX));
    }

    proptest! {
        #[test]
        fn a_moment_survives_its_text(microseconds in -62_135_596_800_000_000i64..253_000_000_000_000_000) {
            let moment = Timestamp::from_microseconds(microseconds);
            prop_assert_eq!(Timestamp::from_iso(&moment.in_keystones_form().to_string()), Ok(moment));
            prop_assert_eq!(Timestamp::from_iso(&moment.with_microseconds().to_string()), Ok(moment));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "[0-9T:.,Z+ -]{0,30}|\\PC*") {
            let _ = Timestamp::from_iso(&text);
        }
    }
}
