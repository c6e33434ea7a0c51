//! Messages and their bytes: `docs/protocol.md` as types. These are wire types only; what callers of this crate see is
//! in `client` and `server`.

mod filter;
mod hello;
mod locks;
mod negotiate;
mod objects;
mod refs;
mod runs;

use bincode::{Decode, Encode};
use bytes::Bytes;
use dits_core::codec;

pub use filter::IdFilter;
pub use hello::{Features, Hello, Limits, PROTOCOL, Welcome};
pub use locks::{
    Ask, ListLocks, LockOutcome, LockRefusal, LockRequest, LockStamp, LockTable, Locked, MAX_LOCKS, MAX_TOKEN_BYTES,
    MAX_TOKENS, Place, Token, Tokens, UnlockOutcome, UnlockRequest, Unlocked,
};
pub use negotiate::{
    ALL, Fetch, Get, Got, Has, MAX_AGAINST, MAX_GET, MAX_HAVES, MAX_HELD, MAX_SHALLOW, MAX_WANTS, Push, Pushed,
    Segment, Start, Update, UpdateOutcome, Want,
};
pub use objects::{BatchBuilder, Part};
pub use refs::{Listing, MAX_REFS, Refs};
pub use runs::Runs;

/// The longest message, its type included, in bytes.
pub const MAX_MESSAGE: usize = 1 << 20;

/// The longest message of a client that has not been let in.
pub const MAX_HELLO: usize = 8 << 10;

/// The longest text for a person, in bytes.
pub const MAX_TEXT: usize = 64 << 10;

/// Bodies up to this many bytes are decoded in little memory.
const SHORT: usize = 16 << 10;

/// Types from here on may be skipped by who does not know them.
const OPTIONAL: u8 = 0x80;

/// A message that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// No type.
    #[error("an empty message")]
    Empty,
    /// Too many bytes.
    #[error("a message of {0} bytes, where at most {MAX_MESSAGE} are allowed")]
    TooLong(usize),
    /// A type that is not known and may not be skipped.
    #[error("a message of unknown type {0}; the other side speaks a newer protocol")]
    UnknownType(u8),
    /// The body is not what the type says.
    #[error("a message of type {code} that {what}")]
    Malformed {
        /// The type.
        code: u8,
        /// What is wrong.
        what: String,
    },
}

/// Why a side ends the connection. The numbers are part of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub enum ErrorCode {
    /// The other side broke a rule of the protocol.
    Protocol,
    /// No protocol version that both know.
    Version,
    /// No such repository, or not for this client: on purpose the same.
    NotFound,
    /// The client may do something here, but not this.
    Denied,
    /// What was sent or asked for breaks a rule of the repository.
    Refused,
    /// A limit or quota is reached.
    Limit,
    /// The server cannot take more work now.
    Busy,
    /// The server is shutting down.
    GoingAway,
    /// Stored data is damaged.
    Damaged,
    /// Something failed that is not the other side's fault.
    Internal,
}

/// The reason for which a connection ends.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Failure {
    /// What kind of reason.
    pub code: ErrorCode,
    /// For a person.
    pub text: String,
}

/// Everything that travels.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// A client introduces itself.
    Hello(Hello),
    /// The server lets it in.
    Welcome(Welcome),
    /// The connection ends.
    Error(Failure),
    /// Asks for branches and tags, unless their listing has this digest.
    ListRefs(Option<[u8; 32]>),
    /// A part of the listing.
    Refs(Refs),
    /// Asks for what commits bring.
    Fetch(Fetch),
    /// The transfer begins.
    Start(Start),
    /// None of the haves is known.
    More,
    /// Asks for refs to be moved.
    Push(Push),
    /// What became of that.
    Pushed(Pushed),
    /// Store frames, back to back.
    Objects(Bytes),
    /// A piece of a store frame.
    Part(Part),
    /// A segment of metadata ends.
    Segment(Segment),
    /// Which chunks of a segment are wanted.
    Want(Want),
    /// All segments were sent: this many.
    Sent(u64),
    /// Asks for objects by name.
    Get(Get),
    /// All that was asked for was sent, but for some.
    Got(Got),
    /// Everything is there.
    Complete,
    /// Asks which chunks are there to stay.
    Has(Has),
    /// Asks for locks.
    Lock(LockRequest),
    /// What became of that.
    Locked(Locked),
    /// Gives locks back.
    Unlock(UnlockRequest),
    /// What became of that.
    Unlocked(Unlocked),
    /// Asks for the lock table.
    ListLocks(ListLocks),
    /// A part of the lock table.
    LockTable(LockTable),
    /// What the next push relies on.
    Tokens(Tokens),
    /// What the other side is doing, for a person.
    Progress(String),
}

