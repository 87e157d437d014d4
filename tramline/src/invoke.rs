//! One call: blocking or awaited.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use serde::Serialize;
use tramline_core::answer::{Answer, FromAnswer};
use tramline_core::codec::AnyCodec;
use tramline_core::command::{RawBody, Reply};
use tramline_core::envelope::{Extension, ExtensionBuf, Head, Kind};
use tramline_core::peer::{Patience, send_body};
use tramline_core::{
    CallCancelled, CancelToken, DecodeError, EncodeError, InvokeError, OnCancel, SendError,
};

use crate::client::Client;
use crate::extras::{Attached, Extras, Written};
use crate::layer::Invoking;
use crate::link::{Brought, Ended, Link, Outgoing, deadline_passed};

/// A call about to be made: `.await` it or `.wait()` for it.
///
/// Dropping an awaited call tells the server that nobody waits for the answer any more.
#[must_use = "nothing happens until this is awaited or waited for"]
pub struct Invoke<'a, T, A> {
    client: &'a Client,
    kind: Kind,
    command: &'a str,
    args: A,
    timeout: Option<Duration>,
    token: Option<&'a CancelToken>,
    extras: Option<Box<Extras<'a>>>,
    result: PhantomData<fn() -> T>,
}

/// The result of a call whose answer is read where it was received, see
/// [`Client::invoke_borrowed`].
#[derive(Debug)]
pub struct Borrowed(());

impl<A: Reply> Invoke<'_, Borrowed, A> {
    /// Calls, blocking this thread until the answer is there, and reads it in place.
    ///
    /// `read` runs while this thread has the connection's receiver: it is meant to look, not to
    /// work. It must not use this connection.
    ///
    /// # Errors
    ///
    /// [`InvokeError`] tells whether the command may have run.
    pub fn wait_with<R>(
        self,
        read: impl FnOnce(&Answer<'_>) -> Result<R, DecodeError>,
    ) -> Result<R, InvokeError> {
        self.call(|answer| Ok(read(&answer)?))
    }
}

impl<'a, T, A: Reply> Invoke<'a, T, A> {
    pub(crate) fn new(client: &'a Client, command: &'a str, args: A) -> Self {
        Self {
            client,
            kind: Kind::Request,
            command,
            args,
            timeout: None,
            token: None,
            extras: None,
            result: PhantomData,
        }
    }

    /// No call: a subscription to an event of this name.
    pub(crate) fn subscribing(mut self, extension: ExtensionBuf) -> Self {
        self.kind = Kind::Subscribe;
        self.extras = Some(Box::new(Extras::new(extension)));
        self
    }

