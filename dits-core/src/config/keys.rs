//! The table of all settings that dits knows. `docs/config.md` is this table.

use std::fmt::Write as _;

use super::{Value, parse_bool, parse_duration, parse_size, text};
use crate::attributes::Chunking;

/// What a setting's value must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A text that is never shown.
    Secret,
    /// A boolean.
    Bool,
    /// A whole number between these two.
    Int(i64, i64),
    /// A size in bytes.
    Size,
    /// A span of time.
    Duration,
    /// A list of texts.
    List,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A boolean or one of these words.
    BoolOr(&'static [&'static str]),
    /// What [`Chunking::parse`] reads.
    Chunking,
}

impl Kind {
    /// Whether the value is one of this kind.
    #[must_use]
    pub fn accepts(self, value: &Value) -> bool {
        let Some(text) = value.to_text() else { return self == Self::List };
        match self {
            Self::Text | Self::Secret | Self::List => true,
            Self::Bool => parse_bool(&text).is_some(),
            Self::Int(min, max) => text.parse().is_ok_and(|number: i64| (min..=max).contains(&number)),
            Self::Size => parse_size(&text).is_some(),
            Self::Duration => parse_duration(&text).is_some(),
            Self::Word(words) => words.contains(&text.as_str()),
            Self::BoolOr(words) => words.contains(&text.as_str()) || parse_bool(&text).is_some(),
            Self::Chunking => Chunking::parse(&text).is_some(),
        }
    }

    /// An accepted value in the type that TOML has for it.
    #[must_use]
    pub(super) fn stored(self, value: &Value) -> Value {
        let Some(text) = value.to_text() else { return value.clone() };
        match self {
            Self::Bool | Self::BoolOr(_) => parse_bool(&text).map_or(Value::Text(text), Value::Bool),
            Self::Int(..) | Self::Size => text.parse().map_or(Value::Text(text), Value::Int),
            Self::List => Value::List(vec![Value::Text(text)]),
            Self::Text | Self::Secret | Self::Duration | Self::Word(_) | Self::Chunking => Value::Text(text),
        }
    }

    /// What the value must be, for errors and for the documentation.
    #[must_use]
    pub fn allowed(self) -> String {
        match self {
            Self::Text | Self::Secret => "a text is needed".to_owned(),
            Self::Bool => "use true or false".to_owned(),
            Self::Int(min, i64::MAX) => format!("use a whole number from {min} on"),
            Self::Int(min, max) => format!("use a whole number from {min} to {max}"),
            Self::Size => "use a size such as 4096, 16K or 4M".to_owned(),
            Self::Duration => "use a time such as 90s, 12h, 14d or 2w, or now, or never".to_owned(),
            Self::List => "use a list of texts".to_owned(),
            Self::Word(words) => format!("use one of {}", words.join(", ")),
            Self::BoolOr(words) => format!("use true, false or one of {}", words.join(", ")),
            Self::Chunking => Chunking::ALLOWED.to_owned(),
        }
    }

    fn name(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Secret => "text, not shown".to_owned(),
            Self::Bool => "boolean".to_owned(),
            Self::Int(min, i64::MAX) => format!("number, {min} or more"),
            Self::Int(min, max) => format!("number, {min} to {max}"),
            Self::Size => "size".to_owned(),
            Self::Duration => "time".to_owned(),
            Self::List => "list".to_owned(),
            Self::Word(words) => words.join(", "),
            Self::BoolOr(words) => format!("boolean, {}", words.join(", ")),
            Self::Chunking => "chunking".to_owned(),
        }
    }
}

/// A setting that dits knows.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name; a `*` at the end stands for any name without a dot, one in the middle for anything.
    pub name: &'static str,
    /// What its value must be.
    pub kind: Kind,
    /// The value it has when no file sets it.
    pub default: Option<&'static str>,
    /// What it does, in one sentence.
    pub doc: &'static str,
}

const fn key(name: &'static str, kind: Kind, default: Option<&'static str>, doc: &'static str) -> Key {
    Key { name, kind, default, doc }
}

