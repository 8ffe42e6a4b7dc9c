//! Whose turn it is to be begun, where there are very many.

use tokio::sync::SemaphorePermit;

/// The turn of one instance. When it ends, another one may be begun.
#[derive(Debug, Default)]
pub(crate) struct Turn<'a>(Option<SemaphorePermit<'a>>);

impl<'a> Turn<'a> {
    /// A turn that keeps others waiting for so long, or none.
    pub(crate) fn of(permit: Option<SemaphorePermit<'a>>) -> Self {
        Self(permit)
    }

    /// It is another one's turn.
    pub(crate) fn end(&mut self) {
        self.0 = None;
    }
}
