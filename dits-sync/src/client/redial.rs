//! Beginning again when a link breaks.

use std::thread;
use std::time::{Duration, Instant};

use dits_core::progress::Progress;

use super::{Client, Introduction, Lasting};
use crate::error::SyncError;
use crate::link::{Dial, Traffic};

/// How often in a row the link may break without an object having got through for good.
const TRIES: u32 = 10;
/// How long it may go on without that altogether.
const LIMIT: Duration = Duration::from_secs(120);
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
    let (mut patience, began) = (Patience::default(), Instant::now());
    loop {
        let (result, through, lasting) = try_once(dial, introduction, talk, traffic == Traffic::default());
        traffic.sent += through.sent;
        traffic.received += through.received;
        let error = match result {
            Ok(result) => return Ok((result, traffic)),
            Err(Failed::ForGood(error)) => return Err(error),
            Err(Failed::Broken(error)) => error,
        };
        let Some(pause) = patience.after_a_break(lasting, began.elapsed()) else { return Err(error) };
        progress.stage("Connecting again", None, None);
        wait(pause, progress)?;
    }
}

/// Whether another try is worth it. Bytes prove nothing: greetings and negotiations go through a link that breaks
/// whenever there is more to carry.
#[derive(Default)]
struct Patience {
    /// How many tries in a row led nowhere.
    failures: u32,
    /// The most that the server had at any try.
    spared: u64,
    /// When it led somewhere for the last time.
    since: Duration,
}

impl Patience {
    /// How long to wait after the link broke at `now` in a try that led this far; `None` when it has broken too often, or
    /// has led nowhere for too long.
    fn after_a_break(&mut self, lasting: Lasting, now: Duration) -> Option<Duration> {
        if lasting.stored > 0 || lasting.spared > self.spared {
            (self.failures, self.since) = (0, now);
        }
        self.spared = self.spared.max(lasting.spared);
        self.failures += 1;
        let pause = FIRST_PAUSE * 2u32.pow(self.failures - 1);
        (self.failures < TRIES && now.saturating_sub(self.since) < LIMIT).then(|| pause.min(LONGEST_PAUSE))
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
) -> (Result<T, Failed>, Traffic, Lasting) {
    let link = match dial.dial() {
        Ok(link) => link,
        // Who cannot be reached at all is told so at once.
        Err(error) if first || !error.is_transient() => {
            return (Err(Failed::ForGood(error.into())), Traffic::default(), Lasting::default());
        }
        Err(error) => return (Err(Failed::Broken(error.into())), Traffic::default(), Lasting::default()),
    };
    let mut lasting = Lasting::default();
    let result = Client::new(&*link, introduction).and_then(|mut client| {
        let result = talk(&mut client);
        lasting = client.lasting;
        result
    });
    let result = result.map_err(|error| match error.is_transient() {
        true => Failed::Broken(error),
        false => Failed::ForGood(error),
    });
    let traffic = link.traffic();
    link.close();
    (result, traffic, lasting)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn breaks(patience: &mut Patience, stored: u64, spared: u64) -> Option<Duration> {
        patience.after_a_break(Lasting { stored, spared }, Duration::ZERO)
    }

    #[test]
    fn what_leads_nowhere_for_long_ends_too() {
        let mut patience = Patience::default();
        let mut breaks = |stored, at| patience.after_a_break(Lasting { stored, spared: 0 }, at).is_some();
        assert!(breaks(0, LIMIT / 2) && breaks(1, LIMIT) && breaks(0, LIMIT + LIMIT / 2));
        assert!(!breaks(0, LIMIT * 2));
    }

    #[test]
    fn what_leads_nowhere_ends() {
        let mut patience = Patience::default();
        let pauses: Vec<_> = std::iter::from_fn(|| breaks(&mut patience, 0, 7)).collect();
        assert_eq!(pauses.len() as u32, TRIES - 1);
        assert_eq!((pauses[0], pauses[1], pauses[8]), (FIRST_PAUSE, FIRST_PAUSE * 2, LONGEST_PAUSE));
    }

    #[test]
    fn what_gets_through_is_worth_another_try() {
        let mut fetch = Patience::default();
        assert!((0..1000).all(|_| breaks(&mut fetch, 1, 0) == Some(FIRST_PAUSE)));
        let mut push = Patience::default();
        assert!((1..1000).all(|there| breaks(&mut push, 0, there) == Some(FIRST_PAUSE)));
        // The server has no more than before, or the link broke before it could say so.
        let rest: Vec<_> = (0..TRIES).map(|n| breaks(&mut push, 0, 999 * u64::from(n % 2))).collect();
        assert_eq!(rest.iter().flatten().count() as u32, TRIES - 2);
    }
}
