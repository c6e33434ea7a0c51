//! Files of any type: recognised, and read for facts.

use std::io::Cursor;

use dits_core::media::detect;
use dits_core::media::facts::facts as read_facts;

/// Recognises a file and reads its facts; also with a wrong length.
pub fn facts(data: &[u8]) {
    let len = data.len() as u64;
    let file_type = detect(data, len);
    for claimed in [len, len / 2, u64::MAX] {
        let _ = read_facts(&mut Cursor::new(data), file_type, claimed);
    }
}
