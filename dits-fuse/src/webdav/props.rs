//! Properties that clients invent: kept as extended attributes, so that they move and are copied with the file.

use dav_server::fs::DavProp;
use http::StatusCode;
use rustix::io::Errno;

use super::place::find;
use crate::drive::Drive;
use crate::error::{Reach, ReadError};

/// How the attributes' names begin; the property's follows, as `{namespace}name`.
const PREFIX: &str = "user.dav.";
/// The longest name of an extended attribute.
const LONGEST: usize = 255;

type Answers = Vec<(StatusCode, DavProp)>;

/// Sets (`true`) and removes properties: all or none.
pub(super) fn patch(drive: &Drive, path: &[u8], patch: Vec<(bool, DavProp)>) -> Result<Answers, ReadError> {
    let (overlay, view) = (drive.writable()?, &drive.view);
    let ino = find(drive, path, true, Reach::Disk)?.existing()?.ino;
    if patch.iter().any(|(_, prop)| name(prop).len() > LONGEST) {
        let refused = |prop: &DavProp| match name(prop).len() > LONGEST {
            true => StatusCode::INSUFFICIENT_STORAGE,
            false => StatusCode::FAILED_DEPENDENCY,
        };
        return Ok(patch.into_iter().map(|(_, prop)| (refused(&prop), bare(prop))).collect());
    }
    let mut answers = Vec::new();
    for (set, prop) in patch {
        let value = prop.xml.as_deref().filter(|_| set);
        match overlay.set_attribute(view, ino, (name(&prop).as_bytes(), value), None, Reach::Disk) {
            // To remove what is not there is no error.
            Err(ReadError::System(Errno::NODATA)) if !set => {}
            done => done?,
        }
        answers.push((StatusCode::OK, bare(prop)));
    }
    Ok(answers)
}

/// All properties of a file or folder, with their values if `content` says so.
pub(super) fn all(drive: &Drive, path: &[u8], content: bool) -> Result<Vec<DavProp>, ReadError> {
    let Some(overlay) = drive.overlay() else { return Ok(Vec::new()) };
    let ino = find(drive, path, true, Reach::Disk)?.existing()?.ino;
    let names = overlay.attribute_names(ino);
    let names = names.split(|byte| *byte == 0).filter_map(|name| std::str::from_utf8(name).ok());
    let mut found = Vec::new();
    for attribute in names {
        let Some(full) = attribute.strip_prefix(PREFIX) else { continue };
        let split = full.strip_prefix('{').and_then(|rest| rest.rsplit_once('}'));
        let Some((namespace, name)) = split else { continue };
        let xml = if content { overlay.attribute(ino, attribute.as_bytes()).ok() } else { None };
        let namespace = (!namespace.is_empty()).then(|| namespace.to_owned());
        found.push(DavProp { name: name.to_owned(), prefix: None, namespace, xml });
    }
    Ok(found)
}

/// The value of one property.
pub(super) fn one(drive: &Drive, path: &[u8], prop: &DavProp) -> Result<Vec<u8>, ReadError> {
    let overlay = drive.overlay().ok_or(Errno::NOENT)?;
    let ino = find(drive, path, true, Reach::Disk)?.existing()?.ino;
    match overlay.attribute(ino, name(prop).as_bytes()) {
        Err(ReadError::System(Errno::NODATA)) => Err(Errno::NOENT.into()),
        value => value,
    }
}

fn name(prop: &DavProp) -> String {
    format!("{PREFIX}{{{}}}{}", prop.namespace.as_deref().unwrap_or_default(), prop.name)
}

/// A property without its value, for an answer.
fn bare(prop: DavProp) -> DavProp {
    DavProp { xml: None, ..prop }
}
