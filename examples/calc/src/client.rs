//! The side that calls it.

use std::sync::mpsc;

use tramline::{Client, json};

use crate::server::Added;

pub(crate) async fn run(endpoint: &str) -> Result<(), tramline::Error> {
    let calc = Client::connect(endpoint).await?;

    let (announced, announcements) = mpsc::channel();
    calc.listen("added", move |event| {
        // The payload is read only if somebody wants it.
        let _ = announced.send(event.payload::<Added>());
    })
    .await?;

    let sum: i64 = calc.invoke("add", json!({ "a": 2, "b": 3 })).await?;
    println!("2 + 3 = {sum}");

    // The same call without async: `.wait()` blocks this thread.
    let sum: i64 = calc.invoke("add", json!({ "a": 40, "b": 2 })).wait()?;
    println!("40 + 2 = {sum}");

    // Events come on a thread of the connection, in the order in which they were emitted.
    for announcement in announcements.into_iter().take(2) {
        println!("event `added`: {}", announcement?.sum);
    }
    Ok(())
}
