//! How the inodes of a mount are open.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How an inode is open, and how often.
enum Mode<B> {
    /// The kernel asks for content, and keeps it in pages of the inode's own.
    Asked(u64),
    /// The kernel reads a backing file.
    Backed(u64, Arc<B>),
}

/// How the inodes of a mount are open. One that is open is open in one way only: the kernel refuses the other one with an I/O
/// error, and so it does with another backing file.
///
/// An open counts from before the kernel is told of it until the kernel says that it is over, so whatever the kernel thinks is
/// open is open here.
pub(crate) struct Modes<B>(Mutex<HashMap<u64, Mode<B>>>);

impl<B> Default for Modes<B> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<B> Modes<B> {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Mode<B>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens an inode once more; gives what backs it, if the kernel is to read that. `back` is asked when nobody has it open.
    pub(crate) fn open(&self, ino: u64, back: impl FnOnce() -> Option<B>) -> Option<Arc<B>> {
        let mut open = self.lock();
        match open.get_mut(&ino) {
            Some(Mode::Asked(times)) => {
                *times += 1;
                None
            }
            Some(Mode::Backed(times, backing)) => {
                *times += 1;
                Some(Arc::clone(backing))
            }
            None => {
                let backing = back().map(Arc::new);
                let mode = backing.clone().map_or(Mode::Asked(1), |backing| Mode::Backed(1, backing));
                open.insert(ino, mode);
                backing
            }
        }
    }

    /// Closes it once; gives what backed it, if that was the last time.
    pub(crate) fn close(&self, ino: u64) -> Option<Arc<B>> {
        let mut open = self.lock();
        let (Mode::Asked(times) | Mode::Backed(times, _)) = open.get_mut(&ino)?;
        *times -= 1;
        if *times > 0 {
            return None;
        }
        match open.remove(&ino)? {
            Mode::Asked(_) => None,
            Mode::Backed(_, backing) => Some(backing),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_inode_is_open_in_one_way_until_it_is_closed() {
        let modes = Modes::<u32>::default();
        assert_eq!(modes.open(1, || None), None);
        assert_eq!(modes.open(1, || panic!("it is open")), None, "the kernel has pages of it");
        assert_eq!(modes.close(1), None);
        assert_eq!(modes.open(1, || panic!("it is open")), None);
        assert_eq!((modes.close(1), modes.close(1), modes.close(1)), (None, None, None));
        let backing = modes.open(1, || Some(7)).unwrap();
        let again = modes.open(1, || panic!("it is open")).unwrap();
        assert!(Arc::ptr_eq(&backing, &again));
        assert_eq!(modes.open(2, || None), None, "another one is another one");
        assert_eq!(modes.close(1), None);
        assert_eq!(modes.close(1).as_deref(), Some(&7));
        assert_eq!(modes.open(1, || None), None);
    }
}