    /// Adds a header: a name and a value, both UTF-8, that the command can read and that programs on
    /// the way can see. The same name may stand more than once.
    ///
    /// A name has 1 to 255 bytes; all headers and names of attachments together must fit into
    /// 65 535 bytes, else the call fails before anything is sent.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.extras.get_or_insert_default().header(name, value);
        self
    }

    /// Gives up with [`InvokeError::Cancelled`] when this token is cancelled, by any thread; the
    /// command's own token is cancelled then, too. Dropping an awaited call does the same.
    ///
    /// A blocking call that still waits for room to send its arguments goes on waiting for that.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), tramline::Error> {
    /// use tramline::{CancelToken, Client};
    ///
    /// let client = Client::connect("auto:calc").wait()?;
    /// let token = CancelToken::new();
    /// let stop = token.clone();
    /// std::thread::spawn(move || stop.cancel());
    /// let result = client.invoke::<u64, _>("count", ()).cancel_with(&token).wait();
    /// # let _ = result;
    /// # Ok(())
    /// # }
    /// ```
    pub fn cancel_with(mut self, token: &'a CancelToken) -> Self {
        self.token = Some(token);
        self
    }

    /// Gives up after this time with [`InvokeError::Deadline`]; without it a call waits as long as
    /// the link lives.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Through the layers, which may add headers.
    #[inline]
    fn pass(&mut self) -> Result<Invoking, InvokeError> {
        let head = Head::new(self.kind, A::BODY, 0, self.command);
        let (client, extras) = (self.client, &mut self.extras);
        Ok(client.layers().invoke(client.server(), &head, extras)?)
    }

    #[inline]
    fn call<R>(
        mut self,
        read: impl FnOnce(Answer<'_>) -> Result<R, InvokeError>,
    ) -> Result<R, InvokeError> {
        let invoking = self.pass()?;
        invoking.end(self.call_behind_layers(read))
    }

    fn call_behind_layers<R>(
        self,
        read: impl FnOnce(Answer<'_>) -> Result<R, InvokeError>,
    ) -> Result<R, InvokeError> {
        let link = self.client.link();
        if self.extras.is_none() && self.timeout.is_none() && !link.may_bring_channels() {
            // The short way of most calls: an extension would be looked at several times.
            let args = &self.args;
            check_name(self.command)?;
            let message = Outgoing {
                kind: self.kind,
                name: self.command,
                extension: Extension::NONE,
                body: A::BODY,
                body_len: args.len_hint(),
                pages: args.pages(),
                brings: None,
                fill: &mut |codec, out| args.encode_args(codec, out),
            };
            return link.call(message, None, self.token, read);
        }
        let args = Attached::new(&self.args, self.extras.as_deref());
        // First: whatever goes wrong from here on ends them.
        let brings = Brought::by(link, &self.args);
        check_name(self.command)?;
        let written = Written::new(self.extras.as_deref(), self.timeout, brings.as_ref())?;
        link.call(
            Outgoing {
                kind: self.kind,
                name: self.command,
                extension: written.as_extension(),
                body: A::BODY,
                body_len: args.len_hint(),
                pages: args.pages(),
                brings: brings.as_ref(),
                fill: &mut |codec, out| args.encode_args(codec, out),
            },
            self.timeout,
            self.token,
            read,
        )
    }
}

impl<'a, T, A: Serialize> Invoke<'a, T, A> {
    /// Adds bytes that travel as they are beside the arguments, whatever the codec: a command takes
    /// them as a parameter `name: Attachment`.
    ///
    /// # Examples
    ///
    /// ```
    /// use tramline::{Attachment, Capabilities, Client, Server, command, commands, json};
    ///
    /// #[command]
    /// fn upload(title: String, image: Attachment) -> String {
    ///     format!("{title}: {} bytes", image.len())
    /// }
    ///
    /// # fn main() -> Result<(), tramline::Error> {
    /// let server = Server::new()
    ///     .commands(commands![upload])
    ///     .allow(Capabilities::none().command("upload"))
    ///     .start("mem:upload")?;
    /// let client = Client::connect("mem:upload").wait()?;
    /// let call = client.invoke("upload", json!({ "title": "cat" })).attach("image", &[1, 2, 3][..]);
    /// let text: String = call.wait()?;
    /// assert_eq!(text, "cat: 3 bytes");
    /// # server.stop();
    /// # Ok(())
    /// # }
    /// ```
    pub fn attach(mut self, name: &str, bytes: impl Into<RawBody<'a>>) -> Self {
        self.extras.get_or_insert_default().attach(name, bytes.into());
        self
    }
}

impl<T: FromAnswer, A: Reply> Invoke<'_, T, A> {
    /// Calls, blocking this thread until the answer is there. While it waits alone, this thread
    /// reads the link itself: there is no hop through another thread.
    ///
    /// Once warm, such a call allocates nothing on this side, apart from what the result type and
    /// the arguments' own code allocate; an answer that another thread reads is kept for this one in
    /// memory of its own. In JSON a call larger than its hint may allocate where the ring begins
    /// anew.
    ///
    /// # Errors
    ///
    /// [`InvokeError`] tells whether the command may have run.
    pub fn wait(self) -> Result<T, InvokeError> {
        let (command, shadow) = (self.command, self.client.link().shadow());
        let mut found = None;
        let result = self.call(|answer| {
            if let Some(shadow) = shadow {
                found = shadow.answered(command, &answer, T::value_type());
            }
            Ok(T::from_answer(answer)?)
        });
        // Not before: until then this thread reads the link for others, too.
        if let (Some(shadow), Some(found)) = (shadow, found) {
            shadow.report(&found);
        }
        result
    }

    /// Sends what can be sent at once; the rest is the future's.
    fn start(self) -> Result<Pending<T>, InvokeError> {
        let link = self.client.link();
        // First: whatever goes wrong from here on ends them.
        let brings = Brought::by(link, &self.args);
        check_name(self.command)?;
        if self.token.is_some_and(CancelToken::is_cancelled) {
            return Err(CallCancelled.into());
        }
        let written = Written::new(self.extras.as_deref(), self.timeout, brings.as_ref())?;
        self.client.ensure_runner().map_err(SendError::Link)?;
        let codec = link.codec();
        // A time beyond the clock's range is never.
        let deadline = self.timeout.and_then(|timeout| link.time().now().checked_add(timeout));
        let id = link.add_task(deadline);
        let mut pending = Pending {
            link: Arc::clone(link),
            id,
            timeout: self.timeout,
            done: false,
            sending: None,
            hook: None,
            command: link.shadow().map(|_| self.command.into()),
            result: PhantomData,
        };
        if let Some(token) = self.token {
            let link = Arc::downgrade(link);
            pending.hook = Some(token.on_cancel(move || {
                if let Some(link) = link.upgrade() {
                    link.cancelled(id);
                }
            }));
        }
        let args = Attached::new(&self.args, self.extras.as_deref());
        let head = Head::new(self.kind, A::BODY, id, self.command).extended(written.as_extension());
        let sent = link.try_send(&head, &args);
        if deadline.is_some() {
            link.kick_runner();
        }
        match sent {
            Ok(()) => {
                if let Some(brought) = &brings {
                    brought.sent();
                }
                Ok(pending)
            }
            Err(SendError::Full) => {
                let body = match args.pages() {
                    Some(pages) => RawBody::Pages(pages),
                    None => encode_body(codec, &args)
                        .map_err(|e| SendError::Encode(e.in_message(self.kind, self.command)))?
                        .into(),
                };
                let (kind, command) = (self.kind, Box::<str>::from(self.command));
                let link = Arc::clone(link);
                let sending = blocking::unblock(move || {
                    let head = Head::new(kind, A::BODY, id, &command);
                    let head = head.extended(written.as_extension());
                    send_body(&*link, &head, &body, Patience::SendTimeout)?;
                    if let Some(brought) = &brings {
                        brought.sent();
                    }
                    Ok(())
                });
                pending.sending = Some(Box::pin(sending));
                Ok(pending)
            }
            Err(e) => Err(e.into()),
        }
    }
}

