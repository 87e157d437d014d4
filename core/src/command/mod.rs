//! Commands: a name, its arguments, a function, an answer.
//!
//! `#[command]` writes the [`Command`] implementation; nothing here needs to be called by hand.

mod args;
mod faults;
mod reply;
#[cfg(feature = "layers")]
mod watch;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;

pub use self::args::{ArgSource, Args, Attachment, BytesArg, CommandArg, Request, TextArg};
pub(crate) use self::faults::invalid;
pub use self::reply::{Outcome, Raw, RawBody, Reply, ViaResult, ViaValue};
#[cfg(feature = "layers")]
pub use self::watch::Watch;
use crate::acl::CallScopes;
use crate::cancel::CancelToken;
use crate::codec::AnyCodec;
use crate::envelope::{BodyKind, Envelope, Extension, Field, Head, Kind};
use crate::error::{Rejection, SendError, codes};
use crate::frame::{FrameWriter, Kept, Written};
use crate::peer::{Fill, Later, Patience, Peer};
use crate::state::States;
use crate::transport::Pages;
use crate::typed::CommandTypes;

/// A registered function.
pub trait Command: 'static {
    /// The name on the wire.
    const NAME: &'static str;
    /// Names of the arguments on the wire, in declared order; injected parameters are among them
    /// with the name they would have.
    const ARGS: &'static [&'static str];
    /// Whether it may run more than once for one call: `#[command(idempotent)]`.
    const IDEMPOTENT: bool = false;
    /// How it runs.
    const HANDLER: Handler;

    /// What is known of its types. Without it a codec that is not
    /// [self-describing](crate::Codec::SELF_DESCRIBING) is taken at its word, and its messages cannot
    /// be shown as JSON.
    #[must_use]
    fn types() -> Option<CommandTypes> {
        None
    }
}

/// A command's future: it answers the call itself.
pub type CommandFuture = Pin<Box<dyn Future<Output = ()> + Send + 'static>>;

/// How a command runs.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Handler {
    /// `#[command(inline)]`: on the thread that reads the link. For functions that take less time
    /// than a hand-over to another thread would (about 50 us); a slow one holds up its connection.
    Inline(fn(&Call<'_>)),
    /// `#[command] fn`: on a worker thread. Blocks no other call.
    Blocking(fn(&Call<'_>)),
    /// `#[command] async fn`: on the server's executor.
    Async(fn(OwnedCall) -> CommandFuture),
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inline(_) => "Inline",
            Self::Blocking(_) => "Blocking",
            Self::Async(_) => "Async",
        })
    }
}

/// One call, borrowed from its frame.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    id: u64,
    command: &'a str,
    body_kind: BodyKind,
    body: &'a [u8],
    extension: Extension<'a>,
    attachments: &'a [u8],
    /// What the body lies in, if it may be kept without a copy.
    owner: Option<&'a Bytes>,
    peer: &'a Peer,
    states: &'a States,
    token: Option<&'a CancelToken>,
    scopes: Option<&'a Arc<CallScopes>>,
    #[cfg(feature = "layers")]
    watch: Option<&'a Watch>,
    patience: Patience,
    /// Whether it was answered, where that is kept.
    answered: Option<&'a AtomicBool>,
}

/// A call was answered before. The first answer stands; nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the call was answered before")]
pub struct AlreadyAnswered;

impl AlreadyAnswered {
    /// The fixed code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "already-answered"
    }
}

impl<'a> Call<'a> {
    /// A call from its parts.
    #[inline]
    #[must_use]
    pub fn new(
        id: u64,
        command: &'a str,
        body_kind: BodyKind,
        body: &'a [u8],
        peer: &'a Peer,
        states: &'a States,
    ) -> Self {
        let patience = Patience::SendTimeout;
        Self {
            id,
            command,
            body_kind,
            body,
            extension: Extension::NONE,
            attachments: &[],
            owner: None,
            peer,
            states,
            token: None,
            scopes: None,
            #[cfg(feature = "layers")]
            watch: None,
            patience,
            answered: None,
        }
    }

    /// The same call, answered once: `answered` keeps whether it was.
    #[must_use]
    pub fn answered_once(mut self, answered: &'a AtomicBool) -> Self {
        self.answered = Some(answered);
        self
    }

    /// The same call, of a command that may be used within these scopes.
    #[inline]
    #[must_use]
    pub fn scoped(mut self, scopes: Option<&'a Arc<CallScopes>>) -> Self {
        self.scopes = scopes;
        self
    }

