//! A receiver whose disk is slower than its link.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dits_core::progress::Progress;
use dits_core::repo::RepoError;
use dits_sync::SyncError;
use dits_sync::client::{Client, FetchRequest, Introduction};
use dits_testkit::random::bytes;

use crate::fault::within;
use crate::rig::Rig;

/// Storing comes to a standstill. Whoever is asked often enough meanwhile whether to go on says no, and lets it go on.
#[derive(Default)]
struct Standstill {
    stored: AtomicU32,
    asked: AtomicU32,
}

/// More often than messages fit between the link and the disk: so often asks only who goes on asking.
const OFTEN: u32 = 40;

impl Progress for Standstill {
    fn advance(&self, _bytes: u64, _objects: u64) {
        self.stored.fetch_add(1, Ordering::Relaxed);
        while !self.interrupted_now() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn interrupted(&self) -> bool {
        self.asked.fetch_add(self.stored.load(Ordering::Relaxed).min(1), Ordering::Relaxed);
        self.interrupted_now()
    }
}

impl Standstill {
    fn interrupted_now(&self) -> bool {
        self.asked.load(Ordering::Relaxed) > OFTEN
    }
}

#[test]
fn who_waits_for_the_disk_can_be_stopped() {
    let from = Rig::new();
    from.write("big.mov", &bytes(1, 24 << 20)).commit("one");
    let stopped = within(Duration::from_secs(100), "a slow disk", move || {
        let to = Rig::new();
        from.serve(|link| {
            let mut client = Client::new(link, &Introduction::default())?;
            let progress = Standstill::default();
            let listing = client.listing(None, &progress)?;
            let wants = listing.refs.iter().map(|(_, id)| *id).collect();
            client.fetch(&to.repo, FetchRequest { wants, ..FetchRequest::default() }, &progress).map(drop)
        })
    });
    assert!(matches!(stopped, Err(SyncError::Repo(RepoError::Interrupted(_)))), "{stopped:?}");
}
