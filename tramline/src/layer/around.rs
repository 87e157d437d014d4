//! Where layers are called: around the command of a call, the listeners of an event, the sending of
//! a message.

use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tramline_core::command::{Call, CommandFuture, OwnedCall, Watch};
use tramline_core::envelope::{Extension, Head, Kind};
use tramline_core::error::codes;
use tramline_core::peer::{Peer, WeakPeer};
use tramline_core::{InvokeError, Rejection, SendError, router};

use super::{Layer, Outcome, Passage, Passing, Way, code_of, given_up};
use crate::extras::Extras;

/// The layers of one side, the outermost first.
#[derive(Clone, Default)]
pub(crate) struct Layers(Vec<Arc<dyn Layer>>);

impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Layers").field(&self.0.len()).finish()
    }
}

impl Layers {
    pub(crate) fn add(&mut self, layer: impl Layer) {
        self.0.push(Arc::new(layer));
    }

    /// A call of a registered command, which this peer may make, is about to run.
    #[inline]
    pub(crate) fn handle(
        &self,
        peer: &Peer,
        head: &Head<'_>,
        len: usize,
    ) -> Result<Handling, Rejection> {
        if self.0.is_empty() {
            return Ok(Handling(None));
        }
        let around = self.pass(&mut passing(Way::Handle, peer, head, Some(len)))?;
        Ok(Handling(around.map(|around| (around, Arc::default()))))
    }

    /// An event is about to be delivered.
    #[inline]
    pub(crate) fn deliver<R>(
        &self,
        peer: &Peer,
        head: &Head<'_>,
        len: usize,
        deliver: impl FnOnce() -> R,
    ) -> Result<R, Rejection> {
        if self.0.is_empty() {
            return Ok(deliver());
        }
        let Some(mut around) = self.pass(&mut passing(Way::Deliver, peer, head, Some(len)))? else {
            return Ok(deliver());
        };
        let delivered = around.within(deliver);
        around.end(None);
        Ok(delivered)
    }

    /// A call is about to be made. Headers of the layers' go into `extras`.
    #[inline]
    pub(crate) fn invoke(
        &self,
        peer: &Peer,
        head: &Head<'_>,
        extras: &mut Option<Box<Extras<'_>>>,
    ) -> Result<Invoking, Rejection> {
        // Subscriptions go the same way.
        if self.0.is_empty() || head.kind != Kind::Request {
            return Ok(Invoking(None));
        }
        let extension = extras.as_deref().map_or(Extension::NONE, Extras::extension);
        let head = head.extended(extension);
        let mut passing = passing(Way::Invoke, peer, &head, None);
        let around = self.pass(&mut passing)?;
        let added = passing.added;
        for (name, value) in added {
            extras.get_or_insert_default().header(&name, &value);
        }
        Ok(Invoking(around))
    }

    /// Through all layers, unless one refuses: then those before it learn of that.
    fn pass(&self, message: &mut Passing<'_>) -> Result<Option<Box<Around>>, Rejection> {
        let mut around = Around { passages: Vec::new(), began: Instant::now() };
        for layer in &self.0 {
            let passed = catch_unwind(AssertUnwindSafe(|| layer.pass(message)));
            match passed {
                Ok(Ok(None)) => {}
                Ok(Ok(Some(passage))) => around.passages.push(passage),
                Ok(Err(rejection)) => {
                    around.end(Some(rejection.code()));
                    return Err(rejection);
                }
                Err(_) => {
                    let rejection = Rejection::Denied { text: "a layer panicked".into() };
                    around.end(Some(rejection.code()));
                    return Err(rejection);
                }
            }
        }
        Ok((!around.passages.is_empty()).then(|| Box::new(around)))
    }
}

fn passing<'a>(way: Way, peer: &'a Peer, head: &Head<'a>, len: Option<usize>) -> Passing<'a> {
    let &Head { name, body: body_kind, extension, .. } = head;
    Passing { way, name, peer, extension, body_kind, len, added: Vec::new() }
}

/// The layers that want to know how a message fares.
struct Around {
    passages: Vec<Box<dyn Passage>>,
    began: Instant,
}

