//! Locks in words and in JSON.

use dits_core::lock::{CloneId, Lock, LockKind};
use serde::Serialize;

use crate::date::{DateStyle, Moment};
use crate::output::json::Bytes;

/// A lock that is younger than this was taken just now, in seconds.
const JUST_NOW: i64 = 5;

/// A lock in JSON.
#[derive(Debug, Serialize)]
pub struct LockJson {
    path: Bytes,
    holder: String,
    host: String,
    folder: String,
    clone: String,
    /// Whether it is this clone's.
    mine: bool,
    kind: &'static str,
    branch: Option<String>,
    reason: String,
    since: i64,
    expires: Option<i64>,
    release: &'static str,
    token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    retained: Option<RetainedJson>,
}

#[derive(Debug, Serialize)]
struct RetainedJson {
    branch: String,
    commit: String,
}

impl LockJson {
    /// All of a lock.
    #[must_use]
    pub fn new(lock: &Lock, us: Option<CloneId>) -> Self {
        Self {
            path: Bytes::from(&lock.path),
            holder: lock.holder.name.clone(),
            host: lock.holder.host.clone(),
            folder: lock.holder.folder.clone(),
            clone: format!("{:?}", lock.holder.clone),
            mine: Some(lock.holder.clone) == us,
            kind: if lock.kind == LockKind::Shared { "shared" } else { "exclusive" },
            branch: lock.branch.as_ref().map(|branch| branch.short().to_owned()),
            reason: lock.reason.clone(),
            since: lock.since,
            expires: lock.expires,
            release: lock.release.as_str(),
            token: lock.fence.to_string(),
            retained: lock.retained.as_ref().map(|retained| RetainedJson {
                branch: retained.branch.short().to_owned(),
                commit: retained.commit.to_string(),
            }),
        }
    }
}

/// How long ago, or when.
#[must_use]
pub fn since(lock: &Lock, now: Moment) -> String {
    // Clocks differ by seconds.
    if now.seconds.saturating_sub(lock.since) < JUST_NOW {
        return "just now".to_owned();
    }
    let seconds = lock.since;
    Moment { seconds, offset: now.offset }.format(DateStyle::Relative, now)
}

/// `ws-7, /home/ada/film`
#[must_use]
pub fn place(lock: &Lock) -> String {
    format!("{}, {}", lock.holder.host, lock.holder.folder)
}

/// What is special about a lock.
#[must_use]
pub fn remarks(lock: &Lock, now: Moment) -> Vec<String> {
    let mut remarks = Vec::new();
    if lock.kind == LockKind::Shared {
        remarks.push("shared".to_owned());
    }
    if let Some(branch) = &lock.branch {
        remarks.push(format!("on {} only", branch.short()));
    }
    if let Some(expires) = lock.expires {
        let until = Moment { seconds: expires, offset: now.offset };
        remarks.push(format!("until {}", until.format(DateStyle::Iso, now)));
    }
    if let Some(retained) = &lock.retained {
        remarks.push(format!("done, on {}", retained.branch.short()));
    }
    remarks
}

/// `is locked by ada (10 minutes ago, on ws-7, /home/ada/film): new lighting`
#[must_use]
pub fn held(lock: &Lock, now: Moment) -> String {
    let who = match lock.holder.name.as_str() {
        "" => "somebody",
        name => name,
    };
    let remarks: String = remarks(lock, now).iter().map(|remark| format!("; {remark}")).collect();
    let reason = if lock.reason.is_empty() { String::new() } else { format!(": {}", lock.reason) };
    format!("is locked by {who} ({}, on {}{remarks}){reason}", since(lock, now), place(lock))
}
