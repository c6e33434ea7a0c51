//! Lets clients in: by token, anonymously, or because the operating system did.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dits_core::repo::Repository;
use dits_sync::server::{Access, Host, Visitor};
use dits_sync::wire::{ErrorCode, Failure};

use crate::access::{Grant, Services, Who};
use crate::audit::Record;
use crate::env;
use crate::policy::Policy;
use crate::repo_name::RepoName;
use crate::repositories::{Repositories, RepositoriesError};
use crate::token::{Rights, State, Token};

/// After how long a refusal is told, or a multiple of it: long enough for anything that might differ between a
/// repository that is not there and one that is not for the client, and for guesses to be slow.
const REFUSAL: Duration = Duration::from_millis(250);

/// What a refused client is told, whatever the reason.
const NOT_FOUND: &str = "no such repository, or it is not for you";

/// The repositories of a server's folder.
pub struct Hosted {
    /// What connections share.
    pub services: Arc<Services>,
    /// The repositories.
    pub repositories: Repositories,
}

/// Why a client is not let in, for the server's own log.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("no such repository")]
    NoRepository,
    #[error("no token, and no anonymous access")]
    NoToken,
    #[error("an unknown token")]
    UnknownToken,
    #[error("the token `{0}` is {1}")]
    Worthless(String, &'static str),
    #[error("the token `{0}` is not for this repository")]
    OtherRepository(String),
    #[error("{0}")]
    Broken(String),
    /// The client is told, since it may know that the repository is there.
    #[error("{0}")]
    Unusable(String),
}

impl Hosted {
    fn decide(&self, visitor: &Visitor) -> Result<Grant, Refusal> {
        let name = RepoName::parse(&visitor.repository).map_err(|_| Refusal::NoRepository);
        // Everything is looked at in any case, so that it takes its time in any case.
        let token = self.token(visitor);
        let opened = name.as_ref().ok().map(|name| self.open(name));
        let name = name?;
        let may_know =
            token.as_ref().is_ok_and(|token| token.as_ref().is_some_and(|token| token.rights.hold_in(&name)));
        let opened = opened.transpose().map_err(|refusal| match refusal {
            Refusal::Broken(why) if may_know => Refusal::Unusable(why),
            refusal => refusal,
        });
        let Some((repository, policy)) = opened?.flatten() else { return Err(Refusal::NoRepository) };
        let (who, rights) = match token? {
            Some(token) if token.rights.hold_in(&name) => {
                (Who::Token { name: token.name, hash: token.hash }, token.rights)
            }
            Some(token) => return Err(Refusal::OtherRepository(token.name)),
            None if policy.anonymous_read => (Who::Anonymous, Rights { methods: 1, ..Rights::default() }),
            None => return Err(Refusal::NoToken),
        };
        let name = name.to_string();
        Ok(Grant {
            services: Arc::clone(&self.services),
            locks: self.services.locks.of(&name, &repository.layout().common),
            name,
            repository,
            policy,
            who,
            rights,
            peer: visitor.peer.clone(),
            since: Instant::now(),
            got: Mutex::default(),
        })
    }

    fn token(&self, visitor: &Visitor) -> Result<Option<Token>, Refusal> {
        let (Some(text), Some(tokens)) = (&visitor.token, &self.services.tokens) else { return Ok(None) };
        let token = tokens.recognise(text).map_err(|error| Refusal::Broken(error.to_string()))?;
        let token = token.ok_or(Refusal::UnknownToken)?;
        match token.state(env::now()) {
            State::Valid => Ok(Some(token)),
            state => Err(Refusal::Worthless(token.name, state.name())),
        }
    }

    fn open(&self, name: &RepoName) -> Result<Option<(Arc<Repository>, Policy)>, Refusal> {
        let repository = match self.repositories.open(name) {
            Ok(repository) => repository,
            Err(RepositoriesError::NotFound(_)) => return Ok(None),
            Err(error) => return Err(Refusal::Broken(error.to_string())),
        };
        let policy = Policy::of(repository.config()).map_err(|error| Refusal::Broken(error.to_string()))?;
        Ok(Some((repository, policy)))
    }

    fn refuse(&self, visitor: &Visitor, refusal: &Refusal) -> Failure {
        self.services.metrics.connection("refused");
        let Visitor { peer, agent, repository, .. } = visitor;
        // What a client says is quoted, or it could make up lines of the log.
        match refusal {
            Refusal::Broken(_) | Refusal::Unusable(_) => {
                tracing::error!(%peer, ?agent, ?repository, why = %refusal, "refused")
            }
            _ => tracing::warn!(%peer, ?agent, ?repository, why = %refusal, "refused"),
        }
        if let Refusal::Worthless(name, _) | Refusal::OtherRepository(name) = refusal {
            let record = Record {
                event: "refused",
                repository: Some(repository.clone()),
                who: Some(format!("token {name}")),
                peer: Some(peer.clone()),
                note: Some(refusal.to_string()),
                ..Record::default()
            };
            self.services.record(&record, false);
        }
        if matches!(refusal, Refusal::Unusable(_)) {
            let text = "the repository cannot be used now; its administrator finds the reason in the server's log";
            return Failure { code: ErrorCode::Damaged, text: text.to_owned() };
        }
        Failure { code: ErrorCode::NotFound, text: NOT_FOUND.to_owned() }
    }
}

impl Host for Hosted {
    fn admit(&self, visitor: &Visitor) -> Result<Arc<dyn Access>, Failure> {
        let begin = Instant::now();
        if self.services.is_stopping() {
            let text = "the server is shutting down; try again later".to_owned();
            return Err(Failure { code: ErrorCode::GoingAway, text });
        }
        match self.decide(visitor) {
            Ok(grant) => {
                self.services.metrics.connection("admitted");
                self.services.metrics.open.inc();
                tracing::debug!(repository = %grant.name, who = %grant.who, peer = %grant.peer, agent = ?visitor.agent, "admitted");
                Ok(Arc::new(grant))
            }
            Err(refusal) => {
                let failure = self.refuse(visitor, &refusal);
                std::thread::sleep(until_next_beat(begin.elapsed()));
                Err(failure)
            }
        }
    }
}

/// What is left to a multiple of [`REFUSAL`].
fn until_next_beat(elapsed: Duration) -> Duration {
    let beats = elapsed.as_nanos() / REFUSAL.as_nanos() + 1;
    REFUSAL.saturating_mul(u32::try_from(beats).unwrap_or(u32::MAX)).saturating_sub(elapsed)
}

/// One repository, for a user of this machine who may do with it what the file system lets them.
pub struct OwnRepository {
    /// What connections share.
    pub services: Arc<Services>,
    /// The repository.
    pub repository: Arc<Repository>,
    /// Its rules.
    pub policy: Policy,
    /// How it is called.
    pub name: String,
    /// The user.
    pub user: String,
}

impl Host for OwnRepository {
    fn admit(&self, visitor: &Visitor) -> Result<Arc<dyn Access>, Failure> {
        self.services.metrics.open.inc();
        Ok(Arc::new(Grant {
            services: Arc::clone(&self.services),
            name: self.name.clone(),
            locks: self.services.locks.of(&self.name, &self.repository.layout().common),
            repository: Arc::clone(&self.repository),
            policy: self.policy.clone(),
            who: Who::User(self.user.clone()),
            rights: Rights { methods: 15, ..Rights::default() },
            peer: visitor.peer.clone(),
            since: Instant::now(),
            got: Mutex::default(),
        }))
    }
}

#[cfg(test)]
mod tests;
