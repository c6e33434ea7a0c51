//! How long operations report what they do, and learn that they should stop.

/// Listens to a long operation. Implementations are cheap: workers call them from several threads.
pub trait Progress: Sync {
    /// A new stage begins; `bytes` and `items` are what it will get through, where known.
    fn stage(&self, _name: &'static str, _bytes: Option<u64>, _items: Option<u64>) {}

    /// The stage got through that much more.
    fn advance(&self, _bytes: u64, _items: u64) {}

    /// Whether the user wants the operation to stop. It then undoes what is not finished and fails with
    /// [`Interrupted`].
    fn interrupted(&self) -> bool {
        false
    }

    /// Fails if the user wants the operation to stop.
    ///
    /// # Errors
    /// [`Interrupted`], then.
    fn check(&self) -> Result<(), Interrupted> {
        if self.interrupted() { Err(Interrupted) } else { Ok(()) }
    }
}

/// The user stopped the operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

/// Listens to nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {}
