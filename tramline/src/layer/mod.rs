//! Layers: code of the user's around calls, events and channel messages.
//!
//! `docs/MIDDLEWARE.md` is the page. [`Layer`] and [`Passage`] are what users write; the library calls
//! them.

mod around;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "rate-limit")]
mod rate_limit;
#[cfg(feature = "tracing")]
mod tracing;

use std::fmt;
use std::time::Duration;

use tramline_core::envelope::{BodyKind, Extension, Field};
use tramline_core::peer::Peer;
use tramline_core::{InvokeError, Rejection};

pub(crate) use self::around::{Invoking, Layers, Leaving};
#[cfg(feature = "metrics")]
pub use self::metrics::Metrics;
#[cfg(feature = "rate-limit")]
pub use self::rate_limit::RateLimit;
#[cfg(feature = "tracing")]
pub use self::tracing::Tracing;

/// Code of yours around every call, event and channel message of a server or of a client.
///
/// Several layers stand around each other: the first one added is the outermost. Each sees a message
/// when it comes to it, and refuses it or lets it go on; if it gives back a [`Passage`], that is
/// around the command's own code and learns how it ended. A function or closure that takes
/// `&mut Passing` is a layer.
///
/// - On a server a layer comes behind the gate: it never sees what capabilities or quotas refuse
///   ([`Server::on_denied`](crate::Server::on_denied) does), and all command names that it sees are
///   registered ones.
/// - A call that is refused is answered with the [`Rejection`], and its command never runs. An event
///   that is refused is dropped where it is delivered; where it is emitted, and for a channel's
///   message, the sender gets [`SendError::Refused`](crate::SendError::Refused).
/// - A layer is called on the thread that reads a connection, or on that of the caller: it must not
///   wait. A layer that panics refuses.
///
/// # Examples
///
/// ```
/// use tramline::layer::{Outcome, Passing, Way};
/// use tramline::{Capabilities, Client, Rejection, Server, command, commands};
///
/// #[command]
/// fn delete(path: String) -> String {
///     path
/// }
///
/// let server = Server::new()
///     .commands(commands![delete])
///     .allow(Capabilities::all())
///     .layer(|call: &mut Passing<'_>| {
///         if call.name() == "delete" && call.header("reason").is_none() {
///             return Err(Rejection::Denied { text: "say why".into() });
///         }
///         let name = call.name().to_owned();
///         Ok(Some(Box::new(move |outcome: &Outcome<'_>| {
///             println!("{name}: {} after {:?}", outcome.code.unwrap_or("ok"), outcome.took);
///         }) as _))
///     })
///     .start("mem:layer-doc")?;
///
/// let client = Client::connect("mem:layer-doc").wait()?;
/// let delete = || client.invoke::<String, _>("delete", tramline::json!({ "path": "/tmp/x" }));
/// assert_eq!(delete().wait().unwrap_err().to_string(), "say why");
/// assert_eq!(delete().header("reason", "full").wait()?, "/tmp/x");
/// # server.stop();
/// # Ok::<(), tramline::Error>(())
/// ```
pub trait Layer: Send + Sync + 'static {
    /// A message has come to this layer.
    ///
    /// # Errors
    ///
    /// It goes no further, and its sender is told so.
    fn pass(&self, message: &mut Passing<'_>) -> Passed;
}

/// What a layer says to a message: go on, with or without something that learns of the end, or not.
pub type Passed = Result<Option<Box<dyn Passage>>, Rejection>;

impl<F: Fn(&mut Passing<'_>) -> Passed + Send + Sync + 'static> Layer for F {
    fn pass(&self, message: &mut Passing<'_>) -> Passed {
        self(message)
    }
}

/// One message's way through a layer. A closure that takes `&Outcome` is one.
pub trait Passage: Send {
    /// Runs a part of the command: all of it, or one poll of an async one. Only for
    /// [`Way::Handle`] and [`Way::Deliver`]. Work that is not run here is run behind this.
    fn within(&mut self, work: &mut dyn FnMut()) {
        work();
    }

    /// It is over.
    fn end(self: Box<Self>, outcome: &Outcome<'_>);
}

impl<F: FnOnce(&Outcome<'_>) + Send> Passage for F {
    fn end(self: Box<Self>, outcome: &Outcome<'_>) {
        self(outcome);
    }
}

/// Where a message is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Way {
    /// A client calls a command. It ends with the answer.
    Invoke,
    /// A server runs a command. It ends with the answer.
    Handle,
    /// An event leaves. It ends when it has been sent.
    Emit,
    /// An event goes to its listeners. It ends behind the last of them.
    Deliver,
    /// A message of a channel leaves. It ends when it has been sent.
    Send,
}

/// How a message fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome<'a> {
    /// The fixed code of the error, as in `docs/ERRORS.md`; `None` if there is none.
    pub code: Option<&'a str>,
    /// Since the message came to the layers.
    pub took: Duration,
}

/// A message on its way through the layers.
pub struct Passing<'a> {
    way: Way,
    name: &'a str,
    peer: &'a Peer,
    extension: Extension<'a>,
    body_kind: BodyKind,
    len: Option<usize>,
    added: Vec<(Box<str>, Box<str>)>,
}

impl<'a> Passing<'a> {
    /// Where it is on its way.
    #[must_use]
    pub fn way(&self) -> Way {
        self.way
    }

    /// The command's or the event's name; empty for a channel's message.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The other end: who calls, or who is called.
    #[must_use]
    pub fn peer(&self) -> &'a Peer {
        self.peer
    }

    /// The headers in their order, those that a layer has added last; names may repeat.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let sent = self.extension.fields().filter_map(|field| match field {
            Field::Header { name, value } => Some((name, value)),
            _ => None,
        });
        sent.chain(self.added.iter().map(|(name, value)| (&**name, &**value)))
    }

    /// The first header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().find_map(|(found, value)| (found == name).then_some(value))
    }

    /// Adds a header to a call that leaves ([`Way::Invoke`]); elsewhere only the layers behind this
    /// one see it. A header that does not fit fails the call, as [`Invoke::header`](crate::Invoke)
    /// says.
    pub fn add_header(&mut self, name: &str, value: &str) {
        self.added.push((name.into(), value.into()));
    }

    /// How the body is to be read.
    #[must_use]
    pub fn body_kind(&self) -> BodyKind {
        self.body_kind
    }

    /// Bytes of the body and its attachments; `None` where it is still to be written.
    #[must_use]
    pub fn len(&self) -> Option<usize> {
        self.len
    }

    /// Whether it has no body; `None` where it is still to be written.
    #[must_use]
    pub fn is_empty(&self) -> Option<bool> {
        self.len.map(|len| len == 0)
    }
}

impl fmt::Debug for Passing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passing")
            .field("way", &self.way)
            .field("name", &self.name)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

/// The code of a call that its caller gave up.
fn given_up() -> &'static str {
    tramline_core::CallCancelled.code()
}

/// The code of a call's result.
fn code_of<T>(result: &Result<T, InvokeError>) -> Option<&str> {
    result.as_ref().err().map(InvokeError::code)
}
