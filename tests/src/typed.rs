//! A server whose types all codecs can carry, also those whose bytes do not tell what they are.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use tramline::{Capabilities, Commands, Peer, Postcard, Raw, Server, State, command, commands};

use crate::commands::Token;

/// A struct with a bit of everything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "made up")]
pub struct Item {
    pub id: u64,
    pub name: String,
    pub price: f32,
    pub ratio: f64,
    pub tags: Vec<String>,
    #[serde(with = "serde_bytes")]
    pub blob: Vec<u8>,
    pub at: Option<IpAddr>,
    pub by_id: BTreeMap<u32, Shape>,
}

/// An enum with every kind of variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "made up")]
pub enum Shape {
    Point,
    Circle(f64),
    Line(i32, i32),
    Box { width: u32, height: u32, label: Option<char> },
}

/// What a typed command fails with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "made up")]
pub enum Refusal {
    Unknown { id: u64 },
    Busy,
}

/// An item with something in every field.
#[must_use]
pub fn item(id: u64) -> Item {
    Item {
        id,
        name: "näme \"quoted\"\n".into(),
        price: 0.1,
        ratio: -0.0,
        tags: vec!["a".into(), String::new()],
        blob: vec![0, 255, 1],
        at: Some([127, 0, 0, 1].into()),
        by_id: [
            (1, Shape::Point),
            (2, Shape::Circle(1.5)),
            (3, Shape::Line(-1, 1)),
            (u32::MAX, Shape::Box { width: 1, height: 2, label: Some('ß') }),
        ]
        .into(),
    }
}

#[command(inline)]
fn echo_item(item: Item) -> Item {
    item
}

#[command]
fn echo_number(number: i64) -> i64 {
    number
}

#[command]
fn join(left: &str, bytes: &[u8], right: Option<&str>, times: Option<u8>) -> String {
    let right = right.unwrap_or("-");
    format!("{left}{right}{bytes:?}").repeat(times.unwrap_or(1).into())
}

#[command]
async fn find_later(id: u64) -> Result<Item, Refusal> {
    blocking::unblock(move || match id {
        0 => Err(Refusal::Busy),
        1 => Ok(item(1)),
        id => Err(Refusal::Unknown { id }),
    })
    .await
}

#[command(inline)]
fn token_text(token: State<'_, Token>, prefix: &str) -> String {
    format!("{prefix}{}", token.inner().0)
}

#[command]
fn nothing() {}

#[command]
fn panics_typed() -> u8 {
    panic!("{}", crate::commands::ON_PURPOSE);
}

#[command]
fn raw_len(body: Raw) -> usize {
    body.0.len()
}

/// A result that can only be written.
#[command(inline)]
fn fixed_text() -> &'static str {
    "fixed"
}

#[command]
fn emit_item(event: String, id: u64, peer: Peer) -> Result<(), String> {
    peer.emit(&event, &item(id)).map_err(|e| e.to_string())
}

/// All of them.
#[must_use]
pub fn typed_commands() -> Commands {
    commands![
        echo_item,
        echo_number,
        join,
        find_later,
        token_text,
        nothing,
        panics_typed,
        raw_len,
        fixed_text,
        emit_item,
    ]
}

/// Their server.
#[must_use]
pub fn serve(server: Server) -> Server {
    server
        .commands(typed_commands())
        .manage(Token("managed"))
        .allow(Capabilities::all())
        .codec::<Postcard>()
        .listen("item", |event| {
            if let Ok(item) = event.payload::<Item>() {
                let _ = event.peer().emit("item-back", &item);
            }
        })
}
