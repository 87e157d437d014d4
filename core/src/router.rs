//! Name to handler.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::acl::{
    Access, Asked, CallScopes, Capabilities, Denial, OnDenied, OverQuota, plugin_command,
};
use crate::command::{Call, Commands, Handler, ended_without_answer};
use crate::error::{ConfigError, Rejection, codes};
use crate::gate::{Gate, Guard};
use crate::limits::{MAX_NAME_LEN, NameMap};
use crate::peer::Peer;
use crate::state::States;

/// Commands, managed values and what peers may do: everything a server decides calls by.
#[derive(Debug, Default)]
pub struct Router {
    commands: NameMap<&'static str, Entry>,
    states: Arc<States>,
    gate: Gate,
    fallback: Option<Handler>,
}

#[derive(Debug)]
struct Entry {
    handler: Handler,
    /// The command's number at the gate.
    number: usize,
}

/// What a permitted command is run with.
#[derive(Debug, Clone, Copy)]
pub struct Routed<'a> {
    /// How it runs.
    pub handler: Handler,
    /// What it may be used on.
    pub scopes: Option<&'a Arc<CallScopes>>,
}

impl Router {
    /// A router over these commands, values and capabilities.
    ///
    /// # Errors
    ///
    /// Two commands under one name, a name that does not fit the envelope, or capabilities that
    /// cannot be meant.
    pub fn new(
        commands: Commands,
        states: States,
        capabilities: Capabilities,
    ) -> Result<Self, ConfigError> {
        let (mut by_name, mut names) = (NameMap::default(), Vec::new());
        for (number, (name, _, handler)) in commands.into_entries().enumerate() {
            if name.len() > MAX_NAME_LEN {
                let len = name.len();
                return Err(ConfigError::CommandName { name: name.into(), len, max: MAX_NAME_LEN });
            }
            names.push(name);
            if by_name.insert(name, Entry { handler, number }).is_some() {
                return Err(ConfigError::DuplicateCommand { name: name.into() });
            }
        }
        let gate = Gate::new(capabilities, names)?;
        Ok(Self { commands: by_name, states: Arc::new(states), gate, fallback: None })
    }

    /// The same router with a handler for commands that it does not know, but whose names a peer may
    /// use: mocks answer whatever is asked.
    #[must_use]
    pub fn fallback(mut self, handler: Option<Handler>) -> Self {
        self.fallback = handler;
        self
    }

    /// The handler of a command this peer may invoke. Refused and unknown look alike to a peer
    /// without rights, for the gate comes first. `guard` is the peer's, and fresh.
    ///
    /// # Errors
    ///
    /// The refusal, in Tauri's words.
    #[inline]
    pub fn route<'a>(
        &self,
        guard: &'a Guard,
        peer: &Peer,
        command: &str,
    ) -> Result<Routed<'a>, Rejection> {
        match self.find(guard, command) {
            Some(routed) => Ok(routed),
            None => self.refuse(peer, command),
        }
    }

    /// The same without a refusal, which would be counted.
    #[must_use]
    #[inline]
    pub fn find<'a>(&self, guard: &'a Guard, command: &str) -> Option<Routed<'a>> {
        let &Entry { handler, number } = self.commands.get(command)?;
        match guard.access(number) {
            Access::Allowed(scopes) => Some(Routed { handler, scopes: scopes.as_ref() }),
            Access::Denied => None,
        }
    }

    /// What is to be done with a command that was not found, or may not be used.
    #[cold]
    fn refuse<'a>(&self, peer: &Peer, command: &str) -> Result<Routed<'a>, Rejection> {
        let is_known = self.commands.contains_key(command);
        if !is_known && self.gate.rules().access(peer.into(), command).is_allowed() {
            return match self.fallback {
                Some(handler) => Ok(Routed { handler, scopes: None }),
                None => Err(Rejection::UnknownCommand { text: self.not_found(command).into() }),
            };
        }
        self.denied(peer, Asked::Invoke, command);
        let text = format!("Command {command} not allowed by ACL");
        Err(Rejection::Denied { text: text.into() })
    }

    /// Tauri's words: of a plugin's command the plugin's name or the command's own one.
    fn not_found(&self, command: &str) -> String {
        let Some((plugin, own)) = plugin_command(command) else {
            return format!("Command {command} not found");
        };
        let of_plugin =
            |known: &&str| plugin_command(known).is_some_and(|(other, _)| other == plugin);
        if self.commands.keys().any(of_plugin) {
            format!("Command {own} not found")
        } else {
            format!("plugin {plugin} not found")
        }
    }

    /// Refuses to let this peer listen to an event. The words are ours: Tauri has the same ones for
    /// the command behind it.
    #[cold]
    pub fn refuse_to_listen(&self, peer: &Peer, event: &str) -> Rejection {
        self.denied(peer, Asked::Listen, event);
        let text = format!("Event {event} not allowed by ACL");
        Rejection::Denied { text: text.into() }
    }

    /// Takes note of an event that this peer may not emit. Nobody waits for an answer.
    #[cold]
    pub fn refuse_to_emit(&self, peer: &Peer, event: &str) {
        self.denied(peer, Asked::Emit, event);
    }

    /// Refuses what is over the peer's quota.
    #[cold]
    pub fn refuse_over_quota(
        &self,
        peer: &Peer,
        asked: Asked,
        name: &str,
        over: OverQuota,
    ) -> Rejection {
        peer.count_over_quota();
        let text = format!("over the quota of {over}");
        self.tell(peer, asked, name, &text);
        Rejection::OverQuota { text: text.into() }
    }

    fn denied(&self, peer: &Peer, asked: Asked, name: &str) {
        peer.count_denied();
        // The reasons are put together only for those who want them.
        if OnDenied::is_wanted(&self.states) {
            let why = self.gate.rules().explain(peer.into(), asked, name);
            self.tell(peer, asked, name, &why);
        }
    }

    fn tell(&self, peer: &Peer, asked: Asked, name: &str, why: &str) {
        // A JSON-RPC client's may be as long as a message.
        let name = &name[..name.floor_char_boundary(MAX_NAME_LEN)];
        OnDenied::tell(&self.states, &Denial { peer, asked, name, why });
    }

    /// What peers may do.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The managed values.
    #[must_use]
    pub fn states(&self) -> &Arc<States> {
        &self.states
    }
}

