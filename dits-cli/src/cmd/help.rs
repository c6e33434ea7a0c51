//! `dits help`

use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::guide::{self, Guide};
use crate::output::color;
use crate::output::table::{Align, Table};

/// Explain a command, or a subject in a short guide
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits help                what there is
  dits help tutorial       version a video, step by step
  dits help completions    one command with its options")]
pub struct Args {
    /// A command or a guide
    #[arg(value_name = "COMMAND|GUIDE")]
    pub subject: Option<String>,
}

#[derive(Serialize)]
struct Answer<'a> {
    subject: &'a str,
    text: &'a str,
}

/// Shows the overview, a guide or a command's help.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let Some(subject) = args.subject else {
        return show(cx, "dits", &overview());
    };
    if let Some(guide) = guide::find(&subject) {
        return show(cx, &subject, guide.text);
    }
    match command_help(&subject) {
        Some(text) => show(cx, &subject, &text),
        None => Err(CliError::usage(format!("there is no command and no guide called `{subject}`"))
            .hint("`dits help` lists both")),
    }
}

fn overview() -> String {
    let mut table = Table::new(&[Align::Left, Align::Left]);
    for Guide { name, about, .. } in guide::ALL {
        table.row([format!("  dits help {name}"), (*about).to_owned()]);
    }
    format!("{}\nGuides:\n{}", crate::app::command().render_help(), table.render())
}

fn command_help(name: &str) -> Option<String> {
    let mut app = crate::app::command().bin_name("dits");
    app.build();
    let command = app.find_subcommand_mut(name)?;
    Some(command.render_long_help().to_string())
}

/// Prints with the headings emphasised: lines that begin with `#` in a guide.
fn show(cx: &Context, subject: &str, text: &str) -> Result<Exit, CliError> {
    if cx.json() {
        cx.out().json("help", &Answer { subject, text })?;
        return Ok(Exit::Ok);
    }
    cx.start_pager()?;
    for line in text.trim_end().lines() {
        match line.strip_prefix("# ").or_else(|| line.strip_prefix("## ")) {
            Some(heading) => writeln!(cx.out(), "{}", cx.out().paint(color::HEADING, heading))?,
            None => writeln!(cx.out(), "{line}")?,
        }
    }
    Ok(Exit::Ok)
}
