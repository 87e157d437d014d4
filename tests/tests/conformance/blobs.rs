//! Bodies that are handed over where the transport can, and copied where it cannot: the program that
//! uses them does not care.

use std::sync::mpsc::channel;
use std::thread;

use async_executor::LocalExecutor;
use futures_lite::future::block_on;
use tramline::{BodyKind, InvokeError, Raw, SealedBlob, SendError, json};
use tramline_tests::commands::lies_in_a_memory_file;
use tramline_tests::{PATIENCE, Setup, Transport, conformance};

conformance! {
    blob_reaches_the_handler_without_a_copy_where_that_is_possible,
    blob_is_a_result_of_every_kind_of_command,
    blob_is_an_event_payload_both_ways,
    blobs_and_values_are_answered_in_any_mixture,
    awaited_calls_hand_over_too,
    small_and_empty_blobs_arrive,
    blob_over_the_limit_is_refused_and_the_link_lives,
    blob_where_a_value_is_expected_is_a_bad_argument,
}

const LEN: usize = 300_000;

fn blob(len: usize, seed: u8) -> SealedBlob {
    SealedBlob::write_with(len, |bytes| {
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = (at ^ (at >> 8)).to_le_bytes()[0] ^ seed;
        }
    })
    .expect("a blob")
}

/// Whether bodies are handed over at all.
fn handed_over(setup: &Setup) -> bool {
    let shm = matches!(setup.transport, Transport::Shm | Transport::ShmShared);
    cfg!(target_os = "linux") && shm
}

fn blob_reaches_the_handler_without_a_copy_where_that_is_possible(setup: &Setup) {
    let f = setup.open();
    for command in ["lies_in_pages", "lies_in_pages_inline", "lies_in_pages_async"] {
        for seed in 0..3 {
            let blob = blob(LEN, seed);
            let call = f.client.invoke_raw::<(bool, u64)>(command, &blob);
            let (in_pages, sum) = call.timeout(PATIENCE).wait().expect("answered");
            assert_eq!(in_pages, handed_over(setup), "{command}");
            assert_eq!(sum, blob.iter().map(|byte| u64::from(*byte)).sum::<u64>());
        }
        let plain = f.client.invoke_raw::<(bool, u64)>(command, vec![1; LEN]).wait();
        assert_eq!(plain.expect("answered"), (false, LEN as u64));
    }
}

fn blob_is_a_result_of_every_kind_of_command(setup: &Setup) {
    let f = setup.open();
    for command in ["sealed", "sealed_inline", "sealed_async"] {
        let args = json!({ "len": LEN, "fill": 7 });
        let call = f.client.invoke::<Raw, _>(command, args).timeout(PATIENCE);
        let Raw(body) = call.wait().expect("bytes");
        assert!(body == vec![7; LEN], "{command}");
        assert_eq!(lies_in_a_memory_file(&body), handed_over(setup), "{command}");
    }
    let refused = f.client.invoke::<Raw, _>("sealed", json!({ "len": -1, "fill": 7 })).wait();
    assert_eq!(refused.expect_err("no length").code(), "bad-arguments");
}

fn blob_is_an_event_payload_both_ways(setup: &Setup) {
    let f = setup.open();
    let (sent, came) = channel();
    let listener = move |event: tramline::Event<'_>| {
        sent.send((event.body_kind(), event.to_bytes())).expect("the test waits");
    };
    f.client.listen("raw", listener).wait().expect("allowed");
    for _ in 0..3 {
        let args = json!({ "event": "raw", "len": LEN });
        f.client.invoke::<(), _>("emit_sealed", args).wait().expect("emitted");
        let (kind, body) = came.recv_timeout(PATIENCE).expect("it came");
        assert!(kind == BodyKind::Raw && body == vec![9; LEN]);
        assert_eq!(lies_in_a_memory_file(&body), handed_over(setup));
    }
    let (sent, came) = channel();
    let listener = move |event: tramline::Event<'_>| {
        sent.send(event.payload::<(bool, u64)>().ok()).expect("the test waits");
    };
    f.client.listen("down", listener).wait().expect("allowed");
    for seed in 0..3 {
        let blob = blob(LEN, seed);
        f.client.emit_raw("raw", &blob).expect("emitted");
        let heard = came.recv_timeout(PATIENCE).expect("it came");
        let sum = blob.iter().map(|byte| u64::from(*byte)).sum();
        assert_eq!(heard, Some((handed_over(setup), sum)));
    }
}

