//! Middleware of `tower`'s around a command of another process.

use std::time::Duration;

use futures_lite::future::{block_on, poll_once};
use tower::{Service, ServiceBuilder, ServiceExt};
use tramline::{CommandCall, InvokeError, json};
use tramline_tests::{Transport, bounded};

use crate::{BETWEEN_PROCESSES, There};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime")
}

#[test]
fn a_command_is_called_through_towers_layers() {
    for transport in BETWEEN_PROCESSES {
        bounded(move || {
            let there = There::new(transport, "none");
            let service = there.client().service::<String>();
            let mut service = ServiceBuilder::new()
                .concurrency_limit(2)
                .map_request(|text: &str| CommandCall::new("later", json!({ "text": text })))
                .service(service);
            block_on(async {
                let ready = service.ready().await.expect("the link lives");
                assert_eq!(ready.call("x").await.expect("answered"), "x");
            });
        });
    }
}

#[test]
fn a_time_limit_of_towers_cancels_the_command() {
    bounded(|| {
        let there = There::new(Transport::Shm, "log");
        let client = there.client();
        let limit = Duration::from_millis(1);
        let service = ServiceBuilder::new().timeout(limit).service(client.service::<()>());
        runtime().block_on(async {
            let ended = service.oneshot(CommandCall::new("waits", json!({}))).await;
            assert!(ended.expect_err("it never ends").is::<tower::timeout::error::Elapsed>());
        });
        // The command has ended: its token was cancelled.
        tramline_tests::eventually("the command has ended", || {
            tramline_tests::layers::seen(&client)
                .iter()
                .any(|line| line == "outer Handle waits: ok")
        });
    });
}

#[test]
fn a_concurrency_limit_of_towers_holds_calls_back() {
    bounded(|| {
        let there = There::new(Transport::Shm, "none");
        let mut service =
            ServiceBuilder::new().concurrency_limit(1).service(there.client().service::<()>());
        block_on(async {
            let waits = || CommandCall::new("waits", json!({}));
            let free = ServiceExt::<CommandCall<serde_json::Value>>::ready;
            let mut first = Box::pin(free(&mut service).await.expect("free").call(waits()));
            assert!(poll_once(&mut first).await.is_none());
            let mut second = service.clone();
            let mut ready = Box::pin(free(&mut second));
            assert!(poll_once(&mut ready).await.is_none());
            drop(first);
            ready.await.expect("free again");
        });
    });
}

#[test]
fn a_service_whose_connection_is_over_is_not_ready() {
    bounded(|| {
        let there = There::new(Transport::Shm, "none");
        let client = there.client();
        let mut service = client.service::<()>();
        client.close();
        let ready = ServiceExt::<CommandCall<()>>::ready(&mut service);
        let error = block_on(ready).map(|_| ()).expect_err("closed");
        assert!(matches!(error, InvokeError::Send(_)), "{error:?}");
    });
}
