//! The numbers dits-server exits with: those of dits (`docs/exit-codes.md`).

use std::process::ExitCode;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It did what was asked.
    Ok = 0,
    /// It did, and the answer is no: what was named does not exist.
    Difference = 1,
    /// The request makes no sense, or the operating system refused it.
    Usage = 2,
    /// What is to be made is there already.
    Conflict = 3,
    /// Another process holds what is needed.
    Lock = 4,
    /// Nothing can be listened on, or a connection failed.
    Network = 5,
    /// Stored bytes are damaged or lost.
    Corruption = 6,
    /// A second signal.
    Interrupted = 130,
    /// Whoever read the output went away.
    BrokenPipe = 141,
}

impl Exit {
    /// The name scripts find in the JSON form of an error.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Difference => "difference",
            Self::Usage => "usage",
            Self::Conflict => "conflict",
            Self::Lock => "lock",
            Self::Network => "network",
            Self::Corruption => "corruption",
            Self::Interrupted => "interrupted",
            Self::BrokenPipe => "broken-pipe",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