fn blobs_and_values_are_answered_in_any_mixture(setup: &Setup) {
    let f = setup.open();
    thread::scope(|scope| {
        for number in 0..4_u8 {
            let client = &f.client;
            scope.spawn(move || {
                let blob = blob(50_000, number);
                for i in 0..60_i64 {
                    let echo = client.invoke_raw::<Raw>("echo_raw", &blob).timeout(PATIENCE);
                    assert!(echo.wait().expect("bytes").0 == blob[..]);
                    let args = json!({ "a": i, "b": number });
                    let sum: i64 = client.invoke("add", args).wait().expect("a sum");
                    assert_eq!(sum, i + i64::from(number));
                    let args = json!({ "len": 1000 + i, "fill": number });
                    let call = client.invoke::<Raw, _>("sealed", args).timeout(PATIENCE);
                    let len = usize::try_from(1000 + i).expect("small");
                    assert!(call.wait().expect("bytes").0 == vec![number; len]);
                }
            });
        }
    });
}

fn awaited_calls_hand_over_too(setup: &Setup) {
    let f = setup.open();
    let executor = LocalExecutor::new();
    let tasks: Vec<_> = (0..16_u8)
        .map(|number| {
            let client = &f.client;
            executor.spawn(async move {
                // Only one can be in flight; the others wait for room.
                let blob = blob(LEN, number);
                let call = client.invoke_raw::<(bool, u64)>("lies_in_pages", &blob);
                let (in_pages, sum) = call.timeout(PATIENCE).await.expect("answered");
                (in_pages, sum == blob.iter().map(|byte| u64::from(*byte)).sum::<u64>())
            })
        })
        .collect();
    block_on(executor.run(async {
        for task in tasks {
            assert_eq!(task.await, (handed_over(setup), true));
        }
    }));
}

fn small_and_empty_blobs_arrive(setup: &Setup) {
    let f = setup.open();
    for len in [0, 1, 4095, 4096, 4097] {
        let found = f.client.invoke_raw::<usize>("raw_length", blob(len, 3)).wait();
        assert_eq!(found.expect("answered"), len);
        let args = json!({ "len": len, "fill": 1 });
        let Raw(body) = f.client.invoke("sealed", args).wait().expect("bytes");
        assert_eq!(body, vec![1; len]);
    }
}

fn blob_over_the_limit_is_refused_and_the_link_lives(setup: &Setup) {
    let f = setup.open();
    let max = tramline_tests::fixture::limits().max_message_len;
    let name_and_head = 16 + "raw_length".len();
    let fits = SealedBlob::builder(max - name_and_head).and_then(|b| b.seal()).expect("a blob");
    let len: usize = f.client.invoke_raw("raw_length", fits).wait().expect("just fits");
    assert_eq!(len, max - name_and_head);
    let over = SealedBlob::builder(max - name_and_head + 1).and_then(|b| b.seal()).expect("a blob");
    let refused = f.client.invoke_raw::<usize>("raw_length", &over).wait();
    assert!(
        matches!(&refused, Err(InvokeError::Send(SendError::TooLarge { max: m, .. })) if *m == max),
        "{refused:?}"
    );
    let refused = f.client.invoke::<Raw, _>("sealed", json!({ "len": max, "fill": 0 })).wait();
    assert_eq!(refused.expect_err("too long").code(), "result-too-large");
    let sum: i64 = f.client.invoke("add", json!({ "a": 1, "b": 2 })).wait().expect("it lives");
    assert_eq!(sum, 3);
}

fn blob_where_a_value_is_expected_is_a_bad_argument(setup: &Setup) {
    let f = setup.open();
    let refused = f.client.invoke_raw::<i64>("add", &blob(100, 1)).wait();
    assert_eq!(refused.expect_err("no arguments").code(), "bad-arguments");
    let wrong = f.client.invoke::<String, _>("sealed", json!({ "len": 5, "fill": 1 })).wait();
    assert_eq!(wrong.expect_err("not structured").code(), "decode-failed");
}
