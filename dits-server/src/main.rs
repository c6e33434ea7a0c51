//! `dits-server`: hosts dits repositories. `docs/server.md` says what an administrator does with it.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod access;
mod app;
mod audit;
mod changed_paths;
mod cmd;
mod env;
mod error;
mod exit;
#[cfg(test)]
mod forge;
mod hooks;
mod host;
mod http;
mod limits;
mod lock_tables;
mod locks;
mod logging;
mod metrics;
mod output;
mod pattern;
mod policy;
mod repo_name;
mod repositories;
#[cfg(test)]
mod rig;
mod root;
mod running;
mod settings;
mod shutdown;
mod token;
mod upkeep;

fn main() -> std::process::ExitCode {
    app::main()
}
