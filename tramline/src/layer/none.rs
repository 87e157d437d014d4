//! Stands in for the layers of a build without them: nothing at all.

use tramline_core::command::{Call, CommandFuture, OwnedCall};
use tramline_core::envelope::Head;
use tramline_core::peer::Peer;
use tramline_core::{InvokeError, Rejection, SendError, router};

use crate::extras::Extras;

#[derive(Debug, Clone, Default)]
pub(crate) struct Layers {}

impl Layers {
    #[inline(always)]
    pub(crate) fn handle(&self, _: &Peer, _: &Head<'_>, _: usize) -> Result<Handling, Rejection> {
        Ok(Handling)
    }

    #[inline(always)]
    pub(crate) fn deliver<R>(
        &self,
        _: &Peer,
        _: &Head<'_>,
        _: usize,
        deliver: impl FnOnce() -> R,
    ) -> Result<R, Rejection> {
        Ok(deliver())
    }

    #[inline(always)]
    pub(crate) fn invoke(
        &self,
        _: &Peer,
        _: &Head<'_>,
        _: &mut Option<Box<Extras<'_>>>,
    ) -> Result<Invoking, Rejection> {
        Ok(Invoking)
    }
}

pub(crate) struct Handling;

impl Handling {
    #[inline(always)]
    pub(crate) fn run(self, handler: fn(&Call<'_>), call: Call<'_>) {
        router::run(handler, &call);
    }

    #[inline(always)]
    pub(crate) fn watch(&self, call: OwnedCall) -> OwnedCall {
        call
    }

    #[inline(always)]
    pub(crate) fn around(self, future: CommandFuture) -> CommandFuture {
        future
    }
}

pub(crate) struct Invoking;

impl Invoking {
    #[inline(always)]
    pub(crate) fn end<T>(self, result: Result<T, InvokeError>) -> Result<T, InvokeError> {
        result
    }
}

#[derive(Debug, Default)]
pub(crate) struct Leaving {}

impl Leaving {
    #[inline(always)]
    pub(crate) fn begin(&self, _: &Layers, _: &Peer) {}

    #[inline(always)]
    pub(crate) fn pass(
        &self,
        _: &Head<'_>,
        send: impl FnOnce() -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        send()
    }
}
