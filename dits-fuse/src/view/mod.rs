//! A commit's tree as folders and files with inode numbers.
//!
//! A number says where the entry is: the folder's number, and the place in it. Nothing is remembered of files.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use dits_core::object::TreeId;
use dits_core::repo::DITS;
use dits_core::store::Store;
use dits_core::tree::{Content, Mode, Tree, TreeEntry};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::error::{Reach, ReadError};

/// The inode number of the root.
pub const ROOT: u64 = 1;
/// The inode number of the root's `.dits`. No entry has it: places are counted from 2.
pub const LINK: u64 = 1 << 32;
/// Places are counted from here: 0 is no inode, 1 is the root.
const FIRST: u64 = 2;
/// Bytes of decoded folders that are kept.
const KEPT: u64 = 64 << 20;

/// A folder's entries, in the order of their names.
pub type Listing = Arc<Vec<TreeEntry>>;

/// What the file system tells of an inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attr {
    /// Its number.
    pub ino: u64,
    /// What it is.
    pub mode: Mode,
    /// Bytes of a file or of a link's target.
    pub size: u64,
}

/// The tree of a commit.
pub struct View {
    store: Store,
    folders: RwLock<Folders>,
    listings: Cache<u32, Listing>,
    /// What `.dits` in the root says; without it there is none.
    link: Option<Bytes>,
}

/// The folders that somebody has entered.
struct Folders {
    trees: Vec<TreeId>,
    /// Their own inode numbers.
    inodes: Vec<u64>,
    numbers: HashMap<u64, u32>,
}

impl View {
    /// Shows this tree. Nothing is read yet.
    #[must_use]
    pub fn new(store: Store, root: TreeId) -> Self {
        let folders =
            RwLock::new(Folders { trees: vec![root], inodes: vec![ROOT], numbers: HashMap::from([(ROOT, 0)]) });
        let listings = Cache::builder().max_capacity(KEPT).eviction_policy(EvictionPolicy::lru()).weigher(weight);
        Self { store, folders, listings: listings.build(), link: None }
    }

    /// Shows a file `.dits` in the root that says this, as in a linked worktree.
    #[must_use]
    pub fn with_link(self, text: Option<Vec<u8>>) -> Self {
        Self { link: text.map(Bytes::from), ..self }
    }

    /// What `.dits` says, if there is one.
    #[must_use]
    pub fn link(&self) -> Option<&Bytes> {
        self.link.as_ref()
    }

    fn link_attr(&self) -> Option<Attr> {
        self.link.as_ref().map(|text| Attr { ino: LINK, mode: Mode::File, size: text.len() as u64 })
    }

    /// Gives folders the numbers that they had once: those of these inodes, in order. Nobody has entered one yet.
    ///
    /// # Errors
    /// When one is no folder of this tree, or cannot be read.
    pub fn restore(&self, inodes: &[u64]) -> Result<(), ReadError> {
        for (expected, ino) in inodes.iter().enumerate() {
            match self.numbered(*ino, Reach::Disk)?.0 as usize == expected {
                true => {}
                false => return Err(ReadError::NoInode(*ino)),
            }
        }
        Ok(())
    }

    /// The inode numbers of numbered folders, from a number on.
    #[must_use]
    pub fn numbers_from(&self, number: usize) -> Vec<u64> {
        let folders = self.folders.read().unwrap_or_else(PoisonError::into_inner);
        folders.inodes.get(number..).unwrap_or_default().to_vec()
    }

    /// The folder that an inode is in, which somebody has entered; the root's is the root.
    #[must_use]
    pub fn folder_of(&self, ino: u64) -> u64 {
        let folders = self.folders.read().unwrap_or_else(PoisonError::into_inner);
        match ino {
            ROOT => ROOT,
            _ => folders.inodes.get((ino >> 32) as usize).copied().unwrap_or(ROOT),
        }
    }

    /// The store that the tree is in.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What an inode is.
    ///
    /// # Errors
    /// When there is none, or its folder cannot be read.
    pub fn attr(&self, ino: u64, reach: Reach) -> Result<Attr, ReadError> {
        if ino == ROOT {
            return Ok(Attr { ino, mode: Mode::Directory, size: 0 });
        }
        if let Some(link) = self.link_attr().filter(|_| ino == LINK) {
            return Ok(link);
        }
        let (listing, place) = self.place(ino, reach)?;
        Ok(attr(ino, &listing[place]))
    }

    /// An entry of the tree. The root is none.
    ///
    /// # Errors
    /// As [`View::attr`].
    pub fn entry(&self, ino: u64, reach: Reach) -> Result<TreeEntry, ReadError> {
        let (listing, place) = self.place(ino, reach)?;
        Ok(listing[place].clone())
    }

