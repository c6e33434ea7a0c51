//! Beginning again when a link breaks.

use std::thread;
use std::time::{Duration, Instant};

use dits_core::progress::Progress;

use super::{Client, Introduction};
use crate::error::SyncError;
use crate::link::{Dial, Traffic};

/// How often in a row the link may break without anything having got through.
const TRIES: u32 = 10;
/// Bytes that count as having got through: more than a handshake and a negotiation take.
const PROGRESS: u64 = 256 << 10;
/// How long is waited before the second try; each further time twice as long,
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// but no longer than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// Dials and talks; when the link breaks, dials and talks again, as long as that leads anywhere. What `talk` did before has
/// to be of use to it: a fetch or a push goes on where it was. Gives the traffic of all tries.
///
/// # Errors
/// When the first dialling fails, `talk` fails in a way that a new link cannot help, or the link breaks too often.
pub fn converse<T>(
    dial: &dyn Dial,
    introduction: &Introduction,
    progress: &dyn Progress,
    talk: &mut dyn FnMut(&mut Client<'_>) -> Result<T, SyncError>,
) -> Result<(T, Traffic), SyncError> {
    let mut traffic = Traffic::default();
    let (mut failures, mut pause) = (0, FIRST_PAUSE);
    loop {
        let (result, through) = try_once(dial, introduction, talk, traffic == Traffic::default());
        traffic.sent += through.sent;
        traffic.received += through.received;
        let error = match result {
            Ok(result) => return Ok((result, traffic)),
            Err(Failed::ForGood(error)) => return Err(error),
            Err(Failed::Broken(error)) => error,
        };
        if through.sent + through.received >= PROGRESS {
            (failures, pause) = (0, FIRST_PAUSE);
        }
        failures += 1;
        if failures >= TRIES {
            return Err(error);
        }
        progress.stage("Connecting again", None, None);
        wait(pause, progress)?;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

enum Failed {
    ForGood(SyncError),
    Broken(SyncError),
}

fn try_once<T>(
    dial: &dyn Dial,
    introduction: &Introduction,
    talk: &mut dyn FnMut(&mut Client<'_>) -> Result<T, SyncError>,
    first: bool,
) -> (Result<T, Failed>, Traffic) {
    let link = match dial.dial() {
        Ok(link) => link,
        // Who cannot be reached at all is told so at once.
        Err(error) if first || !error.is_transient() => {
            return (Err(Failed::ForGood(error.into())), Traffic::default());
        }
        Err(error) => return (Err(Failed::Broken(error.into())), Traffic::default()),
    };
    let result = Client::new(&*link, introduction).and_then(|mut client| talk(&mut client));
    let result = result.map_err(|error| match error.is_transient() {
        true => Failed::Broken(error),
        false => Failed::ForGood(error),
    });
    let traffic = link.traffic();
    link.close();
    (result, traffic)
}

/// Waits, but not for a user who wants it to stop.
fn wait(pause: Duration, progress: &dyn Progress) -> Result<(), SyncError> {
    let start = Instant::now();
    while start.elapsed() < pause {
        progress.check()?;
        thread::sleep(Duration::from_millis(50).min(pause));
    }
    Ok(())
}
