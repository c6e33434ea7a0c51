//! `dits-server --stdio PATH`

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dits_core::repo::{DITS, Environment, Layout, RepoError, Repository};

use crate::access::Services;
use crate::app::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::host::OwnRepository;
use crate::limits::Turns;
use crate::lock_tables::LockTables;
use crate::metrics::Metrics;
use crate::policy::Policy;
use crate::repositories::{bare, environment};
use crate::shutdown;

/// How long a hook may run.
const HOOK_TIMEOUT: Duration = Duration::from_secs(60);

/// Serves the repository until the client leaves.
pub fn run(path: &Path, cx: &Context) -> Result<Exit, CliError> {
    let repository = Arc::new(open(path, cx)?);
    let policy = Policy::of(repository.config()).map_err(RepoError::from)?;
    let stopping = shutdown::flag_of_signals().map_err(|e| CliError::usage(format!("cannot handle signals: {e}")))?;
    let services = Services {
        tokens: None,
        audit: None,
        audit_reads: false,
        metrics: Metrics::default(),
        locks: LockTables::embedded(),
        turns: Turns::new(1, Duration::MAX),
        hook_timeout: HOOK_TIMEOUT,
        stopping,
        cutting_off: false.into(),
    };
    let user = cx.env.user.clone().unwrap_or_else(|| format!("uid{}", rustix::process::getuid().as_raw()));
    let name = repository.layout().common.display().to_string();
    let host = OwnRepository { services: Arc::new(services), repository, policy, name, user };
    let link = dits_sync::link::stdio("standard input and output")
        .map_err(|e| CliError::new(Exit::Network, format!("standard input and output cannot be used: {e}")))?;
    dits_sync::server::serve(&*link, &host);
    Ok(Exit::Ok)
}

/// A bare repository, or the one of a worktree. Nothing above is looked at: the user named a folder.
fn open(path: &Path, cx: &Context) -> Result<Repository, CliError> {
    let path = std::fs::canonicalize(path).map_err(|_| not_found(path))?;
    let layout = match path.join(DITS).symlink_metadata() {
        Ok(_) => Layout::discover(&path)?,
        Err(_) if path.join("format").is_file() => bare(&path),
        Err(_) => return Err(not_found(&path)),
    };
    let environment = Environment { home: cx.env.home.clone(), ..environment(None, &cx.env) };
    Ok(Repository::open(layout, &environment)?)
}

fn not_found(path: &Path) -> CliError {
    CliError::new(Exit::Difference, format!("{} is not a dits repository", path.display()))
}
