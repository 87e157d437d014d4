//! The channels that a call brings.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tramline_core::ConfigError;
use tramline_core::command::Reply;
use tramline_core::envelope::ExtensionBuf;

use super::Link;

/// Channels of ours that stand among the arguments of a call that is about to be sent. Dropped
/// without a word that it was, it ends them: no other call can bring them.
pub(crate) struct Brought {
    link: Arc<Link>,
    /// Number and credit of each.
    channels: Vec<(u32, u64)>,
    sent: AtomicBool,
}

impl Link {
    /// Whether there are channels that no call has brought yet: the next one may.
    #[inline]
    pub(crate) fn may_bring_channels(&self) -> bool {
        self.channels.has_unclaimed()
    }
}

impl Brought {
    /// Looks for channels among the arguments, if there may be any.
    #[inline]
    pub(crate) fn by<A: Reply>(link: &Arc<Link>, args: &A) -> Option<Self> {
        if link.channels.has_unclaimed() { Self::find(link, args) } else { None }
    }

    #[cold]
    fn find<A: Reply>(link: &Arc<Link>, args: &A) -> Option<Self> {
        let mut channels = Vec::new();
        args.channels(&mut |id| {
            channels.extend(link.channels.claim(id).map(|credit| (id, credit)));
        });
        let brought = Self { link: Arc::clone(link), channels, sent: AtomicBool::new(false) };
        (!brought.channels.is_empty()).then_some(brought)
    }

    /// Writes them into the request's extension.
    pub(crate) fn write(&self, extension: &mut ExtensionBuf) -> Result<(), ConfigError> {
        self.channels.iter().try_for_each(|(id, credit)| extension.channel(*id, *credit))
    }

    /// The request has gone.
    pub(crate) fn sent(&self) {
        // Relaxed: read by the drop, which comes after every use.
        self.sent.store(true, Ordering::Relaxed);
        self.link.channels.sent(&*self.link, &self.ids());
    }

    fn ids(&self) -> Vec<u32> {
        self.channels.iter().map(|(id, _)| *id).collect()
    }
}

impl Drop for Brought {
    fn drop(&mut self) {
        if !*self.sent.get_mut() {
            self.link.channels.unsent(&self.ids());
        }
    }
}

impl fmt::Debug for Brought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Brought").field(&self.channels).finish()
    }
}
