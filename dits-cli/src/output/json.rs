//! The JSON form of everything: one object `{"schema":1,"command":"…",…}` per run, or per line where a command
//! documents a stream. `docs/json.md` describes it.

use std::io::{self, Write};

use serde::{Serialize, Serializer};

use super::Output;
use crate::error::CliError;

/// The version of all JSON output. Fields may be added under the same number; it grows when one changes or goes.
pub const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Envelope<'a, T> {
    schema: u32,
    command: &'a str,
    #[serde(flatten)]
    body: &'a T,
}

impl Output {
    /// Writes the answer of `command`: `body`, a struct or a map, in the envelope. Over several lines if a person
    /// watches, else on one.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn json<T: Serialize>(&self, command: &str, body: &T) -> Result<(), CliError> {
        let pretty = self.is_terminal();
        self.io(|writer| write_object(writer, command, body, pretty))
    }

    /// Writes one line of a stream of such objects.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn json_line<T: Serialize>(&self, command: &str, body: &T) -> Result<(), CliError> {
        self.io(|writer| write_object(writer, command, body, false))
    }
}

fn write_object<T: Serialize>(writer: &mut dyn Write, command: &str, body: &T, pretty: bool) -> io::Result<()> {
    let envelope = Envelope { schema: SCHEMA, command, body };
    let text = if pretty { serde_json::to_vec_pretty(&envelope) } else { serde_json::to_vec(&envelope) }?;
    writer.write_all(&text)?;
    writer.write_all(b"\n")
}

/// A path, or other raw bytes, in JSON: a string where the bytes are UTF-8, else `{"hex":"…"}`, so that nothing is
/// lost and nothing ambiguous.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Hex {
            hex: String,
        }
        match str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => Hex { hex: self.0.iter().map(|byte| format!("{byte:02x}")).collect() }.serialize(serializer),
        }
    }
}

impl From<&dits_core::path::RepoPath> for Bytes {
    fn from(path: &dits_core::path::RepoPath) -> Self {
        Self(path.as_bytes().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Answer {
        paths: Vec<Bytes>,
    }

    #[test]
    fn an_answer_is_one_object_in_the_envelope() {
        let out = Output::memory(false);
        out.json("status", &Answer { paths: vec![Bytes(b"a".to_vec()), Bytes(b"\xff".to_vec())] }).unwrap();
        insta::assert_snapshot!(out.written(), @r#"{"schema":1,"command":"status","paths":["a",{"hex":"ff"}]}"#);
    }
}