    /// The same call; `watch` learns how it is answered.
    #[cfg(feature = "layers")]
    #[must_use]
    pub fn watched_by(mut self, watch: &'a Watch) -> Self {
        self.watch = Some(watch);
        self
    }

    /// The same call, whose body is all of `owner` and may be kept without a copy.
    #[inline]
    #[must_use]
    pub fn owned_by(mut self, owner: &'a Bytes) -> Self {
        (self.body, self.owner) = (owner, Some(owner));
        self
    }

    /// The same call with what its message says beside name and body.
    #[inline]
    #[must_use]
    pub fn extended(mut self, extension: Extension<'a>, attachments: &'a [u8]) -> Self {
        (self.extension, self.attachments) = (extension, attachments);
        self
    }

    /// The same call, answered without ever blocking the thread that answers.
    #[inline]
    #[must_use]
    pub fn never_blocking(mut self) -> Self {
        self.patience = Patience::None;
        self
    }

    /// The call's id on its connection.
    #[inline]
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The command's name.
    #[inline]
    #[must_use]
    pub fn command(&self) -> &'a str {
        self.command
    }

    /// How the body is to be read.
    #[inline]
    #[must_use]
    pub fn body_kind(&self) -> BodyKind {
        self.body_kind
    }

    /// The body's bytes as they came.
    #[inline]
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The body's bytes, to keep: without a copy if they were handed over, or if the command runs
    /// on another thread.
    #[must_use]
    pub fn to_body(&self) -> Bytes {
        self.keep(self.body)
    }

    /// The headers in their order; names may repeat.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.extension.fields().filter_map(|field| match field {
            Field::Header { name, value } => Some((name, value)),
            _ => None,
        })
    }

    /// How long the caller waits for the answer, counted from when it sent the call.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        self.extension.fields().find_map(|field| match field {
            Field::Deadline { left_ms } => Some(Duration::from_millis(left_ms.into())),
            _ => None,
        })
    }

    /// The attachments in their order; names may repeat.
    pub fn attachments(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a> {
        let mut rest = self.attachments;
        self.extension.fields().filter_map(move |field| match field {
            Field::Attachment { name, len } => {
                // There are as many: the envelope was checked.
                let (bytes, after) = rest.split_at_checked(usize::try_from(len).ok()?)?;
                rest = after;
                Some((name, bytes))
            }
            _ => None,
        })
    }

    /// Bytes of this call, to keep.
    pub(crate) fn keep(&self, bytes: &[u8]) -> Bytes {
        match self.owner {
            Some(owner) => owner.slice_ref(bytes),
            None => Bytes::copy_from_slice(bytes),
        }
    }

    /// Who calls.
    #[inline]
    #[must_use]
    pub fn peer(&self) -> &'a Peer {
        self.peer
    }

    /// The server's managed values.
    #[inline]
    #[must_use]
    pub fn states(&self) -> &'a States {
        self.states
    }

    /// Says when the caller no longer waits. An inline command's token never does: it is over before
    /// anything else is read.
    #[must_use]
    pub fn cancel_token(&self) -> CancelToken {
        self.token.cloned().unwrap_or_default()
    }

    /// What this peer may use the command on, if that is said anywhere.
    #[must_use]
    pub fn scopes(&self) -> Option<&'a Arc<CallScopes>> {
        self.scopes
    }

    /// The arguments, decoded and injected, in declared order.
    ///
    /// # Errors
    ///
    /// The first argument that is missing or mistyped.
    #[inline]
    pub fn args<A: Args<'a>>(&self, names: &'static [&'static str]) -> Result<A, Rejection> {
        A::take(self, names)
    }

    /// Sends the result.
    ///
    /// # Errors
    ///
    /// [`AlreadyAnswered`].
    #[inline]
    pub fn answer<R: Reply + ?Sized>(&self, result: &R) -> Result<(), AlreadyAnswered> {
        self.take_turn()?;
        self.answer_as(Kind::Response, "", result);
        Ok(())
    }

    /// Sends the error value.
    ///
    /// # Errors
    ///
    /// [`AlreadyAnswered`].
    pub fn fail<R: Reply + ?Sized>(&self, error: &R) -> Result<(), AlreadyAnswered> {
        self.take_turn()?;
        self.answer_as(Kind::Error, codes::COMMAND_FAILED, error);
        Ok(())
    }

    /// Sends a refusal with a code of ours and words for people, unless the call was answered before.
    pub fn refuse(&self, code: &'static str, text: &str) {
        if self.take_turn().is_ok() {
            self.send_refusal(code, text);
        }
    }

    /// The first to answer may.
    #[inline]
    fn take_turn(&self) -> Result<(), AlreadyAnswered> {
        let Some(answered) = self.answered else { return Ok(()) };
        // Two threads that answer one call at the same moment may both send: its caller takes one.
        // Every other order is decided here, without the price of an exchange.
        if answered.load(Ordering::Relaxed) {
            return Err(AlreadyAnswered);
        }
        answered.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn send_refusal(&self, code: &'static str, text: &str) {
        let head = Head::new(Kind::Error, BodyKind::Structured, self.id, code);
        self.send(&head, code, text.len(), &mut |codec, out| codec.encode(text, out));
    }

    /// Sends a rejection.
    pub fn reject(&self, rejection: &Rejection) {
        self.refuse(rejection.code(), &rejection.to_string());
    }

    fn answer_as<R: Reply + ?Sized>(&self, kind: Kind, name: &'static str, value: &R) {
        let head = Head::new(kind, R::BODY, self.id, name);
        if let Some(pages) = value.pages() {
            return self.send_pages(&head, name, pages);
        }
        self.send(&head, name, value.len_hint(), &mut |codec, out| value.encode(codec, out));
    }

    #[cold]
    fn send_pages(&self, head: &Head<'_>, code: &'static str, pages: Arc<dyn Pages>) {
        self.note(code);
        let port = self.peer.port();
        match port.send_pages(head, &*pages, self.patience) {
            Err(SendError::Full) if self.patience == Patience::None => {
                let Head { kind, body: body_kind, id, .. } = *head;
                let body = RawBody::Pages(pages);
                port.send_later(Later { kind, body_kind, id, name: code, body });
            }
            sent => self.after_send(sent),
        }
        self.settle_channels();
    }

    fn send(&self, head: &Head<'_>, code: &'static str, body_len: usize, fill: Fill<'_>) {
        self.note(code);
        let port = self.peer.port();
        match port.send(head, body_len, fill, self.patience) {
            Err(SendError::Full) if self.patience == Patience::None => {
                let mut out = FrameWriter::new(&mut [], usize::MAX);
                // It was encoded a moment ago, or is as good as.
                if fill(self.peer.codec(), &mut out).is_ok() {
                    let body = match out.finish() {
                        Written::InPlace { .. } => Vec::new(),
                        Written::Spilled { bytes } => bytes,
                    };
                    let Head { kind, body: body_kind, id, .. } = *head;
                    let body = body.into();
                    port.send_later(Later { kind, body_kind, id, name: code, body });
                }
            }
            sent => self.after_send(sent),
        }
        self.settle_channels();
    }

    /// Tells whoever watches how the call is answered; an empty code is a result. What is said last
    /// counts: a result that cannot be sent becomes an error.
    #[inline(always)]
    fn note(&self, code: &'static str) {
        #[cfg(feature = "layers")]
        if let Some(watch) = self.watch {
            watch.note(code);
        }
        #[cfg(not(feature = "layers"))]
        let _ = code;
    }

    /// The channels that came with the call and that its command did not take end with it.
    #[inline]
    fn settle_channels(&self) {
        if !self.extension.is_empty() && self.extension.channels().next().is_some() {
            let port = self.peer.port();
            if let Some(channels) = port.channels() {
                channels.settle(port, self.id, self.patience);
            }
        }
    }

    /// What follows from an answer that has gone, or will not.
    fn after_send(&self, sent: Result<(), SendError>) {
        match sent {
            // A link that is over has told the caller already.
            Ok(()) | Err(SendError::Link(_)) => {}
            Err(SendError::Encode(e)) => {
                self.send_refusal(
                    codes::RESULT_NOT_ENCODABLE,
                    &format!("result of command `{}`: {e}", self.command),
                );
            }
            Err(e @ SendError::TooLarge { .. }) => {
                self.send_refusal(
                    codes::RESULT_TOO_LARGE,
                    &format!("result of command `{}`: {e}", self.command),
                );
            }
            // An answer cannot be dropped: the caller would wait for ever.
            Err(_) => self.peer.port().close_stalled(),
        }
    }
}

