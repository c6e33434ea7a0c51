//! `dits remote`

use clap::Subcommand;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::repository::Opened;

mod add;
mod head;
mod list;
mod moved;
mod show;
mod url;

/// Name other repositories to share with
///
/// A remote is a name for another repository: where it is, and which of its branches are seen here as `NAME/BRANCH`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits remote add origin dits://studio.example/film     name one
  dits remote -v                                        list them with their addresses
  dits remote show origin                               ask it what it has
  dits remote rename origin studio                      its branches and what follows them come along
  dits remote set-url origin ssh://me@backup/film       it has moved
  dits remote remove studio                             forget it, and what is known of its branches")]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Name a repository
    Add(add::Args),
    /// Forget a remote, its branches as seen here, and what follows them
    #[command(visible_alias = "rm")]
    Remove {
        /// The remote
        name: String,
        /// Even if it holds content that is not here, which is lost then
        #[arg(short, long)]
        force: bool,
    },
    /// Give a remote another name
    Rename {
        /// The name it has
        old: String,
        /// The name it gets
        new: String,
    },
    /// Print a remote's address
    GetUrl {
        /// The remote
        name: String,
        /// The one that pushes go to
        #[arg(long)]
        push: bool,
    },
    /// Change a remote's address
    SetUrl {
        /// The remote
        name: String,
        /// The address
        #[arg(value_hint = clap::ValueHint::DirPath)]
        url: String,
        /// Only the one that pushes go to
        #[arg(long)]
        push: bool,
    },
    /// Ask a remote what it has, and tell what follows it
    Show {
        /// The remote
        name: String,
    },
    /// Forget branches that a remote no longer has
    Prune {
        /// The remote
        name: String,
        /// Only say which
        #[arg(short = 'n', long)]
        dry_run: bool,
    },
    /// Say which branch a remote's name alone stands for
    SetHead(head::Args),
}

/// A remote in JSON.
#[derive(Serialize)]
struct RemoteJson {
    name: String,
    url: Option<String>,
    push_url: Option<String>,
    fetch: Vec<String>,
}

#[derive(Serialize)]
struct Answer {
    action: &'static str,
    remotes: Vec<RemoteJson>,
}

/// Does what was asked.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    match args.action {
        None => list::run(&opened, cx),
        Some(Action::Add(args)) => add::run(&opened, cx, &args),
        Some(Action::Remove { name, force }) => moved::remove(&opened, cx, &name, force),
        Some(Action::Rename { old, new }) => moved::rename(&opened, cx, &old, &new),
        Some(Action::GetUrl { name, push }) => url::get(&opened, cx, &name, push),
        Some(Action::SetUrl { name, url, push }) => url::set(&opened, cx, &name, &url, push),
        Some(Action::Show { name }) => show::show(&opened, cx, &name),
        Some(Action::Prune { name, dry_run }) => show::prune(&opened, cx, &name, dry_run),
        Some(Action::SetHead(args)) => head::run(&opened, cx, &args),
    }
}

/// The JSON answer about remotes as they are now set up.
fn tell(opened: &Opened, cx: &Context, action: &'static str, names: &[&str]) -> Result<Exit, CliError> {
    if cx.json() {
        let config = cx.environment()?.config(Some(opened.repo.layout()))?;
        let mut remotes = Vec::new();
        for name in names {
            let found = dits_core::remote::Remote::find(&config, name).map_err(dits_core::repo::RepoError::from)?;
            remotes.extend(found.map(RemoteJson::from));
        }
        cx.out().json("remote", &Answer { action, remotes })?;
    }
    Ok(Exit::Ok)
}

impl From<dits_core::remote::Remote> for RemoteJson {
    fn from(remote: dits_core::remote::Remote) -> Self {
        let push_url = remote.push_url().map(str::to_owned);
        let fetch = remote.fetch.iter().map(ToString::to_string).collect();
        Self { name: remote.name, url: remote.url, push_url, fetch }
    }
}
