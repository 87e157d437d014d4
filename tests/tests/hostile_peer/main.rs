//! A hostile process against a real one. `tramline-hostile-peer --list` names the attacks.
//!
//! Every test: the attacked connection ends, or is refused, with one typed error that says what
//! and where; the victim gets no signal, does not exit, serves an honest client after each variant,
//! and holds nothing more than before in the end.
#![cfg(target_os = "linux")]

mod channels;
mod clients;
mod events;
mod handshakes;
mod messages;
mod offers;
mod records;
mod traffic;
mod words;

use tramline_tests::victim::{Caller, Variant, Victim};
use tramline_tests::{Peer, bounded};

const VICTIM: &str = env!("CARGO_BIN_EXE_tramline-victim");
const HOSTILE: &str = env!("CARGO_BIN_EXE_tramline-hostile-peer");

/// The smallest rings and messages: limits are reached soon.
const SMALL: [&str; 2] = ["ring=65536", "message=65536"];

/// The same with one thread for all connections.
const SHARED: [&str; 3] = ["ring=65536", "message=65536", "threads=1"];

/// Performs an attack on a server that speaks shared memory only.
fn attack(name: &'static str, check: impl FnMut(&Variant) + Send + 'static) {
    attack_with("shm", &SMALL, name, check);
}

fn attack_with(
    scheme: &'static str,
    settings: &'static [&'static str],
    name: &'static str,
    check: impl FnMut(&Variant) + Send + 'static,
) {
    bounded(move || {
        let mut victim = Victim::serve(VICTIM, scheme, settings);
        victim.suffer(HOSTILE, name, check);
        victim.assert_unharmed();
    });
}

/// Performs an attack on a client.
fn attack_client(
    settings: &'static [&'static str],
    name: &'static str,
    check: impl FnMut(&Variant) + Send + 'static,
) {
    bounded(move || {
        let mut caller = Caller::start(VICTIM, settings);
        caller.suffer(HOSTILE, name, check);
        caller.assert_unharmed();
    });
}

/// Asserts that the peer hung up or died; nothing else was wrong.
fn assert_left(variant: &Variant) {
    let code = variant.report.code.as_str();
    assert!(["peer-died", "link-closed"].contains(&code), "{variant:?}");
}

/// The number in the fact that ends with `what`.
fn number(variant: &Variant, what: &str) -> u64 {
    let fact = variant.facts.iter().find_map(|fact| fact.strip_suffix(what));
    let fact = fact.unwrap_or_else(|| panic!("no {what} in {variant:?}"));
    fact.trim().parse().expect("a number")
}

#[test]
fn every_attack_of_the_hostile_program_is_performed() {
    let suite = [
        include_str!("channels.rs"),
        include_str!("clients.rs"),
        include_str!("events.rs"),
        include_str!("handshakes.rs"),
        include_str!("messages.rs"),
        include_str!("offers.rs"),
        include_str!("records.rs"),
        include_str!("traffic.rs"),
        include_str!("words.rs"),
    ]
    .concat();
    let program = Peer::spawn(HOSTILE, &["--list"]);
    let mut count = 0;
    while let Some(line) = program.line() {
        let name = line.split(' ').next().expect("a name");
        assert!(suite.contains(&format!("\"{name}\"")), "nobody performs {name}");
        count += 1;
    }
    assert!(count >= 25, "{count} attacks");
    assert!(program.exit().success());
}
