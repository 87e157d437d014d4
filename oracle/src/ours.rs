//! tramline's side: a server and a client for each codec, within this process.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use tramline::{
    Answer, AnyCodec, Capabilities, Client, DecodeError, FromAnswer, InvokeError, Running, Server,
};

use crate::cases::{Body, Case, Gate};
use crate::commands::types::Managed;
use crate::outcome::Outcome;

/// Turns a hang into a failure; nothing here takes a second.
const PATIENCE: Duration = Duration::from_secs(30);

/// The codecs every case runs in, by the names used in the table.
pub const CODECS: [(&str, AnyCodec); 2] =
    [("MessagePack", AnyCodec::MSGPACK), ("JSON", AnyCodec::JSON)];

/// A server with every command of the set for each gate, and their clients.
pub struct Ours {
    open: Side,
    greet: Side,
}

struct Side {
    clients: Vec<Client>,
    _server: Running,
}

impl Ours {
    /// Starts them.
    pub fn start() -> Self {
        Self {
            open: Side::start("mem:oracle-open", Capabilities::all()),
            greet: Side::start("mem:oracle-greet", Capabilities::none().command("greet")),
        }
    }

    /// The outcome of a case in each of [`CODECS`].
    pub fn call(&self, case: &Case) -> Vec<Outcome> {
        let side = match case.gate {
            Gate::Open => &self.open,
            Gate::Greet => &self.greet,
        };
        side.clients.iter().map(|client| call(client, &case.command, &case.body)).collect()
    }
}

impl Side {
    fn start(endpoint: &str, allowed: Capabilities) -> Self {
        let server = Server::new()
            .commands(crate::commands::for_tramline())
            .manage(Managed(41))
            .allow(allowed)
            .start(endpoint)
            .expect("a server within this process");
        let clients = CODECS
            .iter()
            .map(|(_, codec)| {
                Client::connect(endpoint).codec(*codec).wait().expect("a client of the server")
            })
            .collect();
        Self { clients, _server: server }
    }
}

/// One call.
pub fn call(client: &Client, command: &str, body: &Body) -> Outcome {
    let answered = match body {
        Body::Json(value) => client.invoke::<Seen, _>(command, value).timeout(PATIENCE).wait(),
        Body::Raw(bytes) => client.invoke_raw::<Seen>(command, bytes).timeout(PATIENCE).wait(),
    };
    match answered {
        Ok(seen) => seen.outcome(client.server().codec()),
        Err(error) => of_error(&error),
    }
}

/// The JSON view of an error.
fn of_error(error: &InvokeError) -> Outcome {
    match error {
        InvokeError::Rejected(rejection) => Outcome::error(&Value::String(rejection.to_string())),
        InvokeError::Failed(failure) => {
            let text = failure.value::<JsonText>();
            match text.map(|JsonText(text)| serde_json::from_str(&text)) {
                Ok(Ok(value)) => Outcome::error(&value),
                Ok(Err(e)) => Outcome::broken(e),
                Err(e) => Outcome::broken(e),
            }
        }
        other => Outcome::broken(other),
    }
}

/// An answer or a message, whatever it is.
pub enum Seen {
    /// A value.
    Value {
        /// As JSON.
        transcoded: String,
        /// As it came.
        body: Vec<u8>,
    },
    /// Bytes.
    Raw(Vec<u8>),
}

impl Seen {
    /// The same in words.
    pub fn outcome(&self, codec: AnyCodec) -> Outcome {
        match self {
            Self::Raw(bytes) => Outcome::raw(bytes),
            // JSON is shown as it came: not every number survives being read and written again.
            Self::Value { body, .. } if codec == AnyCodec::JSON => {
                Outcome::json(&String::from_utf8_lossy(body))
            }
            Self::Value { transcoded, .. } => Outcome::json(transcoded),
        }
    }
}

impl FromAnswer for Seen {
    fn from_answer(answer: Answer<'_>) -> Result<Self, DecodeError> {
        let body = answer.body().to_vec();
        match answer.decode::<JsonText>() {
            Ok(JsonText(transcoded)) => Ok(Self::Value { transcoded, body }),
            Err(e) if e.codec == "raw" => Ok(Self::Raw(body)),
            Err(e) => Err(e),
        }
    }
}

/// A value of any codec as JSON text, without a tree in between: that would widen `f32`, round
/// integers and sort keys.
#[derive(Debug)]
pub struct JsonText(pub String);

impl<'de> Deserialize<'de> for JsonText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut text = Vec::new();
        serde_transcode::transcode(deserializer, &mut serde_json::Serializer::new(&mut text))
            .map_err(serde::de::Error::custom)?;
        String::from_utf8(text).map(Self).map_err(serde::de::Error::custom)
    }
}
