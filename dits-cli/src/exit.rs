//! The numbers dits exits with. They are part of its interface: `docs/exit-codes.md`, `dits help exit-codes`.

use std::process::ExitCode;

/// How a run of dits ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It did what was asked.
    Ok,
    /// It did what was asked and the answer is no: things differ, nothing matched, or what was named does not exist.
    Difference,
    /// The request makes no sense, or not here, or the operating system refused it.
    Usage,
    /// The work of two sides collides, or work would be overwritten.
    Conflict,
    /// Something is locked by someone else.
    Lock,
    /// Another machine could not be reached, or refused.
    Network,
    /// Stored bytes are damaged or lost.
    Corruption,
    /// The user stopped it.
    Interrupted,
    /// Whoever read the output went away; the number a shell shows for a program that `SIGPIPE` ended.
    BrokenPipe,
    /// What a command ended with that dits ran for the user.
    Command(u8),
}

impl Exit {
    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Difference => 1,
            Self::Usage => 2,
            Self::Conflict => 3,
            Self::Lock => 4,
            Self::Network => 5,
            Self::Corruption => 6,
            Self::Interrupted => 130,
            Self::BrokenPipe => 141,
            Self::Command(code) => code,
        }
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
            Self::Command(_) => "command",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
