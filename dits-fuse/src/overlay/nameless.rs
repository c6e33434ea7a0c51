//! Files that get their name when they are complete: until then nobody sees them, and after a crash they are gone.

use dits_core::overlay::{Attributes, MADE_HERE, Record, kind};
use rustix::io::Errno;

use super::names::{Maker, changed};
use super::{Overlay, now};
use crate::error::{Reach, ReadError};
use crate::view::View;

impl Overlay {
    /// Makes a file that no name leads to. It counts as open: [`Overlay::closed`] forgets it if it has got no name by then.
    ///
    /// # Errors
    /// When it cannot be logged.
    pub fn nameless(&self, view: &View, Maker { uid, gid }: Maker) -> Result<u64, ReadError> {
        let mut inner = self.write();
        let (time, ino) = (now(), inner.state.next_ino());
        let attributes = Attributes { mode: kind::FILE | 0o644, uid, gid, mtime: time, ctime: time };
        inner.commit(view, vec![Record::Node { ino, attributes }])?;
        inner.opens.insert(ino, 1);
        Ok(ino)
    }

    /// Makes a file that no name leads to, with permissions, extended attributes and base content of another one. Where
    /// that one differs from its base content, this one does not.
    ///
    /// # Errors
    /// When the other one is no file or cannot be read, or it cannot be logged.
    pub fn nameless_copy(
        &self,
        view: &View,
        from: u64,
        Maker { uid, gid }: Maker,
        reach: Reach,
    ) -> Result<u64, ReadError> {
        let content = self.content(view, from, reach)?;
        let mut inner = self.write();
        let mode = inner.stat(view, &self.defaults, from, reach)?.attributes.mode;
        let (time, ino) = (now(), inner.state.next_ino());
        let mut batch = vec![Record::Node { ino, attributes: Attributes { mode, uid, gid, mtime: time, ctime: time } }];
        let base = content.base();
        if base.size() > 0 {
            batch.push(Record::Content { ino, content: base.content().clone(), size: base.size(), layer: 0 });
        }
        let extended = inner.state.nodes.get(&from).map(|node| node.extended.clone()).unwrap_or_default();
        batch.extend(extended.into_iter().map(|(name, value)| Record::Attribute { ino, name, value: Some(value) }));
        inner.commit(view, batch)?;
        inner.opens.insert(ino, 1);
        Ok(ino)
    }

    /// Gives a file its name. What has that name makes room in the same moment; `inherit` takes over its permissions and
    /// extended attributes.
    ///
    /// # Errors
    /// When the name is not allowed or is a folder's, the folder is gone, or it cannot be logged.
    pub fn name(
        &self,
        view: &View,
        ino: u64,
        (folder, name): (u64, &[u8]),
        inherit: bool,
        reach: Reach,
    ) -> Result<(), ReadError> {
        let mut inner = self.write();
        let defaults = &self.defaults;
        let mut batch = inner.prepare(view, defaults, folder, name, reach)?;
        let mut attributes = inner.state.nodes.get(&ino).ok_or(Errno::STALE)?.attributes;
        let (time, there) = (now(), inner.lookup(view, folder, name, reach)?);
        if let Some(there) = there {
            let old = inner.stat(view, defaults, there, reach)?.attributes;
            match old.mode & kind::MASK {
                kind::FOLDER => return Err(ReadError::IsAFolder),
                kind::FILE if inherit => {
                    attributes = Attributes { mtime: attributes.mtime, ..old };
                    let extended = inner.state.nodes.get(&there).map(|node| node.extended.clone()).unwrap_or_default();
                    let attribute = |(name, value)| Record::Attribute { ino, name, value: Some(value) };
                    batch.extend(extended.into_iter().map(attribute));
                }
                _ => {}
            }
            inner.drop_name(view, defaults, (folder, name, there), false, &mut batch, reach)?;
        }
        let above = inner.copied(view, defaults, folder, reach)?.1;
        batch.push(Record::Node { ino, attributes: Attributes { ctime: time, ..attributes } });
        batch.push(Record::Link { folder, name: name.to_owned(), ino });
        batch.push(changed(folder, above, time));
        inner.commit(view, batch)?;
        debug_assert!(ino & MADE_HERE != 0, "what is in the base has a name");
        match there {
            Some(there) => self.leave(&mut inner, there),
            None => Ok(()),
        }
    }
}