fn check_name(command: &str) -> Result<(), InvokeError> {
    let max = tramline_core::limits::MAX_NAME_LEN;
    if command.len() <= max {
        return Ok(());
    }
    let (name, len) = (command.into(), command.len());
    Err(SendError::Config(tramline_core::ConfigError::CommandName { name, len, max }).into())
}

fn encode_body<A: Reply>(codec: AnyCodec, args: &A) -> Result<Vec<u8>, EncodeError> {
    let mut out = tramline_core::FrameWriter::new(&mut [], usize::MAX);
    args.encode_args(codec, &mut out)?;
    Ok(match out.finish() {
        tramline_core::frame::Written::Spilled { bytes } => bytes,
        tramline_core::frame::Written::InPlace { .. } => Vec::new(),
    })
}

impl<'a, T, A> IntoFuture for Invoke<'a, T, A>
where
    T: FromAnswer + Send + 'a,
    A: Reply + Send + 'a,
{
    type Output = Result<T, InvokeError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let mut call = self;
            let invoking = call.pass()?;
            let result = match call.start() {
                Ok(pending) => pending.await,
                Err(e) => Err(e),
            };
            invoking.end(result)
        })
    }
}

impl<T, A> fmt::Debug for Invoke<'_, T, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invoke").field("command", &self.command).finish_non_exhaustive()
    }
}

type Sending = Pin<Box<dyn Future<Output = Result<(), SendError>> + Send>>;

/// A call that is under way.
struct Pending<T> {
    link: Arc<Link>,
    id: u64,
    timeout: Option<Duration>,
    done: bool,
    /// Waits for room on another thread, when there was none.
    sending: Option<Sending>,
    /// Ends the wait when the caller cancels it.
    hook: Option<OnCancel>,
    /// Its command, if somebody looks at the messages.
    command: Option<Box<str>>,
    result: PhantomData<fn() -> T>,
}

impl<T: FromAnswer> Future for Pending<T> {
    type Output = Result<T, InvokeError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(sending) = &mut self.sending
            && let Poll::Ready(sent) = sending.as_mut().poll(cx)
        {
            self.sending = None;
            sent?;
        }
        let Some(ended) = self.link.poll_ended(self.id, cx.waker()) else {
            return Poll::Pending;
        };
        self.done = true;
        let answer = match ended {
            Ended::Answer(kept) => {
                Answer::from_kept(kept, self.link.codec()).map_err(InvokeError::OutcomeUnknown)?
            }
            Ended::Link(error) => return Poll::Ready(Err(InvokeError::OutcomeUnknown(error))),
            Ended::Cancelled => {
                self.link.cancel(self.id);
                return Poll::Ready(Err(CallCancelled.into()));
            }
            Ended::Deadline => {
                self.link.cancel(self.id);
                let timeout = self.timeout.unwrap_or_default();
                return Poll::Ready(Err(deadline_passed(timeout)));
            }
        };
        let answer = answer.into_result()?;
        if let (Some(shadow), Some(command)) = (self.link.shadow(), &self.command)
            && let Some(found) = shadow.answered(command, &answer, T::value_type())
        {
            shadow.report(&found);
        }
        Poll::Ready(Ok(T::from_answer(answer)?))
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        if !self.done {
            self.link.forget(self.id);
            self.link.cancel(self.id);
        }
    }
}
