//! The time of a file that Windows sets after it has written it. dav-server says yes to that and forgets it.

use std::io::Cursor;
use std::time::{SystemTime, UNIX_EPOCH};

use dits_core::overlay::Time;
use xmltree::Element;

use super::place::find;
use crate::drive::Drive;
use crate::error::{Reach, ReadError};
use crate::overlay::Changes;

const NAMESPACE: &str = "urn:schemas-microsoft-com:";
const NAME: &str = "Win32LastModifiedTime";

/// The time that a `PROPPATCH` sets, if it does.
pub(super) fn modified(body: &[u8]) -> Option<Time> {
    let update = Element::parse(Cursor::new(body)).ok()?;
    let elements = |element: &Element, name: &str| -> Vec<Element> {
        let below = element.children.iter().filter_map(|node| node.as_element());
        below.filter(|element| element.name == name).cloned().collect()
    };
    let sets = elements(&update, "set");
    let props = sets.iter().flat_map(|set| elements(set, "prop"));
    let mut times = props.flat_map(|prop| elements(&prop, NAME));
    let text = times.rfind(|time| time.namespace.as_deref() == Some(NAMESPACE))?.get_text()?.into_owned();
    let time: SystemTime = httpdate::parse_http_date(text.trim()).ok()?;
    Some((i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()?, 0))
}

/// Whether an answer to a `PROPPATCH` says that all of it was done.
pub(super) fn is_done(answer: &[u8]) -> bool {
    // Where one property was refused, all others fail because of it.
    let refused = [&b" 403 "[..], b" 409 ", b" 424 ", b" 507 "];
    !refused.iter().any(|code| answer.windows(code.len()).any(|window| window == *code))
}

/// Sets the time.
pub(super) fn set(drive: &Drive, path: &[u8], time: Time) -> Result<(), ReadError> {
    let ino = find(drive, path, true, Reach::Disk)?.existing()?.ino;
    let changes = Changes { mtime: Some(time), ..Changes::default() };
    drive.writable()?.set(&drive.view, ino, &changes, Reach::Disk).map(|_| ())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_time_that_windows_sets() {
        let body = |namespace: &str, what: &str| {
            format!(
                "<?xml version=\"1.0\"?><D:propertyupdate xmlns:D=\"DAV:\" xmlns:Z=\"{namespace}\"><D:{what}><D:prop>\
                 <Z:Win32CreationTime>Thu, 01 Jan 1970 00:00:01 GMT</Z:Win32CreationTime>\
                 <Z:Win32LastModifiedTime>Wed, 15 Nov 2023 10:20:30 GMT</Z:Win32LastModifiedTime>\
                 </D:prop></D:{what}></D:propertyupdate>"
            )
        };
        assert_eq!(modified(body(NAMESPACE, "set").as_bytes()), Some((1_700_043_630, 0)));
        assert_eq!(modified(body("other:", "set").as_bytes()), None);
        assert_eq!(modified(body(NAMESPACE, "remove").as_bytes()), None);
        assert_eq!(modified(b"<a"), None);
    }

    #[test]
    fn a_refused_property_undoes_the_others() {
        assert!(is_done(b"<D:status>HTTP/1.1 200 OK</D:status>"));
        assert!(!is_done(b"<D:status>HTTP/1.1 424 Failed Dependency</D:status>"));
    }
}
