//! Messages that wait on their way between a thread and a carrier: bounded, in order on each lane, urgent lanes first.
//!
//! Either side may be a plain thread or asynchronous.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;

use super::budget::{Account, Budget};
use super::{BULK_LANES, Lane, LinkError};

/// How many lanes there are.
pub(super) const LANES: usize = 2 + BULK_LANES as usize;

/// What a message costs beside its bytes, so that the number of empty ones is bounded as well.
const COST: usize = 64;

/// How long a full lane is waited for: whoever does not read anything for so long never will.
pub(super) const FULL: Duration = Duration::from_secs(60);

/// Bounds of what waits, in bytes.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// On the control and demand lanes together.
    pub urgent: usize,
    /// On the bulk lanes together.
    pub bulk: usize,
}

impl Bounds {
    /// What waits to be sent, where the carrier keeps little itself.
    pub const WHOLE: Self = Self { urgent: 4 << 20, bulk: 8 << 20 };
    /// What waits to be sent, where the carrier has windows of its own.
    pub const HALF: Self = Self { urgent: 4 << 20, bulk: 4 << 20 };
    /// What has come and waits to be taken. It is lost, and comes again, if this process dies.
    pub const COME: Self = Self { urgent: 4 << 20, bulk: 1 << 20 };
}

struct State {
    queues: [VecDeque<Bytes>; LANES],
    /// What waits on the urgent and on the bulk lanes.
    used: [usize; 2],
    /// What of it counts together with other mailboxes: all on the bulk lanes.
    account: Option<Account>,
    /// The bulk lane to be served next.
    turn: usize,
    /// How many messages have been taken so far.
    taken: u64,
    end: Option<LinkError>,
}

/// A queue of messages on all lanes, with one end for senders and one for receivers.
pub(super) struct Mailbox {
    state: Mutex<State>,
    bounds: [usize; 2],
    full: Duration,
    changed: Condvar,
    /// Somebody waits for a message of this lane,
    arrived: [Notify; LANES],
    /// for any message,
    any: Notify,
    /// for room.
    room: Notify,
}

fn is_bulk(lane: usize) -> bool {
    lane >= 2
}

impl State {
    fn fits(&self, lane: usize, len: usize, bounds: [usize; 2]) -> bool {
        let (class, cost) = (usize::from(is_bulk(lane)), len + COST);
        let account = self.account.as_ref().filter(|_| is_bulk(lane));
        let is_shared = || account.is_none_or(|account| account.allows(cost));
        self.used[class] == 0 || (self.used[class] + cost <= bounds[class] && is_shared())
    }

    fn push(&mut self, lane: usize, message: Bytes) {
        let cost = message.len() + COST;
        self.used[usize::from(is_bulk(lane))] += cost;
        if let Some(account) = self.account.as_mut().filter(|_| is_bulk(lane)) {
            account.take(cost);
        }
        self.queues[lane].push_back(message);
    }

    fn pop_lane(&mut self, lane: usize) -> Option<Bytes> {
        let message = self.queues[lane].pop_front()?;
        let cost = message.len() + COST;
        self.used[usize::from(is_bulk(lane))] -= cost;
        if let Some(account) = self.account.as_mut().filter(|_| is_bulk(lane)) {
            account.give_back(cost);
        }
        self.taken += 1;
        Some(message)
    }

    fn clear(&mut self) {
        self.queues.iter_mut().for_each(VecDeque::clear);
        if let Some(account) = &mut self.account {
            account.give_back(self.used[1]);
        }
        self.used = [0; 2];
    }

    /// Demand, control, then the bulk lanes in turn.
    fn pop(&mut self) -> Option<(Lane, Bytes)> {
        let bulk = (0..usize::from(BULK_LANES)).map(|n| 2 + (self.turn + n) % usize::from(BULK_LANES));
        let lane = [1, 0].into_iter().chain(bulk).find(|lane| !self.queues[*lane].is_empty())?;
        if is_bulk(lane) {
            self.turn = lane - 1;
        }
        Some((Lane::from_index(lane), self.pop_lane(lane)?))
    }
}

impl Mailbox {
    pub fn new(bounds: Bounds) -> Self {
        Self::with_patience(bounds, FULL)
    }

    /// A queue whose bulk lanes are bounded also together with those of others.
    pub fn sharing(bounds: Bounds, budget: &'static Budget) -> Self {
        let mailbox = Self::new(bounds);
        mailbox.lock().account = Some(Account::new(budget));
        mailbox
    }

