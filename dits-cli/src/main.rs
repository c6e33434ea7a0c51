//! The `dits` command line: what users type, read and script against. The engine is `dits-core`.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod absent;
mod alias;
mod app;
mod changes;
mod cmd;
mod conflicts;
mod content_id;
mod context;
mod credentials;
mod date;
mod editor;
mod env;
mod error;
mod exit;
mod guide;
mod history;
mod identity;
mod locking;
mod moves;
mod output;
mod pathspec;
mod picking;
mod progress;
mod remotes;
mod repository;
mod revisions;
mod settings;
mod sharing;
mod tracking;

fn main() -> std::process::ExitCode {
    app::main()
}
