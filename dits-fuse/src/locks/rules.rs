//! Files of rules that are in a drive, held in memory: who answers the kernel must not wait for them.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use dits_core::path::RepoPath;
use dits_core::rules_file::{FolderFiles, MAX_RULES_FILE, RulesError};

use crate::drive::Drive;
use crate::error::Reach;

/// The files of rules of one name, by their folders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RulesFiles {
    name: String,
    texts: Arc<HashMap<Option<RepoPath>, Vec<u8>>>,
}

impl RulesFiles {
    /// Reads those of `folders`, and those of folders in which one was made here. One that cannot be read counts as if it were
    /// not there.
    #[must_use]
    pub fn read(drive: &Arc<Drive>, name: &str, folders: &BTreeSet<Option<RepoPath>>, patience: Duration) -> Self {
        let mut folders = folders.clone();
        if let Some(overlay) = drive.overlay() {
            for folder in overlay.folders_with(name.as_bytes()) {
                if let Ok(Some(path)) = overlay.path_of(&drive.view, (folder, name.as_bytes()), Reach::Disk) {
                    folders.insert(path.parent());
                }
            }
        }
        let read = |folder: Option<RepoPath>| Some((folder.clone(), text(drive, folder.as_ref(), name, patience)?));
        Self { name: name.to_owned(), texts: Arc::new(folders.into_iter().filter_map(read).collect()) }
    }

    /// Something that differs once files of rules may have changed.
    #[must_use]
    pub fn stamp(drive: &Drive) -> (u64, u64) {
        drive.overlay().map_or((0, 0), |overlay| (overlay.moves(), overlay.writes()))
    }

    /// Whether any of them has one of these words.
    #[must_use]
    pub fn mention(&self, words: &[&str]) -> bool {
        self.texts.values().any(|text| mentions(text, words))
    }
}

/// Whether a text has one of these words.
#[must_use]
fn mentions(text: &[u8], words: &[&str]) -> bool {
    words.iter().any(|word| text.windows(word.len()).any(|window| window == word.as_bytes()))
}

impl FolderFiles for RulesFiles {
    fn rules_file(&self, folder: Option<&RepoPath>, name: &str) -> Result<Option<Vec<u8>>, RulesError> {
        Ok(if name == self.name { self.texts.get(&folder.cloned()).cloned() } else { None })
    }
}

/// The content of a folder's file, from a remote if it is not here.
fn text(drive: &Arc<Drive>, folder: Option<&RepoPath>, name: &str, patience: Duration) -> Option<Vec<u8>> {
    let path = match folder {
        Some(folder) => RepoPath::parse(&[folder.as_bytes(), b"/", name.as_bytes()].concat()).ok()?,
        None => RepoPath::parse(name.as_bytes()).ok()?,
    };
    let ino = drive.at_path(&path, Reach::Disk).ok()??;
    let size = u32::try_from(drive.stat(ino, Reach::Disk).ok()?.size).ok()?;
    if size as usize > MAX_RULES_FILE {
        return None;
    }
    let file = Arc::new(drive.open(ino, Reach::Disk).ok()?);
    let (send, receive) = mpsc::channel();
    drive.read(&file, 0, size, move |gathered| _ = send.send(gathered));
    let read = receive.recv_timeout(patience).ok().and_then(Result::ok).map(|gathered| {
        let mut bytes = Vec::new();
        gathered.append_to(&mut bytes);
        bytes
    });
    drive.close(&file);
    read
}
