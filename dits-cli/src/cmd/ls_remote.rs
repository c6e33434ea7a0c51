//! `dits ls-remote`

use dits_core::object::Digest;
use dits_sync::client::Listing;
use serde::Serialize;

use super::glob;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::sharing::peer::Place;

/// List the branches and tags of another repository
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits ls-remote                                   of the remote that the branch follows
  dits ls-remote dits://studio.example/film        without having anything of it
  dits ls-remote --tags origin 'v*'")]
pub struct Args {
    /// The remote's name or address
    #[arg(value_name = "REMOTE|URL", value_hint = clap::ValueHint::DirPath)]
    from: Option<String>,
    /// Only refs that match one of these: `main`, `v*`
    #[arg(value_name = "PATTERN")]
    patterns: Vec<String>,
    /// Only branches
    #[arg(short, long, visible_alias = "heads")]
    branches: bool,
    /// Only tags
    #[arg(short, long)]
    tags: bool,
    /// Also tell which branch HEAD is
    #[arg(long)]
    symref: bool,
    /// Exit with 1 if there is nothing to list
    #[arg(long)]
    exit_code: bool,
}

#[derive(Serialize)]
struct Answer {
    url: String,
    head: Option<String>,
    refs: Vec<Ref>,
}

#[derive(Serialize)]
struct Ref {
    name: String,
    id: String,
}

/// Lists them.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let place = Place::new(cx)?;
    let peer = place.peer(args.from.as_deref(), "ls-remote")?;
    let progress = cx.progress();
    let (listing, _) = peer.talk(&progress, |client, progress| client.listing(None, progress))?;
    drop(progress);
    let found: Vec<(String, Digest)> = all(&listing).into_iter().filter(|(name, _)| wanted(&args, name)).collect();
    let exit = if args.exit_code && found.is_empty() { Exit::Difference } else { Exit::Ok };
    if cx.json() {
        let refs = found.iter().map(|(name, id)| Ref { name: name.clone(), id: id.to_string() }).collect();
        let head = listing.head.as_ref().map(ToString::to_string);
        cx.out().json("ls-remote", &Answer { url: peer.shown(), head, refs })?;
        return Ok(exit);
    }
    if args.from.is_none() {
        cx.note(format!("From {}", peer.shown()));
    }
    for (name, id) in found {
        if let (true, "HEAD", Some(head)) = (args.symref, name.as_str(), &listing.head) {
            writeln!(cx.out(), "ref: {head}\tHEAD")?;
        }
        writeln!(cx.out(), "{id}\t{name}")?;
    }
    Ok(exit)
}

/// HEAD, then branches and tags.
fn all(listing: &Listing) -> Vec<(String, Digest)> {
    let head = listing.head.as_ref().and_then(|head| listing.get(head)).map(|id| ("HEAD".to_owned(), id));
    head.into_iter().chain(listing.refs.iter().map(|(name, id)| (name.to_string(), *id))).collect()
}

fn wanted(args: &Args, name: &str) -> bool {
    let kind = match (args.branches, args.tags) {
        (false, false) => true,
        (branches, tags) => branches && name.starts_with("refs/branches/") || tags && name.starts_with("refs/tags/"),
    };
    // As in git, a pattern is about the end of the name.
    let matches = |pattern: &String| glob(&format!("*/{pattern}"), &format!("/{name}"));
    kind && (args.patterns.is_empty() || args.patterns.iter().any(matches))
}
