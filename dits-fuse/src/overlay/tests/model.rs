//! What a folder of files should be after some changes: the simplest thing that could be right.

use std::collections::BTreeMap;

use dits_core::overlay::Time;

pub type Id = usize;
pub const TOP: Id = 0;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Folder(BTreeMap<Vec<u8>, Id>),
    File(Vec<u8>),
    Link(Vec<u8>),
    Pipe,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thing {
    pub what: What,
    pub mode: u32,
    pub owner: (u32, u32),
    /// If somebody said so, and nothing changed it since.
    pub mtime: Option<Time>,
    pub extended: BTreeMap<Vec<u8>, Vec<u8>>,
}

#[derive(Clone, Debug, Default)]
pub struct Model {
    pub things: BTreeMap<Id, Thing>,
    next: Id,
}

impl Model {
    pub fn add(&mut self, what: What, mode: u32, owner: (u32, u32)) -> Id {
        self.next += 1;
        let thing = Thing { what, mode, owner, mtime: None, extended: BTreeMap::new() };
        self.things.insert(self.next - 1, thing);
        self.next - 1
    }

    pub fn names(&self, folder: Id) -> &BTreeMap<Vec<u8>, Id> {
        let What::Folder(names) = &self.things[&folder].what else { panic!("{folder} is no folder") };
        names
    }

    pub fn names_mut(&mut self, folder: Id) -> &mut BTreeMap<Vec<u8>, Id> {
        let thing = self.things.get_mut(&folder).unwrap();
        thing.mtime = None;
        let What::Folder(names) = &mut thing.what else { panic!("{folder} is no folder") };
        names
    }

    pub fn bytes_mut(&mut self, file: Id) -> &mut Vec<u8> {
        let thing = self.things.get_mut(&file).unwrap();
        thing.mtime = None;
        let What::File(bytes) = &mut thing.what else { panic!("{file} is no file") };
        bytes
    }

    pub fn bytes(&self, file: Id) -> &[u8] {
        let What::File(bytes) = &self.things[&file].what else { panic!("{file} is no file") };
        bytes
    }

    pub fn is_folder(&self, id: Id) -> bool {
        matches!(self.things[&id].what, What::Folder(_))
    }

    /// Everything that a name leads to: the folder, the name, and what it is. Folders come before what is in them.
    pub fn all(&self) -> Vec<(Id, Vec<u8>, Id)> {
        let (mut found, mut folders) = (Vec::new(), vec![TOP]);
        while let Some(folder) = folders.pop() {
            for (name, id) in self.names(folder) {
                found.push((folder, name.clone(), *id));
                if self.is_folder(*id) {
                    folders.push(*id);
                }
            }
        }
        found
    }

    pub fn folders(&self) -> Vec<Id> {
        let below = self.all().into_iter().map(|(_, _, id)| id).filter(|id| self.is_folder(*id));
        [TOP].into_iter().chain(below).collect()
    }

    pub fn files(&self) -> Vec<Id> {
        let is_file = |id: &Id| matches!(self.things[id].what, What::File(_));
        self.all().into_iter().map(|(_, _, id)| id).filter(is_file).collect()
    }

    /// Whether one folder is the other or in it.
    pub fn is_within(&self, inner: Id, outer: Id) -> bool {
        let above: BTreeMap<Id, Id> = self.all().into_iter().map(|(folder, _, id)| (id, folder)).collect();
        let mut at = Some(inner);
        while let Some(folder) = at {
            if folder == outer {
                return true;
            }
            at = above.get(&folder).copied();
        }
        false
    }

    /// The names that lead to something from the top.
    pub fn path(&self, id: Id) -> Vec<Vec<u8>> {
        let above: BTreeMap<Id, (Id, Vec<u8>)> =
            self.all().into_iter().map(|(folder, name, id)| (id, (folder, name))).collect();
        let (mut at, mut path) = (id, Vec::new());
        while let Some((folder, name)) = above.get(&at) {
            path.insert(0, name.clone());
            at = *folder;
        }
        path
    }
}