/// One call that outlives its frame. Dropped without an answer, it answers with an error.
#[derive(Debug)]
pub struct OwnedCall {
    frame: Kept,
    peer: Peer,
    states: Arc<States>,
    token: CancelToken,
    scopes: Option<Arc<CallScopes>>,
    #[cfg(feature = "layers")]
    watch: Option<Arc<Watch>>,
    answered: AtomicBool,
}

impl OwnedCall {
    /// A call from its frame, which must be a request that
    /// [`Envelope::parse`](crate::envelope::Envelope::parse) has read.
    #[must_use]
    pub fn new(frame: Kept, peer: Peer, states: Arc<States>) -> Self {
        Self {
            frame,
            peer,
            states,
            token: CancelToken::new(),
            scopes: None,
            #[cfg(feature = "layers")]
            watch: None,
            answered: AtomicBool::new(false),
        }
    }

    /// The same call with the token that is cancelled when its caller no longer waits.
    #[must_use]
    pub fn cancelled_by(mut self, token: CancelToken) -> Self {
        self.token = token;
        self
    }

    /// The same call, of a command that may be used within these scopes.
    #[must_use]
    pub fn scoped(mut self, scopes: Option<&Arc<CallScopes>>) -> Self {
        self.scopes = scopes.cloned();
        self
    }

