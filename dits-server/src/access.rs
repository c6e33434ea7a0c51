//! One client's access to one repository: settings, tokens, hooks and logs come together here.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dits_core::lock::{Holder, Lock, LockKey};
use dits_core::object::ObjectRead;
use dits_core::path::RepoPath;
use dits_core::repo::Repository;
use dits_core::signature::Signature;
use dits_sync::link::Traffic;
use dits_sync::locks::Locks;
use dits_sync::server::{Access, Event, Methods, RefUpdate};
use dits_sync::wire::{ErrorCode, Failure};

use crate::audit::{AuditLog, Record, RefChange};
use crate::changed_paths;
use crate::env;
use crate::hooks::{self, Hook, Occasion, Outcome};
use crate::limits::{NoTurn, Turn, Turns};
use crate::lock_tables::LockTables;
use crate::metrics::Metrics;
use crate::pattern::Pattern;
use crate::policy::{Actor, Policy};
use crate::repositories;
use crate::token::{Rights, TokenFile, TokenHash};

/// What all connections of a process share.
pub struct Services {
    /// Who may do what; none where the operating system decides.
    pub tokens: Option<TokenFile>,
    /// The audit log, where there is one.
    pub audit: Option<AuditLog>,
    /// Whether fetches are in it.
    pub audit_reads: bool,
    /// Counters.
    pub metrics: Metrics,
    /// The locks of the repositories.
    pub locks: LockTables,
    /// Turns of pushes.
    pub turns: Arc<Turns>,
    /// How long a hook may run.
    pub hook_timeout: Duration,
    /// Set when the server is to stop.
    pub stopping: Arc<AtomicBool>,
    /// Set when it cannot wait for transfers any more.
    pub cutting_off: AtomicBool,
}

impl Services {
    /// Writes to the audit log. What was done is done: a failure is logged.
    pub fn record(&self, record: &Record, durable: bool) {
        let Some(audit) = &self.audit else { return };
        if let Err(error) = audit.append(env::now(), record, durable) {
            self.metrics.errors.inc();
            tracing::error!(event = record.event, %error, "not in the audit log");
        }
    }

    /// Makes sure that what is done next can be recorded.
    ///
    /// # Errors
    /// What a client is told.
    pub fn check_books(&self) -> Result<(), String> {
        let Some(audit) = &self.audit else { return Ok(()) };
        audit.check(env::now()).map_err(|error| {
            self.metrics.errors.inc();
            tracing::error!(%error, "the audit log cannot be continued");
            "the server cannot continue its audit log, and takes no push until it can; its log tells more".to_owned()
        })
    }

    /// Whether the server is to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

/// Who a client is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Nobody known.
    Anonymous,
    /// The owner of a token.
    Token {
        /// The token's name.
        name: String,
        /// What recognises it.
        hash: TokenHash,
    },
    /// A user of the machine.
    User(String),
}

impl Who {
    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Token { name, .. } | Self::User(name) => name,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Token { .. } => "token",
            Self::User(_) => "user",
        }
    }
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Anonymous => f.write_str("anonymous"),
            known => write!(f, "{} {}", known.kind(), known.name()),
        }
    }
}

/// A client that was let in.
pub struct Grant {
    /// What is shared.
    pub services: Arc<Services>,
    /// The repository's name.
    pub name: String,
    /// The repository.
    pub repository: Arc<Repository>,
    /// Its locks.
    pub locks: Arc<Locks>,
    /// Its rules.
    pub policy: Policy,
    /// The client.
    pub who: Who,
    /// What it might do when it was let in.
    pub rights: Rights,
    /// Where it is.
    pub peer: String,
    /// When it was let in.
    pub since: Instant,
    /// Objects that it read by name, and the traffic by then.
    pub got: Mutex<(u64, Traffic)>,
}

/// How many paths the audit log names of one request.
const AUDITED_PATHS: usize = 100;

const NO_LONGER: &str = "your token was revoked or has expired";

impl Grant {
    /// Who pushes, by what holds now.
    fn actor(&self) -> Result<Actor, String> {
        let rights = match (&self.who, &self.services.tokens) {
            (Who::Token { hash, .. }, Some(tokens)) => {
                let token = tokens.valid(hash, env::now()).map_err(|error| {
                    tracing::error!(%error, "tokens cannot be read");
                    "the server cannot read its tokens".to_owned()
                })?;
                token.ok_or(NO_LONGER)?.rights
            }
            _ => self.rights.clone(),
        };
        Ok(Actor { name: self.who.name().to_owned(), rights })
    }

