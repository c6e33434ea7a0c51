//! The commands, one file each.

use clap::Subcommand;

use crate::app::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::repo_name::RepoName;
use crate::repositories::Repositories;

mod audit;
mod fingerprint;
mod fsck;
mod gc;
mod repo;
mod serve;
pub mod stdio;
mod token;

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve
    Serve(serve::Args),
    /// Make, list and remove repositories
    #[command(subcommand)]
    Repo(repo::Command),
    /// Make, list and revoke tokens
    #[command(subcommand)]
    Token(token::Command),
    /// Look after the audit log
    #[command(subcommand)]
    Audit(audit::Command),
    /// Check repositories
    Fsck(fsck::Args),
    /// Tidy repositories
    Gc(gc::Args),
    /// Print the fingerprint of the server's key
    Fingerprint,
}

/// Runs one.
///
/// # Errors
/// As it does.
pub fn run(command: Command, cx: &Context) -> Result<Exit, CliError> {
    match command {
        Command::Serve(args) => serve::run(&args, cx),
        Command::Repo(command) => repo::run(command, cx),
        Command::Token(command) => token::run(command, cx),
        Command::Audit(command) => audit::run(&command, cx),
        Command::Fsck(args) => fsck::run(&args, cx),
        Command::Gc(args) => gc::run(&args, cx),
        Command::Fingerprint => fingerprint::run(cx),
    }
}

/// The repositories a command is about.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Which {
    /// The repository
    name: Option<String>,
    /// All repositories
    #[arg(long)]
    all: bool,
}

impl Which {
    fn names(&self, repositories: &Repositories) -> Result<Vec<RepoName>, CliError> {
        match &self.name {
            Some(name) => Ok(vec![RepoName::parse(name)?]),
            None => Ok(repositories.list()?),
        }
    }
}
