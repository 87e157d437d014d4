//! A meter: an app of its own with a hidden page, as a sidecar. It runs loads, and tells how it went.
//!
//! There are two, which differ in one line. Both have the same page, and the window lets them run in
//! turn, so that neither disturbs the other. Times are taken here, where calls are served: the clock
//! of a page has ticks of a millisecond.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;
use tauri::ipc::Response;
use tauri::{AppHandle, Builder, Emitter as _, State, WebviewUrl, WebviewWindowBuilder};
use tauri_plugin_tramline::accelerate;
use tramline::{Capabilities, Server, command, commands};

/// How long a load lasts. A choice: a round of all takes about a second.
const LOAD: Duration = Duration::from_millis(140);

/// Turns a hang into an error that is told.
const PATIENCE: Duration = Duration::from_secs(20);

/// Bytes of one raw answer.
const BYTES: usize = 1 << 20;

/// Times kept of one load, and events in one at first and at most.
const MAX_TIMES: usize = 1 << 17;
const EVENTS_FIRST: usize = 1000;
const EVENTS_MAX: usize = 200_000;

#[derive(Default)]
struct Meter {
    ready: Mutex<bool>,
    became_ready: Condvar,
    load: Mutex<Load>,
    ended: Mutex<Option<SyncSender<()>>>,
}

/// The load under way.
#[derive(Default)]
struct Load {
    times: Vec<Instant>,
    first: Option<Instant>,
    last: Option<Instant>,
    count: usize,
}

impl Load {
    /// A call is served: whether there is to be another one.
    fn served(&mut self) -> bool {
        let now = Instant::now();
        if self.times.len() < MAX_TIMES {
            self.times.push(now);
        }
        let first = *self.first.get_or_insert(now);
        self.last = Some(now);
        self.count += 1;
        now - first < LOAD
    }

    fn figures(&self) -> Figures {
        let pairs = self.times.windows(2);
        let mut times: Vec<f64> =
            pairs.map(|pair| (pair[1] - pair[0]).as_secs_f64() * 1e6).collect();
        times.sort_by(f64::total_cmp);
        let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
        let time = self.first.zip(self.last).map_or(Duration::ZERO, |(first, last)| last - first);
        #[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
        let per_second = self.count.saturating_sub(1) as f64 / time.as_secs_f64().max(1e-9);
        Figures { p50_us: at(50), p99_us: at(99), per_second }
    }
}

/// What came of a load.
#[derive(Serialize)]
struct Figures {
    p50_us: f64,
    p99_us: f64,
    per_second: f64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the server's command needs.
struct Serving {
    /// There before the page is ready.
    app: Arc<OnceLock<AppHandle>>,
    meter: Arc<Meter>,
    /// One load at a time, and how many events the next one has.
    events: Mutex<usize>,
}

/// Runs a load in the page.
#[command]
fn measure(load: &str, serving: tramline::State<'_, Serving>) -> Result<Figures, String> {
    let (meter, mut events) = (&serving.meter, lock(&serving.events));
    let ready = meter.became_ready.wait_timeout_while(lock(&meter.ready), PATIENCE, |is| !*is);
    if !ready.is_ok_and(|(is, _)| *is) {
        return Err("the hidden page did not load".into());
    }
    let (ended, end): (_, Receiver<()>) = sync_channel(1);
    *lock(&meter.ended) = Some(ended);
    *lock(&meter.load) = Load::default();
    let told = json!({ "load": load, "events": *events });
    let app = serving.app.get().ok_or("the app has not begun")?;
    app.emit("load", told).map_err(|error| error.to_string())?;
    end.recv_timeout(PATIENCE).map_err(|_| "the hidden page did not answer".to_owned())?;
    let figures = lock(&meter.load).figures();
    if load == "events" {
        let wanted = figures.per_second * LOAD.as_secs_f64();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded")]
        let wanted = wanted.clamp(EVENTS_FIRST as f64, EVENTS_MAX as f64) as usize;
        *events = wanted;
    }
    Ok(figures)
}

#[tauri::command]
fn ready(meter: State<'_, Arc<Meter>>) {
    *lock(&meter.ready) = true;
    meter.became_ready.notify_all();
}

/// A call with nothing in it: whether there is to be another one.
#[tauri::command]
fn tick(meter: State<'_, Arc<Meter>>) -> bool {
    lock(&meter.load).served()
}

/// A raw answer; the last one is empty.
#[tauri::command]
fn bytes(meter: State<'_, Arc<Meter>>) -> Response {
    let more = lock(&meter.load).served();
    Response::new(vec![7; if more { BYTES } else { 0 }])
}

/// Emits to the page as fast as it goes.
#[tauri::command]
async fn burst(app: AppHandle, meter: State<'_, Arc<Meter>>, events: usize) -> Result<(), String> {
    lock(&meter.load).first = Some(Instant::now());
    (0..events)
        .try_for_each(|index| app.emit("burst", json!({ "index": index, "text": "some text" })))
        .map_err(|error| error.to_string())
}

/// The page has done its load; `events` is how many it has heard.
#[tauri::command]
fn done(meter: State<'_, Arc<Meter>>, events: usize) {
    if events > 0 {
        let mut load = lock(&meter.load);
        load.last = Some(Instant::now());
        load.count = events + 1;
    }
    if let Some(ended) = lock(&meter.ended).take() {
        // Nobody waits any more if it took too long.
        let _ = ended.try_send(());
    }
}

/// Runs the app with the hidden page, and serves the one that started it.
pub(crate) fn run(accelerated: bool) -> tauri::Result<()> {
    let (meter, app) = (Arc::new(Meter::default()), Arc::new(OnceLock::new()));
    // At once: whoever started this process does not wait as long as a window may take.
    let (serving_app, serving_meter) = (Arc::clone(&app), Arc::clone(&meter));
    thread::spawn(move || {
        let ending = Arc::clone(&serving_app);
        serve(Serving { app: serving_app, meter: serving_meter, events: Mutex::new(EVENTS_FIRST) });
        match ending.get() {
            // In order, for what the app has on the disk goes as well.
            Some(app) => app.exit(0),
            None => std::process::exit(0),
        }
    });
    let builder = Builder::default().manage(meter);
    let builder = if accelerated { accelerate(builder) } else { builder };
    builder
        .invoke_handler(tauri::generate_handler![ready, tick, bytes, burst, done])
        .setup(move |its| {
            // Set once, here.
            let _ = app.set(its.handle().clone());
            WebviewWindowBuilder::new(its, "meter", WebviewUrl::App("meter.html".into()))
                .visible(false)
                .incognito(true)
                .build()?;
            Ok(())
        })
        .run(tauri::generate_context!())
}

/// Until the other process goes, in whichever way.
fn serve(serving: Serving) {
    let served = Server::from_parent()
        .commands(commands![measure])
        .allow(Capabilities::all())
        .manage(serving)
        .outlive_parent()
        .run()
        .wait();
    if let Err(error) = served {
        log::error!("the meter did not serve: {error}");
    }
}
