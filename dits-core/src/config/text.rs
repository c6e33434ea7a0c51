//! Between the text of a configuration file and its keys.

use std::path::Path;

use toml_edit::{DocumentMut, Item, TableLike};

use super::{ConfigError, Value};

/// Parses a file's bytes.
pub(super) fn parse(path: &Path, bytes: Vec<u8>) -> Result<DocumentMut, ConfigError> {
    let text = String::from_utf8(bytes)
        .map_err(|error| ConfigError::NotUtf8 { file: path.to_owned(), valid: error.utf8_error().valid_up_to() })?;
    text.parse().map_err(|error: toml_edit::TomlError| {
        let what = error.to_string().trim_end().to_owned();
        ConfigError::Syntax { file: path.to_owned(), what }
    })
}

/// Every key with its value, in the order of the file. Tables of tables become longer keys.
pub(super) fn flatten(document: &DocumentMut) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    visit(document.as_table(), "", &mut |key, value| found.push((key, Value::of_toml(value))));
    found
}

// The parser bounds how deep tables nest, so this recursion is bounded too.
fn visit(table: &dyn TableLike, prefix: &str, found: &mut impl FnMut(String, &toml_edit::Value)) {
    for (name, item) in table.iter() {
        let key = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
        match item {
            Item::Value(toml_edit::Value::InlineTable(inner)) => visit(inner, &key, found),
            Item::Value(value) => found(key, value),
            Item::Table(inner) => visit(inner, &key, found),
            Item::ArrayOfTables(tables) => tables.iter().for_each(|inner| visit(inner, &key, found)),
            Item::None => {}
        }
    }
}

/// Whether the text can be a key: a section, a name, and perhaps something in between.
pub(super) fn is_key(key: &str) -> bool {
    let plain =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    let Some((section, rest)) = key.split_once('.') else { return false };
    let (between, name) = rest.rsplit_once('.').map_or((None, rest), |(between, name)| (Some(between), name));
    plain(section) && plain(name) && between.is_none_or(|text| !text.is_empty() && !text.contains(['\n', '\0']))
}

/// `remote.origin.url` as `remote`, `origin`, `url`. The middle may have dots of its own.
pub(super) fn parts(key: &str) -> Option<(&str, Option<&str>, &str)> {
    let (section, rest) = key.split_once('.')?;
    Some(match rest.rsplit_once('.') {
        Some((between, name)) => (section, Some(between), name),
        None => (section, None, rest),
    })
}

/// Whether two keys are one: section and name in any case, what is between exactly.
pub(super) fn same_key(a: &str, b: &str) -> bool {
    match (parts(a), parts(b)) {
        (Some(a), Some(b)) => a.0.eq_ignore_ascii_case(b.0) && a.1 == b.1 && a.2.eq_ignore_ascii_case(b.2),
        _ => a.eq_ignore_ascii_case(b),
    }
}
