//! What the page's loads call, and the clock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;
use tauri::ipc::{Channel, InvokeBody, InvokeResponseBody, Request, Response};
use tauri::{AppHandle, Emitter as _};

use crate::commands::Numbered;
use crate::setting;

/// When each call of the load under way was served.
static STAMPS: Mutex<Vec<Instant>> = Mutex::new(Vec::new());

/// A call has come.
pub(crate) fn stamp() {
    let mut stamps = STAMPS.lock().unwrap_or_else(PoisonError::into_inner);
    if stamps.len() < stamps.capacity() {
        stamps.push(Instant::now());
    }
}

#[tauri::command]
pub(crate) fn bench_quick() -> bool {
    setting("QUICK").is_some()
}

/// The rows that are wanted, by name; none is all.
#[tauri::command]
pub(crate) fn bench_rows() -> Vec<String> {
    setting("ROWS").map_or_else(Vec::new, |rows| {
        rows.split(';').filter(|row| !row.is_empty()).map(str::to_owned).collect()
    })
}

/// Which part of the loads is wanted, and of how many.
#[tauri::command]
pub(crate) fn bench_part() -> (usize, usize) {
    let part = setting("PART").unwrap_or_default();
    let numbers =
        part.split_once('/').and_then(|(at, of)| Some((at.parse().ok()?, of.parse().ok()?)));
    numbers.unwrap_or((0, 1))
}

#[tauri::command]
pub(crate) fn bench_start(name: &str) {
    log::info!("load {name}");
    let mut stamps = STAMPS.lock().unwrap_or_else(PoisonError::into_inner);
    stamps.clear();
    stamps.reserve(1 << 17);
    stamps.push(Instant::now());
}

/// Times of round trips, in microseconds.
#[derive(Serialize)]
pub(crate) struct Times {
    p50_us: f64,
    p99_us: f64,
    count: usize,
}

#[tauri::command]
pub(crate) fn bench_times(name: &str) -> Times {
    log::debug!("load {name} is over");
    times_of(0, 1)
}

/// The same of two kinds of calls that were made in turn, the first kind first.
#[tauri::command]
pub(crate) fn bench_times_in_turn(name: &str) -> [Times; 2] {
    log::debug!("load {name} is over");
    [times_of(0, 2), times_of(1, 2)]
}

/// Times of one call in `every`. The first stamp is that of the start.
fn times_of(first: usize, every: usize) -> Times {
    let stamps = STAMPS.lock().unwrap_or_else(PoisonError::into_inner);
    let trips = stamps.windows(2).skip(1 + first).step_by(every);
    let mut times: Vec<f64> = trips.map(|pair| (pair[1] - pair[0]).as_secs_f64() * 1e6).collect();
    times.sort_by(f64::total_cmp);
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
    Times { p50_us: at(50), p99_us: at(99), count: times.len() }
}

/// A rate.
#[derive(Serialize)]
pub(crate) struct Rate {
    per_second: f64,
}

#[tauri::command]
pub(crate) fn bench_rate(name: &str) -> Rate {
    log::debug!("load {name} is over");
    let stamps = STAMPS.lock().unwrap_or_else(PoisonError::into_inner);
    let (Some(first), Some(last)) = (stamps.get(1), stamps.last()) else {
        return Rate { per_second: 0.0 };
    };
    #[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
    let count = stamps.len() as f64 - 2.0;
    Rate { per_second: count / (*last - *first).as_secs_f64() }
}

#[tauri::command]
pub(crate) fn bench_done(name: &str, count: u32) -> Rate {
    log::debug!("load {name} is over");
    let stamps = STAMPS.lock().unwrap_or_else(PoisonError::into_inner);
    let time = stamps.first().map_or(0.0, |start| start.elapsed().as_secs_f64());
    Rate { per_second: f64::from(count) / time }
}

/// How late a timer of the main loop is under load.
const TIMER: Duration = Duration::from_millis(16);
static TIMER_DUE: Mutex<Option<Instant>> = Mutex::new(None);
static LATEST_US: AtomicU64 = AtomicU64::new(0);

fn lock_due() -> MutexGuard<'static, Option<Instant>> {
    TIMER_DUE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts the timer. A command that is not `async` runs on the main loop's thread.
#[tauri::command]
pub(crate) fn bench_timer_start() {
    LATEST_US.store(0, Ordering::Relaxed);
    *lock_due() = Some(Instant::now() + TIMER);
    glib::timeout_add_local(TIMER, || {
        let now = Instant::now();
        let mut due = lock_due();
        let Some(at) = due.take() else { return glib::ControlFlow::Break };
        let late = now.saturating_duration_since(at).as_micros();
        LATEST_US.fetch_max(u64::try_from(late).unwrap_or(u64::MAX), Ordering::Relaxed);
        *due = Some(now + TIMER);
        glib::ControlFlow::Continue
    });
}

/// Stops it: how late it was at most.
#[tauri::command]
pub(crate) fn bench_timer_stop() -> Times {
    *lock_due() = None;
    #[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
    let latest = LATEST_US.load(Ordering::Relaxed) as f64;
    Times { p50_us: latest, p99_us: latest, count: 1 }
}

#[tauri::command]
pub(crate) fn bench_nothing() {
    stamp();
}

#[tauri::command]
pub(crate) async fn bench_later() {
    stamp();
}

#[tauri::command]
pub(crate) fn bench_echo(value: Value) -> Value {
    stamp();
    value
}

#[tauri::command]
pub(crate) fn bench_put(request: Request<'_>) -> bool {
    stamp();
    matches!(request.body(), InvokeBody::Raw(_))
}

#[tauri::command]
pub(crate) fn bench_get(len: usize) -> Response {
    stamp();
    Response::new(vec![7; len])
}

#[tauri::command]
pub(crate) async fn emit_load(
    app: AppHandle,
    name: &str,
    count: usize,
    len: usize,
) -> Result<(), String> {
    let text = "t".repeat(len);
    for index in 0..count {
        app.emit(name, Numbered { index, text: text.clone() })
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}

#[tauri::command]
pub(crate) async fn stream_load(channel: Channel<Numbered>, count: usize) -> Result<(), String> {
    for index in 0..count {
        let message = Numbered { index, text: "some text".into() };
        channel.send(message).map_err(|error| error.to_string())?;
    }
    Ok(())
}

#[tauri::command]
pub(crate) async fn stream_raw_load(
    channel: Channel<InvokeResponseBody>,
    count: usize,
    len: usize,
) -> Result<(), String> {
    for _ in 0..count {
        let message = InvokeResponseBody::Raw(vec![7; len]);
        channel.send(message).map_err(|error| error.to_string())?;
    }
    Ok(())
}
