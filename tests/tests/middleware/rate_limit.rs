//! Rates: so many calls. Per hour, so that no test waits for one.

use tramline::{Client, InvokeError, Rejection, json};
use tramline_tests::bounded;

use crate::{BETWEEN_PROCESSES, There};

fn call(client: &Client, command: &str) -> Result<(), String> {
    let args = json!({ "text": "x", "a": 1, "b": 2 });
    match client.invoke::<serde_json::Value, _>(command, args).wait() {
        Ok(_) => Ok(()),
        Err(InvokeError::Rejected(Rejection::OverQuota { text })) => Err(text.into()),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn calls_over_the_rate_are_refused_by_peer_and_by_command() {
    for transport in BETWEEN_PROCESSES {
        bounded(move || {
            let there = There::new(transport, "rate");
            let (one, other) = (there.client(), there.client());
            for client in [&one, &other] {
                for _ in 0..2 {
                    assert_eq!(call(client, "plain"), Ok(()));
                }
                // What the command's own rate refuses does not count for the peer.
                for _ in 0..10 {
                    let over = Err("over the rate of calls of this command".to_owned());
                    assert_eq!(call(client, "plain"), over);
                }
                for command in ["add", "later", "add"] {
                    assert_eq!(call(client, command), Ok(()));
                }
                assert_eq!(call(client, "add"), Err("over the rate of calls".to_owned()));
                assert!(client.ended().is_none());
            }
        });
    }
}
