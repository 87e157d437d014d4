//! What the two libraries call differently, under one name each.

use tauri::ipc::Invoke;
use tauri::test::MockRuntime;

/// Tauri's side.
pub mod in_tauri {
    pub use tauri::ipc::Channel;
    pub use tauri::{State, command};

    /// A result that is bytes and no JSON.
    pub type RawAnswer = tauri::ipc::Response;
    /// A parameter for a body that is bytes and no JSON.
    pub type RawBody<'a> = tauri::ipc::Request<'a>;
    /// What an `anyhow::Error` becomes.
    pub type Anyhow = tauri::ipc::InvokeError;

    /// Bytes as a result.
    pub fn raw_answer(bytes: Vec<u8>) -> RawAnswer {
        tauri::ipc::Response::new(bytes)
    }

    /// The bytes of a raw body.
    pub fn raw_body(body: RawBody<'_>) -> Vec<u8> {
        match body.body() {
            tauri::ipc::InvokeBody::Raw(bytes) => bytes.clone(),
            tauri::ipc::InvokeBody::Json(_) => Vec::new(),
        }
    }

    /// One message.
    pub fn send<T: serde::Serialize>(channel: &Channel<T>, value: T) -> Result<(), String> {
        channel.send(value).map_err(|e| e.to_string())
    }

    /// One message that is bytes.
    pub fn send_bytes(channel: &Channel<RawAnswer>, bytes: Vec<u8>) -> Result<(), String> {
        channel.send(raw_answer(bytes)).map_err(|e| e.to_string())
    }

    /// An `anyhow::Error` as an error value.
    pub fn from_anyhow(error: anyhow::Error) -> Anyhow {
        tauri::ipc::InvokeError::from_anyhow(error)
    }
}

/// tramline's side.
pub mod in_tramline {
    pub use tramline::{Channel, State, command};

    /// A result that is bytes and no structured value.
    pub type RawAnswer = tramline::Raw;
    /// A parameter for a body that is bytes and no structured value.
    pub type RawBody<'a> = tramline::Raw;
    /// What an `anyhow::Error` becomes.
    pub type Anyhow = String;

    /// Bytes as a result.
    pub fn raw_answer(bytes: Vec<u8>) -> RawAnswer {
        bytes.into()
    }

    /// The bytes of a raw body.
    pub fn raw_body(body: RawBody<'_>) -> Vec<u8> {
        body.0.to_vec()
    }

    /// One message.
    pub fn send<T: serde::Serialize>(channel: &Channel<T>, value: T) -> Result<(), String> {
        channel.send(&value).map_err(|e| e.to_string())
    }

    /// One message that is bytes.
    pub fn send_bytes(channel: &Channel<RawAnswer>, bytes: Vec<u8>) -> Result<(), String> {
        channel.send(&raw_answer(bytes)).map_err(|e| e.to_string())
    }

    /// An `anyhow::Error` as an error value.
    pub fn from_anyhow(error: anyhow::Error) -> Anyhow {
        format!("{error:#}")
    }
}

/// A command whose parameter has no name. tramline refuses it when it is compiled.
pub const WILD: &str = "wild";

#[tauri::command]
fn wild(_: u8) -> u8 {
    1
}

/// Commands that only Tauri's macro accepts.
pub fn only_tauri(invoke: Invoke<MockRuntime>) -> bool {
    let handler: fn(Invoke<MockRuntime>) -> bool = tauri::generate_handler![wild];
    handler(invoke)
}

/// The name of the plugin that both have; there it is part of a command's name.
pub const PLUGIN: &str = "files";

mod plugin_in_tauri {
    use crate::commands::types::Unmanaged;

    #[tauri::command]
    pub(super) fn scan(max_depth: u8) -> u8 {
        max_depth
    }

    #[tauri::command]
    pub(super) fn forget(state: tauri::State<'_, Unmanaged>) -> u8 {
        let _ = state;
        0
    }

    pub(super) fn build() -> tauri::plugin::TauriPlugin<tauri::test::MockRuntime> {
        tauri::plugin::Builder::new(super::PLUGIN)
            .invoke_handler(tauri::generate_handler![scan, forget])
            .build()
    }
}

mod plugin_in_tramline {
    use crate::commands::types::Unmanaged;

    #[tramline::command(rename = "plugin:files|scan")]
    pub(super) fn scan(max_depth: u8) -> u8 {
        max_depth
    }

    #[tramline::command(rename = "plugin:files|forget")]
    pub(super) fn forget(state: tramline::State<'_, Unmanaged>) -> u8 {
        let _ = state;
        0
    }

    pub(super) fn commands() -> tramline::Commands {
        tramline::commands![scan, forget]
    }
}

/// The plugin, for Tauri.
pub fn plugin_for_tauri() -> tauri::plugin::TauriPlugin<MockRuntime> {
    plugin_in_tauri::build()
}

/// The plugin's commands, for tramline.
pub fn plugin_for_tramline() -> tramline::Commands {
    plugin_in_tramline::commands()
}
