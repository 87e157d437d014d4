//! The expansion adds no warnings to a program that asks for many. Clippy reads this file with
//! warnings denied.

#![forbid(missing_docs, missing_debug_implementations, nonstandard_style, unused)]
#![deny(unreachable_pub, unnameable_types, rust_2018_idioms, clippy::all, clippy::pedantic)]

use tramline::{Raw, State, command, commands};

/// Commands that are exported.
pub mod exported {
    use tramline::{Peer, command};

    /// Takes what is injected and what is borrowed.
    #[command]
    pub fn borrow(peer: Peer, text: &str, bytes: Option<&[u8]>) -> usize {
        text.len() + bytes.map_or(0, <[u8]>::len) + peer.transport().len()
    }

    /// Waits for nothing.
    #[command]
    pub async fn soon(first_name: String) -> usize {
        first_name.len()
    }
}

#[command(inline)]
fn nothing() {}

#[command]
fn by_value(text: String, flag: bool, raw: Raw, count: State<'_, u32>) -> Result<usize, String> {
    if flag { Ok(text.len() + raw.0.len() + *count as usize) } else { Err(text.clone()) }
}

#[command]
async fn unit_later(mut count: u32) {
    count += 1;
    let _ = count;
}

#[test]
fn expansion_is_quiet_under_strict_lints() {
    let all = commands![nothing, by_value, unit_later, exported::borrow, exported::soon];
    assert_eq!(all.into_entries().count(), 5);
}