/// Runs a synchronous handler. A panic becomes an error reply.
#[inline]
pub fn run(handler: fn(&Call<'_>), call: &Call<'_>) {
    if catch_unwind(AssertUnwindSafe(|| handler(call))).is_err() {
        let code = codes::HANDLER_PANICKED;
        call.refuse(code, &ended_without_answer(call.command(), code));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::AnyCodec;
    use crate::command::Command;
    use crate::error::{LinkError, SendError};
    use crate::peer::{Fill, Later, Patience, Port};
    use crate::transport::PeerIdentity;

    struct Scan;

    impl Command for Scan {
        const NAME: &'static str = "plugin:files|scan";
        const ARGS: &'static [&'static str] = &[];
        const HANDLER: Handler = Handler::Inline(|_| {});
    }

    struct Nowhere;

    impl Port for Nowhere {
        fn send(
            &self,
            _: &crate::envelope::Head<'_>,
            _: usize,
            _: Fill<'_>,
            _: Patience,
        ) -> Result<(), SendError> {
            Ok(())
        }

        fn send_later(&self, _: Later) {}

        fn peer_listens(&self, _: &str) -> bool {
            false
        }

        fn close(&self, _: LinkError) {}

        fn close_stalled(&self) {}
    }

    /// A router that one peer asks.
    struct Asked {
        router: Router,
        guard: Guard,
        peer: Peer,
    }

    impl Asked {
        fn new(capabilities: Capabilities) -> Self {
            let commands = Commands::new().with::<Scan>();
            let router = Router::new(commands, States::default(), capabilities);
            let router = router.expect("one command");
            let identity = PeerIdentity::default();
            let peer = Peer::new(1, None, identity, "mem", AnyCodec::JSON, Arc::new(Nowhere));
            let mut guard = Guard::default();
            guard.refresh(router.gate(), &peer);
            Self { router, guard, peer }
        }

        fn route(&self, command: &str) -> Result<Routed<'_>, Rejection> {
            self.router.route(&self.guard, &self.peer, command)
        }
    }

    #[test]
    fn unknown_command_text_equals_tauri() {
        let asked = Asked::new(Capabilities::all());
        let text = |command: &str| asked.route(command).expect_err(command).to_string();
        assert!(asked.route("plugin:files|scan").is_ok());
        assert_eq!(text("missing"), "Command missing not found");
        assert_eq!(text(""), "Command  not found");
        assert_eq!(text("plugin:files|missing"), "Command missing not found");
        assert_eq!(text("plugin:files"), "Command  not found");
        assert_eq!(text("plugin:missing|scan"), "plugin missing not found");
        assert_eq!(text("plugin:missing"), "plugin missing not found");
        assert_eq!(asked.peer.refusals().denied, 0);
    }

    #[test]
    fn refused_commands_of_plugins_look_like_all_others() {
        let asked = Asked::new(Capabilities::none());
        let commands = ["plugin:files|scan", "plugin:files|missing", "plugin:missing|scan", "x"];
        for command in commands {
            assert!(asked.router.find(&asked.guard, command).is_none());
            let refused = asked.route(command).expect_err(command);
            assert_eq!(refused.to_string(), format!("Command {command} not allowed by ACL"));
            assert_eq!(refused.code(), codes::DENIED);
        }
        assert_eq!(asked.peer.refusals().denied, commands.len() as u64);
    }
}
