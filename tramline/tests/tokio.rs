//! The tokio adapter: async commands run on the runtime the server was made in.

#![cfg(feature = "tokio")]

use std::time::Duration;

use tramline::{Capabilities, Client, Server, command, commands, json};

#[command]
async fn nap(ms: u64) -> u64 {
    tokio::time::sleep(Duration::from_millis(ms)).await;
    ms
}

#[tokio::test]
async fn async_commands_run_on_the_servers_tokio_runtime() -> Result<(), tramline::Error> {
    let endpoint = format!("auto:tokio-{}", std::process::id());
    let server = Server::new()
        .commands(commands![nap])
        .allow(Capabilities::all())
        .on_tokio()
        .start(&endpoint)?;
    let client = Client::connect(&endpoint).await?;
    let naps = (0..20).map(|ms| {
        let client = client.clone();
        tokio::spawn(async move { client.invoke::<u64, _>("nap", json!({ "ms": ms })).await })
    });
    for (ms, nap) in naps.enumerate().collect::<Vec<_>>() {
        let answer = nap.await.expect("the task ran");
        assert_eq!(answer?, ms as u64);
    }
    tokio::task::spawn_blocking(move || server.stop()).await.expect("the server stopped");
    Ok(())
}