/// Every setting that dits knows, by name.
pub const KEYS: &[Key] = &[
    key("alias.*", Kind::Text, None, "A command line that the name after `alias.` stands for."),
    key("branch.*.merge", Kind::Text, None, "The branch of the remote that this one follows, as `refs/branches/main`."),
    key("branch.*.remote", Kind::Text, None, "The remote that `pull` and `push` go to on this branch; `.` is here."),
    key(
        "color.ui",
        Kind::BoolOr(&["auto", "always", "never"]),
        Some("auto"),
        "Whether output is coloured; `auto` colours on a terminal.",
    ),
    key(
        "core.chunking",
        Kind::Chunking,
        Some("auto"),
        "How files are cut into chunks unless `.ditsattributes` says otherwise; `auto` goes by the type of the content.",
    ),
    key("core.compression", Kind::Int(0, 22), Some("1"), "The zstd level for new content; 0 stores it as it is."),
    key("core.editor", Kind::Text, None, "The program that edits commit messages."),
    key("core.excludesFile", Kind::Text, None, "A file of ignore rules for all repositories."),
    key("core.packSize", Kind::Size, Some("1G"), "The size at which a pack is closed and the next one begun."),
    key("core.pager", Kind::Text, None, "The program that long output is shown with."),
    key("core.portable", Kind::Bool, Some("true"), "Whether `add` refuses names that Windows or macOS cannot hold."),
    key("core.sshCommand", Kind::Text, None, "The command that reaches `ssh://` remotes, in place of `ssh`."),
    key(
        "core.threads",
        Kind::Int(0, 1024),
        Some("0"),
        "How many threads work at once; 0 means one for each processor.",
    ),
    key(
        "diff.renameLimit",
        Kind::Int(0, i64::MAX),
        Some("1000"),
        "How many deleted and added files are compared in search of renames; 0 means any number.",
    ),
    key(
        "diff.renameThreshold",
        Kind::Int(0, 100),
        Some("50"),
        "How much of its content, in percent, a file must have in common with another to be its rename.",
    ),
    key("diff.renames", Kind::Bool, Some("true"), "Whether `diff`, `log` and `status` look for renames."),
    key("drop.keep", Kind::List, None, "Paths whose content `drop` leaves here; patterns as in `.ditsignore`."),
    key(
        "fetch.exclude",
        Kind::List,
        None,
        "Paths whose content a partial clone does not fetch unless they are named; patterns as in `.ditsignore`.",
    ),
    key(
        "fetch.include",
        Kind::List,
        None,
        "Paths whose content a partial clone fetches with each `fetch`; patterns as in `.ditsignore`.",
    ),
    key("fetch.prune", Kind::Bool, Some("false"), "Whether `fetch` forgets branches that the remote no longer has."),
    key(
        "fetch.recentDays",
        Kind::Int(0, i64::MAX),
        Some("7"),
        "How many days old the newest commit of a branch may be for `fetch --recent` to bring its files.",
    ),
    key(
        "gc.auto",
        Kind::Int(0, i64::MAX),
        Some("6700"),
        "The number of loose objects from which commands run `gc` on their own; 0 means never.",
    ),
    key(
        "gc.autoPackLimit",
        Kind::Int(0, i64::MAX),
        Some("50"),
        "The number of packs from which commands run `gc` on their own; 0 means never.",
    ),
    key(
        "gc.pruneExpire",
        Kind::Duration,
        Some("14d"),
        "How old an object that nothing refers to must be for `gc` to remove it.",
    ),
    key("gc.reflogExpire", Kind::Duration, Some("90d"), "How old a line of the reflog must be for `gc` to remove it."),
    key("init.defaultBranch", Kind::Text, Some("main"), "The branch a new repository begins with."),
    key("lock.remote", Kind::Text, None, "The remote that holds the locks, if not the one that the branch follows."),
    key(
        "lock.require",
        Kind::Bool,
        Some("false"),
        "Whether a push here that changes a lockable file is refused unless the file is locked by whoever pushes.",
    ),
    key(
        "log.date",
        Kind::Word(&["default", "relative", "iso", "iso-strict", "short", "unix"]),
        Some("default"),
        "How `log` shows dates.",
    ),
    key(
        "mount.cacheSize",
        Kind::Size,
        Some("10G"),
        "How much disk a mount may take for what it reads from remotes, and for whole copies that the kernel reads by itself.",
    ),
    key(
        "mount.policy",
        Kind::List,
        None,
        "What programs may do in mounts, by their names: `[\"tracker-*=metadata\", \"updatedb=deny\"]`; `metadata` reads no \
         more than what is here, `deny` opens nothing.",
    ),
    key("mount.ram", Kind::Size, Some("256M"), "How much memory a mount may take for content."),
    key(
        "mount.timeout",
        Kind::Duration,
        Some("30s"),
        "How long a read in a mount may wait for a remote before it fails.",
    ),
    key(
        "pull.ff",
        Kind::BoolOr(&["only"]),
        Some("true"),
        "Whether `pull` moves the branch forward where that is enough; `false` always makes a merge commit, `only` never.",
    ),
    key(
        "push.autoSetupRemote",
        Kind::Bool,
        Some("false"),
        "Whether a branch that follows nothing is pushed to one of its name, and follows that from then on.",
    ),
    key(
        "push.default",
        Kind::Word(&["nothing", "current", "upstream", "simple", "matching"]),
        Some("simple"),
        "What `push` pushes when it is not told: `simple` pushes the branch to one of the same name that it follows.",
    ),
    key("receive.denyDeletes", Kind::Bool, Some("false"), "Whether a server refuses to delete branches and tags."),
    key(
        "receive.denyNonFastForwards",
        Kind::Bool,
        Some("false"),
        "Whether a server refuses forced pushes, which leave commits behind.",
    ),
    key("receive.maxSize", Kind::Size, None, "How many bytes one push to a server may store."),
    key(
        "receive.protect",
        Kind::List,
        None,
        "Branches that only the tokens named behind the colon may move, never back and never away: \
         `[\"main: ci ada\", \"release/*\"]`.",
    ),
    key("remote.*.fetch", Kind::List, None, "Which refs of the remote `fetch` brings, and what they are called here."),
    key(
        "remote.*.hostKey",
        Kind::Text,
        None,
        "The fingerprint that the server must have when it is met first; otherwise what it shows is remembered.",
    ),
    key(
        "remote.*.partialCloneFilter",
        Kind::Text,
        None,
        "Which content fetches bring by themselves, as `clone --filter` was told: `none`, `blob:limit=1M`.",
    ),
    key("remote.*.prune", Kind::Bool, None, "`fetch.prune` for this remote."),
    key("remote.*.pushUrl", Kind::Text, None, "Where `push` goes, if not to the remote's `url`."),
    key("remote.*.token", Kind::Secret, None, "The token shown to the remote; `tokenFile` and `dits login` are safer."),
    key("remote.*.tokenFile", Kind::Text, None, "A file with the token shown to the remote."),
    key("remote.*.url", Kind::Text, None, "Where the remote is: `dits://`, `https://`, `ssh://`, `file://` or a path."),
    key(
        "server.anonymousRead",
        Kind::Bool,
        Some("false"),
        "Whether a server lets clients without a token read the repository.",
    ),
    key("server.quota", Kind::Size, None, "How many bytes a server lets the repository take."),
    key(
        "status.showUntracked",
        Kind::Word(&["no", "normal", "all"]),
        Some("normal"),
        "Which untracked files `status` shows: none, folders as a whole, or every file.",
    ),
    key(
        "transfer.caFile",
        Kind::Text,
        None,
        "A PEM file of authorities: servers then need a certificate from one of them, and no key is remembered.",
    ),
    key(
        "transfer.carrier",
        Kind::Word(&["auto", "quic", "tcp"]),
        Some("auto"),
        "What `dits://` travels on; `auto` takes QUIC where it gets through.",
    ),
    key("transfer.limitRate", Kind::Size, Some("0"), "How many bytes per second are sent or received; 0 is no limit."),
    key("user.email", Kind::Text, None, "The e-mail address in your commits."),
    key("user.name", Kind::Text, None, "The name in your commits."),
];

/// The entry of [`KEYS`] for a key, if dits knows it.
#[must_use]
pub fn known(key: &str) -> Option<&'static Key> {
    KEYS.iter().find(|known| match text::parts(known.name) {
        Some((section, None, "*")) => {
            let rest = key.split_once('.').filter(|(start, _)| start.eq_ignore_ascii_case(section));
            rest.is_some_and(|(_, rest)| !rest.is_empty() && !rest.contains('.'))
        }
        Some((section, Some("*"), name)) => text::parts(key).is_some_and(|(start, between, end)| {
            start.eq_ignore_ascii_case(section) && between.is_some() && end.eq_ignore_ascii_case(name)
        }),
        _ => text::same_key(known.name, key),
    })
}

/// [`KEYS`] as the table in `docs/config.md`.
#[must_use]
pub fn reference() -> String {
    let mut table = String::from("| key | value | default | meaning |\n|---|---|---|---|\n");
    for key in KEYS {
        let default = key.default.map_or_else(String::new, |default| format!("`{default}`"));
        // Writing to a String cannot fail.
        let _ = writeln!(table, "| `{}` | {} | {default} | {} |", key.name, key.kind.name(), key.doc);
    }
    table
}
