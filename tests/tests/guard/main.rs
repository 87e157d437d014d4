//! Isolation: a guard between clients and the core, as a process of its own and as a layer.

mod ends;
mod layer;
mod messages;

use serde_json::{Value, json};
use tramline::{Client, InvokeError};
use tramline_tests::acl::{Settings, There};
use tramline_tests::{PATIENCE, Peer, Transport};

/// The test peer's program.
const PEER: &str = env!("CARGO_BIN_EXE_tramline-test-peer");

/// What every client but the one that controls the core may do.
fn rights() -> Settings {
    Settings::file(json!({
        "identifier": "all", "windows": ["*"],
        "permissions": [
            "core:default", "allow-greet", "allow-wipe", "allow-wipe-inline", "allow-wipe-async",
            { "identifier": "allow-read", "allow": [{ "path": "/srv/" }] }
        ]
    }))
}

/// A core that admits nobody but the guard, and the guard: both processes of their own.
struct Guarded {
    core: There,
    guard: Peer,
    endpoint: String,
}

impl Guarded {
    fn open(transport: Transport) -> Self {
        let program = std::path::Path::new(PEER).canonicalize().expect("it is built");
        let only = format!("executable {}", program.display());
        let admit = ["main", "nobody", ""].map(|label| (label.to_owned(), only.clone()));
        let core = Settings { admit: admit.into(), ..rights() }.serve(PEER, transport);
        let endpoint = transport.endpoint();
        let guard = Peer::ready(PEER, &["guard", &endpoint, &core.endpoint]);
        Self { core, guard, endpoint }
    }

    fn client(&self, label: &str) -> Client {
        let client = Client::connect(&self.endpoint).limits(tramline_tests::fixture::limits());
        client.label(label).wait().expect("the guard admits it")
    }
}

fn call(client: &Client, command: &str, args: Value) -> Result<Value, InvokeError> {
    client.invoke(command, args).timeout(PATIENCE).wait()
}

fn greet(client: &Client, name: &str) -> Result<Value, InvokeError> {
    call(client, "greet", json!({ "name": name }))
}

/// The words of a guard's refusal.
fn refused(result: Result<Value, InvokeError>) -> String {
    match result {
        Err(InvokeError::Rejected(tramline::Rejection::ByGuard { text })) => text.into(),
        other => panic!("not refused by the guard: {other:?}"),
    }
}
