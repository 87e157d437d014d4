//! The command set, written once and made into commands of both libraries.

/// Expands to two modules with the same functions: in one `#[command]` is Tauri's, in the other it
/// is tramline's. Types that the libraries name differently have one name here, see [`names`].
macro_rules! both {
    (commands: [$($name:ident),* $(,)?]; $($items:tt)*) => {
        /// The functions as Tauri's commands.
        pub mod in_tauri {
            #[allow(unused_imports, reason = "not every group of commands uses each name")]
            use $crate::commands::names::in_tauri::*;
            use super::*;

            $($items)*

            /// What Tauri's builder takes.
            pub fn handler() -> impl Fn(tauri::ipc::Invoke<tauri::test::MockRuntime>) -> bool {
                tauri::generate_handler![$($name),*]
            }
        }

        /// The functions as tramline's commands.
        pub mod in_tramline {
            #[allow(unused_imports, reason = "not every group of commands uses each name")]
            use $crate::commands::names::in_tramline::*;
            use super::*;

            $($items)*

            /// What the server takes.
            pub fn commands() -> tramline::Commands {
                tramline::commands![$($name),*]
            }
        }

        /// The functions' names, as they are written.
        #[allow(dead_code, reason = "the last group takes what the others have not")]
        pub const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

pub mod arguments;
pub mod channels;
pub mod errors;
pub mod names;
pub mod results;
pub mod runs;
pub mod types;

use tauri::ipc::Invoke;
use tauri::test::MockRuntime;

/// All groups, for Tauri: the first that knows the command answers.
pub fn for_tauri(invoke: Invoke<MockRuntime>) -> bool {
    let command = invoke.message.command();
    // A renamed command is found in the last group; the others are called by their own names.
    let knows = |names: &[&str]| names.contains(&command);
    if knows(arguments::NAMES) {
        arguments::in_tauri::handler()(invoke)
    } else if knows(results::NAMES) {
        results::in_tauri::handler()(invoke)
    } else if knows(errors::NAMES) {
        errors::in_tauri::handler()(invoke)
    } else if knows(channels::NAMES) {
        channels::in_tauri::handler()(invoke)
    } else if command == names::WILD {
        names::only_tauri(invoke)
    } else {
        runs::in_tauri::handler()(invoke)
    }
}

/// All groups, for tramline.
pub fn for_tramline() -> tramline::Commands {
    let mut all = arguments::in_tramline::commands();
    all.extend(results::in_tramline::commands());
    all.extend(errors::in_tramline::commands());
    all.extend(channels::in_tramline::commands());
    all.extend(runs::in_tramline::commands());
    all.extend(names::plugin_for_tramline());
    all
}
