//! Failures of the exchange with other repositories.

use dits_core::repo::RepoError;
use dits_sync::SyncError;
use dits_sync::link::LinkError;
use dits_sync::wire::{ErrorCode, Failure};

use super::CliError;
use crate::exit::Exit;

/// What to do after a link broke.
pub const GO_ON: &str = "what has arrived is kept: run the same command again to go on";

impl From<SyncError> for CliError {
    fn from(error: SyncError) -> Self {
        match error {
            SyncError::Link(error) => error.into(),
            SyncError::Peer(failure) | SyncError::Refuse(failure) => refused(failure),
            SyncError::Repo(RepoError::Store(error)) => error.into(),
            SyncError::Repo(error) => error.into(),
            error @ SyncError::DamagedHere { .. } => Self::new(Exit::Corruption, error.to_string()),
            error @ (SyncError::Wire(_) | SyncError::Violation(_)) => Self::new(Exit::Network, error.to_string())
                .hint("is what answers there a dits-server, and of a version that goes with this one?"),
            // Nothing that is stored here is damaged: what came was checked, and refused.
            error => Self::new(Exit::Network, error.to_string()),
        }
    }
}

impl From<LinkError> for CliError {
    fn from(error: LinkError) -> Self {
        let hint = match &error {
            LinkError::Identity(_) => None,
            error if error.is_transient() => Some(GO_ON),
            _ => Some("check the address with `dits remote -v`"),
        };
        let failed = Self::new(Exit::Network, error.to_string());
        hint.map_or_else(|| failed.clone(), |hint| failed.clone().hint(hint))
    }
}

fn refused(failure: Failure) -> CliError {
    let hint = match failure.code {
        ErrorCode::NotFound => "check the address; if it is right, `dits login URL` keeps the token that lets you in",
        ErrorCode::Denied => "a token that allows more is kept with `dits login URL`",
        ErrorCode::Busy | ErrorCode::GoingAway => "what has arrived is kept: run the same command again in a while",
        ErrorCode::Damaged | ErrorCode::Internal => "whoever runs the server can find the reason in its log",
        ErrorCode::Version => "use versions of dits on both sides that go together",
        ErrorCode::Limit => "the server's limits are set by whoever runs it",
        ErrorCode::Protocol | ErrorCode::Refused => "",
    };
    let error = CliError::new(Exit::Network, failure.text);
    if hint.is_empty() { error } else { error.hint(hint) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_let_in_learns_how_to_get_in() {
        let text = "there is no such repository, or it is not for you".to_owned();
        let error = CliError::from(SyncError::Peer(Failure { code: ErrorCode::NotFound, text }));
        assert_eq!(error.exit, Exit::Network);
        assert!(error.hints[0].contains("dits login"), "{:?}", error.hints);
    }
}
