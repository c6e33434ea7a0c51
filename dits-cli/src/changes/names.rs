//! `--name-only` and `--name-status`.

use super::{Form, Item};
use crate::output::path::quote_text;

/// Writes one line per file, in git's form.
pub fn write(form: &Form, items: &[Item], out: &mut Vec<u8>) {
    for item in items {
        let mut fields = Vec::new();
        if form.name_status {
            fields.push(match &item.moved {
                Some((_, similarity)) => format!("R{similarity:03}").into_bytes(),
                None => item.letter().to_string().into_bytes(),
            });
            fields.extend(item.moved.as_ref().map(|(from, _)| name(form, from.as_bytes())));
        }
        fields.push(name(form, item.path.as_bytes()));
        let (separator, end) = if form.nul { (0, 0) } else { (b'\t', b'\n') };
        out.extend(fields.join(&separator));
        out.push(end);
    }
}

fn name(form: &Form, path: &[u8]) -> Vec<u8> {
    if form.nul { path.to_vec() } else { quote_text(path).into_bytes() }
}
