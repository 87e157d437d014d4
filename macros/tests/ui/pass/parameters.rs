use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Mutex;

use serde::Deserialize;
use tramline::{Channel, ChannelReader, Peer, Raw, State, command, commands};

#[derive(Deserialize)]
struct Point {
    x: i32,
}

#[derive(Deserialize)]
struct Borrowing<'a> {
    name: Cow<'a, str>,
}

#[command]
fn owned(point: Point, many: Vec<Point>, map: HashMap<String, Option<u8>>) -> i32 {
    point.x + many.len() as i32 + map.len() as i32
}

#[command]
fn borrowed(text: &str, bytes: &[u8], maybe: Option<&str>, perhaps: std::option::Option<&[u8]>) {
    let _ = (text, bytes, maybe, perhaps);
}

#[command]
async fn borrowed_later(text: &str, bytes: &[u8], maybe: Option<&str>) -> usize {
    std::future::ready(()).await;
    text.len() + bytes.len() + maybe.map_or(0, str::len)
}

#[command]
fn injected(count: State<'_, Mutex<u32>>, elided: State<u64>, peer: Peer, raw: Raw) -> u32 {
    let _ = (elided, raw, peer.id());
    *count.lock().unwrap()
}

#[command]
async fn injected_later(count: State<'_, Mutex<u32>>, peer: Peer, raw: Raw) -> u32 {
    std::future::ready(()).await;
    let _ = (raw, peer);
    *count.lock().unwrap()
}

#[command]
fn streams(to: Channel<Raw>, text: Channel<str>, from: ChannelReader<Point>) -> usize {
    let _ = (to.send_raw(b"x"), text.send("x"));
    from.into_iter().count()
}

#[command]
async fn streams_later(to: Channel<(u32, String)>, mut from: ChannelReader<Raw>) {
    while let Some(Ok(_)) = from.recv_async().await {
        let _ = to.send_async(&(1, String::new())).await;
    }
}

#[command]
fn lifetimes<'a, 'b: 'a>(
    text: &'a str,
    held: State<'b, String>,
    inner: Borrowing<'a>,
    fixed: Cow<'static, str>,
) -> &'a str {
    let _ = (inner.name, fixed);
    if text.is_empty() { held.inner() } else { text }
}

#[command]
async fn lifetimes_later<'a>(text: &'a str, held: State<'a, String>) -> Result<&'a str, &'a str> {
    std::future::ready(()).await;
    if text.is_empty() { Err(held.inner()) } else { Ok(text) }
}

#[derive(Deserialize)]
struct Size(u32, u32);

#[command]
fn taken_apart(Point { x }: Point, Size(width, _): Size) -> i32 {
    x + width as i32
}

type Callback = Box<dyn Fn(&str) -> usize + Send + Sync>;

#[command]
fn managed(
    boxed: State<'_, Callback>,
    pointer: State<'_, for<'x> fn(&'x str) -> &'x str>,
    constant: State<'_, &'static str>,
) -> usize {
    (*boxed)((*pointer)(*constant))
}

// A type that a macro hands on is wrapped where nobody sees it.
macro_rules! define {
    ($name:ident, $text:ty, $optional:ty) => {
        #[command]
        fn $name(text: $text, optional: $optional) {
            let _ = (text, optional);
        }
    };
}
define!(from_macro, &str, Option<&[u8]>);

#[command]
#[allow(clippy::too_many_arguments)]
fn twelve(
    a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8, j: u8, k: u8, l: u8,
) -> [u8; 12] {
    [a, b, c, d, e, f, g, h, i, j, k, l]
}

fn main() {
    let all = commands![
        owned, borrowed, borrowed_later, injected, injected_later, lifetimes, lifetimes_later,
        managed, from_macro, streams, streams_later, taken_apart, twelve,
    ];
    assert_eq!(all.into_entries().count(), 13);
}
