//! Where the asynchronous carriers run.

use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle, Runtime};

/// The process's one runtime, started when it is first needed.
///
/// # Errors
/// When the system does not give threads.
pub(super) fn handle() -> std::io::Result<Handle> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime.handle().clone());
    }
    let runtime = Builder::new_multi_thread().worker_threads(2).thread_name("dits-link").enable_all().build()?;
    Ok(RUNTIME.get_or_init(|| runtime).handle().clone())
}
