//! Ctrl-C: the first asks the operation to stop and undo what is unfinished, the second ends the process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{SigId, flag, low_level};

use crate::exit::Exit;

#[derive(Default)]
struct Signals {
    /// Ctrl-C was pressed.
    pressed: Arc<AtomicBool>,
    /// The process was asked to end.
    terminated: Arc<AtomicBool>,
    /// Another program has the terminal: Ctrl-C is for it.
    left: AtomicBool,
    /// The handler that ends the process at the second Ctrl-C.
    second: Mutex<Option<SigId>>,
}

fn signals() -> &'static Signals {
    static SIGNALS: OnceLock<Signals> = OnceLock::new();
    SIGNALS.get_or_init(Signals::default)
}

/// Starts to notice signals. A system that gives us no handlers keeps its own: the process then ends at once, which
/// no repository minds.
pub fn install() {
    let signals = signals();
    let exit = Exit::Interrupted.code().into();
    // The order matters: the first signal finds its flag unset, and sets it for the second.
    let second = flag::register_conditional_shutdown(SIGINT, exit, signals.pressed.clone()).ok();
    *signals.second.lock().unwrap_or_else(PoisonError::into_inner) = second;
    let _ = flag::register(SIGINT, signals.pressed.clone());
    let _ = flag::register_conditional_shutdown(SIGTERM, exit, signals.terminated.clone());
    let _ = flag::register(SIGTERM, signals.terminated.clone());
}

/// Whether the user wants to stop.
#[must_use]
pub fn interrupted() -> bool {
    let signals = signals();
    let pressed = signals.pressed.load(Ordering::Relaxed) && !signals.left.load(Ordering::Relaxed);
    pressed || signals.terminated.load(Ordering::Relaxed)
}

/// From now on Ctrl-C belongs to a pager or a command, the end of which ends us too.
pub fn leave_terminal() {
    let signals = signals();
    signals.left.store(true, Ordering::Relaxed);
    if let Some(id) = signals.second.lock().unwrap_or_else(PoisonError::into_inner).take() {
        low_level::unregister(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_ctrl_c_is_noticed_unless_another_program_has_the_terminal() {
        install();
        assert!(!interrupted());
        low_level::raise(SIGINT).unwrap();
        assert!(interrupted());
        leave_terminal();
        assert!(!interrupted());
        low_level::raise(SIGINT).unwrap();
    }
}
