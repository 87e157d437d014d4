//! A program with a sidecar: a second program of its own that does part of the work, and may die of it.
//!
//! `cargo build -p example-sidecar && cargo run -p example-sidecar`: the first builds both programs, the
//! second one starts this one, which starts the other. That one is `src/bin/example-sidecar-worker.rs`,
//! and what they say to each other is in `src/lib.rs`.

#![forbid(unsafe_code)]

use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};

use example_sidecar::{Brightness, Progress, SIDECAR, Status};
use futures_lite::future::block_on;
use tramline::{InvokeError, LinkError, Raw, Sidecar};

/// Three rows.
const PICTURE: [u8; 12] = [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 250];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = format!("{SIDECAR}{}", std::env::consts::EXE_SUFFIX);
    let program = std::env::current_exe()?.with_file_name(file);
    block_on(run(&program))
}

async fn run(program: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let (sidecar, progress) = start(program).await?;

    // An event is an order without an answer. It arrives before the call behind it.
    sidecar.emit("brightness", &Brightness { by: 5 })?;
    let bright: Raw = sidecar.invoke_raw("brighten", PICTURE.to_vec()).await?;
    println!("{:?}", &bright.0[..]);
    for progress in progress.iter().take(3) {
        println!("row {} is done", progress?.row);
    }

    // A picture that kills it. Whether the command has run is unknown, and nobody sends it again:
    // only this program knows whether it may run twice.
    let lost = sidecar.invoke_raw::<Raw>("brighten", Vec::new()).await;
    match lost {
        Err(InvokeError::OutcomeUnknown(LinkError::PeerDied)) => println!("the sidecar has died"),
        other => return Err(format!("it should have died: {other:?}").into()),
    }
    // It is gone for good, and says so at once.
    let refused = sidecar.invoke::<Status, _>("status", ()).await;
    println!("after that: {}", refused.map_or_else(|e| e.code().to_owned(), |_| "alive".into()));
    drop(sidecar);

    // Another one, which knows nothing of the first: what it has to be told, it is told again.
    let (sidecar, _progress) = start(program).await?;
    let Status { pictures, brightness } = sidecar.invoke("status", ()).await?;
    println!("the new one: {pictures} pictures, brightness {brightness}");
    sidecar.emit("brightness", &Brightness { by: 100 })?;
    let bright: Raw = sidecar.invoke_raw("brighten", PICTURE.to_vec()).await?;
    println!("{:?}", &bright.0[..]);

    // Ends the connection, and with it the sidecar's server; it is not killed.
    let ended = sidecar.close()?;
    if !ended.success() {
        return Err(format!("the sidecar should have ended well: {ended}").into());
    }
    Ok(())
}

type Reports = Receiver<Result<Progress, tramline::DecodeError>>;

/// Starts the sidecar, and keeps what it says about its progress.
async fn start(program: &Path) -> Result<(Sidecar, Reports), tramline::Error> {
    let sidecar = Sidecar::spawn(Command::new(program)).await?;
    let (report, reports) = channel();
    sidecar
        .listen("progress", move |event| {
            let _ = report.send(event.payload::<Progress>());
        })
        .await?;
    Ok((sidecar, reports))
}