impl Around {
    /// Runs `work` within all of them.
    fn within<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let (mut work, mut result) = (Some(work), None);
        let mut run = || {
            if let Some(work) = work.take() {
                result = Some(catch_unwind(AssertUnwindSafe(work)));
            }
        };
        // A layer's own panic harms nobody: what it stands around is run below if it has not been.
        let _ = catch_unwind(AssertUnwindSafe(|| nest(&mut self.passages, &mut run)));
        run();
        match result {
            Some(Ok(result)) => result,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => unreachable!("it has run"),
        }
    }

    /// The innermost learns it first.
    fn end(&mut self, code: Option<&str>) {
        let outcome = Outcome { code, took: self.began.elapsed() };
        while let Some(passage) = self.passages.pop() {
            let _ = catch_unwind(AssertUnwindSafe(|| passage.end(&outcome)));
        }
    }
}

fn nest(passages: &mut [Box<dyn Passage>], work: &mut dyn FnMut()) {
    match passages.split_first_mut() {
        Some((outermost, rest)) => outermost.within(&mut || nest(rest, work)),
        None => work(),
    }
}

/// A call whose command is about to run. Dropped: it has ended.
pub(crate) struct Handling(Option<(Box<Around>, Arc<Watch>)>);

impl Handling {
    /// Runs a synchronous command.
    #[inline]
    pub(crate) fn run(mut self, handler: fn(&Call<'_>), call: Call<'_>) {
        match &mut self.0 {
            None => router::run(handler, &call),
            Some((around, watch)) => {
                around.within(|| router::run(handler, &call.watched_by(watch)));
            }
        }
    }

    /// The call of an async command, to be seen to its end.
    pub(crate) fn watch(&self, call: OwnedCall) -> OwnedCall {
        match &self.0 {
            Some((_, watch)) => call.watched_by(Arc::clone(watch)),
            None => call,
        }
    }

    /// The future of an async command with the layers around each poll.
    pub(crate) fn around(self, future: CommandFuture) -> CommandFuture {
        if self.0.is_none() {
            return future;
        }
        Box::pin(async move {
            // The future goes first, however this ends: dropping it may give the answer.
            let mut handling = self;
            let mut future = future;
            poll_fn(|cx| match &mut handling.0 {
                Some((around, _)) => around.within(|| future.as_mut().poll(cx)),
                None => future.as_mut().poll(cx),
            })
            .await;
        })
    }
}

impl Drop for Handling {
    fn drop(&mut self) {
        if let Some((around, watch)) = &mut self.0 {
            match watch.answer() {
                Some("") => around.end(None),
                Some(code) => around.end(Some(code)),
                None => around.end(Some(codes::HANDLER_DROPPED)),
            }
        }
    }
}

/// A call that waits for its answer. Dropped: its caller gave it up.
pub(crate) struct Invoking(Option<Box<Around>>);

impl Invoking {
    pub(crate) fn end<T>(mut self, result: Result<T, InvokeError>) -> Result<T, InvokeError> {
        if let Some(mut around) = self.0.take() {
            around.end(code_of(&result));
        }
        result
    }
}

impl Drop for Invoking {
    fn drop(&mut self) {
        if let Some(around) = &mut self.0 {
            around.end(Some(given_up()));
        }
    }
}

/// The layers around what leaves over one connection by itself: events, and messages of channels.
#[derive(Debug, Default)]
pub(crate) struct Leaving(OnceLock<(Layers, WeakPeer)>);

impl Leaving {
    /// From now on these layers are asked.
    pub(crate) fn begin(&self, layers: &Layers, peer: &Peer) {
        if !layers.0.is_empty() {
            let _ = self.0.set((layers.clone(), peer.downgrade()));
        }
    }

    #[inline(always)]
    pub(crate) fn pass(
        &self,
        head: &Head<'_>,
        send: impl FnOnce() -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        let Some((layers, peer)) = self.0.get() else { return send() };
        let way = match head.kind {
            Kind::Event => Way::Emit,
            Kind::Channel => Way::Send,
            _ => return send(),
        };
        let Some(peer) = peer.upgrade() else { return send() };
        let Some(mut around) = layers.pass(&mut passing(way, &peer, head, None))? else {
            return send();
        };
        let sent = send();
        around.end(sent.as_ref().err().map(SendError::code));
        sent
    }
}
