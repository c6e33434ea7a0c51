//! `dits mounts`

use std::path::Path;

use dits_core::durable::IoContext;
use dits_fuse::details::Details;
use dits_fuse::table::{self, Health};
use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::table::{Align, pad};

/// List what is mounted
///
/// All mounts of dits on this machine that you can see, also those whose daemon has died.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits mounts
  dits mounts --json")]
pub struct Args {}

#[derive(Serialize)]
struct Answer {
    mounts: Vec<Listed>,
}

#[derive(Serialize)]
struct Listed {
    path: String,
    state: &'static str,
    repository: String,
    #[serde(rename = "ref")]
    reference: Option<String>,
    commit: Option<String>,
    pid: Option<u32>,
    read_only: Option<bool>,
    received: Option<u64>,
    why: Option<String>,
}

/// Lists.
pub fn run(_: Args, cx: &Context) -> Result<Exit, CliError> {
    let found = table::mounts().at("read", Path::new("/proc/self/mountinfo"))?;
    let mounts: Vec<Listed> = found.iter().map(|mount| listed(mount, table::health(&mount.point))).collect();
    if cx.json() {
        cx.out().json("mounts", &Answer { mounts })?;
        return Ok(Exit::Ok);
    }
    let width = mounts.iter().map(|mount| mount.path.width()).max().unwrap_or(0);
    for mount in &mounts {
        let path = pad(&mount.path, width, Align::Left);
        match (mount.state, &mount.commit, &mount.reference) {
            ("alive", Some(commit), Some(reference)) => {
                let short = &commit[..commit.len().min(10)];
                writeln!(cx.out(), "{path} {short} [{reference}] {}", mount.repository)?;
            }
            ("dead", ..) => writeln!(cx.out(), "{path} (dead: `dits unmount` clears it away)")?,
            _ => writeln!(cx.out(), "{path} ({})", mount.why.as_deref().unwrap_or_default())?,
        }
    }
    Ok(Exit::Ok)
}

fn listed(mount: &table::Mount, health: Health) -> Listed {
    let (state, details, why) = match health {
        Health::Alive(details) => ("alive", Some(details), None),
        Health::Dead => ("dead", None, None),
        Health::Silent(why) => ("silent", None, Some(why)),
    };
    let alive = details.is_some();
    let Details { commit, reference, repository, pid, read_only, received, private: _ } = details.unwrap_or_default();
    Listed {
        path: mount.point.display().to_string(),
        state,
        repository: if alive { repository.display().to_string() } else { mount.source.clone() },
        reference: alive.then_some(reference),
        commit: alive.then_some(commit),
        pid: alive.then_some(pid),
        read_only: alive.then_some(read_only),
        received: alive.then_some(received),
        why,
    }
}