    fn occasion(&self) -> Occasion<'_> {
        Occasion {
            repository: &self.name,
            folder: &self.repository.layout().common,
            kind: self.who.kind(),
            name: self.who.name(),
            peer: &self.peer,
            timeout: self.services.hook_timeout,
        }
    }

    fn run_hook(&self, hook: Hook, updates: &[RefUpdate]) -> Outcome {
        let outcome = hooks::run(hook, &self.occasion(), updates, &|| self.cutting_off());
        if let Some(label) = outcome.label() {
            self.services.metrics.hook(label);
        }
        if let Outcome::Failed(why) = &outcome {
            tracing::warn!(repository = %self.name, ?hook, why = ?why.trim_end(), "a hook failed");
        }
        outcome
    }

    /// The branch that is checked out in a worktree, which a push must not move beneath it.
    fn checked_out(&self, update: &RefUpdate) -> bool {
        self.repository.layout().worktree.is_some()
            && self.repository.head().is_ok_and(|head| head.branch() == Some(&update.name))
    }

    fn stored(&self) -> Option<u64> {
        let bytes = repositories::stored_bytes(&self.repository);
        bytes.inspect_err(|error| tracing::error!(repository = %self.name, %error, "the size is not known")).ok()
    }

    fn on_push(&self, moved: &[RefUpdate], refused: &[(RefUpdate, String)], objects: u64, traffic: Traffic) {
        self.services.metrics.request("push", objects, traffic);
        self.services.metrics.refs(moved.len(), refused.len());
        tracing::info!(
            repository = %self.name, who = %self.who, peer = %self.peer, moved = moved.len(), refused = refused.len(),
            objects, received = traffic.received, "push"
        );
        let record = Record {
            moved: moved.iter().map(|update| change(update, None)).collect(),
            refused: refused.iter().map(|(update, why)| change(update, Some(why))).collect(),
            ..self.record("push", objects, traffic)
        };
        self.services.record(&record, true);
    }

    /// Whose lock was broken must be known for ever.
    fn record_locks(&self, event: &'static str, holder: &Holder, paths: &[RepoPath], broken: Option<&Vec<Lock>>) {
        let mut note = format!("{} in {}:", paths.len(), holder.folder);
        let whose = |path: &RepoPath| broken?.iter().find(|lock| LockKey::of(&lock.path) == LockKey::of(path));
        for path in paths.iter().take(AUDITED_PATHS) {
            note.push_str(&format!(" {path:?}"));
            if let Some(lock) = whose(path) {
                note.push_str(&format!(" (of {} in {}, token {})", lock.holder.name, lock.holder.folder, lock.fence));
            }
        }
        let record = Record { note: Some(note), ..self.record(event, 0, Traffic::default()) };
        let record = Record { objects: None, bytes: None, ..record };
        self.services.record(&record, broken.is_some_and(|broken| !broken.is_empty()));
    }

    fn record(&self, event: &'static str, objects: u64, traffic: Traffic) -> Record {
        Record {
            event,
            repository: Some(self.name.clone()),
            who: Some(self.who.to_string()),
            peer: Some(self.peer.clone()),
            objects: Some(objects),
            bytes: Some(traffic.sent + traffic.received),
            ..Record::default()
        }
    }
}

fn change(update: &RefUpdate, why: Option<&String>) -> RefChange {
    RefChange {
        name: update.name.to_string(),
        old: update.old.map(|id| id.to_string()),
        new: update.new.map(|id| id.to_string()),
        force: update.force,
        why: why.cloned(),
    }
}

impl Access for Grant {
    fn repository(&self) -> &Repository {
        &self.repository
    }

    fn locks(&self) -> &Locks {
        &self.locks
    }

    fn methods(&self) -> Methods {
        self.rights.methods()
    }

    fn signature(&self) -> Signature {
        let name = self.who.name().to_owned();
        Signature { email: format!("{name}@dits-server"), name, time: env::now(), offset: 0 }
    }

    fn begin_push(&self, gone: &dyn Fn() -> bool) -> Result<Box<dyn Send>, Failure> {
        let begin = Instant::now();
        self.services.check_books().map_err(|text| Failure { code: ErrorCode::Internal, text })?;
        let waiting = self.services.metrics.waiting.clone();
        waiting.inc();
        let over = || match self.services.is_stopping() {
            true => Some(NoTurn::Stopping),
            false => gone().then_some(NoTurn::Gone),
        };
        let turn = self.services.turns.wait(&self.name, &over);
        waiting.dec();
        let failure = |code, text: &str| Failure { code, text: text.to_owned() };
        match turn {
            Ok(turn) => Ok(Box::new(PushTurn { services: Arc::clone(&self.services), begin, _turn: turn })),
            Err(NoTurn::Late) => {
                Err(failure(ErrorCode::Busy, "too many pushes to this repository at once; try again later"))
            }
            Err(NoTurn::Gone) => Err(failure(ErrorCode::GoingAway, "the client left while it waited for other pushes")),
            Err(NoTurn::Stopping) => Err(failure(ErrorCode::GoingAway, "the server is shutting down; try again later")),
        }
    }

    fn check_update(&self, update: &RefUpdate, fast_forward: Option<bool>) -> Result<(), String> {
        if self.checked_out(update) {
            return Err("the branch is checked out on the other side; push another one, and merge it there".to_owned());
        }
        let head = self.repository.head().ok();
        self.policy.decide(update, fast_forward, &self.actor()?, head.as_ref().and_then(|head| head.branch()))
    }

