//! One client's two links, and the two threads that carry messages between them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tramline_core::envelope::{BodyKind, Envelope, Head, Kind};
use tramline_core::error::codes;
use tramline_core::session::Goodbye;
use tramline_core::transport::{Receiver, Sender, Signal, WaitFor};
use tramline_core::{AnyCodec, Frame, Halves, LinkError, PeerFault, SendError};

use super::message::{Judge, Judged, Seen, Toward, whole, with_body};

/// Calls and channels of one client whose names are kept. A choice: far above what a core has at
/// work for one client.
const MAX_KNOWN: usize = 1 << 16;

/// One end of a link.
struct Side {
    sender: Mutex<Box<dyn Sender>>,
    signal: Box<dyn Signal>,
    max_send_len: usize,
}

impl Side {
    fn lock(&self) -> MutexGuard<'_, Box<dyn Sender>> {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says goodbye if there is room, then ends the link.
    fn close(&self, goodbye: Option<&Goodbye>) {
        if let (Some(goodbye), Ok(mut sender)) = (goodbye, self.sender.try_lock())
            && sender.send_part(&goodbye.to_frame(), &mut 0).is_ok()
        {
            let _ = sender.flush();
        }
        self.signal.close();
    }
}

/// What was asked and brought, by whom, and by which name it is known.
#[derive(Default)]
struct Known {
    /// Calls and subscribes that go to the core, and to the client.
    asked: [HashMap<u64, Box<str>>; 2],
    channels: HashMap<u64, Box<str>>,
}

/// The threads of a link stop.
struct Stop;

/// A client and its own connection to the core.
pub(super) struct Relay {
    client: Side,
    core: Side,
    codec: AnyCodec,
    label: Option<Box<str>>,
    judge: Arc<Judge>,
    known: Mutex<Known>,
}

/// The receiving halves of both links.
pub(super) struct Receivers {
    pub(super) client: Box<dyn Receiver>,
    pub(super) core: Box<dyn Receiver>,
}

