//! The other end of a connection, as commands and listeners see it.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use serde::Serialize;

use crate::acl::{PeerClass, Quota, Standing};
use crate::channel::{Channels, Token};
use crate::codec::AnyCodec;
use crate::command::RawBody;
use crate::envelope::{BodyKind, ExtensionBuf, Head, Kind};
use crate::error::{EncodeError, LinkError, SendError};
use crate::events::{EventTarget, Targets};
use crate::frame::FrameWriter;
use crate::limits::check_event_name;
use crate::transport::{Pages, PeerIdentity};

/// Writes a message's body into its frame, in the connection's codec: whoever sends says which that
/// is. A body that is bytes already does not mind.
pub type Fill<'f> = &'f mut dyn FnMut(AnyCodec, &mut FrameWriter<'_>) -> Result<(), EncodeError>;

/// How long a sender may wait for room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Not at all: [`SendError::Full`] at once.
    None,
    /// As long as the send timeout says.
    SendTimeout,
}

/// A message that is encoded already and may wait for room on another thread.
#[derive(Debug, Clone)]
pub struct Later {
    /// What it is.
    pub kind: Kind,
    /// How its body is to be read.
    pub body_kind: BodyKind,
    /// The call it answers.
    pub id: u64,
    /// The code, if it is an error.
    pub name: &'static str,
    /// The body.
    pub body: RawBody<'static>,
}

/// What is to be done where waiting harms nobody, see [`Port::elsewhere`].
pub type Work = Box<dyn FnOnce() -> Result<(), SendError> + Send>;

/// The wait for it.
pub type Working = Pin<Box<dyn Future<Output = Result<(), SendError>> + Send>>;

/// Where the messages of one connection leave.
pub trait Port: Send + Sync {
    /// Sends one message. `body_len` is a guess in bytes; the body is written in place by `fill`.
    ///
    /// # Errors
    ///
    /// As [`SendError`] says; after an error nothing of the message has reached the peer.
    fn send(
        &self,
        head: &Head<'_>,
        body_len: usize,
        fill: Fill<'_>,
        patience: Patience,
    ) -> Result<(), SendError>;

    /// Sends one message whose body is `pages`, handed over where the transport can do that.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    fn send_pages(
        &self,
        head: &Head<'_>,
        pages: &dyn Pages,
        patience: Patience,
    ) -> Result<(), SendError> {
        let fill: Fill<'_> =
            &mut |_, out| out.put(pages.bytes()).map_err(|e| EncodeError::new("raw", e));
        self.send(head, pages.bytes().len(), fill, patience)
    }

    /// Sends a message with a raw body, or one that is encoded already.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    fn send_bytes(
        &self,
        head: &Head<'_>,
        body: &[u8],
        patience: Patience,
    ) -> Result<(), SendError> {
        let fill: Fill<'_> = &mut |_, out| out.put(body).map_err(|e| EncodeError::new("raw", e));
        self.send(head, body.len(), fill, patience)
    }

    /// Sends an answer without blocking this thread; ends the connection if there is no room for it
    /// in time.
    fn send_later(&self, message: Later);

    /// Whether the peer listens to events of this name.
    fn peer_listens(&self, event: &str) -> bool;

    /// The connection's channels; `None` if it cannot carry any.
    fn channels(&self) -> Option<&Channels> {
        None
    }

    /// For a connection whose peer names channels as it likes: notes the one that this argument of a
    /// call stands for, with [`Channels::declare_next`], and gives its number, or why it cannot be,
    /// in words for the peer. `None` where Tauri's text names channels.
    fn channel_of_token(
        &self,
        call: u64,
        token: &Token,
        peer_reads: bool,
    ) -> Option<Result<u32, String>> {
        let _ = (call, token, peer_reads);
        None
    }

    /// Somebody is about to wait for a message of a channel: somebody has to read, also while a
    /// listener or an inline command runs. Called after [`Channels::has_waiters`] says so.
    fn someone_waits(&self) {}

    /// Does work that may wait for room on a thread where that holds nobody up. Work that has not
    /// begun when what is returned is dropped may not be done at all.
    fn elsewhere(&self, work: Work) -> Working {
        Box::pin(std::future::ready(work()))
    }

    /// As what it does: no target twice, none if it does not listen.
    fn peer_targets(&self, event: &str) -> Targets {
        if self.peer_listens(event) {
            Targets::from([EventTarget::Any])
        } else {
            Targets::default()
        }
    }

    /// Ends the connection; calls waiting on either side learn why.
    fn close(&self, reason: LinkError);

    /// Ends the connection at once; the peer is told why it ends if that needs no waiting.
    fn cut_off(&self, reason: LinkError) {
        self.close(reason);
    }

    /// Ends the connection because an answer found no room for as long as the send timeout says.
    fn close_stalled(&self);
}

