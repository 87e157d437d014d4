//! The sidecar: brightens pictures, and does not survive every one of them.

#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use example_sidecar::{Brightness, Progress, Status};
use tramline::{Capabilities, Error, Peer, Raw, Server, State, command, commands};

/// Bytes in a row of a picture.
const ROW: usize = 4;

#[derive(Debug, Default)]
struct Workshop {
    brightness: AtomicU8,
    pictures: AtomicU64,
}

/// Takes bytes and gives bytes: no codec touches them. `peer` is whoever calls.
#[command]
fn brighten(picture: Raw, peer: Peer, workshop: State<'_, Arc<Workshop>>) -> Result<Raw, String> {
    let mut bytes = picture.0.to_vec();
    if bytes.is_empty() {
        // What a bug in somebody else's decoder looks like from outside.
        std::process::exit(70);
    }
    let by = workshop.brightness.load(Ordering::Relaxed);
    for (row, pixels) in (1..).zip(bytes.chunks_mut(ROW)) {
        pixels.iter_mut().for_each(|pixel| *pixel = pixel.saturating_add(by));
        peer.emit("progress", &Progress { row }).map_err(|e| e.to_string())?;
    }
    workshop.pictures.fetch_add(1, Ordering::Relaxed);
    Ok(bytes.into())
}

#[command(inline)]
fn status(workshop: State<'_, Arc<Workshop>>) -> Status {
    Status {
        pictures: workshop.pictures.load(Ordering::Relaxed),
        brightness: workshop.brightness.load(Ordering::Relaxed),
    }
}

fn main() -> Result<(), Error> {
    let workshop = Arc::new(Workshop::default());
    let told = Arc::clone(&workshop);
    let allowed =
        Capabilities::none().commands(["brighten", "status"]).events(["brightness", "progress"]);
    Server::from_parent()
        .commands(commands![brighten, status])
        .allow(allowed)
        .manage(workshop)
        .listen("brightness", move |event| {
            if let Ok(Brightness { by }) = event.payload() {
                told.brightness.store(by, Ordering::Relaxed);
            }
        })
        .run()
        .wait()?;
    // The parent has closed the connection, or is gone.
    println!("the sidecar ends");
    Ok(())
}