macro_rules! codes {
    ($($name:ident = $code:literal),* $(,)?) => {
        $(const $name: u8 = $code;)*
    };
}
codes! {
    HELLO = 1, WELCOME = 2, ERROR = 3, LIST_REFS = 4, REFS = 5, FETCH = 6, START = 7, MORE = 8, PUSH = 9, PUSHED = 10,
    OBJECTS = 16, PART = 17, SEGMENT = 18, WANT = 19, SENT = 20, GET = 21, GOT = 22, COMPLETE = 23, HAS = 24,
    LOCK = 32, LOCKED = 33, UNLOCK = 34, UNLOCKED = 35, LIST_LOCKS = 36, LOCK_TABLE = 37, TOKENS = 38, PROGRESS = 129,
}

impl Message {
    /// What the protocol calls it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Hello(_) => "Hello",
            Self::Welcome(_) => "Welcome",
            Self::Error(_) => "Error",
            Self::ListRefs(_) => "ListRefs",
            Self::Refs(_) => "Refs",
            Self::Fetch(_) => "Fetch",
            Self::Start(_) => "Start",
            Self::More => "More",
            Self::Push(_) => "Push",
            Self::Pushed(_) => "Pushed",
            Self::Objects(_) => "Objects",
            Self::Part(_) => "Part",
            Self::Segment(_) => "Segment",
            Self::Want(_) => "Want",
            Self::Sent(_) => "Sent",
            Self::Get(_) => "Get",
            Self::Got(_) => "Got",
            Self::Complete => "Complete",
            Self::Has(_) => "Has",
            Self::Lock(_) => "Lock",
            Self::Locked(_) => "Locked",
            Self::Unlock(_) => "Unlock",
            Self::Unlocked(_) => "Unlocked",
            Self::ListLocks(_) => "ListLocks",
            Self::LockTable(_) => "LockTable",
            Self::Tokens(_) => "Tokens",
            Self::Progress(_) => "Progress",
        }
    }

    /// The message as it travels, without the length before it.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        fn body<T: Encode>(code: u8, value: &T) -> Bytes {
            let mut out = vec![code];
            out.extend(codec::encode(value));
            out.into()
        }
        match self {
            Self::Hello(hello) => body(HELLO, hello),
            Self::Welcome(welcome) => body(WELCOME, welcome),
            Self::Error(failure) => body(ERROR, failure),
            Self::ListRefs(known) => body(LIST_REFS, known),
            Self::Refs(refs) => body(REFS, refs),
            Self::Fetch(fetch) => body(FETCH, fetch),
            Self::Start(start) => body(START, start),
            Self::More => body(MORE, &()),
            Self::Push(push) => body(PUSH, push),
            Self::Pushed(pushed) => body(PUSHED, pushed),
            Self::Objects(frames) => [&[OBJECTS], &frames[..]].concat().into(),
            Self::Part(part) => [&[PART, u8::from(part.last)], &part.bytes[..]].concat().into(),
            Self::Segment(segment) => body(SEGMENT, segment),
            Self::Want(want) => body(WANT, want),
            Self::Sent(segments) => body(SENT, segments),
            Self::Get(get) => body(GET, get),
            Self::Got(got) => body(GOT, got),
            Self::Complete => body(COMPLETE, &()),
            Self::Has(has) => body(HAS, has),
            Self::Lock(it) => body(LOCK, it),
            Self::Locked(it) => body(LOCKED, it),
            Self::Unlock(it) => body(UNLOCK, it),
            Self::Unlocked(it) => body(UNLOCKED, it),
            Self::ListLocks(it) => body(LIST_LOCKS, it),
            Self::LockTable(it) => body(LOCK_TABLE, it),
            Self::Tokens(it) => body(TOKENS, it),
            Self::Progress(text) => body(PROGRESS, text),
        }
    }

    /// Reads a message; `None` is one that is not known and may be skipped.
    ///
    /// # Errors
    /// When it breaks a rule.
    pub fn decode(bytes: &Bytes) -> Result<Option<Self>, WireError> {
        if bytes.len() > MAX_MESSAGE {
            return Err(WireError::TooLong(bytes.len()));
        }
        let code = *bytes.first().ok_or(WireError::Empty)?;
        let body = &bytes[1..];
        Ok(Some(match code {
            HELLO => Self::Hello(checked(code, body, Hello::check)?),
            WELCOME => Self::Welcome(checked(code, body, Welcome::check)?),
            ERROR => Self::Error(checked(code, body, |failure: &Failure| text_fits(&failure.text))?),
            LIST_REFS => Self::ListRefs(decode(code, body)?),
            REFS => Self::Refs(decode(code, body)?),
            FETCH => Self::Fetch(checked(code, body, Fetch::check)?),
            START => Self::Start(checked(code, body, Start::check)?),
            MORE => decode::<()>(code, body).map(|()| Self::More)?,
            PUSH => Self::Push(checked(code, body, Push::check)?),
            PUSHED => Self::Pushed(checked(code, body, Pushed::check)?),
            OBJECTS => Self::Objects(bytes.slice(1..)),
            PART => Self::Part(Part::decode(bytes.slice(1..)).ok_or_else(|| malformed(code, "is too short"))?),
            SEGMENT => Self::Segment(checked(code, body, Segment::check)?),
            WANT => Self::Want(checked(code, body, Want::check)?),
            SENT => Self::Sent(decode(code, body)?),
            GET => Self::Get(checked(code, body, Get::check)?),
            GOT => Self::Got(checked(code, body, Got::check)?),
            COMPLETE => decode::<()>(code, body).map(|()| Self::Complete)?,
            HAS => Self::Has(checked(code, body, Has::check)?),
            LOCK => Self::Lock(checked(code, body, LockRequest::check)?),
            LOCKED => Self::Locked(checked(code, body, Locked::check)?),
            UNLOCK => Self::Unlock(checked(code, body, UnlockRequest::check)?),
            UNLOCKED => Self::Unlocked(checked(code, body, Unlocked::check)?),
            LIST_LOCKS => Self::ListLocks(checked(code, body, ListLocks::check)?),
            LOCK_TABLE => Self::LockTable(checked(code, body, LockTable::check)?),
            TOKENS => Self::Tokens(checked(code, body, Tokens::check)?),
            PROGRESS => Self::Progress(checked(code, body, |text: &String| text_fits(text))?),
            code if code >= OPTIONAL => return Ok(None),
            code => return Err(WireError::UnknownType(code)),
        }))
    }
}

fn malformed(code: u8, what: impl Into<String>) -> WireError {
    WireError::Malformed { code, what: what.into() }
}

fn decode<T: Encode + Decode<()>>(code: u8, body: &[u8]) -> Result<T, WireError> {
    // A short message may not claim a long list: the codec reserves half a megabyte at most for the first kind.
    let decoded =
        if body.len() <= SHORT { codec::decode::<T, SHORT>(body) } else { codec::decode::<T, MAX_MESSAGE>(body) };
    decoded.map_err(|e| malformed(code, e.to_string()))
}

/// Decodes a body and checks the rules that its types do not express.
fn checked<T: Encode + Decode<()>>(
    code: u8,
    body: &[u8],
    check: impl FnOnce(&T) -> Result<(), &'static str>,
) -> Result<T, WireError> {
    let value = decode(code, body)?;
    check(&value).map_err(|what| malformed(code, what))?;
    Ok(value)
}

fn text_fits(text: &str) -> Result<(), &'static str> {
    fits(text.len(), MAX_TEXT, "has a text that is too long")
}

fn fits(len: usize, limit: usize, what: &'static str) -> Result<(), &'static str> {
    if len > limit { Err(what) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
