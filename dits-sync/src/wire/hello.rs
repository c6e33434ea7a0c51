//! How two ends introduce themselves.

use bincode::{Decode, Encode};
use dits_core::store::frame::MAX_FRAME;

use super::{MAX_HAVES, fits};

/// The version of the protocol that this code speaks.
pub const PROTOCOL: u16 = 1;

/// What a side understands beyond the protocol's version, as bits. Unknown bits are ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Features(pub u64);

impl Features {
    /// Store frames whose encoding is zstd.
    pub const ZSTD: Self = Self(1);

    /// All that this code understands.
    pub const ALL: Self = Self::ZSTD;

    /// Whether all of `other` is understood.
    #[must_use]
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// What a side accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Limits {
    /// The longest store frame, in bytes.
    pub frame: u32,
    /// The most haves in one message.
    pub haves: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { frame: MAX_FRAME as u32, haves: MAX_HAVES as u32 }
    }
}

/// A client's first message.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct Hello {
    /// The highest version of the protocol that it speaks.
    pub protocol: u16,
    /// Its name and version, for logs.
    pub agent: String,
    /// What it understands.
    pub features: Features,
    /// What it accepts.
    pub limits: Limits,
    /// Which repository it asks for: the path of the URL, without slashes around it. Empty where the link leads to one.
    pub repository: String,
    /// What proves who it is.
    pub token: Option<String>,
}

/// Tokens do not belong in logs.
impl std::fmt::Debug for Hello {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hello")
            .field("protocol", &self.protocol)
            .field("agent", &self.agent)
            .field("repository", &self.repository)
            .field("token", &self.token.as_ref().map(|_| "…"))
            .finish_non_exhaustive()
    }
}

impl Hello {
    pub(super) fn check(&self) -> Result<(), &'static str> {
        fits(self.agent.len(), 256, "has a name that is too long")?;
        fits(self.repository.len(), 1024, "has a repository name that is too long")?;
        fits(self.token.as_ref().map_or(0, String::len), 4096, "has a token that is too long")
    }
}

/// The answer to a client that is let in.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Welcome {
    /// The version of the protocol that is spoken from here on.
    pub protocol: u16,
    /// The server's name and version.
    pub agent: String,
    /// What it understands.
    pub features: Features,
    /// What it accepts.
    pub limits: Limits,
    /// What the client may do: read (1), write (2), lock (4), administer (8).
    pub may: u8,
    /// Whether the repository lacks content on purpose: its refs then say nothing about what it holds.
    pub partial: bool,
}

impl Welcome {
    pub(super) fn check(&self) -> Result<(), &'static str> {
        fits(self.agent.len(), 256, "has a name that is too long")
    }
}