/// The other end of one connection. Clones are the same peer.
#[derive(Clone)]
pub struct Peer(Arc<Inner>);

struct Inner {
    id: u64,
    standing: Standing,
    denied: AtomicU64,
    over_quota: AtomicU64,
    identity: PeerIdentity,
    transport: &'static str,
    codec: AnyCodec,
    port: Arc<dyn Port>,
}

/// How often a peer was refused something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Refusals {
    /// Calls, subscriptions and events that no capability allows.
    pub denied: u64,
    /// Calls, subscriptions and events over the peer's quota.
    pub over_quota: u64,
}

impl Peer {
    /// A local peer reached through `port`.
    pub fn new(
        id: u64,
        label: Option<Box<str>>,
        identity: PeerIdentity,
        transport: &'static str,
        codec: AnyCodec,
        port: Arc<dyn Port>,
    ) -> Self {
        Self::admitted(id, Standing::local(label), identity, transport, codec, port)
    }

    /// A peer that the connect policy has admitted as `standing` says.
    pub fn admitted(
        id: u64,
        standing: Standing,
        identity: PeerIdentity,
        transport: &'static str,
        codec: AnyCodec,
        port: Arc<dyn Port>,
    ) -> Self {
        let (denied, over_quota) = (AtomicU64::new(0), AtomicU64::new(0));
        Self(Arc::new(Inner { id, standing, denied, over_quota, identity, transport, codec, port }))
    }

    /// The same peer, for what the peer itself holds.
    #[must_use]
    pub fn downgrade(&self) -> WeakPeer {
        WeakPeer(Arc::downgrade(&self.0))
    }

