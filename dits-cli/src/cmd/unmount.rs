//! `dits unmount`

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dits_core::durable::IoContext;
use dits_core::repo::{Layout, Repository};
use dits_fuse::table::{self, Health};
use serde::Serialize;

use super::mount::point;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;

/// How long the daemon may take to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// End a mount
///
/// Also one whose daemon has died ("Transport endpoint is not connected").
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits unmount /mnt/film
  dits unmount --force /mnt/film    although programs have files of it open")]
pub struct Args {
    /// The folder that is mounted on
    #[arg(value_hint = clap::ValueHint::DirPath)]
    dir: PathBuf,
    /// Also if it is in use: programs that have files open get errors
    #[arg(short, long)]
    force: bool,
}

#[derive(Serialize)]
struct Answer {
    path: String,
    dead: bool,
}

/// Unmounts.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let path = point::place(cx, &args.dir)?;
    let Some(mount) = point::find(&path)? else {
        return Err(CliError::new(Exit::Difference, format!("{} is not a mount of dits", args.dir.display()))
            .hint("`dits mounts` lists them"));
    };
    let dead = match table::health(&path) {
        Health::Alive(details) => {
            take_away(&path, &args)?;
            wait_for(details.pid, &args);
            false
        }
        Health::Dead => {
            table::unmount(&path, true).at("unmount", &path)?;
            forget(cx, Path::new(&mount.source));
            true
        }
        Health::Silent(_) if args.force => {
            table::unmount(&path, true).at("unmount", &path)?;
            false
        }
        Health::Silent(why) => {
            return Err(CliError::new(Exit::Conflict, format!("{}: {why}", args.dir.display()))
                .hint(format!("dits unmount --force {}", args.dir.display())));
        }
    };
    if cx.json() {
        cx.out().json("unmount", &Answer { path: path.display().to_string(), dead })?;
    } else {
        cx.note(format!("Unmounted {}", path.display()));
    }
    Ok(Exit::Ok)
}

fn take_away(path: &Path, args: &Args) -> Result<(), CliError> {
    match table::unmount(path, args.force) {
        Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy => {
            Err(CliError::new(Exit::Conflict, format!("{} is in use", args.dir.display()))
                .hint("close the files and leave the folders that are open there")
                .hint(format!("dits unmount --force {} does it all the same", args.dir.display())))
        }
        done => Ok(done.at("unmount", path)?),
    }
}

/// Waits until the daemon has put away what it has.
fn wait_for(pid: u32, args: &Args) {
    let begun = Instant::now();
    let process = PathBuf::from(format!("/proc/{pid}/exe"));
    while std::fs::read_link(&process).is_ok() {
        // Who still has a file open keeps the daemon; that was asked for.
        if args.force || begun.elapsed() > PATIENCE {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Has the repository forget mounts whose daemons are gone. Where it cannot be reached, its next mount does it.
fn forget(cx: &Context, common: &Path) {
    if let Ok(environment) = cx.environment()
        && let Ok(repo) = Repository::open(Layout::main(common), &environment)
    {
        let _ = repo.forget_dead_mounts();
    }
}
