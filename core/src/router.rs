//! Name to handler.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::command::{Call, Commands, Handler, ended_without_answer};
use crate::error::{ConfigError, Rejection, codes};
use crate::gate::Capabilities;
use crate::limits::{MAX_NAME_LEN, NameMap};
use crate::state::States;

/// Commands, managed values and what peers may do: everything a server decides calls by.
#[derive(Debug, Default)]
pub struct Router {
    commands: NameMap<&'static str, Entry>,
    states: Arc<States>,
    capabilities: Capabilities,
}

#[derive(Debug)]
struct Entry {
    handler: Handler,
    /// What the capabilities say, looked up once.
    allowed: bool,
}

impl Router {
    /// A router over these commands, values and capabilities.
    ///
    /// # Errors
    ///
    /// Two commands under one name, or a name that does not fit the envelope.
    pub fn new(
        commands: Commands,
        states: States,
        capabilities: Capabilities,
    ) -> Result<Self, ConfigError> {
        let mut by_name = NameMap::default();
        for (name, _, handler) in commands.into_entries() {
            if name.len() > MAX_NAME_LEN {
                let len = name.len();
                return Err(ConfigError::CommandName { name: name.into(), len, max: MAX_NAME_LEN });
            }
            let allowed = capabilities.may_invoke(name);
            if by_name.insert(name, Entry { handler, allowed }).is_some() {
                return Err(ConfigError::DuplicateCommand { name: name.into() });
            }
        }
        Ok(Self { commands: by_name, states: Arc::new(states), capabilities })
    }

    /// The handler of a command this peer may invoke. Refused and unknown look alike to a peer
    /// without rights, for the gate comes first.
    ///
    /// # Errors
    ///
    /// The refusal, in Tauri's words.
    #[inline]
    pub fn route(&self, command: &str) -> Result<Handler, Rejection> {
        match self.commands.get(command) {
            Some(entry) if entry.allowed => Ok(entry.handler),
            _ => Err(self.refuse(command)),
        }
    }

    #[cold]
    fn refuse(&self, command: &str) -> Rejection {
        if self.capabilities.may_invoke(command) {
            Rejection::UnknownCommand { text: self.not_found(command).into() }
        } else {
            let text = format!("Command {command} not allowed by ACL");
            Rejection::Denied { text: text.into() }
        }
    }

    /// Tauri's words: of a plugin's command the plugin's name or the command's own one.
    fn not_found(&self, command: &str) -> String {
        let Some(rest) = command.strip_prefix("plugin:") else {
            return format!("Command {command} not found");
        };
        let mut parts = rest.split('|');
        let (plugin, own) = (parts.next().unwrap_or(rest), parts.next().unwrap_or_default());
        let of_plugin = |name: &&str| {
            let known = name.strip_prefix("plugin:").and_then(|rest| rest.split_once('|'));
            known.is_some_and(|(known, _)| known == plugin)
        };
        if self.commands.keys().any(of_plugin) {
            format!("Command {own} not found")
        } else {
            format!("plugin {plugin} not found")
        }
    }

    /// What peers may do.
    #[must_use]
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
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
    use crate::command::Command;

    struct Scan;

    impl Command for Scan {
        const NAME: &'static str = "plugin:files|scan";
        const ARGS: &'static [&'static str] = &[];
        const HANDLER: Handler = Handler::Inline(|_| {});
    }

    fn router(capabilities: Capabilities) -> Router {
        let commands = Commands::new().with::<Scan>();
        Router::new(commands, States::default(), capabilities).expect("one command")
    }

    #[test]
    fn unknown_command_text_equals_tauri() {
        let router = router(Capabilities::all());
        let text = |command: &str| router.route(command).expect_err(command).to_string();
        assert!(router.route("plugin:files|scan").is_ok());
        assert_eq!(text("missing"), "Command missing not found");
        assert_eq!(text(""), "Command  not found");
        assert_eq!(text("plugin:files|missing"), "Command missing not found");
        assert_eq!(text("plugin:files"), "Command  not found");
        assert_eq!(text("plugin:missing|scan"), "plugin missing not found");
        assert_eq!(text("plugin:missing"), "plugin missing not found");
    }

    #[test]
    fn refused_commands_of_plugins_look_like_all_others() {
        let router = router(Capabilities::none());
        for command in ["plugin:files|scan", "plugin:files|missing", "plugin:missing|scan", "x"] {
            let refused = router.route(command).expect_err(command);
            assert_eq!(refused.to_string(), format!("Command {command} not allowed by ACL"));
            assert_eq!(refused.code(), codes::DENIED);
        }
    }
}