    /// A queue whose senders wait for room only so long while nothing is taken.
    pub fn with_patience(bounds: Bounds, full: Duration) -> Self {
        let state = State { queues: Default::default(), used: [0; 2], account: None, turn: 0, taken: 0, end: None };
        Self {
            state: Mutex::new(state),
            bounds: [bounds.urgent, bounds.bulk],
            full,
            changed: Condvar::new(),
            arrived: Default::default(),
            any: Notify::new(),
            room: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocks while the lane is full, as long as something is taken now and then.
    pub fn put(&self, lane: Lane, message: Bytes) -> Result<(), LinkError> {
        let mut state = self.lock();
        let (mut taken, mut since) = (state.taken, Instant::now());
        loop {
            if let Some(end) = &state.end {
                return Err(end.clone());
            }
            if state.fits(lane.index(), message.len(), self.bounds) {
                state.push(lane.index(), message);
                drop(state);
                self.tell_arrival(lane);
                return Ok(());
            }
            if state.taken != taken {
                (taken, since) = (state.taken, Instant::now());
            }
            let left = self.full.saturating_sub(since.elapsed());
            if left.is_zero() {
                return Err(LinkError::TimedOut(self.full));
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// As [`Mailbox::put`], for asynchronous senders.
    pub async fn put_async(&self, lane: Lane, message: Bytes) -> Result<(), LinkError> {
        loop {
            let room = self.room.notified();
            {
                let mut state = self.lock();
                if let Some(end) = &state.end {
                    return Err(end.clone());
                }
                if state.fits(lane.index(), message.len(), self.bounds) {
                    state.push(lane.index(), message);
                    drop(state);
                    self.tell_arrival(lane);
                    return Ok(());
                }
            }
            room.await;
        }
    }

    /// The next message, or after `patience` [`LinkError::TimedOut`].
    pub fn take(&self, patience: Duration) -> Result<(Lane, Bytes), LinkError> {
        let start = Instant::now();
        let mut state = self.lock();
        loop {
            if let Some(found) = state.pop() {
                drop(state);
                self.tell_room();
                return Ok(found);
            }
            if let Some(end) = &state.end {
                return Err(end.clone());
            }
            let left = patience.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Err(LinkError::TimedOut(patience));
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The next message; `None` when there is none just now.
    pub fn try_take(&self) -> Option<(Lane, Bytes)> {
        let found = self.lock().pop()?;
        self.tell_room();
        Some(found)
    }

    /// As [`Mailbox::take`], for asynchronous receivers and without a limit of time.
    pub async fn take_async(&self) -> Result<(Lane, Bytes), LinkError> {
        loop {
            let arrival = self.any.notified();
            if let Some(found) = self.try_take() {
                return Ok(found);
            }
            if let Some(end) = &self.lock().end {
                return Err(end.clone());
            }
            arrival.await;
        }
    }

    /// All that waits on one lane, at least one message and `most` bytes or a little more.
    pub async fn take_lane(&self, lane: Lane, most: usize) -> Result<Vec<Bytes>, LinkError> {
        loop {
            let arrival = self.arrived[lane.index()].notified();
            {
                let mut state = self.lock();
                let (mut found, mut size) = (Vec::new(), 0);
                while size < most {
                    let Some(message) = state.pop_lane(lane.index()) else { break };
                    size += message.len();
                    found.push(message);
                }
                if !found.is_empty() {
                    drop(state);
                    self.tell_room();
                    return Ok(found);
                }
                if let Some(end) = &state.end {
                    return Err(end.clone());
                }
            }
            arrival.await;
        }
    }

    /// Whether nothing more comes in.
    pub fn has_ended(&self) -> bool {
        self.lock().end.is_some()
    }

    /// Nothing is to be put in any more. What is in it can be taken, then comes `end`. Only the first end counts.
    pub fn finish(&self, end: LinkError) {
        self.lock().end.get_or_insert(end);
        self.tell_all();
    }

    /// As [`Mailbox::finish`], and what is in it is lost.
    pub fn fail(&self, end: LinkError) {
        let mut state = self.lock();
        state.end.get_or_insert(end);
        state.clear();
        drop(state);
        self.tell_all();
    }

    fn tell_arrival(&self, lane: Lane) {
        self.changed.notify_all();
        self.arrived[lane.index()].notify_waiters();
        self.any.notify_waiters();
    }

    fn tell_room(&self) {
        self.changed.notify_all();
        self.room.notify_waiters();
    }

    fn tell_all(&self) {
        self.changed.notify_all();
        self.room.notify_waiters();
        self.any.notify_waiters();
        self.arrived.iter().for_each(Notify::notify_waiters);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(len: usize) -> Bytes {
        Bytes::from(vec![7; len])
    }

    #[test]
    fn urgent_lanes_come_first_and_bulk_lanes_in_turn() {
        let mailbox = Mailbox::new(Bounds::WHOLE);
        for lane in [Lane::Bulk(0), Lane::Bulk(0), Lane::Bulk(2), Lane::Control, Lane::Demand] {
            mailbox.put(lane, message(1)).unwrap();
        }
        let taken: Vec<Lane> = std::iter::from_fn(|| mailbox.try_take()).map(|(lane, _)| lane).collect();
        assert_eq!(taken, [Lane::Demand, Lane::Control, Lane::Bulk(0), Lane::Bulk(2), Lane::Bulk(0)]);
        assert_eq!(mailbox.lock().used, [0, 0]);
    }

    #[test]
    fn a_full_lane_blocks_until_there_is_room_and_does_not_fill_the_urgent_ones() {
        let mailbox = Mailbox::new(Bounds { urgent: 1000, bulk: 1000 });
        mailbox.put(Lane::Bulk(0), message(800)).unwrap();
        std::thread::scope(|scope| {
            let blocked = scope.spawn(|| mailbox.put(Lane::Bulk(1), message(801)));
            mailbox.put(Lane::Control, message(900)).unwrap();
            std::thread::sleep(Duration::from_millis(20));
            assert!(!blocked.is_finished());
            assert_eq!(mailbox.take(Duration::ZERO).unwrap().0, Lane::Control);
            assert_eq!(mailbox.take(Duration::ZERO).unwrap().0, Lane::Bulk(0));
            blocked.join().unwrap().unwrap();
        });
        // Longer than the bound: alone it may pass.
        mailbox.take(Duration::ZERO).unwrap();
        mailbox.put(Lane::Bulk(0), message(5000)).unwrap();
    }

    #[test]
    fn many_mailboxes_keep_to_their_share_of_what_they_have_together() {
        static BUDGET: Budget = Budget::new(2000, 500);
        let mailboxes: Vec<Mailbox> = (0..4).map(|_| Mailbox::sharing(Bounds::WHOLE, &BUDGET)).collect();
        mailboxes[0].put(Lane::Bulk(0), message(3000)).unwrap();
        mailboxes[1].put(Lane::Bulk(0), message(300)).unwrap();
        std::thread::scope(|scope| {
            let blocked = scope.spawn(|| mailboxes[1].put(Lane::Bulk(1), message(300)));
            std::thread::sleep(Duration::from_millis(20));
            assert!(!blocked.is_finished());
            // What others give back is seen with the next message that is taken.
            mailboxes[1].put(Lane::Control, message(3000)).unwrap();
            mailboxes[0].fail(LinkError::Closed(String::new()));
            assert_eq!(mailboxes[1].take(Duration::ZERO).unwrap().0, Lane::Control);
            blocked.join().unwrap().unwrap();
        });
        assert_eq!(mailboxes[1].lock().used[1], 2 * (300 + COST));
    }

    #[test]
    fn the_end_wakes_whoever_waits() {
        let mailbox = Mailbox::new(Bounds { urgent: 100, bulk: 100 });
        mailbox.put(Lane::Bulk(0), message(90)).unwrap();
        std::thread::scope(|scope| {
            let sender = scope.spawn(|| mailbox.put(Lane::Bulk(0), message(90)));
            std::thread::sleep(Duration::from_millis(5));
            mailbox.finish(LinkError::Closed("x".into()));
            mailbox.finish(LinkError::Broken("y".into()));
            assert!(matches!(sender.join().unwrap(), Err(LinkError::Closed(_))));
        });
        assert!(mailbox.take(Duration::ZERO).is_ok());
        assert!(matches!(mailbox.take(Duration::from_secs(5)), Err(LinkError::Closed(_))));
        mailbox.fail(LinkError::Broken("z".into()));
    }
}
