//! Signals: the first asks the server to stop, the second ends the process.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::exit::Exit;

/// A flag that `SIGTERM` or Ctrl-C sets.
///
/// # Errors
/// When the system gives no handlers.
pub fn flag_of_signals() -> std::io::Result<Arc<AtomicBool>> {
    let asked = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        // The order matters: the first signal finds the flag unset, and sets it for the second.
        flag::register_conditional_shutdown(signal, Exit::Interrupted as i32, Arc::clone(&asked))?;
        flag::register(signal, Arc::clone(&asked))?;
    }
    Ok(asked)
}
