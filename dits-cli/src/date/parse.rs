//! The forms of a date that are read.

use jiff::civil::DateTime;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

use super::{DateError, Moment, minutes};

/// Reads `now`, `N units ago`, `@seconds +hhmm`, RFC 3339, RFC 2822, and a day with or without a time of day.
pub fn parse(text: &str, zone: &TimeZone, now: Moment) -> Result<Moment, DateError> {
    let text = text.trim();
    let found = relative(text, now)
        .or_else(|| unix(text))
        .or_else(|| rfc3339(text))
        .or_else(|| rfc2822::parse(text).ok().as_ref().map(of_zoned))
        .or_else(|| civil(text, zone))
        .ok_or_else(|| DateError::Unknown(text.to_owned()))?;
    match found.zoned() {
        Some(zoned) if (0..=9999).contains(&zoned.year()) => Ok(found),
        _ => Err(DateError::Range(text.to_owned())),
    }
}

fn of_zoned(zoned: &Zoned) -> Moment {
    Moment { seconds: zoned.timestamp().as_second(), offset: minutes(zoned.offset()) }
}

fn relative(text: &str, now: Moment) -> Option<Moment> {
    if text == "now" {
        return Some(now);
    }
    if text == "yesterday" {
        return Some(Moment { seconds: now.seconds - 86_400, ..now });
    }
    let words: Vec<&str> = text.split([' ', '.']).filter(|word| !word.is_empty()).collect();
    let [count, unit, "ago"] = words[..] else { return None };
    let unit = match unit.trim_end_matches('s') {
        "second" | "sec" => 1,
        "minute" | "min" => 60,
        "hour" => 3600,
        "day" => 86_400,
        "week" => 7 * 86_400,
        "month" => 30 * 86_400,
        "year" => 365 * 86_400,
        _ => return None,
    };
    let back = count.parse::<i64>().ok().filter(|count| *count >= 0)?.checked_mul(unit)?;
    Some(Moment { seconds: now.seconds.checked_sub(back)?, ..now })
}

/// git's own form; without `@` only where it cannot be a year or a compact day.
fn unix(text: &str) -> Option<Moment> {
    let (seconds, zone) = text.split_once(' ').map_or((text, None), |(seconds, zone)| (seconds, Some(zone.trim())));
    let digits = match seconds.strip_prefix('@') {
        Some(digits) => digits,
        None if seconds.len() >= 9 => seconds,
        None => return None,
    };
    let unsigned = digits.strip_prefix('-').unwrap_or(digits);
    if unsigned.is_empty() || !unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(Moment { seconds: digits.parse().ok()?, offset: zone.map_or(Some(0), offset)? })
}

/// `+hhmm`, `-hh:mm`, `Z`.
fn offset(text: &str) -> Option<i16> {
    if matches!(text, "Z" | "z" | "UTC" | "GMT") {
        return Some(0);
    }
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let digits = digits.replacen(':', "", 1);
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes): (i16, i16) = (digits[..2].parse().ok()?, digits[2..].parse().ok()?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

/// A time with a zone: RFC 3339, also with a space before the zone or in place of the `T`, also `+hhmm`.
fn rfc3339(text: &str) -> Option<Moment> {
    let at = text.rfind(['+', '-', 'Z', 'z', ' ']).filter(|at| *at > 10)?;
    let at = if text[at..].starts_with(' ') { at + 1 } else { at };
    let (local, zone) = (text[..at].trim_end(), offset(text[at..].trim())?);
    let local = civil_time(local)?;
    let utc: Timestamp = local.to_zoned(TimeZone::UTC).ok()?.timestamp();
    let utc = utc.checked_sub(SignedDuration::from_mins(zone.into())).ok()?;
    Some(Moment { seconds: utc.as_second(), offset: zone })
}

fn civil(text: &str, zone: &TimeZone) -> Option<Moment> {
    Some(of_zoned(&civil_time(text)?.to_zoned(zone.clone()).ok()?))
}

/// `YYYY-MM-DD`, alone or with `HH:MM` or `HH:MM:SS`.
fn civil_time(text: &str) -> Option<DateTime> {
    let shaped = text.as_bytes().get(4) == Some(&b'-') && text.as_bytes().get(7) == Some(&b'-');
    shaped.then(|| text.replacen(' ', "T", 1).parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment { seconds: 1_795_174_496, offset: 60 };

    fn berlin() -> TimeZone {
        TimeZone::get("Europe/Berlin").unwrap()
    }

    #[test]
    fn reads_every_form() {
        let moment = |seconds, offset| Moment { seconds, offset };
        let cases = [
            ("now", NOW),
            ("2 hours ago", moment(NOW.seconds - 7200, 60)),
            ("1.day.ago", moment(NOW.seconds - 86_400, 60)),
            ("@1795174496 +0100", moment(1_795_174_496, 60)),
            ("1795174496 -0330", moment(1_795_174_496, -210)),
            ("@0", moment(0, 0)),
            ("2026-11-20T12:34:56+01:00", moment(1_795_174_496, 60)),
            ("2026-11-20 12:34:56 +0100", moment(1_795_174_496, 60)),
            ("2026-11-20T11:34:56Z", moment(1_795_174_496, 0)),
            ("2026-11-20T12:34:56.789+01:00", moment(1_795_174_496, 60)),
            ("Fri, 20 Nov 2026 12:34:56 +0100", moment(1_795_174_496, 60)),
            ("2026-11-20 12:34:56", moment(1_795_174_496, 60)),
            ("2026-11-20 12:34", moment(1_795_174_440, 60)),
            ("2026-11-20", moment(1_795_129_200, 60)),
            ("2026-07-01 00:00", moment(1_782_856_800, 120)),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text, &berlin(), NOW), Ok(expected), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_date() {
        for text in [
            "",
            "tomorrowish",
            "2026",
            "2026-13-01",
            "12:34",
            "@",
            "@x",
            "@1 +9900",
            "2026-11-20T12:34:56+1",
            "-5 days ago",
        ] {
            assert!(matches!(parse(text, &berlin(), NOW), Err(DateError::Unknown(_))), "{text}");
        }
        for text in ["@999999999999999", "@-99999999999999"] {
            assert!(matches!(parse(text, &berlin(), NOW), Err(DateError::Range(_))), "{text}");
        }
    }
}
