//! The thread that carries one direction: from one TUN device through a [`Wire`] to the other.

use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use super::kernel;
use super::packet::{self, End};
use super::wire::Wire;

/// Packets taken before due ones are looked at again.
const BATCH: usize = 32;

/// A direction at work; dropping it ends the thread.
#[derive(Debug)]
pub(super) struct Forward {
    wire: Arc<Mutex<Wire>>,
    stop: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread has.
struct Carrier {
    wire: Arc<Mutex<Wire>>,
    from: Arc<File>,
    to: Arc<File>,
    stop: Arc<OwnedFd>,
    /// The end whose port is translated, and how.
    translated: End,
    mask: Arc<AtomicU16>,
    begin: Instant,
}

impl Forward {
    pub(super) fn start(
        wire: Wire,
        [from, to]: [&Arc<File>; 2],
        translated: End,
        mask: &Arc<AtomicU16>,
    ) -> io::Result<Self> {
        let wire = Arc::new(Mutex::new(wire));
        let stop = Arc::new(eventfd(0, EventfdFlags::CLOEXEC)?);
        let carrier = Carrier {
            wire: Arc::clone(&wire),
            from: Arc::clone(from),
            to: Arc::clone(to),
            stop: Arc::clone(&stop),
            translated,
            mask: Arc::clone(mask),
            begin: Instant::now(),
        };
        let thread = std::thread::Builder::new().name("link".to_owned()).spawn(move || carrier.run())?;
        Ok(Self { wire, stop, thread: Some(thread) })
    }

    pub(super) fn wire(&self) -> MutexGuard<'_, Wire> {
        locked(&self.wire)
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        let _ = rustix::io::write(&self.stop, &1_u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The wire is whole between any two of its acts, also when the one who held it panicked.
fn locked(wire: &Mutex<Wire>) -> MutexGuard<'_, Wire> {
    wire.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Carrier {
    fn run(&self) {
        be_punctual();
        let mut buffer = vec![0; usize::from(u16::MAX)];
        loop {
            self.deliver();
            let next = locked(&self.wire).next();
            match self.wait(next) {
                Ok(true) => {}
                Ok(false) | Err(_) => return,
            }
            if self.take(&mut buffer).is_err() {
                return; // the test has taken the device away
            }
        }
    }

    fn now(&self) -> Duration {
        self.begin.elapsed()
    }

    /// Hands over what is due.
    fn deliver(&self) {
        loop {
            let leaving = locked(&self.wire).leave(self.now());
            let Some(mut packet) = leaving else { return };
            if self.translated == End::Destination {
                packet::translate(&mut packet, End::Destination, self.mask.load(Ordering::Relaxed));
            }
            // A corrupted header can make a packet that no device takes: lost, as on a real link.
            let _ = rustix::io::write(&self.to, &packet);
        }
    }

    /// Waits for a packet, until the time given; `false` means stop.
    fn wait(&self, until: Option<Duration>) -> io::Result<bool> {
        let timeout = until.map(|until| Timespec::try_from(until.saturating_sub(self.now())));
        let timeout = timeout.transpose().map_err(io::Error::other)?;
        let mut watched = [PollFd::new(&self.from, PollFlags::IN), PollFd::new(&self.stop, PollFlags::IN)];
        match poll(&mut watched, timeout.as_ref()) {
            Err(rustix::io::Errno::INTR) => Ok(true),
            Err(e) => Err(e.into()),
            Ok(_) => Ok(watched[1].revents().is_empty()),
        }
    }

    /// Takes in packets that wait at the device.
    fn take(&self, buffer: &mut [u8]) -> io::Result<()> {
        for _ in 0..BATCH {
            let length = match rustix::io::read(&self.from, &mut *buffer) {
                Ok(length) => length,
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return Ok(()),
                Err(e) => return Err(e.into()),
            };
            let mut packet = buffer[..length].to_vec();
            if !packet::is_ipv4(&packet) {
                continue; // the kernel's own IPv6 announcements
            }
            if self.translated == End::Source {
                packet::translate(&mut packet, End::Source, self.mask.load(Ordering::Relaxed));
            }
            let now = self.now();
            locked(&self.wire).arrive(now, packet);
        }
        Ok(())
    }
}

/// Asks for wake-ups on time, also while compilers run beside us. Where that is refused the link is only less exact.
/// The thread waits far more than it works, so that it takes the processor from nobody.
fn be_punctual() {
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1000));
    let _ = kernel::run_at_once();
}
