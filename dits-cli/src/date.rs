//! Dates: reading what users and the environment give, and showing them as git does.
//!
//! The clock and the zone of this machine are read here and nowhere else.

use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Zoned};

mod format;
mod parse;

pub use format::DateStyle;

/// A moment, and the zone of whoever recorded it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub seconds: i64,
    /// Minutes that local time is ahead of UTC.
    pub offset: i16,
}

/// A date that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DateError {
    /// In none of the forms we know.
    #[error("`{0}` is not a date: write 2026-11-20 12:34, 2026-11-20T12:34:56+01:00 or @1795000000 +0100")]
    Unknown(String),
    /// A date whose year has more than four digits, or a zone over a day away.
    #[error("`{0}` is outside of the dates that can be recorded")]
    Range(String),
    /// A name of no style.
    #[error("`{0}` is not a date style: use default, iso, iso-strict, rfc, short, relative, unix or raw")]
    Style(String),
}

impl Moment {
    /// Now, in this machine's zone; or what `DITS_NOW` says.
    ///
    /// # Errors
    /// When that is no date.
    pub fn now(dits_now: Option<&str>) -> Result<Self, DateError> {
        let now = Zoned::now();
        let real = Self { seconds: now.timestamp().as_second(), offset: minutes(now.offset()) };
        dits_now.map_or(Ok(real), |text| parse::parse(text, &TimeZone::system(), real))
    }

    /// Reads a date; one without a zone is in this machine's.
    ///
    /// # Errors
    /// When it is in no form we know.
    pub fn parse(text: &str, now: Self) -> Result<Self, DateError> {
        parse::parse(text, &TimeZone::system(), now)
    }

    fn zoned(self) -> Option<Zoned> {
        let offset = Offset::from_seconds(i32::from(self.offset) * 60).ok()?;
        Some(Timestamp::from_second(self.seconds).ok()?.to_zoned(TimeZone::fixed(offset)))
    }
}

/// The offset in whole minutes; zones of the 19th century had seconds too.
fn minutes(offset: Offset) -> i16 {
    i16::try_from(offset.seconds() / 60).expect("an offset is less than 26 hours")
}
