//! The forms in which a date is shown.

use std::str::FromStr;

use super::{DateError, Moment};

/// A form, with git's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DateStyle {
    /// `Fri Nov 20 12:34:56 2026 +0100`.
    #[default]
    Default,
    /// `2026-11-20 12:34:56 +0100`.
    Iso,
    /// `2026-11-20T12:34:56+01:00`.
    IsoStrict,
    /// `Fri, 20 Nov 2026 12:34:56 +0100`.
    Rfc,
    /// `2026-11-20`.
    Short,
    /// `3 hours ago`.
    Relative,
    /// `1795174496`.
    Unix,
    /// `1795174496 +0100`.
    Raw,
}

impl FromStr for DateStyle {
    type Err = DateError;

    fn from_str(name: &str) -> Result<Self, DateError> {
        Ok(match name {
            "default" => Self::Default,
            "iso" | "iso8601" => Self::Iso,
            "iso-strict" | "iso8601-strict" => Self::IsoStrict,
            "rfc" | "rfc2822" => Self::Rfc,
            "short" => Self::Short,
            "relative" => Self::Relative,
            "unix" => Self::Unix,
            "raw" => Self::Raw,
            _ => return Err(DateError::Style(name.to_owned())),
        })
    }
}

impl Moment {
    /// The moment in its own zone; `now` is what a relative form counts from.
    #[must_use]
    pub fn format(self, style: DateStyle, now: Self) -> String {
        let pattern = match style {
            DateStyle::Relative => return relative(now.seconds.saturating_sub(self.seconds)),
            DateStyle::Unix => return self.seconds.to_string(),
            DateStyle::Raw => return format!("{} {}", self.seconds, offset(self.offset)),
            DateStyle::Default => "%a %b %-d %H:%M:%S %Y %z",
            DateStyle::Iso => "%Y-%m-%d %H:%M:%S %z",
            DateStyle::IsoStrict => "%Y-%m-%dT%H:%M:%S%:z",
            DateStyle::Rfc => "%a, %-d %b %Y %H:%M:%S %z",
            DateStyle::Short => "%Y-%m-%d",
        };
        // A commit can hold a moment beyond what a calendar has; its number says as much then.
        self.zoned().map_or_else(|| format!("@{}", self.seconds), |zoned| zoned.strftime(pattern).to_string())
    }
}

fn offset(minutes: i16) -> String {
    let sign = if minutes < 0 { '-' } else { '+' };
    let minutes = minutes.unsigned_abs();
    format!("{sign}{:02}{:02}", minutes / 60, minutes % 60)
}

/// How long ago, in the largest unit of which there are at least two, rounded.
fn relative(seconds: i64) -> String {
    if seconds < 0 {
        return "in the future".to_owned();
    }
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    let (unit, name) = match seconds {
        0..90 => (1, "second"),
        90..5400 => (MINUTE, "minute"),
        5400..129_600 => (HOUR, "hour"),
        129_600..1_209_600 => (DAY, "day"),
        1_209_600..6_048_000 => (7 * DAY, "week"),
        6_048_000..31_536_000 => (30 * DAY, "month"),
        _ => (365 * DAY, "year"),
    };
    let count = seconds.saturating_add(unit / 2) / unit;
    format!("{count} {name}{} ago", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    const THEN: Moment = Moment { seconds: 1_795_174_496, offset: 60 };

    #[test]
    fn every_style() {
        let cases = [
            ("default", "Fri Nov 20 12:34:56 2026 +0100"),
            ("iso", "2026-11-20 12:34:56 +0100"),
            ("iso-strict", "2026-11-20T12:34:56+01:00"),
            ("rfc", "Fri, 20 Nov 2026 12:34:56 +0100"),
            ("short", "2026-11-20"),
            ("relative", "2 hours ago"),
            ("unix", "1795174496"),
            ("raw", "1795174496 +0100"),
        ];
        let now = Moment { seconds: THEN.seconds + 7000, offset: 0 };
        for (name, expected) in cases {
            assert_eq!(THEN.format(name.parse().unwrap(), now), expected, "{name}");
        }
        assert!("nice".parse::<DateStyle>().is_err());
    }

    #[test]
    fn zones_behind_utc_and_moments_beyond_the_calendar() {
        let west = Moment { offset: -210, ..THEN };
        assert_eq!(west.format(DateStyle::Raw, THEN), "1795174496 -0330");
        assert_eq!(west.format(DateStyle::Iso, THEN), "2026-11-20 08:04:56 -0330");
        assert_eq!(Moment { seconds: i64::MAX, offset: 0 }.format(DateStyle::Default, THEN), format!("@{}", i64::MAX));
        assert!(!Moment { seconds: i64::MIN, offset: 0 }.format(DateStyle::Relative, THEN).is_empty());
    }

    #[test]
    fn how_long_ago() {
        let cases = [
            (0, "0 seconds ago"),
            (1, "1 second ago"),
            (89, "89 seconds ago"),
            (90, "2 minutes ago"),
            (3 * 3600, "3 hours ago"),
            (36 * 3600, "2 days ago"),
            (14 * 86_400, "2 weeks ago"),
            (90 * 86_400, "3 months ago"),
            (400 * 86_400, "1 year ago"),
            (-5, "in the future"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(relative(seconds), expected);
        }
    }
}