impl Relay {
    /// Two links on which hellos were exchanged; `max_send_len` in bytes, toward client and core.
    pub(super) fn new(
        (client, core): (Halves, Halves),
        max_send_len: (usize, usize),
        codec: AnyCodec,
        label: Option<Box<str>>,
        judge: Arc<Judge>,
    ) -> (Self, Receivers) {
        let side = |sender, signal, max_send_len| Side {
            sender: Mutex::new(sender),
            signal,
            max_send_len,
        };
        let relay = Self {
            client: side(client.sender, client.signal, max_send_len.0),
            core: side(core.sender, core.signal, max_send_len.1),
            codec,
            label,
            judge,
            known: Mutex::default(),
        };
        (relay, Receivers { client: client.receiver, core: core.receiver })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where messages come from, and where they go.
    fn sides(&self, toward: Toward) -> (&Side, &Side) {
        match toward {
            Toward::Core => (&self.client, &self.core),
            Toward::Client => (&self.core, &self.client),
        }
    }

    /// Ends both links in the ordinary way.
    pub(super) fn close(&self) {
        let goodbye = Goodbye::new(codes::CLOSED, "the guard is stopping");
        self.client.close(Some(&goodbye));
        self.core.close(Some(&goodbye));
    }

    /// Carries messages one way until either link is over.
    pub(super) fn carry(&self, receiver: &mut dyn Receiver, toward: Toward) {
        let (from, to) = self.sides(toward);
        loop {
            // Read first: whatever happens from now on ends the sleep below.
            let kicks = from.signal.kicks();
            match receiver.poll() {
                Ok(Some(frame)) => {
                    if self.pass(&frame, toward).is_err() {
                        // The other thread still hears what the other side has said to the last,
                        // then ends both.
                        return;
                    }
                }
                Ok(None) => {
                    if receiver.spin() {
                        continue;
                    }
                    if let Some(data) = receiver.arm() {
                        let data = Some(data);
                        from.signal.wait(WaitFor { kicks, data, ..WaitFor::default() });
                    }
                    receiver.disarm();
                }
                Err(error) => {
                    let goodbye = match &error {
                        LinkError::Fault(fault) => {
                            Some(Goodbye::new(fault.code(), &fault.to_string()))
                        }
                        // Without a word, as the peer left.
                        _ => None,
                    };
                    from.close(goodbye.as_ref());
                    to.close(None);
                    return;
                }
            }
        }
    }

    /// The peer broke the protocol: it is told, and both links are over.
    fn fault(&self, toward: Toward, fault: &PeerFault) -> Stop {
        let (from, to) = self.sides(toward);
        from.close(Some(&Goodbye::new(fault.code(), &fault.to_string())));
        to.close(None);
        Stop
    }

    fn pass(&self, frame: &Frame<'_>, toward: Toward) -> Result<(), Stop> {
        let message = frame.envelope().map_err(|fault| self.fault(toward, &fault))?;
        let Head { kind, id, name, extension, .. } = message.head;
        if kind == Kind::Hello {
            return Err(self.fault(toward, &PeerFault::new("hello", "a second one")));
        }
        let bytes = || whole(frame.bytes(), frame.tail().map(|tail| &tail[..]));
        if kind == Kind::Goodbye {
            return self.send(toward, &bytes());
        }
        let Some(known_as) = self.name_of(toward, kind, id, name) else {
            // An answer that nobody waits for, a message of a channel that has ended: the other side
            // would not look at it either.
            return Ok(());
        };
        let seen = Seen { toward, name: &known_as, label: self.label.as_deref() };
        let judged = self.judge.judge(&message, self.codec, seen);
        let (_, to) = self.sides(toward);
        let rewritten = match judged {
            Judged::Passes => None,
            Judged::Rewritten(body) => {
                let frame = with_body(&message, &body);
                if frame.len() > to.max_send_len {
                    let (len, max) = (frame.len(), to.max_send_len);
                    let text = format!("rewritten it is {len} bytes, the limit is {max}");
                    return self.refuse(toward, &message, &text);
                }
                Some(frame)
            }
            Judged::Refused(text) => return self.refuse(toward, &message, &text),
        };
        if matches!(kind, Kind::Request | Kind::Subscribe) {
            let mut known = self.known();
            if known.asked[toward as usize].len() >= MAX_KNOWN || known.channels.len() >= MAX_KNOWN
            {
                drop(known);
                return self.refuse(toward, &message, "too many calls at work for the guard");
            }
            // One number for two calls, and the answer to one would be judged as that of the other.
            if known.asked[toward as usize].insert(id, name.into()).is_some() {
                drop(known);
                return Err(self.fault(toward, &PeerFault::new("id", "in use by another call")));
            }
            for (channel, _) in extension.channels() {
                if known.channels.insert(channel.into(), name.into()).is_some() {
                    drop(known);
                    let what = "in use by another channel";
                    return Err(self.fault(toward, &PeerFault::new("channel id", what)));
                }
            }
        }
        if kind == Kind::ChannelEnd {
            self.known().channels.remove(&id);
        }
        match rewritten {
            Some(frame) => self.send(toward, &frame),
            None => self.send(toward, &bytes()),
        }
    }

    /// The command or event that a message is about; `None` if it is about nothing that is known.
    fn name_of(&self, toward: Toward, kind: Kind, id: u64, name: &str) -> Option<Box<str>> {
        let mut known = self.known();
        match kind {
            Kind::Response | Kind::Error => known.asked[other(toward) as usize].remove(&id),
            Kind::Cancel => known.asked[toward as usize].get(&id).cloned(),
            Kind::Channel | Kind::ChannelEnd | Kind::ChannelCredit => {
                known.channels.get(&id).cloned()
            }
            _ => Some(name.into()),
        }
    }

    /// Keeps a message from going on, and tells those who would wait for it.
    fn refuse(&self, toward: Toward, message: &Envelope<'_>, text: &str) -> Result<(), Stop> {
        let Head { kind, id, extension, .. } = message.head;
        let back = other(toward);
        match kind {
            Kind::Request | Kind::Subscribe => {
                self.tell(back, Kind::Error, id, codes::GUARD_REFUSED, text)?;
                for (channel, _) in extension.channels() {
                    let (kind, text) = (Kind::ChannelEnd, "no command took this channel");
                    self.tell(back, kind, channel.into(), codes::CHANNEL_NOT_TAKEN, text)?;
                }
                Ok(())
            }
            Kind::Response | Kind::Error => {
                self.tell(toward, Kind::Error, id, codes::GUARD_REFUSED, text)
            }
            Kind::Channel | Kind::ChannelEnd => {
                self.known().channels.remove(&id);
                self.tell(toward, Kind::ChannelEnd, id, codes::GUARD_REFUSED, text)?;
                if kind == Kind::ChannelEnd {
                    return Ok(());
                }
                // The sending side learns what it would learn of a reader that is gone.
                let head = Head::new(Kind::ChannelEnd, BodyKind::Empty, id, "");
                self.send(back, &head.to_bytes())
            }
            // Nobody waits for anything.
            _ => Ok(()),
        }
    }

    /// Says something of the guard's own.
    fn tell(
        &self,
        toward: Toward,
        kind: Kind,
        id: u64,
        code: &str,
        text: &str,
    ) -> Result<(), Stop> {
        let head = Head::new(kind, BodyKind::Structured, id, code);
        // Text has a form in every codec.
        let body = self.codec.to_vec(text).unwrap_or_default();
        self.send(toward, &[&head.to_bytes()[..], code.as_bytes(), &body].concat())
    }

    /// Sends one message, waiting for room as long as the link lives: what waits behind it waits in
    /// the link it comes by, which is bounded. It does not matter whether that one is over: what was
    /// sent before its end arrives.
    fn send(&self, toward: Toward, frame: &[u8]) -> Result<(), Stop> {
        let (_, to) = self.sides(toward);
        let (mut sender, mut sent) = (to.lock(), 0);
        loop {
            let kicks = to.signal.kicks();
            match sender.send_part(frame, &mut sent) {
                Ok(()) => return sender.flush().map_err(|_| Stop),
                Err(SendError::Full) if sender.spin() => {}
                Err(SendError::Full) => {
                    if let Some(room) = sender.arm() {
                        let room = Some(room);
                        to.signal.wait(WaitFor { kicks, room, ..WaitFor::default() });
                    }
                    sender.disarm();
                }
                Err(_) => return Err(Stop),
            }
        }
    }
}

fn other(toward: Toward) -> Toward {
    match toward {
        Toward::Core => Toward::Client,
        Toward::Client => Toward::Core,
    }
}
