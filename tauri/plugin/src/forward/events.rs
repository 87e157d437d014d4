//! Events, both ways, by name.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Serialize, Serializer};
use tauri::async_runtime::{self, Sender};
use tauri::{AppHandle, Listener as _, Runtime};
use tramline::{Client, SendError};

use super::Inner;
use super::body::Body;

/// Events that may wait for room, or for a connection. A choice; what comes beyond is dropped, for
/// whoever emits in an app must not be made to wait.
const WAITING: usize = 8192;

thread_local! {
    /// Whose event is being emitted here: it does not go back there.
    static EMITTING: Cell<usize> = const { Cell::new(0) };
}

/// Emits an event that came from `id`.
pub(super) fn without_echo<T>(id: usize, emit: impl FnOnce() -> T) -> T {
    let outer = EMITTING.replace(id);
    let emitted = emit();
    EMITTING.set(outer);
    emitted
}

/// JSON text as what it says, in any codec.
struct JsonText<'t>(&'t str);

impl Serialize for JsonText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = serde_json::Deserializer::from_str(self.0);
        serde_transcode::transcode(&mut text, serializer)
    }
}

/// Hears what the other process emits.
pub(super) async fn hear<R: Runtime>(inner: Arc<Inner<R>>, client: Client) {
    let codec = client.server().codec();
    for name in &inner.to_app {
        // Weak: the app must not be kept by its connection.
        let (main_loop, its_name) = (Arc::downgrade(&inner.main_loop), Arc::clone(name));
        let listening = client.listen(name, move |event| {
            let Some(main_loop) = main_loop.upgrade() else { return };
            match Body::new(event.body_kind(), event.to_bytes()).into_json_text(codec) {
                Ok(text) => main_loop.emit(&its_name, text),
                Err(error) => log::warn!("tramline: event `{its_name}` is no JSON: {error}"),
            }
        });
        if let Err(error) = listening.await {
            log::warn!("tramline: event `{name}` is not heard: {error}");
        }
    }
}

/// Passes on what the app and its pages emit.
pub(super) fn pass_on<R: Runtime>(inner: &Arc<Inner<R>>, app: &AppHandle<R>) {
    if inner.from_app.is_empty() {
        return;
    }
    let late = Arc::new(AtomicUsize::new(0));
    let queue = queue(inner, Arc::clone(&late));
    for name in &inner.from_app {
        let (inner, queue, late) = (Arc::downgrade(inner), queue.clone(), Arc::clone(&late));
        let its_name = Arc::clone(name);
        app.listen(&**name, move |event| {
            let Some(inner) = inner.upgrade() else { return };
            if EMITTING.get() == inner.main_loop.id() {
                return;
            }
            // Those that wait go first.
            if late.load(Ordering::Acquire) == 0
                && let Some(client) = inner.connection.up()
            {
                match client.try_emit(&its_name, &JsonText(event.payload())) {
                    Err(SendError::Full | SendError::Link(_)) => {}
                    sent => return say(&its_name, sent),
                }
            }
            late.fetch_add(1, Ordering::AcqRel);
            if queue.try_send((Arc::clone(&its_name), event.payload().to_owned())).is_err() {
                late.fetch_sub(1, Ordering::AcqRel);
                log::warn!("tramline: event `{its_name}` is dropped: too many wait");
            }
        });
    }
}

/// What could not go at once.
fn queue<R: Runtime>(inner: &Arc<Inner<R>>, late: Arc<AtomicUsize>) -> Sender<(Arc<str>, String)> {
    let (sender, mut waiting) = async_runtime::channel::<(Arc<str>, String)>(WAITING);
    let inner = Arc::downgrade(inner);
    async_runtime::spawn(async move {
        while let Some((name, payload)) = waiting.recv().await {
            let Some(inner) = inner.upgrade() else { return };
            match inner.client().await {
                Ok(client) => say(&name, client.emit_async(&name, &JsonText(&payload)).await),
                Err(error) => log::warn!("tramline: event `{name}` is not passed on: {error}"),
            }
            late.fetch_sub(1, Ordering::AcqRel);
        }
    });
    sender
}

fn say(name: &str, sent: Result<(), SendError>) {
    if let Err(error) = sent {
        log::warn!("tramline: event `{name}` is not passed on: {error}");
    }
}
