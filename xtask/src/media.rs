//! `cargo xtask media`: makes real media in a folder.

use std::path::PathBuf;

use dits_testkit::media::{self, Scale};

use crate::{Failure, packages};

/// What to make, and where.
#[derive(clap::Args)]
pub struct Args {
    /// The folder; files that are there already are kept.
    folder: PathBuf,
    /// 12 seconds of footage instead of 90.
    #[arg(long)]
    small: bool,
    /// Also a ProRes mov of at least 1 GB.
    #[arg(long, conflicts_with = "small")]
    large: bool,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    packages::ensure(packages::DEMO)?;
    let scale = match (args.small, args.large) {
        (true, _) => Scale::Small,
        (_, true) => Scale::Large,
        _ => Scale::Normal,
    };
    for path in media::make(&args.folder, scale)? {
        println!("{:>13}  {}", std::fs::metadata(&path)?.len(), path.display());
    }
    Ok(())
}
