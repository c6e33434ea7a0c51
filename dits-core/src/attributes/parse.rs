//! One file of attributes, taken apart.

use std::path::Path;
use std::sync::Arc;

use bstr::ByteSlice;

use super::{Assignment, Macros, State};
use crate::glob::PathPattern;
use crate::rules_file::{RulesError, lines};

#[derive(Debug)]
pub(super) struct Line {
    pub pattern: PathPattern,
    pub assignments: Arc<[Assignment]>,
}

/// Reads a whole file. Macros are allowed where `is_top`.
pub(super) fn file(source: &Path, content: &[u8], is_top: bool) -> Result<(Vec<Line>, Macros), RulesError> {
    let (mut rules, mut macros) = (Vec::new(), Macros::new());
    for (number, line) in lines(content) {
        let bad = |what: String| RulesError::Line { file: source.to_owned(), line: number, what };
        let line = line.trim_start_with(is_blank);
        if line.is_empty() || line[0] == b'#' {
            continue;
        }
        if let Some(definition) = line.strip_prefix(b"[attr]") {
            if !is_top {
                return Err(bad(
                    "macros are defined in the top folder's file only; move the `[attr]` line there".into()
                ));
            }
            let (name, body) = macro_definition(definition).map_err(bad)?;
            macros.insert(name, body);
        } else {
            rules.push(rule(line).map_err(bad)?);
        }
    }
    Ok((rules, macros))
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r')
}

fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| matches!(byte, b' ' | b'\t' | b'\r')).filter(|word| !word.is_empty())
}

fn macro_definition(text: &[u8]) -> Result<(Arc<str>, Arc<[Assignment]>), String> {
    let mut words = words(text);
    let name = words.next().ok_or("`[attr]` needs the name of a macro")?;
    Ok((attribute_name(name)?, assignments(words)?))
}

fn rule(line: &[u8]) -> Result<Line, String> {
    let (pattern, rest) = if line[0] == b'"' {
        unquote(line).ok_or("the quoted pattern is malformed; write `\\\"` and `\\\\` for a quote and a backslash")?
    } else {
        let end = line.iter().position(|b| is_blank(char::from(*b))).unwrap_or(line.len());
        (line[..end].to_vec(), &line[end..])
    };
    if pattern.first() == Some(&b'!') {
        return Err("a pattern cannot be negated here; write `\\!` for a name that begins with `!`".into());
    }
    Ok(Line { pattern: PathPattern::parse(&pattern), assignments: assignments(words(rest))? })
}

fn assignments<'a>(words: impl Iterator<Item = &'a [u8]>) -> Result<Arc<[Assignment]>, String> {
    words.map(assignment).collect()
}

fn assignment(word: &[u8]) -> Result<Assignment, String> {
    if let Some(name) = word.strip_prefix(b"-") {
        return Ok((attribute_name(name)?, Some(State::Unset)));
    }
    if let Some(name) = word.strip_prefix(b"!") {
        return Ok((attribute_name(name)?, None));
    }
    let Some((name, value)) = word.split_once_str("=") else {
        return Ok((attribute_name(word)?, Some(State::Set)));
    };
    let value = value.to_str().map_err(|_| format!("the value in `{}` is not UTF-8", word.as_bstr()))?;
    Ok((attribute_name(name)?, Some(State::Value(value.to_owned()))))
}

fn attribute_name(name: &[u8]) -> Result<Arc<str>, String> {
    let fine = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    match name.to_str() {
        Ok(text) if !name.is_empty() && name[0] != b'-' && name.iter().all(fine) => Ok(text.into()),
        _ => Err(format!("`{}` is not the name of an attribute: letters, digits, `-`, `_` and `.`", name.as_bstr())),
    }
}

/// A pattern in double quotes with C's escapes, and what follows it.
fn unquote(line: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut pattern = Vec::new();
    let mut rest = line.get(1..)?;
    loop {
        let (first, after) = rest.split_first()?;
        rest = after;
        match first {
            b'"' => break,
            b'\\' => {
                let (byte, after) = escape(rest)?;
                pattern.push(byte);
                rest = after;
            }
            byte => pattern.push(*byte),
        }
    }
    // What follows must be apart from the pattern.
    rest.first().is_none_or(|b| is_blank(char::from(*b))).then_some((pattern, rest))
}

fn escape(text: &[u8]) -> Option<(u8, &[u8])> {
    let (first, rest) = text.split_first()?;
    let byte = match first {
        b'a' => 7,
        b'b' => 8,
        b't' => b'\t',
        b'n' => b'\n',
        b'v' => 11,
        b'f' => 12,
        b'r' => b'\r',
        b'"' | b'\\' => *first,
        b'0'..=b'3' => {
            let digits = std::str::from_utf8(text.get(..3)?).ok()?;
            return Some((u8::from_str_radix(digits, 8).ok()?, &text[3..]));
        }
        _ => return None,
    };
    Some((byte, rest))
}
