//! What a peer was refused, and why: for our own log, never for the peer.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::peer::Peer;
use crate::state::States;

/// What a peer asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Asked {
    /// To invoke a command.
    Invoke,
    /// To listen to an event.
    Listen,
    /// To emit an event.
    Emit,
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invoke => "invoke",
            Self::Listen => "listen to",
            Self::Emit => "emit",
        })
    }
}

/// A refusal, with its reason. Shows itself as one line: what comes from the peer is quoted.
#[derive(Debug, Clone, Copy)]
pub struct Denial<'a> {
    /// Who asked.
    pub peer: &'a Peer,
    /// What for.
    pub asked: Asked,
    /// The command or the event: its first 255 bytes.
    pub name: &'a str,
    /// Why not: names capabilities, permissions and labels.
    pub why: &'a str,
}

impl fmt::Display for Denial<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { peer, asked, name, why } = self;
        write!(f, "peer {} may not {asked} {name:?}: {why}", peer.id())
    }
}

/// Is told of every refusal.
pub struct OnDenied(Box<dyn Fn(&Denial<'_>) + Send + Sync>);

impl OnDenied {
    /// Calls `told` for every refusal, on the thread that refuses.
    pub fn new(told: impl Fn(&Denial<'_>) + Send + Sync + 'static) -> Self {
        Self(Box::new(told))
    }

    /// Tells whoever is among the managed values. A panic there is its own loss.
    pub(crate) fn tell(states: &States, denial: &Denial<'_>) {
        if let Some(told) = states.get::<Self>() {
            let _ = catch_unwind(AssertUnwindSafe(|| (told.inner().0)(denial)));
        }
    }

    pub(crate) fn is_wanted(states: &States) -> bool {
        states.get::<Self>().is_some()
    }
}

impl fmt::Debug for OnDenied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnDenied")
    }
}
