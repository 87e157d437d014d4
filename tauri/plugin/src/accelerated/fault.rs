//! What a page, or the web process that may be anybody's, did that it must not.

use std::fmt;

use tramline_core::LinkError;
use tramline_web_link::VERSION;

/// Why a link was refused or ended, or a call was not made. The code never changes; the text may.
#[derive(Debug)]
pub(super) enum Fault {
    /// The message that hands over a socket is not as it should be.
    HandOver(&'static str),
    /// What shows in the view does not belong to the app.
    Origin,
    /// A page that has handed over a socket before.
    SecondLink,
    /// Handshakes of pages that are gone are still under way.
    Busy,
    /// Core and web process did not find together.
    Handshake(String),
    /// Another version of the extension: one that was installed beside the app, and not with it.
    Version(u32),
    /// The hello has another invoke key.
    Key,
    /// A call, but no hello.
    NoKey,
    /// No message that a page may send.
    Message(&'static str),
    /// A call that cannot be read; it was rejected, and the link goes on.
    Call(String),
    /// The ring itself.
    Ring(LinkError),
    /// More waits than may wait.
    Unread,
    /// A command of the app's panicked.
    Panic,
}

impl Fault {
    pub(super) fn code(&self) -> &'static str {
        match self {
            Fault::HandOver(_) => "hand-over",
            Fault::Origin => "origin",
            Fault::SecondLink => "second-link",
            Fault::Busy => "busy",
            Fault::Handshake(_) => "handshake",
            Fault::Version(_) => "version",
            Fault::Key => "key",
            Fault::NoKey => "no-key",
            Fault::Message(_) => "message",
            Fault::Call(_) => "call",
            Fault::Ring(_) => "ring",
            Fault::Unread => "unread",
            Fault::Panic => "panic",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::HandOver(what) | Fault::Message(what) => f.write_str(what),
            Fault::Origin => f.write_str("a page of another origin wants a link"),
            Fault::SecondLink => f.write_str("a page wants a second link"),
            Fault::Busy => f.write_str("too many handshakes are under way"),
            Fault::Handshake(why) => write!(f, "the handshake failed: {why}"),
            Fault::Version(other) => write!(
                f,
                "the web-process extension speaks version {other}, the app {VERSION}; install the \
                 one that belongs to the app"
            ),
            Fault::Key => f.write_str("a wrong invoke key"),
            Fault::NoKey => f.write_str("a call before the invoke key"),
            Fault::Call(why) => write!(f, "a call that cannot be read: {why}"),
            Fault::Ring(error) => error.fmt(f),
            Fault::Unread => f.write_str("the page does not read what it is sent"),
            Fault::Panic => f.write_str("a command panicked"),
        }
    }
}
