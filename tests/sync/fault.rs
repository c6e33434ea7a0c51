//! Links that break, and repositories' ends behind them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use dits_sync::link::{Dial, Lane, Link, LinkError, Traffic, pair};
use dits_sync::server::{Host, LocalHost, serve};

/// What happens to a connection: it ends after so many messages or bytes, counted in both directions.
pub struct Fault {
    messages: AtomicI64,
    bytes: AtomicI64,
    /// Each message waits so long.
    pub delay: Duration,
    cut: AtomicBool,
    /// Bytes of messages on lanes that carry chunks, sent and taken.
    pub chunks_sent: AtomicU64,
    pub chunks_taken: AtomicU64,
}

impl Fault {
    pub fn after(messages: u64, bytes: u64) -> Arc<Self> {
        Self::with_delay(messages, bytes, Duration::ZERO)
    }

    pub fn with_delay(messages: u64, bytes: u64, delay: Duration) -> Arc<Self> {
        Arc::new(Self {
            messages: AtomicI64::new(messages as i64),
            bytes: AtomicI64::new(bytes as i64),
            delay,
            cut: AtomicBool::new(false),
            chunks_sent: AtomicU64::new(0),
            chunks_taken: AtomicU64::new(0),
        })
    }

    pub fn none() -> Arc<Self> {
        Self::after(i64::MAX as u64, i64::MAX as u64)
    }

    pub fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }

    /// One more message; an error if that was one too many.
    fn count(&self, len: usize) -> Result<(), LinkError> {
        let messages = self.messages.fetch_sub(1, Ordering::Relaxed);
        let bytes = self.bytes.fetch_sub(len as i64, Ordering::Relaxed);
        if messages <= 0 || bytes <= 0 {
            self.cut.store(true, Ordering::Relaxed);
        }
        self.check()
    }

    fn check(&self) -> Result<(), LinkError> {
        if self.is_cut() { Err(LinkError::Broken("cut by the test".into())) } else { Ok(()) }
    }
}

/// One end of a link with a fault that both ends share: what is under way when it breaks is lost.
struct Faulty<L>(L, Arc<Fault>);

impl<L: Link> Link for Faulty<L> {
    fn send(&self, lane: Lane, message: Bytes) -> Result<(), LinkError> {
        self.1.check()?;
        thread::sleep(self.1.delay);
        let len = message.len() as u64;
        // It may be cut while it waits.
        self.0.send(lane, message)?;
        if lane != Lane::Control {
            self.1.chunks_sent.fetch_add(len, Ordering::Relaxed);
        }
        self.1.check()
    }

    fn recv(&self, patience: Duration) -> Result<(Lane, Bytes), LinkError> {
        self.1.check()?;
        let parcel = self.0.recv(patience)?;
        self.1.count(parcel.1.len())?;
        if parcel.0 != Lane::Control {
            self.1.chunks_taken.fetch_add(parcel.1.len() as u64, Ordering::Relaxed);
        }
        Ok(parcel)
    }

    fn traffic(&self) -> Traffic {
        self.0.traffic()
    }

    fn close(&self) {
        self.0.close();
    }

    fn peer(&self) -> String {
        self.0.peer()
    }
}

/// Talks to a host through a link with a fault.
pub fn through<T>(host: &dyn Host, fault: &Arc<Fault>, talk: impl FnOnce(&dyn Link) -> T) -> T {
    let (near, far) = pair("test");
    let (near, far) = (Faulty(near, Arc::clone(fault)), Faulty(far, Arc::clone(fault)));
    thread::scope(|scope| {
        scope.spawn(move || serve(&far, host));
        let result = talk(&near);
        near.close();
        drop(near);
        result
    })
}

/// Leads to a host, over links of which each has a fault of its own.
pub struct Breaking {
    pub host: Box<dyn Fn() -> LocalHost + Send + Sync>,
    pub fault: Box<dyn Fn() -> Arc<Fault> + Send + Sync>,
    pub dialled: AtomicU64,
}

impl Dial for Breaking {
    fn dial(&self) -> Result<Box<dyn Link>, LinkError> {
        self.dialled.fetch_add(1, Ordering::Relaxed);
        let ((near, far), fault, host) = (pair("test"), (self.fault)(), (self.host)());
        let far = Faulty(far, Arc::clone(&fault));
        thread::spawn(move || serve(&far, &host));
        Ok(Box::new(Faulty(near, fault)))
    }

    fn describe(&self) -> String {
        "a link that breaks".to_owned()
    }
}

/// Fails if it takes longer: a hang is a failure, and tells where.
pub fn within<T: Send + 'static>(limit: Duration, what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, is_done) = std::sync::mpsc::channel();
    let thread = thread::spawn(move || done.send(work()));
    match is_done.recv_timeout(limit) {
        Ok(result) => result,
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("{what} hangs"),
        Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => {
            std::panic::resume_unwind(thread.join().err().unwrap_or_else(|| Box::new("it gave nothing")))
        }
    }
}
