//! Sizes, counts and durations for people.

use std::time::Duration;

/// A size with a binary unit and three or four digits: `812 B`, `16.0 KiB`, `1.23 GiB`.
#[must_use]
pub fn format_bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    // The unit moves up where the number would round to 1024.
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    match value {
        v if v < 9.995 => format!("{v:.2} {}", UNITS[unit]),
        v if v < 99.95 => format!("{v:.1} {}", UNITS[unit]),
        v => format!("{v:.0} {}", UNITS[unit]),
    }
}

/// A size with its exact bytes behind it: `1.23 GiB (1,320,702,444 bytes)`.
#[must_use]
pub fn format_bytes_exact(bytes: u64) -> String {
    match bytes {
        0..1024 => plural(bytes, "byte", "bytes"),
        _ => format!("{} ({} bytes)", format_bytes(bytes), format_count(bytes)),
    }
}

/// A number with a comma between groups of three digits.
#[must_use]
pub fn format_count(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A count with its noun: `1 file`, `2,000 files`.
#[must_use]
pub fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", format_count(count), if count == 1 { one } else { many })
}

/// `part` of `whole` in per cent: `61 %`, `0.4 %`; an empty whole is all done.
#[must_use]
pub fn format_percent(part: u64, whole: u64) -> String {
    let percent = if whole == 0 { 100.0 } else { part as f64 * 100.0 / whole as f64 };
    // Neither 0 nor 100 unless it is exactly that.
    match percent {
        p if part != 0 && p < 0.1 => "<0.1 %".to_owned(),
        p if part != 0 && p < 9.95 => format!("{p:.1} %"),
        p if part < whole && p >= 99.5 => format!("{:.1} %", p.min(99.9)),
        p => format!("{p:.0} %"),
    }
}

/// A duration like a stopwatch: `0:07`, `12:34`, `1:02:03`.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, minutes, seconds) => format!("{minutes}:{seconds:02}"),
        (hours, minutes, seconds) => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (16 << 10, "16.0 KiB"),
            (256 << 10, "256 KiB"),
            ((1 << 20) - 1, "1.00 MiB"),
            (1023 << 10, "1023 KiB"),
            (5 << 30, "5.00 GiB"),
            (u64::MAX, "16.0 EiB"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(format_bytes(bytes), expected);
        }
        assert_eq!(format_bytes_exact(1), "1 byte");
        assert_eq!(format_bytes_exact(1536), "1.50 KiB (1,536 bytes)");
    }

    #[test]
    fn counts() {
        for (count, expected) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(format_count(count), expected);
        }
        assert_eq!(plural(1, "file", "files"), "1 file");
        assert_eq!(plural(2000, "file", "files"), "2,000 files");
    }

    #[test]
    fn per_cent_is_never_rounded_to_nothing_or_all() {
        let cases = [
            (0, 10, "0 %"),
            (1, 1_000_000, "<0.1 %"),
            (61, 100, "61 %"),
            (999_999, 1_000_000, "99.9 %"),
            (7, 7, "100 %"),
            (0, 0, "100 %"),
        ];
        for (part, whole, expected) in cases {
            assert_eq!(format_percent(part, whole), expected);
        }
    }

    #[test]
    fn durations() {
        for (seconds, expected) in [(7, "0:07"), (754, "12:34"), (3723, "1:02:03")] {
            assert_eq!(format_duration(Duration::from_secs(seconds)), expected);
        }
    }
}
