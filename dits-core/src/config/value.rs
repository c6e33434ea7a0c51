//! What a setting can be, and how texts are read as booleans, sizes and spans of time.

use std::fmt;
use std::time::Duration;

/// A value as TOML holds it. Anything TOML has beyond these is taken as its text.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A whole number.
    Int(i64),
    /// `true` or `false`.
    Bool(bool),
    /// Several.
    List(Vec<Value>),
}

impl Value {
    /// The value as a text; `None` for a list.
    #[must_use]
    pub fn to_text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Int(number) => Some(number.to_string()),
            Self::Bool(value) => Some(value.to_string()),
            Self::List(_) => None,
        }
    }

    /// The value as a list of texts: a single value is a list of one.
    #[must_use]
    pub fn to_list(&self) -> Vec<String> {
        match self {
            Self::List(values) => values.iter().map(ToString::to_string).collect(),
            single => vec![single.to_string()],
        }
    }

    pub(super) fn of_toml(value: &toml_edit::Value) -> Self {
        match value {
            toml_edit::Value::String(text) => Self::Text(text.value().clone()),
            toml_edit::Value::Integer(number) => Self::Int(*number.value()),
            toml_edit::Value::Boolean(value) => Self::Bool(*value.value()),
            toml_edit::Value::Array(values) => Self::List(values.iter().map(Self::of_toml).collect()),
            other => Self::Text(other.clone().decorated("", "").to_string()),
        }
    }

    pub(super) fn to_toml(&self) -> toml_edit::Value {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::Int(number) => (*number).into(),
            Self::Bool(value) => (*value).into(),
            Self::List(values) => values.iter().map(Self::to_toml).collect::<toml_edit::Array>().into(),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Int(number) => write!(f, "{number}"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::List(values) => {
                f.write_str("[")?;
                for (i, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
        }
    }
}

/// Reads `true`, `yes`, `on`, `1` and their opposites, in upper or lower case.
#[must_use]
pub fn parse_bool(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// Splits `14d` into 14 and `d`.
fn number_and_unit(text: &str) -> Option<(u64, String)> {
    let end = text.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    Some((digits.parse().ok()?, unit.trim().to_ascii_lowercase()))
}

/// Reads a size in bytes: a number and `K`, `M`, `G` or `T`, also written `KiB` or `kb`; all are powers of 1024.
#[must_use]
pub fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    let power = match unit.as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        _ => return None,
    };
    number.checked_mul(1 << (10 * power))
}

/// Reads a span of time: a number and `s`, `m`, `h`, `d` or `w`; `now` is none at all, `never` [`Duration::MAX`].
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    match text {
        "now" => return Some(Duration::ZERO),
        "never" => return Some(Duration::MAX),
        _ => {}
    }
    let (number, unit) = number_and_unit(text)?;
    let seconds = match unit.as_str() {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return None,
    };
    number.checked_mul(seconds).map(Duration::from_secs)
}
