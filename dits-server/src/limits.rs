//! How much at once: connections, and pushes to one repository.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often who waits looks whether the server stops.
const LOOK: Duration = Duration::from_millis(200);

/// Counts connections, all and by address.
#[derive(Debug)]
pub struct Doors {
    all: usize,
    per_address: usize,
    open: Mutex<Open>,
    closed: Condvar,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_address: HashMap<Address, usize>,
}

/// Where a connection is from. One subscriber has a /64 of IPv6 addresses.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Address {
    Ip(IpAddr),
    Other(String),
}

impl Address {
    fn of(peer: &str) -> Self {
        let ip = peer.parse::<SocketAddr>().map(|address| address.ip().to_canonical());
        match ip {
            Ok(IpAddr::V6(ip)) => Self::Ip(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into()),
            Ok(ip) => Self::Ip(ip),
            Err(_) => Self::Other(peer.to_owned()),
        }
    }
}

/// Why a connection is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// Too many in all.
    #[error("the server has {0} connections, which is its limit; try again later")]
    All(usize),
    /// Too many from there.
    #[error("the server has {0} connections from your address, which is its limit; try again later")]
    Address(usize),
}

/// A connection that counts, until this is dropped.
#[derive(Debug)]
pub struct Ticket {
    doors: Arc<Doors>,
    address: Address,
}

impl Doors {
    /// With these limits.
    #[must_use]
    pub fn new(all: usize, per_address: usize) -> Arc<Self> {
        Arc::new(Self { all, per_address, open: Mutex::default(), closed: Condvar::new() })
    }

    /// Counts a connection.
    ///
    /// # Errors
    /// When that is one too many.
    pub fn enter(self: &Arc<Self>, peer: &str) -> Result<Ticket, Full> {
        let address = Address::of(peer);
        let mut open = self.lock();
        if open.all >= self.all {
            return Err(Full::All(self.all));
        }
        let from_there = open.by_address.entry(address.clone()).or_default();
        if *from_there >= self.per_address {
            return Err(Full::Address(self.per_address));
        }
        *from_there += 1;
        open.all += 1;
        Ok(Ticket { doors: Arc::clone(self), address })
    }

    /// How many connections are open.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().all
    }

    /// Waits until all connections have ended, and says how many have not after `patience`.
    #[must_use]
    pub fn wait_until_empty(&self, patience: Duration) -> usize {
        let open = self.lock();
        let waited = self.closed.wait_timeout_while(open, patience, |open| open.all > 0);
        waited.unwrap_or_else(PoisonError::into_inner).0.all
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut open = self.doors.lock();
        open.all -= 1;
        if let Some(count) = open.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&self.address);
            }
        }
        self.doors.closed.notify_all();
    }
}

/// Counts pushes by repository.
#[derive(Debug)]
pub struct Turns {
    per_repository: usize,
    patience: Duration,
    taken: Mutex<HashMap<String, usize>>,
    ended: Condvar,
}

/// Why a turn did not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoTurn {
    /// It took too long.
    Late,
    /// The server stops.
    Stopping,
    /// Who waited has left.
    Gone,
}

/// A push whose turn it is, until this is dropped.
#[derive(Debug)]
pub struct Turn {
    turns: Arc<Turns>,
    repository: String,
}

impl Turns {
    /// So many at once; others wait this long.
    #[must_use]
    pub fn new(per_repository: usize, patience: Duration) -> Arc<Self> {
        Arc::new(Self { per_repository, patience, taken: Mutex::default(), ended: Condvar::new() })
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// When it does not come in time, or `over` gives a reason to wait no longer.
    pub fn wait(self: &Arc<Self>, repository: &str, over: &dyn Fn() -> Option<NoTurn>) -> Result<Turn, NoTurn> {
        let begin = Instant::now();
        let mut taken = self.lock();
        loop {
            if let Some(why) = over() {
                return Err(why);
            }
            let count = taken.entry(repository.to_owned()).or_default();
            if *count < self.per_repository {
                *count += 1;
                return Ok(Turn { turns: Arc::clone(self), repository: repository.to_owned() });
            }
            let left = self.patience.saturating_sub(begin.elapsed());
            if left.is_zero() {
                return Err(NoTurn::Late);
            }
            taken = self.ended.wait_timeout(taken, left.min(LOOK)).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut taken = self.turns.lock();
        if let Some(count) = taken.get_mut(&self.repository) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.repository);
            }
        }
        self.turns.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_limited_in_all_and_by_address() {
        let doors = Doors::new(3, 2);
        let first = doors.enter("192.0.2.1:1").unwrap();
        let _second = doors.enter("192.0.2.1:2").unwrap();
        assert_eq!(doors.enter("[::ffff:192.0.2.1]:3").unwrap_err(), Full::Address(2));
        let _third = doors.enter("[2001:db8::1]:1").unwrap();
        assert_eq!(doors.enter("192.0.2.2:1").unwrap_err(), Full::All(3));
        drop(first);
        let _again = doors.enter("[2001:db8::2]:1").unwrap();
        assert_eq!(Address::of("[2001:db8::1]:1"), Address::of("[2001:db8::2]:9"));
        assert_eq!(doors.wait_until_empty(Duration::from_millis(1)), 3);
    }

    #[test]
    fn pushes_wait_for_their_turn() {
        let turns = Turns::new(1, Duration::from_millis(40));
        let turn = turns.wait("film", &|| None).unwrap();
        let _other = turns.wait("sound", &|| None).unwrap();
        assert_eq!(turns.wait("film", &|| None).unwrap_err(), NoTurn::Late);
        assert_eq!(turns.wait("film", &|| Some(NoTurn::Stopping)).unwrap_err(), NoTurn::Stopping);
        let patient = Turns::new(1, Duration::from_secs(20));
        let held = patient.wait("film", &|| None).unwrap();
        let waiting = {
            let patient = Arc::clone(&patient);
            std::thread::spawn(move || patient.wait("film", &|| None).is_ok())
        };
        drop(held);
        assert!(waiting.join().unwrap());
        drop(turn);
        turns.wait("film", &|| None).unwrap();
    }
}
