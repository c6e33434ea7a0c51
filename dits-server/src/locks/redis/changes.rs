//! Who waits for a change of a table, and how they are woken.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::{FromRedisValue, PushInfo, PushKind};

/// The tables that somebody of this process has asked for, by their channel.
#[derive(Default)]
pub struct Changes {
    tables: Mutex<HashMap<String, Arc<Signal>>>,
}

/// Counts what was heard of one table.
#[derive(Default)]
pub struct Signal {
    heard: Mutex<u64>,
    changed: Condvar,
}

impl Changes {
    /// What is heard of the table with this channel.
    pub fn of(&self, channel: &str) -> Arc<Signal> {
        Arc::clone(locked(&self.tables).entry(channel.to_owned()).or_default())
    }

    /// Takes what a connection was sent without having asked.
    pub fn take(&self, push: &PushInfo) {
        // The pattern, the channel and the message.
        let channel = push.data.get(1).and_then(|value| String::from_redis_value_ref(value).ok());
        if let (PushKind::PMessage, Some(channel)) = (&push.kind, channel)
            && let Some(signal) = locked(&self.tables).get(&channel)
        {
            signal.give();
        }
    }

    /// Wakes everybody: nothing is heard any more.
    pub fn lose(&self) {
        locked(&self.tables).values().for_each(|signal| signal.give());
    }
}

impl Signal {
    fn give(&self) {
        *locked(&self.heard) += 1;
        self.changed.notify_all();
    }

    /// How often something was heard.
    pub fn heard(&self) -> u64 {
        *locked(&self.heard)
    }

    /// Waits until more is heard; whether it was.
    pub fn wait(&self, before: u64, patience: Duration) -> bool {
        let heard = locked(&self.heard);
        let waited = self.changed.wait_timeout_while(heard, patience, |heard| *heard == before);
        *waited.unwrap_or_else(PoisonError::into_inner).0 != before
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
