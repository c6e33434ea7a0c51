//! `dits-server repo`

use clap::Subcommand;
use dits_core::refs::{BRANCHES, RefStore};
use dits_core::repo::RepoError;
use serde::Serialize;

use crate::app::Context;
use crate::audit::{AuditLog, Record};
use crate::env;
use crate::error::CliError;
use crate::exit::Exit;
use crate::locks::LockStores;
use crate::output;
use crate::policy::Policy;
use crate::repo_name::RepoName;
use crate::repositories::{Repositories, RepositoriesError, stored_bytes};

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a repository, and the server's folder if there is none
    Create {
        /// Its name: parts of letters, digits and `._-`, joined by `/`
        name: String,
        /// The branch that HEAD names [default: init.defaultBranch]
        #[arg(short = 'b', long, value_name = "NAME")]
        initial_branch: Option<String>,
    },
    /// List the repositories
    List,
    /// Remove a repository with everything in it, for ever
    Rm {
        /// Its name
        name: String,
        /// Do not ask back
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Serialize)]
struct Created {
    name: String,
    path: String,
    created: bool,
}

#[derive(Serialize)]
struct Listed {
    repositories: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    name: String,
    bytes: u64,
    branches: usize,
    anonymous_read: bool,
}

#[derive(Serialize)]
struct Removed {
    name: String,
    bytes: u64,
}

/// Runs one.
pub fn run(command: Command, cx: &Context) -> Result<Exit, CliError> {
    match command {
        Command::Create { name, initial_branch } => create(&name, initial_branch, cx),
        Command::List => list(cx),
        Command::Rm { name, yes } => remove(&name, yes, cx),
    }
}

fn create(name: &str, branch: Option<String>, cx: &Context) -> Result<Exit, CliError> {
    let name = RepoName::parse(name)?;
    let root = cx.root_or_new()?;
    let (path, created) = Repositories::new(&root, &cx.env).create(&name, branch)?;
    if created {
        record("repo-create", &name, cx)?;
    }
    let path = path.display().to_string();
    if cx.json() {
        output::json("repo create", &Created { name: name.to_string(), path, created })?;
    } else if created {
        output::text(&format!("Empty repository {name} made in {path}\n"))?;
    } else {
        output::text(&format!("{name} is there already; nothing was changed\n"))?;
    }
    Ok(Exit::Ok)
}

fn list(cx: &Context) -> Result<Exit, CliError> {
    let repositories = Repositories::new(&cx.root()?, &cx.env);
    let mut lines = Vec::new();
    for name in repositories.list()? {
        match line(&repositories, &name) {
            // Removed meanwhile.
            Err(RepositoriesError::NotFound(_)) => {}
            line => lines.push(line?),
        }
    }
    if cx.json() {
        output::json("repo list", &Listed { repositories: lines })?;
        return Ok(Exit::Ok);
    }
    let width = lines.iter().map(|line| line.name.len()).max().unwrap_or(0);
    for Line { name, bytes, branches, anonymous_read } in lines {
        let public = if anonymous_read { "  anonymous read" } else { "" };
        output::text(&format!("{name:width$}  {bytes:>15} bytes  {branches:>5} branches{public}\n"))?;
    }
    Ok(Exit::Ok)
}

fn line(repositories: &Repositories, name: &RepoName) -> Result<Line, RepositoriesError> {
    let repository = repositories.open(name)?;
    let branches = repository.refs().list(BRANCHES).map_err(RepoError::from)?.len();
    let policy = Policy::of(repository.config()).map_err(RepoError::from)?;
    let bytes = stored_bytes(&repository)?;
    Ok(Line { name: name.to_string(), bytes, branches, anonymous_read: policy.anonymous_read })
}

fn remove(name: &str, yes: bool, cx: &Context) -> Result<Exit, CliError> {
    let name = RepoName::parse(name)?;
    let repositories = Repositories::new(&cx.root()?, &cx.env);
    if !yes {
        let Line { bytes, branches, .. } = line(&repositories, &name)?;
        let message = format!("{name} has {branches} branches and {bytes} bytes, which would be gone for ever");
        return Err(CliError::usage(message).hint(format!("`dits-server repo rm {name} --yes` removes it")));
    }
    // Before the repository, while the command can be given again. The next one of this name begins without locks.
    if repositories.list()?.contains(&name) {
        forget_locks(&name, cx)?;
    }
    let bytes = repositories.remove(&name)?;
    record("repo-remove", &name, cx)?;
    match cx.json() {
        true => output::json("repo rm", &Removed { name: name.to_string(), bytes })?,
        false => output::text(&format!("{name} removed, {bytes} bytes\n"))?,
    }
    Ok(Exit::Ok)
}

fn forget_locks(name: &RepoName, cx: &Context) -> Result<(), CliError> {
    let locks = LockStores::new(&cx.root()?.settings()?.locks, cx.env.locks.as_deref())?;
    locks.remove(name).map_err(|error| {
        let message = format!("{name} was not removed, as its locks cannot be forgotten: {error}");
        CliError::new(Exit::Network, message).hint("try again when the lock store is back")
    })
}

fn record(event: &'static str, name: &RepoName, cx: &Context) -> Result<(), CliError> {
    let (repository, who) = (Some(name.to_string()), Some("admin".to_owned()));
    let record = Record { event, repository, who, ..Record::default() };
    AuditLog::new(cx.root()?.audit()).append(env::now(), &record, true)?;
    Ok(())
}
