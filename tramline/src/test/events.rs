//! Events that come back to the client that emits them.

use std::sync::Arc;

use tramline_core::channel::Channels;
use tramline_core::envelope::{Head, Kind};
use tramline_core::events::{Event, LastEvent, Targets};
use tramline_core::frame::Written;
use tramline_core::peer::{Fill, Later, Patience, Peer, Port, Work, Working};
use tramline_core::{FrameWriter, LinkError, SendError};

use crate::link::{Link, Service};

/// The way to a mocked server: events stay here, everything else goes through the link.
pub(crate) struct EventsStay {
    link: Arc<Link>,
    service: Arc<Service>,
    /// Who a listener is told has emitted.
    server: Peer,
}

impl EventsStay {
    pub(crate) fn new(link: &Arc<Link>, service: &Arc<Service>, server: Peer) -> Self {
        Self { link: Arc::clone(link), service: Arc::clone(service), server }
    }

    fn deliver(&self, head: &Head<'_>, fill: Fill<'_>) -> Result<(), SendError> {
        let mut out = FrameWriter::new(&mut [], self.link.max_send_len());
        let filled = fill(self.server.codec(), &mut out);
        if let Some(len) = out.overflow() {
            return Err(SendError::TooLarge { len, max: self.link.max_send_len() });
        }
        filled.map_err(|e| e.in_message(head.kind, head.name))?;
        let body = match out.finish() {
            Written::Spilled { bytes } => bytes,
            Written::InPlace { .. } => Vec::new(),
        };
        let event = Event::new(head.name, head.body, &body, self.server.codec(), &self.server);
        let event = event.aimed_by(head.extension);
        for target in self.service.listeners.deliver(event, &mut LastEvent::default()) {
            self.link.unsubscribe_if_deaf(&self.service, head.name, &target);
        }
        Ok(())
    }
}

impl Port for EventsStay {
    fn send(
        &self,
        head: &Head<'_>,
        body_len: usize,
        fill: Fill<'_>,
        patience: Patience,
    ) -> Result<(), SendError> {
        match head.kind {
            Kind::Event => self.deliver(head, fill),
            _ => self.link.send(head, body_len, fill, patience),
        }
    }

    fn send_later(&self, message: Later) {
        self.link.send_later(message);
    }

    fn peer_listens(&self, event: &str) -> bool {
        !self.peer_targets(event).is_empty()
    }

    fn peer_targets(&self, event: &str) -> Targets {
        let all = self.service.listeners.all().into_iter();
        all.filter(|(name, _)| name == event).map(|(_, target)| target).collect()
    }

    fn channels(&self) -> Option<&Channels> {
        self.link.channels()
    }

    fn someone_waits(&self) {
        self.link.someone_waits();
    }

    fn elsewhere(&self, work: Work) -> Working {
        self.link.elsewhere(work)
    }

    fn close(&self, reason: LinkError) {
        Port::close(&*self.link, reason);
    }

    fn close_stalled(&self) {
        self.link.close_stalled();
    }
}
