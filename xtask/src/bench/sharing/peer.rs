//! The ways compared, each by the commands a user would type.

use std::collections::BTreeMap;
use std::process::Command;

use crate::place;

/// A way to bring files to another machine, and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    /// Over QUIC.
    Dits,
    /// Over TLS, where UDP does not get through.
    DitsTls,
    /// To a folder: without another server it has no network.
    GitLfs,
    Rsync,
    /// As safe at the end as what dits has pushed.
    RsyncFsync,
    Rclone,
}

impl Peer {
    const ALL: [Self; 6] = [Self::Dits, Self::DitsTls, Self::GitLfs, Self::Rsync, Self::RsyncFsync, Self::Rclone];

    pub fn name(self) -> &'static str {
        match self {
            Self::Dits => "dits",
            Self::DitsTls => "dits-tls",
            Self::GitLfs => "git-lfs",
            Self::Rsync => "rsync",
            Self::RsyncFsync => "rsync-fsync",
            Self::Rclone => "rclone",
        }
    }

    /// The program that the user calls.
    pub fn program(self) -> String {
        match self {
            Self::Dits | Self::DitsTls => place::target().join("release/dits").display().to_string(),
            Self::GitLfs => "git".to_owned(),
            Self::Rsync | Self::RsyncFsync => "rsync".to_owned(),
            Self::Rclone => "rclone".to_owned(),
        }
    }

    /// Whether it has versions, and so commits before it pushes.
    pub fn commits(self) -> bool {
        matches!(self, Self::Dits | Self::DitsTls | Self::GitLfs)
    }

    fn version(self) -> Option<String> {
        let (program, argument) = match self {
            Self::GitLfs => ("git-lfs".to_owned(), "version"),
            _ => (self.program(), "--version"),
        };
        let said = Command::new(program).arg(argument).output().ok()?;
        Some(String::from_utf8_lossy(&said.stdout).lines().next().unwrap_or_default().to_owned())
    }
}

/// Those that are here and wanted; says which are not here.
pub fn present(wanted: impl Fn(&str) -> bool) -> Vec<Peer> {
    let wanted = Peer::ALL.into_iter().filter(|peer| wanted(peer.name()));
    wanted
        .filter(|peer| {
            let here = peer.version().is_some();
            if !here {
                println!("{}: skipped, not installed", peer.name());
            }
            here
        })
        .collect()
}

/// Name → version.
pub fn versions(peers: &[Peer]) -> BTreeMap<&'static str, String> {
    peers.iter().map(|peer| (peer.name(), peer.version().unwrap_or_default())).collect()
}