    fn check_paths(&self, update: &RefUpdate, objects: &dyn ObjectRead) -> Result<(), String> {
        let paths = self.actor()?.rights.paths;
        if paths.is_empty() {
            return Ok(());
        }
        let patterns: Vec<_> = paths.iter().map(|text| Pattern::parse(text)).collect();
        changed_paths::check(&self.repository, objects, update, &patterns).map_err(|refusal| refusal.to_string())
    }

    fn quota_left(&self) -> Option<u64> {
        // What cannot be measured cannot be let grow.
        let left = self.policy.quota.map(|quota| self.stored().map_or(0, |stored| quota.saturating_sub(stored)));
        left.into_iter().chain(self.policy.max_size).min()
    }

    fn pre_receive(&self, updates: &[RefUpdate]) -> Result<String, String> {
        self.actor()?;
        // Pushes at the same time were each told the same room.
        if let Some(quota) = self.policy.quota
            && self.stored().is_none_or(|stored| stored > quota)
        {
            return Err(format!("the repository would take more than its quota of {quota} bytes"));
        }
        let text = match self.run_hook(Hook::PreReceive, updates) {
            Outcome::Absent => String::new(),
            Outcome::Agreed(text) => text,
            Outcome::Refused(text) if text.is_empty() => {
                return Err("the server's hook pre-receive refuses it".to_owned());
            }
            Outcome::Refused(text) | Outcome::Failed(text) => return Err(text),
        };
        // A hook may take its time, and the token may be revoked meanwhile.
        self.actor()?;
        self.services.check_books()?;
        Ok(text)
    }

    fn post_receive(&self, updates: &[RefUpdate]) -> String {
        match self.run_hook(Hook::PostReceive, updates) {
            Outcome::Absent => String::new(),
            Outcome::Agreed(text) | Outcome::Refused(text) | Outcome::Failed(text) => text,
        }
    }

    fn observe(&self, event: &Event) {
        let none = Traffic::default();
        match event {
            Event::Fetched { wants, objects, complete, traffic, .. } => {
                self.services.metrics.request("fetch", *objects, *traffic);
                tracing::info!(
                    repository = %self.name, who = %self.who, peer = %self.peer, wants = wants.len(), objects,
                    complete, sent = traffic.sent, "fetch"
                );
                if self.services.audit_reads {
                    let note = (!complete).then(|| "broken off".to_owned());
                    let record = self.record("fetch", *objects, *traffic);
                    let objects = record.objects.filter(|_| *complete);
                    self.services.record(&Record { objects, note, ..record }, false);
                }
            }
            Event::Pushed { moved, refused, objects, traffic } => self.on_push(moved, refused, *objects, *traffic),
            Event::Got { objects, missing, traffic } => {
                // A mount reads all day long: one line for all of it, when it leaves.
                let mut got = self.got.lock().unwrap_or_else(PoisonError::into_inner);
                *got = (got.0 + objects, *traffic);
                self.services.metrics.request("get", *objects, none);
                tracing::debug!(repository = %self.name, who = %self.who, peer = %self.peer, objects, missing, "get");
            }
            Event::Locked { holder, locked, refused } => {
                self.services.metrics.request("lock", 0, none);
                if !locked.is_empty() {
                    self.record_locks("lock", holder, locked, None);
                }
                let (locked, refused) = (locked.len(), refused.len());
                tracing::info!(repository = %self.name, who = %self.who, peer = %self.peer, locked, refused, "lock");
            }
            Event::Unlocked { holder, unlocked, broken } => {
                self.services.metrics.request("unlock", 0, none);
                if !unlocked.is_empty() {
                    self.record_locks("unlock", holder, unlocked, Some(broken));
                }
                let (unlocked, broken) = (unlocked.len(), broken.len());
                tracing::info!(repository = %self.name, who = %self.who, peer = %self.peer, unlocked, broken, "unlock");
            }
            Event::Failed { what } if self.services.is_stopping() => {
                tracing::info!(repository = %self.name, who = %self.who, peer = %self.peer, ?what, "ended");
            }
            Event::Failed { what } => {
                self.services.metrics.errors.inc();
                tracing::warn!(repository = %self.name, who = %self.who, peer = %self.peer, ?what, "failed");
            }
            other => tracing::debug!(repository = %self.name, ?other, "event"),
        }
    }

    fn stopping(&self) -> bool {
        self.services.is_stopping()
    }

    fn cutting_off(&self) -> bool {
        self.services.cutting_off.load(Ordering::Relaxed)
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        let (objects, traffic) = *self.got.lock().unwrap_or_else(PoisonError::into_inner);
        if objects > 0 && self.services.audit_reads {
            self.services.record(&self.record("get", objects, traffic), false);
        }
        self.services.metrics.open.dec();
        self.services.metrics.connection_ended(self.since.elapsed().as_secs_f64());
        tracing::debug!(repository = %self.name, who = %self.who, peer = %self.peer, "left");
    }
}

/// A push in progress.
struct PushTurn {
    services: Arc<Services>,
    begin: Instant,
    _turn: Turn,
}

impl Drop for PushTurn {
    fn drop(&mut self) {
        self.services.metrics.push_ended(self.begin.elapsed().as_secs_f64());
    }
}
