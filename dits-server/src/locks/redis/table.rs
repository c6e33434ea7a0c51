//! The commands of one repository's table, and the scripts by which they are done all at once.

use std::sync::LazyLock;

use dits_core::lock::LockKey;
use dits_sync::locks::{Edit, Seen};
use dits_sync::wire::LockStamp;
use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Script};

static READ: LazyLock<Script> =
    LazyLock::new(|| Script::new(concat!(include_str!("state.lua"), include_str!("read.lua"))));
static WRITE: LazyLock<Script> =
    LazyLock::new(|| Script::new(concat!(include_str!("state.lua"), include_str!("write.lua"))));

/// The names of a table in Redis. The braces make them all belong to one slot of a cluster.
#[derive(Clone, Debug)]
pub struct Names {
    /// What is said of the table as a whole.
    table: String,
    /// The records by key.
    records: String,
    /// Keys by the version that changed them last.
    changes: String,
    /// Where changes are told.
    pub channel: String,
}

impl Names {
    /// Those of a repository's table.
    pub fn of(prefix: &str, repository: &str) -> Self {
        let name = |what: &str| format!("{prefix}:{{{repository}}}:{what}");
        Self { table: name("table"), records: name("records"), changes: name("changes"), channel: name("changed") }
    }

    /// What the channels of all tables are like: the pattern that a user's rights must name, letter by letter.
    pub fn pattern(prefix: &str) -> String {
        format!("{prefix}:*")
    }
}

/// Brings the scripts, so that asking is one question.
pub async fn load(link: &mut MultiplexedConnection) -> RedisResult<()> {
    READ.load_async(link).await?;
    WRITE.load_async(link).await?;
    Ok(())
}

/// What has changed since a state. `nonce` is never used twice: a table that begins keeps it.
pub async fn read(
    mut link: MultiplexedConnection,
    names: &Names,
    since: Option<&LockStamp>,
    nonce: &str,
) -> RedisResult<Seen> {
    let (instance, version) = since.map_or(("", 0), |since| (&*since.instance, since.version));
    let mut script = READ.key(&names.table);
    script.key(&names.records).key(&names.changes).arg(instance).arg(version).arg(nonce);
    type Answer = (String, u64, bool, Vec<Option<Vec<u8>>>);
    let (instance, version, whole, found): Answer = script.invoke_async(&mut link).await?;
    let mut records = Vec::with_capacity(found.len() / 2);
    let mut found = found.into_iter();
    while let (Some(Some(key)), Some(value)) = (found.next(), found.next()) {
        records.push((LockKey::from_bytes(key), value));
    }
    Ok(Seen { stamp: LockStamp { instance, version }, whole, records })
}

/// Makes all edits if the table is in the state `at`; the new version.
pub async fn write(
    mut link: MultiplexedConnection,
    names: &Names,
    at: &LockStamp,
    edits: &[Edit],
) -> RedisResult<Option<u64>> {
    let mut script = WRITE.key(&names.table);
    script.key(&names.records).key(&names.changes).arg(&at.instance).arg(at.version).arg(&names.channel);
    let gone = || edits.iter().filter(|(_, value)| value.is_none());
    script.arg(gone().count());
    for (key, _) in gone() {
        script.arg(key.as_bytes());
    }
    for (key, value) in edits.iter().filter_map(|(key, value)| Some((key, value.as_ref()?))) {
        script.arg(key.as_bytes()).arg(value);
    }
    script.invoke_async(&mut link).await
}

/// Forgets the table. Who asks for it next begins a new one, of another instance.
pub async fn remove(mut link: MultiplexedConnection, names: &Names) -> RedisResult<()> {
    let mut pipe = redis::pipe();
    pipe.del(&[&names.table, &names.records, &names.changes]).ignore().publish(&names.channel, "").ignore();
    pipe.query_async(&mut link).await
}
