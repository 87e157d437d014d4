//! Counters and histograms.

use std::collections::BTreeMap;

use serde_json::Value;
use tramline::json;
use tramline::layer::Metrics;
use tramline_tests::layers::Recorded;
use tramline_tests::{bounded, eventually};

use crate::{BETWEEN_PROCESSES, There};

/// What is counted apart from the command that tells of it.
fn without_telling(all: BTreeMap<String, u64>) -> Vec<(String, u64)> {
    all.into_iter().filter(|(name, _)| !name.contains("recorded")).collect()
}

#[test]
fn calls_events_drops_and_bytes_are_counted_under_registered_names() {
    for transport in BETWEEN_PROCESSES {
        bounded(move || {
            let there = There::new(transport, "metrics");
            let client = there.client();
            let args = json!({ "a": 1, "b": 2, "text": "x" });
            for command in ["add", "add", "plain", "later", "fails", "panics", "no_such_command"] {
                let _ = client.invoke::<Value, _>(command, &args).wait();
            }
            let call = client.invoke::<Value, _>("add", &args).header("refused-by", "inner");
            call.wait().expect_err("refused");
            client.emit("up", "payload").expect("room");
            client.emit("refused", "payload").expect("room");
            client.emit("nobody_listens", "payload").expect("room");
            client.emit_raw("up", &[7; 5000]).expect("room");
            let expected = [
                ("tramline_call_duration_seconds{side=server,command=add}", 3),
                ("tramline_call_duration_seconds{side=server,command=fails}", 1),
                ("tramline_call_duration_seconds{side=server,command=later}", 1),
                ("tramline_call_duration_seconds{side=server,command=panics}", 1),
                ("tramline_call_duration_seconds{side=server,command=plain}", 1),
                ("tramline_calls_total{side=server,command=add,code=capability-denied}", 1),
                ("tramline_calls_total{side=server,command=add,code=ok}", 2),
                ("tramline_calls_total{side=server,command=fails,code=command-failed}", 1),
                ("tramline_calls_total{side=server,command=later,code=ok}", 1),
                ("tramline_calls_total{side=server,command=panics,code=handler-panicked}", 1),
                ("tramline_calls_total{side=server,command=plain,code=ok}", 1),
                ("tramline_drops_total{way=deliver,code=capability-denied}", 1),
                ("tramline_events_total{way=deliver}", 2),
            ];
            let recorded = || {
                let all: BTreeMap<String, u64> =
                    client.invoke("recorded", json!({})).wait().expect("answered");
                all
            };
            let counts = || {
                let mut all = without_telling(recorded());
                all.retain(|(name, _)| !name.contains("bytes"));
                all
            };
            let expected: Vec<_> =
                expected.iter().map(|&(name, count)| (name.to_owned(), count)).collect();
            let mut last = Vec::new();
            eventually("all of it is counted", || {
                last = counts();
                last.len() >= expected.len() && last == expected
            });
            assert_eq!(last, expected);
            let bytes = recorded()["tramline_received_bytes_total{way=deliver}"];
            assert!((5016..5100).contains(&bytes), "{bytes}");
        });
    }
}

#[test]
fn a_client_counts_without_the_names_it_was_told() {
    bounded(|| {
        let there = There::new(tramline_tests::Transport::Shm, "none");
        let client = there.connect().layer(Metrics).wait().expect("it serves");
        let recorded: &'static Recorded = Box::leak(Box::default());
        metrics::with_local_recorder(&recorded, || {
            let args = json!({ "a": 1, "b": 2 });
            client.invoke::<i64, _>("add", &args).wait().expect("answered");
            client.invoke::<(), _>("fails", &args).wait().expect_err("fails");
            client.emit("up", "payload").expect("room");
        });
        let expected = [
            ("tramline_call_duration_seconds{side=client}", 2),
            ("tramline_calls_total{side=client,code=command-failed}", 1),
            ("tramline_calls_total{side=client,code=ok}", 1),
            ("tramline_events_total{way=emit}", 1),
        ];
        let expected = expected.map(|(name, count)| (name.to_owned(), count));
        assert_eq!(recorded.all(), BTreeMap::from(expected));
    });
}
