//! The process's environment. This is the only module that reads it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// What dits-server looks at. An empty variable counts as not set.
#[derive(Debug, Clone, Default)]
pub struct Env {
    /// `DITS_SERVER_ROOT`: the server's folder.
    pub root: Option<PathBuf>,
    /// `DITS_SERVER_LOCKS`: where the lock tables are.
    pub locks: Option<String>,
    /// `USER` or `LOGNAME`: who is served over standard input and output.
    pub user: Option<String>,
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `DITS_THREADS`: how many threads to work with.
    pub threads: Option<String>,
}

impl Env {
    /// Reads it.
    #[must_use]
    pub fn of_process() -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let text = |name: &str| set(name).map(|value| value.to_string_lossy().into_owned());
        Self {
            root: set("DITS_SERVER_ROOT").map(PathBuf::from),
            locks: text("DITS_SERVER_LOCKS"),
            user: text("USER").or_else(|| text("LOGNAME")),
            home: set("HOME").map(PathBuf::from),
            threads: text("DITS_THREADS"),
        }
    }

    /// How many threads to work with.
    #[must_use]
    pub fn threads(&self) -> usize {
        let given = self.threads.as_deref().and_then(|text| text.parse().ok());
        given.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
    }
}

/// What hooks get of the environment.
pub fn of_hooks() -> impl Iterator<Item = (&'static str, OsString)> {
    ["PATH", "HOME", "LANG", "TZ"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)))
}

/// The arguments, without the program's name.
#[must_use]
pub fn arguments() -> Vec<OsString> {
    std::env::args_os().skip(1).collect()
}

/// Seconds since 1970.
#[must_use]
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
}
