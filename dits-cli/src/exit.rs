//! The numbers dits exits with. They are part of its interface: `docs/exit-codes.md`, `dits help exit-codes`.

use std::process::ExitCode;

/// How a run of dits ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It did what was asked.
    Ok = 0,
    /// It did what was asked and the answer is no: things differ, nothing matched, or what was named does not exist.
    Difference = 1,
    /// The request makes no sense, or not here, or the operating system refused it.
    Usage = 2,
    /// The work of two sides collides, or work would be overwritten.
    Conflict = 3,
    /// Something is locked by someone else.
    Lock = 4,
    /// Another machine could not be reached, or refused.
    Network = 5,
    /// Stored bytes are damaged or lost.
    Corruption = 6,
    /// The user stopped it.
    Interrupted = 130,
    /// Whoever read the output went away; the number a shell shows for a program that `SIGPIPE` ended.
    BrokenPipe = 141,
}

impl Exit {
    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

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
        Self::from(exit.code())
    }
}
