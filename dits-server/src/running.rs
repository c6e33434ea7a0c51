//! Taking connections until the server is to stop, and ending well.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dits_sync::link::{Lane, Link};
use dits_sync::wire::{ErrorCode, Failure, Message};

use crate::host::Hosted;
use crate::limits::{Doors, Ticket};

/// How often to look whether the server is to stop.
const LOOK: Duration = Duration::from_millis(100);
/// How long a client has that is told to go: to hear it, or to say its first word.
const FAREWELL: Duration = Duration::from_secs(3);
/// How many clients are told at once that there is no room. Others are cut off.
const MAX_REFUSALS: usize = 16;

/// Where connections come from.
pub trait Door {
    /// The next one, if it comes within `patience`.
    fn accept(&self, patience: Duration) -> Option<Box<dyn Link>>;

    /// Lets no more in.
    fn stop(&self);
}

/// Answers connections, each on a thread of its own, until the server is to stop, and then waits for them as long as
/// `patience`. Says how many had not ended.
pub fn run(door: &dyn Door, hosted: &Arc<Hosted>, doors: &Arc<Doors>, patience: Duration) -> usize {
    let refusals = Arc::new(AtomicUsize::new(0));
    while !hosted.services.is_stopping() {
        let Some(link) = door.accept(LOOK) else { continue };
        match doors.enter(&link.peer()) {
            Ok(ticket) => answer(link, Arc::clone(hosted), ticket),
            Err(full) => {
                hosted.services.metrics.connection("limit");
                tracing::warn!(peer = %link.peer(), why = %full, "refused");
                refuse(link, Failure { code: ErrorCode::Busy, text: full.to_string() }, &refusals);
            }
        }
    }
    door.stop();
    let count = doors.count();
    tracing::info!(connections = count, patience = ?patience, "shutting down");
    if doors.wait_until_empty(patience) > 0 {
        hosted.services.cutting_off.store(true, Ordering::Relaxed);
        return doors.wait_until_empty(FAREWELL);
    }
    0
}

fn answer(link: Box<dyn Link>, hosted: Arc<Hosted>, ticket: Ticket) {
    let serve = move || {
        let _ticket = ticket;
        dits_sync::server::serve(&*link, &*hosted);
    };
    if let Err(error) = std::thread::Builder::new().name("client".to_owned()).spawn(serve) {
        // The link went with the closure; the client sees it closed.
        tracing::error!(%error, "no thread for a connection");
    }
}

/// Tells a client why not, without waiting for it here: it may be slow on purpose.
fn refuse(link: Box<dyn Link>, failure: Failure, refusals: &Arc<AtomicUsize>) {
    if refusals.fetch_add(1, Ordering::Relaxed) >= MAX_REFUSALS {
        refusals.fetch_sub(1, Ordering::Relaxed);
        return;
    }
    let counted = Arc::clone(refusals);
    let tell = move || {
        // An answer needs a question: what is sent before the client's first word may be lost with the connection.
        let _ = link.recv(FAREWELL);
        let _ = link.send(Lane::Control, Message::Error(failure).encode());
        link.close();
        counted.fetch_sub(1, Ordering::Relaxed);
    };
    if std::thread::Builder::new().name("refusal".to_owned()).spawn(tell).is_err() {
        refusals.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
