//! `dits man`

use std::path::{Path, PathBuf};

use clap_mangen::Man;
use dits_core::durable::IoContext;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;

/// Write the manual page of a command, or all pages
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits man add | man -l -                         read one page
  dits man --all ~/.local/share/man/man1          install all pages")]
pub struct Args {
    /// The command whose page goes to standard output; without one, the page of dits itself
    pub command: Option<String>,
    /// Write all pages to this folder, which is made if it is not there
    #[arg(long, value_name = "DIR", conflicts_with = "command", value_hint = clap::ValueHint::DirPath)]
    pub all: Option<PathBuf>,
}

/// Writes one page or all.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let mut app = crate::app::command().bin_name("dits");
    app.build();
    if let Some(folder) = args.all {
        let count = write_all(&app, &folder)?;
        cx.note(format_args!("wrote {count} pages to {}", folder.display()));
        return Ok(Exit::Ok);
    }
    let command = match &args.command {
        None => &app,
        Some(name) => app.find_subcommand(name).ok_or_else(|| {
            CliError::usage(format!("there is no command called `{name}`")).hint("`dits help` lists them")
        })?,
    };
    cx.out().io(|writer| page(command).render(writer))?;
    Ok(Exit::Ok)
}

/// The page of one command, called `dits-NAME`.
fn page(command: &clap::Command) -> Man {
    let title = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    Man::new(command.clone()).title(title).manual("dits manual")
}

fn write_all(app: &clap::Command, folder: &Path) -> Result<usize, CliError> {
    std::fs::create_dir_all(folder).at("make", folder)?;
    let mut todo = vec![app];
    let mut count = 0;
    while let Some(command) = todo.pop() {
        let file = folder.join(format!("{}.1", command.get_display_name().unwrap_or(command.get_name())));
        let mut text = Vec::new();
        page(command).render(&mut text).at("write", &file)?;
        std::fs::write(&file, text).at("write", &file)?;
        count += 1;
        todo.extend(command.get_subcommands().filter(|sub| sub.get_name() != "help" || command.get_name() == "dits"));
    }
    Ok(count)
}
