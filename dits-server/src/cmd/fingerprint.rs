//! `dits-server fingerprint`

use dits_sync::identity::ServerIdentity;
use serde::Serialize;

use crate::app::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;

#[derive(Serialize)]
struct Answer {
    fingerprint: String,
}

/// Prints it; a server that has no key yet gets one.
pub fn run(cx: &Context) -> Result<Exit, CliError> {
    let identity = ServerIdentity::load_or_create(&cx.root()?.identity())?;
    let fingerprint = identity.fingerprint().to_string();
    match cx.json() {
        true => output::json("fingerprint", &Answer { fingerprint })?,
        false => output::text(&format!("{fingerprint}\n"))?,
    }
    Ok(Exit::Ok)
}
