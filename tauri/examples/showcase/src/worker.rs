//! The worker: a sidecar with some commands, of which the window knows no more than their names.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use tramline::{CancelToken, Capabilities, Channel, Error, Peer, Server, State, command, commands};

use crate::mandelbrot::View;

/// How often the worker says that it lives.
const BEAT: Duration = Duration::from_millis(250);

/// Rows of a picture in one message.
const BAND: u32 = 4;

/// The kernel's clock ticks of a process, each in milliseconds: 100 a second on every Linux.
const TICK_MS: u64 = 10;

#[derive(Default)]
struct Work {
    calls: AtomicU64,
    /// How often somebody has said stop.
    stops: AtomicU64,
    /// Who hears the beat.
    heard_by: Mutex<Option<Peer>>,
}

/// What the worker says of itself.
#[derive(Serialize)]
struct Beat {
    pid: u32,
    calls: u64,
    up_ms: u64,
    cpu_ms: u64,
    memory_kib: u64,
}

#[command(inline)]
fn nothing(work: State<'_, Arc<Work>>) {
    work.calls.fetch_add(1, Ordering::Relaxed);
}

/// Begins the beat, and tells who beats.
#[command]
fn watch(peer: Peer, work: State<'_, Arc<Work>>) -> u32 {
    *work.heard_by.lock().unwrap_or_else(PoisonError::into_inner) = Some(peer);
    std::process::id()
}

/// What comes through the channel beside the rows.
#[derive(Serialize)]
struct Progress {
    done: u32,
    of: u32,
}

/// Makes a picture: rows go to the page as raw bytes as soon as they are there, red, green, blue and
/// full opacity for each pixel, and so does how far it is. It ends early if it is told to
/// [`stop`], or if the page goes.
#[command]
fn render(
    width: u32,
    height: u32,
    on_rows: Channel<Progress>,
    token: CancelToken,
    work: State<'_, Arc<Work>>,
) -> Result<u64, String> {
    if !(1..=4096).contains(&width) || !(1..=4096).contains(&height) {
        return Err(format!("{width} by {height} pixels, the limit is 4096"));
    }
    work.calls.fetch_add(1, Ordering::Relaxed);
    let (start, stops) = (Instant::now(), work.stops.load(Ordering::SeqCst));
    let view = View { width, height, x: -0.7453, y: 0.1127, across: 0.0065, fine: 3, steps: 1500 };
    for first in (0..height).step_by(BAND as usize) {
        if work.stops.load(Ordering::SeqCst) != stops {
            return Err(format!("stopped at row {first} of {height}"));
        }
        if token.is_cancelled() {
            return Err("nobody waits for it".into());
        }
        let rows = first..height.min(first + BAND);
        let pixels: Vec<u8> = rows
            .clone()
            .flat_map(|row| view.row(row))
            .collect::<Vec<u8>>()
            .chunks_exact(3)
            .flat_map(|pixel| [pixel[0], pixel[1], pixel[2], 255])
            .collect();
        let sent = on_rows
            .send_raw(pixels)
            .and_then(|()| on_rows.send(&Progress { done: rows.end, of: height }));
        sent.map_err(|error| error.to_string())?;
    }
    Ok(u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX))
}

/// Ends all pictures under way.
#[command]
fn stop(work: State<'_, Arc<Work>>) {
    work.stops.fetch_add(1, Ordering::SeqCst);
}

/// Serves the app until it goes.
pub(crate) fn run() -> Result<(), Error> {
    let work = Arc::new(Work::default());
    let (beating, start) = (Arc::clone(&work), Instant::now());
    thread::spawn(move || {
        loop {
            thread::sleep(BEAT);
            let peer = beating.heard_by.lock().unwrap_or_else(PoisonError::into_inner).clone();
            // A beat that nobody has time for is left out.
            let _ = peer.map(|peer| peer.try_emit("worker-beat", &beat(&beating, start)));
        }
    });
    Server::from_parent()
        .commands(commands![nothing, watch, render, stop])
        .allow(Capabilities::all())
        .manage(work)
        .run()
        .wait()
}

fn beat(work: &Work, start: Instant) -> Beat {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // From the third field on, as the name before may hold blanks; see proc_pid_stat(5).
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let field = |number: usize| -> u64 {
        fields.split(' ').nth(number - 3).and_then(|text| text.parse().ok()).unwrap_or_default()
    };
    Beat {
        pid: std::process::id(),
        calls: work.calls.load(Ordering::Relaxed),
        up_ms: u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
        cpu_ms: (field(14) + field(15)) * TICK_MS,
        // Pages of 4 KiB.
        memory_kib: field(24) * 4,
    }
}