    /// What a folder has under a name.
    ///
    /// # Errors
    /// When it is no folder, or cannot be read.
    pub fn lookup(&self, folder: u64, name: &[u8], reach: Reach) -> Result<Option<Attr>, ReadError> {
        if folder == ROOT && name == DITS.as_bytes() {
            return Ok(self.link_attr());
        }
        let (number, listing) = self.numbered(folder, reach)?;
        let found = listing.binary_search_by(|entry| entry.name.as_slice().cmp(name)).ok();
        Ok(found.map(|place| attr(ino_of(number, place), &listing[place])))
    }

    /// A folder's entries, and the attributes of each by its place.
    ///
    /// # Errors
    /// When it is no folder, or cannot be read.
    pub fn list(&self, folder: u64, reach: Reach) -> Result<OpenFolder, ReadError> {
        let (number, listing) = self.numbered(folder, reach)?;
        let link = self.link_attr().filter(|_| folder == ROOT);
        Ok(OpenFolder { ino: folder, link, number, listing })
    }

    /// Bytes of all files.
    ///
    /// # Errors
    /// When the root cannot be read.
    pub fn size(&self, reach: Reach) -> Result<u64, ReadError> {
        Ok(self.numbered(ROOT, reach)?.1.iter().map(|entry| entry.size).fold(0, u64::saturating_add))
    }

    /// What names a folder.
    ///
    /// # Errors
    /// As [`View::attr`].
    pub fn tree(&self, folder: u64, reach: Reach) -> Result<TreeId, ReadError> {
        if folder == ROOT {
            return Ok(self.folders.read().unwrap_or_else(PoisonError::into_inner).trees[0]);
        }
        match self.entry(folder, reach)?.content {
            Content::Tree(id) => Ok(id),
            _ => Err(ReadError::NotAFolder),
        }
    }

    fn place(&self, ino: u64, reach: Reach) -> Result<(Listing, usize), ReadError> {
        let (number, place) = ((ino >> 32) as u32, (ino & 0xffff_ffff).wrapping_sub(FIRST) as usize);
        let known = (number as usize) < self.folders.read().unwrap_or_else(PoisonError::into_inner).trees.len();
        if !known {
            return Err(ReadError::NoInode(ino));
        }
        let listing = self.listing(number, reach)?;
        if place < listing.len() { Ok((listing, place)) } else { Err(ReadError::NoInode(ino)) }
    }

    /// A folder's number, given when it is first entered, and its entries.
    fn numbered(&self, ino: u64, reach: Reach) -> Result<(u32, Listing), ReadError> {
        let known = self.folders.read().unwrap_or_else(PoisonError::into_inner).numbers.get(&ino).copied();
        let number = match known {
            Some(number) => number,
            None => {
                let tree = self.tree(ino, reach)?;
                let mut folders = self.folders.write().unwrap_or_else(PoisonError::into_inner);
                let next = u32::try_from(folders.trees.len()).ok().filter(|next| next >> 31 == 0);
                let next = next.ok_or(ReadError::NoInode(ino))?;
                let number = *folders.numbers.entry(ino).or_insert(next);
                if number == next {
                    folders.trees.push(tree);
                    folders.inodes.push(ino);
                }
                number
            }
        };
        Ok((number, self.listing(number, reach)?))
    }

    fn listing(&self, number: u32, reach: Reach) -> Result<Listing, ReadError> {
        if let Some(listing) = self.listings.get(&number) {
            return Ok(listing);
        }
        if reach == Reach::Memory {
            return Err(ReadError::OutOfReach);
        }
        let tree = self.folders.read().unwrap_or_else(PoisonError::into_inner).trees[number as usize];
        let listing = Arc::new(Tree::open(&self.store, tree)?.entries()?);
        self.listings.insert(number, Arc::clone(&listing));
        Ok(listing)
    }
}

/// A folder with its entries, which do not change.
pub struct OpenFolder {
    /// The folder's inode number.
    pub ino: u64,
    /// Its file `.dits`, which is not in the tree.
    pub link: Option<Attr>,
    number: u32,
    listing: Listing,
}

impl OpenFolder {
    /// The entries from a place on.
    pub fn starting_at(&self, place: usize) -> impl Iterator<Item = (usize, &TreeEntry, Attr)> {
        let entries = self.listing.iter().enumerate().skip(place);
        entries.map(|(place, entry)| (place, entry, attr(ino_of(self.number, place), entry)))
    }
}

fn ino_of(folder: u32, place: usize) -> u64 {
    u64::from(folder) << 32 | (place as u64 + FIRST)
}

fn attr(ino: u64, entry: &TreeEntry) -> Attr {
    let size = if entry.mode == Mode::Directory { 0 } else { entry.size };
    Attr { ino, mode: entry.mode, size }
}

/// What a folder takes in memory. One that takes more than there is for all is kept alone.
fn weight(_: &u32, listing: &Listing) -> u32 {
    let entry = |entry: &TreeEntry| std::mem::size_of::<TreeEntry>() + entry.name.len() + 16;
    listing.iter().map(entry).sum::<usize>().min(KEPT as usize) as u32
}
