//! Many processes at once. `TRAMLINE_STRESS_SECONDS` makes it longer than its default of 4 s each.

use tramline_tests::fixture::{Transport, limits, serve_there};
use tramline_tests::stress::Summary;
use tramline_tests::{PATIENCE, Peer};

const PEER: &str = env!("CARGO_BIN_EXE_tramline-test-peer");

fn run(transport: Transport, clients: u64) {
    let seconds = std::env::var("TRAMLINE_STRESS_SECONDS").unwrap_or_else(|_| "4".into());
    let endpoint = transport.endpoint();
    let _server = serve_there(PEER, &endpoint, &limits());
    let clients: Vec<_> = (1..=clients)
        .map(|seed| Peer::spawn(PEER, &["stress", &endpoint, &seed.to_string(), &seconds]))
        .collect();
    let wait = PATIENCE + std::time::Duration::from_secs(seconds.parse().expect("seconds"));
    let count = clients.len();
    let mut total = Summary::default();
    for client in clients {
        let line = client.line_within(wait).expect("a summary, not the end");
        let one: Summary = serde_json::from_str(&line).expect("a summary");
        assert!(client.exit().success());
        total.calls += one.calls;
        total.up += one.up;
        total.down += one.down;
        total.bytes += one.bytes;
    }
    println!(
        "{transport:?}: {count} clients, {} calls, {} events up, {} down, {} MiB sent, all right",
        total.calls,
        total.up,
        total.down,
        total.bytes >> 20
    );
    assert!(total.calls > 0 && total.up > 0 && total.down > 0);
}

#[test]
fn no_message_is_lost_doubled_damaged_or_reordered() {
    // One after the other: each is to have the machine for itself.
    run(Transport::Shm, 8);
    run(Transport::Pipe, 4);
}
