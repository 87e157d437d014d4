//! Allowed or refused: the capabilities of a running server, and what they come to for one peer.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use crate::acl::{
    Access, AclError, Asked, Capabilities, EventRights, Meter, OverQuota, Platform, Quota, Rules,
    Warning, resolve,
};
use crate::peer::Peer;

/// The capabilities of a running server. They can be added to and revoked; each change counts the
/// version up, and whoever has looked something up looks again.
pub struct Gate {
    /// Commands of the server, by their number.
    commands: Vec<&'static str>,
    declared: Mutex<Declared>,
    rules: RwLock<Arc<Rules>>,
    version: AtomicU64,
}

struct Declared {
    capabilities: Capabilities,
    warnings: Vec<Warning>,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            commands: Vec::new(),
            declared: Mutex::new(Declared {
                capabilities: Capabilities::none(),
                warnings: Vec::new(),
            }),
            rules: RwLock::default(),
            // 0 is that of a guard that has not looked yet.
            version: AtomicU64::new(1),
        }
    }
}

impl Gate {
    /// A gate before these commands.
    ///
    /// # Errors
    ///
    /// [`AclError`]: capabilities that cannot be meant.
    pub fn new(capabilities: Capabilities, commands: Vec<&'static str>) -> Result<Self, AclError> {
        let gate = Self { commands, ..Self::default() };
        gate.replace(&mut gate.lock(), capabilities)?;
        Ok(gate)
    }

    fn lock(&self) -> MutexGuard<'_, Declared> {
        self.declared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn replace(&self, declared: &mut Declared, capabilities: Capabilities) -> Result<(), AclError> {
        let (rules, warnings) = resolve(&capabilities, &self.commands, Platform::current())?;
        *declared = Declared { capabilities, warnings };
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
        // PAIRS WITH the acquire in `version`: whoever sees the number finds the rules.
        self.version.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Adds to what peers may do, for everything that is decided from now on.
    ///
    /// # Errors
    ///
    /// [`AclError`]; then nothing has changed.
    pub fn add(&self, more: Capabilities) -> Result<(), AclError> {
        let mut declared = self.lock();
        let all = declared.capabilities.clone().and(more);
        self.replace(&mut declared, all)
    }

    /// Takes a capability back, for everything that is decided from now on; false if there is none
    /// of this identifier.
    pub fn revoke(&self, identifier: &str) -> bool {
        let mut declared = self.lock();
        let mut left = declared.capabilities.clone();
        // What resolved with it resolves without it: nothing names a capability.
        left.remove(identifier) && self.replace(&mut declared, left).is_ok()
    }

    /// The identifiers of all capabilities.
    #[must_use]
    pub fn identifiers(&self) -> Vec<String> {
        self.lock().capabilities.identifiers().map(str::to_owned).collect()
    }

    /// What is probably not meant in the capabilities as they are now.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        self.lock().warnings.clone()
    }

    /// What the capabilities mean now.
    #[must_use]
    pub fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts the changes.
    #[inline]
    fn version(&self) -> u64 {
        // PAIRS WITH the release in `replace`.
        self.version.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("capabilities", &self.identifiers()).finish_non_exhaustive()
    }
}

/// What one connection may do: every decision about commands is made when it is first needed, and
/// again after a change of the capabilities.
#[derive(Debug, Default)]
pub struct Guard {
    /// The gate's version this was looked up at; 0 is not yet.
    version: u64,
    /// By the command's number.
    commands: Box<[Access]>,
    listen: EventRights,
    emit: EventRights,
    quota: Quota,
    /// Boxed: most connections have none.
    meter: Option<Box<Meter>>,
}

impl Guard {
    /// What `peer` may do now, unless that is known.
    #[inline]
    pub fn refresh(&mut self, gate: &Gate, peer: &Peer) {
        if self.version != gate.version() {
            self.look_up(gate, peer);
        }
    }

    #[cold]
    fn look_up(&mut self, gate: &Gate, peer: &Peer) {
        if self.version == 0 {
            self.quota = peer.quota();
            self.meter = Meter::new(&self.quota).map(Box::new);
        }
        // The number before the rules: a change in between is seen next time.
        self.version = gate.version();
        let (rules, subject) = (gate.rules(), peer.into());
        self.commands = gate.commands.iter().map(|name| rules.access(subject, name)).collect();
        self.listen = rules.events(subject, Asked::Listen);
        self.emit = rules.events(subject, Asked::Emit);
    }

    /// The decision about a command, by its number.
    #[inline]
    pub(crate) fn access(&self, number: usize) -> &Access {
        self.commands.get(number).unwrap_or(&Access::Denied)
    }

    /// Whether the peer may listen to this event.
    #[must_use]
    #[inline]
    pub fn may_listen(&self, event: &str) -> bool {
        self.listen.allow(event)
    }

    /// Whether the peer may emit this event.
    #[must_use]
    #[inline]
    pub fn may_emit(&self, event: &str) -> bool {
        self.emit.allow(event)
    }

    /// Whether the peer has a quota for what it sends. If not, nobody need look at a clock.
    #[must_use]
    #[inline]
    pub fn is_metered(&self) -> bool {
        self.meter.is_some()
    }

    /// Charges a message of `len` bytes.
    ///
    /// # Errors
    ///
    /// The quota that is used up; then nothing was charged.
    pub fn charge(&mut self, now: Instant, len: usize) -> Result<(), OverQuota> {
        self.meter.as_mut().map_or(Ok(()), |meter| meter.charge(now, len))
    }

    /// Charges a message that cannot be refused.
    pub fn charge_anyway(&mut self, now: Instant, len: usize) {
        if let Some(meter) = &mut self.meter {
            meter.charge_anyway(now, len);
        }
    }

    /// Whether one more command may run beside `running` others.
    ///
    /// # Errors
    ///
    /// [`OverQuota::CallsInFlight`].
    #[inline]
    pub fn check_calls(&self, running: usize) -> Result<(), OverQuota> {
        match self.quota.calls_in_flight {
            Some(max) if running >= max => Err(OverQuota::CallsInFlight),
            _ => Ok(()),
        }
    }
}