    /// The same call; `watch` learns how it is answered.
    #[cfg(feature = "layers")]
    #[must_use]
    pub fn watched_by(mut self, watch: Arc<Watch>) -> Self {
        self.watch = Some(watch);
        self
    }

    /// The call, borrowed.
    #[must_use]
    pub fn view(&self) -> Call<'_> {
        // It has been read before; what could not be read has no id that anyone waits for.
        let none = Envelope {
            head: Head::new(Kind::Request, BodyKind::Empty, 0, ""),
            body: &[],
            attachments: &[],
        };
        let Envelope { head, body, attachments } = self.frame.envelope().unwrap_or(none);
        let mut call = Call::new(head.id, head.name, head.body, body, &self.peer, &self.states)
            .extended(head.extension, attachments)
            .scoped(self.scopes.as_ref())
            .answered_once(&self.answered);
        (call.owner, call.token) = (Some(self.frame.owner()), Some(&self.token));
        #[cfg(feature = "layers")]
        {
            call.watch = self.watch.as_deref();
        }
        call
    }

    /// Says that the answer has been given; otherwise dropping gives one.
    pub fn answered(&mut self) {
        *self.answered.get_mut() = true;
    }
}

impl Drop for OwnedCall {
    fn drop(&mut self) {
        if !*self.answered.get_mut() {
            let code = if std::thread::panicking() {
                codes::HANDLER_PANICKED
            } else {
                codes::HANDLER_DROPPED
            };
            let call = self.view().never_blocking();
            let text = ended_without_answer(call.command, code);
            call.refuse(code, &text);
        }
    }
}

/// The words for a command that ended without an answer of its own.
#[must_use]
pub fn ended_without_answer(command: &str, code: &str) -> String {
    match code {
        codes::HANDLER_PANICKED => format!("command `{command}` panicked"),
        _ => format!("command `{command}` ended without an answer"),
    }
}

/// A set of commands, as `commands![..]` gathers them.
#[derive(Debug, Clone, Default)]
pub struct Commands(Vec<Registered>);

#[derive(Debug, Clone, Copy)]
struct Registered {
    name: &'static str,
    args: &'static [&'static str],
    handler: Handler,
    types: fn() -> Option<CommandTypes>,
}

impl Commands {
    /// No commands.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a command.
    #[must_use]
    pub fn with<C: Command>(mut self) -> Self {
        let (name, args, handler, types) = (C::NAME, C::ARGS, C::HANDLER, C::types as fn() -> _);
        self.0.push(Registered { name, args, handler, types });
        self
    }

    /// Adds all of another set.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Name, argument names and handler of each.
    pub fn into_entries(
        self,
    ) -> impl Iterator<Item = (&'static str, &'static [&'static str], Handler)> {
        self.0.into_iter().map(|command| (command.name, command.args, command.handler))
    }

    /// Name and types of each; `None` for a command that does not tell them.
    pub fn types(&self) -> impl Iterator<Item = (&'static str, Option<CommandTypes>)> + '_ {
        self.0.iter().map(|command| (command.name, (command.types)()))
    }
}

impl AsRef<Self> for Commands {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// The codec of a call's connection.
impl Call<'_> {
    /// The connection's codec.
    #[must_use]
    pub fn codec(&self) -> AnyCodec {
        self.peer.codec()
    }
}
