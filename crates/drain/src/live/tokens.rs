//! The token, kept from one invocation of a process to the next.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use nomad_client::Token;

/// How long a token is used without asking for it again. SSM answers 40 calls a second for a whole account, which a burst
/// of events would exceed (AWS General Reference, "Systems Manager endpoints and quotas").
const KEPT_FOR: Duration = Duration::from_mins(5);

/// What this process knows of its token. Nothing depends on it: what is not here is read, and what Nomad refuses is
/// forgotten.
#[derive(Debug, Default)]
pub struct TokenCache {
    kept: RefCell<Option<(Token, Instant)>>,
}

impl TokenCache {
    /// The token, if it was read recently.
    pub(super) fn get(&self) -> Option<Token> {
        let kept = self.kept.borrow();
        kept.as_ref().filter(|(_, read_at)| read_at.elapsed() < KEPT_FOR).map(|(token, _)| token.clone())
    }

    /// Keeps what has just been read.
    pub(super) fn put(&self, token: Token) {
        self.kept.replace(Some((token, Instant::now())));
    }
}
