//! Spans that follow a call across processes.

use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tramline::layer::Tracing;
use tramline::{Client, json};
use tramline_tests::fixture::limits;
use tramline_tests::layers::{serve_there, subscriber};
use tramline_tests::{Peer, bounded};

use crate::{BETWEEN_PROCESSES, PEER, There};

/// Keeps what a subscriber writes.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A span that has ended.
#[derive(Debug)]
struct Ended(Value);

impl Ended {
    fn read(line: &str) -> Self {
        Self(serde_json::from_str::<Value>(line).expect("a line of JSON")["span"].take())
    }

    /// The next one that a process prints.
    fn of(peer: &Peer) -> Self {
        Self::read(&peer.line().expect("it runs"))
    }

    fn get(&self, field: &str) -> &str {
        self.0[field].as_str().unwrap_or_else(|| panic!("no {field}: {self:?}"))
    }
}

/// Runs with a subscriber on this thread; the spans that have ended.
fn traced(work: impl FnOnce()) -> Vec<Ended> {
    let kept = Kept::default();
    let writer = kept.clone();
    tracing::subscriber::with_default(subscriber(move || writer.clone()), work);
    let text = String::from_utf8(kept.0.lock().expect("no panic").clone()).expect("text");
    text.lines().map(Ended::read).collect()
}

#[test]
fn the_trace_is_the_same_in_both_processes() {
    for transport in BETWEEN_PROCESSES {
        bounded(move || {
            let there = There::new(transport, "traced");
            let client = there.connect().layer(Tracing).wait().expect("it serves");
            for (command, code) in
                [("add", "ok"), ("plain", "ok"), ("later", "ok"), ("fails", "command-failed")]
            {
                let here = traced(|| {
                    let args = json!({ "a": 1, "b": 2, "text": "x" });
                    let _ = client.invoke::<Value, _>(command, args).wait();
                });
                let [here] = &here[..] else { panic!("{here:?}") };
                let there = Ended::of(&there.peer);
                for (span, name) in [(here, "tramline.invoke"), (&there, "tramline.handle")] {
                    assert_eq!(span.get("name"), name);
                    assert_eq!((span.get("command"), span.get("code")), (command, code));
                    assert_eq!(span.get("trace_id").len(), 32);
                }
                assert_eq!((here.get("peer"), there.get("peer")), ("served", "caller"));
                assert_eq!(here.get("trace_id"), there.get("trace_id"));
                assert_eq!(here.get("span_id"), there.get("parent_id"));
                assert_ne!(here.get("span_id"), there.get("span_id"));
                assert!(here.0.get("parent_id").is_none(), "{here:?}");
            }
        });
    }
}

#[test]
fn a_command_that_calls_on_continues_the_trace_of_its_caller() {
    bounded(|| {
        let last = There::new(tramline_tests::Transport::Shm, "traced");
        let transport = tramline_tests::Transport::Pipe;
        let (middle, endpoint) = serve_there(PEER, transport, "traced", Some(&last.endpoint));
        let client = Client::connect(&endpoint).limits(limits()).layer(Tracing);
        let client = client.wait().expect("it serves");
        let first = traced(|| {
            let headers: Vec<(String, String)> =
                client.invoke("calls_on", json!({})).wait().expect("answered");
            assert_eq!(headers.len(), 1, "{headers:?}");
        });
        let onward = Ended::of(&middle);
        let handled = Ended::of(&middle);
        let last = Ended::of(&last.peer);
        assert_eq!(
            (onward.get("name"), handled.get("name")),
            ("tramline.invoke", "tramline.handle")
        );
        for span in [&onward, &handled, &last] {
            assert_eq!(span.get("trace_id"), first[0].get("trace_id"));
        }
        assert_eq!(handled.get("parent_id"), first[0].get("span_id"));
        assert_eq!(onward.get("parent_id"), handled.get("span_id"));
        assert_eq!(last.get("parent_id"), onward.get("span_id"));
    });
}

#[test]
fn without_a_subscriber_no_header_is_sent() {
    bounded(|| {
        let there = There::new(tramline_tests::Transport::Shm, "none");
        let client = there.connect().layer(Tracing).wait().expect("it serves");
        let call = || client.invoke::<Vec<(String, String)>, _>("headers", json!({}));
        assert_eq!(call().wait().expect("answered"), []);
        let mut headers = Vec::new();
        traced(|| headers = call().wait().expect("answered"));
        assert_eq!(headers.len(), 1);
        assert_eq!(headers[0].0, "traceparent");
    });
}

#[test]
fn what_a_peer_sends_as_a_trace_is_believed_only_if_it_is_one() {
    bounded(|| {
        let there = There::new(tramline_tests::Transport::Shm, "traced");
        let client = there.client();
        let call = |trace: &str| {
            let call = client.invoke::<i64, _>("add", json!({ "a": 1, "b": 2 }));
            call.header("traceparent", trace).wait().expect("answered");
            Ended::of(&there.peer)
        };
        for wrong in ["", "nonsense", &"é".repeat(20_000), "00-0-0-0", "00-\n\0-\u{1b}[31m"] {
            let span = call(wrong);
            assert!(span.0.get("parent_id").is_none(), "{span:?}");
            assert_eq!(span.get("trace_id").len(), 32);
        }
        let span = call("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        assert_eq!(span.get("trace_id"), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(span.get("parent_id"), "b7ad6b7169203331");
    });
}
