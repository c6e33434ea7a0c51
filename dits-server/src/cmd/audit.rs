//! `dits-server audit`

use clap::Subcommand;
use serde::Serialize;

use crate::app::Context;
use crate::audit::{Finding, Head, verify};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check that no line was changed, removed, inserted or moved; exits with 6 if one was
    Verify {
        /// Where the log ended at some time, as an earlier run printed it
        #[arg(long, value_name = "SEQ:HASH")]
        expect: Option<String>,
    },
}

#[derive(Serialize)]
struct Answer {
    intact: bool,
    lines: u64,
    head: String,
    torn: u64,
    findings: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    line: u64,
    what: String,
}

/// Runs it.
pub fn run(command: &Command, cx: &Context) -> Result<Exit, CliError> {
    let Command::Verify { expect } = command;
    let bad = |what| CliError::usage(format!("`--expect` cannot be used: {what}"));
    let expect = expect.as_ref().map(|text| text.parse::<Head>().map_err(bad)).transpose()?;
    let verified = verify(&cx.root()?.audit(), expect.as_ref())?;
    let intact = verified.findings.is_empty();
    if cx.json() {
        let findings = verified.findings.into_iter().map(|Finding { line, what }| Line { line, what }).collect();
        let head = verified.head.to_string();
        output::json("audit verify", &Answer { intact, lines: verified.lines, head, torn: verified.torn, findings })?;
    } else {
        for Finding { line, what } in &verified.findings {
            output::text(&format!("line {line}: {what}\n"))?;
        }
        if verified.torn > 0 {
            output::text(&format!("{} bytes of a half written line at the end, left by a crash\n", verified.torn))?;
        }
        match intact {
            true => {
                output::text(&format!("{} lines, all as they were written; head {}\n", verified.lines, verified.head))?
            }
            false => output::text(&format!("{} lines, {} problems\n", verified.lines, verified.findings.len()))?,
        }
    }
    Ok(if intact { Exit::Ok } else { Exit::Corruption })
}
