//! So many messages per second.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tramline_core::Rejection;
use tramline_core::acl::{Meter, Quota, Rate};
use tramline_core::peer::{Peer, WeakPeer};

use super::{Layer, Passed, Passing, Way};

/// Buckets that may be there before those that nobody needs are looked for. A choice: a server's
/// peers times its commands, and some.
const LOOK_FROM: usize = 1024;

/// A layer that refuses calls that come faster than a rate, with the code `over-quota`.
///
/// Each peer has its own account; [`command`](Self::command) gives it another one for a command.
/// What one account has not used for a while may be used at once, as [`Rate`] says. Events and
/// channel messages pass: for those, and for bytes, see [`Server::quota`](crate::Server::quota),
/// which needs no layer and charges before anything is looked up.
///
/// # Examples
///
/// ```
/// use tramline::layer::RateLimit;
/// use tramline::{Rate, Server};
///
/// let limit = RateLimit::new()
///     .peer(Rate::per_second(1000))
///     .command("render", Rate::per_second(2));
/// let server = Server::new().layer(limit);
/// # let _ = server;
/// ```
#[derive(Default)]
pub struct RateLimit {
    peer: Option<Rate>,
    commands: HashMap<Box<str>, (usize, Rate)>,
    buckets: Mutex<Buckets>,
}

/// By the peer's number, and by the command's if it is that command's own.
#[derive(Default)]
struct Buckets {
    by_owner: HashMap<(u64, Option<usize>), (WeakPeer, Meter)>,
    look_at: usize,
}

impl RateLimit {
    /// No limit yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What each peer may call in all.
    #[must_use]
    pub fn peer(mut self, rate: Rate) -> Self {
        self.peer = Some(rate);
        self
    }

    /// How often each peer may call this command, besides what it may call in all.
    #[must_use]
    pub fn command(mut self, name: &str, rate: Rate) -> Self {
        let number = self.commands.len();
        self.commands.insert(name.into(), (number, rate));
        self
    }

    fn charge(&self, peer: &Peer, own: Option<(usize, Rate)>, now: Instant) -> Result<(), String> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.forget(now);
        // The command's first: what it refuses does not count against all calls.
        if let Some((number, rate)) = own
            && !buckets.take(peer, Some(number), rate, now)
        {
            return Err("calls of this command".into());
        }
        match self.peer {
            Some(rate) if !buckets.take(peer, None, rate, now) => Err("calls".into()),
            _ => Ok(()),
        }
    }
}

impl Buckets {
    fn take(&mut self, peer: &Peer, command: Option<usize>, rate: Rate, now: Instant) -> bool {
        let owner = (peer.id(), command);
        if let Some((_, meter)) = self.by_owner.get_mut(&owner) {
            return meter.charge(now, 0).is_ok();
        }
        // There is a meter: the quota has a rate.
        let Some(mut meter) = Meter::new(&Quota::none().messages(rate)) else { return true };
        let has = meter.charge(now, 0).is_ok();
        self.by_owner.insert(owner, (peer.downgrade(), meter));
        has
    }

    /// Peers that are gone need no bucket, and a full one is like none.
    fn forget(&mut self, now: Instant) {
        if self.by_owner.len() >= self.look_at.max(LOOK_FROM) {
            self.by_owner.retain(|_, (peer, meter)| !peer.is_gone() && !meter.is_full(now));
            self.look_at = 2 * self.by_owner.len();
        }
    }
}

impl Layer for RateLimit {
    fn pass(&self, message: &mut Passing<'_>) -> Passed {
        let own = self.commands.get(message.name()).copied();
        let calls = matches!(message.way(), Way::Handle | Way::Invoke);
        if !calls || (own.is_none() && self.peer.is_none()) {
            return Ok(None);
        }
        match self.charge(message.peer(), own, Instant::now()) {
            Ok(()) => Ok(None),
            Err(what) => {
                let text = format!("over the rate of {what}").into();
                Err(Rejection::OverQuota { text })
            }
        }
    }
}

impl fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit")
            .field("peer", &self.peer)
            .field("commands", &self.commands)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tramline_core::command::{Command, Handler};

    use super::*;
    use crate::{Capabilities, Client, Server};

    #[test]
    fn each_peer_and_each_command_has_its_own_account() {
        let server = Server::new().start("mem:rate-accounts").expect("the name is free");
        let connect = || Client::connect("mem:rate-accounts").wait().expect("it serves");
        let _clients = [connect(), connect()];
        let peers = server.clients().list();
        let [one, other] = &peers[..] else { panic!("{peers:?}") };
        let limit = RateLimit::new().peer(Rate::per_second(3)).command("a", Rate::per_second(1));
        let now = Instant::now();
        let a = limit.commands.get("a").copied();
        assert_eq!(limit.charge(one, a, now), Ok(()));
        assert_eq!(limit.charge(one, a, now), Err("calls of this command".into()));
        assert_eq!(limit.charge(one, None, now), Ok(()));
        assert_eq!(limit.charge(one, None, now), Ok(()));
        assert_eq!(limit.charge(one, None, now), Err("calls".into()));
        assert_eq!(limit.charge(other, a, now), Ok(()));
        let later = now + Duration::from_secs(1);
        assert_eq!(limit.charge(one, a, later), Ok(()));
        server.stop();
    }

    struct Nothing;

    impl Command for Nothing {
        const NAME: &'static str = "nothing";
        const ARGS: &'static [&'static str] = &[];
        const HANDLER: Handler = Handler::Inline(|call| {
            let _ = call.answer(&());
        });
    }

    #[test]
    fn peers_that_are_gone_leave_nothing_behind_for_long() {
        let limit = Arc::new(RateLimit::new().peer(Rate::new(1, Duration::from_secs(3600))));
        let layer = Arc::clone(&limit);
        let server = Server::new()
            .command::<Nothing>()
            .allow(Capabilities::all())
            .layer(move |message: &mut Passing<'_>| layer.pass(message))
            .start("mem:rate-gone")
            .expect("the name is free");
        for _ in 0..LOOK_FROM + 200 {
            let client = Client::connect("mem:rate-gone").wait().expect("it serves");
            client.invoke::<(), _>("nothing", ()).wait().expect("the first call");
        }
        let left = limit.buckets.lock().expect("no panic").by_owner.len();
        assert!(left <= LOOK_FROM, "{left}");
        server.stop();
    }
}