    /// The connection's number on this side, never reused.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// The label under which the peer was admitted: the one it asked for in its hello, unless the
    /// connect policy has given it another. Several peers may bear the same one.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        self.0.standing.label.as_deref()
    }

    /// Local or remote, as the connect policy says.
    #[must_use]
    pub fn class(&self) -> &PeerClass {
        &self.0.standing.class
    }

    /// What the peer may ask for at a time, and per second.
    #[must_use]
    pub fn quota(&self) -> Quota {
        self.0.standing.quota
    }

    /// How often the peer was refused something since it connected.
    #[must_use]
    pub fn refusals(&self) -> Refusals {
        // Relaxed: counts for people.
        let denied = self.0.denied.load(Ordering::Relaxed);
        Refusals { denied, over_quota: self.0.over_quota.load(Ordering::Relaxed) }
    }

    pub(crate) fn count_denied(&self) {
        self.0.denied.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_over_quota(&self) {
        self.0.over_quota.fetch_add(1, Ordering::Relaxed);
    }

    /// Who the peer is, as the operating system says.
    #[must_use]
    pub fn identity(&self) -> PeerIdentity {
        self.0.identity
    }

    /// The transport's short name: `shm`, `pipe`, `mem`, or `json-rpc` for a peer that speaks that.
    #[must_use]
    pub fn transport(&self) -> &'static str {
        self.0.transport
    }

    /// The connection's codec.
    #[must_use]
    pub fn codec(&self) -> AnyCodec {
        self.0.codec
    }

    /// Where messages to this peer leave.
    #[must_use]
    pub fn port(&self) -> &dyn Port {
        &*self.0.port
    }

    /// Emits an event to this peer. Nothing crosses if it does not listen.
    ///
    /// Waits while the link is full, as long as the send timeout says; see
    /// [`try_emit`](Self::try_emit).
    ///
    /// # Errors
    ///
    /// [`SendError`]; the link lives unless it is [`SendError::Link`].
    pub fn emit<T: Serialize + ?Sized>(&self, event: &str, payload: &T) -> Result<(), SendError> {
        self.emit_with(event, payload, Patience::SendTimeout)
    }

    /// Emits an event to this peer if there is room for it now.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] if there is none.
    pub fn try_emit<T: Serialize + ?Sized>(
        &self,
        event: &str,
        payload: &T,
    ) -> Result<(), SendError> {
        self.emit_with(event, payload, Patience::None)
    }

    /// Emits an event whose payload is bytes as they are, in no codec.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub fn emit_raw<'b>(
        &self,
        event: &str,
        payload: impl Into<RawBody<'b>>,
    ) -> Result<(), SendError> {
        if !self.0.port.peer_listens(event) {
            return Ok(check_event_name(event)?);
        }
        let head = Head::new(Kind::Event, BodyKind::Raw, 0, event);
        send_body(&*self.0.port, &head, &payload.into(), Patience::SendTimeout)
    }

    /// Emits an event to those of this peer's listeners that `target` reaches. Nothing crosses if it
    /// reaches none.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub fn emit_to<T: Serialize + ?Sized>(
        &self,
        target: impl Into<EventTarget>,
        event: &str,
        payload: &T,
    ) -> Result<(), SendError> {
        match target.into() {
            EventTarget::Any => self.emit(event, payload),
            target => self.emit_filter(event, payload, |listener| target.reaches(listener)),
        }
    }

    /// Emits an event to those of this peer's listeners whose target `filter` picks, and to those
    /// that listen as [`EventTarget::Any`]. The filter is asked here, once for each target. Nothing
    /// crosses if it picks none.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub fn emit_filter<T: Serialize + ?Sized>(
        &self,
        event: &str,
        payload: &T,
        filter: impl Fn(&EventTarget) -> bool,
    ) -> Result<(), SendError> {
        // Named even if it is all of them: one may be added before this arrives.
        let mut aim = ExtensionBuf::default();
        for target in &*self.0.port.peer_targets(event) {
            if *target == EventTarget::Any || filter(target) {
                aim.target(target)?;
            }
        }
        if aim.as_extension().is_empty() {
            return Ok(check_event_name(event)?);
        }
        let head = Head::new(Kind::Event, BodyKind::Structured, 0, event);
        self.send(&head.extended(aim.as_extension()), payload, Patience::SendTimeout)
    }

    /// Ends the connection with this peer.
    pub fn disconnect(&self) {
        self.0.port.close(LinkError::Closed);
    }

    fn emit_with<T: Serialize + ?Sized>(
        &self,
        event: &str,
        payload: &T,
        patience: Patience,
    ) -> Result<(), SendError> {
        // A name that is listened to was checked when it was.
        if !self.0.port.peer_listens(event) {
            return Ok(check_event_name(event)?);
        }
        self.send(&Head::new(Kind::Event, BodyKind::Structured, 0, event), payload, patience)
    }

    fn send<T: Serialize + ?Sized>(
        &self,
        head: &Head<'_>,
        payload: &T,
        patience: Patience,
    ) -> Result<(), SendError> {
        let fill: Fill<'_> = &mut |codec, out| codec.encode(payload, out);
        self.0.port.send(head, size_of_val(payload), fill, patience)
    }
}

/// A [`Peer`] that is not kept.
#[derive(Clone)]
pub struct WeakPeer(Weak<Inner>);

impl WeakPeer {
    /// Whether nobody keeps it any more.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.0.strong_count() == 0
    }

    /// The peer, if anyone keeps it.
    #[must_use]
    pub fn upgrade(&self) -> Option<Peer> {
        self.0.upgrade().map(Peer)
    }
}

impl fmt::Debug for WeakPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakPeer")
    }
}

/// Sends a message with a raw body, or one that is encoded already.
///
/// # Errors
///
/// As [`Port::send`].
pub fn send_body(
    port: &dyn Port,
    head: &Head<'_>,
    body: &RawBody<'_>,
    patience: Patience,
) -> Result<(), SendError> {
    match body {
        RawBody::Pages(pages) => port.send_pages(head, &**pages, patience),
        RawBody::Bytes(_) | RawBody::Borrowed(_) => port.send_bytes(head, body.bytes(), patience),
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("id", &self.0.id)
            .field("label", &self.0.standing.label)
            .field("class", &self.0.standing.class)
            .field("transport", &self.0.transport)
            .field("codec", &self.0.codec)
            .finish_non_exhaustive()
    }
}

impl PartialEq for Peer {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Peer {}
